"""What the learning curve is measured on: scans, and the scores of a result against the truth.

Phantoms have their truth. Of the real brain some directions are left out before anything is learned
and predicted, raw, from the denoised others. The oil phantom's volumes are repeats of each other:
every other one is learned from, and the mean of the rest is the truth.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import binary_erosion

from benchmarks.textured import by_bin
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.evaluation.bins import drawn_fa
from dwiser.evaluation.heldout import binned_scores, held_out_score, predict_sh, training_fa
from dwiser.evaluation.kfold import WHITE_FA, kfold_prediction, r_squared
from dwiser.evaluation.repeats import plain_mean, score
from dwiser.evaluation.tensor import fit_tensor
from dwiser.io import load
from dwiser.prepare.mask import MARGIN, object_mask
from dwiser.prepare.moments import magnitude_sd
from dwiser.prepare.noise import sigma_map
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.simulation import NoiseModel, phantom
from reproduce.data import AT_HAND, crop, cut, dealt, nrmse, volumes_of
from reproduce.protocol import SEED

PHANTOM, TEXTURED, BRAIN, OIL = "phantom", "textured", AT_HAND, "oil_phantom"
DATA = PHANTOM, TEXTURED, BRAIN, OIL
TEXTURE = 0.5  # strength, as in benchmarks.textured
SHELL = 1000.0  # s/mm², of the phantoms
WHITE_SHARE = 0.5  # of a phantom's voxel: white matter, where R² is taken
R2_VOXELS = 400  # at most: the median of so many has a standard error of about 0.01
Scores = dict[str, Any]


@dataclass(frozen=True)
class Extent:
    """How much of each scan is taken.

    Parameters
    ----------
    shape, directions, b0s, snr : of the phantoms; SNR of a b0 in white matter.
    box : voxels of the real scans along each axis, around their middle; 0 takes all of an axis.
    real_directions : of the brain, to learn from; the others are held out raw.
    scored : slices whose results are scored, spread over the object; None: all.
    """

    shape: tuple[int, int, int]
    directions: int
    b0s: int
    snr: float
    box: tuple[int, int, int]
    real_directions: int
    scored: int | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """A scan to learn from, and how a result is scored.

    ``where`` is what is scored: the object in the slices that are scored.
    """

    scan: Scan
    where: np.ndarray
    score: Callable[[np.ndarray], Scores]
    told: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def slices(self) -> np.ndarray:
        """The slices (along z) that are scored."""
        return np.flatnonzero(self.where.any((0, 1)))


def case(data: str, extent: Extent, seed: int, subject: int = 0) -> Case:
    """The scan of this name; of the phantoms also another ``subject``, by the same protocol.

    Raises
    ------
    InputError
        For a real scan that the folder DWISER_DATA does not hold.
    """
    if data == BRAIN:
        return brain(extent, seed)
    return oil(extent) if data == OIL else simulated(data, extent, SEED + subject)


def in_slices(mask: np.ndarray, count: int | None) -> np.ndarray:
    """The mask in ``count`` of its slices, evenly spread; in all of them for None."""
    held = np.flatnonzero(mask.any((0, 1)))
    if count is None or count >= len(held):
        return mask
    some = held[np.linspace(0, len(held) - 1, count + 2).round().astype(int)[1:-1]]
    return mask & np.isin(np.arange(mask.shape[2]), some)


def simulated(data: str, extent: Extent, phantom_seed: int) -> Case:
    """Error of the DWIs, of FA by bins of the true FA and of an independent draw's, and R²."""
    made = phantom(
        extent.shape, shells=((SHELL, extent.directions),), n_b0=extent.b0s, snr=extent.snr,
        seed=phantom_seed, texture=TEXTURE if data == TEXTURED else 0.0,
    )  # fmt: skip
    table, where = made.scan.gradients, in_slices(made.mask, extent.scored)
    true = fit_tensor(made.truth, table, where)
    drawn = drawn_fa(made.truth, table, where, made.sigma, NoiseModel(), phantom_seed)
    white = np.argwhere(where & (made.tissues["wm"] > WHITE_SHARE))
    some = tuple(white[stream(phantom_seed, "R²").permutation(len(white))[:R2_VOXELS]].T)

    def scores(result: np.ndarray) -> Scores:
        fitted = fit_tensor(result, table, where)
        guess = kfold_prediction(result[some], table, seed=phantom_seed)
        return {
            "nrmse": nrmse(result, made.truth, where, ~table.is_b0),
            "fa_rmse": float(np.sqrt(((fitted.fa - true.fa)[where] ** 2).mean())),
            "r2": float(np.median(r_squared(guess, result[some], table))),
            "r2_raw": float(np.median(r_squared(guess, made.scan.data[some], table))),
            "by_true_fa": _of_fa(by_bin(fitted, true, true.fa, where)),
            "by_drawn_fa": _of_fa(by_bin(fitted, true, drawn, where)),
        }

    return Case(replace(made.scan, mask=made.mask), where, scores, {"phantom_seed": phantom_seed})


def _of_fa(bins: dict[str, dict[str, float]]) -> dict[str, list[float]]:
    """bin → RMSE and bias of FA, and how many voxels."""
    keys = "fa.rmse", "fa.bias", "tensor.voxels"
    return {name: [values[k] for k in keys] for name, values in bins.items()}


def scanned(name: str) -> Scan:
    """A scan of the folder that DWISER_DATA names."""
    folder = os.environ.get("DWISER_DATA")
    if folder is None or not (Path(folder) / name).is_dir():
        raise InputError(
            f"{name} is in no folder that is known: set DWISER_DATA to the folder that holds it.",
            code=Code.FILE_MISSING,
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        return load(next((Path(folder) / name).glob("*.nii*")))


def middle(scan: Scan, mask: np.ndarray, box: tuple[int, int, int]) -> tuple[slice, ...]:
    """A box around the middle of the object."""
    return crop(scan, box, np.array([np.flatnonzero(mask.any(axes)).mean() for axes in OTHERS]))


OTHERS = (1, 2), (0, 2), (0, 1)  # the axes beside each


def brain(extent: Extent, seed: int) -> Case:
    """Held-out raw directions: R² in white matter, and what a prediction adds to their noise."""
    whole = scanned(BRAIN)
    mask = object_mask(whole)
    part = middle(whole, mask, extent.box)
    sigma, inside = sigma_map(whole, mask)[part], mask[part]
    scan = replace(cut(whole, part), mask=inside)
    own, held = dealt(scan, extent.real_directions, seed)
    dwis = ~held.gradients.is_b0
    where = in_slices(inside, extent.scored)
    raw, noise, wanted = held.data[where][:, dwis], sigma[where], held.gradients.take(dwis)
    fa = training_fa(own.data, own.gradients, where, np.arange(len(own.gradients)))
    white = fa > WHITE_FA

    def scores(result: np.ndarray) -> Scores:
        predicted = predict_sh(result[where], own.gradients, wanted)
        bins, _ = binned_scores(predicted, raw, noise, fa)
        whole_score = held_out_score(predicted, raw, noise)
        signal = float((raw.astype(float) ** 2).mean()) ** 0.5
        return {
            "held_out_rmse": whole_score.rmse / signal,
            "held_out_excess": whole_score.excess,
            "r2_raw": float(np.median(r_squared(predicted[white], raw[white], wanted))),
            "excess_by_fa": {name: one.excess for name, one in bins.items()},
        }

    told = {"held_out": int(dwis.sum()), "sigma": float(np.median(noise))}
    return Case(own, where, scores, told)


def oil(extent: Extent) -> Case:
    """Against the mean of the repeats that are not learned from, less that mean's own noise."""
    whole = scanned(OIL)
    mask = object_mask(whole)
    part = middle(whole, mask, (0, 0, extent.box[2]))
    sigma, inside = sigma_map(whole, mask)[part], mask[part]
    scan = replace(cut(whole, part), mask=inside)
    volumes = np.arange(scan.shape[3])
    own, other = volumes[::2], volumes[1::2]
    learned = volumes_of(scan, own)
    where = in_slices(binary_erosion(inside, iterations=MARGIN), extent.scored)
    repeats = scan.data[where][:, other]
    truth = plain_mean(repeats, magnitude_sd(sigma[where], repeats.mean(1)))
    dwis = ~learned.gradients.is_b0
    power = float((sigma[where].astype(float) ** 2).mean())

    def scores(result: np.ndarray) -> Scores:
        found = score(result[where][:, dwis], truth)
        return {"nrmse": found.nrmse, "excess": found.excess / power,
                "bias": found.bias / power**0.5}  # fmt: skip

    return Case(learned, where, scores, {"repeats": len(other)})
