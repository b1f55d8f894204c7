"""The paper preset on two cores: one real slice through all 76 × 4 evaluations, timed.

The whole cannot be run there; what it would take is extrapolated, and labelled so.
``python -m benchmarks.paper_slice``
"""

from dataclasses import replace
from time import perf_counter

import torch

from benchmarks.record import save
from dwiser.io import load
from dwiser.io.sample import sample_paths
from dwiser.machine import Machine, limited
from dwiser.methods.registry import build
from dwiser.watch import silent

SEED, THREADS, TIMED_BATCH = 0, 2, 2
BRAIN = (128, 128, 78, 64)  # the 1.8 mm scan, whole slices as the paper takes them


def main() -> None:
    machine = Machine("cuda" if torch.cuda.is_available() else "cpu", THREADS)
    paper = replace(build("difusion", "paper"), stop="never", iterations=1, batch=TIMED_BATCH)
    files = sample_paths()
    scan = load(files.dwi, files.bval, files.bvec)
    with limited(machine):
        ready = paper._prepare(scan)
        pace = paper._pace(ready, machine, SEED)
        weights = paper._learn(ready, machine, SEED, silent)
        one = replace(ready.stack, items=ready.stack.items[[205]])
        begun = perf_counter()
        walked = paper._find(weights, one, machine, SEED, silent)
        seconds = perf_counter() - begun
    training = pace.iteration / TIMED_BATCH
    pixels = scan.shape[0] * scan.shape[1]
    brain_slice = BRAIN[0] * BRAIN[1] / pixels
    slices = BRAIN[2] * BRAIN[3]
    figures = {
        "device": machine.device,
        "parameters": weights.record["parameters"],
        "slice": scan.shape[:2],
        "evaluations": walked.record["evaluations"],
        "flips": 4,
        "seconds_a_slice": round(seconds, 2),
        "seconds_a_training_item": round(training, 2),
        "extrapolated": {
            "scan": BRAIN,
            "by": "pixels, linearly; attention makes the truth a little slower",
            "hours_sampling": round(seconds * brain_slice * slices / 3600, 1),
            "seconds_an_iteration_of_32": round(training * brain_slice * 32, 1),
            "hours_training_100000": round(training * brain_slice * 32 * 1e5 / 3600),
        },
    }
    print(figures)
    print(save(f"paper_slice_{machine.device}", SEED, figures))


if __name__ == "__main__":
    main()
