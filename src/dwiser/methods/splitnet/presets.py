"""splitnet's numbers, each with its source."""

from dwiser.methods.options import Presets, Sourced

TRIAL = "a first trial on a phantom; a 4-layer stack of 64 won at equal time"

LAPTOP: dict[str, Sourced] = {
    "iterations": Sourced(800, "about two minutes on two cores"),
    "batch": Sourced(8, TRIAL),
    "patch": Sourced(48, TRIAL),
    "width": Sourced(64, TRIAL),
    "depth": Sourced(4, TRIAL),
    "learning_rate": Sourced(2e-3, TRIAL),
    "decay": Sourced("cosine", TRIAL),
    "precision": Sourced("float32", "the reference; the same on every device"),
    "chain": Sourced(False, "benchmarks/steps.py: the single pass has less error than any walk"),
}
PRESETS: Presets = {
    "laptop": LAPTOP,
    "smoke": LAPTOP
    | {
        "iterations": Sourced(30, "seconds, for tests"),
        "width": Sourced(16, "seconds, for tests"),
        "patch": Sourced(24, "seconds, for tests"),
        "batch": Sourced(4, "seconds, for tests"),
    },
}
