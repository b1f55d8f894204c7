"""Clean data comes back: what a method changes stays below the noise that was there before.

RMS changes in σ of the noisy scan, as measured on the small phantom (b0 SNR 20) when this was
written: a scan denoised by splitq, again by splitq 0.14, by difusion smoke 0.28; the truth without
noise, by splitq 0, by difusion smoke 0.52. Denoising the noisy scan itself removes 1.07 and 1.31
(with the floor, and what smoke's short training loses).
"""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.run import denoise
from dwiser.scan import Scan
from dwiser.simulation import Simulation, phantom

pytestmark = pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")


def changed(scan: Scan, simulation: Simulation, method: str, preset: str = "smoke") -> float:
    """RMS of output − input over the noise's σ, in the phantom's mask."""
    after = denoise(scan, method, preset, threads=1).data
    ratio = (after - scan.data)[simulation.mask] / simulation.sigma[simulation.mask][:, None]
    return float(np.sqrt(np.mean(ratio**2)))


@pytest.fixture(scope="module")
def clean(small: Simulation) -> dict[str, Scan]:
    """The phantom without noise, and its noisy scan denoised once."""
    once = denoise(small.scan, "splitq", "smoke", threads=1).data
    return {
        "truth": replace(small.scan, data=small.truth.astype(np.float32)),
        "denoised": replace(small.scan, data=once),
    }


@pytest.mark.parametrize(
    ("method", "kind", "most"),
    [("splitq", "truth", 0), ("splitq", "denoised", 0.3), ("difusion", "truth", 0.8),
     ("difusion", "denoised", 0.6)],
)  # fmt: skip
def test_a_clean_scan_comes_back_within_sigma(small, clean, method, kind, most) -> None:
    assert changed(clean[kind], small, method) <= most
    assert changed(small.scan, small, method) > 1  # where there is noise, it goes


def test_few_clean_volumes_are_not_truncated() -> None:
    """31 volumes at SNR 400: half of them span too little; by the subspace the error was 1.15 σ."""
    simulation = phantom((26, 24, 8), shells=((1000.0, 27),), n_b0=4, snr=400.0, seed=3)
    result = denoise(simulation.scan, "splitq", threads=1)
    error = (result.data - simulation.truth)[simulation.mask] / simulation.sigma[simulation.mask][
        :, None
    ]
    assert float(np.sqrt(np.mean(error**2))) < 0.8
    assert any("lose more signal" in line for line in result.record["Warnings"])


@pytest.mark.slow
@pytest.mark.parametrize("snr", [400.0, 100.0])
def test_a_nearly_clean_scan_is_changed_by_its_own_noise_only(snr) -> None:
    """splitq as users run it, 70 volumes: measured 0.91 and 0.94 σ, of a σ that is 1/snr."""
    simulation = phantom((26, 24, 8), shells=((1000.0, 64),), n_b0=6, snr=snr, seed=3)
    assert changed(simulation.scan, simulation, "splitq", "laptop") < 1.1
