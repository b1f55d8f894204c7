"""The learning curve: what Di-Fusion's results are worth after so many passes over the scan.

``python -m reproduce.learning_curve ARM DATA [--size compact|paper] [--passes 281] [--minutes 8]``

An arm is one training at a constant rate, of the network, batch and rate of its size: Di-Fusion
with the paper's pair (``adjacent``), with other pairs (``angular``, ``predicted``), with the
paper's pair and F told the directions (``directions``), and Noise2Noise on the paper's pair. One
pass shows as many slices as the scan has to learn from. At each milestone the same weights are
scored in a single pass and after both walks. ``references`` is no training: the noisy scan and
other methods.

DATA is ``phantom``, ``textured``, ``sherbrooke_1p8mm`` or ``oil_phantom``. It ends within
``--minutes``; called again, it goes on from its checkpoint. First in line, on one card:
adjacent phantom, adjacent oil_phantom, directions phantom, adjacent sherbrooke_1p8mm.
"""

import argparse
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.record import stamp
from dwiser.errors import Code, DwiserError, DwiserWarning, InputError
from dwiser.learn.sampling import Flips
from dwiser.machine import DEVICES, Machine, find_machine, limited
from dwiser.methods.base import Weights
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.networked import Networked
from dwiser.methods.registry import build, find
from dwiser.prepare.stack import Stack
from dwiser.run import denoise
from dwiser.run.memory_limit import enough_memory
from reproduce.curve_data import DATA, Case, Extent, case
from reproduce.curve_training import Clock, Training, parameters, unfinished_run
from reproduce.protocol import HOME, RESULTS, shortened
from reproduce.x_out import along_walk

FOLDER, CHECKPOINTS = RESULTS / "learning_curve", HOME / "build" / "learning_curve"
MILESTONES = 1, 3, 7, 21, 42, 69, 123, 281, 562, 744, 1124  # passes; 281 are the poster's
PASSES = 281
ARMS: dict[str, tuple[str, dict[str, Any]]] = {  # name → method, settings
    "adjacent": ("difusion", {"pairing": "adjacent"}),
    "angular": ("difusion", {"pairing": "angular"}),
    "predicted": ("difusion", {"pairing": "predicted"}),
    "directions": ("difusion", {"pairing": "adjacent", "directions": "embedded"}),
    "noise2noise": ("noise2noise", {"pairing": "adjacent"}),
}
REFERENCES = "references"
METHODS = {"noisy scan": "identity", "dwidenoise": "dwidenoise", "splitq": "splitq"}
SINGLE, EXACT, FUSED, SHORT = "single pass", "exact walk", "re-fused walk", "re-fused, 60"
ONE_FLIP = "single, one flip"  # as the walks are sampled: what a walk is to be held against
LATE, LATE_START = "single, t = 8", 8  # where a ninth of the input is x
WALKS: dict[
    str, tuple[dict[str, Any], dict[int, str]]
] = {  # way → settings, and the evaluations after which x_out is scored, by name
    EXACT: ({"state": "posterior", "state_noise": "mean"}, {76: EXACT}),
    FUSED: ({"state": "fused", "state_noise": "held"}, {60: SHORT, 76: FUSED}),
}
ONCE: tuple[tuple[str, int | None, Flips], ...] = (  # way, start, flips
    (SINGLE, None, "four"), (LATE, LATE_START, "four"), (ONE_FLIP, None, "drawn"),
)  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large a curve is: the network's preset with some fields set, the scans, the walks.

    ``walked`` are the milestones at which the walks are scored too; None: all. ``small_batch`` is
    that of the oil phantom: the paper's for small scans.
    """

    preset: str
    extent: Extent
    settings: Mapping[str, Any] = field(default_factory=dict)
    walked: tuple[float, ...] | None = None
    small_batch: int = 8


CONSTANT = {"decay": "constant", "patch": None}  # whole slices, and no cosine to a length
SHORT_WALK = CONSTANT | {"width": 8, "turn": 2, "stride": 100}
SIZES = {
    "smoke": Size("smoke", Extent((14, 18, 4), 10, 4, 20.0, (16, 16, 4), 28), SHORT_WALK, (3,)),
    "compact": Size(
        "laptop", Extent((28, 34, 8), 20, 3, 20.0, (28, 32, 8), 30), CONSTANT, (42, 281)
    ),
    "paper": Size("paper", Extent((65, 78, 66), 64, 6, 20.0, (0, 0, 26), 48, scored=8)),
}


def method_of(arm: str, size: Size, data: str) -> Networked:
    """The arm's method at a size; every walk goes to its end."""
    name, settings = ARMS[arm]
    small = {"batch": size.small_batch} if data == "oil_phantom" else {}
    method = build(name, size.preset)
    assert isinstance(method, Networked)
    known = {spec.name for spec in fields(method)}  # Noise2Noise has no walk to set
    method = replace(
        method, **{k: v for k, v in size.settings.items() if k in known}, **small, **settings
    )
    return replace(method, stop="never") if isinstance(method, Difusion) else method


@dataclass(frozen=True, eq=False)
class Scorer:
    """Weights → a row for each way to sample with them, on the slices that are scored."""

    training: Training
    case: Case
    walked: tuple[float, ...] | None = None

    def rows(self, weights: Weights, passes: float) -> list[Row]:
        stack = self._scored()
        method, machine, seed = (
            self.training.method, self.training.machine, self.training.seed,
        )  # fmt: skip
        if not isinstance(method, Difusion):
            unit = method._denoise_stack(weights, stack, machine, seed, lambda _: None).unit
            return [self._row(SINGLE, unit, stack)]
        rows = []
        for way, start, flips in ONCE:
            once = replace(method, start=start, evaluations=1, flips=flips)
            unit = once._denoise_stack(weights, stack, machine, seed, lambda _: None).unit
            rows.append(self._row(way, unit, stack))
        walks = WALKS if self.walked is None or passes in self.walked else {}
        for settings, wanted in walks.values():
            chosen = replace(method, start=None, evaluations=None, flips="drawn", **settings)
            names = {min(k, len(chosen.steps)): name for k, name in sorted(wanted.items())}
            units = along_walk(chosen, weights, stack, machine, seed, names)
            rows += [self._row(names[k], unit, stack) for k, unit in units.items()]
        return rows

    def _row(self, way: str, unit: np.ndarray, stack: Stack) -> Row:
        data = np.maximum(stack.restore(self.case.scan.data, unit), 0)
        return {"way": way, **self.case.score(data)}

    def _scored(self) -> Stack:
        """The stack whose items are those of the scored slices."""
        stack = self.training.ready.stack
        first = stack.box.z.start or 0
        return replace(
            stack, items=stack.items[np.isin(stack.items[:, 1] + first, self.case.slices)]
        )


def name_of(arm: str, data: str, size: str, seed: int) -> str:
    """Of the record and the checkpoint."""
    return f"{size}_{data}_{arm}_{seed}"


@dataclass(frozen=True, eq=False)
class Asked:
    """What the command line asks for."""

    arm: str
    data: str
    size: str = "compact"
    passes: float = PASSES
    minutes: float = 8.0
    seed: int = 0
    machine: Machine = Machine()
    folder: Path = FOLDER
    checkpoints: Path = CHECKPOINTS

    @property
    def record(self) -> Path:
        return self.folder / f"{name_of(self.arm, self.data, self.size, self.seed)}.json"

    @property
    def checkpoint(self) -> Path:
        name = name_of(self.arm, self.data, self.size, self.seed)
        return self.checkpoints / f"{name}.safetensors"


def run(asked: Asked) -> bool:
    """Measure what the clock allows; whether all that was asked for is on record."""
    clock = Clock(60 * asked.minutes)
    size = SIZES[asked.size]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        if asked.arm == REFERENCES:
            return references(asked, case(asked.data, size.extent, asked.seed))
        method = method_of(asked.arm, size, asked.data)
        about = {
            "arm": asked.arm, "data": asked.data, "size": asked.size, "seed": asked.seed,
            "extent": json.loads(json.dumps(asdict(size.extent))),
            "parameters": parameters(method),
        }  # fmt: skip
        asked.checkpoints.mkdir(parents=True, exist_ok=True)
        course = unfinished_run(asked.checkpoint, about)  # before the work: it may be another arm's
        with enough_memory(asked.machine.device, method), limited(asked.machine):
            chosen = case(asked.data, size.extent, asked.seed)
            ready = method._prepare(chosen.scan)
            training = Training(method, ready, asked.machine, asked.seed)
            return _trained(asked, training, chosen, course, clock, about)


def _trained(
    asked: Asked, training: Training, chosen: Case, course: Any, clock: Clock, about: Row
) -> bool:
    """Row after row, each on record before the next is begun."""
    record = opened(asked, about | {"items": training.items, **chosen.told})
    fresh = not course.snapshots
    rows: list[Row] = [] if fresh else record.get("rows", [])
    scorer = Scorer(training, chosen, SIZES[asked.size].walked)
    wanted = (*(p for p in MILESTONES if p < asked.passes), asked.passes)
    known = {row["passes"] for row in rows}
    longest = max((row["scoring_seconds"] for row in rows), default=0.0)
    before = max((row["training_seconds"] for row in rows), default=0.0)
    begun, scoring = perf_counter(), 0.0
    for passes, weights in training.milestones(
        tuple(p for p in wanted if p not in known), course, clock
    ):
        if weights is None or clock.left < longest:
            return False
        trained = perf_counter() - begun - scoring
        at, worked = perf_counter(), process_time()
        scored = scorer.rows(weights, passes)
        scoring += perf_counter() - at
        longest = max(longest, perf_counter() - at)
        row = {
            "passes": passes, "iterations": weights.record["iterations"],
            "loss": weights.record["loss"], "training_seconds": round(before + trained, 1),
            "scoring_seconds": round(perf_counter() - at, 1),
            "scoring_cpu_seconds": round(process_time() - worked, 1),
        }  # fmt: skip
        rows += [row | one for one in scored]
        written(asked, record | {"rows": rows})
        told = " ".join(f"{one['way']} {told_of(one)}" for one in scored)
        print(f"{asked.record.stem}: {passes:g} passes, {told}", flush=True)
    return True


def told_of(row: Row) -> str:
    """A row's error in a word."""
    key = next(k for k in ("nrmse", "held_out_rmse") if k in row)
    return f"{row[key]:.4f}"


def references(asked: Asked, chosen: Case) -> bool:
    """The noisy scan, and what other methods make of it; those that are not here are left out."""
    rows = []
    for label, name in METHODS.items():
        if not find(name).available:
            continue
        at = process_time()
        result = denoise(
            chosen.scan, build(name), device="cpu", threads=asked.machine.threads, seed=asked.seed
        )
        row: Row = {"way": label, **chosen.score(result.data)}
        rows.append(row | {"cpu_seconds": round(process_time() - at, 1)})
        print(f"{asked.record.stem}: {label} {told_of(row)}", flush=True)
    size = SIZES[asked.size]
    about = {"arm": REFERENCES, "data": asked.data, "size": asked.size, "seed": asked.seed}
    about["extent"] = asdict(size.extent)
    written(asked, opened(asked, about) | {"rows": rows})
    return True


def opened(asked: Asked, about: Mapping[str, Any]) -> Row:
    """The record so far, if it is about the same; else a new one."""
    old = json.loads(asked.record.read_text()) if asked.record.exists() else {}
    same = json.loads(json.dumps(shortened(about)))
    rows = old.get("rows", []) if {**old, **same} == old else []
    machine = {"threads": asked.machine.threads, "device": asked.machine.device}
    return {"experiment": "learning_curve", **stamp(asked.seed), **machine, **about, "rows": rows}


def written(asked: Asked, record: Row, path: Path | None = None) -> None:
    """The record in place of the one before, completely or not at all."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    path = path or asked.record
    part = path.with_suffix(".part")
    part.write_text(json.dumps(shortened(record), indent=1, allow_nan=False) + "\n")
    part.replace(path)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reproduce.learning_curve", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("arm", choices=[*ARMS, REFERENCES])
    parser.add_argument("data", choices=DATA)
    parser.add_argument("--size", choices=SIZES, default="compact")
    parser.add_argument("--passes", type=float, default=PASSES, help="the last milestone")
    parser.add_argument("--minutes", type=float, default=8.0, help="it ends within them")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the records")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="their folder")
    asked = parser.parse_args(words)
    try:
        if not 0 < asked.passes < float("inf") or not 0 < asked.minutes < float("inf"):
            raise InputError(
                "--passes and --minutes must be above 0: give such numbers.",
                code=Code.ARGUMENT_VALUE,
            )
        machine = find_machine(asked.device, asked.threads)
        where = asked.seed, machine, asked.out, asked.checkpoints
        done = run(Asked(asked.arm, asked.data, asked.size, asked.passes, asked.minutes, *where))
    except DwiserError as error:
        parser.exit(error.exit_code, f"{error}\n")
    if not done:
        print("The time is up: call it again to go on.")


if __name__ == "__main__":
    main()
