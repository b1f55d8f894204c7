"""Where figures 4, 5 and the SNR table look: callosum, centrum semiovale, a bundle's two ends."""

from dataclasses import dataclass

import numpy as np

from dwiser.errors import Code, InputError
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.snr import corpus_callosum
from dwiser.evaluation.tensor import TensorMaps, fit_tensor
from dwiser.prepare.mask import object_mask
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import Simulation
from dwiser.simulation.fibres import bundles
from dwiser.simulation.shapes import Frame
from reproduce.data import crop, cut, dealt, whole
from reproduce.protocol import Run

WHITE, SECOND = 0.8, 0.25  # share of white matter, and of the second fibre population in it
WHITE_MD = 1e-3  # mm²/s: above it there is fluid in the voxel
WHITE_FA = 0.2
ABOVE_MM = 8.0, 25.0  # over the callosum's top
SIDE_MM = 10.0, 35.0  # from its middle
END = 0.15  # of a bundle's length: what counts as one of its ends
HELD = 0.5  # of a voxel: it belongs to the bundle


def crossing(phantom: Simulation) -> np.ndarray:
    """A phantom's white matter in which two bundles cross: what the centrum semiovale is."""
    pure = phantom.tissues["wm"] > WHITE
    return phantom.mask & pure & (phantom.shares[..., 1] > SECOND)


def centrum_semiovale(maps: TensorMaps, callosum: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """White matter 8 to 25 mm over the callosum's top and 10 to 35 mm to the sides of it.

    Raises
    ------
    InputError
        Where the field of view holds no such voxel.
    """
    grid = np.moveaxis(np.indices(callosum.shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    inside = grid[callosum]
    rise, side = grid[..., 2] - inside[:, 2].max(), np.abs(grid[..., 0] - inside[:, 0].mean())
    white = (maps.fa > WHITE_FA) & (maps.md < WHITE_MD) & (maps.md > 0)
    place = (rise > ABOVE_MM[0]) & (rise < ABOVE_MM[1])
    region = white & place & (side > SIDE_MM[0]) & (side < SIDE_MM[1])
    if not region.any():
        raise InputError(
            "The scan does not reach the centrum semiovale: give more slices.",
            code=Code.SCAN_TOO_SMALL,
        )
    return np.asarray(region)


@dataclass(frozen=True, eq=False)
class Callosum:
    """A real scan around its corpus callosum, some of its directions, and its raw tensor maps.

    Callosum and maps are of all directions, so that no choice of them moves the region.
    """

    scan: Scan
    inside: np.ndarray
    maps: TensorMaps

    @classmethod
    def of(cls, run: Run) -> "tuple[Callosum | None, str]":
        """``crop`` voxels around the callosum, and of which scan; or None, and why."""
        scan, name = whole(run)
        if scan is None:
            return None, name
        mask = object_mask(scan)
        maps = fit_tensor(scan.data, scan.gradients, mask, method="OLS")
        try:
            found = corpus_callosum(maps, mask, scan.affine)
        except CannotMeasure as why:
            return None, f"{name}: {why}"
        part = crop(scan, run.setting["crop"], np.argwhere(found).mean(0).round().astype(int))
        own, _ = dealt(cut(scan, part), run.setting.directions, run.seed)
        near = TensorMaps(**{k: v[part] for k, v in vars(maps).items()})
        sides = "×".join(str(n) for n in own.shape[:3])
        told = f"{(~own.gradients.is_b0).sum()} of its directions"
        return cls(own, found[part], near), f"{name}, {sides} voxels around its callosum, {told}"


@dataclass(frozen=True, eq=False)
class Tract:
    """A phantom's bundle: its voxels, and the voxels of its two ends."""

    inside: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, shape: tuple[int, int, int], seed: int, name: str, axis: int = 1) -> "Tract":
        """A bundle by its name ("inferior L"); its ends are those along ``axis``."""
        found = {b.name: b for b in bundles(Frame(shape), stream(seed, "bundles"))}
        inside = found[name].occupancy > HELD
        along = np.indices(shape)[axis]
        low, high = np.quantile(along[inside], (END, 1 - END))
        return cls(inside, inside & (along <= low), inside & (along >= high))
