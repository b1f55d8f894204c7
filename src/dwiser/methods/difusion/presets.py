"""Di-Fusion's numbers, each with its source; those of the training are in `budgets`."""

from dwiser.methods.budgets import PAPER, PROGRAM, TRAINING
from dwiser.methods.options import Presets, Sourced

STUDY = "benchmarks/walk.py"

PRESETS: Presets = {
    "paper": TRAINING["paper"]
    | {
        "pairing": Sourced("adjacent", f"{PAPER}: x' = X[:,:,i,j-1]"),
        "neighbour": Sourced("shell", "ours: the volume before it in its own shell"),
        "fusion": Sourced("target", f"{PAPER}, Eq. 6"),
        "directions": Sourced("unknown", f"{PAPER}: F gets x_t and the level"),
        "start_fusion": Sourced(None, f"{PAPER}, Eq. 6"),
        "noise": Sourced("shuffled", f"{PAPER}, Eq. 8 (Di-)"),
        "shared_step": Sourced(False, "ours: the paper does not say"),
        "step_interval": Sourced("own", "ours: F learns at the levels that sampling tells it"),
        "latter": Sourced(300, f"{PAPER}, section 4: Tc = 300"),
        "turn": Sourced(50, f"{PAPER}, section 4: Tr = 50"),
        "stride": Sourced(10, f"{PAPER}, section 4: p = 10"),
        "start": Sourced(None, f"{PAPER}: from Tc"),
        "evaluations": Sourced(None, f"{PAPER}: all of Run-Walk, until Eq. 13 ends it"),
        "state": Sourced("posterior", f"{PAPER}, Eq. 10"),
        "state_noise": Sourced("mean", f"{PROGRAM}: no sigma z"),
        "flips": Sourced("four", PROGRAM),
        "stop": Sourced("adaptive", f"{PAPER}, Eq. 13"),
        "threshold": Sourced(0.040, PROGRAM),
    },
}
PRESETS["released"] = PRESETS["paper"] | {
    "neighbour": Sourced("series", f"{PROGRAM}: the DWI before it, whatever its shell"),
    "fusion": Sourced("neighbour", f"{PROGRAM}: x' in both places of Eq. 6 in training"),
    "start_fusion": Sourced("target", f"{PROGRAM}: x and x' where the sampling starts"),
    "shared_step": Sourced(True, f"{PROGRAM}: one t and one permutation for a batch"),
    "step_interval": Sourced("program", f"{PROGRAM}: t on 1 ... 299, s a step nearer to 1"),
    "iterations": Sourced(100_000, PROGRAM),
    "batch": Sourced(32, f"{PROGRAM}; 8 for scans of 64 volumes"),
    "learning_rate": Sourced(1e-4, f"{PROGRAM}: Adam, weights not averaged"),
    "decay": Sourced("constant", PROGRAM),
    "patch": Sourced(None, f"{PROGRAM}: one item is one whole slice"),
    "latter": Sourced(300, PROGRAM),
    "turn": Sourced(50, PROGRAM),
    "stride": Sourced(10, PROGRAM),
    "state": Sourced("released", f"{PROGRAM}: run weights that sum to 0.97 and less"),
    "state_noise": Sourced("mean", f"{PROGRAM}: no sigma z"),
    "threshold": Sourced(0.040, f"{PROGRAM}; 0.085 for the table of SNR and CNR"),
}
for _preset in ("laptop", "smoke"):
    PRESETS[_preset] = TRAINING[_preset] | {
        "pairing": Sourced("predicted", "the only pair that beats the noisy scan on two cores"),
        "fusion": Sourced("target", f"{PAPER}, Eq. 6"),
        "start": Sourced(50, f"{STUDY}: less error than from 300 on every scan; later it depends"),
        "evaluations": Sourced(1, f"{STUDY}: a walk gains nothing that one evaluation does not"),
        "state": Sourced("fused", f"{STUDY}: Eq. 10's state loses to a single evaluation"),
        "state_noise": Sourced("drawn", f"{STUDY}: it makes no difference"),
        "flips": Sourced("drawn", "one flip an evaluation: a quarter of the work"),
        "stop": Sourced("noise", "never removes more than the noise"),
        "threshold": Sourced(1.0, "RMS of (x - x_out)/sigma against 1"),
    }
