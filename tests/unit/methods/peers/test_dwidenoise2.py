"""dwidenoise2: absent, present, refusing; what it is told and what comes back.

The stand-in follows the program's documented command line: options anywhere, then the series and
the result; its noise map lies on a coarser grid than the series.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dwiser.errors import Code, DwiserError
from dwiser.machine import Machine
from dwiser.methods.peers.dwidenoise2 import Dwidenoise2
from tests.refusals import refused

WITH_VALUES = {
    "-noise_out": 1, "-noise_in": 1, "-estimator": 1, "-filter": 1, "-aggregator": 1, "-demean": 1,
    "-nthreads": 1, "-fslgrad": 2, "-quiet": 0, "-preserve_noise_bias": 0,
}  # fmt: skip
STAND_IN = """#!{python}
import sys
import nibabel as nib, numpy as np
counts, words, options, places = {counts}, sys.argv[1:], {{}}, []
while words:
    word = words.pop(0)
    if word.startswith("-"):
        options[word] = [words.pop(0) for _ in range(counts[word])]
    else:
        places.append(word)
image = nib.load(places[0])
nib.save(nib.Nifti1Image(image.get_fdata(dtype="f4") / 2, image.affine), places[1])
coarse = np.full([(n + 1) // 2 for n in image.shape[:3]], 7, "f4")
coarse[0] = np.nan
nib.save(nib.Nifti1Image(coarse, image.affine), options["-noise_out"][0])
bvec, bval = (np.loadtxt(path) for path in options["-fslgrad"])
given = nib.load(options["-noise_in"][0]).get_fdata() if "-noise_in" in options else np.zeros(1)
np.savez({told!r}, bvec=bvec, bval=bval, noise_in=given, words=sys.argv[1:])
"""


@pytest.fixture
def received_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in on the PATH; the file in which it writes its arguments."""
    place = tmp_path / "told.npz"
    text = STAND_IN.format(python=sys.executable, counts=WITH_VALUES, told=str(place))
    put_on_path(tmp_path, text, monkeypatch)
    return place


def put_on_path(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "dwidenoise2"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_without_it_one_sentence_names_the_licence_and_the_remedy(
    small, machine, monkeypatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with refused(Code.PROGRAM_MISSING, "not on the PATH: build it ", "noncommercial", " localpca"):
        Dwidenoise2().denoise(small.scan, machine=machine, seed=0)


def test_by_default_it_is_told_the_gradients_and_where_to_write(small, received_file) -> None:
    scan = replace(small.scan, mask=small.mask)
    result = Dwidenoise2().denoise(scan, machine=Machine("cpu", 3), seed=0)
    np.testing.assert_array_equal(result.data[small.mask], scan.data[small.mask] / 2)
    np.testing.assert_array_equal(result.data[~small.mask], scan.data[~small.mask])
    assert result.record["its_own_sigma_median"] == 7
    assert result.record["noise_floor"] == "removed"
    received = np.load(received_file)
    np.testing.assert_allclose(received["bval"], scan.gradients.bvals)
    np.testing.assert_allclose(received["bvec"], scan.gradients.bvecs.T, atol=1e-9)
    options = [word for word in received["words"] if word.startswith("-")]
    assert options == ["-noise_out", "-nthreads", "-fslgrad", "-quiet"]
    assert not any(Path(word).exists() for word in received["words"] if word.endswith(".nii"))


def test_what_is_set_is_passed_on(small, received_file) -> None:
    sigma = np.full(small.mask.shape, 31.5, np.float32)
    method = Dwidenoise2(
        sigma="map", estimator="med", shrinkage="truncate", aggregator="exclusive",
        demean="none", floor="kept",
    )  # fmt: skip
    result = method.denoise(replace(small.scan, sigma=sigma), machine=Machine(), seed=0)
    received = np.load(received_file)
    np.testing.assert_array_equal(received["noise_in"], sigma)
    words = " ".join(received["words"])
    for option in (
        "-estimator med", "-filter truncate", "-aggregator exclusive", "-demean none",
        "-preserve_noise_bias",
    ):  # fmt: skip
        assert option in words
    assert result.record["noise_floor"] == "kept"
    assert method.capabilities.takes_noise_map
    assert not Dwidenoise2().capabilities.takes_noise_map


def test_its_last_words_are_the_error(small, machine, tmp_path, monkeypatch) -> None:
    script = "#!/bin/sh\necho 'dwidenoise2: [ERROR] no disk' >&2\nexit 1\n"
    put_on_path(tmp_path, script, monkeypatch)
    with refused(Code.PROGRAM_FAILED, "dwidenoise2 failed: ", "no disk", error=DwiserError):
        Dwidenoise2().denoise(small.scan, machine=machine, seed=0)
