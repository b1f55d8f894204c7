"""A run's record, the sidecar's entries: what ran, what was measured, what was warned of."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from dwiser import __version__
from dwiser.errors import DwiserWarning
from dwiser.evaluation.residual_sd import residual_sd_by_shell
from dwiser.io.provenance import PROGRAM
from dwiser.machine import Machine
from dwiser.methods.base import Denoised, Denoiser
from dwiser.prepare.shells import shell_table
from dwiser.run.capabilities import noise_model
from dwiser.run.result import RunCost
from dwiser.scan import Scan

RESIDUAL_SD = "ResidualOverSigma"


@contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Collects dwiser's warnings as text; the user still sees each, once."""
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DwiserWarning)
        yield heard
    for warning in caught:
        if issubclass(warning.category, DwiserWarning):
            heard.append(str(warning.message))
        warnings.warn(warning.message, stacklevel=3)


def program_record(method: Denoiser, preset: str, machine: Machine, seed: int) -> dict[str, Any]:
    """The entries about what ran: program, method, machine and versions.

    Parameters
    ----------
    method : whose fields become ``Parameters``.
    preset : its name.
    machine : device and threads, as used.
    seed : of the run.
    """
    import nibabel
    import scipy

    versions = {"python": sys.version.split()[0], "numpy": np.__version__}
    versions |= {"scipy": scipy.__version__, "nibabel": nibabel.__version__}
    if "torch" in sys.modules:
        versions["torch"] = str(sys.modules["torch"].__version__)
    return {
        "GeneratedBy": [{"Name": PROGRAM, "Version": __version__}],
        "Method": method.name,
        "Preset": preset,
        "Parameters": asdict(method),
        "Seed": seed,
        "Device": machine.device,
        "Threads": machine.threads,
        "Versions": versions,
        "Date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def measured_record(
    scan: Scan, result: Denoised, cost: RunCost, threads: int, tested_after: bool
) -> dict[str, Any]:
    """The entries about what was measured: shells, noise, time and memory, the residual's sd.

    Parameters
    ----------
    scan : as the method took it.
    result : the method's.
    cost : time and memory.
    threads : share the residual's sd.
    tested_after : whether the residual's sd is left to its tests; its entry is None till then.
    """
    measured: dict[str, Any] = {
        "Shells": shell_table(scan.gradients),
        "B0Threshold": scan.gradients.b0_threshold,
        "BValueScaling": scan.gradients.bvalue_scaling,
        "NoiseModel": noise_model(scan),
        "WallTimeSeconds": cost.seconds,
        "PeakMemoryMiB": cost.peak_mib,
        "PeakAnonymousMiB": cost.peak_anonymous_mib,
    }
    if result.sigma is not None and result.mask is not None:
        inside = result.sigma[result.mask]
        measured["SigmaMedian"] = float(np.median(inside))
        measured[RESIDUAL_SD] = None if tested_after else residual_over_sigma(scan, result, threads)
    return measured


def residual_over_sigma(scan: Scan, result: Denoised, threads: int = 1) -> list[dict[str, float]]:
    """The sidecar's field: by shell the residual's sd in σ, as `residual_sd_by_shell` defines it.

    Empty where σ is 0 throughout.
    """
    assert result.mask is not None
    assert result.sigma is not None
    known = result.record.get("coils") or None
    images = result.data, scan, result.mask, result.sigma
    by_shell = residual_sd_by_shell(*images, known, threads=threads)
    return [{"bval": round(shell.bval, 1), "sd": sd} for shell, sd in by_shell]
