"""One method of a comparison, in a process of its own: its time and its peak memory."""

import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.errors import DwiserWarning
from dwiser.evaluate.heldout import (
    HeldOut,
    held_out_score,
    leave_out,
    predict_dti,
    predict_sh,
)
from dwiser.evaluate.records import CannotMeasure
from dwiser.evaluate.snr import Repeatability, repeatability
from dwiser.evaluate.tensor import fit_tensor, pick
from dwiser.io import load
from dwiser.run.corridor import Request, denoise, denoise_file, named_inputs
from dwiser.run.variants import Variant
from dwiser.scan import Scan

PREDICTORS = {"dti": predict_dti, "sh": predict_sh}


@dataclass(frozen=True)
class TrialPlan:
    """What is done with each method besides denoising: held-out volumes, seeds, halves."""

    held_out: int = 5
    seeds: int = 3
    halves: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Trial:
    """What came of one method: its record and scores, or why it failed."""

    variant: Variant
    image: Path
    record: dict[str, Any] = field(default_factory=dict)
    held_out: dict[str, HeldOut] = field(default_factory=dict)
    seeds: Repeatability | None = None
    halves: Repeatability | None = None
    absent: dict[str, str] = field(default_factory=dict)
    error: str | None = None


def tried(variant: Variant, request: Request, plan: TrialPlan) -> Trial:
    """Run one trial in a fresh process; whatever goes wrong there becomes its ``error``."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_trial, variant, request, plan).result()
        except BrokenProcessPool:
            reason = "its process was killed (out of memory?)"
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
    return Trial(variant, request.out, error=reason)


def noisy_trial(scan: Scan, request: Request, plan: TrialPlan) -> Trial:
    """The scan as it is, held-out volumes predicted from the noisy rest."""
    absent: dict[str, str] = {}
    held = _tell(
        absent, "held-out", lambda: _held_out(scan, lambda some, _: some.data, plan, absent)
    )
    return Trial(Variant("noisy", "noisy"), request.dwi, held_out=held or {}, absent=absent)


def _trial(variant: Variant, request: Request, plan: TrialPlan) -> Trial:
    warnings.simplefilter("ignore", DwiserWarning)
    result = denoise_file(request)
    trial = Trial(variant, request.out, result.record)
    scan = load(*named_inputs(request), b0_threshold=request.b0_threshold)
    if result.mask is None or result.sigma is None:
        return trial
    known = replace(scan, mask=result.mask, sigma=result.sigma)

    settings: dict[str, Any] = dict(variant.settings)

    def again(some: Scan, seed: int) -> np.ndarray:
        return denoise(
            some, variant.method, variant.preset,
            device=request.device, threads=request.threads, seed=seed, **settings,
        ).data  # fmt: skip

    absent: dict[str, str] = {}
    held = _tell(absent, "held-out", lambda: _held_out(known, again, plan, absent)) or {}
    seeds = _tell(absent, "seeds", lambda: _seeds(known, result.data, again, variant, plan))
    halves = _tell(absent, "halves", lambda: _halves(known, again, plan)) if plan.halves else None
    return replace(trial, held_out=held, seeds=seeds, halves=halves, absent=absent)


def _tell(absent: dict[str, str], name: str, measure: Callable[[], Any]) -> Any:
    try:
        return measure()
    except (CannotMeasure, ValueError) as reason:
        absent[name] = str(reason)
        return None


Again = Callable[[Scan, int], np.ndarray]


def _held_out(
    scan: Scan, again: Again, plan: TrialPlan, absent: dict[str, str]
) -> dict[str, HeldOut]:
    """Directions left out before denoising, predicted from the denoised rest."""
    if plan.held_out < 1:
        raise CannotMeasure("no volumes were to be held out")
    assert scan.mask is not None
    assert scan.sigma is not None
    held = leave_out(scan.gradients, plan.held_out, plan.seed)
    rest = np.setdiff1d(np.arange(scan.shape[3]), held)
    table, wanted = pick(scan.gradients, rest), pick(scan.gradients, held)
    kept = again(replace(scan, data=scan.data[..., rest], gradients=table), plan.seed)[scan.mask]
    raw, sigma = scan.data[scan.mask][:, held], scan.sigma[scan.mask]
    scores = {}
    for name, predict in PREDICTORS.items():
        predicted = _tell(absent, f"held-out by {name}", partial(predict, kept, table, wanted))
        if predicted is not None:
            scores[name] = held_out_score(predicted, raw, sigma)
    return scores


def _seeds(
    scan: Scan, first: np.ndarray, again: Again, variant: Variant, plan: TrialPlan
) -> Repeatability:
    if not variant.has_seed:
        raise CannotMeasure("no seed in it: every run gives the same")
    more = [again(scan, plan.seed + k) for k in range(1, plan.seeds)]
    assert scan.mask is not None
    return repeatability([first, *more], scan.mask)


def _halves(scan: Scan, again: Again, plan: TrialPlan) -> Repeatability:
    """FA from two disjoint halves of the directions, each denoised alone."""
    assert scan.mask is not None
    dwis = np.flatnonzero(~scan.gradients.is_b0)
    b0s = np.flatnonzero(scan.gradients.is_b0)
    maps = []
    for half in (dwis[::2], dwis[1::2]):
        volumes = np.sort(np.concatenate([b0s, half]))
        table = pick(scan.gradients, volumes)
        part = replace(scan, data=scan.data[..., volumes], gradients=table)
        maps.append(fit_tensor(again(part, plan.seed), table, scan.mask).fa)
    return repeatability(maps, scan.mask)
