"""The share of a series' variance that a denoiser removed, voxel by voxel."""

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.prepare.shells import shells
from dwiser.scan import Scan


def variance_removed(
    denoised: Float[np.ndarray, "x y z v"],
    raw: Scan,
    mask: Bool[np.ndarray, "x y z"] | None = None,
    volumes: Int[np.ndarray, "m"] | None = None,
) -> Float[np.ndarray, "x y z"]:
    """Variance of raw − denoised over that of raw, both within the shells.

    Parameters
    ----------
    denoised : the result, in the units of ``raw``.
    raw : the series as it was.
    mask : where it was denoised; everywhere if None.
    volumes : those that count; all of them if None.

    Returns
    -------
    (X, Y, Z) float32
        0 where nothing was removed, 1 where all that differs between the volumes of a shell was
        (above 1 where more was, against the noise); 0 outside the mask, and where the volumes of
        each shell are equal.

    Notes
    -----
    Σ_s Σ_{v∈s} (r_v − r̄_s)² / Σ_s Σ_{v∈s} (y_v − ȳ_s)², r = y − x̂. Means of shells are left out:
    the contrast between b-values would hide all else, and a noise floor that was removed shifts a
    shell's mean. A volume alone in its shell counts nothing.

    Examples
    --------
    >>> import dwiser
    >>> from dwiser.evaluation.variance import variance_removed
    >>> scan = dwiser.simulate((16, 16, 8), shells=[(1000, 12)], n_b0=2).scan
    >>> float(variance_removed(scan.data, scan).max())
    0.0
    """
    table = raw.gradients if volumes is None else raw.gradients.take(volumes)
    numbers = np.arange(raw.shape[3]) if volumes is None else volumes
    removed, before = np.zeros(raw.shape[:3]), np.zeros(raw.shape[:3])
    for shell in shells(table):
        own = numbers[shell.volumes]
        for total, less in ((removed, True), (before, False)):
            mean, square = np.zeros(raw.shape[:3]), np.zeros(raw.shape[:3])
            for count, v in enumerate(own, 1):  # Welford's: sums of squares lose their digits
                value = raw.data[..., v].astype(float)
                if less:
                    value -= denoised[..., v]
                step = value - mean
                mean += step / count
                square += step * (value - mean)
            total += square
    share = np.divide(removed, before, out=np.zeros_like(before), where=before > 0)
    return np.where(mask, share, 0).astype(np.float32) if mask is not None else share.astype("f4")
