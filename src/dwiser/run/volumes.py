"""The methods see the measurements of a series; its other volumes go back to their places."""

import re
import warnings
from dataclasses import replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from dwiser.errors import DwiserWarning
from dwiser.memmap import allocate_like, writable_copy
from dwiser.methods.base import Denoised, VolumeReasons
from dwiser.prepare.measured_scan import divided, replace_quietly, selected, take
from dwiser.prepare.volume_roles import VolumeRoles
from dwiser.prepare.volumes import volume_roles
from dwiser.scan import Scan

R = TypeVar("R", bound=Denoised)
VOLUME_ENTRIES = (
    "VolumesWithoutMeasurement", "VolumeCopies", "VolumesPartlyEmpty", "NoiseVolumes",
    "VolumesOfOtherNoise", "VolumeNotes",
)  # fmt: skip
VOLUME = re.compile(r"\bvolume (\d+)")  # in a reason: "shares its noise with volume 3"


def roles_of(scan: Scan, result: Denoised) -> VolumeRoles:
    """What each volume is: as the run saw it, else looked for."""
    return volume_roles(scan) if result.roles is None else result.roles


def roles_told(scan: Scan, *, threads: int = 1) -> VolumeRoles:
    """What each volume is, with a warning of each kind that is no plain measurement."""
    roles = volume_roles(scan, threads=threads)
    for sentence in roles.sentences:
        warnings.warn(sentence, DwiserWarning, stacklevel=3)
    return roles


def restored(result: Denoised, scan: Scan, roles: VolumeRoles) -> Denoised:
    """The result of the measured scan as one of the whole ``scan``.

    Copies receive the result of what they repeat, other volumes that are no measurement come
    back unchanged, and so do places without data. Volumes are counted as in the whole scan.
    """
    if roles.plain:
        return replace(result, roles=roles)
    data, measured = allocate_like(scan.data), roles.measured.tolist()
    for place, v in enumerate(measured):
        data[..., v] = result.data[..., place] * np.float32(roles.noise_ratio.get(v, 1.0))
        if v in roles.empty_regions:
            data[..., v][scan.data[..., v] == 0] = 0
    for v, first in roles.copies.items():
        data[..., v] = data[..., first] * np.float32(roles.scales.get(v, 1.0))
    for v in roles.unchanged:
        data[..., v] = scan.data[..., v]
    passed = _renumbered(result.passed_through, measured) | dict(roles.unchanged)
    passed |= {v: passed[first] for v, first in roles.copies.items() if first in passed}
    shared, outliers = result.not_shared, result.outlier_volumes
    real, phase = _complex_parts(result, scan, roles)
    return replace(
        result,
        data=data,
        real=real,
        phase=phase,
        passed_through=passed,
        not_shared=None if shared is None else _renumbered(shared, measured),
        outlier_volumes=None if outliers is None else _renumbered(outliers, measured),
        roles=roles,
    )


def _complex_parts(
    result: Denoised, scan: Scan, roles: VolumeRoles
) -> tuple[Float[np.ndarray, "x y z v"] | None, Float[np.ndarray, "x y z v"] | None]:
    """The same of a complex result; volumes that are no measurement are the input's."""
    if result.real is None or result.phase is None or scan.phase is None:
        return None, None
    real, phase = writable_copy(scan.data), writable_copy(scan.phase)
    for place, v in enumerate(roles.measured.tolist()):
        real[..., v] = result.real[..., place] * np.float32(roles.noise_ratio.get(v, 1.0))
        phase[..., v] = result.phase[..., place]
        if v in roles.empty_regions:
            real[..., v][scan.data[..., v] == 0] = 0
    for v, first in roles.copies.items():
        real[..., v] = real[..., first] * np.float32(roles.scales.get(v, 1.0))
        phase[..., v] = phase[..., first]
    return real, phase


def judged_part(scan: Scan, result: R) -> tuple[Scan, R]:
    """The measurements with data everywhere, raw and denoised: what residuals are tested on.

    Both are divided by the noise of the volumes whose noise differs.
    """
    roles = roles_of(scan, result)
    if roles.plain:
        return scan, result
    volumes = roles.complete
    ratios = roles.noise_ratios(volumes)
    places = {v: place for place, v in enumerate(volumes.tolist())}

    def counted(reasons: VolumeReasons | None) -> VolumeReasons | None:
        return None if reasons is None else {
            places[v]: why for v, why in reasons.items() if v in places
        }  # fmt: skip

    part = replace(
        result,
        data=divided(take(result.data, volumes), ratios),
        passed_through=counted(result.passed_through) or {},
        not_shared=counted(result.not_shared),
        outlier_volumes=counted(result.outlier_volumes),
        roles=VolumeRoles(len(volumes)),
    )
    raw = selected(scan, volumes)
    return replace_quietly(raw, data=divided(raw.data, ratios)), part


def _renumbered(reasons: VolumeReasons, measured: list[int]) -> dict[int, str]:
    """Reasons by volume, and the volumes that they name, counted as in the whole scan."""

    def name(match: re.Match[str]) -> str:
        return f"volume {measured[int(match[1])]}"

    return {measured[v]: VOLUME.sub(name, why) for v, why in reasons.items()}


def volumes_record(roles: VolumeRoles) -> dict[str, object]:
    """The sidecar's ``VOLUME_ENTRIES``: nothing for a series of plain measurements."""
    if roles.plain:
        return {}
    values = (
        {str(v): what for v, what in sorted(roles.unchanged.items())},
        {str(v): first for v, first in sorted(roles.copies.items())},
        sorted(roles.empty_regions),
        list(roles.noise),
        {str(v): round(ratio, 3) for v, ratio in sorted(roles.noise_ratio.items())},
        list(roles.sentences),
    )
    return dict(zip(VOLUME_ENTRIES, values, strict=True))
