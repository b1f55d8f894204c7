"""σ maps and phases through the command: in, out, and refused."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.cli import main
from dwiser.errors import Code
from tests.refusals import command_refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def denoised(folder: Path, out: str, *words: str) -> np.ndarray:
    command = ["denoise", str(folder / "dwi.nii.gz"), str(folder / out), *words]
    assert main([*command, "--threads", "1", "--device", "cpu", "-q"]) == 0
    return voxels(folder / out)


def refused(folder: Path, capsys, code: Code, *words: str) -> str:
    before = sorted(p.name for p in folder.iterdir())
    files = (str(folder / "dwi.nii.gz"), str(folder / "out.nii.gz"))
    sentence = command_refused(capsys, code, "denoise", *files, *words)
    assert sorted(p.name for p in folder.iterdir()) == before
    return sentence


def test_noise_only_writes_the_map_that_splitq_works_with_and_nothing_else(files: Path) -> None:
    before = {p.name for p in files.iterdir()}
    denoised(files, "only.nii.gz", "--noise-only")
    assert {p.name for p in files.iterdir()} == before | {"only.nii.gz"}
    denoised(files, "out.nii.gz", "--save-noise", str(files / "sigma.nii.gz"))
    np.testing.assert_array_equal(voxels(files / "only.nii.gz"), voxels(files / "sigma.nii.gz"))
    np.testing.assert_array_equal(nib.load(files / "only.nii.gz").affine,
                                  nib.load(files / "dwi.nii.gz").affine)  # fmt: skip


@pytest.mark.parametrize("method", ["splitq", "nlmeans", "subspace"])
def test_a_given_map_is_used_instead_of_the_estimate(files: Path, method: str) -> None:
    image = nib.load(files / "dwi.nii.gz")
    map_file = files / "given.nii.gz"
    words = ("--method", method, "--noise-map", str(map_file), "--force")

    def with_sigma(value: float) -> np.ndarray:
        sigma = np.full(image.shape[:3], value, np.float32)
        nib.save(nib.Nifti1Image(sigma, image.affine), map_file)
        return denoised(files, "out.nii.gz", *words, "--save-noise", str(files / "s.nii.gz"))

    small, large = with_sigma(5), with_sigma(80)
    np.testing.assert_array_equal(voxels(files / "s.nii.gz"), 80)
    raw = voxels(files / "dwi.nii.gz")
    assert (raw - small).std() < 0.95 * (raw - large).std()  # less noise, less is removed
    assert "given" in (files / "out.json").read_text()


def test_a_phase_beside_the_magnitude_or_in_a_complex_image_is_the_same(files: Path) -> None:
    image = nib.load(files / "dwi.nii.gz")
    raw = voxels(files / "dwi.nii.gz")
    x = np.linspace(-3.1, 3.1, raw.shape[0])[:, None, None, None] + np.zeros(raw.shape)
    steps = np.round(x / np.pi * 4096).astype(np.int16)
    nib.save(nib.Nifti1Image(steps, image.affine), files / "phase.nii.gz")
    apart = denoised(files, "apart.nii.gz", "--phase", str(files / "phase.nii.gz"))
    z = (raw * np.exp(1j * steps * np.pi / 4096)).astype(np.complex64)
    nib.save(nib.Nifti1Image(z, image.affine), files / "dwi.nii.gz")
    together = denoised(files, "together.nii.gz")
    # float32 rounds the two differently, and a choice of one voxel may lie between: 1 is 0.03 σ
    np.testing.assert_allclose(apart, together, rtol=1e-3, atol=1)
    assert "scanner steps of 2π/8192" in (files / "apart.json").read_text()
    assert apart.min() >= 0


def test_what_cannot_be_done_is_said_before_the_work(files: Path, capsys) -> None:
    image = nib.load(files / "dwi.nii.gz")
    phase = np.zeros(image.shape, np.float32)
    phase[..., 0] = 3
    nib.save(nib.Nifti1Image(phase, image.affine), files / "phase.nii.gz")
    options = ("--phase", str(files / "phase.nii.gz"))
    said = refused(files, capsys, Code.METHOD_PHASE, *options, "--method", "mppca")
    assert "mppca cannot use a phase" in said
    assert "give the magnitude alone" in said
    out = str(files / "u.nii.gz")
    words = ("--save-uncertainty", out, "--method", "nlmeans")
    assert "leave out --save-uncertainty" in refused(files, capsys, Code.METHOD_UNCERTAINTY, *words)
    words = ("--noise-only", "--save-residual", out)
    assert "drop --save-residual" in refused(files, capsys, Code.ARGUMENT_CONFLICT, *words)
    words = ("--noise-map", str(files / "dwi.nii.gz"))
    said = refused(files, capsys, Code.IMAGE_DIMENSIONS, *words)
    assert "dwi.nii.gz: " in said
    assert "output" not in said
    words = ("--noise-map", str(files / "dwi.bval"))
    assert "dwi.bval" in refused(files, capsys, Code.FILE_ENDING, *words)


def test_rank_variance_real_part_and_phase_are_written_where_they_are_asked_for(
    files: Path, capsys
) -> None:
    raw, phase = nib.load(files / "dwi.nii.gz"), files / "phase.nii.gz"
    x = np.linspace(-3.1, 3.1, raw.shape[0])[:, None, None, None] + np.zeros(raw.shape)
    nib.save(nib.Nifti1Image(x.astype(np.float32), raw.affine), phase)
    named = {n: str(files / f"{n}.nii.gz") for n in ("rank", "variance", "real", "phi", "mask")}
    options = ("rank", "variance", "real", "mask")
    words = [w for n in options for w in (f"--save-{n}", named[n])]
    words += ["--save-phase", named["phi"]]
    out = denoised(files, "denoised.nii.gz", *words, "--phase", str(phase), "--preset", "smoke")
    mask = voxels(files / "mask.nii.gz") > 0
    rank, share, real, phi = (voxels(Path(named[n])) for n in ("rank", "variance", "real", "phi"))
    assert 0 < rank[mask].mean() < raw.shape[3]
    assert 0.2 < share[mask].mean() < 1.1
    assert not rank[~mask].any()
    assert not share[~mask].any()
    np.testing.assert_array_equal(real[mask].clip(0), out[mask])
    z = raw.get_fdata() * np.exp(1j * x)
    np.testing.assert_allclose((z * np.exp(-1j * phi)).real[~mask], real[~mask], atol=0.1)
    said = refused(files, capsys, Code.ARGUMENT_MISSING, "--save-real", str(files / "r.nii.gz"))
    assert "give its phase with --phase" in said
    words = ("--save-rank", str(files / "r.nii.gz"), "--method", "nlmeans")
    assert "leave out --save-rank" in refused(files, capsys, Code.METHOD_RANK, *words)
    words = ("--save-phase", str(files / "r.nii.gz"), "--method", "mppca")
    refused(files, capsys, Code.METHOD_PHASE, *words)


def test_an_output_does_not_replace_a_given_map(files: Path, capsys) -> None:
    image = nib.load(files / "dwi.nii.gz")
    sigma = files / "sigma.nii.gz"
    nib.save(nib.Nifti1Image(np.ones(image.shape[:3], np.float32), image.affine), sigma)
    words = ("--noise-map", str(sigma), "--save-noise", str(sigma), "--force")
    assert "sigma.nii.gz: this output is also an input" in refused(
        files, capsys, Code.OUTPUT_IS_INPUT, *words
    )


def test_the_uncertainty_is_written_where_it_is_asked_for(files: Path) -> None:
    denoised(files, "out.nii.gz", "--save-uncertainty", str(files / "u.nii.gz"))
    sd, raw = voxels(files / "u.nii.gz"), voxels(files / "dwi.nii.gz")
    assert sd.shape == raw.shape[:3]
    assert sd.dtype == np.float32
    inside = raw.mean(-1) > raw.mean()
    assert 1 < np.median(sd[inside]) < 35  # below the noise's sd, which is about 35


def sigma_file(files: Path, value: float) -> str:
    image = nib.load(files / "dwi.nii.gz")
    sigma = np.full(image.shape[:3], value, np.float32)
    nib.save(nib.Nifti1Image(sigma, image.affine), files / "given.nii.gz")
    return str(files / "given.nii.gz")


def test_a_method_that_finds_its_own_noise_says_that_the_map_is_for_measuring(files):
    words = ("--method", "gaussian", "--noise-map", sigma_file(files, 7))
    denoised(files, "out.nii.gz", *words)
    assert "gaussian does not ask for σ" in (files / "out.json").read_text()
    denoised(files, "nlm.nii.gz", *words[2:], "--method", "nlmeans")
    assert "does not ask" not in (files / "nlm.json").read_text()


def test_info_measures_by_a_given_map_and_by_the_phase(files: Path, capsys) -> None:
    words = ["info", str(files / "dwi.nii.gz"), "--threads", "1"]
    assert main([*words, "--noise-map", sigma_file(files, 7)]) == 0
    printed = capsys.readouterr().out
    assert "sigma       7 (median in the mask; 5-95 %: 7-7)" in printed
    assert "sd from the map that was given" in printed
    image = nib.load(files / "dwi.nii.gz")
    phase = np.zeros(image.shape, np.float32)
    phase[..., 0] = 3
    nib.save(nib.Nifti1Image(phase, image.affine), files / "phase.nii.gz")
    options = ("--phase", str(files / "phase.nii.gz"))
    assert main([*words, *options]) == 0
    assert "Gaussian, real part" in capsys.readouterr().out
    said = command_refused(capsys, Code.METHOD_PHASE, *words, *options, "--method", "mppca")
    assert "works on magnitudes: give the magnitude alone" in said


def test_the_noise_alone_of_a_complex_scan_is_that_of_its_real_part(files: Path) -> None:
    """Of a magnitude that is no real part's, σ is another."""
    image, raw = nib.load(files / "dwi.nii.gz"), voxels(files / "dwi.nii.gz")
    rng = np.random.default_rng(0)
    z = raw[..., :12] + 20 * (rng.normal(size=raw[..., :12].shape) + 1j * rng.normal(size=1))
    z = np.concatenate([z] * 3 + [z[..., :5]], -1).astype(np.complex64)
    z += (20 * rng.normal(size=(2, *z.shape)) * np.array([1, 1j])[:, None, None, None, None]).sum(0)
    nib.save(nib.Nifti1Image(np.abs(z).astype(np.float32), image.affine), files / "dwi.nii.gz")
    nib.save(nib.Nifti1Image(np.angle(z).astype(np.float32), image.affine), files / "p.nii.gz")
    denoised(files, "s.nii.gz", "--noise-only", "--phase", str(files / "p.nii.gz"))
    denoised(files, "out.nii.gz", "--phase", str(files / "p.nii.gz"),
             "--save-noise", str(files / "own.nii.gz"))  # fmt: skip
    np.testing.assert_array_equal(voxels(files / "s.nii.gz"), voxels(files / "own.nii.gz"))
