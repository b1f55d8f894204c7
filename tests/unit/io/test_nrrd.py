"""NRRD images as 3D Slicer has them: axes in any place, gradients in a measurement frame."""

import gzip
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dwiser.errors import Code, DwiserWarning
from dwiser.io import find_inputs, load, read_on_grid, save, save_volume
from dwiser.io.scanner_axes import in_image_axes
from tests.refusals import refused
from tests.unit.io.conftest import Small

LPS = np.diag([-1.0, -1.0, 1.0])
FRAME = Rotation.from_euler("zyx", [20, 30, -40], degrees=True).as_matrix()
BVALS = np.array([0.0, 500, 1000, 1000, 1000, 0, 1000, 500])


def vector(numbers: np.ndarray) -> str:
    return f"({','.join(repr(float(n)) for n in numbers)})"


def header(small: Small, **fields: Any) -> dict[str, str]:
    """By the format's description: vectors of the frame are its columns, lengths go as √b."""
    space = LPS @ small.affine[:3]
    lengths = np.sqrt(BVALS / 1000)[:, None]
    gradients = (small.bvecs @ LPS @ FRAME) * lengths  # ``small``'s are in scanner axes here
    return {
        "type": "float", "dimension": "4", "space": "left-posterior-superior",
        "sizes": "5 4 3 8",
        "space directions": " ".join([*map(vector, space[:, :3].T), "none"]),
        "kinds": "space space space list", "endian": "little", "encoding": "raw",
        "space origin": vector(space[:, 3]),
        "measurement frame": " ".join(map(vector, FRAME.T)),
        "modality=": "DWMRI", "DWMRI_b-value=": "1000", "Scanner=": "a large one",
        **{f"DWMRI_gradient_{v:04d}=": " ".join(map(repr, map(float, g)))
           for v, g in enumerate(gradients)},
        **{name.replace("_", " "): value for name, value in fields.items()},
    }  # fmt: skip


def written(
    small: Small, fields: dict[str, str], name: str = "dwi.nrrd", voxels: bytes | None = None
) -> Path:
    rows = (f"{k[:-1]}:={v}" if k.endswith("=") else f"{k}: {v}" for k, v in fields.items())
    text = "\n".join(("NRRD0005", "# by hand", *rows)) + "\n\n"
    content = small.data.astype("<f4").tobytes("F") if voxels is None else voxels
    small.path(name).write_bytes(text.encode() + content)
    return small.path(name)


def assert_is_small(scan: Any, small: Small) -> None:
    np.testing.assert_array_equal(scan.data, small.data)
    np.testing.assert_allclose(scan.affine, small.affine, atol=1e-12)
    np.testing.assert_allclose(scan.gradients.raw_bvals, BVALS, atol=1e-9)
    expected = np.where(BVALS[:, None] > 0, in_image_axes(small.bvecs, small.affine), 0)
    np.testing.assert_allclose(scan.gradients.bvecs, expected, atol=1e-12)


def test_a_series_is_read_with_its_table(small: Small) -> None:
    scan = load(written(small, header(small)))
    assert_is_small(scan, small)
    assert scan.voxel_size == (2, 2, 2.5)


def test_the_list_axis_may_come_first(small: Small) -> None:
    fields = header(small, sizes="8 5 4 3", kinds="list space space space")
    *space, none = fields["space directions"].split()
    fields["space directions"] = " ".join([none, *space])
    voxels = np.moveaxis(small.data, 3, 0).astype("<f4").tobytes("F")
    scan = load(written(small, fields, voxels=voxels))
    assert_is_small(scan, small)
    save_volume(scan.data, small.path("again.nrrd"), like=scan)
    data, again = nrrd.read(str(small.path("again.nrrd")))
    np.testing.assert_array_equal(data, np.moveaxis(small.data, 3, 0))
    assert again["kinds"] == ["list", "space", "space", "space"]
    assert_is_small(load(small.path("again.nrrd")), small)


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (1, 1, 1)), ("LPS", (-1, -1, 1)), ("LAS", (-1, 1, 1))],
)
def test_each_space(small: Small, space: str, signs: tuple[int, ...]) -> None:
    turn = np.diag(np.array(signs, float))
    placed = turn @ small.affine[:3]
    fields = header(
        small, space=space, space_origin=vector(placed[:, 3]),
        space_directions=" ".join([*map(vector, placed[:, :3].T), "none"]),
    )  # fmt: skip
    gradients = (small.bvecs @ turn @ FRAME) * np.sqrt(BVALS / 1000)[:, None]
    for v, g in enumerate(gradients):
        fields[f"DWMRI_gradient_{v:04d}="] = " ".join(map(repr, map(float, g)))
    assert_is_small(load(written(small, fields)), small)


def with_time(small: Small, space: str) -> dict[str, str]:
    """Four axes of space, the volumes along the fourth, which starts at 7 s in steps of 3 s."""
    placed = np.zeros((4, 5))
    placed[:3, :3], placed[:3, 4] = (LPS @ small.affine[:3])[:, :3], LPS @ small.affine[:3, 3]
    placed[3, 3], placed[3, 4] = 3, 7
    return header(
        small, space=space, kinds="domain domain domain domain",
        space_directions=" ".join(map(vector, placed[:, :4].T)), space_origin=vector(placed[:, 4]),
        measurement_frame=" ".join(map(vector, FRAME.T)),
    )  # fmt: skip


@pytest.mark.parametrize("space", ["left-posterior-superior-time", "LPST"])
def test_time_may_be_an_axis_of_the_space(small: Small, space: str) -> None:
    assert_is_small(load(written(small, with_time(small, space))), small)


def test_four_axes_without_a_name_are_itks(small: Small) -> None:
    fields = {"space dimension" if k == "space" else k: v for k, v in with_time(small, "4").items()}
    says = "as ITK has 4-D images", "'space: left-posterior-superior-time'"
    with refused(Code.IMAGE_AFFINE, "dwi.nrrd: ", *says):
        load(written(small, fields))


def test_b_goes_by_the_length_relative_to_the_longest(small: Small) -> None:
    fields = header(small)
    for key in [k for k in fields if k.startswith("DWMRI_gradient")]:
        fields[key] = " ".join(str(1.5 * float(n)) for n in fields[key].split())
    with pytest.warns(DwiserWarning, match=r"longest gradient .* length 1\.5: .*1000"):
        assert_is_small(load(written(small, fields)), small)


def test_without_a_frame_gradients_are_in_the_space(small: Small) -> None:
    fields = header(small)
    del fields["measurement frame"]
    for v, g in enumerate((small.bvecs @ LPS) * np.sqrt(BVALS / 1000)[:, None]):
        fields[f"DWMRI_gradient_{v:04d}="] = " ".join(map(repr, map(float, g)))
    with pytest.warns(DwiserWarning, match="no measurement frame"):
        assert_is_small(load(written(small, fields)), small)


def test_one_gradient_may_stand_for_several_volumes(small: Small) -> None:
    fields = {k: v for k, v in header(small).items() if not k.startswith("DWMRI_gradient")}
    fields |= {"DWMRI_gradient_0000=": "0 0 0", "DWMRI_NEX_0000=": "2"}
    fields |= {f"DWMRI_gradient_{v:04d}=": "0 0 1" for v in range(2, 8)}
    scan = load(written(small, fields))
    np.testing.assert_array_equal(scan.gradients.bvals, [0, 0, *[1000] * 6])


TYPES = {
    "short": ">i2", "unsigned short": ">u2", "uint8": "u1", "double": ">f8", "int64_t": ">i8"
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("type_", TYPES)
def test_types_encodings_and_skips(small: Small, encoding: str, type_: str) -> None:
    kind = TYPES[type_]
    stored = (np.arange(480).reshape(5, 4, 3, 8) % 120).astype(kind)
    fields = header(small, type=type_, endian="big", encoding=encoding, data_file="dwi.raw.gz")
    fields |= {"byte skip": "7"}
    content = b"skipped" + stored.tobytes("F")
    packed = gzip.compress(content) if encoding == "gzip" else content
    small.path("dwi.raw.gz").write_bytes(packed)
    path = written(small, fields, "dwi.nhdr", b"")
    np.testing.assert_array_equal(load(path).data, stored.astype(np.float32))
    fields |= {"byte skip": "-1" if encoding == "raw" else "0"}
    small.path("dwi.raw.gz").write_bytes(
        b"any header\n" + stored.tobytes("F") if encoding == "raw"
        else gzip.compress(stored.tobytes("F"))
    )  # fmt: skip
    path = written(small, fields, "dwi.nhdr", b"")
    np.testing.assert_array_equal(load(path).data, stored.astype(np.float32))
    assert find_inputs(path).data == small.path("dwi.raw.gz")


@pytest.mark.parametrize("name", ["o.nrrd", "o.nhdr"])
def test_what_is_written_pynrrd_reads(small: Small, name: str) -> None:
    scan = load(small.series())
    save(scan.data, small.path(name), scan, record={})
    data, fields = nrrd.read(str(small.path(name)))
    np.testing.assert_array_equal(data, small.data)
    assert fields["modality"] == "DWMRI"
    assert not small.path("o.bval").exists()
    assert small.path("o.raw.gz").exists() == (name == "o.nhdr")
    back = load(small.path(name))
    np.testing.assert_array_equal(back.data, scan.data)
    np.testing.assert_allclose(back.affine, scan.affine, atol=1e-12)
    np.testing.assert_allclose(back.gradients.bvecs, scan.gradients.bvecs, atol=1e-12)
    np.testing.assert_allclose(back.gradients.bvals, scan.gradients.bvals, atol=1e-9)
    inside = scan.data[..., 0] > 20
    save_volume(inside, small.path("m.nrrd"), like=back)
    np.testing.assert_array_equal(read_on_grid(small.path("m.nrrd"), back, "mask"), inside)
    assert nrrd.read_header(str(small.path("m.nrrd")))["type"] == "uint8"


def test_further_keys_are_carried_over(small: Small) -> None:
    scan = load(written(small, header(small)))
    save_volume(scan.data, small.path("o.nrrd"), like=scan)
    assert nrrd.read_header(str(small.path("o.nrrd")))["Scanner"] == "a large one"


BROKEN, FORMAT = Code.IMAGE_DAMAGED, Code.IMAGE_FORMAT
DAMAGE: dict[str, tuple[dict[str, str | None], Code, str]] = {
    "no type": ({"type": None}, FORMAT, "type '' is unknown"),
    "unknown type": ({"type": "block"}, FORMAT, "type 'block' is unknown"),
    "no endian": ({"endian": None}, BROKEN, "little or big endian"),
    "encoding": ({"encoding": "bzip2"}, FORMAT, "encoded as 'bzip2'"),
    "sizes of words": ({"sizes": "5 4 3 x"}, BROKEN, "its header is damaged"),
    "no voxels": ({"sizes": "5 4 0 8"}, Code.IMAGE_DIMENSIONS, "no voxels"),
    "too many voxels": ({"sizes": "5 4 9 8"}, BROKEN, "truncated"),
    "too few voxels": ({"sizes": "5 4 2 8"}, BROKEN, "more voxels than its header"),
    "no directions": ({"space directions": None}, Code.IMAGE_AFFINE, "where the voxels are"),
    "an origin in a plane": ({"space origin": "(1,2)"}, Code.IMAGE_AFFINE, "space origin"),
    "no space": ({"space": None, "space dimension": "3"}, Code.IMAGE_AFFINE, "space is 'none'"),
    "odd space": ({"space": "scanner-xyz"}, Code.IMAGE_AFFINE, "'scanner-xyz'"),
    "four axes in space": (
        {"space directions": "(1,0,0) (0,1,0) (0,0,1) (1,1,1)"}, Code.IMAGE_DIMENSIONS, "4 axes"
    ),
    "a gradient less": (
        {"DWMRI_gradient_0007=": None}, Code.GRADIENTS_LENGTH, "7 DWMRI_gradient_NNNN rows for the"
    ),
    "a gradient missing": (
        {"DWMRI_gradient_0003=": None}, Code.GRADIENTS_FORMAT, "not numbered one after the other"
    ),
    "a gradient of words": (
        {"DWMRI_gradient_0003=": "1 0 up"}, Code.GRADIENTS_FORMAT, "holds '1 0 up'"
    ),
    "b of words": ({"DWMRI_b-value=": "high"}, Code.GRADIENTS_FORMAT, "holds 'high'"),
    "B-matrices": (
        {"DWMRI_B-matrix_0001=": "1 0 0 1 0 1"}, Code.GRADIENTS_FORMAT, "B-matrices",
    ),
    "several files": ({"data file": "dwi%03d.raw 0 7 1"}, FORMAT, "several data files"),
    "no data file": ({"data file": "gone.raw"}, Code.FILE_MISSING, "gone.raw is not where"),
    "no table": ({"DWMRI_b-value=": None}, Code.GRADIENTS_MISSING, "no b-values beside it"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_has_one_sentence(small: Small, kind: str) -> None:
    changes, code, says = DAMAGE[kind]
    fields: dict[str, Any] = header(small) | changes
    path = written(small, {k: v for k, v in fields.items() if v is not None})
    with refused(code, "dwi.nrrd: ", says):
        load(path)


def test_what_is_cut_off_has_one_sentence(small: Small) -> None:
    voxels = gzip.compress(small.data.astype("<f4").tobytes("F"))
    path = written(small, header(small, encoding="gzip"), voxels=voxels)
    whole = path.read_bytes()
    assert load(path).shape == small.shape
    for content in (b"", whole[:3], whole[:-20], b"\0" * 500):
        path.write_bytes(content)
        with refused(Code.IMAGE_DAMAGED, "dwi.nrrd: ", "again"):
            load(path)
    path.write_bytes(whole[:150])
    with refused(Code.IMAGE_AFFINE, "dwi.nrrd: ", "does not say where the voxels are"):
        load(path)
