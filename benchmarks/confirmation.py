"""What the truth says of a verdict's reason: is the excess that it names really there?

A reason is confirmed where its own statistic, computed without noise, passes its own WARN limit:
of what the truth shows on average (the magnitude's mean) less what the denoised scan would show,
both with the true σ and the true number of channels.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dwiser.evaluation.anatomy import correlation
from dwiser.evaluation.angle_cells import COS_BINS, FA_EDGES, FEWEST_VOXELS
from dwiser.evaluation.groups import volume_groups
from dwiser.evaluation.local import with_signals
from dwiser.evaluation.residual import Residual, energy, expected_raw, whiteness
from dwiser.evaluation.verdict import (
    ANGLE,
    CORRELATION,
    DIRECTION,
    EXCESS,
    HIGH_FA,
    HIGH_FA_ANGLE,
    LONE_SPOT,
    LOST,
    NEIGHBOURS,
    SHIFT,
    SPOT,
    STRUCTURE,
    Findings,
    Reason,
)
from dwiser.prepare.moments import expected_magnitude
from dwiser.simulation import Simulation

SIGMA_LOW = 0.95  # of the true σ: "σ is too low" is then the truth
AXES = "xyz"


@dataclass(frozen=True, eq=False)
class TrueResidual:
    """What the truth says about one denoised simulated scan."""

    made: Simulation
    denoised: np.ndarray
    sigma: np.ndarray
    residual: Residual
    coils: int

    @cached_property
    def where(self) -> np.ndarray:
        return self.residual.mask

    @cached_property
    def noise(self) -> np.ndarray:
        return self.made.sigma[self.where].astype(float)[:, None]

    @cached_property
    def shown(self) -> np.ndarray:
        """(n, v): the magnitude's mean that the truth shows."""
        truth = self.made.truth[self.where].astype(float)
        return expected_magnitude(truth, np.broadcast_to(self.noise, truth.shape), self.coils)

    @cached_property
    def law(self) -> tuple[np.ndarray, np.ndarray]:
        """(n, v) each: mean and sd of a raw voxel if the denoised one is right."""
        snr = self.denoised[self.where] / self.noise
        mean, sd = expected_raw(snr, self.residual.reading, self.coils)
        return mean * self.noise, sd * self.noise

    @cached_property
    def lost(self) -> np.ndarray:
        """(n, v): what the truth shows less what the denoised scan would, in the noise's sd."""
        return (self.shown - self.law[0]) / self.law[1]

    @cached_property
    def standard(self) -> np.ndarray:
        """(n, v): the standardised residual by the true σ."""
        return (self.made.scan.data[self.where] - self.law[0]) / self.law[1]

    @property
    def sigma_ratio(self) -> float:
        """Median of the estimated over the true σ."""
        return float(np.median(self.sigma[self.where] / self.noise[:, 0]))

    def of_group(self, name: str) -> np.ndarray:
        groups = volume_groups(self.made.scan.gradients, pooled=False)
        return next(g.volumes for g in groups if g.name == name)

    def confirms(self, reason: Reason, findings: Findings) -> tuple[bool, dict[str, Any]]:
        """Whether the truth shows the excess, and its own value of the statistic."""
        own: dict[str, Any] = getattr(self, f"_{reason.code}")(reason, findings)
        return bool(own.pop("confirmed")), own

    def _shift(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        group = reason.words.split(" shifted")[0].rpartition(" ")[2]
        measured = findings.standard_mean[group]
        true = float(self.lost[:, self.of_group(group)].mean())
        right = abs(true) >= SHIFT[0] and true * measured > 0
        return {"confirmed": right, "group": group, "measured": measured, "true": true}

    def _variance(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        group = reason.words.split(":")[0].rpartition(" ")[2]
        true = energy(self.standard, self.of_group(group)).excess
        low = self.sigma_ratio <= SIGMA_LOW
        return {
            "confirmed": true >= EXCESS[0] or low, "group": group, "sigma_too_low": low,
            "measured": findings.energies[group].excess, "true": true,
        }  # fmt: skip

    def _anatomy(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        dwis = ~self.made.scan.gradients.is_b0
        mean, truth = self.lost[:, dwis].mean(1), self.made.truth[self.where][:, dwis].mean(1)
        maps = (truth, self.made.fa[self.where])
        follows = max(abs(correlation(m, t) or 0.0) for m in (mean, np.abs(mean)) for t in maps)
        structure = float(mean.std())
        right = follows >= CORRELATION[0] and structure >= STRUCTURE[0]
        return {"confirmed": right, "structure": structure, "correlation": follows}

    def _direction(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        dwis = np.flatnonzero(~self.made.scan.gradients.is_b0)
        square = np.square(self.lost[:, dwis]).mean(1)
        follows = correlation(square, self.made.fa[self.where]) or 0.0
        excess = energy(self.standard, dwis).excess
        right = follows >= DIRECTION[0] and excess >= LOST[0]
        return {"confirmed": right, "correlation": follows, "excess": excess}

    def _angle(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        """The worst row of FA that the reason names, by the true FA and fibre direction."""
        gradients = self.made.scan.gradients
        fa, v1 = self.made.fa[self.where], self.made.v1[self.where]
        row = np.searchsorted(FA_EDGES, fa, side="right") - 1
        b = float(reason.words.split("(b = ")[1].split()[0])
        cells = min(findings.angle, key=lambda cells: abs(cells.bval - b))
        low = float(reason.words.split("of FA ")[1].split("–")[0])
        named = min(range(len(FA_EDGES) - 1), key=lambda r: abs(FA_EDGES[r] - low))
        volumes = self.of_group(cells.group)
        lost = self.lost[:, volumes] * self.law[1][:, volumes] / self.noise  # σ, as measured
        cos = np.abs(v1 @ gradients.bvecs[volumes].T)
        column = np.minimum((cos * COS_BINS).astype(int), COS_BINS - 1)
        means = np.full((len(FA_EDGES) - 1, COS_BINS), np.nan)
        for r, c in np.ndindex(means.shape):
            cell = (column == c) & (row == r)[:, None]
            if cell.any() and (row == r).sum() >= FEWEST_VOXELS:
                means[r, c] = lost[cell].mean()
        shape = np.nan_to_num(means - np.nanmean(means))[named]
        limit = (HIGH_FA_ANGLE if FA_EDGES[named] >= HIGH_FA else ANGLE)[0]
        measured = np.nan_to_num(cells.mean[named] - cells.shift)
        right = np.abs(shape).max() >= limit and shape @ measured > 0
        return {
            "confirmed": bool(right), "fa": FA_EDGES[named],
            "measured": [round(float(x), 3) for x in cells.mean[named]],
            "true": [round(float(x), 3) for x in means[named]],
        }  # fmt: skip

    def _local(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        spot = next(s for s in findings.spots if f"voxel {s.place} in" in reason.words)
        grids = [np.zeros(self.made.truth.shape, np.float32) for _ in range(2)]
        for grid, values in zip(grids, (self.shown, self.law[0]), strict=True):
            grid[self.where] = values / self.law[1]
        pair = with_signals(spot, *grids, self.where)
        true = float(pair.raw or 0.0) - float(pair.denoised or 0.0)
        limit = (SPOT if len(spot.volumes) > 1 else LONE_SPOT)[0]
        right = abs(true) >= limit and true * spot.effect > 0
        return {"confirmed": right, "measured": spot.effect, "true": true}

    def _space(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        axis = reason.words.split("along ")[1][0]
        noise = self.made.scan.data[self.where] - self.shown
        true, own = getattr(whiteness(noise, self.where), axis), getattr(findings.whiteness, axis)
        beyond = own - max(true, 0.0)
        said = None if findings.noise is None else getattr(findings.noise, axis)
        return {
            "confirmed": beyond >= NEIGHBOURS, "axis": axis, "residual": own,
            "true_noise": true, "measured_noise": said,
        }  # fmt: skip

    def _volumes(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        noise = self.made.scan.data[self.where] - self.shown
        true, own = whiteness(noise, self.where).volume or 0.0, findings.whiteness.volume or 0.0
        right = abs(own - true) >= NEIGHBOURS
        return {"confirmed": right, "residual": own, "true_noise": true}

    def _unchanged(self, reason: Reason, findings: Findings) -> dict[str, Any]:
        return {"confirmed": True}
