"""The residual's standard deviation by shell, with little memory: for a result's record."""

import numpy as np
from jaxtyping import Bool, Float

from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual import removed
from dwiser.evaluation.usable import usable_voxels
from dwiser.machine import side_by_side
from dwiser.prepare.coils import effective_coils
from dwiser.prepare.shells import Shell, shells
from dwiser.scan import Scan


def residual_sd_by_shell(
    denoised: Float[np.ndarray, "x y z v"],
    raw: Scan,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    coils: float | int | None = None,
    *,
    threads: int = 1,
) -> list[tuple[Shell, float]]:
    """The metric ``residual.sd`` of each shell, in σ; empty where no voxel can be judged.

    The sd of (raw − denoised)/σ about its mean, over the voxels that the residual's tests use
    (`usable_voxels`): σ > 0, and not where the scanner suppressed the background. About 1 where
    all of the noise was removed. ``coils`` are the channels behind the raw magnitude, estimated
    if none are named.
    """
    channels = coils or effective_coils(raw, mask)
    dwis = np.flatnonzero(~raw.gradients.is_b0)
    try:
        usable, _ = usable_voxels(raw.data, mask, sigma, channels, dwis)
    except CannotMeasure:
        return []

    def of_volume(v: int) -> tuple[float, float]:
        (scaled,) = removed(raw.data, denoised, sigma, usable, [v])
        scaled = scaled.astype(float)
        return float(scaled.mean()), float(scaled.var())

    by_volume = list(side_by_side(of_volume, range(raw.shape[3]), threads))
    means, variances = np.array(by_volume).reshape(-1, 2).T
    rows = []
    for shell in shells(raw.gradients):
        volumes = shell.volumes
        rows.append((shell, float(np.sqrt(variances[volumes].mean() + means[volumes].var()))))
    return rows
