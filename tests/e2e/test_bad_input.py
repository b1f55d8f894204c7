"""Bad input gets one clear sentence and exit code 2, and nothing is written."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from dwiser.errors import Code
from tests.refusals import command_refused

QUICK = ("--preset", "smoke", "--threads", "1")


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Replace an image's voxels."""
    image = nib.load(path)
    data = change(np.asarray(image.dataobj))
    nib.save(nib.Nifti1Image(data, image.affine, image.header), path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def mask_of(files: Path, shape: tuple[int, ...], shift: float = 0.0, value: int = 1) -> None:
    affine = nib.load(files / "dwi.nii.gz").affine.copy()
    affine[0, 3] += shift
    nib.save(nib.Nifti1Image(np.full(shape, value, np.uint8), affine), files / "mask.nii.gz")


def few(files: Path) -> None:
    rewrite(files / "dwi.nii.gz", lambda d: d[..., 36:])
    for e in ("bval", "bvec"):
        table = np.atleast_2d(np.loadtxt(files / f"dwi.{e}"))
        np.savetxt(files / f"dwi.{e}", table[:, 36:])


def bad_voxel(value: float):
    def change(data: np.ndarray) -> np.ndarray:
        data = data.copy()
        data[0, 0, 0, 0] = value
        return data

    return change


def table(e: str, change) -> object:
    def do(files: Path) -> None:
        rows = np.atleast_2d(np.loadtxt(files / f"dwi.{e}"))
        np.savetxt(files / f"dwi.{e}", change(rows))

    return do


def image(change):
    return lambda files: rewrite(files / "dwi.nii.gz", change)


SHAPE, IMAGE = (24, 20, 6), "dwi.nii.gz"
CASES = {
    "no file": (lambda f: (f / "dwi.nii.gz").unlink(), (), Code.FILE_MISSING, "dwi.nii.gz"),
    "not nifti": (
        lambda f: (f / IMAGE).write_bytes(gzip.compress(b"x" * 999)),
        (),
        Code.IMAGE_DAMAGED,
        IMAGE,
    ),
    "text": (lambda f: (f / "dwi.nii.gz").write_text("hello"), (), Code.IMAGE_FORMAT, "dwi.nii.gz"),
    "truncated": (lambda f: cut(f / "dwi.nii.gz"), (), Code.IMAGE_DAMAGED, "dwi.nii.gz"),
    "0 bytes": (lambda f: (f / "dwi.nii.gz").write_bytes(b""), (), Code.IMAGE_DAMAGED, "empty"),
    "3-D": (image(lambda d: d[..., 0]), (), Code.IMAGE_DIMENSIONS, "3 dimensions"),
    "one volume": (image(lambda d: d[..., :1]), (), Code.IMAGE_DIMENSIONS, "one volume"),
    "bval count": (table("bval", lambda t: t[:, 1:]), (), Code.GRADIENTS_LENGTH, "40"),
    "bvec count": (table("bvec", lambda t: t[:, 1:]), (), Code.GRADIENTS_LENGTH, "40"),
    "bvec length": (table("bvec", lambda t: 1.5 * t), (), Code.GRADIENTS_VALUES, "have length 1.5"),
    "nan": (image(bad_voxel(np.nan)), (), Code.IMAGE_NOT_FINITE, "NaN"),
    "inf": (image(bad_voxel(np.inf)), (), Code.IMAGE_NOT_FINITE, "infinite"),
    "all zero": (image(np.zeros_like), (), Code.IMAGE_VALUES, "all zero"),
    "empty mask": (
        lambda f: mask_of(f, SHAPE, value=0),
        ("--mask", "mask.nii.gz"),
        Code.MASK_EMPTY,
        "empty",
    ),
    "mask shape": (
        lambda f: mask_of(f, (24, 20, 5)),
        ("--mask", "mask.nii.gz"),
        Code.GRID_SHAPE,
        "mask.nii.gz",
    ),
    "mask affine": (
        lambda f: mask_of(f, SHAPE, 2.0),
        ("--mask", "mask.nii.gz"),
        Code.GRID_AFFINE,
        "mask.nii.gz",
    ),
    "few directions": (few, (), Code.GRADIENTS_TOO_FEW, "at least 6"),
    "output exists": (
        lambda f: (f / "out.nii.gz").write_text("mine"),
        (),
        Code.OUTPUT_EXISTS,
        "--force",
    ),
    "sidecar exists": (
        lambda f: (f / "out.json").write_text("mine"),
        (),
        Code.OUTPUT_EXISTS,
        "--force",
    ),
    "unknown method": (
        None,
        ("--method", "diffusion"),
        Code.METHOD_UNKNOWN,
        "did you mean 'difusion'",
    ),
    "unknown preset": (None, ("--preset", "latop"), Code.PRESET_UNKNOWN, "did you mean 'laptop'"),
    "unknown field": (None, ("--set", "fold=3"), Code.SETTING_UNKNOWN, "did you mean 'folds'"),
    "no equals": (None, ("--set", "folds"), Code.SETTING_VALUE, "field=value"),
    "no gpu": (None, ("--device", "cuda"), Code.DEVICE_MISSING, "CUDA"),
    "unknown option": (None, ("--sede", "1"), None, "--sede"),
    "bad number": (None, ("--seed", "x"), None, "x"),
    "bad threads": (None, ("--threads", "0"), Code.ARGUMENT_VALUE, "at least 1"),
    "maps collide": (None, ("--save-noise", "out.nii.gz"), Code.OUTPUT_SAME_NAME, "two outputs"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_sentence_and_nothing_written(case, files: Path, monkeypatch, capsys) -> None:
    prepare, words, code, said = CASES[case]
    if case == "no gpu" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    if prepare is not None:
        prepare(files)
    monkeypatch.chdir(files)
    before = {p.name: p.read_bytes() for p in files.iterdir()}
    quick = () if case in ("unknown preset", "bad threads") else QUICK
    command = ("denoise", "dwi.nii.gz", "out.nii.gz", *quick, *words)
    assert said in command_refused(capsys, code, *command)
    assert {p.name: p.read_bytes() for p in files.iterdir()} == before


def test_a_missing_output_folder_is_refused(files: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(files)
    command = ("denoise", "dwi.nii.gz", "none/out.nii.gz", *QUICK)
    assert "create none first" in command_refused(capsys, Code.OUTPUT_FOLDER, *command)
    assert not (files / "none").exists()


def test_the_process_itself_ends_with_code_2_and_no_traceback(files: Path, dwiser) -> None:
    done = dwiser("denoise", "nothing.nii.gz", "out.nii.gz", cwd=files)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "nothing.nii.gz" in done.stderr


def test_debug_shows_the_traceback(files: Path, dwiser) -> None:
    done = dwiser("denoise", "nothing.nii.gz", "out.nii.gz", "--debug", cwd=files)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
