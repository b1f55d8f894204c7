"""Weights through the command: saved, applied to another scan, begun with; or refused."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.cli import main
from dwiser.errors import Code
from tests.refusals import command_refused

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
HOW = ("--threads", "1", "--device", "cpu", "-q")
QUICK = ("--method", "noise2noise", "--preset", "smoke", "--set", "iterations=8")


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def refused(folder: Path, capsys, code: Code, *words: str) -> str:
    before = sorted(p.name for p in folder.iterdir())
    sentence = command_refused(capsys, code, *words)
    assert sorted(p.name for p in folder.iterdir()) == before
    return sentence


def test_saved_weights_denoise_as_the_training_did_and_only_their_protocol(
    files: Path, capsys
) -> None:
    dwi, out, weights = (str(files / n) for n in ("dwi.nii.gz", "out.nii.gz", "w.safetensors"))
    assert main(["denoise", dwi, out, *QUICK, *HOW, "--seed", "3", "--save-weights", weights]) == 0
    assert not [p.name for p in files.iterdir() if p.name.startswith(".")]
    again = str(files / "again.nii.gz")
    assert main(["apply", weights, dwi, again, *HOW, "--seed", "3"]) == 0
    np.testing.assert_array_equal(voxels(files / "again.nii.gz"), voxels(files / "out.nii.gz"))
    sidecar = json.loads((files / "again.json").read_text())
    assert sidecar["Method"] == "noise2noise"
    assert sidecar["Parameters"]["iterations"] == 8
    assert len(sidecar["WeightsSHA256"]) == 64

    other = str(files / "other.nii.gz")
    image = nib.load(dwi)
    nib.save(image.slicer[..., :30], other)
    for e in ("bval", "bvec"):
        table = np.atleast_2d(np.loadtxt(files / f"dwi.{e}"))[:, :30]
        np.savetxt(files / f"other.{e}", table)
    said = refused(
        files, capsys, Code.WEIGHTS_PROTOCOL, "apply", weights, other, str(files / "no.nii.gz")
    )
    assert "other.nii.gz: this is another protocol" in said
    assert "30 volumes and not 41" in said

    no = str(files / "no.nii.gz")
    said = refused(files, capsys, Code.WEIGHTS_INVALID, "apply", dwi, dwi, no)
    assert "dwi.nii.gz: it is no file of weights" in said
    assert "splitq has no weights" in said

    begin = ("--warm-start", weights, "--method", "difusion", "--preset", "smoke")
    said = refused(files, capsys, Code.WEIGHTS_MISMATCH, "denoise", dwi, no, *begin)
    assert "are those of noise2noise" in said
    warm = ("--warm-start", weights, "--force")
    assert main(["denoise", dwi, out, *QUICK, *HOW, "--seed", "3", *warm]) == 0
    assert (voxels(files / "out.nii.gz") != voxels(files / "again.nii.gz")).any()


@pytest.mark.parametrize(
    ("method", "says"),
    [("splitq", "in seconds"), ("splitnet", "subspace"), ("deep_image_prior", "fitted to")],
)
def test_methods_without_weights_to_keep_say_why(files: Path, capsys, method, says) -> None:
    words = ("denoise", str(files / "dwi.nii.gz"), str(files / "out.nii.gz"), "--method", method)
    keep = ("--save-weights", str(files / "w.safetensors"))
    said = refused(files, capsys, Code.METHOD_NO_WEIGHTS, *words, *keep)
    assert says in said
    assert "difusion" in said


def test_what_cannot_go_on_is_told(files: Path, capsys) -> None:
    words = ("denoise", str(files / "dwi.nii.gz"), str(files / "out.nii.gz"))
    said = refused(files, capsys, Code.METHOD_NO_WEIGHTS, *words, "--resume")
    assert "drop --resume" in said
    keep = ("--save-weights", str(files / "w.pt"))
    said = refused(files, capsys, Code.FILE_ENDING, *words, *QUICK, *keep)
    assert "w.pt: weights are safetensors" in said
