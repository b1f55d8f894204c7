"""Deep image prior's numbers, each with its source."""

from dwiser.methods.budgets import budget, pixels
from dwiser.methods.options import Presets, Sourced

PAPER = "Ulyanov et al., CVPR 2018 (arXiv 1711.10925)"

PRESETS: Presets = {
    "paper": {
        "iterations": Sourced(1800, f"{PAPER}, denoising: stopped after 1800 iterations"),
        "pixels": Sourced(None, f"{PAPER}: each image has its own fit"),
        "learning_rate": Sourced(0.01, f"{PAPER}: Adam"),
        "decay": Sourced("constant", f"{PAPER}: Adam"),
        "width": Sourced(128, f"{PAPER}: 128 channels at each of 5 scales"),
        "levels": Sourced(5, f"{PAPER}: 128 channels at each of 5 scales"),
        "code": Sourced(32, PAPER),
        "jitter": Sourced(1 / 30, f"{PAPER}: the input's perturbation when denoising"),
        "weight": Sourced("equal", f"{PAPER}: plain squared error"),
        "stop": Sourced("never", f"{PAPER}: the number of iterations is the early stop"),
    }
    | budget("paper", "crop", "b0s", "precision"),
    "laptop": {
        "pixels": Sourced(pixels("laptop"), "as difusion at laptop: its batch's patches"),
        "learning_rate": Sourced(0.04, "best of 3e-3, 1e-2, 2e-2, 4e-2 on a phantom of its own"),
        "width": Sourced(32, "the widest under 30 kFLOP a pixel with 64 volumes"),
        "levels": Sourced(1, "best of 1 to 4 at a whole brain's share, 300 iterations a slice"),
        "code": Sourced(32, PAPER),
        "jitter": Sourced(0.0, "less error without, in as many iterations"),
        "weight": Sourced("noise", "in [-1, 1] units of its own a b0 is quieter than a DWI"),
        "stop": Sourced("heldout", "asks for no sigma"),
        "held_out": Sourced(0.05, "enough voxels to judge by, few enough to miss"),
    }
    | budget("laptop", "iterations", "decay", "crop", "b0s", "precision"),
}
PRESETS["smoke"] = (
    PRESETS["laptop"]
    | {
        "pixels": Sourced(pixels("smoke") // 2, "seconds, for tests"),
        "width": Sourced(16, "seconds, for tests"),
    }
    | budget("smoke", "iterations")
)
