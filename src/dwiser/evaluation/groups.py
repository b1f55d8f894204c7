"""Groups of volumes that are judged together: b0, each shell, and all DWIs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Real

from dwiser.prepare.shells import shell_name, shells
from dwiser.scan import Gradients

MAJORITY = 0.5  # a voxel belongs to the tissue that fills more than half of it


@dataclass(frozen=True, eq=False)
class Group:
    """Volumes judged together: "b0", "b1000", "DWI" (all shells, where there are several)."""

    name: str
    volumes: Int[np.ndarray, "n"]
    is_b0: bool = False


def volume_groups(gradients: Gradients, *, pooled: bool = True) -> tuple[Group, ...]:
    """b0 and every shell; with ``pooled`` also all DWIs together if they are of several shells."""
    groups = [Group(shell_name(s, gradients), s.volumes, s.is_b0) for s in shells(gradients)]
    dwis = [g for g in groups if not g.is_b0]
    if pooled and len(dwis) > 1:
        groups.append(Group("DWI", np.sort(np.concatenate([g.volumes for g in dwis]))))
    return tuple(groups)


def directed_shells(gradients: Gradients) -> tuple[Group, ...]:
    """The shells without the b0s, and of each the volumes that have a direction, if any."""
    without = np.flatnonzero(gradients.without_direction)
    parts = (
        Group(g.name, np.setdiff1d(g.volumes, without))
        for g in volume_groups(gradients, pooled=False)
        if not g.is_b0
    )
    return tuple(group for group in parts if len(group.volumes))


def in_mask(
    data: Real[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    volumes: Int[np.ndarray, "n"] | None = None,
) -> Float32[np.ndarray, "m n"]:
    """The voxels of the mask, a row each; the values of a volume lie together, as in the scan."""
    chosen = range(data.shape[3]) if volumes is None else volumes
    voxels = np.empty((len(chosen), int(mask.sum())), np.float32)
    for row, v in zip(voxels, chosen, strict=True):
        row[:] = data[..., v][mask]
    return voxels.T


def voxels_in_turn(
    data: Real[np.ndarray, "x y z v"],
    mask: Bool[np.ndarray, "x y z"],
    volumes: Int[np.ndarray, "n"],
    at_once: int,
) -> Iterator[Float32[np.ndarray, "m n"]]:
    """`in_mask` some rows at a time, so that memory does not grow with the scan."""
    if not data[..., 0].flags.f_contiguous:
        voxels = in_mask(data, mask, volumes)
        yield from (voxels[low : low + at_once] for low in range(0, len(voxels), at_once))
        return
    places = np.ravel_multi_index(np.nonzero(mask), mask.shape, order="F")
    flat = [np.asarray(data[..., v]).ravel("F") for v in volumes]
    for low in range(0, len(places), at_once):
        here = places[low : low + at_once]
        voxels = np.empty((len(volumes), len(here)), np.float32)
        for row, volume in zip(voxels, flat, strict=True):
            row[:] = volume.take(here)
        yield voxels.T


def tissue_masks(
    tissues: Mapping[str, Float[np.ndarray, "x y z"]] | None, mask: Bool[np.ndarray, "x y z"]
) -> dict[str, Bool[np.ndarray, "x y z"]]:
    """Voxels of the mask that each tissue fills to more than half; empty tissues are omitted."""
    chosen = {name: mask & (share > MAJORITY) for name, share in (tissues or {}).items()}
    return {name: where for name, where in chosen.items() if where.any()}
