"""Volumes computed from others of the series: means and trace images have no noise of their own.

A scanner may put the mean of a shell's directions, arithmetic or geometric (the trace image), at
the end of the series. To an estimator its noise, shared with all of them, is signal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dwiser.prepare.shells import shells
from dwiser.prepare.volume_sums import count_above_zero
from dwiser.scan import Gradients

MOST = 5_000  # pairs of neighbours that are looked at
FEWEST = 50
NEAR = 0.25  # of the distance that the set's own volumes have from their mean
UNEXPLAINED = 0.1  # of the median, below which a volume may be made of others
MEMBER = 0.5  # of the largest share among those that a volume is made of
RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Differences:
    """Voxels and their neighbours along x, which differ by little else than noise.

    ``here``, ``beside`` : (N, V) float, 0 in volumes that were not asked for.
    """

    here: Float[np.ndarray, "n v"]
    beside: Float[np.ndarray, "n v"]

    @classmethod
    def of(cls, data: Float[np.ndarray, "x y z v"], volumes: Int[np.ndarray, "m"]) -> "Differences":
        """Of voxels that are not 0 in these volumes, evenly from all of the field of view."""
        usual = count_above_zero(data, volumes) > 0.5 * len(volumes)
        pairs = np.argwhere(usual[:-1] & usual[1:])
        pairs = pairs[:: max(1, -(-len(pairs) // MOST))]
        here = np.zeros((len(pairs), data.shape[3]))
        beside = here.copy()
        first = np.ravel_multi_index(tuple(pairs.T), usual.shape, order="F")
        for v in volumes:  # one at a time, for memory where the scan is mapped
            volume = np.asarray(data[..., v]).ravel("F")
            here[:, v], beside[:, v] = volume.take(first), volume.take(first + 1)  # along x
        return cls(here, beside)

    def step(self, v: int) -> Float[np.ndarray, "n"]:
        """Volume v's difference between the neighbours."""
        return self.here[:, v] - self.beside[:, v]


@dataclass(frozen=True, eq=False)
class SetMean:
    """The mean of some volumes at voxels and their neighbours, any one of them left out.

    ``total`` : (2, N) sums over the volumes, of logarithms where the mean is ``geometric``.
    ``spread`` : the median distance of the volumes from the mean of the others.
    """

    members: tuple[int, ...]
    values: Float[np.ndarray, "2 n v"]
    total: Float[np.ndarray, "2 n"]
    geometric: bool

    @classmethod
    def of(cls, differences: Differences, members: Sequence[int], geometric: bool) -> "SetMean":
        both = differences.here, differences.beside
        values = np.stack([part.T.copy() for part in both]).mT  # a volume's lie together
        if geometric:
            with np.errstate(divide="ignore"):  # a zero makes the mean zero
                logs = np.log(values.clip(0))
            return cls(tuple(members), values, logs[..., list(members)].sum(-1), True)
        return cls(tuple(members), values, values[..., list(members)].sum(-1), False)

    def without(self, v: int) -> Float[np.ndarray, "2 n"]:
        """The mean of the members but v."""
        if v not in self.members:
            mean = self.total / len(self.members)
        else:
            own = self.values[..., v]
            if self.geometric:
                with np.errstate(divide="ignore", invalid="ignore"):
                    own = np.log(own.clip(0))
            with np.errstate(invalid="ignore"):
                mean = (self.total - own) / (len(self.members) - 1)
        return np.nan_to_num(np.exp(mean)) if self.geometric else mean

    def distance(self, v: int) -> float:
        """Median size of what the scaled mean leaves of a volume's differences."""
        own, (here, beside) = self.values[..., v], self.without(v)
        scale = float(own[0] @ here) / max(float(here @ here), 1e-30)
        return float(np.median(np.abs(own[0] - own[1] - scale * (here - beside))))

    @property
    def spread(self) -> float:
        """The members' median distance from the mean of the others."""
        return float(np.median([self.distance(u) for u in self.members]))


def computed_volumes(
    differences: Differences, volumes: Int[np.ndarray, "m"], gradients: Gradients
) -> dict[int, str]:
    """Which of ``volumes`` are means of others, and of how many.

    Notes
    -----
    A measurement differs from the mean of others by its own noise, as those do among each other;
    a computed volume by rounding. The distance is the median over neighbouring voxels of what is
    left of the difference between them, so that neither edges nor contrast between directions,
    which a mean lacks, count much. Sets that are tried: the b0s, every shell, all DWIs, and
    those that a regression makes the volume of, where little of it is unexplained.
    """
    computed: dict[int, str] = {}
    rest = [int(v) for v in volumes]
    if len(differences.here) < FEWEST:
        return computed
    while len(rest) > 2:
        nearest = _nearest_to_a_mean(differences, rest, gradients)
        if nearest is None:
            break
        volume, computed[volume] = nearest
        rest.remove(volume)
    return computed


def _nearest_to_a_mean(
    differences: Differences, rest: list[int], gradients: Gradients
) -> tuple[int, str] | None:
    """The volume that is nearest to a mean of others, and what it is."""
    best, least = None, NEAR
    for members, volumes in _sets(differences, rest, gradients):
        spread = max(SetMean.of(differences, members, False).spread, 1e-30)
        for kind in ("arithmetic", "geometric"):
            mean = SetMean.of(differences, members, kind == "geometric")
            for v in volumes:
                near = mean.distance(v) / spread
                if near < least:
                    count = len(members) - (v in members)
                    best, least = (v, f"the {kind} mean of {count} others"), near
    return best


def _sets(
    differences: Differences, rest: list[int], gradients: Gradients
) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Volumes, and others that may be the mean of them."""
    sets = [shell.volumes.tolist() for shell in shells(gradients)]
    sets.append(np.flatnonzero(~gradients.is_b0).tolist())
    for members in dict.fromkeys(tuple(v for v in members if v in rest) for members in sets):
        if len(members) >= 2:
            yield members, [v for v in rest if len(members) > 2 or v not in members]
    for v, explaining in _explained(differences, rest):
        yield explaining, [v]


def near_copies(
    differences: Differences, volumes: Int[np.ndarray, "m"]
) -> dict[int, tuple[int, float]]:
    """Which of ``volumes`` repeat an earlier one but for rounding and scale: it, and the scale.

    Notes
    -----
    Two measurements differ by twice a volume's noise at least, which is no more than what the
    others leave unexplained of a volume. A copy differs by a 32nd of that, or less; and so at
    most voxels, since a few that outshine all others would make all volumes alike.
    """
    rest = [int(v) for v in volumes]
    covariance = _covariance(differences, rest)
    if covariance is None:
        return {}
    power = np.diag(covariance)
    noise = float(np.median(_unexplained(covariance) * power))
    apart = power[:, None] - np.square(covariance) / power.clip(1e-30)  # of row v, by column u
    copies: dict[int, tuple[int, float]] = {}
    for v, u in np.argwhere(np.tril(apart < NEAR**2 * noise, -1)):
        scale = float(covariance[v, u] / power[u])
        own, first = differences.step(rest[v]), differences.step(rest[u])
        near = np.median(np.abs(own - scale * first)) < NEAR * np.median(np.abs(own))
        if near and scale > 0 and rest[u] not in copies:
            copies.setdefault(rest[v], (rest[u], scale))
    return copies


def _covariance(differences: Differences, rest: list[int]) -> Float[np.ndarray, "m m"] | None:
    """Second moments of the volumes' differences; None from too few."""
    steps = differences.here[:, rest] - differences.beside[:, rest]
    if len(steps) < max(FEWEST, 4 * len(rest)):
        return None
    covariance: Float[np.ndarray, "m m"] = steps.T @ steps / len(steps)
    return covariance


def _unexplained(covariance: Float[np.ndarray, "m m"]) -> Float[np.ndarray, "m"]:
    """The share of each volume's power that the others do not explain."""
    return 1 / np.diag(_precision(covariance))


def _precision(covariance: Float[np.ndarray, "m m"]) -> Float[np.ndarray, "m m"]:
    """The inverse of the volumes' correlation."""
    scale = np.sqrt(np.diag(covariance).clip(1e-30))
    return np.linalg.inv(covariance / np.outer(scale, scale) + RIDGE * np.eye(len(covariance)))


def _explained(differences: Differences, rest: list[int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Volumes that the others explain to less than noise, and the main ones that do."""
    covariance = _covariance(differences, rest)
    if covariance is None:
        return
    precision, scale = _precision(covariance), np.sqrt(np.diag(covariance).clip(1e-30))
    unexplained = 1 / np.diag(precision)
    for i in np.flatnonzero(unexplained < UNEXPLAINED * np.median(unexplained)):
        shares = -precision[i] / precision[i, i] * scale[i] / scale
        shares[i] = 0
        members = [rest[k] for k in np.flatnonzero(shares > MEMBER * shares.max())]
        if len(members) >= 2:
            yield rest[i], tuple(members)
