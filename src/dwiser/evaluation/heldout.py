"""Held-out raw volumes, predicted from the other, denoised volumes by DTI or spherical harmonics.

The only score that needs no truth and does not reward smoothness: the volumes are excluded before
denoising, so no noise is shared, and a method that blurs signal predicts them worse. The functions
take arrays that are already denoised.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser import lazy
from dwiser.b_delta import SAME_SHAPE
from dwiser.evaluation.bins import ENOUGH, FA_EDGES, fa_bins
from dwiser.evaluation.groups import directed_shells
from dwiser.evaluation.main_direction import anisotropy
from dwiser.evaluation.records import CannotMeasure, measured
from dwiser.evaluation.tensor import SIGNAL_FLOOR, UNKNOWNS, dipy_table
from dwiser.scan import Gradients
from dwiser.seeds import stream

geometry = lazy.module("dipy.core.geometry")
dti = lazy.module("dipy.reconst.dti")
shm = lazy.module("dipy.reconst.shm")

PER_COEFFICIENT = 2  # directions for each SH coefficient: the fit must not pass the noise on
LEAST_PER_COEFFICIENT = 1.5  # the same where the order is asked for by name
HIGHEST = 6  # SH order; single-shell signals hold nothing beyond it at b up to 3000
DRAWS = 10_000  # bootstrap draws: the 95 % limits are good to about 1 % of their distance
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class HeldOut:
    """How well held-out raw volumes were predicted.

    rmse: over the voxels and held-out volumes; excess: RMSE² − σ², what the prediction adds
    to the noise of the raw volumes themselves (below σ the Rician noise is smaller than σ²,
    so it can be negative; compare methods, not zero). volume_excess: (h,), by volume.
    voxels: how many were used.
    """

    volume_excess: Float[np.ndarray, "h"]
    rmse: float = measured("signal")
    excess: float = measured("signal²")
    voxels: int = 0


@dataclass(frozen=True)
class Paired:
    """Method a against b over the same held-out volumes; below 0, a predicts better.

    low, high: 95 % percentile limits of a paired bootstrap over volumes; p: two-sided share of
    draws on the other side of zero.
    """

    difference: float = measured("signal²")
    low: float = measured("signal²")
    high: float = measured("signal²")
    p: float = measured("")


def leave_out(gradients: Gradients, count: int, seed: int) -> np.ndarray:
    """``count`` DWIs to hold out, drawn from the shells in proportion to their size.

    Raises
    ------
    CannotMeasure
        When fewer than 6 directions would remain in a shell.
    """
    shells = [group.volumes for group in directed_shells(gradients)]
    total = sum(len(s) for s in shells)
    chosen: list[np.ndarray] = []
    for i, shell in enumerate(shells):
        share = round(count * len(shell) / total)
        if len(shell) - share < UNKNOWNS - 1:
            raise CannotMeasure(
                f"{len(shell)} directions are too few to hold {share} out and fit the rest"
            )
        chosen.append(stream(seed, "held out", i).permutation(shell)[:share])
    held = np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, int)
    if not len(held):
        raise CannotMeasure("no DWI is left to hold out")
    return held


def predict_dti(
    training: Float[np.ndarray, "n k"], gradients: Gradients, held: Gradients
) -> Float[np.ndarray, "n h"]:
    """Signals of the ``held`` directions from DIPY's WLS tensor fit to the ``training`` volumes.

    Each from the volumes of its own echo and shape of b-tensor.
    """
    out = np.empty((len(training), len(held)))
    for theirs, own in _by_contrast(gradients, held):
        out[:, own] = _tensor_prediction(
            training[:, theirs], gradients.take(theirs), held.take(own)
        )
    return out


def _by_contrast(gradients: Gradients, held: Gradients) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For the volumes of each echo and shape that are ``held``: their like, with b0s, and they."""
    shapes, echoes = gradients.shapes, gradients.echo_numbers
    open_ = np.ones(len(held), bool)
    while open_.any():
        first = int(np.flatnonzero(open_)[0])
        own = open_ & (np.abs(held.shapes - held.shapes[first]) < SAME_SHAPE)
        own &= held.echo_numbers == held.echo_numbers[first]
        open_ &= ~own
        alike = gradients.is_b0 | (np.abs(shapes - held.shapes[first]) < SAME_SHAPE)
        theirs = alike & (echoes == held.echo_numbers[first])
        yield np.flatnonzero(theirs), np.flatnonzero(own)


def _tensor_prediction(
    training: Float[np.ndarray, "n k"], gradients: Gradients, held: Gradients
) -> Float[np.ndarray, "n h"]:
    usable = ~gradients.without_direction
    training, gradients = training[:, usable], gradients.take(usable)
    if not gradients.is_b0.any() or (~gradients.is_b0).sum() < UNKNOWNS - 1:
        raise CannotMeasure("DTI needs a b0 and 6 DWIs among the kept volumes")
    signals = training.astype(float)
    floor = SIGNAL_FLOOR * float(signals.max())
    model = dti.TensorModel(
        dipy_table(gradients), fit_method="WLS", return_S0_hat=True, min_signal=floor
    )
    fit = model.fit(signals)
    return np.asarray(fit.predict(dipy_table(held), S0=fit.S0_hat))


def sh_order(directions: int) -> int:
    """The highest even order, up to 6, with at least two directions per coefficient.

    Raises
    ------
    CannotMeasure
        For fewer than 12 directions.
    """
    orders = [
        o
        for o in range(2, HIGHEST + 1, 2)
        if (o + 1) * (o + 2) // 2 * PER_COEFFICIENT <= directions
    ]
    if not orders:
        raise CannotMeasure(f"spherical harmonics need 12 directions in a shell, not {directions}")
    return orders[-1]


def _enough(directions: int, order: int | None) -> int:
    """The order that is asked for, if the directions carry it; without one, what they carry."""
    if order is None:
        return sh_order(directions)
    least = math.ceil(LEAST_PER_COEFFICIENT * (order + 1) * (order + 2) / 2)
    if directions < least:
        raise CannotMeasure(
            f"spherical harmonics of order {order} need {least} directions in a shell, "
            f"not {directions}"
        )
    return order


def _harmonics(bvecs: np.ndarray, order: int) -> np.ndarray:
    _, theta, phi = geometry.cart2sphere(*bvecs.T)
    return np.asarray(shm.real_sh_descoteaux(order, theta, phi, legacy=False)[0])


def predict_sh(
    training: Float[np.ndarray, "n k"],
    gradients: Gradients,
    held: Gradients,
    order: int | None = None,
) -> Float[np.ndarray, "n h"]:
    """Signals of the ``held`` directions by least squares in real, even SH, shell by shell.

    A held-out volume belongs to the training shell with the nearest mean b-value, of those of its
    echo and shape of b-tensor. Without an ``order``, `sh_order` finds each shell's.

    Raises
    ------
    CannotMeasure
        For a shell of too few directions: two a coefficient, 1.5 if ``order`` is asked for.
    """
    groups = directed_shells(gradients)
    if not groups or held.is_b0.any():
        raise CannotMeasure("spherical harmonics predict DWIs from DWIs of their shell only")
    means = np.array([gradients.bvals[g.volumes].mean() for g in groups])
    shapes = np.array([gradients.shapes[g.volumes].mean() for g in groups])
    echoes = np.array([gradients.echo_numbers[g.volumes[0]] for g in groups])
    other = (np.abs(held.shapes[:, None] - shapes) >= SAME_SHAPE) | (
        held.echo_numbers[:, None] != echoes
    )
    if other.all(1).any():
        raise CannotMeasure("a held-out DWI is of an echo or shape that no other volume has")
    nearest = np.where(other, np.inf, np.abs(held.bvals[:, None] - means)).argmin(1)
    out = np.empty((len(training), len(held)))
    for i, group in enumerate(groups):
        wanted = np.flatnonzero(nearest == i)
        if not len(wanted):
            continue
        shell_order = _enough(len(group.volumes), order)
        basis = _harmonics(gradients.bvecs[group.volumes], shell_order)
        weights = _harmonics(held.bvecs[wanted], shell_order) @ np.linalg.pinv(basis)
        out[:, wanted] = training[:, group.volumes] @ weights.T
    return out


def held_out_score(
    predicted: Float[np.ndarray, "n h"],
    raw: Float[np.ndarray, "n h"],
    sigma: Float[np.ndarray, "n"],
) -> HeldOut:
    """RMSE and excess over noise, RMSE² − mean σ², over n voxels and h held-out volumes."""
    mse = ((predicted - raw.astype(float)) ** 2).mean(0)
    excess = mse - float((sigma.astype(float) ** 2).mean())
    return HeldOut(excess, float(mse.mean()) ** 0.5, float(excess.mean()), len(predicted))


def training_fa(
    data: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    volumes: Int[np.ndarray, "m"],
) -> Float[np.ndarray, "n"]:
    """FA in the mask from the raw ``volumes`` that are not held out, to sort voxels by.

    Where those with b ≤ 1500 s/mm² determine no tensor, all of them are taken: FA is lower at a
    high b, which matters little for sorting.

    Raises
    ------
    CannotMeasure
        When all of them together determine no tensor either.
    """
    try:
        return anisotropy(data, gradients, mask, volumes)
    except CannotMeasure:
        return anisotropy(data, gradients, mask, volumes, b_max=math.inf)


def binned_scores(
    predicted: Float[np.ndarray, "n h"],
    raw: Float[np.ndarray, "n h"],
    sigma: Float[np.ndarray, "n"],
    fa: Float[np.ndarray, "n"],
    edges: Sequence[float] = FA_EDGES,
) -> tuple[dict[str, HeldOut], dict[str, str]]:
    """The score of each bin of ``fa`` between ``edges``, and why a bin has none.

    Take FA from the raw training volumes (`training_fa`): it shares no noise with those held out,
    and is the same for every method.
    """
    bins = fa_bins(fa, edges)
    few = {
        name: f"{len(voxels)} voxels of the mask have such an FA, fewer than {ENOUGH}"
        for name, voxels in bins.items()
        if len(voxels) < ENOUGH
    }
    scores = {
        name: held_out_score(predicted[voxels], raw[voxels], sigma[voxels])
        for name, voxels in bins.items()
        if name not in few
    }
    return scores, few


def paired_bootstrap(a: HeldOut, b: HeldOut, *, seed: int = 0) -> Paired:
    """Is a's excess smaller than b's? A paired bootstrap over the held-out volumes.

    Raises
    ------
    CannotMeasure
        For fewer than two held-out volumes.
    """
    d = a.volume_excess - b.volume_excess
    if len(d) < 2:
        raise CannotMeasure("a bootstrap needs two or more held-out volumes")
    picks = stream(seed, "bootstrap").integers(0, len(d), (DRAWS, len(d)))
    means = d[picks].mean(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    sides = min(float((means <= 0).mean()), float((means >= 0).mean()))
    return Paired(float(d.mean()), float(low), float(high), min(1.0, 2 * sides))


Predict: TypeAlias = Callable[[np.ndarray, Gradients, Gradients], np.ndarray]
BY_FA: dict[str, Predict] = {  # models whose scores are given by bins of FA
    "dti": predict_dti,
    "sh4": partial(predict_sh, order=4),
    "sh6": partial(predict_sh, order=6),
}
