"""What each volume of a series is to an estimate: measured, or without noise of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int

from dwiser.gradient_lengths import volume_runs

EMPTY = "empty (all zero)"
CONSTANT = "constant"
NOISE = "noise alone"
Region = Bool[np.ndarray, "x y z"]


@dataclass(frozen=True, eq=False)
class VolumeRoles:
    """Which volumes are measurements, and what the others are; all are counted from 0.

    Parameters
    ----------
    count : how many volumes the series has.
    unchanged : volumes that hold no measurement of the object, and what each is: empty,
        constant, computed from others, or noise alone. They are part of no estimate.
    copies : volumes that repeat an earlier one, and which.
    scales : of copies that are brighter or darker than it, by how much.
    noise_ratio : of measurements whose noise differs from the others', how many times that it is.
    empty_regions : volumes with places that hold no data, (X, Y, Z) each.
    noise : those of ``unchanged`` that hold noise alone.
    """

    count: int
    unchanged: Mapping[int, str] = field(default_factory=dict)
    copies: Mapping[int, int] = field(default_factory=dict)
    empty_regions: Mapping[int, Region] = field(default_factory=dict)
    noise: tuple[int, ...] = ()
    scales: Mapping[int, float] = field(default_factory=dict)
    noise_ratio: Mapping[int, float] = field(default_factory=dict)

    @property
    def measured(self) -> Int[np.ndarray, "m"]:
        """The volumes that take part in estimates and are denoised, in series order."""
        aside = {*self.unchanged, *self.copies}
        return np.array([v for v in range(self.count) if v not in aside], int)

    @property
    def complete(self) -> Int[np.ndarray, "n"]:
        """Those of `measured` that hold data everywhere; all of them where these are few."""
        complete = np.array([v for v in self.measured if v not in self.empty_regions], int)
        return complete if 2 * len(complete) >= len(self.measured) else self.measured

    @property
    def plain(self) -> bool:
        """Whether every volume is a measurement of its own, with data everywhere."""
        return not (self.unchanged or self.copies or self.empty_regions or self.noise_ratio)

    def noise_ratios(self, volumes: Int[np.ndarray, "m"]) -> dict[int, float]:
        """``noise_ratio`` by the place of a volume among ``volumes``."""
        known = self.noise_ratio
        return {place: known[v] for place, v in enumerate(volumes.tolist()) if v in known}

    def part(self, volumes: slice) -> "VolumeRoles":
        """The roles of some volumes, counted from the first of these.

        A copy of a volume outside of them is a measurement there.
        """
        low, high, _ = volumes.indices(self.count)
        inside = range(low, high)
        return VolumeRoles(
            high - low,
            {v - low: what for v, what in self.unchanged.items() if v in inside},
            {v - low: f - low for v, f in self.copies.items() if v in inside and f in inside},
            {v - low: region for v, region in self.empty_regions.items() if v in inside},
            tuple(v - low for v in self.noise if v in inside),
            {v - low: scale for v, scale in self.scales.items() if v in inside},
            {v - low: ratio for v, ratio in self.noise_ratio.items() if v in inside},
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a user is told of each kind, a sentence each."""
        by_kind: dict[str, list[int]] = {}
        for volume, what in sorted(self.unchanged.items()):
            by_kind.setdefault(what, []).append(volume)
        lines = [
            f"{_volumes(volumes)} {'is' if len(volumes) == 1 else 'are'} {what}: left out of every "
            f"estimate, {'it comes' if len(volumes) == 1 else 'they come'} back unchanged."
            for what, volumes in by_kind.items()
        ]
        if self.copies:
            copies, firsts = sorted(self.copies), sorted(set(self.copies.values()))
            are = "is a copy" if len(copies) == 1 else "are copies"
            receive = "it receives" if len(copies) == 1 else "they receive"
            result = "that one's result" if len(firsts) == 1 else "the results of those"
            lines.append(f"{_volumes(copies)} {are} of {ranges(firsts)}: {receive} {result}.")
        if self.empty_regions:
            partly = sorted(self.empty_regions)
            one = len(partly) == 1
            lines.append(
                f"{_volumes(partly)} {'has' if one else 'have'} no data in a part of the object "
                "(zeros): denoised where there are data, the zeros stay."
            )
        if self.noise_ratio:
            ratios = sorted(self.noise_ratio.values())
            low, high = f"{ratios[0]:.2g}", f"{ratios[-1]:.2g}"
            times = low if low == high else f"{low} to {high}"
            has = "has" if len(ratios) == 1 else "have"
            lines.append(
                f"{_volumes(sorted(self.noise_ratio))} {has} {times} times the noise of the others "
                "(averages, or another gain): divided by that for every estimate, and multiplied "
                "again in the result."
            )
        return tuple(lines)


def _volumes(volumes: list[int]) -> str:
    return f"{'Volume' if len(volumes) == 1 else 'Volumes'} {ranges(volumes)} (counted from 0)"


def ranges(numbers: Iterable[int]) -> str:
    """Ascending whole numbers with runs of them shortened: "3, 5-8"."""
    return volume_runs(numbers, most=None)


def numbers(text: str) -> tuple[int, ...]:
    """The inverse of `ranges`: "3,5-8" as (3, 5, 6, 7, 8).

    Raises
    ------
    ValueError
        For anything else.
    """
    listed: set[int] = set()
    for part in text.split(","):
        low, hyphen, high = part.strip().partition("-")
        first, last = int(low), int(high if hyphen else low)
        if not 0 <= first <= last:
            raise ValueError(text)
        listed |= set(range(first, last + 1))
    return tuple(sorted(listed))
