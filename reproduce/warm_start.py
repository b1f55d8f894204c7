"""How few passes a second scan of the same protocol needs, with the weights of the first.

``python -m reproduce.warm_start [--arms adjacent,predicted] [--size compact]``

The first scan's weights are those of its learning curve, from its checkpoint; the second scan is
another phantom. It is trained from fresh weights (cold) and from the first scan's (warm), at the
curve's constant rate, and scored in single passes. Zero passes: the weights applied as they are.
"""

import argparse
import json
import warnings
from pathlib import Path

from dwiser.errors import DwiserError, DwiserWarning
from dwiser.machine import DEVICES, find_machine, limited
from dwiser.methods.base import Weights
from reproduce.curve_data import PHANTOM, case
from reproduce.curve_training import EVERY, Clock, Training, Unfinished, learned
from reproduce.learning_curve import (
    ARMS,
    CHECKPOINTS,
    FOLDER,
    SIZES,
    Asked,
    Row,
    Scorer,
    method_of,
    opened,
    written,
)

PASSES = 1, 3, 7, 21, 42
COLD, WARM, APPLIED = "cold", "warm", "applied as they are"
SUBJECT = 1  # the second scan


def measured(asked: Asked, passes: tuple[float, ...]) -> Row:
    """Rows of one arm: the second scan's errors by passes, cold and warm."""
    size = SIZES[asked.size]
    start = learned(asked.checkpoint)
    method = method_of(asked.arm, size, PHANTOM)
    rows: list[Row] = []
    with limited(asked.machine):
        second = case(PHANTOM, size.extent, asked.seed, SUBJECT)
        training = Training(method, method._prepare(second.scan), asked.machine, asked.seed)
        scorer = Scorer(training, second, walked=())
        rows.append({"start": "noisy scan", **second.score(second.scan.data)})

        def add(name: str, done: float, weights: Weights) -> None:
            scored = scorer.rows(weights, done)
            rows.extend({"start": name, "passes": done, **row} for row in scored)
            print(f"{asked.arm}: {name}, {done:g} passes, {scored[0]['nrmse']:.4f}", flush=True)

        add(APPLIED, 0, Weights(start))
        for name, first in ((COLD, {}), (WARM, start)):
            course = Unfinished(start=first, write=lambda _: None, every=EVERY)
            for done, weights in training.milestones(passes, course, Clock(float("inf"))):
                assert weights is not None
                add(name, done, weights)
    return {"subject": SUBJECT, "items": training.items, **second.told, "rows": rows}


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reproduce.warm_start", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--arms", default="adjacent,predicted")
    parser.add_argument("--size", choices=SIZES, default="compact")
    parser.add_argument("--passes", default=",".join(map(str, PASSES)))
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the records")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="their folder")
    asked = parser.parse_args(words)
    wanted = tuple(float(p) for p in asked.passes.split(","))
    warnings.simplefilter("ignore", DwiserWarning)
    try:
        machine = find_machine(asked.device, 1)
        for arm in asked.arms.split(","):
            if arm not in ARMS:
                parser.error(f"there is no arm {arm!r}: choose from {', '.join(ARMS)}")
            one = Asked(
                arm, PHANTOM, asked.size, machine=machine, folder=asked.out,
                checkpoints=asked.checkpoints,
            )  # fmt: skip
            told = measured(one, wanted)
            about = {"arm": arm, "data": PHANTOM, "size": asked.size, "seed": one.seed}
            record = opened(one, about) | {"experiment": "warm_start"} | told
            path = asked.out / f"warm_{one.record.name}"
            written(one, json.loads(json.dumps(record)), path)
            print(path)
    except DwiserError as error:
        parser.exit(error.exit_code, f"{error}\n")


if __name__ == "__main__":
    main()
