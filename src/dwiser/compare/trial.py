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
from jaxtyping import Bool, Float

from dwiser.compare.rescan import Rescan, rescan_scores
from dwiser.compare.variants import Variant
from dwiser.errors import DwiserWarning
from dwiser.evaluation.heldout import (
    BY_FA,
    HeldOut,
    Predict,
    binned_scores,
    held_out_score,
    leave_out,
    predict_dti,
    predict_sh,
    training_fa,
)
from dwiser.evaluation.kfold import FOLDS
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.snr import Repeatability, repeatability
from dwiser.evaluation.tensor import fit_tensor, pick
from dwiser.io import load, read_on_grid
from dwiser.machine import one_heap
from dwiser.prepare.moments import expected_magnitude, magnitude_moments
from dwiser.run.capabilities import with_maps
from dwiser.run.denoising import denoise, denoise_file
from dwiser.run.request import Request, named_inputs, table_options
from dwiser.run.result import RunSummary
from dwiser.run.volumes import judged_part
from dwiser.scan import Gradients, Scan

PREDICTORS = {"dti": predict_dti, "sh": predict_sh}
SURE = 3.0  # standard errors above noise alone
ByFa = dict[str, dict[str, HeldOut]]  # model → bin of FA → score


@dataclass(frozen=True)
class TrialPlan:
    """What each method is tested by besides denoising: held-out volumes, seeds, halves, rescan."""

    held_out: int = 5
    seeds: int = 3
    halves: bool = False
    seed: int = 0
    folds: int = FOLDS
    sigma: Path | None = None  # to measure with, where one is given
    rescan: Rescan | None = None


@dataclass(frozen=True)
class Trial:
    """The result of one method: its run and scores, or why it failed."""

    variant: Variant
    image: Path
    summary: RunSummary | None = None
    held_out: dict[str, HeldOut] = field(default_factory=dict)
    held_out_by_fa: ByFa = field(default_factory=dict)
    seeds: Repeatability | None = None
    halves: Repeatability | None = None
    rescan: dict[str, Repeatability] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    error: str | None = None


def tried(variant: Variant, request: Request, plan: TrialPlan) -> Trial:
    """Run one trial in a fresh process; whatever goes wrong there becomes its ``error``."""
    with ProcessPoolExecutor(1, get_context("spawn"), one_heap) as pool:
        try:
            return pool.submit(_trial, variant, request, plan).result()
        except BrokenProcessPool:
            reason = "its process was killed (out of memory?)"
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
    return Trial(variant, request.out, error=reason)


def noisy_trial(scan: Scan, request: Request, plan: TrialPlan) -> Trial:
    """The raw scan: held-out volumes predicted from the other, noisy ones."""
    sigma = scan.sigma
    assert sigma is not None
    absent: dict[str, str] = {}
    held, by_fa = _tell(
        absent,
        "held-out",
        lambda: _held_out(scan, sigma, lambda some, _: some.data, plan, absent),
    ) or ({}, {})
    twice = _rescan(scan, scan.data, lambda some, _: some.data, request, plan, absent)
    return Trial(
        Variant("noisy", "noisy"), request.dwi, held_out=held, held_out_by_fa=by_fa,
        rescan=twice, absent=absent,
    )  # fmt: skip


def _trial(variant: Variant, request: Request, plan: TrialPlan) -> Trial:
    warnings.simplefilter("ignore", DwiserWarning)
    result = denoise_file(request)
    trial = Trial(variant, request.out, result.summary)
    scan = load(*named_inputs(request), **table_options(request))
    scan, _ = with_maps(scan, phase=request.phase, noise_volumes=request.noise_volumes)
    if result.mask is None or result.sigma is None:
        return trial
    scan, result = judged_part(scan, result)
    assert result.mask is not None
    assert result.sigma is not None
    masked = replace(scan, mask=result.mask, sigma=result.sigma)

    sigma_file = plan.sigma
    sigma = result.sigma if sigma_file is None else read_on_grid(sigma_file, scan, "σ map")
    settings: dict[str, Any] = dict(variant.settings)

    def again(some: Scan, seed: int) -> np.ndarray:
        return denoise(
            some, variant.method, variant.preset,
            device=request.device, threads=request.threads, seed=seed, **settings,
        ).data  # fmt: skip

    absent: dict[str, str] = {}
    floor = (result.coils or 1) if result.bias_removed else None  # 0: a real part, ours alone
    held, by_fa = _tell(
        absent, "held-out", lambda: _held_out(masked, sigma, again, plan, absent, floor)
    ) or ({}, {})
    seeds = _tell(absent, "seeds", lambda: _seeds(masked, result.data, again, variant, plan))
    halves = _tell(absent, "halves", lambda: _halves(masked, again, plan)) if plan.halves else None
    twice = _rescan(masked, result.data, again, request, plan, absent)
    return replace(
        trial, held_out=held, held_out_by_fa=by_fa, seeds=seeds, halves=halves, rescan=twice,
        absent=absent,
    )  # fmt: skip


def _tell(absent: dict[str, str], name: str, measure: Callable[[], Any]) -> Any:
    try:
        return measure()
    except (CannotMeasure, ValueError) as reason:
        absent[name] = str(reason)
        return None


Again = Callable[[Scan, int], np.ndarray]


def _held_out(
    scan: Scan,
    sigma: np.ndarray,
    again: Again,
    plan: TrialPlan,
    absent: dict[str, str],
    floor: float | None = None,
) -> tuple[dict[str, HeldOut], ByFa]:
    """Directions held out before denoising, predicted from the denoised rest; also by bins of FA.

    ``floor``: channels of the magnitude whose noise floor the method removed; what it predicts
    is then a signal, and the raw volume is compared with its expected magnitude. The bins'
    FA is that of the raw training volumes, the same for every method.
    """
    if plan.held_out < 1:
        raise CannotMeasure("no volumes were to be held out")
    assert scan.mask is not None
    held = leave_out(scan.gradients, plan.held_out, plan.seed)
    rest = np.setdiff1d(np.arange(scan.shape[3]), held)
    table, wanted = pick(scan.gradients, rest), pick(scan.gradients, held)
    denoised_rest = again(some_volumes(scan, rest), plan.seed)[scan.mask]
    raw, noise = scan.data[scan.mask][:, held], sigma[scan.mask]

    def predicted(name: str, predict: Predict) -> np.ndarray | None:
        guess = _tell(absent, f"held-out by {name}", partial(predict, denoised_rest, table, wanted))
        if guess is not None and floor is not None:
            columns = np.broadcast_to(noise[:, None], guess.shape)
            guess = expected_magnitude(guess, columns, floor)
        return guess

    guesses = {name: predicted(name, predict) for name, predict in PREDICTORS.items()}
    scores = {n: held_out_score(g, raw, noise) for n, g in guesses.items() if g is not None}
    try:
        fa = training_fa(scan.data, scan.gradients, scan.mask, rest)
    except CannotMeasure as reason:
        absent["held-out by FA"] = str(reason)
        return scores, {}
    guesses |= {name: predicted(name, p) for name, p in BY_FA.items() if name not in guesses}
    by_fa = {}
    bright = _bright(scan.data[scan.mask][:, rest], table, noise)
    for name in BY_FA:
        guess = guesses[name]
        if guess is not None:
            by_fa[name], few = binned_scores(guess[bright], raw[bright], noise[bright], fa[bright])
            absent.update({f"held-out of {group}": why for group, why in few.items()})
    return scores, by_fa


def _bright(
    training: Float[np.ndarray, "n k"], table: Gradients, noise: Float[np.ndarray, "n"]
) -> Bool[np.ndarray, "n"]:
    """Voxels whose raw b0s, or all volumes without one, are above air: its FA is that of noise.

    Above the mean of so many magnitudes of noise by three of its standard errors.
    """
    volumes = table.is_b0 if table.is_b0.any() else np.ones(len(table), bool)
    floor, variance = (float(moment[0]) for moment in magnitude_moments(np.zeros(1)))
    least = floor + SURE * np.sqrt(variance / volumes.sum())
    return training[:, volumes].mean(1) > least * noise


def some_volumes(scan: Scan, volumes: np.ndarray) -> Scan:
    """A part of a series, with its part of the table and of the phase."""
    return replace(
        scan, data=scan.data[..., volumes], gradients=pick(scan.gradients, volumes),
        phase=None if scan.phase is None else scan.phase[..., volumes],
    )  # fmt: skip


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
        part = some_volumes(scan, volumes)
        maps.append(fit_tensor(again(part, plan.seed), part.gradients, scan.mask).fa)
    return repeatability(maps, scan.mask)


def _rescan(
    scan: Scan,
    first: np.ndarray,
    again: Again,
    request: Request,
    plan: TrialPlan,
    absent: dict[str, str],
) -> dict[str, Repeatability]:
    """The second scan denoised too, in the first one's mask, and how the two agree."""
    if plan.rescan is None:
        return {}
    assert scan.mask is not None
    other = plan.rescan.read(scan, **table_options(request))
    second = again(replace(other, mask=scan.mask), plan.seed)
    scores, why = rescan_scores(first, second, (scan.gradients, other.gradients), scan.mask)
    absent.update(why)
    return scores
