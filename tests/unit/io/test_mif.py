"""MRtrix images: what goes in comes out, in the order of the file, and damage has one sentence."""

import gzip
import warnings
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dwiser.errors import Code, DwiserError, DwiserWarning
from dwiser.io import find_inputs, load, planned_images, read_on_grid, save, save_volume
from dwiser.io.scanner_axes import in_image_axes, in_scanner_axes, rotation
from dwiser.memmap import is_mapped
from tests.refusals import refused
from tests.unit.io.conftest import Small

STRAIGHT = np.eye(3)
OBLIQUE = Rotation.from_euler("xyz", [20, -15, 10], degrees=True).as_matrix()


def scheme(small: Small) -> np.ndarray:
    """(V, 4) in scanner axes."""
    return np.column_stack([small.bvecs, small.bvals])


def mif(
    small: Small,
    *,
    layout: str = "+0,+1,+2,+3",
    datatype: str = "Float32LE",
    rows: np.ndarray | None = None,
    extra: str = "",
    voxels: bytes | None = None,
    file: str = ". 4096",
    transform: np.ndarray = STRAIGHT,
) -> bytes:
    """An image by the format's published description; the voxels in the order that it says."""
    rows = scheme(small) if rows is None else rows
    lines = [
        "mrtrix image", "dim: 5,4,3,8", "vox: 2,2,2.5,3", f"layout: {layout}",
        f"datatype: {datatype}",
        *(f"transform: {a},{b},{c},{9 + i}" for i, (a, b, c) in enumerate(transform)),
        *(f"dw_scheme: {','.join(map(repr, map(float, row)))}" for row in rows),
        "EchoTime: 0.09", "command_history: scanned", "mrtrix_version: 3.0.3",
        *extra.splitlines(), f"file: {file}", "END\n",
    ]  # fmt: skip
    text = "\n".join(lines).encode()
    if file.startswith(". "):
        text = text.ljust(int(file.split()[1]), b"\0")
    return text + (small.data.astype("<f4").tobytes("F") if voxels is None else voxels)


def written(small: Small, name: str = "dwi.mif", **how) -> Path:
    path = small.path(name)
    content = mif(small, **how)
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return path


def in_file_order(data: np.ndarray, layout: str) -> bytes:
    """The voxels as a layout says: slowly, by its definition."""
    words = layout.split(",")
    ranks = [abs(int(word)) for word in words]
    turned = data[tuple(slice(None, None, -1 if w.startswith("-") else 1) for w in words)]
    return turned.transpose(np.argsort(ranks)).tobytes("F")


@pytest.mark.parametrize("name", ["dwi.mif", "dwi.mif.gz", "DWI.MIF"])
def test_a_series_is_read_with_its_table(small: Small, name: str) -> None:
    scan = load(written(small, name))
    np.testing.assert_array_equal(scan.data, small.data)
    assert scan.voxel_size == (2, 2, 2.5)
    np.testing.assert_array_equal(scan.affine[:3, 3], [9, 10, 11])
    np.testing.assert_allclose(in_scanner_axes(scan.gradients.raw_bvecs, scan.affine), small.bvecs)
    np.testing.assert_array_equal(scan.gradients.bvals, small.bvals)
    assert scan.header.get_zooms() == (2, 2, 2.5, 3)


LAYOUTS = [
    ",".join(f"{'-' if s < 0 else '+'}{p}" for s, p in zip(signs, places, strict=True))
    for places, signs in zip(
        permutations(range(4)),
        list(product((1, -1), repeat=4)) + [(1, 1, 1, 1)] * 8,
        strict=True,
    )
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_image_and_comes_back(small: Small, layout: str) -> None:
    """Every voxel and direction is where it was in scanner axes; written again, byte for byte."""
    plain = load(written(small, "plain.mif", transform=OBLIQUE))
    voxels = in_file_order(small.data.astype("<f4"), layout)
    path = written(small, layout=layout, transform=OBLIQUE, voxels=voxels)
    scan = load(path)
    on_grid = read_on_grid(path, plain, "series", series=True)
    np.testing.assert_array_equal(on_grid, plain.data)
    back = in_scanner_axes(scan.gradients.raw_bvecs, scan.affine)
    np.testing.assert_allclose(back, small.bvecs, atol=1e-12)
    assert scan.data.flags.f_contiguous
    save_volume(scan.data, small.path("again.mif"), like=scan)
    again, before = small.path("again.mif").read_bytes(), path.read_bytes()
    assert again.endswith(voxels)
    assert lines(again, "layout", "dim", "vox", "dw_scheme") == lines(
        before, "layout", "dim", "vox", "dw_scheme"
    )
    np.testing.assert_allclose(load(small.path("again.mif")).affine, scan.affine, atol=1e-12)


def lines(content: bytes, *keys: str) -> list[str]:
    head = content.partition(b"\nEND\n")[0].decode().splitlines()
    return sorted(line for line in head if line.startswith(keys))


@pytest.mark.parametrize("name", ["o.mif", "o.mif.gz", "o.mih"])
def test_keys_are_carried_over_and_the_history_grows(small: Small, name: str) -> None:
    scan = load(written(small))
    save(scan.data, small.path(name), scan, record={}, command="dwiser denoise a b")
    content = small.path(name).read_bytes()
    content = gzip.decompress(content) if name.endswith("gz") else content
    head = content.partition(b"\nEND\n")[0].decode()
    assert "EchoTime: 0.09\n" in head
    assert "command_history: scanned\ncommand_history: dwiser denoise a b\n" in head
    assert "mrtrix_version" not in head
    assert "vox: 2,2,2.5,3\n" in head
    assert not small.path("o.bval").exists()  # the table is inside
    assert small.path("o.json").exists()
    assert small.path("o.dat").exists() == name.endswith("mih")
    np.testing.assert_array_equal(load(small.path(name)).data, scan.data)
    inputs = find_inputs(small.path(name))
    assert inputs.bval is None
    assert (small.path("o.dat") in inputs.files) == name.endswith("mih")


def test_nifti_and_mrtrix_go_into_each_other(small: Small) -> None:
    scan = load(small.series())
    save(scan.data, small.path("o.mif"), scan)
    through = load(small.path("o.mif"))
    np.testing.assert_array_equal(through.data, scan.data)
    np.testing.assert_allclose(through.affine, scan.affine, atol=1e-12)
    np.testing.assert_allclose(through.gradients.bvecs, scan.gradients.bvecs, atol=1e-12)
    save(through.data, small.path("back.nii.gz"), through)
    back = load(small.path("back.nii.gz"))
    np.testing.assert_array_equal(back.affine, scan.affine)
    np.testing.assert_allclose(back.gradients.raw_bvecs, scan.gradients.raw_bvecs, atol=1e-12)


@pytest.mark.parametrize("name", ["m.mif", "m.mif.gz", "m.mih"])
def test_a_mask_is_stored_as_bits(small: Small, name: str) -> None:
    scan = load(written(small, layout="-0,+2,-1,+3", extra="pe_scheme: 0,1,0,0.1"))
    inside = np.random.default_rng(1).random(scan.shape[:3]) < 0.4
    save_volume(inside, small.path(name), like=scan)
    scan = load(written(small, layout="-0,+2,-1,+3"), mask=small.path(name))
    np.testing.assert_array_equal(scan.mask, inside)
    content = small.path(name).read_bytes()
    content = gzip.decompress(content) if name.endswith("gz") else content
    assert b"datatype: Bit\n" in content
    assert b"layout: -0,+2,-1\n" in content
    assert b"dw_scheme" not in content
    assert b"pe_scheme" not in content
    assert b"EchoTime: 0.09\n" in content


TYPES = {
    "Int8": "i1", "uint8": "u1", "Int16LE": "<i2", "Int16BE": ">i2", "UInt16LE": "<u2",
    "UInt16BE": ">u2", "Int32LE": "<i4", "UInt32BE": ">u4", "Int64BE": ">i8", "UInt64LE": "<u8",
    "Float32": "=f4", "Float32BE": ">f4", "Float64LE": "<f8", "float64be": ">f8",
}  # fmt: skip


@pytest.mark.parametrize("datatype", TYPES)
def test_every_datatype(small: Small, datatype: str) -> None:
    stored = (np.arange(480).reshape(5, 4, 3, 8) % 120).astype(TYPES[datatype])
    path = written(small, datatype=datatype, voxels=stored.tobytes("F"), extra="scaling: 3,0.5")
    np.testing.assert_array_equal(load(path).data, stored.astype(np.float32) * 0.5 + 3)


def test_a_complex_series_gives_magnitude_and_phase(small: Small) -> None:
    voxels = (small.data * np.exp(0.5j)).astype("<c8").tobytes("F")
    scan = load(written(small, datatype="CFloat32LE", voxels=voxels))
    np.testing.assert_allclose(scan.data, small.data, rtol=1e-6)
    np.testing.assert_allclose(scan.phase, 0.5, rtol=1e-6)


@pytest.mark.parametrize("layout", ["+0,+1,+2,+3", "+1,+2,+3,+0"])
def test_a_large_series_is_mapped(small: Small, layout: str) -> None:
    voxels = in_file_order(small.data.astype("<f4"), layout)
    scan = load(written(small, layout=layout, voxels=voxels), memory=100)
    assert is_mapped(scan.data)
    np.testing.assert_array_equal(scan.data, small.data)


def test_without_a_transform_the_middle_is_the_scanners(small: Small) -> None:
    content = mif(small)
    head, end, _ = content.partition(b"END\n")
    kept = b"\n".join(row for row in head.splitlines() if not row.startswith(b"transform"))
    small.path("dwi.mif").write_bytes((kept + b"\n" + end).ljust(4096, b"\0") + content[4096:])
    np.testing.assert_array_equal(load(small.path("dwi.mif")).affine[:3, 3], [-4, -3, -2.5])


def test_a_table_that_is_named_counts_more_than_the_headers(small: Small) -> None:
    path = written(small, rows=scheme(small)[:5])
    np.savetxt(small.path("grad.b"), scheme(small)[:, [1, 0, 2, 3]])
    scan = load(path, grad=small.path("grad.b"))
    back = in_scanner_axes(scan.gradients.raw_bvecs, scan.affine)
    np.testing.assert_allclose(back, small.bvecs[:, [1, 0, 2]], atol=1e-12)
    small.series("t.nii")
    scan = load(path, small.path("t.bval"), small.path("t.bvec"))
    np.testing.assert_allclose(scan.gradients.raw_bvecs, small.bvecs)
    with refused(Code.ARGUMENT_CONFLICT, "grad.b: --grad is a whole table"):
        load(path, small.path("t.bval"), grad=small.path("grad.b"))


def test_grad_is_for_nifti_too(small: Small) -> None:
    path = small.image("dwi.nii", small.data)
    table = scheme(small)
    table[3] = np.nan, np.nan, np.nan, 1000
    rows = "# made by hand\n" + "\n".join(" ".join(map(str, row)) for row in scheme(small))
    small.path("grad.b").write_text(rows)
    scan = load(path, grad=small.path("grad.b"))
    expected = in_image_axes(small.bvecs, small.affine)
    np.testing.assert_allclose(scan.gradients.raw_bvecs, expected)
    for bad, code, *says in (
        (table[:, :3], Code.GRADIENTS_FORMAT, "8×3 table", "--grad has four columns"),
        (table[:5], Code.GRADIENTS_LENGTH, "5 rows for the 8 volumes", "--grad"),
        (table * [1, 1, 1, -1], Code.GRADIENTS_VALUES, "negative"),
        (abs(scheme(small))[:, [3, 0, 1, 2]], Code.GRADIENTS_FORMAT, "first column", "last"),
        (
            np.ones((8, 6)),
            Code.GRADIENTS_FORMAT,
            "b-matrices of six columns",
            f"1dDW_Grad_o_Mat++ -in_col_matA {small.path('grad.b')} -unit_mag_out",
            "grad.bval`",
        ),
    ):
        np.savetxt(small.path("grad.b"), bad)
        with refused(code, "grad.b: ", *says):
            load(path, grad=small.path("grad.b"))


def test_scanner_axes_need_an_orientation(small: Small) -> None:
    """MRtrix, nibabel and ITK take a header without qform and sform in three ways."""
    np.savetxt(small.path("grad.b"), scheme(small))
    image = nib.Nifti1Image(small.data, None)
    nib.save(image, small.path("bare.nii"))
    with pytest.warns(DwiserWarning, match=r"bare\.nii: its header says no orientation .* left"):
        scan = load(small.path("bare.nii"), grad=small.path("grad.b"))
    assert np.linalg.det(scan.affine) < 0
    np.testing.assert_allclose(scan.gradients.raw_bvecs, small.bvecs * [-1, 1, 1])
    image.set_sform(np.diag([1.0, 1, 1, 1]), 1)
    nib.save(image, small.path("bare.nii"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(small.path("bare.nii"), grad=small.path("grad.b"))


def test_axes_that_are_not_at_right_angles_stand_for_the_nearest_rotation() -> None:
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE @ [[2, 0.2, 0], [0, -1.5, 0.1], [0, 0, 3]]
    turn = rotation(affine)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) < 0
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(in_scanner_axes(in_image_axes(vectors, affine), affine), vectors)


def swap(old: str, new: str, count: int = -1):
    return lambda content: content.replace(old.encode(), new.encode(), count)


BROKEN = Code.IMAGE_DAMAGED
DAMAGE = {  # what to do, the code, and what its sentence says
    "no mrtrix image": (lambda c: b"NRRD0004\n" + c, Code.IMAGE_FORMAT, "no MRtrix image"),
    "empty": (lambda c: b"", Code.IMAGE_FORMAT, "no MRtrix image"),
    "header cut off": (lambda c: c[:200], BROKEN, "no line 'END'", "copy it again"),
    "voxels cut off": (lambda c: c[:-100], BROKEN, "truncated", "copy it again"),
    "a volume more": (lambda c: c + b"\1" * 400, BROKEN, "more voxels than its header"),
    "no dim": (swap("dim:", "dip:"), BROKEN, "no 'dim'"),
    "dim of words": (swap("dim: 5", "dim: x"), BROKEN, "dim holds"),
    "dim of zeros": (swap("dim: 5", "dim: 0"), Code.IMAGE_DIMENSIONS, "no voxels"),
    "huge dim": (swap("dim: 5", "dim: 500000000"), BROKEN, "truncated"),
    "vox too short": (swap("vox: 2,2,2.5,3", "vox: 2,2"), BROKEN, "2 voxel sizes"),
    "layout twice": (swap("+3\n", "+2\n"), BROKEN, "does not order its 4"),
    "unknown type": (swap("Float32LE", "Quaternion"), Code.IMAGE_FORMAT, "'quaternion'"),
    "transform": (swap("transform: 0.0,0.0,1.0,11\n", ""), BROKEN, "needs 12"),
    "scaling": (swap("EchoTime: 0.09", "scaling: 1"), BROKEN, "its scaling (1)"),
    "flat": (swap("vox: 2,", "vox: 0,"), Code.IMAGE_AFFINE, "no size"),
    "short table": (
        swap("dw_scheme", "dw_schema", 2), Code.GRADIENTS_LENGTH,
        "6 dw_scheme rows for the 8 volumes", "--grad",
    ),
    "table of three columns": (
        swap(",1000.0\n", "\n", 1), Code.GRADIENTS_FORMAT, "four numbers", "--grad"
    ),
    "table of words": (swap("1000.0\n", "many\n", 1), BROKEN, "dw_scheme holds"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_damage_has_one_sentence(small: Small, kind: str) -> None:
    change, code, *says = DAMAGE[kind]
    small.path("dwi.mif").write_bytes(change(mif(small)))
    with refused(code, "dwi.mif: ", *says):
        load(small.path("dwi.mif"))


def test_a_gz_that_ends_early(small: Small) -> None:
    path = written(small, "dwi.mif.gz")
    whole = path.read_bytes()
    for size in (60, len(whole) - 9):
        path.write_bytes(whole[:size])
        with refused(Code.IMAGE_DAMAGED, "dwi.mif.gz: ", "again"):
            load(path)
    path.write_bytes(gzip.decompress(whole))
    with refused(Code.IMAGE_DAMAGED, "dwi.mif.gz: ", "again"):
        load(path)


def test_a_header_without_its_data(small: Small) -> None:
    path = written(small, "dwi.mih", file="dwi.dat 0", voxels=b"")
    with refused(Code.FILE_MISSING, "dwi.mih: its data file dwi.dat is not beside it"):
        load(path)
    small.path("dwi.dat").write_bytes(small.data.astype("<f4").tobytes("F"))
    np.testing.assert_array_equal(load(path).data, small.data)
    path = written(small, "dwi.mih", file="a.dat 0\nfile: b.dat 0", voxels=b"")
    with refused(Code.IMAGE_FORMAT, "dwi.mih: its voxels are in 2 data files"):
        load(path)


def test_mrtrix_ends_no_header_that_is_a_file_of_its_own(small: Small) -> None:
    """mrconvert writes END into a .mif, and none into a .mih."""
    path = written(small, "dwi.mih", file="dwi.dat", voxels=b"")
    text = path.read_bytes().removesuffix(b"END\n")
    small.path("dwi.dat").write_bytes(small.data.astype("<f4").tobytes("F"))
    path.write_bytes(text)
    np.testing.assert_array_equal(load(path).data, small.data)
    path.write_bytes(text.removesuffix(b"file: dwi.dat\n"))  # a copy that ended early
    with refused(Code.IMAGE_DAMAGED, "dwi.mih: its header is damaged", "END"):
        load(path)


def test_no_table_at_all(small: Small) -> None:
    path = written(small, rows=np.empty((0, 4)))
    with refused(Code.GRADIENTS_MISSING, "dwi.mif: there are no b-values beside it", "--grad"):
        load(path)


def test_mrtrix_could_not_read_a_mih_with_blanks(small: Small) -> None:
    scan = load(written(small))
    with refused(Code.FILE_ENDING, "my dwi.mih: ", "blanks", ".mif"):
        save(scan.data, small.path("my dwi.mih"), scan)


def test_the_data_file_of_an_input_is_not_overwritten(small: Small) -> None:
    scan = load(written(small))
    save(scan.data, small.path("a.mih"), scan)
    files = find_inputs(small.path("a.mih")).files
    with refused(Code.OUTPUT_IS_INPUT, "a.dat: this output is also an input"):
        planned_images(small.path("a.mih"), inputs=files, force=True)


def test_further_dimensions_are_volumes(small: Small) -> None:
    """In the order of the image's axes, whatever the order in the file."""
    data = small.data.reshape(5, 4, 3, 4, 2, order="F")
    for layout in ("+0,+1,+2,+3,+4", "+2,-3,+4,+1,+0"):
        content = mif(small, layout=layout, voxels=in_file_order(data.astype("<f4"), layout))
        content = content.replace(b"dim: 5,4,3,8", b"dim: 5,4,3,4,2")
        small.path("five.mif").write_bytes(content[:4096] + content[4098:])
        scan = load(small.path("five.mif"))
        sums = (voxels.sum(axis=(0, 1, 2)) for voxels in (scan.data, small.data))
        np.testing.assert_array_equal(*sums)
        assert scan.shape == small.shape
        save_volume(scan.data, small.path("o.mif"), like=scan)
        np.testing.assert_array_equal(load(small.path("o.mif")).data, scan.data)


def test_a_full_disk_leaves_nothing(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = load(written(small))
    before = {path.name for path in small.folder.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dwiser.io.mif.write_voxels", full)
    for name in ("o.mif", "o.mif.gz", "o.mih"):
        with refused(Code.OUTPUT_NOT_WRITTEN, "make room", error=DwiserError):
            save(scan.data, small.path(name), scan)
    assert {path.name for path in small.folder.iterdir()} == before
