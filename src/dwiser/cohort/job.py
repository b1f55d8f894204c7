"""One scan of a dataset and its options: plain values that are sent to a worker."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dwiser import __version__
from dwiser.defaults import B0_THRESHOLD, DEFAULT_METHOD, DEFAULT_PRESET, BValueScaling
from dwiser.io.bids import BidsScan
from dwiser.io.names import NIFTI_ENDINGS
from dwiser.io.sidecar import sidecar
from dwiser.methods.registry import build

HIDDEN = ".dwiser"  # in the output folder: locks, and the files being written


@dataclass(frozen=True)
class CohortOptions:
    """The options of every scan of a cohort; those of ``dwiser denoise``."""

    method: str = DEFAULT_METHOD
    preset: str = DEFAULT_PRESET
    settings: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    b0_threshold: float = B0_THRESHOLD
    bvalue_scaling: BValueScaling = "auto"
    save_residual: bool = False
    save_standardised: bool = False
    save_uncertainty: bool = False
    save_rank: bool = False
    save_variance: bool = False
    masks: Path | None = None
    noise_maps: Path | None = None
    phase: bool = False
    report: bool = False
    device: str = "auto"
    threads: int | None = None
    memory: str | None = None
    force: bool = False

    @cached_property
    def decides(self) -> dict[str, Any]:
        """What the result depends on, under the names and in the form of a sidecar.

        Raises
        ------
        InputError
            For an unknown method, preset or setting, or a method that cannot use a phase or
            give an uncertainty or a rank.
        """
        method = build(self.method, self.preset, self.settings)
        if self.save_uncertainty or self.save_rank or self.phase:
            from dwiser.run import capabilities  # inside: the scheduler reads jobs too

            if self.phase:
                capabilities.check_phase(method)
            if self.save_uncertainty:
                method = capabilities.with_uncertainty(method)
            if self.save_rank:
                method = capabilities.with_rank(method)
        values = {
            "Method": method.name,
            "Parameters": asdict(method),
            "Seed": self.seed,
            "B0Threshold": self.b0_threshold,
            "BValueScaling": self.bvalue_scaling,
            "Version": __version__,
        }
        plain: dict[str, Any] = json.loads(sidecar(values))
        return plain


@dataclass(frozen=True)
class Job:
    """A scan, its dataset, the output folder, and the options."""

    scan: BidsScan
    root: Path
    out: Path
    options: CohortOptions = CohortOptions()
    work: Path | None = None

    @property
    def name(self) -> str:
        return self.scan.name

    @property
    def image(self) -> Path:
        """The denoised series; the last file to appear."""
        return self.out / self.scan.derived("denoised", "dwi", ".nii.gz")

    @property
    def sidecar(self) -> Path:
        return self.out / self.scan.derived("denoised", "dwi", ".json")

    @property
    def figure(self) -> Path:
        name = self.scan.derived("denoised", "dwi", ".png").name
        return self.out / f"sub-{self.scan.subject}" / "figures" / name

    @property
    def report(self) -> Path:
        """The scan's interactive report, if it was asked for."""
        return self.figure.with_suffix(".html")

    @property
    def page(self) -> Path:
        """The subject's page."""
        return self.out / f"sub-{self.scan.subject}.html"

    @property
    def mask(self) -> Path | None:
        """The mask of this series in the folder ``--masks``, if there is one."""
        return self._derivative(self.options.masks, "brain", "mask")

    @property
    def noise_map(self) -> Path | None:
        """The σ map of this series in the folder ``--noise-maps``, if there is one."""
        return self._derivative(self.options.noise_maps, "sigma", "dwimap")

    @property
    def phase(self) -> Path | None:
        """The phase of this series, where the user wants it."""
        return self.scan.phase if self.options.phase else None

    @property
    def joined_echoes(self) -> tuple[BidsScan, ...]:
        """The other echoes that it is denoised with; none where it has a phase, or no table."""
        if self.options.phase:
            return ()
        return tuple(s for s in self.scan.echoes if s.bval is not None and s.bvec is not None)

    def _derivative(self, home: Path | None, description: str, suffix: str) -> Path | None:
        if home is None:
            return None
        scan = self.scan
        bare = replace(scan, name=scan.without_desc)  # as other programs name what belongs to it
        names = (
            home / s.derived(description, suffix, e) for s in (scan, bare) for e in NIFTI_ENDINGS
        )
        return next((path for path in names if os.path.lexists(path)), None)

    @property
    def inputs(self) -> dict[str, Path]:
        """The files that the result depends on, by what they are."""
        paths = {
            "dwi": self.scan.dwi,
            "bval": self.scan.bval,
            "bvec": self.scan.bvec,
            "mask": self.mask,
            "noise_map": self.noise_map,
            "phase": self.phase,
            "noise_volumes": self.scan.noise,
        }
        for other in self.joined_echoes:
            files = {"dwi": other.dwi, "bval": other.bval, "bvec": other.bvec}
            paths |= {f"{kind}_echo-{other.echo}": path for kind, path in files.items()}
        return {kind: path for kind, path in paths.items() if path is not None}

    @property
    def images(self) -> dict[str, Path]:
        """Every image that is written, by what it is; the denoised series last."""
        derived = self.scan.derived
        paths = {
            "sigma": derived("sigma", "dwimap", ".nii.gz"),
            "mask": derived("denoised", "mask", ".nii.gz"),
        }
        if self.options.save_residual:
            paths["residual"] = derived("residual", "dwi", ".nii.gz")
        if self.options.save_standardised:
            paths["standardised"] = derived("standardised", "dwi", ".nii.gz")
        if self.options.save_uncertainty:
            paths["uncertainty"] = derived("uncertainty", "dwimap", ".nii.gz")
        if self.options.save_rank:
            paths["rank"] = derived("rank", "dwimap", ".nii.gz")
        if self.options.save_variance:
            paths["variance"] = derived("variance", "dwimap", ".nii.gz")
        return {kind: self.out / path for kind, path in paths.items()} | {"denoised": self.image}
