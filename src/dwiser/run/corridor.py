"""load → denoise → save: for the command line and for Python."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from dwiser import __version__
from dwiser.errors import DwiserError, DwiserWarning, InputError
from dwiser.io import carried_over, find_inputs, load, planned, sha256
from dwiser.io import save as save_set
from dwiser.machine import Machine, find_machine, limited
from dwiser.methods.base import Denoised, Denoiser
from dwiser.methods.registry import DEFAULT_METHOD, DEFAULT_PRESET, build
from dwiser.prepare.shells import shell_table, shells
from dwiser.run.memory import peak_memory
from dwiser.scan import B0_THRESHOLD, Scan
from dwiser.watch import Watch, silent

NOT_PLAIN = ("dwi", "out", "settings", "force")  # have their own place in the command line
ALWAYS_SAID = ("method", "preset", "seed")  # a later version may have other defaults


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
    save_mask: Path | None = None
    b0_threshold: float = B0_THRESHOLD
    device: str = "auto"
    threads: int | None = None
    seed: int = 0
    force: bool = False
    report: Path | None = None

    def words(self) -> list[str]:
        """The command line that asks for this; what is at its default is left out."""
        told = ["dwiser", "denoise", str(self.dwi), str(self.out)]
        plain = {f.name: f.default for f in fields(self) if f.name not in NOT_PLAIN}
        for name, default in plain.items():
            value = getattr(self, name)
            if value != default or name in ALWAYS_SAID:
                told.append(f"--{name.replace('_', '-')}")
                told += [] if value is True else [str(value)]
        for setting, value in self.settings.items():
            told += ["--set", f"{setting}={value}"]
        return [*told, "--force"] if self.force else told


def denoise(
    scan: Scan,
    method: str | Denoiser = DEFAULT_METHOD,
    preset: str = DEFAULT_PRESET,
    *,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    watch: Watch = silent,
    **settings: Any,
) -> Denoised:
    """Denoise a scan; ``settings`` are the method's fields.

    Returns
    -------
    Denoised
        Data (X, Y, Z, V) float32 in the scan's units, σ, and the record of what was done.

    Raises
    ------
    InputError
        For a scan the method cannot take, or an unknown method, preset, field or device.
    """
    chosen = build(method, preset, settings) if isinstance(method, str) else method
    if seed < 0:
        raise InputError(f"--seed must not be negative: {seed} is.")
    machine = find_machine(device, threads)
    begun = perf_counter()
    with limited(machine), _recorded() as heard, peak_memory() as peak:
        result = chosen.denoise(scan, machine=machine, seed=seed, watch=watch)
    if not np.isfinite(result.data).all():
        raise DwiserError("The result holds NaN: the training diverged; lower learning_rate.")
    about = _about(chosen, preset, machine, seed)
    found = _found(scan, result, perf_counter() - begun, peak.mib)
    result.record.update(about | found | {"Warnings": heard})
    return result


def denoise_file(request: Request, watch: Watch = silent) -> Denoised:
    """Denoise a file into a set of files; everything that can be refused is, before the work."""
    chosen = build(request.method, request.preset, request.settings)
    find_machine(request.device, request.threads)
    extras = (request.save_noise, request.save_residual, request.save_mask)
    named = [f for f in (request.dwi, request.bval, request.bvec, request.mask) if f is not None]
    pages = [request.report]
    planned(request.out, *extras, pages=pages, inputs=named, force=request.force)
    with _recorded() as heard:
        scan = load(*named_inputs(request), b0_threshold=request.b0_threshold)
        acquisition = carried_over(request.dwi)
    files = find_inputs(*named_inputs(request)).files
    planned(request.out, *extras, pages=pages, inputs=files, force=request.force)
    result = denoise(
        scan, chosen, request.preset,
        device=request.device, threads=request.threads, seed=request.seed, watch=watch,
    )  # fmt: skip
    result.record["Warnings"][:0] = heard
    source = {"Sources": [str(f) for f in files], "InputSHA256": sha256(request.dwi)}
    result.record.update(acquisition | source)
    residual = None if request.save_residual is None else scan.data - result.data
    maps = dict(zip(extras, (result.sigma, residual, result.mask), strict=True))
    wanted = {path: m for path, m in maps.items() if path is not None and m is not None}
    drawn, failure = _reported(request, scan, result)
    save_set(
        result.data, request.out, scan,
        record=result.record, extras=wanted, pages=drawn, inputs=files, force=request.force,
    )  # fmt: skip
    if failure is not None:
        raise DwiserError(
            f"{request.report}: the report could not be made ({failure}), but {request.out} and "
            "what belongs to it were written: report this."
        ) from failure
    return result


def _reported(
    request: Request, scan: Scan, result: Denoised
) -> tuple[dict[Path, str], Exception | None]:
    """The report, where one is asked for; a result that took hours is not lost by it."""
    if request.report is None:
        return {}, None
    from dwiser.run.reporting import repeat_command, report

    try:
        command = repeat_command(request.words(), result.record)
        text = report(scan, result, name=str(request.dwi), command=command, seed=request.seed)
    except Exception as error:
        return {}, error
    return {request.report: text}, None


def named_inputs(request: Request) -> tuple[Path, Path | None, Path | None, Path | None]:
    """What the user named, in the order that ``io.load`` takes it."""
    return request.dwi, request.bval, request.bvec, request.mask


def save(denoised: Denoised, out: str | Path, scan: Scan, *, force: bool = False) -> None:
    """Write a result beside its sidecar and gradient table, with the scan's geometry."""
    save_set(denoised.data, out, scan, record=denoised.record, force=force)


@contextmanager
def _recorded() -> Iterator[list[str]]:
    """Collects dwiser's warnings as text; the user still sees each, once."""
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DwiserWarning)
        yield heard
    for warning in caught:
        if issubclass(warning.category, DwiserWarning):
            heard.append(str(warning.message))
        warnings.warn(warning.message, stacklevel=3)


def _about(method: Denoiser, preset: str, machine: Machine, seed: int) -> dict[str, Any]:
    import nibabel
    import scipy

    name = getattr(method, "name", type(method).__name__.lower())
    versions = {"python": sys.version.split()[0], "numpy": np.__version__}
    versions |= {"scipy": scipy.__version__, "nibabel": nibabel.__version__}
    if "torch" in sys.modules:
        versions["torch"] = str(sys.modules["torch"].__version__)
    return {
        "GeneratedBy": [{"Name": "dwiser", "Version": __version__}],
        "Method": name,
        "Preset": preset,
        "Parameters": asdict(method),  # type: ignore[call-overload]
        "Seed": seed,
        "Device": machine.device,
        "Threads": machine.threads,
        "Versions": versions,
        "Date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _found(scan: Scan, result: Denoised, seconds: float, peak_mib: float) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Shells": shell_table(scan.gradients),
        "B0Threshold": scan.gradients.b0_threshold,
        "NoiseModel": "Rician magnitude; sd from Marchenko-Pastur on 5x5x5 patches, Koay-corrected",
        "WallTimeSeconds": round(seconds, 2),
        "PeakMemoryMiB": round(peak_mib, 1),
    }
    if result.sigma is not None and result.mask is not None:
        inside = result.sigma[result.mask]
        found["SigmaMedian"] = float(np.median(inside))
        found["ResidualOverSigma"] = residual_over_sigma(scan, result)
    return found


def residual_over_sigma(scan: Scan, result: Denoised) -> list[dict[str, float]]:
    """By shell, in the mask: sd of (input − output)/σ; 1 where all of the noise was removed.

    Empty where σ is 0 throughout.
    """
    assert result.mask is not None
    assert result.sigma is not None
    known = result.mask & (result.sigma > 0)
    if not known.any():
        return []
    sigma, rows = result.sigma[known], []
    for shell in shells(scan.gradients):
        squares = [
            np.square((scan.data[..., v] - result.data[..., v])[known] / sigma).mean()
            for v in shell.volumes
        ]
        rows.append({"bval": round(shell.bval, 1), "sd": float(np.sqrt(np.mean(squares)))})
    return rows
