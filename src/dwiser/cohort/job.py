"""One scan of a dataset and what is asked of it: plain values that travel to a worker."""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dwiser import __version__
from dwiser.io.bids import BidsScan
from dwiser.io.sidecar import sidecar
from dwiser.methods.registry import DEFAULT_METHOD, DEFAULT_PRESET, build
from dwiser.scan import B0_THRESHOLD

HIDDEN = ".dwiser"  # in the output folder: locks, and the files being written


@dataclass(frozen=True)
class Asked:
    """What is asked of every scan of a cohort; the options of ``dwiser denoise``."""

    method: str = DEFAULT_METHOD
    preset: str = DEFAULT_PRESET
    settings: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    b0_threshold: float = B0_THRESHOLD
    save_residual: bool = False
    save_uncertainty: bool = False
    masks: Path | None = None
    device: str = "auto"
    threads: int | None = None
    force: bool = False

    @cached_property
    def decides(self) -> dict[str, Any]:
        """What the result depends on, under the names and in the form of a sidecar.

        Raises
        ------
        InputError
            For an unknown method, preset or setting, or an uncertainty that the method lacks.
        """
        method = build(self.method, self.preset, self.settings)
        if self.save_uncertainty:
            from dwiser.run.given import with_uncertainty  # here: the scheduler reads jobs too

            method = with_uncertainty(method)
        values = {
            "Method": getattr(method, "name", self.method),
            "Parameters": asdict(method),  # type: ignore[call-overload]
            "Seed": self.seed,
            "B0Threshold": self.b0_threshold,
            "Version": __version__,
        }
        plain: dict[str, Any] = json.loads(sidecar(values))
        return plain


@dataclass(frozen=True)
class Job:
    """A scan, the dataset it is in, the folder for what is made of it, and what is asked."""

    scan: BidsScan
    root: Path
    out: Path
    asked: Asked = Asked()
    work: Path | None = None

    @property
    def name(self) -> str:
        return self.scan.name

    @property
    def image(self) -> Path:
        """The denoised series: of all that is written it appears last."""
        return self.out / self.scan.derived("denoised", "dwi", ".nii.gz")

    @property
    def sidecar(self) -> Path:
        return self.out / self.scan.derived("denoised", "dwi", ".json")

    @property
    def figure(self) -> Path:
        home = Path(f"sub-{self.scan.subject}")
        return self.out / home / "figures" / f"{self.name}_desc-denoised_dwi.png"

    @property
    def page(self) -> Path:
        """The subject's report."""
        return self.out / f"sub-{self.scan.subject}.html"

    @property
    def mask(self) -> Path | None:
        """The mask of this series among those that the user named, if there is one."""
        if self.asked.masks is None:
            return None
        for extension in (".nii.gz", ".nii"):
            path = self.asked.masks / self.scan.derived("brain", "mask", extension)
            if path.exists():
                return path
        return None

    @property
    def inputs(self) -> dict[str, Path]:
        """The files that the result depends on, by what they are."""
        some = {
            "dwi": self.scan.dwi,
            "bval": self.scan.bval,
            "bvec": self.scan.bvec,
            "mask": self.mask,
        }
        return {kind: path for kind, path in some.items() if path is not None}

    @property
    def images(self) -> dict[str, Path]:
        """Every image that is written, by what it is; the denoised series last."""
        derived = self.scan.derived
        paths = {
            "sigma": derived("sigma", "dwimap", ".nii.gz"),
            "mask": derived("brain", "mask", ".nii.gz"),
        }
        if self.asked.save_residual:
            paths["residual"] = derived("residual", "dwi", ".nii.gz")
        if self.asked.save_uncertainty:
            paths["uncertainty"] = derived("uncertainty", "dwimap", ".nii.gz")
        return {kind: self.out / path for kind, path in paths.items()} | {"denoised": self.image}
