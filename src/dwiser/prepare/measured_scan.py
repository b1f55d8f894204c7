"""The measurements of a series as a scan of their own, for every estimate and every method."""

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from dwiser.errors import DwiserWarning
from dwiser.memmap import allocate_like, writable_copy
from dwiser.prepare.empty_regions import filled
from dwiser.prepare.noise_volumes import noise_only
from dwiser.prepare.volume_roles import VolumeRoles
from dwiser.scan import Scan
from dwiser.seeds import stream


def measured_scan(scan: Scan, roles: VolumeRoles) -> Scan:
    """The scan of ``roles.measured``: empty regions filled, σ and channels of its noise volumes.

    Volumes whose noise differs are divided by how much, so that all have that of the others. A σ
    map that the scan has stands. A scan of plain measurements is returned as it is.
    """
    if roles.plain:
        return scan
    if roles.noise and scan.coils is None:
        noise = noise_only(scan.data[..., list(roles.noise)], roles.noise)
        sigma = noise.sigma if scan.sigma is None else scan.sigma
        scan = replace_quietly(scan, sigma=sigma, coils=noise.coils)
    measured = selected(scan, roles.measured)
    if roles.empty_regions:
        measured = _complete(measured, scan, roles)
    ratios = roles.noise_ratios(roles.measured)
    return replace_quietly(measured, data=divided(measured.data, ratios)) if ratios else measured


def divided(
    data: Float[np.ndarray, "x y z v"], ratios: Mapping[int, float]
) -> Float[np.ndarray, "x y z v"]:
    """A copy with some volumes divided, mapped where ``data`` is; ``data`` itself if none are."""
    if not ratios:
        return data
    even = writable_copy(data)
    for v, ratio in ratios.items():
        even[..., v] /= np.float32(ratio)
    return even


def _complete(measured: Scan, scan: Scan, roles: VolumeRoles) -> Scan:
    """The measured scan with its empty regions filled."""
    data = allocate_like(measured.data)
    data[...] = measured.data
    for place, v in enumerate(roles.measured.tolist()):
        if v in roles.empty_regions:
            data[..., place] = _filled(scan, v, roles)
    return replace_quietly(measured, data=data)


def selected(scan: Scan, volumes: Int[np.ndarray, "m"]) -> Scan:
    """The scan of some volumes, in this order: a view where they are the first ones."""
    table = scan.gradients.take(volumes)
    phase = None if scan.phase is None else take(scan.phase, volumes)
    absent = None if scan.absent is None else scan.absent[..., volumes]
    return replace_quietly(
        scan, data=take(scan.data, volumes), gradients=table, phase=phase, absent=absent,
        noise_volumes=(),
    )  # fmt: skip


def take(
    data: Float[np.ndarray, "x y z v"], volumes: Int[np.ndarray, "m"]
) -> Float[np.ndarray, "x y z m"]:
    """Some volumes: a view where they are the first ones, else a copy, mapped where ``data`` is."""
    if np.array_equal(volumes, np.arange(len(volumes))):
        return data[..., : len(volumes)]
    chosen = allocate_like(data, (*data.shape[:3], len(volumes)))
    for place, v in enumerate(volumes):
        chosen[..., place] = data[..., v]
    return chosen


def replace_quietly(scan: Scan, **changes: object) -> Scan:
    """`dataclasses.replace` without the warnings that the whole scan has given before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        return replace(scan, **changes)  # type: ignore[arg-type]


def _filled(scan: Scan, volume: int, roles: VolumeRoles) -> Float[np.ndarray, "x y z"]:
    """One volume with its empty region filled, predicted from the complete volumes."""
    others = [v for v in roles.measured.tolist() if v not in roles.empty_regions]
    others = others or [v for v in roles.measured.tolist() if v != volume]
    region = roles.empty_regions[volume]
    generator = stream(0, "empty region", volume)
    return filled(scan.data[..., volume], region, scan.data[..., others], generator)
