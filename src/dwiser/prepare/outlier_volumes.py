"""Outlier volumes: signal dropout, motion, or a copy of another volume."""

import numpy as np
from jaxtyping import Float, Int

from dwiser.prepare.splits import Groups

RIDGE = 1e-3  # of the median noise floor: keeps a duplicated volume's covariance invertible
FLOOR_QUANTILE = 0.25
UNEXPLAINED = 3.0  # times the group's median variance that the other volumes do not explain
COPIED = "shares its noise with volume"
STRANGE = "the other volumes do not explain it: dropped out or moved?"
SAME = 0.7  # partial correlation of two volumes; 1 for copies, small otherwise


def find_outlier_volumes(
    covariance: Float[np.ndarray, "m m"], volumes: Int[np.ndarray, "m"], groups: Groups
) -> dict[int, str]:
    """Volumes that are excluded from learning, each with the reason.

    Parameters
    ----------
    covariance : (M, M) of ``volumes`` in units of noise.

    Notes
    -----
    With P the inverse covariance of the volumes, 1/P_jj is the variance of volume j that the
    others do not explain: about the noise's, and more after signal dropout or motion.
    −P_ij/√(P_ii P_jj) is the partial correlation of i and j, given the others: that of their
    noise. Of two volumes that share their noise (copies, averages) the later one is named.
    After motion two b0s may share signal that no other volume has, which correlates them as
    well; but each has noise of its own then, and what one shows beyond the other is no less.
    """
    if not covariance.any():
        return {}
    ridge = RIDGE * np.quantile(np.linalg.eigvalsh(covariance), FLOOR_QUANTILE)
    ridge = max(ridge, 1e-9 * float(np.trace(covariance)))
    precision = np.linalg.inv(covariance + ridge * np.eye(len(volumes)))
    unexplained = 1 / np.diag(precision)
    # below 0 by rounding alone, where a few voxels outshine all others: nothing is known there
    shared = -precision * np.sqrt(np.outer(unexplained, unexplained).clip(min=0))
    np.fill_diagonal(shared, 0)
    outliers: dict[int, str] = {}
    noise = max(1.0, float(np.median(unexplained)))
    for i, j in np.argwhere(np.triu(shared) > SAME):
        if _between(precision, i, j) > 2 * (1 - SAME) * noise:
            continue
        outliers[int(volumes[j])] = f"{COPIED} {volumes[i]}: a copy or an average"
    for group in groups:
        in_group = np.isin(volumes, group)
        usual = float(np.median(unexplained[in_group]))
        for v, variance in zip(volumes[in_group], unexplained[in_group], strict=True):
            if variance > UNEXPLAINED * usual:
                outliers.setdefault(int(v), STRANGE)
    return outliers


def _between(
    precision: Float[np.ndarray, "m m"], i: int | np.integer, j: int | np.integer
) -> float:
    """Variance of the difference of two volumes, given the others: twice the noise's, 0 of copies.

    The inverse of the precision's 2×2 block is their covariance given the others.
    """
    own, other, both = precision[i, i], precision[j, j], precision[i, j]
    return float((own + other + 2 * both) / (own * other - both**2))
