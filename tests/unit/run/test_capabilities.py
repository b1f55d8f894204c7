"""What is given beside a scan, and which methods can make something of it."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.errors import Code, DwiserError
from dwiser.methods.base import Denoised
from dwiser.methods.registry import METHODS
from dwiser.run.capabilities import able, check_phase, noise_model, with_uncertainty
from dwiser.run.denoising import denoise
from dwiser.run.reuse import check_reusable
from tests.refusals import refused


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_takes_it_or_says_that_it_cannot_and_who_can(name: str) -> None:
    method = METHODS[name].load()()
    checks = {
        "takes_phase": check_phase,
        "gives_uncertainty": with_uncertainty,
        "reusable_weights": lambda m: check_reusable(m, "--save-weights"),
    }
    codes = {
        "takes_phase": Code.METHOD_PHASE,
        "gives_uncertainty": Code.METHOD_UNCERTAINTY,
        "reusable_weights": Code.METHOD_NO_WEIGHTS,
    }
    for flag, check in checks.items():
        assert able(flag)
        if name in able(flag):
            check(method)
            continue
        with refused(codes[flag], name) as refusal:
            check(method)
        assert all(other in str(refusal.value) for other in able(flag))


def test_a_phase_is_refused_in_python_too(small) -> None:
    scan = replace(small.scan, phase=np.zeros_like(small.scan.data))
    with refused(Code.METHOD_PHASE, "gaussian", "works on magnitudes: give the magnitude alone"):
        denoise(scan, "gaussian")


def test_a_result_with_nan_is_none(small, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self, scan, **_: object) -> Denoised:
        return Denoised(np.full(scan.shape, np.nan, np.float32))

    monkeypatch.setattr(METHODS["gaussian"].load(), "denoise", broken)
    said = ("holds NaN", "diverged; lower learning_rate")
    with refused(Code.METHOD_DIVERGED, *said, error=DwiserError):
        denoise(small.scan, "gaussian")


def test_the_record_says_where_sigma_is_from(small) -> None:
    scan = small.scan
    assert "Marchenko-Pastur" in noise_model(scan)
    assert "given" in noise_model(replace(scan, sigma=small.sigma))
    assert "Gaussian" in noise_model(replace(scan, phase=np.zeros_like(scan.data)))
