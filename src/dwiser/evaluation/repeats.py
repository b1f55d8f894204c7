"""A reference from repeats: a denoised half of the volumes against the mean of the other half."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dwiser.evaluation.records import CannotMeasure, measured


@dataclass(frozen=True, eq=False)
class RepeatReference:
    """A reference from n repeats: its value and the variance of its own noise, voxel by voxel.

    ``kind``: "mean", the plain mean (with the Rician bias); "moment", the
    moment-corrected mean.
    """

    kind: str
    value: Float[np.ndarray, "n"]
    variance: Float[np.ndarray, "n"]


@dataclass(frozen=True)
class RepeatScore:
    """Error of a denoised half against a reference, corrected for the reference's own noise.

    excess: mean((a − reference)²) − mean(variance of the reference), below 0 only by chance;
    nrmse: sqrt(max(0, excess) / mean(reference²)); bias: mean(a − reference).
    """

    kind: str
    excess: float = measured("signal²")
    nrmse: float | None = measured("", "the reference is zero")
    bias: float = measured("signal")


def plain_mean(repeats: Float[np.ndarray, "n r"], sigma: Float[np.ndarray, "n"]) -> RepeatReference:
    """The mean over r repeats; its variance is σ²/r."""
    _enough(repeats)
    count = repeats.shape[1]
    return RepeatReference("mean", repeats.mean(1, dtype=float), sigma.astype(float) ** 2 / count)


def moment_mean(
    repeats: Float[np.ndarray, "n r"], sigma: Float[np.ndarray, "n"]
) -> RepeatReference:
    """√max(0, mean M² − 2σ²): without Rician bias; its variance by the jackknife.

    For a Rician magnitude E M² = ν² + 2σ² (Koay & Basser 2006), with σ the sd of one
    channel's Gaussian noise, which is not the sd of M near the floor.
    """
    _enough(repeats)
    count = repeats.shape[1]
    square = repeats.astype(float) ** 2
    floor = 2 * sigma.astype(float)[:, None] ** 2
    total = square.sum(1, keepdims=True)
    value = np.sqrt(np.maximum(total / count - floor, 0))[:, 0]
    left_out = np.sqrt(np.maximum((total - square) / (count - 1) - floor, 0))
    return RepeatReference("moment", value, (count - 1) * left_out.var(1))


def score(denoised: Float[np.ndarray, "n h"], reference: RepeatReference) -> RepeatScore:
    """Score h denoised volumes of n voxels against the reference from the other repeats.

    Returning the mean of all volumes wins this on an object without diffusion: read it
    beside the residual's verdict.
    """
    e = denoised.astype(float) - reference.value[:, None]
    excess = float((e**2).mean() - reference.variance.mean())
    power = float((reference.value**2).mean())
    nrmse = max(0.0, excess / power) ** 0.5 if power else None
    return RepeatScore(reference.kind, excess, nrmse, float(e.mean()))


def _enough(repeats: np.ndarray) -> None:
    if repeats.shape[1] < 2:
        raise CannotMeasure("two or more repeats are needed for a reference")
