"""What storing did to a scan's values: cut off at the top or the bottom, or stored twice.

From the data alone, before any noise is estimated. All of it makes voxels that are no measurement
of their own; none of it can be undone, so the way out is another export.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dwiser.prepare.constant_voxels import varying
from dwiser.scan import Scan

SOME = 20_000  # voxels that the spacing of a volume's values is read from
LEVELS = 100  # different values that a volume has at least, to be judged
CLIPPED = 10  # voxels of a volume that share its highest value
CLIFF = 5  # times as many as share the next one below
ZEROED = 0.005  # of the voxels with signal in some volume; noise is hardly ever 0
STEPS = 3  # of the values' spacing: from a gap above 0 so wide on, small values were cut off
SMALL = 0.1  # as many values from there to twice as high, or the zeros are regions without data
SPACED = 100_000  # values that the step of the whole series is read from
UNEVEN = 0.02  # of a step: scaled integers that were scaled and rounded once more
MOST_NAMED = 8


@dataclass(frozen=True)
class StoredValues:
    """How a scan's values were stored.

    clipped : volumes whose highest value many voxels share. highest : that value.
    zeroed : share of scattered zeros among voxels that are not 0 in all volumes, where values
        below ``lowest`` are missing; 0 otherwise.
    repeated : (axis, plane) of planes that are the same as the one before, in all volumes.
    planes : how many planes each axis has.
    """

    clipped: tuple[int, ...]
    highest: float
    zeroed: float
    lowest: float
    repeated: tuple[tuple[int, int], ...]
    planes: tuple[int, int, int]

    @property
    def sentences(self) -> tuple[str, ...]:
        """One for each that shows."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.clipped:
            yield (
                f"Bright values of {_named('volume', self.clipped)} are cut off at "
                f"{self.highest:g}: they are no measurement; export the scan again with a scale "
                "that holds them."
            )
        if self.zeroed:
            yield (
                f"Values below {self.lowest:g} were set to 0 ({self.zeroed:.1%} of the voxels with "
                "signal): the noise that is left is biased; export the scan without that "
                "threshold."
            )
        for axis, name in enumerate("xyz"):
            same = tuple(plane for a, plane in self.repeated if a == axis)
            if len(same) > (self.planes[axis] - 1) // 3:
                yield (
                    f"Most planes along {name} repeat the one before: the scan was enlarged by "
                    "copying voxels; start from the scan as it was before that."
                )
            elif same:
                yield (
                    f"Along {name}, {_named('plane', same)} repeats the one before in every "
                    "volume: it was stored twice; convert the scan again, or leave it out."
                )


def stored_values(scan: Scan) -> StoredValues:
    """Look at every voxel once, volume by volume."""
    data, measured = scan.data, varying(scan.data)
    judged, clipped, highest = [], [], 0.0
    zeros, lowest, step, unmeasured = 0, np.inf, np.inf, int((~measured).sum())
    for v in range(data.shape[3]):
        values = np.where(measured, data[..., v], 0)
        some = values.ravel("K")[:: max(1, values.size // SOME)]
        levels = np.unique(some[some > 0])
        if len(levels) < LEVELS:
            continue
        judged.append(v)
        top = values.max()
        shared = np.count_nonzero(values == top)
        if shared >= CLIPPED and shared >= CLIFF * _next_below(values, top):
            clipped.append(v)
            highest = max(highest, float(top))
        zeros += int(np.count_nonzero(values == 0)) - unmeasured
        lowest = min(lowest, float(np.where(values > 0, values, np.inf).min()))
        step = min(step, float(np.diff(levels).min()))
    share = zeros / max(1, int(measured.sum()) * data.shape[3])
    cut = share > ZEROED and lowest > STEPS * step
    if cut:
        near = (data[..., v] <= 2 * lowest for v in judged)
        cut = sum(int((measured & small).sum()) for small in near) > (1 + SMALL) * zeros
    repeated = tuple(
        (axis, plane) for axis in range(3) for plane in _repeated(data, axis, measured)
    )
    return StoredValues(
        tuple(clipped), highest, share if cut else 0.0, lowest, repeated, data.shape[:3]
    )


def stored_step(data: Float[np.ndarray, "x y z v"], mask: Bool[np.ndarray, "x y z"]) -> float:
    """The spacing that all values are multiples of, in the data's units; 0 where some are not."""
    some, voxels = np.zeros(mask.shape, bool), np.flatnonzero(mask)
    some.flat[voxels[:: max(1, len(voxels) * data.shape[3] // SPACED)]] = True
    values = np.unique(data[some]).astype(float)
    if len(values) < 2:
        return 0.0
    gaps = np.diff(values)
    counts = gaps / gaps.min()
    even = (np.abs(counts - counts.round()) < UNEVEN * counts).all()
    return float(gaps.min()) if even else 0.0


def _next_below(values: Float[np.ndarray, "x y z"], top: np.floating) -> int:
    """How many voxels have the highest value but one."""
    below = values[values < top]
    return int((below == below.max()).sum())


def _repeated(
    data: Float[np.ndarray, "x y z v"], axis: int, measured: Bool[np.ndarray, "x y z"]
) -> list[int]:
    """Planes along an axis that are the same as the one before in all volumes."""
    others = tuple(a for a in range(3) if a != axis)
    later = [slice(None)] * 3
    later[axis] = slice(1, None)
    before = [slice(None)] * 3
    before[axis] = slice(None, -1)
    same = measured[tuple(later)].any(axis=others)
    for v in range(data.shape[3]):
        if not same.any():
            break
        volume = data[..., v]
        same &= (volume[tuple(later)] == volume[tuple(before)]).all(axis=others)
    return [int(k) + 1 for k in np.flatnonzero(same)]


def _named(noun: str, numbers: tuple[int, ...]) -> str:
    words = ", ".join(map(str, numbers[:MOST_NAMED]))
    more = len(numbers) - MOST_NAMED
    words += f" and {more} more" if more > 0 else ""
    return f"{noun}{'s' if len(numbers) > 1 else ''} {words} (counted from 0)"
