"""One denoising as a user asks for it."""

import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dwiser import __version__
from dwiser.defaults import B0_THRESHOLD, DEFAULT_METHOD, DEFAULT_PRESET, BValueScaling
from dwiser.io.volume_labels import b_delta_file
from dwiser.run.checkpoint import EVERY
from dwiser.run.noise_volumes import noise_image

NOT_PLAIN = ("dwi", "out", "settings", "force", "weights")  # have places of their own in a command
ALWAYS_SAID = ("method", "preset", "seed")  # a later version may have other defaults
PIPED = "mrtrix-tmp-"  # in the names of MRtrix's temporary files
NOT_APPLIED = ("method", "preset")  # weights know them


@dataclass(frozen=True)
class Request:
    """One denoising as a user asks for it; paths, names and numbers, nothing loaded yet."""

    dwi: Path
    out: Path
    bval: Path | None = None
    bvec: Path | None = None
    mask: Path | None = None
    method: str = DEFAULT_METHOD
    preset: str = DEFAULT_PRESET
    settings: dict[str, str] = field(default_factory=dict)
    save_noise: Path | None = None
    save_residual: Path | None = None
    save_standardised: Path | None = None
    save_mask: Path | None = None
    b0_threshold: float = B0_THRESHOLD
    bvalue_scaling: BValueScaling = "auto"
    device: str = "auto"
    threads: int | None = None
    seed: int = 0
    force: bool = False
    noise_map: Path | None = None
    phase: Path | None = None
    noise_volumes: str | None = None
    save_uncertainty: Path | None = None
    save_rank: Path | None = None
    save_variance: Path | None = None
    save_real: Path | None = None
    save_phase: Path | None = None
    weights: Path | None = None
    save_weights: Path | None = None
    warm_start: Path | None = None
    resume: bool = False
    checkpoint_every: float = EVERY
    memory: str | None = None
    report: Path | None = None
    grad: Path | None = None
    b_delta: str | None = None

    @property
    def extras(self) -> tuple[Path | None, ...]:
        """Further images to write: σ, mask, uncertainty, rank, variance, and four series."""
        maps = self.save_noise, self.save_mask, self.save_uncertainty, self.save_rank
        series = self.save_residual, self.save_standardised, self.save_real, self.save_phase
        return *maps, self.save_variance, *series

    @property
    def complex_parts(self) -> tuple[Path, ...]:
        """Of these, the real part and the phase of a complex result, where they are wanted."""
        return tuple(path for path in (self.save_real, self.save_phase) if path is not None)

    @property
    def named(self) -> tuple[Path, ...]:
        """Every file that is read and was named: never to be overwritten."""
        noise = noise_image(self.noise_volumes)
        shapes = b_delta_file(self.b_delta)
        tables = (self.bval, self.bvec, self.grad, shapes)
        beside = (*tables, self.mask, self.noise_map, self.phase, noise)
        some = (self.dwi, *beside, self.weights, self.warm_start)
        return tuple(path for path in some if path is not None)

    def words(self) -> list[str]:
        """The command line of this request, without options at their defaults."""
        weights, series = self.weights, [str(self.dwi), str(self.out)]
        start = ["denoise"] if weights is None else ["apply", str(weights)]
        command, not_applied = ["dwiser", *start, *series], () if weights is None else NOT_APPLIED
        plain = {
            f.name: f.default for f in fields(self) if f.name not in (*NOT_PLAIN, *not_applied)
        }
        for name, default in plain.items():
            value = getattr(self, name)
            if value != default or name in ALWAYS_SAID:
                command.append(f"--{name.replace('_', '-')}")
                command += [] if value is True else [str(value)]
        for setting, value in self.settings.items():
            command += ["--set", f"{setting}={value}"]
        return [*command, "--force"] if self.force else command


def named_inputs(request: Request) -> tuple[Path, *tuple[Path | None, ...]]:
    """What the user named, in the order that ``io.load`` takes it."""
    return request.dwi, request.bval, request.bvec, request.mask, request.grad


def table_options(request: Request) -> dict[str, Any]:
    """How the gradient table is read, as ``io.load`` takes it."""
    return {
        "b0_threshold": request.b0_threshold,
        "bvalue_scaling": request.bvalue_scaling,
        "b_delta": request.b_delta,
    }


def in_history(request: Request) -> str:
    """The command line as MRtrix images keep it among those that made them.

    A file that goes through a pipe is ``-``.
    """
    words = ["-" if PIPED in word else word for word in request.words()]
    return f"{shlex.join(words)}  (dwiser version={__version__})"
