"""White-matter bundles as smooth direction fields that cross: callosum, corona, association."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dwiser.simulation import atlas
from dwiser.simulation.shapes import Field, Frame, distance, inside, smooth_step, tube, unit

MOST = 3  # fibre populations in one voxel
LEAST = 0.1  # populations of a smaller share are dropped
MERGED = (0.71, 0.91)  # |cos| of 45° and 25°: between them a weaker population fades away

Axes = Float[np.ndarray, "x y z 3"]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle: the share of each voxel inside it, its axes, and how it meets the others.

    ``strength`` is its part where bundles cross; where ``alone`` is 1 it suffers no other;
    ``paints`` is the part of it that is white matter whatever tissue lay there before.
    """

    name: str
    occupancy: Field
    axes: Axes
    strength: float
    alone: Field
    paints: Field


def bundles(frame: Frame, rng: np.random.Generator) -> list[Bundle]:
    """All bundles of one head; their places and sizes are drawn from ``rng``."""
    arch = rng.uniform(*atlas.CALLOSUM_HEIGHT), rng.uniform(*atlas.CALLOSUM_SPREAD)
    return [
        _callosum(frame, arch, rng),
        *_association(frame, rng),
        *_lines(frame, arch, rng),
        *_random(frame, rng),
        _brainstem(frame, rng),
    ]


def corona(frame: Frame, rng: np.random.Generator) -> Axes:
    """The axes that all white matter has: a fan from the brainstem, radial near the surface."""
    x, y, z = frame.points()
    focus = atlas.FOCUS + rng.normal(0, atlas.FOCUS_JITTER, 3)
    fan = frame.axes_of(x - focus[0], y - focus[1], z - focus[2])
    outward = frame.axes_of(x, y, z)
    turn = smooth_step(np.sqrt(x**2 + y**2 + z**2), *atlas.RADIAL)[..., None]
    outward = np.where((fan * outward).sum(-1, keepdims=True) < 0, -outward, outward)
    return unit((1 - turn) * fan + turn * outward).astype(np.float32)


def callosum_height(x: np.ndarray, y: np.ndarray, arch: tuple[float, float]) -> np.ndarray:
    """z of the callosum's middle sheet: an arch over y, a U over x."""
    height, spread = arch
    bend = atlas.CALLOSUM_BEND
    return height - atlas.CALLOSUM_ARCH * y**2 + spread * (np.sqrt(x**2 + bend) - np.sqrt(bend))


def _callosum(frame: Frame, arch: tuple[float, float], rng: np.random.Generator) -> Bundle:
    x, y, z = frame.points()
    everywhere = np.zeros(frame.shape, np.float32)
    rise = distance(z - callosum_height(x, y, arch))
    fan = 1 + atlas.CALLOSUM_FAN * smooth_step(abs(x), *atlas.CALLOSUM_FANS)
    half = max(atlas.LINE_RADIUS_LEAST, frame.unit * rng.uniform(*atlas.CALLOSUM_HALF)) * fan
    ends = inside(distance(abs(y) - rng.uniform(*atlas.CALLOSUM_LENGTH) + everywhere))
    wide = inside(distance(abs(x) - atlas.CALLOSUM_WIDTH + everywhere))
    occupancy = inside(abs(rise) - half) * ends * wide
    slope = arch[1] * x / np.sqrt(x**2 + atlas.CALLOSUM_BEND)
    axes = frame.axes_of(np.ones_like(x), np.zeros_like(y), slope)
    alone = 1 - smooth_step(abs(x), *atlas.CALLOSUM_ALONE) + everywhere
    paints = occupancy * (1 - smooth_step(abs(x), *atlas.CALLOSUM_PAINTS))
    return Bundle("callosum", occupancy, axes, atlas.STRENGTH["callosum"], alone, paints)


def _association(frame: Frame, rng: np.random.Generator) -> list[Bundle]:
    found = []
    for name, path, thick in atlas.ASSOCIATION:
        right = np.array(path) + rng.normal(0, atlas.ASSOCIATION_JITTER, (len(path), 3))
        size = frame.unit * thick * rng.uniform(*atlas.ASSOCIATION_SIZE)
        for side, sign in (("R", 1), ("L", -1)):
            curve = right * np.array([sign, 1, 1])
            occupancy, axes = tube(frame, curve, max(atlas.TUBE_LEAST, size))
            alone, none = atlas.ASSOCIATION_ALONE * occupancy, np.zeros_like(occupancy)
            strength = atlas.STRENGTH["association"]
            found.append(Bundle(f"{name} {side}", occupancy, axes, strength, alone, none))
    return found


def _lines(frame: Frame, arch: tuple[float, float], rng: np.random.Generator) -> list[Bundle]:
    """One- to two-voxel lines: the cingula over the callosum, the fornices under it."""
    found = []
    for name, side, rise, reach in atlas.LINES:
        y = np.linspace(reach, -reach, atlas.LINE_POINTS)
        x = np.full_like(y, side)
        right = np.stack([x, y, callosum_height(x, y, arch) + rise], axis=1)
        right += rng.normal(0, atlas.LINE_JITTER, right.shape)
        radius = max(atlas.LINE_RADIUS_LEAST, frame.unit * atlas.LINE_RADIUS)
        for which, sign in (("R", 1), ("L", -1)):
            occupancy, axes = tube(frame, right * np.array([sign, 1, 1]), radius)
            strength = atlas.STRENGTH["line"]
            found.append(Bundle(f"{name} {which}", occupancy, axes, strength, occupancy, occupancy))
    return found


def _random(frame: Frame, rng: np.random.Generator) -> list[Bundle]:
    """Bundles between random places of one hemisphere: what makes two heads differ."""
    found = []
    for i in range(atlas.RANDOM_COUNT):
        side = rng.choice([-1.0, 1.0])
        angle = rng.uniform(0, 2 * np.pi) + np.array([0.0, rng.uniform(*atlas.RANDOM_APART)])
        around = atlas.RANDOM_END_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        ends = np.concatenate([np.full((2, 1), atlas.RANDOM_END_X), around], axis=1)
        middle = np.array([[atlas.RANDOM_MIDDLE_X, *rng.uniform(*atlas.RANDOM_MIDDLE, 2)]])
        curve = np.concatenate([ends[:1], middle, ends[1:]]) * np.array([side, 1, 1])
        radius = max(atlas.TUBE_LEAST, frame.unit * rng.uniform(*atlas.RANDOM_RADIUS))
        occupancy, axes = tube(frame, curve, radius)
        none = np.zeros_like(occupancy)
        strength = atlas.STRENGTH["random"]
        found.append(Bundle(f"random {i + 1}", occupancy, axes, strength, none, none))
    return found


def _brainstem(frame: Frame, rng: np.random.Generator) -> Bundle:
    curve = np.array(atlas.BRAINSTEM)
    curve[:, 1] += rng.normal(0, atlas.BRAINSTEM_JITTER, len(curve))
    radius = max(atlas.TUBE_LEAST, frame.unit * rng.uniform(*atlas.BRAINSTEM_RADIUS))
    occupancy, axes = tube(frame, curve, radius)
    return Bundle("brainstem", occupancy, axes, 1.0, occupancy, occupancy)


def populations(
    found: list[Bundle], base: Axes, where: Bool[np.ndarray, "x y z"]
) -> tuple[Float[np.ndarray, "x y z f"], Float[np.ndarray, "x y z f 3"]]:
    """The three strongest populations of each voxel of ``where``: shares of sum 1, unit axes.

    Largest first; 0 where there is none. A weaker population within 45° of a stronger one
    fades into it, so that what is left crosses at wider angles.
    """
    room = [1 - (bundle.alone * bundle.occupancy)[where] for bundle in found]
    weights = [atlas.STRENGTH["corona"] * np.prod(room, axis=0)]
    for i, bundle in enumerate(found):
        others = np.prod(room[:i] + room[i + 1 :], axis=0)
        weights.append(bundle.strength * bundle.occupancy[where] * others)
    shares = np.stack(weights, axis=-1)
    axes = np.stack([base[where], *(bundle.axes[where] for bundle in found)], axis=-2)
    shares, axes = _strongest(shares, axes)
    for weak in range(1, MOST):
        for strong in range(weak):
            along = np.abs((axes[..., weak, :] * axes[..., strong, :]).sum(-1))
            present = shares[..., strong] > 0
            shares[..., weak] *= 1 - present * smooth_step(along, *MERGED)
    shares *= shares > LEAST * shares.sum(-1, keepdims=True)
    shares, axes = _strongest(shares, axes)
    shares = shares / np.maximum(shares.sum(-1, keepdims=True), np.finfo(np.float32).tiny)
    share_grid = np.zeros((*where.shape, MOST), np.float32)
    axis_grid = np.zeros((*where.shape, MOST, 3), np.float32)
    share_grid[where] = shares
    axis_grid[where] = axes * (shares > 0)[..., None]
    return share_grid, axis_grid


def _strongest(shares: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-shares, axis=-1)[..., :MOST]
    return (
        np.take_along_axis(shares, order, axis=-1),
        np.take_along_axis(axes, order[..., None], axis=-2),
    )
