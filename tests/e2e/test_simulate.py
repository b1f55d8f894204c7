"""``dwiser simulate``: everything it writes is true, and it comes whole or not at all."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.cli import main
from dwiser.errors import Code
from dwiser.io import load
from dwiser.io import truth as module
from dwiser.simulation import phantom
from tests.refusals import command_refused

SMALL = ("--shape", "24,26,10", "--shells", "700:6,1500:12", "--b0", "2", "-q")
TINY = ("--shape", "10,11,5", "--shells", "1000:6", "--b0", "1")
ALWAYS = {f"{m}.nii.gz" for m in ("dwi", "truth", "mask", "sigma", "fa", "md", "v1", "peaks")}
ALWAYS |= {"f_wm.nii.gz", "f_gm.nii.gz", "f_csf.nii.gz", "dwi.bval", "dwi.bvec", "dwi.json"}
LESIONS = {"lesions.nii.gz", "lesions.json", "f_lesion.nii.gz"}


def simulate(*words: object) -> int:
    return main(["simulate", *map(str, words)])


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sim") / "set"
    words = ("--noise", "gaussian", "--sigma-map", "gfactor", "--lesions", "--seed", 3)
    assert simulate(home, *SMALL, *words) == 0
    return home


def test_the_set_is_whole_and_of_one_geometry(simulated: Path) -> None:
    assert names(simulated) == ALWAYS | LESIONS
    shapes = {"dwi": (20,), "truth": (20,), "v1": (3,), "peaks": (9,)}
    first = nib.load(simulated / "dwi.nii.gz")
    for path in simulated.glob("*.nii.gz"):
        image = nib.load(path)
        assert image.shape == (24, 26, 10, *shapes.get(path.name.split(".")[0], ()))
        np.testing.assert_array_equal(image.affine, first.affine)
    scan = load(simulated / "dwi.nii.gz", mask=simulated / "mask.nii.gz")
    np.testing.assert_array_equal(np.unique(scan.gradients.bvals), [0, 700, 1500])
    np.testing.assert_allclose(scan.voxel_size, 2.5, rtol=1e-6)


def test_what_it_says_is_true_is_true(simulated: Path) -> None:
    scan = load(simulated / "dwi.nii.gz", mask=simulated / "mask.nii.gz")
    truth, sigma, mask = (
        voxels(simulated / "truth.nii.gz"),
        voxels(simulated / "sigma.nii.gz"),
        scan.mask,
    )
    bright = mask[..., None] & (truth > 6 * sigma[..., None])  # nothing there was cut at 0
    z = ((scan.data - truth) / sigma[..., None])[bright]
    assert z.mean() == pytest.approx(0, abs=5 / len(z) ** 0.5)
    assert z.std() == pytest.approx(1, abs=5 / (2 * len(z)) ** 0.5)
    white = voxels(simulated / "f_wm.nii.gz")
    fractions = sum(voxels(p) for p in simulated.glob("f_*.nii.gz"))
    np.testing.assert_allclose(fractions, mask, atol=1e-5)
    settings = json.loads((simulated / "dwi.json").read_text())["Simulation"]
    assert settings["seed"] == 3
    assert settings["mean_sigma"] == pytest.approx(sigma[mask].mean(), rel=1e-4)
    assert settings["mean_b0_white_matter"] / settings["mean_sigma"] == pytest.approx(20)
    labels = voxels(simulated / "lesions.nii.gz")
    listed = json.loads((simulated / "lesions.json").read_text())["Lesions"]
    assert listed == settings["lesions"]
    assert set(np.unique(labels)) <= {0, *(lesion["label"] for lesion in listed)}
    assert labels.max() > 0
    assert (white[labels > 0] < 0.5).all()  # a lesion takes the place of the tissue


def test_from_python_and_from_the_command_line_it_is_the_same(simulated: Path) -> None:
    same = phantom(
        (24, 26, 10), shells=((700, 6), (1500, 12)), n_b0=2, noise="gaussian",
        sigma_map="gfactor", lesions=True, seed=3,
    )  # fmt: skip
    np.testing.assert_array_equal(voxels(simulated / "dwi.nii.gz"), same.scan.data)
    np.testing.assert_array_equal(voxels(simulated / "fa.nii.gz"), same.fa)


def test_a_seed_gives_one_scan_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert simulate(tmp_path / name, *TINY, "-q", "--seed", seed) == 0
    for path in (tmp_path / "a").glob("*.nii.gz"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    a, c = (voxels(tmp_path / name / "dwi.nii.gz") for name in "ac")
    assert (a != c).any()


def test_without_noise_the_scan_is_the_truth(tmp_path: Path, capsys) -> None:
    assert simulate(tmp_path / "a", *TINY, "--noise", "none") == 0
    np.testing.assert_array_equal(
        voxels(tmp_path / "a" / "dwi.nii.gz"), voxels(tmp_path / "a" / "truth.nii.gz")
    )
    assert not voxels(tmp_path / "a" / "sigma.nii.gz").any()
    assert names(tmp_path / "a") == ALWAYS
    assert "10 × 11 × 5 × 7, 2.5 × 2.5 × 2.5 mm, no noise" in capsys.readouterr().out


def test_with_its_phase_it_is_the_same_from_python_and_on_disk(tmp_path: Path, capsys) -> None:
    assert simulate(tmp_path / "a", *TINY, "-q", "--phase", "--seed", 3) == 0
    assert names(tmp_path / "a") == ALWAYS | {"phase.nii.gz"}
    same = phantom((10, 11, 5), shells=((1000, 6),), n_b0=1, phase=True, seed=3)
    np.testing.assert_array_equal(voxels(tmp_path / "a" / "dwi.nii.gz"), same.scan.data)
    np.testing.assert_array_equal(voxels(tmp_path / "a" / "phase.nii.gz"), same.scan.phase)
    assert simulate(tmp_path / "a", *TINY, "-q", "--force") == 0
    assert names(tmp_path / "a") == ALWAYS
    words = ("simulate", str(tmp_path / "b"), "--phase", "--noise", "nc-chi", "--coils", "2")
    assert "--noise rician" in command_refused(capsys, Code.ARGUMENT_CONFLICT, *words)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--noise", "nc-chi", "--coils", "4"),
        ("--noise", "kspace", "--coils", "3", "--partial-fourier", "0.75"),
        ("--noise", "rician", "--zero-fill", "1.5"),
    ],
)
def test_every_noise_has_the_sigma_that_it_says(words, tmp_path: Path) -> None:
    assert simulate(tmp_path / "a", *SMALL, *words, "--snr", 60) == 0
    truth, sigma, data, mask = (
        voxels(tmp_path / "a" / f"{m}.nii.gz") for m in ("truth", "sigma", "dwi", "mask")
    )
    bright = (mask[..., None] > 0) & (truth > 15 * sigma[..., None])  # Gaussian up there
    z = ((data - truth) / sigma[..., None])[bright]
    assert z.std() == pytest.approx(1, abs=0.05)


def test_a_real_scan_is_refitted_on_its_own_grid_and_scheme(
    simulated: Path, tmp_path: Path
) -> None:
    mask = nib.load(simulated / "mask.nii.gz")
    some = np.zeros(mask.shape, np.uint8)
    some[8:16, 8:16, 4:7] = 1
    nib.save(nib.Nifti1Image(some, mask.affine), tmp_path / "some.nii.gz")
    words = ("--from", simulated / "dwi.nii.gz", "--mask", tmp_path / "some.nii.gz", "-q")
    assert simulate(tmp_path / "re", *words) == 0
    before, after = nib.load(simulated / "dwi.nii.gz"), nib.load(tmp_path / "re" / "dwi.nii.gz")
    np.testing.assert_array_equal(before.affine, after.affine)
    assert before.shape == after.shape
    np.testing.assert_array_equal(
        np.loadtxt(simulated / "dwi.bvec"), np.loadtxt(tmp_path / "re" / "dwi.bvec")
    )
    truth, again = voxels(simulated / "truth.nii.gz"), voxels(tmp_path / "re" / "truth.nii.gz")
    inside = some > 0
    assert np.linalg.norm((again - truth)[inside]) < 0.15 * np.linalg.norm(truth[inside])
    assert not again[~inside].any()
    sidecar = json.loads((tmp_path / "re" / "dwi.json").read_text())
    assert str(simulated / "dwi.nii.gz") in sidecar["Sources"]
    assert simulate(tmp_path / "re2", *words, "--shells", "1000:7", "--b0", 1) == 0
    assert nib.load(tmp_path / "re2" / "dwi.nii.gz").shape == (24, 26, 10, 8)


REFUSED = {
    "shells text": (("--shells", "1000"), Code.ARGUMENT_VALUE, "such as 1000:64"),
    "a shell of b0s": (("--shells", "20:6"), Code.ARGUMENT_VALUE, "above 50"),
    "no directions": (("--shells", "1000:0"), Code.ARGUMENT_VALUE, "at least one direction"),
    "snr": (("--snr", "0"), Code.ARGUMENT_VALUE, "positive"),
    "shape text": (("--shape", "65"), Code.ARGUMENT_VALUE, "such as 65,78,66"),
    "shape": (("--shape", "2,2,2"), Code.ARGUMENT_VALUE, "too small"),
    "voxel": (("--voxel", "0"), Code.ARGUMENT_VALUE, "--voxel"),
    "noise": (("--noise", "ricean"), Code.ARGUMENT_VALUE, "did you mean 'rician'"),
    "sigma map": (("--sigma-map", "gfactors"), Code.ARGUMENT_VALUE, "did you mean 'gfactor'"),
    "coils": (("--coils", "4"), Code.ARGUMENT_CONFLICT, "nc-chi"),
    "partial fourier": (("--partial-fourier", "0.5"), Code.ARGUMENT_VALUE, "above 0.5"),
    "zero fill": (("--zero-fill", "nan"), Code.ARGUMENT_VALUE, "at least 1"),
    "b0": (("--b0", "-1"), Code.ARGUMENT_VALUE, "b0"),
    "seed": (("--seed", "-1"), Code.ARGUMENT_VALUE, "--seed"),
    "orphan mask": (("--mask", "m.nii.gz"), Code.ARGUMENT_MISSING, "--from"),
    "no such scan": (("--from", "none.nii.gz"), Code.FILE_MISSING, "none.nii.gz"),
    "grid of the scan": (
        ("--from", "none.nii.gz", "--shape", "4,4,4"),
        Code.ARGUMENT_CONFLICT,
        "--shape",
    ),
    "scheme of the scan": (
        ("--from", "none.nii.gz", "--b0", "2"),
        Code.ARGUMENT_MISSING,
        "--shells",
    ),
    "unknown option": (("--snrr", "2"), None, "--snrr"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_sentence_and_nothing_is_written(
    case, tmp_path: Path, monkeypatch, capsys
) -> None:
    words, code, said = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    assert said in command_refused(capsys, code, "simulate", "out", *words)
    assert names(tmp_path) == set()


def test_a_set_is_replaced_only_with_force_and_then_as_a_whole(tmp_path: Path, capsys) -> None:
    home = tmp_path / "a"
    assert simulate(home, *SMALL, "--lesions") == 0
    before = {p.name: p.read_bytes() for p in home.iterdir()}
    command = ("simulate", str(home), *map(str, TINY), "-q")
    assert "--force" in command_refused(capsys, Code.OUTPUT_EXISTS, *command)
    assert {p.name: p.read_bytes() for p in home.iterdir()} == before
    assert simulate(home, *TINY, "-q", "--force") == 0
    assert names(home) == ALWAYS
    (tmp_path / "file").write_text("mine")
    assert simulate(tmp_path / "file", *TINY, "--force") == 2


def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch, capsys) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_bvecs", full)
    assert simulate(tmp_path / "a", *TINY) == 1
    assert "No space left" in capsys.readouterr().err
    assert names(tmp_path) == set()
