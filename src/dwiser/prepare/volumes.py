"""Volumes that are no measurement of their own, found before anything is estimated."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from dwiser.errors import Code, InputError
from dwiser.prepare.computed_volumes import Differences, computed_volumes, near_copies
from dwiser.prepare.empty_regions import empty_regions
from dwiser.prepare.mask import object_mask
from dwiser.prepare.measured_scan import selected
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.noise_volumes import noise_volumes
from dwiser.prepare.snr import snr_by_shell
from dwiser.prepare.unequal_noise import unequal_noise
from dwiser.prepare.volume_roles import CONSTANT, EMPTY, NOISE, VolumeRoles
from dwiser.scan import Scan

NO_NOISE = 150.0  # SNR of the b0s above which what is left over of 12 directions is signal


def volume_roles(scan: Scan, *, threads: int = 1) -> VolumeRoles:
    """Tell measurements from volumes that are empty, constant, copies, computed, or noise alone.

    Volumes of noise alone are those that the scan names, or are looked for among the b0s.

    Raises
    ------
    InputError
        For a noise volume that the scan does not have, and a scan without two measurements.
    """
    count, noise = scan.shape[3], scan.noise_volumes
    wrong = [v for v in noise or () if not 0 <= v < count]
    if wrong:
        raise InputError(
            f"There is no noise volume {wrong[0]}: the scan's volumes are 0 to {count - 1}.",
            code=Code.ARGUMENT_VALUE,
        )
    unchanged, copies = _flat(scan.data), _copies(scan.data)
    copies = {v: first for v, first in copies.items() if v not in unchanged}
    rest = np.array([v for v in range(count) if v not in {*unchanged, *copies}], int)
    differences = Differences.of(scan.data, rest)
    if noise is None:
        noise = noise_volumes(scan, rest, differences)
    unchanged |= dict.fromkeys(noise, NOISE)
    rest = np.array([v for v in rest if v not in unchanged], int)
    near = near_copies(differences, rest)
    rest = np.array([v for v in rest if v not in near], int)
    scales = {v: scale for v, (_, scale) in near.items()}
    copies |= {v: first for v, (first, _) in near.items()}
    copies = {v: copies.get(first, first) for v, first in copies.items()}
    unchanged |= computed_volumes(differences, rest, scan.gradients)
    copies = {v: first for v, first in copies.items() if v not in unchanged}
    copies, unchanged = _copies_of_unchanged(copies, unchanged)
    roles = VolumeRoles(count, unchanged, copies, {}, tuple(sorted(noise)), scales)
    regions = empty_regions(scan.data, roles.measured, threads=threads)
    roles = replace(roles, empty_regions=regions)
    if len(roles.measured) < 2 and not roles.plain:
        what = sorted({*unchanged.values(), *(["a copy"] if copies else [])})
        raise InputError(
            f"Of the {count} volumes {'one' if len(roles.measured) else 'none'} is a measurement "
            f"of its own (the others: {', '.join(what)}): give a series of DWIs.",
            code=Code.IMAGE_VALUES,
        )
    if copies and _without_noise(scan, roles):
        return VolumeRoles(count)
    return replace(roles, noise_ratio=unequal_noise(scan, roles.complete))


def _without_noise(scan: Scan, roles: VolumeRoles) -> bool:
    """Whether equal volumes are repeats of a simulation without noise: its b0s are all equal."""
    if scan.sigma is not None or scan.signed:
        return False
    part = selected(scan, roles.measured)
    mask = object_mask(part)
    sigma = sigma_map(part, mask)
    first = snr_by_shell(part, mask, sigma)[:1]
    return not first or first[0][1] > NO_NOISE


def _flat(data: Float[np.ndarray, "x y z v"]) -> dict[int, str]:
    """Volumes of one value; of a single voxel nothing can be said."""
    flat: dict[int, str] = {}
    if data[..., 0].size < 2:
        return flat
    for v in range(data.shape[3]):
        first, middle = data[0, 0, 0, v], data[:, :, data.shape[2] // 2, v]
        if (middle == first).all() and (data[..., v] == first).all():
            flat[v] = EMPTY if first == 0 else CONSTANT
    return flat


def _copies(data: Float[np.ndarray, "x y z v"]) -> dict[int, int]:
    """Volumes whose voxels all equal those of an earlier one, and the first such."""
    seen: dict[bytes, list[int]] = {}
    copies: dict[int, int] = {}
    middle = data.shape[2] // 2
    for v in range(data.shape[3]):
        same = seen.setdefault(np.ascontiguousarray(data[:, :, middle, v]).tobytes(), [])
        first = next((u for u in same if np.array_equal(data[..., u], data[..., v])), None)
        if first is None:
            same.append(v)
        else:
            copies[v] = first
    return copies


def _copies_of_unchanged(
    copies: dict[int, int], unchanged: dict[int, str]
) -> tuple[dict[int, int], dict[int, str]]:
    """A copy of a volume that comes back unchanged does so too."""
    also = {v: unchanged[first] for v, first in copies.items() if first in unchanged}
    return {v: f for v, f in copies.items() if v not in also}, unchanged | also
