"""DDM2's numbers, each with its source."""

from dwiser.methods.budgets import budget
from dwiser.methods.options import Presets, Sourced

PAPER = "Xiang et al., ICLR 2023 (arXiv 2302.03018)"

PRESETS: Presets = {
    "paper": {
        "neighbour": Sourced("series", f"{PAPER}: neighbouring volumes of the series"),
        "iterations": Sourced(110_000, f"{PAPER}: 10 000 in Stage I, 100 000 in Stage III"),
        "first_share": Sourced(1 / 11, f"{PAPER}: 10 000 in Stage I, 100 000 in Stage III"),
        "batch": Sourced(32, PAPER),
        "learning_rate": Sourced(1e-4, f"{PAPER}: Adam, fixed"),
        "decay": Sourced("constant", f"{PAPER}: Adam, fixed"),
        "latter": Sourced(1000, f"{PAPER}: T = 1000, every step is trained"),
        "target": Sourced("noisy", f"{PAPER}: x itself, for J-invariance"),
        "posterior": Sourced("stochastic", f"{PAPER}, after Ho et al. 2020"),
        "flips": Sourced("four", "authors' released settings, as reported"),
        "evaluations": Sourced(None, f"{PAPER}: all steps from t* down"),
    }
    | budget("paper", "network", "width", "patch", "crop", "b0s"),
    "laptop": {
        "neighbour": Sourced("shell", "ours: neighbours of another shell have another contrast"),
        "first_share": Sourced(0.5, "the one budget halved between the two networks"),
        "latter": Sourced(None, "steps above the highest t* are never visited"),
        "target": Sourced("guess", "x as target drifts off where Stage I's training is short"),
        "posterior": Sourced("stochastic", f"{PAPER}, after Ho et al. 2020"),
        "flips": Sourced("drawn", "as difusion at laptop: a quarter of the work"),
        "evaluations": Sourced(16, "by strides: a whole brain then costs what the training does"),
    }
    | budget("laptop"),
}
PRESETS["smoke"] = (
    PRESETS["laptop"] | budget("smoke") | {"evaluations": Sourced(4, "seconds, for tests")}
)
