"""What methods without training share: mask and σ, and writing the result into the scan."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from dwiser.machine import Machine
from dwiser.memmap import allocate_like, writable_copy
from dwiser.methods.base import Denoised, need_volumes, warn_of_no_noise
from dwiser.methods.capabilities import FEWEST_B0S_ALONE, Capabilities, WorkingMemory
from dwiser.methods.options import Presets
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.scan import Scan
from dwiser.watch import Progress, Watch, silent, step

TASK = "denoising"


@dataclass(frozen=True, eq=False)
class MaskAndSigma:
    """Where a method works: the mask, and the noise's sd in the data's units."""

    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]


@dataclass(frozen=True, eq=False)
class Filtered:
    """The result of a filter; only voxels in the mask are used.

    ``passed`` is {volume: why it passes through unchanged}, ``record`` its entries of the record;
    ``coils``, ``bias_removed`` and ``rank`` as in `Denoised`.
    """

    data: Float[np.ndarray, "x y z v"]
    passed: dict[int, str] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    coils: float | int | None = None
    bias_removed: bool | None = None
    rank: Float[np.ndarray, "x y z"] | None = None


@dataclass(frozen=True)
class Classical:
    """A method that filters a scan without training; a subclass says how (``_filter``)."""

    name: ClassVar[str]
    presets: ClassVar[Presets] = {}
    divides_by_sigma: ClassVar[bool] = False

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do: one direction or five b0s, unless a subclass says more."""
        return Capabilities(
            least_b0s_alone=FEWEST_B0S_ALONE,
            presets=self.presets,
            takes_noise_map=self.divides_by_sigma,
        )

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Filter the scan inside its mask; the rest, and volumes that pass, are the input's.

        Raises
        ------
        InputError
            For a scan with fewer volumes than the method needs.
        """
        need_volumes(scan, self.name, self.capabilities)
        with step(watch, "noise"):
            mask = object_mask(scan)
            domain = MaskAndSigma(mask, sigma_map(scan, mask, threads=machine.threads))
        if self.divides_by_sigma and not domain.sigma[mask].any():
            warn_of_no_noise(self.name)
            filtered = Filtered(scan.data, dict.fromkeys(range(scan.shape[3]), "no noise found"))
        else:
            filtered = self._filter(scan, domain, machine, seed, watch)
        return restored(scan, domain, filtered)

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        raise NotImplementedError


def restored(scan: Scan, domain: MaskAndSigma, filtered: Filtered) -> Denoised:
    """The filtered voxels of the mask, never below 0, in a copy of the scan's.

    Voxels for which the filter has no finite value keep the scan's; they are counted.
    """
    data, unchanged = writable_copy(scan.data), 0
    volumes = [v for v in range(scan.shape[3]) if v not in filtered.passed]
    for v in volumes:
        usable = domain.mask & np.isfinite(filtered.data[..., v])
        np.copyto(
            data[..., v], filtered.data[..., v].clip(min=0), where=usable, casting="same_kind"
        )
        unchanged += int(domain.mask.sum() - usable.sum())
    record = filtered.record | {"voxels_left_as_they_were": unchanged}
    return Denoised(
        data, domain.sigma, None, None, record, domain.mask,
        coils=filtered.coils, bias_removed=filtered.bias_removed, passed_through=filtered.passed,
        rank=filtered.rank,
    )  # fmt: skip


@dataclass(frozen=True)
class VolumeByVolume(Classical):
    """A filter that looks at one volume at a time; a subclass says how (``_volume``)."""

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; it holds the filtered volumes."""
        return replace(super().capabilities, least_b0s_alone=1, memory=WorkingMemory(1.0, 0.0))

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        data = allocate_like(scan.data)
        for v in range(scan.shape[3]):
            data[..., v] = self._volume(scan.data[..., v].astype(float), scan, domain, machine)
            watch(Progress(TASK, v + 1, scan.shape[3]))
        return Filtered(data)

    def _volume(
        self, image: Float[np.ndarray, "x y z"], scan: Scan, domain: MaskAndSigma, machine: Machine
    ) -> Float[np.ndarray, "x y z"]:
        raise NotImplementedError
