"""Lesions: small inclusions of changed diffusivity, some seen from one direction only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt

from dwiser.scan import Gradients
from dwiser.seeds import stream
from dwiser.simulation.geometry import HeadAnatomy
from dwiser.simulation.shapes import inside
from dwiser.simulation.signal import Compartment, ball, decay

Kind: TypeAlias = Literal["diffusivity", "fibre", "direction"]
KINDS: tuple[Kind, ...] = ("diffusivity", "fibre", "direction")
COUNT = 6  # two of each kind
RADII = (2.0, 4.0)  # voxels
WHITE = 0.5  # voxels with more white matter than this may hold a lesion's centre
ROOMY = 0.8  # of the greatest remaining depth: the place of a lesion that fits nowhere
APART = 2.0  # voxels of healthy tissue between two lesions
SWOLLEN = 1.3e-3  # mm²/s: free water moved into the tissue
BRIGHTER = 1.15  # T2 of a lesion of changed diffusivity, as b0 signal over its host's
STRAY = 0.4  # share of the signal that a stray fibre takes
STRAY_DIFFUSIVITY = 1.7e-3  # mm²/s along it, none across
RAISED = 0.4  # the DWI seen from the one direction, relative to its host
CAP_DEGREES = 6.0  # half the least angle between 64 directions is 8°


@dataclass(frozen=True)
class Lesion:
    """A ball of changed tissue.

    Kinds: "diffusivity", an isotropic ball of raised D and b0 in place of the tissue; "fibre",
    40 % of the signal from an extra stick along ``axis``; "direction", the DWIs whose direction
    is within 6° of ``axis`` raised by 40 % and nothing else.

    Parameters
    ----------
    label : its number in the label image, from 1.
    kind : one of the three.
    centre : in voxels.
    radius : in voxels.
    axis : unit vector along the voxel axes.
    volumes : indices of the volumes that it changes.
    """

    label: int
    kind: Kind
    centre: tuple[float, float, float]
    radius: float
    axis: tuple[float, float, float]
    volumes: tuple[int, ...]

    def share(self, shape: Sequence[int]) -> Float[np.ndarray, "x y z"]:
        """The share of each voxel inside the ball.

        Parameters
        ----------
        shape : (X, Y, Z) of the grid.

        Returns
        -------
        (X, Y, Z) float32 in [0, 1]
        """
        return inside(_away(shape, self.centre) - self.radius)


def place_lesions(anatomy: HeadAnatomy, gradients: Gradients, seed: int) -> list[Lesion]:
    """Lesions in the white matter, apart from each other; fewer where space is short.

    The axis of a "direction" lesion is that of one DWI; a stray fibre's is random.

    Parameters
    ----------
    anatomy : the head.
    gradients : the table, which says which volumes a lesion changes.
    seed : of places, sizes and axes.

    Returns
    -------
    list of Lesion
    """
    rng = stream(seed, "lesions")
    room = distance_transform_edt(anatomy.mask & (anatomy.tissues["wm"] > WHITE))
    lesions: list[Lesion] = []
    for i in range(COUNT):
        kind = KINDS[i % len(KINDS)]
        radius = float(rng.uniform(*RADII))
        axis = rng.normal(size=3)
        if kind == "direction":
            axis = gradients.bvecs[rng.choice(np.flatnonzero(~gradients.is_b0))]
        axis = axis / np.linalg.norm(axis)
        free = np.argwhere(room > min(radius, ROOMY * room.max()))
        if not len(free):
            break
        centre = tuple(map(float, free[rng.integers(len(free))]))
        lesions.append(
            Lesion(
                i + 1,
                kind,
                (centre[0], centre[1], centre[2]),
                radius,
                (float(axis[0]), float(axis[1]), float(axis[2])),
                _changed(kind, axis, gradients),
            )
        )
        room = np.where(_away(room.shape, centre) < radius + APART + RADII[1], 0, room)
    return lesions


def _away(shape: Sequence[int], centre: Sequence[float]) -> np.ndarray:
    axes = np.ix_(*(np.arange(n) - c for n, c in zip(shape, centre, strict=True)))
    return np.sqrt(sum(a**2 for a in axes))


def _changed(kind: Kind, axis: np.ndarray, gradients: Gradients) -> tuple[int, ...]:
    changed = np.ones(len(gradients), bool)
    if kind != "diffusivity":
        changed = ~gradients.is_b0
    if kind == "direction":
        changed &= np.abs(gradients.bvecs @ axis) >= np.cos(np.radians(CAP_DEGREES))
    return tuple(int(v) for v in np.flatnonzero(changed))


def include(
    signal: Float[np.ndarray, "n v"],
    lesions: Sequence[Lesion],
    shares: Float[np.ndarray, "l n"],
    gradients: Gradients,
) -> Float[np.ndarray, "n v"]:
    """Mix the lesions into the signal, each by its share of the voxel.

    Parameters
    ----------
    signal : (n, V) of some voxels; not modified.
    lesions : what to add, L of them.
    shares : (L, n) the share of each voxel inside each lesion, in [0, 1].
    gradients : the table.

    Returns
    -------
    (n, V) in the signal's units
    """
    signal = signal.copy()
    for lesion, share in zip(lesions, shares, strict=True):
        rows = np.flatnonzero(share)
        host = signal[rows]
        changed = _inclusion(host, lesion, gradients)
        signal[rows] = host + share[rows, None] * (changed - host)
    return signal


def _inclusion(host: np.ndarray, lesion: Lesion, gradients: Gradients) -> np.ndarray:
    """What a voxel would show if the lesion filled it."""
    changed = host.copy()
    if lesion.kind == "direction":
        changed[:, list(lesion.volumes)] *= 1 + RAISED
        return changed
    n = len(host)
    shown = gradients.is_b0 if gradients.is_b0.any() else gradients.bvals == gradients.bvals.min()
    undecayed = host[:, shown].mean(axis=1)
    if lesion.kind == "diffusivity":
        return decay(ball(BRIGHTER * undecayed, np.full(n, SWOLLEN)), gradients)
    axis = np.tile(np.array(lesion.axis), (n, 1))
    stick = Compartment(undecayed, np.full(n, STRAY_DIFFUSIVITY), np.zeros(n), axis)
    return (1 - STRAY) * host + STRAY * decay(stick, gradients)


def labels(lesions: Sequence[Lesion], mask: Bool[np.ndarray, "x y z"]) -> Int[np.ndarray, "x y z"]:
    """The label image of the lesions.

    Parameters
    ----------
    lesions : the lesions.
    mask : (X, Y, Z) the object.

    Returns
    -------
    (X, Y, Z) int16
        A lesion's label where it fills more than half of a voxel, 0 elsewhere.
    """
    grid = np.zeros(mask.shape, np.int16)
    for lesion in lesions:
        grid[lesion.share(mask.shape) > 0.5] = lesion.label
    return np.where(mask, grid, 0).astype(np.int16)


def changes(
    healthy: Float[np.ndarray, "n v"],
    changed: Float[np.ndarray, "n v"],
    lesions: Sequence[Lesion],
    labelled: Int[np.ndarray, "n"],
) -> list[list[float]]:
    """For each lesion, the mean change of the signal over its label's voxels.

    Parameters
    ----------
    healthy, changed : (n, V) signal without and with the lesions.
    lesions : the lesions.
    labelled : (n,) label of each voxel.

    Returns
    -------
    list of list of float
        For each lesion one value for each of its volumes, in the signal's units; empty for a
        lesion too small to fill more than half of a voxel.
    """
    changes_by_lesion = []
    for lesion in lesions:
        rows = np.flatnonzero(labelled == lesion.label)
        volumes = list(lesion.volumes)
        mean = (changed[rows] - healthy[rows])[:, volumes].mean(0) if len(rows) else np.zeros(0)
        changes_by_lesion.append([float(c) for c in mean])
    return changes_by_lesion


def tissues_with(anatomy: HeadAnatomy, lesions: Sequence[Lesion]) -> dict[str, np.ndarray]:
    """The tissues' volume fractions with the lesions among them.

    Parameters
    ----------
    anatomy : the head.
    lesions : the lesions; may be none.

    Returns
    -------
    dict
        Name to (X, Y, Z) volume fraction; "lesion" takes its share from the others.
    """
    if not lesions:
        return anatomy.tissues
    shares = np.max([lesion.share(anatomy.mask.shape) for lesion in lesions], axis=0)
    shares = np.where(anatomy.mask, shares, 0).astype(np.float32)
    remaining = {name: f * (1 - shares) for name, f in anatomy.tissues.items()}
    return {**remaining, "lesion": shares}
