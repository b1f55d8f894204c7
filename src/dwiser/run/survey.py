"""What a scan is, how noisy, and what denoising it would do and take: ``dwiser info``."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from threadpoolctl import threadpool_limits

from dwiser.errors import InputError
from dwiser.machine import Machine, find_machine, limited
from dwiser.methods.base import Denoiser, IterativeDenoiser, need_vectors
from dwiser.prepare.earlier_steps import earlier_steps_in, middle_object
from dwiser.prepare.mask import object_mask
from dwiser.prepare.measured_scan import measured_scan
from dwiser.prepare.noise_correlation import spatial_noise
from dwiser.prepare.shells import shell_table
from dwiser.prepare.snr import snr_by_shell
from dwiser.prepare.volumes import volume_roles
from dwiser.run.capabilities import check_hot_voxels, check_phase, check_volumes, noise_model
from dwiser.run.noise import sigma_of
from dwiser.run.time_needed import time_needed
from dwiser.scan import Scan


@dataclass(frozen=True)
class Survey:
    """Shape, voxel size in mm, shells, b0s, σ and SNR in the mask; noise, plan, time in words.

    ``correlation`` is that of the magnitude's noise between adjacent voxels along x, y and z;
    ``volumes`` tell which are no measurements: what follows is of the others.
    ``earlier_steps`` tell what was done to the scan before, if anything shows. ``seconds`` is about
    what ``time`` says, at most; None where it is not known.
    """

    shape: tuple[int, int, int, int]
    volumes: tuple[str, ...]
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
    seconds: float | None
    without_direction: int = 0  # DWIs with a null vector


def survey(
    scan: Scan, method: Denoiser, *, device: str = "auto", threads: int | None = None
) -> Survey:
    """Look at a scan and time a few steps of the method on it; nothing is denoised.

    SNR as `snr_by_shell` defines it; σ is the scan's own map, if it has one.
    """
    if scan.phase is not None:
        check_phase(method)
    check_hot_voxels(scan)
    machine = find_machine(device, threads)
    with limited(machine):
        roles, whole = volume_roles(scan, threads=machine.threads), scan
        scan = measured_scan(scan, roles)
        object_seen = middle_object(scan)
        # each holds BLAS to one thread and gives it back: here it is held to one around both
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(1) as beside:
            steps_before = beside.submit(earlier_steps_in, scan, object_seen)
            mask = object_mask(scan, threads=machine.threads)
            if machine.threads == 1:
                wait([steps_before])
            spatial = spatial_noise(scan.data, mask)
            sigma = sigma_of(scan, mask, method, threads=machine.threads, spatial=spatial)
            steps = steps_before.result()
        inside = sigma[mask]
        low, middle, high = np.percentile(inside, [5, 50, 95])
        snr = [(float(round(s.bval)), ratio) for s, ratio in snr_by_shell(scan, mask, sigma)]
        plan, time, seconds = _plan(scan, method, machine, mask)
    return Survey(
        whole.shape,
        roles.sentences,
        scan.voxel_size,
        [dict(row) for row in shell_table(scan.gradients)],
        roles.measured[scan.gradients.is_b0].tolist(),
        float(mask.mean()),
        float(middle),
        float(low),
        float(high),
        noise_model(scan),
        spatial.correlation.neighbours,
        steps,
        snr,
        plan,
        time,
        seconds,
        int(scan.gradients.without_direction.sum()),
    )


def _plan(
    scan: Scan, method: Denoiser, machine: Machine, mask: Bool[np.ndarray, "x y z"]
) -> tuple[str, str, float | None]:
    """What the method would do, and its time from a few measured steps or from its size."""
    try:
        check_volumes(scan, method)
        need_vectors(scan, method)
    except InputError as refusal:
        return f"nothing: {str(refusal).removesuffix('.')}", "no time", None
    if not isinstance(method, IterativeDenoiser):
        needed = time_needed(method, scan, mask, machine)
        if needed is None:
            return "one pass over the scan", "not known beforehand for this method", None
        words = (
            f"about {_minutes(needed.whole)}, {_minutes(needed.method)} of it for the method "
            f"(right within a factor of two; {machine.threads} threads, as busy as this machine "
            "is now)"
        )
        return "one pass over the scan", words, needed.whole
    plan = method.training_plan(scan, machine=machine, seed=0)
    words, pace = ", ".join(plan.words), plan.pace
    if plan.minutes is not None:
        return words, f"at most {plan.minutes:g} min, as set", 60 * plan.minutes
    training = pace.iteration * plan.iterations
    return (
        words,
        (
            f"about {_minutes(training)} of training and {_minutes(pace.evaluation)} an evaluation "
            f"of all slices: {_minutes(training + pace.evaluation)} if all stop at the first, "
            f"{_minutes(training + plan.evaluations * pace.evaluation)} if none stops "
            f"(measured on {machine.device}, {machine.threads} threads)"
        ),
        training + plan.evaluations * pace.evaluation,
    )


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
