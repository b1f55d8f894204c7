"""Which volumes are of which echo: by their echo times, or else by their brightness.

A later echo is darker everywhere, by exp(−ΔTE/T2); repeats are as bright as each other.
"""

import math
import warnings
from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from dwiser.errors import DwiserWarning

if TYPE_CHECKING:
    from dwiser.scan import Gradients

DARKER = 1.05  # of a series' lowest shell over another's; 1.1 for 10 ms of TE in white matter
LOOKED_AT = 8  # volumes of a series at most
SAME_ECHO = 1e-4  # s; scanners write echo times to a hundredth of a ms


def echo_numbers(times: Iterable[float]) -> Int[np.ndarray, "v"] | None:
    """The place of each echo time (s) among those that differ, from 1 on; None if none do."""
    rounded = np.round(np.asarray(list(times), float) / SAME_ECHO).astype(int)
    different, place = np.unique(rounded, return_inverse=True)
    return place + 1 if len(different) > 1 else None


def echoes_by_brightness(
    gradients: "Gradients", data: Float[np.ndarray, "x y z v"], axes: tuple[int, ...]
) -> "Gradients":
    """The table with the series along the fifth axis as echoes, if they differ in brightness.

    Parameters
    ----------
    gradients : of all volumes; what is known of their echoes stands.
    data : the volumes, those of the fourth axis first.
    axes : of the image, from the fourth on.
    """
    count = math.prod(axes) // axes[0]
    if count < 2 or gradients.echoes is not None or data.shape[3] != math.prod(axes):
        return gradients
    means = [
        _lowest_shell(gradients, data, slice(e * axes[0], (e + 1) * axes[0])) for e in range(count)
    ]
    object_ = means[0] > means[0].mean()
    first = float(np.median(means[0][object_])) if object_.any() else 0.0
    ratios = [float(np.median(mean[object_])) / first for mean in means] if first > 0 else []
    if all(1 / DARKER <= ratio <= DARKER for ratio in ratios):
        return gradients
    shown = ", ".join(f"{ratio:.2g}" for ratio in ratios)
    warnings.warn(
        f"The {count} series along the fifth axis are {shown} times as bright as the first: they "
        "are taken for echoes; a list of EchoTime in the sidecar would say what they are.",
        DwiserWarning,
        stacklevel=4,
    )
    table = copy(gradients)
    object.__setattr__(table, "echoes", np.repeat(np.arange(1, count + 1), axes[0]))
    return table


def _lowest_shell(
    gradients: "Gradients", data: Float[np.ndarray, "x y z v"], part: slice
) -> Float[np.ndarray, "x y z"]:
    """Mean image of a series' volumes of the lowest b-value."""
    bvals = np.where(gradients.is_b0, 0.0, gradients.bvals)[part]
    lowest = part.start + np.flatnonzero(bvals == bvals.min())[:LOOKED_AT]
    return np.nan_to_num(np.mean([data[..., v] for v in lowest], 0, dtype=float))
