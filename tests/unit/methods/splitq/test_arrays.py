"""splitq on torch's tensors, as on a GPU, is splitq on NumPy's arrays."""

import numpy as np
import pytest

from dwiser.machine import Machine
from dwiser.methods.registry import build
from dwiser.simulation import phantom


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.parametrize("directions", [8, 30])  # by the risk; by held-out volumes
def test_the_code_of_a_gpu_gives_what_the_processor_gives(directions: int) -> None:
    scan = phantom((14, 14, 6), shells=((1000.0, directions),), n_b0=2, snr=20.0, seed=2).scan
    here, there = (  # "cpu:0" is torch's name of this processor
        build("splitq").denoise(scan, machine=Machine(device, 1), seed=0)
        for device in ("cpu", "cpu:0")
    )
    assert here.weights is not None
    assert here.weights.record["learned"]
    assert here.sigma is not None
    off = (here.data - there.data) / np.maximum(here.sigma[..., None], 1e-6)
    assert np.abs(here.data - scan.data).max() > 0
    assert np.abs(off).max() < 0.02
    assert np.sqrt(np.mean(off**2)) < 1e-3
