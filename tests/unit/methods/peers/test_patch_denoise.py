"""patch-denoise: absent, too old, present; what it is told and what comes back."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.methods.peers.patch_denoise import PatchDenoise
from dwiser.methods.registry import METHODS
from tests.refusals import refused

STAND_IN = """#!{python}
import sys
if "--version" in sys.argv:
    sys.exit(print({version!r}))
import nibabel as nib
words = sys.argv[1:]
image, mask = nib.load(words[0]), nib.load(words[words.index("--mask") + 1])
data = image.get_fdata(dtype="f4") / 2
data[13, 12, 4] = 0
nib.save(nib.Nifti1Image(data, image.affine), words[1])
open({told!r}, "w").write(" ".join(words))
"""


def put_on_path(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that says ``version``; the file in which it writes its arguments."""
    arguments_file, program = folder / "told", folder / "patch-denoise"
    program.write_text(
        STAND_IN.format(python=sys.executable, version=version, told=str(arguments_file))
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    return arguments_file


def test_without_it_one_sentence_says_which_python_it_needs(small, machine, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with refused(Code.PROGRAM_MISSING, "not on the PATH: with a Python of version 3.12"):
        PatchDenoise().denoise(small.scan, machine=machine, seed=0)


@pytest.mark.parametrize("version", ["1.4.4", "1.10", "no version at all"])
def test_a_version_below_2_is_refused(version, small, machine, tmp_path, monkeypatch) -> None:
    arguments_file = put_on_path(tmp_path, version, monkeypatch)
    with refused(Code.PROGRAM_MISSING, "below 2 denoise wrongly: ", "3.12"):
        PatchDenoise().denoise(small.scan, machine=machine, seed=0)
    assert not arguments_file.exists()


@pytest.mark.parametrize("version", ["2.3.0", "10.0"])
def test_voxels_that_no_patch_covers_keep_the_scans_values(
    version, small, machine, tmp_path, monkeypatch
) -> None:
    arguments_file = put_on_path(tmp_path, version, monkeypatch)
    scan = replace(small.scan, mask=small.mask)
    assert small.mask[13, 12, 4]
    result = PatchDenoise().denoise(scan, machine=machine, seed=0)
    expected = np.where(small.mask[..., None], scan.data / 2, scan.data)
    expected[13, 12, 4] = scan.data[13, 12, 4]
    np.testing.assert_array_equal(result.data, expected)
    assert result.record["voxels_left_as_they_were"] == scan.shape[3]
    assert result.record["program"] == f"patch-denoise {version}"
    words = arguments_file.read_text()
    assert "--method optimal-fro" in words
    assert "--patch-shape 11,11,8,-1 --patch-overlap 5,5,5,-1" in words  # 8 slices
    assert "--noise-std-map" not in words
    assert "--cpu" in words


def test_nordic_is_given_the_noise_map(small, machine, tmp_path, monkeypatch) -> None:
    arguments_file = put_on_path(tmp_path, "2.3.0", monkeypatch)
    method = PatchDenoise(denoiser="nordic", patch=5, overlap=2)
    method.denoise(small.scan, machine=machine, seed=0)
    assert "sigma.nii" in arguments_file.read_text()
    assert method.capabilities.takes_noise_map
    assert not PatchDenoise().capabilities.takes_noise_map


def test_patches_that_overlap_whole_are_refused() -> None:
    with refused(Code.SETTING_VALUE, "overlap of patch_denoise must be below its patch 5"):
        PatchDenoise(patch=5, overlap=5)


@pytest.mark.skipif(not METHODS["patch_denoise"].available, reason="patch-denoise is not here")
def test_the_real_one_covers_all_of_the_mask(small, machine) -> None:
    scan = replace(small.scan, mask=small.mask)
    result = PatchDenoise().denoise(scan, machine=machine, seed=0)
    assert result.record["voxels_left_as_they_were"] == 0
