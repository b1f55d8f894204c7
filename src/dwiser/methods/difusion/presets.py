"""Di-Fusion's numbers, each with its source; those of the training are in `budgets`."""

from dwiser.methods.budgets import PAPER, PROGRAM, TRAINING
from dwiser.methods.options import Presets, Sourced

PRESETS: Presets = {
    "paper": TRAINING["paper"]
    | {
        "pairing": Sourced("adjacent", f"{PAPER}: x' = X[:,:,i,j-1]"),
        "neighbour": Sourced("shell", "ours: the volume before it in its own shell"),
        "fusion": Sourced("target", f"{PAPER}, Eq. 6"),
        "directions": Sourced("unknown", f"{PAPER}: F gets x_t and the level"),
        "noise": Sourced("shuffled", f"{PAPER}, Eq. 8 (Di-)"),
        "latter": Sourced(300, f"{PAPER}, section 4: Tc = 300"),
        "turn": Sourced(50, f"{PAPER}, section 4: Tr = 50"),
        "stride": Sourced(10, f"{PAPER}, section 4: p = 10"),
        "flips": Sourced("four", PROGRAM),
        "stop": Sourced("adaptive", f"{PAPER}, Eq. 13"),
        "threshold": Sourced(0.040, PROGRAM),
    },
}
for _preset in ("laptop", "smoke"):
    PRESETS[_preset] = TRAINING[_preset] | {
        "pairing": Sourced("predicted", "the only pair that beats the noisy scan on two cores"),
        "fusion": Sourced("target", f"{PAPER}, Eq. 6"),
        "flips": Sourced("drawn", "one flip an evaluation: a quarter of the work"),
        "stop": Sourced("noise", "never removes more than the noise"),
        "threshold": Sourced(1.0, "RMS of (x - x_out)/sigma against 1"),
    }
