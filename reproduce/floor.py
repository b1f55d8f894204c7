"""The noise floor: what is left of its bias, and whether a scan's background tells its channels."""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation

from dwiser.prepare.coils import ASIDE, effective_coils
from dwiser.prepare.mask import object_mask
from dwiser.scan import Scan
from dwiser.simulation import Simulation
from reproduce.data import made
from reproduce.protocol import Run

FLOORS = {"Rician": {"noise": "rician"}, "nc-χ, 4 coils": {"noise": "nc-chi", "coils": 4}}
MASKED = ", mask given"
FLOOR_SNR = 6.0
WEAK = 2.0  # σ: DWIs' true signal below this is at the floor


def at_floor(run: Run) -> dict[str, Simulation]:
    """A phantom at the floor for each kind of noise."""
    return {name: made(run, run.seed, snr=FLOOR_SNR, **how) for name, how in FLOORS.items()}


def asked(phantom: Simulation) -> dict[str, Scan]:
    """The scan as it comes, and with the object's mask given."""
    return {"": phantom.scan, MASKED: replace(phantom.scan, mask=phantom.mask)}


def bias(data: np.ndarray, phantom: Simulation) -> float:
    """Mean error in σ of the DWIs where their true signal is at the noise floor."""
    dwis = ~phantom.scan.gradients.is_b0
    sigma = phantom.sigma[..., None]
    weak = phantom.mask[..., None] & (phantom.truth < WEAK * sigma) & dwis
    if not weak.any():
        return float("nan")
    return float(((data - phantom.truth) / sigma)[weak].mean())


def background(phantom: Simulation) -> dict[str, Any]:
    """Outside the mask that is found and the given one: voxels, and the channels they tell."""
    masks = {"": object_mask(phantom.scan), MASKED: phantom.mask}
    return {
        told: {"voxels": int((~binary_dilation(mask, iterations=ASIDE)).sum()),
               "channels": effective_coils(phantom.scan, mask)}
        for told, mask in masks.items()
    }  # fmt: skip
