"""A small phantom scan that the verdict tests share."""

import numpy as np
import pytest

from dwiser.scan import Scan
from dwiser.simulation import Simulation, phantom


@pytest.fixture(scope="session")
def head() -> Simulation:
    """A small head at SNR 20, Rician, σ varying in space, with lesions."""
    return phantom((34, 40, 28), snr=20.0, sigma_map="gfactor", lesions=True, seed=1)


@pytest.fixture(scope="session")
def head_scan(head: Simulation) -> Scan:
    """The noisy scan of the head, with its true σ map and mask."""
    return Scan(
        head.scan.data,
        head.scan.affine,
        head.scan.gradients,
        mask=head.mask,
        sigma=head.sigma.astype(np.float64),
    )
