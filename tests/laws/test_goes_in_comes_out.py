"""Whatever a series looks like on disk, it comes back: voxels, geometry, table, names."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dwiser.errors import DwiserWarning
from dwiser.io import load, read_bvals, read_bvecs
from dwiser.run import Request, denoise_file

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
NAMES = ("dwi", "Müller 1", "扫描", "sub-01_ses-2.3_dwi", "-q", "a%20b&c<d>", "🧠")


@dataclass(frozen=True)
class Kind:
    """How a series is stored."""

    shape: tuple[int, int, int, int]
    stored: str
    order: str
    nifti2: bool
    gzipped: bool
    slope: float
    inter: float
    codes: tuple[int, int]
    name: str
    b0s: frozenset[int]
    rows: bool
    mask: float | None
    seed: int


KINDS = st.builds(
    Kind,
    shape=st.tuples(*(st.integers(1, 7),) * 3, st.integers(2, 12)),
    stored=st.sampled_from(DTYPES),
    order=st.sampled_from("<>"),
    nifti2=st.booleans(),
    gzipped=st.booleans(),
    slope=st.sampled_from((1.0, 0.25, 3.7, 1e-3)),
    inter=st.sampled_from((0.0, 0.0, 12.0)),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    name=st.sampled_from(NAMES),
    b0s=st.frozensets(st.integers(0, 11), max_size=12),
    rows=st.booleans(),
    mask=st.sampled_from((None, None, 0.2, 0.9)),
    seed=st.integers(0, 2**20),
)


def write(kind: Kind, folder: Path) -> tuple[Path, Path | None, np.ndarray]:
    """The series, its mask if it has one, and the numbers it stands for."""
    rng, cls = np.random.default_rng(kind.seed), nib.Nifti2Image if kind.nifti2 else nib.Nifti1Image
    stored = rng.integers(1, 100, kind.shape).astype(np.dtype(kind.stored).newbyteorder(kind.order))
    header = cls.header_class(endianness=kind.order)
    header.set_data_dtype(stored.dtype)
    image = cls(stored, None, header)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(0.5, 3, 3)
    affine = np.vstack([np.column_stack([turn, rng.uniform(-90, 90, 3)]), [0, 0, 0, 1]])
    image.set_qform(affine, kind.codes[0])
    image.set_sform(affine, kind.codes[1])
    image.header.set_slope_inter(kind.slope, kind.inter)
    image.header["pixdim"][4] = (3.2, np.nan)[kind.seed % 2]
    path = folder / f"{kind.name}.nii{'.gz' if kind.gzipped else ''}"
    image.to_filename(path)
    volumes = kind.shape[3]
    bvals = np.array([0.0 if v in kind.b0s else 1000.0 + v for v in range(volumes)])
    bvecs = rng.normal(size=(volumes, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    bvecs[bvals == 0] = np.nan
    np.savetxt(folder / f"{kind.name}.bval", bvals[None] if kind.rows else bvals[:, None])
    np.savetxt(folder / f"{kind.name}.bvec", bvecs.T if kind.rows or volumes == 3 else bvecs)
    mask = None
    if kind.mask is not None:
        inside = rng.random(kind.shape[:3]) < kind.mask
        inside.flat[0] = True
        mask = folder / "mask.nii"
        nib.Nifti1Image(inside.astype("u1"), nib.load(path).affine).to_filename(mask)
    return path, mask, stored.astype(float) * kind.slope + kind.inter


@settings(max_examples=40, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
@given(kind=KINDS)
def test_identity(kind: Kind) -> None:
    with TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        folder = Path(place)
        path, mask, meant = write(kind, folder)
        before = {p.name: p.read_bytes() for p in folder.iterdir()}
        out = folder / f"{kind.name}_out.nii.gz"
        denoise_file(Request(path, out, mask=mask, method="identity", threads=1))
        was, now = nib.load(path), nib.load(out)
        np.testing.assert_allclose(now.get_fdata(), meant, rtol=1e-6)
        np.testing.assert_array_equal(now.affine, was.affine)
        for field in ("qform_code", "sform_code", "pixdim", "dim", "quatern_b", "srow_x"):
            np.testing.assert_array_equal(now.header[field], was.header[field], err_msg=field)
        assert type(now) is type(was)
        assert now.get_data_dtype().newbyteorder("=") == np.float32  # in the input's byte order
        scan = load(out)
        np.testing.assert_array_equal(
            scan.gradients.is_b0, [v in kind.b0s for v in range(len(scan.gradients))]
        )
        for read, end in ((read_bvals, "bval"), (read_bvecs, "bvec")):
            np.testing.assert_array_equal(
                read(folder / f"{kind.name}_out.{end}"), read(folder / f"{kind.name}.{end}")
            )
        record = json.loads((folder / f"{kind.name}_out.json").read_text(encoding="utf-8"))
        assert sum(row["volumes"] for row in record["Shells"]) == kind.shape[3]
        assert Path(record["Sources"][0]).name == path.name
        assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name in before} == before
