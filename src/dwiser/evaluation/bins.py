"""Errors by anisotropy: what is right on average can be wrong where fibres run alike.

In bins of the true FA every estimator that shrinks is pulled to the mean at both ends. In bins of
the FA of an independent noisy draw of the same truth that pull is shared with the noisy scan, so
what differs between methods there is theirs.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.evaluation.records import Absent, Metric, Row
from dwiser.evaluation.tensor import RANGES, UNITS, TensorMaps, angles, fit_tensor
from dwiser.scan import Gradients
from dwiser.seeds import stream
from dwiser.simulation.acquire import NoiseModel, acquire

FA_EDGES = (0.0, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0)  # isotropic, grey, …, one fibre alone


def bin_names(edges: Sequence[float]) -> tuple[str, ...]:
    """Such as "FA 0.45-0.70"."""
    return tuple(f"FA {low:.2f}-{high:.2f}" for low, high in pairwise(edges))


FA_BINS = bin_names(FA_EDGES)
ENOUGH = 30  # voxels: an RMSE of fewer is uncertain by more than an eighth


def fa_bins(
    fa: Float[np.ndarray, "n"], edges: Sequence[float] = FA_EDGES
) -> dict[str, Int[np.ndarray, "m"]]:
    """The voxels of each bin between ``edges``, by name such as "FA 0.45-0.70"; some may be empty.

    A bin holds its lower edge; the last also FA 1 and what noise put above it.
    """
    which = np.digitize(fa, edges[1:-1])
    return {name: np.flatnonzero(which == i) for i, name in enumerate(bin_names(edges))}


def binned_rows(
    fitted: TensorMaps,
    true: TensorMaps,
    by: Float[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
    prefix: str = "",
) -> Iterator[Row]:
    """RMSE and bias of FA, MD, RD and AD, angle of V1, and voxels, by bins of the FA map ``by``.

    Groups are named as by `fa_bins`, after ``prefix``; a bin of fewer than 30 voxels of the mask
    is absent.
    """
    angle = angles(fitted.v1[mask], true.v1[mask])
    errors = {name: (getattr(fitted, name) - getattr(true, name))[mask] for name in RANGES}
    for name, voxels in fa_bins(by[mask]).items():
        group = prefix + name
        if len(voxels) < ENOUGH:
            words = f"{len(voxels)} voxels of the mask have such an FA, fewer than {ENOUGH}"
            yield Absent("tensor", group, words)
            continue
        for metric, error in errors.items():
            e, unit = error[voxels], UNITS[metric]
            yield Metric(f"{metric}.rmse", group, float(np.sqrt((e**2).mean())), unit)
            yield Metric(f"{metric}.bias", group, float(e.mean()), unit)
        turn = angle[voxels]
        yield Metric("v1.angle.median", group, float(np.median(turn)), "°")
        yield Metric("v1.angle.p95", group, float(np.percentile(turn, 95)), "°")
        yield Metric("tensor.voxels", group, float(len(voxels)))


def drawn_fa(
    truth: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    noise: NoiseModel,
    seed: int,
) -> Float[np.ndarray, "x y z"]:
    """FA (DIPY's WLS) of another noisy draw of the same truth; 0 outside the mask.

    ``noise`` is the scan's model and ``sigma`` its map; the draw's noise is independent of the
    one that ``seed`` itself would give, so the scan's own seed may be used.
    """
    other = int(stream(seed, "independent draw").integers(2**31))
    noisy, _ = acquire(truth, sigma, noise, other)
    return fit_tensor(noisy, gradients, mask).fa
