"""dwidenoise: absent, present, refusing; what it is told and what comes back."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dwiser.errors import Code, DwiserError
from dwiser.machine import Machine
from dwiser.methods.peers.dwidenoise import Dwidenoise
from tests.refusals import refused

STAND_IN = """#!/bin/sh
echo "$@" > {told}
cp "$1" "$2"
while [ $# -gt 0 ]; do
  [ "$1" = -noise ] && noise=$2
  [ "$1" = -mask ] && mask=$2
  shift
done
cp "$mask" "$noise"
"""


def put_on_path(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "dwidenoise"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_without_mrtrix_it_says_in_one_sentence_what_to_do(small, machine, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    with refused(Code.PROGRAM_MISSING, "dwidenoise is not on the PATH: install MRtrix3"):
        Dwidenoise().denoise(small.scan, machine=machine, seed=0)


def test_it_is_told_everything_and_what_it_writes_comes_back(small, tmp_path, monkeypatch) -> None:
    put_on_path(tmp_path, STAND_IN.format(told=tmp_path / "told"), monkeypatch)
    method = Dwidenoise(extent=7, estimator="Exp1", datatype="float64")
    result = method.denoise(small.scan, machine=Machine("cpu", 3), seed=0)
    np.testing.assert_array_equal(result.data, small.scan.data)
    assert result.record["its_own_sigma_median"] == 1.0
    arguments = (tmp_path / "told").read_text()
    for words in ("-extent 7", "-estimator Exp1", "-datatype float64", "-nthreads 3", "-quiet"):
        assert words in arguments
    assert not any(Path(word).exists() for word in arguments.split() if word.endswith(".nii"))


def test_its_last_words_are_the_error(small, machine, tmp_path, monkeypatch) -> None:
    script = "#!/bin/sh\necho first >&2\necho 'dwidenoise: [ERROR] no disk' >&2\nexit 1\n"
    put_on_path(tmp_path, script, monkeypatch)
    with refused(Code.PROGRAM_FAILED, "dwidenoise failed: ", "no disk", error=DwiserError):
        Dwidenoise().denoise(small.scan, machine=machine, seed=0)


def test_an_even_patch_is_refused() -> None:
    with refused(Code.SETTING_VALUE, "extent of dwidenoise", "must be odd, not 4"):
        Dwidenoise(extent=4)


@pytest.mark.skipif(shutil.which("dwidenoise") is None, reason="MRtrix3 is not on this machine")
def test_the_real_one_does_not_care_for_the_geometry(small, machine) -> None:
    turned = np.array([[0, 0, -2.5, 9], [2.5, 0, 0, -3], [0, 2.5, 0, 1], [0, 0, 0, 1]], float)
    plain, other = (
        Dwidenoise().denoise(scan, machine=machine, seed=0)
        for scan in (small.scan, replace(small.scan, affine=turned))
    )
    np.testing.assert_array_equal(plain.data, other.data)
    sigma = small.sigma[small.mask].mean()
    assert plain.record["its_own_sigma_median"] == pytest.approx(sigma, rel=0.15)
    error, noise = (
        np.sqrt(np.square(data - small.truth)[small.mask].mean())
        for data in (plain.data, small.scan.data)
    )
    assert error < 0.8 * noise
