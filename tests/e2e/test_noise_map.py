"""``dwiser noise-map``: a σ map follows the series, or one sentence says why not."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.cli import main
from dwiser.errors import Code
from tests.refusals import command_refused

TO = ("--like", "final.nii")
AFFINE = np.diag([-2.0, 2, 2.5, 1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sigma = 10 + np.arange(6 * 5 * 4, dtype=np.float32).reshape(6, 5, 4) / 10
    sigma[0] = 0
    field = np.linspace(0.5, 2, sigma.size).reshape(sigma.shape)
    series = np.zeros((11, 9, 7, 3), np.float32)
    fine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    for name, data, affine in (
        ("sigma", sigma, AFFINE), ("field", field, AFFINE), ("final", series, fine),
        ("flipped", field[::-1], AFFINE @ np.array(
            [[-1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])),
        ("other", field[:5], AFFINE), ("negative", -field, AFFINE),
    ):  # fmt: skip
        nib.save(nib.Nifti1Image(np.asarray(data, np.float32), affine), tmp_path / f"{name}.nii")
    np.savetxt(tmp_path / "move.txt", np.vstack([np.eye(4)[:3] + 0.0, [0, 0, 0, 1]]))
    (tmp_path / "words.txt").write_text("no numbers\n")
    np.savetxt(tmp_path / "short.txt", np.eye(3))
    return tmp_path


def mapped(folder: Path, *words: str) -> np.ndarray:
    named = [str(folder / w) if (folder / w).exists() else w for w in words]
    command = ["noise-map", str(folder / "sigma.nii"), str(folder / "out.nii"), *named]
    assert main([*command, "-q", "--force"]) == 0
    return nib.load(folder / "out.nii").get_fdata()


def voxels(folder: Path, name: str) -> np.ndarray:
    return nib.load(folder / f"{name}.nii").get_fdata()


def test_it_is_scaled_as_the_series_was(folder: Path) -> None:
    sigma, field = voxels(folder, "sigma"), voxels(folder, "field")
    np.testing.assert_allclose(mapped(folder, "--scale", "0.25"), sigma / 4)
    np.testing.assert_allclose(mapped(folder, "--divide", "field.nii"), sigma / field, rtol=1e-6)
    both = mapped(folder, "--scale", "field.nii", "--divide", "flipped.nii")
    np.testing.assert_allclose(both, sigma, rtol=1e-5)  # the same field, stored the other way


def test_the_forms(folder: Path) -> None:
    sigma = voxels(folder, "sigma")
    np.testing.assert_allclose(mapped(folder, "--form", "variance"), sigma**2, rtol=1e-6)
    np.testing.assert_allclose(mapped(folder, "--form", "total"), sigma * 2**0.5, rtol=1e-6)


def test_it_goes_to_the_series_grid(folder: Path) -> None:
    out = mapped(folder, "--like", "final.nii", "--transform", "move.txt")
    assert out.shape == (11, 9, 7)
    np.testing.assert_array_equal(
        nib.load(folder / "out.nii").affine, nib.load(folder / "final.nii").affine
    )
    np.testing.assert_allclose(out[::2, ::2, ::2], voxels(folder, "sigma"), rtol=1e-6)
    less = mapped(folder, "--like", "final.nii", "--averaged")
    np.testing.assert_allclose(less[::2, ::2, ::2], out[::2, ::2, ::2], rtol=1e-6)
    assert less[5, 5, 5] < 0.4 * out[5, 5, 5]  # amid eight voxels: 1/√8


@pytest.mark.parametrize(
    ("code", "words", "says"),
    [
        (Code.ARGUMENT_VALUE, ("--scale", "0"), ("--scale", "positive number")),
        (Code.FILE_MISSING, ("--scale", "none.nii"), ("none.nii",)),
        (Code.GRID_SHAPE, ("--divide", "other.nii"), ("other.nii", "give them on its grid")),
        (Code.NOISE_VALUES, ("--divide", "negative.nii"), ("negative.nii", "nowhere above 0")),
        (Code.ARGUMENT_MISSING, ("--transform", "move.txt"), ("--transform", "--like")),
        (Code.ARGUMENT_MISSING, ("--averaged",), ("--averaged", "--like")),
        (Code.ARGUMENT_VALUE, ("--form", "sigma"), ("sigma", "variance")),
        (Code.TRANSFORM_FORMAT, (*TO, "--transform", "words.txt"), ("words.txt",)),
        (Code.TRANSFORM_FORMAT, (*TO, "--transform", "short.txt"), ("3 rows",)),
        (Code.FILE_MISSING, ("--like", "gone.nii"), ("gone.nii",)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(
    folder: Path, capsys, code, words, says
) -> None:
    named = [str(folder / w) if w.endswith((".nii", ".txt")) else w for w in words]
    files = (str(folder / "sigma.nii"), str(folder / "new.nii"))
    sentence = command_refused(capsys, code, "noise-map", *files, *named)
    assert all(word in sentence for word in says), sentence
    assert not (folder / "new.nii").exists()


def test_a_map_of_negative_values_and_a_series_are_refused(folder: Path, capsys) -> None:
    out = str(folder / "new.nii")
    for name, code in (("negative", Code.NOISE_VALUES), ("final", Code.IMAGE_DIMENSIONS)):
        sentence = command_refused(capsys, code, "noise-map", str(folder / f"{name}.nii"), out)
        assert name in sentence
    sentence = command_refused(
        capsys, Code.OUTPUT_IS_INPUT, "noise-map", str(folder / "sigma.nii"),
        str(folder / "sigma.nii"), "--force",
    )  # fmt: skip
    assert "sigma.nii" in sentence
