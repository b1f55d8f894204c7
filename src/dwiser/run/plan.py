"""What a request comes to before anything is loaded: the method, and what it begins with."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.machine import GIB, find_machine, parse_memory, usable_memory
from dwiser.methods.base import Course, Denoised, Denoiser, Weights
from dwiser.methods.registry import build
from dwiser.run.capabilities import (
    check_noise_map,
    check_phase,
    with_rank,
    with_real_part,
    with_uncertainty,
)
from dwiser.run.checkpoint import Run, check_training, course_of
from dwiser.run.memory_limit import MIB
from dwiser.run.memory_needed import check_disk, check_memory, check_room
from dwiser.run.noise_volumes import noise_image
from dwiser.run.request import Request
from dwiser.run.result import RunCost
from dwiser.run.reuse import WeightsFile, check_reusable, weights_bytes
from dwiser.scan import Scan


@dataclass(frozen=True, eq=False)
class Plan:
    """The method and preset; the file of weights to apply, if any; whether it trains."""

    request: Request
    method: Denoiser
    preset: str
    weights_file: WeightsFile | None
    trains: bool
    memory: int | None  # bytes that --memory allows

    @property
    def weights(self) -> Weights | None:
        """To apply instead of training."""
        return None if self.weights_file is None else self.weights_file.weights

    @property
    def room(self) -> int | None:
        """Bytes to read the scan with; a larger part of them than it may take is mapped."""
        return usable_memory() if self.memory is None else self.memory

    def checked(self, scan: Scan) -> dict[str, Any]:
        """Refuse a scan that is too large or does not fit the weights; entries of the record."""
        if self.request.noise_map is not None:
            check_noise_map(self.method)
        check_memory(self.method, scan, self.memory, usable_memory())
        check_room(scan)
        request = self.request
        if request.complex_parts and scan.phase is None:
            raise InputError(
                f"{request.complex_parts[0]}: a magnitude has no real part or phase: give its "
                "phase with --phase, or a complex image.",
                code=Code.ARGUMENT_MISSING,
            )
        series = request.save_residual, request.save_standardised, *request.complex_parts
        check_disk(scan, request.out, *series)
        limit = {} if self.memory is None else {"MemoryLimitMiB": round(self.memory / MIB, 1)}
        if self.weights_file is None:
            return limit
        self.weights_file.check(scan, self.request.dwi)
        return limit | self.weights_file.record

    def overrun(self, cost: RunCost) -> list[str]:
        """A warning, for the record too, where a run held more than --memory allowed.

        Pages of mapped files do not count, where they are known: the system may drop them.
        """
        anonymous_mib = cost.peak_anonymous_mib
        peak_mib = cost.peak_mib if anonymous_mib is None else anonymous_mib
        if self.memory is None or peak_mib * MIB <= self.memory:
            return []
        sentence = (
            f"The run held {peak_mib / 1024:.2f} GiB, --memory allowed {self.memory / GIB:.2f}: "
            "ask for more where a limit is enforced."
        )
        warnings.warn(sentence, DwiserWarning, stacklevel=3)
        return [sentence]

    def course(self, files: Iterable[Path]) -> Course | None:
        """Of the training, if there is one; with --resume, from its checkpoint on."""
        if not self.trains:
            return None
        request = self.request
        run = Run(
            request.out,
            self.method,
            request.seed,
            request.b0_threshold,
            request.bvalue_scaling,
            tuple(files),
            request.warm_start,
            request.noise_volumes,
            request.b_delta,
        )
        return course_of(run, resume=request.resume, every=request.checkpoint_every)

    def to_keep(self, result: Denoised, scan: Scan, course: Course | None) -> dict[Path, bytes]:
        """The file of --save-weights, if it was asked for."""
        if self.request.save_weights is None or result.weights is None:
            return {}
        counted = {} if course is None else course.counted
        method = replace(self.method, **counted)
        return {self.request.save_weights: weights_bytes(result.weights, method, self.preset, scan)}


def plan_of(request: Request) -> Plan:
    """Read the weights, build the method, refuse what it cannot do.

    Raises
    ------
    InputError
        For an option that the method cannot have, and weights that do not fit.
    """
    find_machine(request.device, request.threads)
    if not request.checkpoint_every >= 0:  # NaN is wrong too
        raise InputError(
            f"--checkpoint-every must be 0 or more seconds, not {request.checkpoint_every:g}.",
            code=Code.ARGUMENT_VALUE,
        )
    memory = None if request.memory is None else parse_memory(request.memory)
    if request.weights is not None:
        weights_file = WeightsFile(request.weights)
        plan = Plan(request, weights_file.method, weights_file.preset, weights_file, False, memory)
    else:
        method = build(request.method, request.preset, request.settings)
        trains = check_training(method, resume=request.resume, start=request.warm_start)
        plan = Plan(request, method, request.preset, None, trains, memory)
    if request.save_weights is not None:
        check_reusable(plan.method, "--save-weights")
    if request.phase is not None:
        check_phase(plan.method)
    if request.save_uncertainty is not None:
        plan = replace(plan, method=with_uncertainty(plan.method))
    if request.save_rank is not None:
        plan = replace(plan, method=with_rank(plan.method))
    if request.complex_parts:
        plan = replace(plan, method=with_real_part(plan.method))
    return plan


def maps_of(request: Request) -> tuple[Path, ...]:
    """The images that were given besides the scan."""
    maps = request.noise_map, request.phase, noise_image(request.noise_volumes)
    return tuple(path for path in maps if path is not None)
