"""Shapes in signatures are checked while testing: jaxtyping's hook, before dwiser is imported."""

from jaxtyping import install_import_hook

install_import_hook("dwiser", "beartype.beartype")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from dwiser.io import load  # noqa: E402
from dwiser.io.sample import sample_paths  # noqa: E402
from dwiser.machine import Machine  # noqa: E402
from dwiser.scan import Scan  # noqa: E402
from dwiser.simulate import Simulation, phantom  # noqa: E402


@pytest.fixture(scope="session")
def machine() -> Machine:
    return Machine("cpu", 1)


@pytest.fixture(scope="session")
def crop() -> Scan:
    """A real crop of 24×20×6×41 voxels, across the brain's edge; its b0 is the last volume."""
    files = sample_paths()
    scan = load(files.dwi, files.bval, files.bvec)
    return Scan(scan.data[2:26, 22:42, 8:14].copy(), scan.affine, scan.gradients, scan.header)


@pytest.fixture(scope="session")
def small() -> Simulation:
    """A small phantom: two b0s, 12 directions at b=1000, b0 SNR 20."""
    return phantom(shape=(26, 24, 8), shells=((1000.0, 12),), n_b0=2, snr=20.0, seed=3)


def nrmse(a: np.ndarray, truth: np.ndarray) -> float:
    """Root mean squared error over the root mean square of the truth."""
    return float(np.sqrt(np.mean((a - truth) ** 2) / np.mean(truth**2)))
