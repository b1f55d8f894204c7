"""One work budget for every learned method, so that comparisons at a preset are fair.

The numbers are Di-Fusion's, each with its source; who tunes them here tunes them for all.
"""

from math import prod
from typing import Any

from dwiser.methods.options import Presets, Sourced

PAPER = "Wu et al., ICLR 2025 (arXiv 2501.13514)"
PROGRAM = "authors' released settings, as reported"

TRAINING: Presets = {
    "paper": {
        "network": Sourced("unet", f"{PAPER}: SR3-style U-Net, 24 472 161 parameters"),
        "width": Sourced(32, PROGRAM),
        "iterations": Sourced(100_000, f"{PAPER}, section 4"),
        "batch": Sourced(32, f"{PAPER}, section 4 (8 for small scans)"),
        "patch": Sourced(None, f"{PAPER}: one item is one whole slice"),
        "learning_rate": Sourced(1e-4, f"{PAPER}, section 4: Adam, constant"),
        "decay": Sourced("constant", f"{PAPER}, section 4"),
        "crop": Sourced(False, f"{PAPER}: whole slices, background too"),
        "b0s": Sourced("unseen", f"{PROGRAM}: the diffusion-weighted volumes alone"),
        "precision": Sourced("float32", f"{PROGRAM}: no reduced precision"),
    },
    "laptop": {
        "network": Sourced("compact", "under 30 kFLOP a pixel"),
        "width": Sourced(32, "the widest under 30 kFLOP a pixel"),
        "iterations": Sourced(3000, "about two minutes on two cores; 6000 gained 4 % over 2000"),
        "batch": Sourced(8, "as good as 16 for as many iterations, in half the time"),
        "patch": Sourced(64, "a quarter of a brain's slice"),
        "learning_rate": Sourced(3e-3, "best of four rates tried on phantoms kept for tuning"),
        "decay": Sourced("cosine", "short trainings end better at a low rate"),
        "crop": Sourced(True, "the background costs time and teaches nothing"),
        "b0s": Sourced("denoised", "ours: four or more are a shell of their own"),
        "precision": Sourced("float32", "the reference; the same on every device"),
    },
}
TRAINING["smoke"] = TRAINING["laptop"] | {
    "width": Sourced(16, "seconds, for tests"),
    "iterations": Sourced(60, "seconds, for tests"),
    "batch": Sourced(8, "seconds, for tests"),
    "patch": Sourced(32, "seconds, for tests"),
}
DEFAULT: dict[str, Any] = {field: sourced.value for field, sourced in TRAINING["laptop"].items()}


def budget(preset: str, *fields: str) -> dict[str, Sourced]:
    """Di-Fusion's values of the shared fields (all, or those named) at a preset."""
    training = TRAINING[preset]
    return {
        field: Sourced(training[field].value, f"as difusion at {preset}: one work budget")
        for field in fields or training
    }


def pixels(preset: str) -> int:
    """Pixels in a training batch of Di-Fusion's at a preset with patches."""
    return prod(TRAINING[preset][f].value for f in ("batch", "patch", "patch"))
