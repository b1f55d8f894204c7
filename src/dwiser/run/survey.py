"""What a scan is, how noisy, and what denoising it would do and take: ``dwiser info``."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dwiser.machine import Machine, find_machine, limited
from dwiser.methods.base import Denoiser, IterativeDenoiser
from dwiser.prepare.earlier_steps import earlier_steps
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise_correlation import noise_correlation
from dwiser.prepare.shells import shell_table
from dwiser.prepare.snr import snr_by_shell
from dwiser.run.capabilities import check_phase, noise_model
from dwiser.run.noise import sigma_of
from dwiser.scan import Scan


@dataclass(frozen=True)
class Survey:
    """Shape, voxel size in mm, shells, b0s, σ and SNR in the mask; noise, plan, time in words.

    ``correlation`` is that of the magnitude's noise between adjacent voxels along x, y and z;
    ``earlier_steps`` tell what was done to the scan before, if anything shows.
    """

    shape: tuple[int, int, int, int]
    voxel_size: tuple[float, float, float]
    shells: list[dict[str, Any]]
    b0s: list[int]
    mask_share: float
    sigma: float
    sigma_low: float
    sigma_high: float
    noise: str
    correlation: tuple[float, float, float]
    earlier_steps: tuple[str, ...]
    snr: list[tuple[float, float]]
    plan: str
    time: str


def survey(
    scan: Scan, method: Denoiser, *, device: str = "auto", threads: int | None = None
) -> Survey:
    """Look at a scan and time a few steps of the method on it; nothing is denoised.

    SNR as `snr_by_shell` defines it; σ is the scan's own map, if it has one.
    """
    if scan.phase is not None:
        check_phase(method)
    machine = find_machine(device, threads)
    with limited(machine):
        mask = object_mask(scan)
        sigma = sigma_of(scan, mask, method)
        inside = sigma[mask]
        low, middle, high = np.percentile(inside, [5, 50, 95])
        snr = [(float(round(s.bval)), ratio) for s, ratio in snr_by_shell(scan, mask, sigma)]
        plan, time = _plan(scan, method, machine)
        steps = earlier_steps(scan)
    return Survey(
        scan.shape,
        scan.voxel_size,
        [dict(row) for row in shell_table(scan.gradients)],
        [int(v) for v in np.flatnonzero(scan.gradients.is_b0)],
        float(mask.mean()),
        float(middle),
        float(low),
        float(high),
        noise_model(scan),
        noise_correlation(scan.data, mask).neighbours,
        steps,
        snr,
        plan,
        time,
    )


def _plan(scan: Scan, method: Denoiser, machine: Machine) -> tuple[str, str]:
    """What the method would do, and its time from a few measured steps."""
    if not isinstance(method, IterativeDenoiser):
        return "one pass over the scan", "not known beforehand for this method"
    plan = method.training_plan(scan, machine=machine, seed=0)
    words, pace = ", ".join(plan.words), plan.pace
    if plan.minutes is not None:
        return words, f"at most {plan.minutes:g} min, as set"
    training = pace.iteration * plan.iterations
    return words, (
        f"about {_minutes(training)} of training and {_minutes(pace.evaluation)} an evaluation "
        f"of all slices: {_minutes(training + pace.evaluation)} if all stop at the first, "
        f"{_minutes(training + plan.evaluations * pace.evaluation)} if none stops "
        f"(measured on {machine.device}, {machine.threads} threads)"
    )


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
