"""A synthetic head: folded cortex, ventricles, deep nuclei and crossing bundles."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import Code, InputError
from dwiser.seeds import stream
from dwiser.simulation import atlas
from dwiser.simulation.fibres import bundles, corona, populations
from dwiser.simulation.shapes import (
    Field,
    Frame,
    coarsen,
    distance,
    inside,
    sheet,
    smooth_field,
    smooth_step,
    tube,
)

FINER = 2  # samples a voxel and axis for the folded cortex
LEAST_SIDE = 3  # voxels along two axes at least
IMPURE = (("wm", "gm", 0.06), ("gm", "wm", 0.10))  # mean share of one tissue that is another
IMPURE_SPREAD, IMPURE_WIDTH = 0.5, 2.5  # relative sd; voxels

Tissues = dict[str, Field]


@dataclass(frozen=True, eq=False)
class HeadAnatomy:
    """The tissues and fibres of each voxel, before any physics.

    Parameters
    ----------
    mask : (X, Y, Z) the object.
    density : (X, Y, Z) water of a voxel, 1 inside, less on the rim and slightly varied.
    tissues : name to (X, Y, Z) volume fraction; they sum to 1 in the mask.
    shares : (X, Y, Z, 3) shares of the fibre populations in the white matter, largest first.
    axes : (X, Y, Z, 3, 3) their unit axes (population, then voxel axis).
    """

    mask: Bool[np.ndarray, "x y z"]
    density: Float[np.ndarray, "x y z"]
    tissues: Tissues
    shares: Float[np.ndarray, "x y z f"]
    axes: Float[np.ndarray, "x y z f 3"]


def head_anatomy(shape: tuple[int, int, int], seed: int) -> HeadAnatomy:
    """A synthetic head that fills a grid.

    A grid much thinner along one axis holds a slab through the head's middle.

    Parameters
    ----------
    shape : (X, Y, Z) voxels.
    seed : another seed gives another head.

    Returns
    -------
    HeadAnatomy

    Raises
    ------
    InputError
        For a grid of fewer than 3 voxels along two axes, or without any voxel.
    """
    if len(shape) != 3 or min(shape) < 1 or sorted(shape)[1] < LEAST_SIDE:
        raise InputError(
            f"A phantom of shape {shape} is too small: give X,Y,Z such as 65,78,66.",
            code=Code.ARGUMENT_VALUE,
        )
    frame = Frame(shape)
    white, grey, head = _cortex(frame, stream(seed, "cortex"))
    tracts = bundles(frame, stream(seed, "bundles"))
    tissues = {"wm": white, "gm": grey, "csf": 1 - white - grey}
    _paint_inner(tissues, frame, stream(seed, "inner"))
    for bundle in tracts:
        _paint(tissues, "wm", bundle.paints)
    _vary_fractions(tissues, frame, stream(seed, "fractions"))
    mask = head > 0.5
    tissues = {name: np.where(mask, f, 0).astype(np.float32) for name, f in tissues.items()}
    base = corona(frame, stream(seed, "corona"))
    shares, axes = populations(tracts, base, tissues["wm"] > 0)
    return HeadAnatomy(mask, np.where(mask, head, 0), tissues, shares, axes)


def _paint(tissues: Tissues, name: str, over: Field) -> None:
    """Lay one tissue over the others; the fractions keep their sum."""
    for key in tissues:
        tissues[key] = tissues[key] * (1 - over) + (over if key == name else 0)


def _cortex(frame: Frame, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """White matter, the grey ribbon around it, and the whole head, as volume fractions."""
    x, y, z = frame.points(FINER)
    r = np.sqrt(x**2 + y**2 + z**2)
    sulcus = np.exp(-((_sulci(x, y, z, r, rng) / atlas.SULCUS) ** 2))
    a, b, c = rng.uniform(0, 2 * np.pi, 3)
    k = atlas.SWAY_WAVE
    slow = np.cos(k * x + a) + np.cos(k * y + b) + np.cos(k * z + c)
    depth = rng.uniform(*atlas.SULCUS_DEPTH) * (1 + atlas.SWAY_DEPTH * slow)
    surface = r * (1 + atlas.SWAY * slow) - (atlas.CROWN - depth * sulcus)
    floor = atlas.FISSURE_FLOOR - atlas.FISSURE_FALL * y**2
    fissure = np.minimum(atlas.FISSURE - abs(x), z - floor)
    edge = distance(np.maximum(surface, fissure).astype(np.float32))
    k = atlas.UNEVEN_WAVE
    uneven = 1 + atlas.UNEVEN * np.cos(k * x + b) * np.cos(k * y + c)
    thick = FINER * np.maximum(frame.unit * atlas.RIBBON * uneven, atlas.RIBBON_LEAST)
    white = coarsen(inside(edge), FINER)
    grey = coarsen(inside(edge - thick), FINER) - white
    head = coarsen(inside(distance((r - 1).astype(np.float32))), FINER)
    return white, np.maximum(grey, 0), head


def _sulci(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, r: Field, rng: np.random.Generator
) -> Field:
    """First-order distance on the unit sphere to the zero lines of a sum of plane waves."""
    waves = rng.normal(size=(atlas.WAVES, 3))
    length = atlas.WAVE_NUMBER * rng.uniform(*atlas.WAVE_SPREAD, (atlas.WAVES, 1))
    waves *= length / np.linalg.norm(waves, axis=1)[:, None]
    far = np.maximum(r, np.float32(atlas.NEAR_CENTRE))
    level, slopes = np.zeros(r.shape, np.float32), np.zeros((3, *r.shape), np.float32)
    for wave, shift in zip(waves, rng.uniform(0, 2 * np.pi, atlas.WAVES), strict=True):
        kx, ky, kz = (np.float32(k) for k in wave)
        phase = (kx * x + ky * y + kz * z) / far + np.float32(shift)
        level += np.cos(phase)
        slope = np.sin(phase)
        for total, k in zip(slopes, (kx, ky, kz), strict=True):
            total += k * slope
    steep = np.sqrt((slopes**2).sum(axis=0))
    return np.abs(level) / np.maximum(steep, np.finfo(np.float32).tiny)


def _paint_inner(tissues: Tissues, frame: Frame, rng: np.random.Generator) -> None:
    """Deep nuclei, the thin sheet of the claustrum, and the ventricles."""
    x, y, z = frame.points()
    size = rng.uniform(*atlas.NUCLEUS_SIZE, 2)
    thalamus = _nucleus(frame, atlas.THALAMUS, size[0])
    putamen = _nucleus(frame, atlas.PUTAMEN, size[1])
    away = max(atlas.CLAUSTRUM_AWAY_LEAST, atlas.CLAUSTRUM_AWAY * frame.unit)
    half = max(atlas.SHEET_HALF_LEAST, atlas.CLAUSTRUM_HALF * frame.unit)
    claustrum = sheet(putamen - away, half) * smooth_step(abs(x), *atlas.CLAUSTRUM_FROM)
    for nucleus in (inside(thalamus), inside(putamen), claustrum):
        _paint(tissues, "gm", atlas.NUCLEUS_GREY * nucleus)
    width = max(atlas.TUBE_LEAST, frame.unit * rng.uniform(*atlas.VENTRICLE_RADIUS))
    path = np.array(atlas.VENTRICLE)
    path += rng.normal(0, atlas.VENTRICLE_JITTER, path.shape)
    for side in (-1, 1):
        _paint(tissues, "csf", tube(frame, path * np.array([side, 1, 1]), width)[0])
    (cy, cz), (ry, rz) = atlas.THIRD_CENTRE, atlas.THIRD_RADII
    around = np.sqrt(((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2) - 1
    disc = inside(distance(around + np.zeros(frame.shape, np.float32)))
    half = max(atlas.SHEET_HALF_LEAST, atlas.THIRD_HALF * frame.unit)
    _paint(tissues, "csf", disc * sheet(x * frame.semi[0], half))


def _nucleus(
    frame: Frame, place: tuple[tuple[float, float, float], tuple[float, float, float]], size: float
) -> Field:
    """Signed distance (voxels) to an ellipsoid and its mirror image."""
    x, y, z = frame.points()
    away = [
        (p - c) / (size * r) for p, c, r in zip((abs(x), y, z), place[0], place[1], strict=True)
    ]
    return distance(np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2) - 1)


def _vary_fractions(tissues: Tissues, frame: Frame, rng: np.random.Generator) -> None:
    """A little grey in the white and the reverse, smoothly varied: tissue is not pure."""
    for source, target, share in IMPURE:
        field = smooth_field(frame.shape, IMPURE_WIDTH, rng)
        part = tissues[source] * (share * np.clip(1 + IMPURE_SPREAD * field, 0, 2))
        tissues[source] = tissues[source] - part
        tissues[target] = tissues[target] + part
