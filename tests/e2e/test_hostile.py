"""What a hostile or hurried user gives the command: a sound result, or one sentence and code 2."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.cli import main
from dwiser.errors import Code
from dwiser.io import load, save_volume, write_bvals, write_bvecs
from dwiser.simulation import phantom
from tests.refusals import command_refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
SHAPE = (10, 11, 5)
ONES = np.ones(SHAPE, np.float32)


@pytest.fixture
def working_folder(tmp_path: Path, tiny, monkeypatch) -> Path:
    """A folder to be in, with a name as people have them, and a tiny phantom in it."""
    home = tmp_path / "Çağrı's scans 脳"
    home.mkdir()
    put(home, tiny.scan.data, tiny.scan.affine)
    write_bvals(tiny.scan.gradients, home / "dwi.bval")
    write_bvecs(tiny.scan.gradients, home / "dwi.bvec")
    monkeypatch.chdir(home)
    return home


def put(home: Path, data: np.ndarray, affine: np.ndarray, name: str = "dwi.nii.gz") -> None:
    nib.save(nib.Nifti1Image(data, affine), home / name)


def voxels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def do(home: Path) -> None:
        image = nib.load(home / "dwi.nii.gz")
        put(home, change(np.asarray(image.dataobj)), image.affine)

    return do


def header(change: Callable[[nib.Nifti1Image], None]) -> Callable[[Path], None]:
    def do(home: Path) -> None:
        image = nib.load(home / "dwi.nii.gz")
        image = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
        change(image)
        nib.save(image, home / "dwi.nii.gz")

    return do


def geometry(*rows: tuple[float, ...]) -> Callable[[Path], None]:
    affine = np.array([*rows, (0, 0, 0, 1)], float)

    def do(home: Path) -> None:
        put(home, np.asarray(nib.load(home / "dwi.nii.gz").dataobj), affine)

    return do


def table(name: str, text: str) -> Callable[[Path], None]:
    return lambda home: (home / f"dwi.{name}").write_text(text) and None


def stored(kind: type, most: float) -> Callable[[Path], None]:
    """As integers without a slope, up to ``most``."""
    return voxels(lambda d: np.round(d.astype(float) / d.max() * most).astype(kind))


def nan_zooms(image: nib.Nifti1Image) -> None:
    image.header["pixdim"][1:4] = np.nan


def no_slope(image: nib.Nifti1Image) -> None:
    image.header["scl_slope"], image.header["scl_inter"] = 0, 0


def big_endian(home: Path) -> None:
    image = nib.load(home / "dwi.nii.gz")
    swapped = nib.Nifti1Image(np.asarray(image.dataobj), image.affine,
                              image.header.as_byteswapped(">"))  # fmt: skip
    nib.save(swapped, home / "dwi.nii.gz")


def no_b0(home: Path) -> None:
    (home / "dwi.bval").write_text("1000 " * 7)
    (home / "dwi.bvec").write_text("0 1 0 0 0.6 0.8 0\n1 0 0 0.6 0.8 0 0\n0 0 1 0.8 0 0.6 1\n")


def duplicated(data: np.ndarray) -> np.ndarray:
    data = data.copy()
    data[..., 3] = data[..., 4]
    return data


def constant(data: np.ndarray) -> np.ndarray:
    return np.full_like(data, 100)


def pure_noise(data: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).rayleigh(20, data.shape).astype(np.float32)


SOUND: dict[str, Callable[[Path], None]] = {
    "as it is": lambda home: None,
    "int8": stored(np.int8, 127),
    "uint8": stored(np.uint8, 255),
    "int16 to its edge": stored(np.int16, 32767),
    "uint32 to its edge": stored(np.uint32, 2.0**32 - 1),
    "float64": voxels(lambda d: d.astype(np.float64)),
    "1e12": voxels(lambda d: d * np.float32(1e12)),
    "1e-12": voxels(lambda d: d * np.float32(1e-12)),
    "a few negative": voxels(lambda d: np.where(d == d.min(), -d, d)),
    "pure noise": voxels(pure_noise),
    "no slope": header(no_slope),
    "NaN pixdim": header(nan_zooms),
    "big-endian": big_endian,
    "left-handed": geometry((-2, 0, 0, 9), (0, 2, 0, 0), (0, 0, 2, 0)),
    "sheared": geometry((2, 0.7, 0, 9), (0, 2, 0.3, 0), (0.1, 0, 2, 0)),
    "voxels of a kilometre": geometry((1e6, 0, 0, 0), (0, 1e6, 0, 0), (0, 0, 1e6, 0)),
    "voxels of a nanometre": geometry((1e-6, 0, 0, 0), (0, 1e-6, 0, 0), (0, 0, 1e-6, 0)),
    "no b0": no_b0,
    "all b0s": table("bval", "0 " * 7),
    "a mask of four voxels": lambda home: put(home, _four(0), _affine(), "mask.nii.gz"),
    "a mask of NaN and 1": lambda home: put(home, _four(np.nan), _affine(), "mask.nii.gz"),
}  # fmt: skip


def _four(elsewhere: float) -> np.ndarray:
    """A mask of the fewest voxels in which σ is looked for."""
    four = np.full(SHAPE, elsewhere, np.float32)
    four[5:7, 5:7, 2] = 1
    return four


def _affine() -> np.ndarray:
    return nib.load("dwi.nii.gz").affine


@pytest.mark.parametrize("case", SOUND)
def test_a_sound_result(case: str, working_folder: Path, capsys) -> None:
    SOUND[case](working_folder)
    masked = ["--mask", "mask.nii.gz"] if (working_folder / "mask.nii.gz").exists() else []
    code = main(["denoise", "dwi.nii.gz", "out.nii.gz", "--threads", "1", "-q", *masked])
    assert code == 0, capsys.readouterr().err
    scan, result = load("dwi.nii.gz"), load("out.nii.gz")
    assert result.shape == scan.shape
    assert (result.data >= 0).all()
    np.testing.assert_array_equal(result.affine, scan.affine)
    np.testing.assert_array_equal(result.gradients.bvals, scan.gradients.bvals)
    assert result.data.max() < 3 * scan.data.max()


def fifo(home: Path) -> None:
    (home / "dwi.nii.gz").unlink()
    os.mkfifo(home / "dwi.nii.gz")


def folder(name: str) -> Callable[[Path], None]:
    def do(home: Path) -> None:
        (home / name).unlink(missing_ok=True)
        (home / name).mkdir()

    return do


def link(name: str, to: str) -> Callable[[Path], None]:
    return lambda home: (home / name).symlink_to(to)


def cut(home: Path) -> None:
    dwi = home / "dwi.nii.gz"
    dwi.write_bytes(dwi.read_bytes()[:-9])


def rotten(home: Path) -> None:
    """A bit of what gzip stores uncompressed: only its checksum can tell."""
    image = nib.load(home / "dwi.nii.gz")
    content = bytearray(gzip.compress(image.to_bytes(), 0))
    content[-5000] ^= 4
    (home / "dwi.nii.gz").write_bytes(content)


def nothing(home: Path) -> None:
    pass


MASK = ("--mask", "mask.nii.gz")
REFUSED: dict[str, tuple[Callable[[Path], None], tuple[str, ...], Code, str]] = {
    "a pipe": (fifo, (), Code.FILE_KIND, "dwi.nii.gz: this is no regular file"),
    "a device": (
        nothing,
        ("--bval", "/dev/zero"),
        Code.FILE_KIND,
        "/dev/zero: this is no regular file",
    ),
    "a folder for the image": (folder("dwi.nii.gz"), (), Code.FILE_KIND, "this is a folder"),
    "a folder for the b-values": (folder("dwi.bval"), (), Code.GRADIENTS_MISSING, "dwi.bval"),
    "a folder for the mask": (folder("mask.nii.gz"), MASK, Code.FILE_KIND, "this is a folder"),
    "a folder for the result": (
        folder("out.nii.gz"),
        ("--force",),
        Code.FILE_KIND,
        "this is a folder",
    ),
    "a folder for the sidecar": (
        folder("out.json"),
        ("--force",),
        Code.FILE_KIND,
        "this is a folder",
    ),
    "a link to the input": (
        link("out.nii.gz", "dwi.nii.gz"),
        ("--force",),
        Code.OUTPUT_IS_INPUT,
        "also an input",
    ),
    "a link to nothing": (link("out.nii.gz", "nowhere"), (), Code.OUTPUT_EXISTS, "exists already"),
    "the last bytes are missing": (cut, (), Code.IMAGE_DAMAGED, "truncated or damaged"),
    "a bit has flipped": (rotten, (), Code.IMAGE_DAMAGED, "truncated or damaged"),
    "duplicated volumes": (
        voxels(duplicated),
        (),
        Code.GRADIENTS_TOO_FEW,
        "needs at least 6 diffusion-weighted volumes, the scan has 5",
    ),
    "constant": (voxels(constant), (), Code.IMAGE_VALUES, "none is a measurement"),
    "b-values of 1e9": (
        table("bval", "0 " + "1e9 " * 6),
        (),
        Code.GRADIENTS_VALUES,
        "in s/m²",
    ),
    "a b-value is missing": (
        table("bval", "0 " * 6),
        (),
        Code.GRADIENTS_LENGTH,
        "6 b-values for the 7 volumes",
    ),
    "a b-value is negative": (table("bval", "-5 " * 7), (), Code.GRADIENTS_VALUES, "negative"),
    "b-values are words": (table("bval", "zero " * 7), (), Code.GRADIENTS_FORMAT, "'zero'"),
    "no b-values": (table("bval", "\n \n"), (), Code.GRADIENTS_FORMAT, "empty"),
    "b-vectors of NaN": (
        table("bvec", ("nan " * 7 + "\n") * 3),
        (),
        Code.GRADIENTS_VALUES,
        "hold NaN",
    ),
    "mostly negative": (voxels(lambda d: d - d.max()), (), Code.IMAGE_VALUES, "zero"),
    "half negative": (voxels(lambda d: d - np.median(d)), (), Code.IMAGE_VALUES, "negative"),
    "beyond float32": (
        voxels(lambda d: d.astype(float) * 1e38),
        (),
        Code.IMAGE_NOT_FINITE,
        "infinite",
    ),
    "a mask of zeros": (
        lambda home: put(home, 0 * ONES, _affine(), "mask.nii.gz"),
        MASK,
        Code.MASK_EMPTY,
        "empty",
    ),
    "a mask of NaN": (
        lambda home: put(home, np.nan * ONES, _affine(), "mask.nii.gz"),
        MASK,
        Code.MASK_EMPTY,
        "empty",
    ),
    "the series as mask": (
        nothing,
        ("--mask", "dwi.nii.gz"),
        Code.IMAGE_DIMENSIONS,
        "4 dimensions",
    ),
    "the threshold is NaN": (
        nothing,
        ("--b0-threshold", "nan"),
        Code.ARGUMENT_VALUE,
        "--b0-threshold",
    ),
    "the threshold is negative": (
        nothing,
        ("--b0-threshold", "-1"),
        Code.ARGUMENT_VALUE,
        "--b0-threshold",
    ),
    "no memory": (nothing, ("--memory", "0"), Code.ARGUMENT_VALUE, "write 8G or 500M"),
    "a checkpoint never": (
        nothing,
        ("--method", "difusion", "--checkpoint-every", "nan"),
        Code.ARGUMENT_VALUE,
        "--checkpoint-every",
    ),
    "too many splits": (nothing, ("--set", "folds=0"), Code.SETTING_VALUE, "folds"),
    "a method for the mask": (nothing, ("--mask", "splitq"), Code.FILE_MISSING, "splitq"),
    "σ of zeros": (
        lambda home: put(home, 0 * ONES, _affine(), "s.nii.gz"),
        ("--noise-map", "s.nii.gz"),
        Code.NOISE_VALUES,
        "no positive",
    ),
    "a name without a stem": (nothing, ("--save-noise", ".nii.gz"), Code.FILE_ENDING, ".nii.gz"),
    "a name that is too long": (
        nothing,
        ("--save-noise", "n" * 300 + ".nii.gz"),
        Code.OUTPUT_FOLDER,
        "nnn",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_sentence_and_nothing_written(case: str, working_folder: Path, capsys) -> None:
    prepare, words, code, said = REFUSED[case]
    prepare(working_folder)
    before = sorted(p.name for p in working_folder.iterdir())
    command = ("denoise", "dwi.nii.gz", "out.nii.gz", "--threads", "1", "-q", *words)
    assert said in command_refused(capsys, code, *command)
    assert sorted(p.name for p in working_folder.iterdir()) == before


def test_nifti_2_and_an_uncompressed_file(working_folder: Path) -> None:
    image = nib.load("dwi.nii.gz")
    nib.save(nib.Nifti2Image(np.asarray(image.dataobj), image.affine), "two.nii")
    words = ["--bval", "dwi.bval", "--bvec", "dwi.bvec", "--threads", "1", "-q"]
    assert main(["denoise", "two.nii", "out.nii", *words]) == 0
    assert isinstance(nib.load("out.nii"), nib.Nifti2Image)


@pytest.mark.slow
def test_512_volumes_by_the_default(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    simulated = phantom((20, 22, 8), shells=((1000.0, 6),), n_b0=1, snr=20.0, seed=4)
    again = np.arange(512) % 7
    rng = np.random.default_rng(0)
    truth = simulated.truth[..., again]
    data = np.abs(truth + 10 * rng.normal(size=truth.shape)).astype(np.float32)
    save_volume(data, "dwi.nii.gz", like=simulated.scan)
    bvecs = rng.normal(size=(3, 512))
    np.savetxt("dwi.bval", simulated.scan.gradients.bvals[again][None])
    np.savetxt("dwi.bvec", bvecs / np.linalg.norm(bvecs, axis=0))
    assert main(["denoise", "dwi.nii.gz", "out.nii.gz", "--threads", "1", "-q"]) == 0
    error = load("out.nii.gz").data - truth
    assert np.sqrt(np.mean(error[simulated.mask] ** 2)) < 4  # of noise whose sd is 10
