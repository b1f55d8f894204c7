"""Di-Fusion's numbers, each with its source."""

from dwiser.methods.options import Presets, Sourced

PAPER = "Wu et al., ICLR 2025 (arXiv 2501.13514)"
PROGRAM = "authors' released settings, as reported"

PRESETS: Presets = {
    "paper": {
        "pairing": Sourced("adjacent", f"{PAPER}: x' = X[:,:,i,j-1]"),
        "neighbour": Sourced("shell", "ours: the volume before it in its own shell"),
        "fusion": Sourced("target", f"{PAPER}, Eq. 6"),
        "noise": Sourced("shuffled", f"{PAPER}, Eq. 8 (Di-)"),
        "latter": Sourced(300, f"{PAPER}, section 4: Tc = 300"),
        "turn": Sourced(50, f"{PAPER}, section 4: Tr = 50"),
        "stride": Sourced(10, f"{PAPER}, section 4: p = 10"),
        "network": Sourced("unet", f"{PAPER}: SR3-style U-Net, 24 472 161 parameters"),
        "width": Sourced(32, PROGRAM),
        "iterations": Sourced(100_000, f"{PAPER}, section 4"),
        "batch": Sourced(32, f"{PAPER}, section 4 (8 for small scans)"),
        "patch": Sourced(None, f"{PAPER}: one item is one whole slice"),
        "learning_rate": Sourced(1e-4, f"{PAPER}, section 4: Adam, constant"),
        "decay": Sourced("constant", f"{PAPER}, section 4"),
        "crop": Sourced(False, f"{PAPER}: whole slices, background too"),
        "flips": Sourced("four", PROGRAM),
        "stop": Sourced("adaptive", f"{PAPER}, Eq. 13"),
        "threshold": Sourced(0.040, PROGRAM),
    },
    "laptop": {
        "pairing": Sourced("predicted", "the only pair that beats the noisy scan on two cores"),
        "fusion": Sourced("target", f"{PAPER}, Eq. 6"),
        "network": Sourced("compact", "under 30 kFLOP a pixel"),
        "width": Sourced(32, "the widest under 30 kFLOP a pixel"),
        "iterations": Sourced(3000, "about two minutes on two cores; 6000 gained 4 % over 2000"),
        "batch": Sourced(8, "as good as 16 for as many iterations, in half the time"),
        "patch": Sourced(64, "a quarter of a brain's slice"),
        "learning_rate": Sourced(3e-3, "best of four rates tried on phantoms kept for tuning"),
        "decay": Sourced("cosine", "short trainings end better at a low rate"),
        "crop": Sourced(True, "the background costs time and teaches nothing"),
        "flips": Sourced("drawn", "one flip an evaluation: a quarter of the work"),
        "stop": Sourced("noise", "never removes more than the noise"),
        "threshold": Sourced(1.0, "RMS of (x - x_out)/sigma against 1"),
    },
}
PRESETS["smoke"] = PRESETS["laptop"] | {
    "width": Sourced(16, "seconds, for tests"),
    "iterations": Sourced(60, "seconds, for tests"),
    "batch": Sourced(8, "seconds, for tests"),
    "patch": Sourced(32, "seconds, for tests"),
}
