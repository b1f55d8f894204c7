"""A complex scan: its real part in place of the magnitude, and the distribution of its noise."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import DwiserWarning
from dwiser.prepare.coils import effective_coils
from dwiser.prepare.moments import NONE
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.phase import WINDOW, Rephasing, real_part
from dwiser.scan import Scan

ALONE = "denoise the magnitude alone and compare"
PHASE_IS = {"window": "smooth", "slice": "a ramp in each slice", "none": "zero"}
REMEDY = {"window": ALONE, "slice": "set rephase=window", "none": "set rephase=window"}
IMAGINARY = 1.15  # sd of the imaginary part over the noise's, above which the phase is not smooth


def real_scan(
    scan: Scan,
    phase: Float[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    rephasing: Rephasing = WINDOW,
) -> tuple[Scan, dict[str, Any]]:
    """The scan's real part without its smooth phase, and a record of its imaginary part.

    Warns where the imaginary part contains more than noise: the phase is then not what
    ``rephasing`` takes it for.
    """
    real = real_part(scan.data, phase, mask, rephasing)
    scan = replace(scan, data=real.data, phase=None, signed=True)
    sigma = sigma_map(scan, mask, coils=NONE)
    usual = float(np.sqrt(np.square(sigma[mask], dtype=float).mean()))
    if usual == 0:
        return replace(scan, sigma=sigma), {}
    over = real.imaginary / usual
    if np.median(over) > IMAGINARY:
        warnings.warn(
            f"The imaginary part's sd is {np.median(over):.2f} times the noise's: the phase is not "
            f"{PHASE_IS[rephasing.how]}, and signal is lost; {REMEDY[rephasing.how]}.",
            DwiserWarning,
            stacklevel=5,
        )
    record = {
        "imaginary_over_sigma": [round(float(v), 3) for v in np.percentile(over, (0, 50, 100))]
    }
    return replace(scan, sigma=sigma), record


def channels_of(
    scan: Scan, mask: Bool[np.ndarray, "x y z"], coils: float | None, *, threads: int = 1
) -> float:
    """Channels of the magnitude: none for a real part, else ``coils``, estimated if None."""
    if scan.signed:
        return NONE
    return effective_coils(scan, mask, threads=threads) if coils is None else coils
