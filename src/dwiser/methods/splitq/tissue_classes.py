"""Classes of voxels that have weights of their own where volumes are few.

By FA, as elsewhere, and by how much of the signal diffusion leaves: tissues of the same FA differ
in how smooth they are, in what b0s say of them, and in what a scanner does to them. The ends of
that scale are the scan's own, so that it fits any b-value, body and sample.
"""

import numpy as np
from jaxtyping import Float, Int

from dwiser.methods.splitq.angular_response import UNKNOWNS, tents
from dwiser.methods.splitq.restoring import CLASS_KNOTS, ResponseModel

KNOTS = 4  # of the attenuation
ENDS = 5.0, 95.0  # per cent of the raw voxels' attenuation below the first and the last


def attenuation_knots(model: ResponseModel) -> Float[np.ndarray, "k"]:
    """Where the classes by attenuation stand, evenly spaced; none without b0s or a shell.

    From the raw values of voxels that show more than noise alone. None either where a tensor fits
    all volumes exactly, noise too: classes by FA are blurred enough there.
    """
    if not model.shells or not len(model.b0s) or len(model.fitted) <= UNKNOWNS:
        return np.zeros(0)
    y, everywhere = model.whitened.y, slice(None)
    bright = model.bright(y, everywhere)
    if not bright.any():
        return np.zeros(0)
    low, high = np.percentile(model.attenuation(y, everywhere)[bright], ENDS)
    return np.linspace(low, high, KNOTS) if high > low else np.zeros(0)


def families(model: ResponseModel, knots: Float[np.ndarray, "k"]) -> Int[np.ndarray, "s"]:
    """Which of `tissue_classes` are of one FA: the number of each class's family."""
    by_fa = model.class_count - 1
    apart = np.arange(model.class_count + 1)
    return np.repeat(apart, [max(1, len(knots))] * by_fa + [1, 1])


def tissue_classes(
    model: ResponseModel,
    knots: Float[np.ndarray, "k"],
    values: Float[np.ndarray, "n v"],
    rows: slice | np.ndarray,
) -> Float[np.ndarray, "n s"]:
    """Shares of the mask's voxels ``rows`` in classes, 1 in all; ``values`` in units of y.

    Each class of FA times each of attenuation, then the faint, and last the voxels that show
    noise alone: a mask made without help holds a rim of these, and fluid is not to be weighted as
    they are. Without ``knots`` by FA alone.
    """
    bright = model.bright(values, rows)[:, None].astype(np.float32)
    shares = model.classes(values, rows)
    if len(knots):
        by_fa, faint = np.split(shares, [len(CLASS_KNOTS)], 1)
        by_rest = tents(model.attenuation(values, rows), knots)
        both = (by_fa[:, :, None] * by_rest[:, None]).reshape(len(values), -1)
        shares = np.concatenate([both, faint], 1)
    return np.concatenate([shares * bright, 1 - bright], 1)
