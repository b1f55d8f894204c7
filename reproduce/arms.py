"""The systems that are compared: the poster's names, and what stands for each of them here."""

from dataclasses import dataclass, replace
from time import process_time
from typing import Any

import numpy as np

from dwiser.compare.variants import parse_variants
from dwiser.methods.learned import Learned
from dwiser.methods.networked import Networked
from dwiser.methods.registry import build
from dwiser.run import denoise
from dwiser.scan import Scan
from reproduce.protocol import Run

# What the poster compared → our method, with its publication's settings where it learns nothing.
POSTER = {
    "Noisy": "identity",
    "ASCM": "ascm:preset=paper",
    "MPPCA": "mppca:preset=paper",
    "Nr2N": "noisier2noise",
    "P2S": "patch2self:preset=paper",
    "DDM2": "ddm2",
    "Di-Fusion": "difusion:pairing=adjacent",
}
# Beside it: Di-Fusion with the predicted pair (the preset's own), and the default method.
OURS = {"Di-Fusion, predicted pair": "difusion:pairing=predicted", "splitq": "splitq"}
ALL = POSTER | OURS
DIFUSION, PREDICTED, SPLITQ, NOISY = "Di-Fusion", "Di-Fusion, predicted pair", "splitq", "Noisy"
BLUR = {"Gaussian blur": "gaussian"}
DIP = {"DIP": "deep_image_prior"}


WALK = "latter", "turn", "stride", "start", "evaluations", "state", "state_noise"


def walk_of_claims(preset: str) -> dict[str, Any]:
    """Di-Fusion's steps and states as the claims have them, also where a preset walks otherwise."""
    presets = build("difusion").capabilities.presets
    values = presets[preset if preset in ("paper", "released") else "paper"]
    return {name: values[name].value for name in WALK if name in values}


def preset_of(method: str, preset: str) -> str:
    """The preset that a claim was made with: Di-Fusion's figures come from the authors' program."""
    return "released" if (method, preset) == ("difusion", "paper") else preset


@dataclass(frozen=True, eq=False)
class Result:
    """A denoised series, the processor's seconds it took, the sd of its error if it tells one."""

    data: np.ndarray
    cpu_seconds: float
    uncertainty: np.ndarray | None


def denoised(words: str, scan: Scan, run: Run, seed: int) -> Result:
    """A scan denoised by the method that ``words`` name, learned at the run's budget."""
    name = words.split(":")[0]
    learned = isinstance(build(name), Learned)
    preset = preset_of(name, run.setting.preset) if learned else "laptop"
    (variant,) = parse_variants(words, preset)
    settings: dict[str, Any] = dict(variant.settings)
    if learned and run.setting.iterations is not None:
        settings.setdefault("iterations", str(run.setting.iterations))
    if variant.method == "difusion":
        settings = walk_of_claims(variant.preset) | settings
    method = build(variant.method, variant.preset, settings)
    if isinstance(method, Networked) and run.setting.passes is not None:
        method = replace(method, iterations=run.setting.trained(method, scan))
    began = process_time()
    result = denoise(
        scan, method, variant.preset, device=run.device, threads=run.threads, seed=seed
    )
    return Result(result.data, round(process_time() - began, 2), result.uncertainty)
