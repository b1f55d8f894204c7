"""What splitq works on: the mask's voxels in units of noise and their subspace."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.machine import side_by_side
from dwiser.memmap import writable_copy
from dwiser.methods.base import Denoised, need_volumes, warn_of_no_noise
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.splitq.arrays import slices
from dwiser.prepare.complex import channels_of, real_scan
from dwiser.prepare.mask import object_mask, voxels_in
from dwiser.prepare.moments import NONE, magnitude_sd
from dwiser.prepare.noise import noise_by_volume, sigma_map
from dwiser.prepare.noise_correlation import NoiseCorrelation, spatial_noise
from dwiser.prepare.outlier_volumes import find_outlier_volumes
from dwiser.prepare.phase import WINDOW, Rephasing
from dwiser.prepare.rician_bias import signal_power
from dwiser.prepare.splits import Groups
from dwiser.prepare.subspace import (
    FEWEST_SHARED,
    SignalSubspace,
    fit_subspace,
    grouped,
    second_moment,
    truncation_loss,
)
from dwiser.scan import Gradients, Scan

FEWEST_AXES = 2  # that are longer than a voxel: a patch along a row is as wide as few voxels
FEWEST_VOXELS = 4  # of a mask, for σ: in 1 to 3 signal is taken for noise, up to 20 times too high
NO_NOISE = 1e-4  # of the mean signal: a simulated scan without noise, or one denoised to bits
BREAK_EVEN = 2.0  # variance outside the subspace over the noise's: signal lost is noise removed
SIGMA_FLOOR = 1e-3  # of the median σ: a map that a user gives may hold zeros
LEAST_EXTRA_VOXELS = 100  # voxels more than volumes: a partial correlation's sd is then 0.1
NEARLY_WHITE = 0.1  # correlation of adjacent voxels below which nothing changes; measured to 0.03
PASSED = 0.3  # of the coordinates' noise passes the local estimates, its sd
PASSED_OF_FEW = 0.4  # the same of magnitudes that share no subspace: few, whose errors are alike
CHUNK = 8192  # voxels at once
WIDE = 32_768  # voxels of one volume at once
EVERYWHERE = slice(None)
FEWEST_HELD_OUT = 20  # volumes that share a subspace, to learn by holding out where σ is no guide
RUN, RIM = 12, 2  # slices in a run that is learned on; the outermost two have no neighbours


@dataclass(eq=False)
class WhitenedScan:
    """A scan made ready, n voxels of a mask and its V volumes.

    Parameters
    ----------
    y : (n, V) float32, (x − mean)/σ.
    mean : (V,) over the mask, in the data's units.
    scale : (V,) sd of each volume's noise, in σ; the subspace is that of y/scale.
    subspace : what the volumes have in common; None where too few share anything.
    alone : {volume: why it is a channel of its own}; all of them where nothing is shared, which
        ``no_subspace`` says why.
    phase_record : of the phase, if there is one.
    outliers : {volume: how it stands apart} from the others of its shell.
    axes : (L, L), orthonormal: what the lone volumes' weights go along; None for themselves.
    measured : the correlation of neighbouring voxels' noise.
    contradicted : whether the noise is not what σ and ``measured`` say, as Stein's risk showed.
    sigma_given : whether the user gave σ.
    """

    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    coils: float
    y: Float[np.ndarray, "n v"]
    mean: Float[np.ndarray, "v"]
    scale: Float[np.ndarray, "v"]
    subspace: SignalSubspace | None
    groups: Groups
    alone: dict[int, str]
    phase_record: dict[str, Any]
    axes: Float[np.ndarray, "l l"] | None = None
    outliers: dict[int, str] = field(default_factory=dict)
    no_subspace: str | None = None
    measured: NoiseCorrelation | None = None
    contradicted: bool = False
    sigma_given: bool = False

    @cached_property
    def sigma_inside(self) -> Float[np.ndarray, "n"]:
        """σ at the mask's voxels."""
        return self.sigma[self.mask]

    @property
    def correlation(self) -> NoiseCorrelation | None:
        """``measured``, or None where it is as good as white."""
        known = self.measured
        if known is None or np.abs(known.neighbours).max() < NEARLY_WHITE:
            return None
        return known

    def take_y(self) -> Float[np.ndarray, "n v"]:
        """y, released here: it is as large as the mask's share of the scan, to save memory."""
        y, self.y = self.y, np.empty((0, len(self.mean)), self.y.dtype)
        return y

    @property
    def rank(self) -> int:
        return 0 if self.subspace is None else self.subspace.rank

    @property
    def noise(self) -> float:
        """The variance of the noise in every channel; near 1."""
        return 1.0 if self.subspace is None else self.subspace.noise

    @property
    def lone(self) -> Int[np.ndarray, "l"]:
        """The volumes that are channels of their own."""
        return np.array(sorted(self.alone), int)

    @property
    def passed(self) -> float:
        """A typical error of the estimate over the noise: what passes of K coordinates' in V.

        0 where σ cannot be trusted to tell it.
        """
        if self.contradicted:
            return 0.0
        few = self.subspace is None and self.coils != NONE
        part = PASSED_OF_FEW if few else PASSED
        return part * float(np.sqrt((self.rank + len(self.alone)) / len(self.mean)))

    def magnitudes(
        self, estimate: Float[np.ndarray, "n v"], volume: int | np.integer, part: slice = EVERYWHERE
    ) -> Float[np.ndarray, "m"]:
        """A volume's mean magnitudes in the data's units at ``part`` of the mask's voxels.

        The estimate is of all of these, in units of y.
        """
        mean = np.float32(self.mean[volume])
        return estimate[part, volume] * self.sigma_inside[part] + mean

    def power_of(
        self, estimate: Float[np.ndarray, "n v"], volumes: Int[np.ndarray, "m"], threads: int = 1
    ) -> Float[np.ndarray, "n"]:
        """The signal's mean square in σ² over a shell's volumes, from an estimate in units of y."""

        def of(part: slice) -> Float[np.ndarray, "c"]:
            sigma = self.sigma_inside[part]
            power = np.zeros(len(sigma), np.float32)
            for v in volumes:
                mean = self.magnitudes(estimate, v, part)
                power += signal_power(mean, sigma, self.coils) / np.float32(len(volumes))
            return power

        return np.concatenate(list(side_by_side(of, slices(len(estimate), WIDE), threads)))

    def spread_of(
        self,
        estimate: Float[np.ndarray, "m *v"],
        volume: int | slice,
        part: slice = EVERYWHERE,
    ) -> Float[np.ndarray, "m *v"]:
        """sd in σ of magnitudes whose mean is ``estimate``, in units of y.

        The estimate is of one volume (m,) or of some (m, v), at ``part`` of the mask's voxels.
        """
        mean = np.divide.outer(self.mean[volume], self.sigma_inside[part]).T
        theta = estimate + mean.astype(np.float32)
        return magnitude_sd(np.ones_like(theta), theta, self.coils)

    def into(self, chosen: Bool[np.ndarray, "m"]) -> tuple[np.ndarray, np.ndarray]:
        """How y becomes channels of white noise, and how these turn along the components.

        ``chosen`` are those of the subspace's volumes that may be used. y @ matrix (V, K+L) are
        the K coordinates they give and the L lone volumes; root (K+L, K+L) turns the former.
        """
        width = self.rank + len(self.alone)
        matrix, root = np.zeros((len(self.mean), width)), np.eye(width)
        if self.subspace is not None:
            rank, volumes = self.rank, self.subspace.volumes
            matrix[volumes, :rank], root[:rank, :rank] = self.subspace.coordinates(chosen)
        matrix[self.lone, np.arange(self.rank, width)] = self.noise**0.5
        if self.axes is not None:
            root[self.rank :, self.rank :] = self.axes
        return matrix / self.scale[:, None], root

    @property
    def back(self) -> Float[np.ndarray, "c v"]:
        """From clean channels, turned along the components, to y."""
        matrix = np.zeros((self.rank + len(self.alone), len(self.mean)))
        if self.subspace is not None:
            matrix[: self.rank, self.subspace.volumes] = self.subspace.components.T
        axes = np.eye(len(self.alone)) if self.axes is None else self.axes
        matrix[self.rank :, self.lone] = axes.T * self.noise**-0.5
        return matrix * self.scale

    @property
    def not_shared(self) -> dict[int, str]:
        """The volumes that others share a subspace without; none where nothing is shared."""
        return {} if self.no_subspace is not None else self.alone

    def record(self) -> dict[str, Any]:
        """What was measured, for the sidecar."""
        record: dict[str, Any] = {
            "rank": self.rank,
            "noise_over_sigma": round(self.noise**0.5, 4),
            **self.phase_record,
        }
        if self.no_subspace is not None:
            record["no_subspace"] = self.no_subspace
        if self.correlation is not None:
            record["noise_correlation"] = [round(r, 3) for r in self.correlation.neighbours]
        if self.subspace is not None:
            ratio = self.subspace.signal / self.noise
            record["component_snr"] = [round(float(r), 2) for r in ratio]
        return record


def whiten(
    scan: Scan, seed: int, *, name: str, able: Capabilities, fewest_shared: int,
    coils: float | None, threads: int = 1, rephasing: Rephasing = WINDOW,
) -> WhitenedScan | None:  # fmt: skip
    """Mask, σ, channels, subspace and the volumes outside it; None where there is no noise.

    Warns of volumes that stand apart, and where too few share a subspace.
    """
    need_volumes(scan, name, able)
    if sum(n > 1 for n in scan.shape[:3]) < FEWEST_AXES:
        raise InputError(
            f"The image is a row of voxels ({max(scan.shape[:3])} long), and {name} learns from a "
            "slice at least: give a slice or more.",
            code=Code.SCAN_TOO_SMALL,
        )
    if scan.gradients.is_b0.all():  # repeats of one image, in which few tell what they share
        fewest_shared = min(fewest_shared, FEWEST_SHARED)
    mask = object_mask(scan, threads=threads)
    if mask.sum() < FEWEST_VOXELS and scan.sigma is None:
        raise InputError(
            f"The mask has fewer than {FEWEST_VOXELS} voxels, in which noise cannot be told from "
            "signal: give a larger mask, or the noise's sd (σ) as a map.",
            code=Code.SCAN_TOO_SMALL,
        )
    phase_record: dict[str, Any] = {}
    if scan.phase is not None:
        scan, phase_record = real_scan(scan, scan.phase, mask, rephasing)
    of_noise: tuple[Callable[[], Any], ...] = (
        partial(spatial_noise, scan.data, mask),
        partial(channels_of, scan, mask, coils, threads=threads),
    )
    spatial, channels = side_by_side(lambda measure: measure(), of_noise, threads)
    sigma = sigma_map(scan, mask, coils=channels, threads=threads, spatial=spatial)
    y = voxels_in(scan.data, mask, threads)  # a copy: what follows works in place, for memory
    typical, mean = float(np.median(sigma[mask])), y.mean(0, dtype=np.float64)
    if typical <= NO_NOISE * mean.mean():
        return None
    sigma = np.maximum(sigma, np.float32(SIGMA_FLOOR * typical))
    noise, centre = sigma[mask][:, None], mean.astype(np.float32)

    def standardise(part: slice) -> None:
        y[part] -= centre
        y[part] /= noise[part]

    list(side_by_side(standardise, slices(len(y), CHUNK), threads))
    scale = noise_by_volume(scan, mask, sigma, channels, threads=threads)
    covariance = second_moment(y) / np.outer(scale, scale)
    groups, alone, outliers = _shared(covariance, len(y), scan.gradients, fewest_shared)
    subspace = fit_subspace(covariance, len(y), groups, seed) if groups else None
    why = _unfit(subspace, covariance, bool(groups), fewest_shared)
    if why is not None:
        groups, subspace, alone = (), None, dict.fromkeys(range(scan.shape[3]), why)
        warnings.warn(
            f"{why[0].upper()}{why[1:]}: {name} holds no volume out, works on all of them at once "
            "and learns its weights by Stein's risk.",
            DwiserWarning,
            stacklevel=4,
        )
    return WhitenedScan(
        mask, sigma, channels, y, mean, scale, subspace, groups, alone, phase_record,
        outliers=outliers, no_subspace=why, measured=spatial.correlation,
        sigma_given=scan.sigma is not None,
    )  # fmt: skip


def share_subspace(whitened: WhitenedScan, gradients: Gradients, fewest: int, seed: int) -> bool:
    """Give a scan the subspace that it has none of, if ``fewest`` volumes share one.

    For a scan whose noise is not what was measured of it: that is noted.
    """
    covariance = second_moment(whitened.y) / np.outer(whitened.scale, whitened.scale)
    groups, alone, outliers = _shared(covariance, len(whitened.y), gradients, fewest)
    subspace = fit_subspace(covariance, len(whitened.y), groups, seed) if groups else None
    if _unfit(subspace, covariance, bool(groups), fewest) is not None:
        return False
    whitened.subspace, whitened.groups, whitened.alone = subspace, groups, alone
    whitened.outliers, whitened.no_subspace = outliers, None
    whitened.contradicted = True
    return True


def _unfit(
    subspace: SignalSubspace | None,
    covariance: Float[np.ndarray, "v v"],
    grouped: bool,
    fewest: int,
) -> str | None:
    """Why nothing can be learned across directions; None if it can."""
    if not grouped:
        return f"fewer than {fewest} volumes share a subspace"
    if subspace is None:
        return "the volumes share no component"
    if truncation_loss(subspace, covariance) > BREAK_EVEN:
        return "the subspace would lose more signal than it removes noise"
    return None


def _shared(
    covariance: Float[np.ndarray, "v v"], voxels: int, gradients: Gradients, fewest: int
) -> tuple[Groups, dict[int, str], dict[int, str]]:
    """Groups of volumes that may share a subspace, none if too few; the others with the reason.

    Third, those of the others that stand apart from their shell.
    """
    groups, alone = grouped(gradients)
    apart: dict[int, str] = {}
    if sum(len(g) for g in groups) >= fewest:
        volumes = np.sort(np.concatenate(groups))
        if voxels - len(volumes) >= LEAST_EXTRA_VOXELS:
            apart = find_outlier_volumes(covariance[np.ix_(volumes, volumes)], volumes, groups)
        groups, ungrouped = grouped(gradients, apart=tuple(apart))
        alone = ungrouped | apart
    return (groups if sum(len(g) for g in groups) >= fewest else ()), alone, apart


def inner_slices(
    mask: Bool[np.ndarray, "x y z"], most: int
) -> tuple[Bool[np.ndarray, "x y z"], Bool[np.ndarray, "x y z"]]:
    """A part of the mask to learn on, about ``most`` voxels, and where in it to trust.

    The whole mask if it is small enough; otherwise runs of slices spread along z, whose rims
    are not trusted: the estimates there lack their neighbours.
    """
    if mask.sum() <= most:
        return mask, mask
    slices = np.flatnonzero(mask.any((0, 1)))  # of a part of the field, where the mask is
    depth = len(slices)
    runs = max(1, round(depth * most / float(mask.sum()) / RUN))
    chosen, trusted = np.zeros(mask.shape[2], bool), np.zeros(mask.shape[2], bool)
    for middle in (np.arange(runs) + 0.5) * depth / runs:
        low = int(np.clip(middle - RUN / 2, 0, max(0, depth - RUN)))
        run, last = slices[low : low + RUN], low + RUN >= depth
        chosen[run] = True
        trusted[run[(RIM if low else 0) : len(run) - (0 if last else RIM)]] = True
    return mask & chosen, mask & trusted


def as_it_is(scan: Scan, name: str) -> Denoised:
    """The scan unchanged, with a warning that it has no noise."""
    warn_of_no_noise(name)
    mask = object_mask(scan)
    passed = dict.fromkeys(range(scan.shape[3]), "no noise found")
    nothing = np.zeros(mask.shape, np.float32)
    return Denoised(writable_copy(scan.data), nothing, mask=mask, passed_through=passed)
