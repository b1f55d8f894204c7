"""Volumes that stand apart from their shell: dropped out, moved, or the same as another."""

import numpy as np
from jaxtyping import Float, Int

from dwiser.prepare.splits import Groups

RIDGE = 1e-3  # of the median noise floor: keeps a duplicated volume's covariance invertible
FLOOR_QUANTILE = 0.25
UNTOLD = 3.0  # times its group's median variance given the others
COPIED = "shares its noise with volume"
STRANGE = "the other volumes do not tell it: dropped out or moved?"
SAME = 0.7  # partial correlation of two volumes, the rest given; 1 for copies, small otherwise


def standing_apart(
    covariance: Float[np.ndarray, "m m"], volumes: Int[np.ndarray, "m"], groups: Groups
) -> dict[int, str]:
    """Volumes that should not be learned from, each with the reason.

    Parameters
    ----------
    covariance : (M, M) of ``volumes`` in units of noise.

    Notes
    -----
    With P the inverse covariance of the volumes, 1/P_jj is the variance of volume j that the
    others do not tell: about the noise's, and more where it dropped out or moved.
    −P_ij/√(P_ii P_jj) is the correlation of i and j once the others are taken off: that of
    their noise. Of two volumes that share it (copies, averages) the later one is named.
    """
    if not covariance.any():
        return {}
    ridge = RIDGE * np.quantile(np.linalg.eigvalsh(covariance), FLOOR_QUANTILE)
    ridge = max(ridge, 1e-9 * float(np.trace(covariance)))
    precision = np.linalg.inv(covariance + ridge * np.eye(len(volumes)))
    untold = 1 / np.diag(precision)
    shared = -precision * np.sqrt(np.outer(untold, untold))
    np.fill_diagonal(shared, 0)
    found: dict[int, str] = {}
    for i, j in np.argwhere(np.triu(shared) > SAME):
        found[int(volumes[j])] = f"{COPIED} {volumes[i]}: a copy or an average"
    for group in groups:
        here = np.isin(volumes, group)
        usual = float(np.median(untold[here]))
        for v, own in zip(volumes[here], untold[here], strict=True):
            if own > UNTOLD * usual:
                found.setdefault(int(v), STRANGE)
    return found
