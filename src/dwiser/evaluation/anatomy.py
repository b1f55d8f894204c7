"""Anatomy in the residual: its correlation with the signal, the signal's gradient and FA."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_gradient_magnitude

from dwiser.evaluation.groups import volume_groups
from dwiser.evaluation.main_direction import anisotropy
from dwiser.evaluation.records import CannotMeasure, measured
from dwiser.evaluation.residual import Residual
from dwiser.prepare.volume_sums import volume_sum
from dwiser.scan import Gradients

GRADIENT_SD = 1.0  # voxels; smoothing before the gradient, against noise
ENOUGH = 4  # DWIs: fewer cannot be split into two halves

_FLAT = "the residual or the map it is compared with is constant in the mask"
_NO_FA = "half of the DWIs do not determine a tensor, or there is no b0"


@dataclass(frozen=True, eq=False)
class AnatomyReference:
    """Anatomy in one half of the raw DWIs, at the n voxels of the mask; fa may be None."""

    signal: Float[np.ndarray, "n"]
    gradient: Float[np.ndarray, "n"]
    fa: Float[np.ndarray, "n"] | None


@dataclass(frozen=True)
class AnatomyCorrelation:
    """Pearson correlations over the mask of residual maps with anatomy.

    The residual comes from one half of the DWIs and the anatomy from the other half's raw
    data, whose noise is independent: shared noise cannot make a correlation. ``mean`` is the
    mean over DWIs of the standardised residual, ``size`` its absolute value, ``energy`` the
    mean square. ``structure`` is the RMS in σ of what repeats in that mean beyond noise,
    sqrt(max(0, var_x(mean) − mean_x(s²)/v)). At the noise floor the expectation depends
    strongly on σ: there a fifth of the Rician bias is subtracted from the mean's size, down to 0.
    """

    mean_signal: float | None = measured("", _FLAT)
    mean_gradient: float | None = measured("", _FLAT)
    mean_fa: float | None = measured("", _NO_FA)
    size_signal: float | None = measured("", _FLAT)
    size_gradient: float | None = measured("", _FLAT)
    size_fa: float | None = measured("", _NO_FA)
    energy_signal: float | None = measured("", _FLAT)
    energy_gradient: float | None = measured("", _FLAT)
    energy_fa: float | None = measured("", _NO_FA)
    structure: float | None = measured("σ", _FLAT)


def halves(gradients: Gradients) -> tuple[np.ndarray, np.ndarray]:
    """Every other DWI of each shell, and the rest.

    Raises
    ------
    CannotMeasure
        For fewer than four DWIs.
    """
    shells = [g.volumes for g in volume_groups(gradients, pooled=False) if not g.is_b0]
    first = np.sort(np.concatenate([np.zeros(0, int), *(s[::2] for s in shells)]))
    second = np.sort(np.concatenate([np.zeros(0, int), *(s[1::2] for s in shells)]))
    if len(first) + len(second) < ENOUGH or not len(second):
        raise CannotMeasure(f"fewer than {ENOUGH} DWIs cannot be split into two halves")
    return first, second


def reference(
    raw: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    half: np.ndarray,
    mask: Bool[np.ndarray, "x y z"],
) -> AnatomyReference:
    """Mean DWI, its gradient magnitude and FA (OLS tensor) from one half of the raw DWIs."""
    mean = volume_sum(raw, half) / len(half)
    gradient = gaussian_gradient_magnitude(mean, GRADIENT_SD)
    with_b0 = np.sort(np.concatenate([np.flatnonzero(gradients.is_b0), half]))
    try:
        fa = anisotropy(raw, gradients, mask, with_b0)
    except CannotMeasure:
        fa = None
    return AnatomyReference(mean[mask], gradient[mask], fa)


def anatomy(
    residual: Residual,
    raw_anatomy: AnatomyReference,
    half: np.ndarray,
    doubt: Float[np.ndarray, "n"] | float | int = 0,
) -> AnatomyCorrelation:
    """Correlations of the residual of the other ``half`` of the DWIs with the raw anatomy.

    ``doubt`` is the DWIs' `floor_doubt`, in the noise's sd.
    """
    mean, square = (np.zeros(len(residual.standard)) for _ in range(2))
    for v in half:  # a volume at a time, for memory
        mean += residual.standard[:, v]
        square += np.square(residual.standard[:, v])
    mean, square = mean / len(half), square / len(half)
    noise = (square - mean**2).mean() / (len(half) - 1) if len(half) > 1 else 0.0
    mean = np.sign(mean) * np.maximum(np.abs(mean) - doubt, 0)
    structure = max(0.0, float(mean.var() - noise)) ** 0.5
    maps = {"signal": raw_anatomy.signal, "gradient": raw_anatomy.gradient, "fa": raw_anatomy.fa}
    residuals = {"mean": mean, "size": np.abs(mean), "energy": square}
    correlations = {
        f"{kind}_{name}": correlation(values, map_)
        for kind, values in residuals.items()
        for name, map_ in maps.items()
    }
    return AnatomyCorrelation(**correlations, structure=structure)


def correlation(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"] | None) -> float | None:
    """Pearson's correlation, None where one side is missing or constant."""
    if b is None or len(a) < 3:
        return None
    x, y = a - a.mean(), b - b.mean()
    power = float(x @ x) * float(y @ y)
    return float(x @ y) / power**0.5 if power > 0 else None
