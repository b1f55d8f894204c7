"""Faults put into a scan on purpose: a volume moved, a volume ghosted, nothing but noise."""

from dataclasses import replace

import numpy as np

from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import Simulation
from dwiser.simulation.noise import add_rician

MOVED = 2  # voxels along the first axis: a head that moved between two volumes
GHOST = 0.2  # of the image, half a field of view along the phase axis: Nyquist's
PLAIN, SD = 500.0, 50.0  # signal and noise of the object without structure
KINDS = "motion", "ghost"


def corrupted(made: Simulation, kind: str, volume: int) -> tuple[Scan, np.ndarray]:
    """The scan with one volume's fault, and the fault itself (X, Y, Z) in the truth.

    The noise is that of the scan: the volume's noisy signal less its true one, with the fault's
    true signal in its place, and never below 0.
    """
    true = made.truth[..., volume]
    rolled = np.roll(true, MOVED, axis=0)
    if kind == "ghost":
        rolled = true + np.float32(GHOST) * np.roll(true, true.shape[1] // 2, axis=1)
    data = made.scan.data.copy()
    data[..., volume] = np.maximum(data[..., volume] - true + rolled, 0)
    return replace(made.scan, data=data), rolled - true


def pure_noise(made: Simulation, seed: int) -> tuple[Scan, np.ndarray]:
    """An object of one signal everywhere, with the scan's table, and its Rician noise's sd map.

    The whole image is the object, so that no edge is in it.
    """
    shape = made.scan.shape
    sigma = np.full(shape[:3], SD, np.float32)
    plain = np.full(shape[:3], PLAIN, np.float32)
    data = np.stack(
        [add_rician(plain, sigma, stream(seed, "plain", v)) for v in range(shape[3])], axis=-1
    )
    everywhere = np.ones(shape[:3], bool)
    return Scan(data, made.scan.affine, made.scan.gradients, mask=everywhere), sigma


def slope(change: np.ndarray, fault: np.ndarray, mask: np.ndarray) -> float:
    """Regression of a change on the fault over the mask: 1 all of it, 0 nothing."""
    a, f = change[mask].astype(float), fault[mask].astype(float)
    return float((a * f).sum() / (f**2).sum())
