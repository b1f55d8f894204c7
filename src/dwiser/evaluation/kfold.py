"""Cross-validated R² as on the poster: DTI or CSD predicts the held-out fold, squared Pearson.

Scored against the denoised volumes it rewards blur, as the poster's does; the raw volumes as the
target come first here. Both fit to volumes that were denoised together with those they predict,
so whatever a method copied from one to the other counts as signal: held-out prediction
(`heldout`) does not have this fault.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from dwiser import lazy
from dwiser.b_delta import is_linear
from dwiser.evaluation.csd import csd_volumes, single_fibre_response
from dwiser.evaluation.groups import directed_shells
from dwiser.evaluation.heldout import predict_dti
from dwiser.evaluation.records import Absent, CannotMeasure, Row, measured, rows_of
from dwiser.evaluation.snr import corpus_callosum
from dwiser.evaluation.tensor import dipy_table, fit_tensor, pick
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream

csdeconv = lazy.module("dipy.reconst.csdeconv")

FOLDS = 3  # the poster's
SAME_SHELL = 0.1  # b-values within a tenth are one shell
SIGNAL_FLOOR = 1e-6  # CSD divides by the b0
VOXELS = 500  # drawn from a region: CSD takes about 1 ms for each in each fold
WHITE_FA = 0.3  # of the raw scan, above which a voxel counts as white matter
REGIONS = CALLOSUM, WHITE = "corpus callosum", "white matter"

Predict: TypeAlias = Callable[[np.ndarray, Gradients, Gradients], np.ndarray]


@dataclass(frozen=True)
class CrossValidated:
    """Median R² over a region's voxels: of the raw volumes, and (the poster's) of the denoised."""

    raw: float = measured("")
    denoised: float = measured("")
    voxels: int = 0


def regions(
    raw: Scan,
    mask: Bool[np.ndarray, "x y z"],
    white: Bool[np.ndarray, "x y z"] | None = None,
) -> tuple[dict[str, np.ndarray], list[Absent]]:
    """Where R² is measured, from the raw scan: corpus callosum and white matter.

    White matter is ``white``, or else the mask's voxels with an FA above 0.3. A region that
    cannot be measured is an absence with its reason.
    """
    masks, absent = {}, []
    try:
        tensor = fit_tensor(raw.data, raw.gradients, mask, method="OLS")
    except CannotMeasure as why:
        return {}, [Absent("kfold", name, str(why)) for name in (CALLOSUM, WHITE)]
    try:
        masks[CALLOSUM] = corpus_callosum(tensor, mask, raw.affine)
    except CannotMeasure as why:
        absent.append(Absent("kfold", CALLOSUM, str(why)))
    masks[WHITE] = mask & (tensor.fa > WHITE_FA if white is None else white)
    if not masks[WHITE].any():
        del masks[WHITE]
        absent.append(Absent("kfold", WHITE, "there is no white matter in the mask"))
    return masks, absent


def kfold_rows(
    denoised: Float[np.ndarray, "x y z v"],
    raw: Scan,
    where: Mapping[str, Bool[np.ndarray, "x y z"]],
    *,
    count: int = FOLDS,
    seed: int = 0,
) -> Iterator[Row]:
    """R² of DTI and CSD by region (of `regions`), in up to 500 voxels drawn from each."""
    for region, inside in where.items():
        places = np.argwhere(inside)
        some = stream(seed, "kfold", REGIONS.index(region)).permutation(len(places))[:VOXELS]
        at = tuple(places[np.sort(some)].T)
        fitted, target = denoised[at], raw.data[at]
        for model, predict in MODELS.items():
            try:
                guess = kfold_prediction(
                    fitted, raw.gradients, predict=predict, count=count, seed=seed
                )
            except CannotMeasure as why:
                yield Absent(f"kfold.{model}", region, str(why))
                continue
            to_raw, to_denoised = (
                float(np.median(r_squared(guess, goal, raw.gradients))) for goal in (target, fitted)
            )
            medians = CrossValidated(to_raw, to_denoised, len(some))
            yield from rows_of(medians, region, f"kfold.{model}.")


def folds(gradients: Gradients, count: int = FOLDS, *, seed: int = 0) -> list[np.ndarray]:
    """DWIs dealt at random into ``count`` folds, shell by shell; b0s belong to none.

    Raises
    ------
    CannotMeasure
        For fewer DWIs than folds.
    """
    deals: list[list[np.ndarray]] = [[] for _ in range(count)]
    for i, group in enumerate(directed_shells(gradients)):
        order = stream(seed, "folds", i).permutation(group.volumes)
        for f in range(count):
            deals[f].append(order[f::count])
    if not deals[0] or min(sum(len(p) for p in d) for d in deals) < 1:
        raise CannotMeasure(f"there are fewer DWIs than the {count} folds")
    return [np.sort(np.concatenate(d)) for d in deals]


def kfold_r2(
    denoised: Float[np.ndarray, "n v"],
    target: Float[np.ndarray, "n v"],
    gradients: Gradients,
    *,
    predict: Predict = predict_dti,
    count: int = FOLDS,
    seed: int = 0,
) -> Float[np.ndarray, "n"]:
    """Squared Pearson correlation over the DWIs, voxel by voxel, of predicted and target.

    Parameters
    ----------
    denoised : (n, v) voxels the model is fitted to, fold by fold.
    target : (n, v) what is predicted: the raw volumes, or (the poster's) the denoised ones.
    predict : `predict_dti`, `predict_csd` or `heldout.predict_sh`.
    """
    predicted = kfold_prediction(denoised, gradients, predict=predict, count=count, seed=seed)
    return r_squared(predicted, target, gradients)


def kfold_prediction(
    denoised: Float[np.ndarray, "n v"],
    gradients: Gradients,
    *,
    predict: Predict = predict_dti,
    count: int = FOLDS,
    seed: int = 0,
) -> Float[np.ndarray, "n v"]:
    """Every DWI predicted from the folds without it; 0 for b0s and DWIs without a direction."""
    predicted = np.zeros(denoised.shape)
    for fold in folds(gradients, count, seed=seed):
        rest = np.setdiff1d(np.arange(len(gradients)), fold)
        predicted[:, fold] = predict(
            denoised[:, rest], pick(gradients, rest), pick(gradients, fold)
        )
    return predicted


def r_squared(
    predicted: Float[np.ndarray, "n v"], target: Float[np.ndarray, "n v"], gradients: Gradients
) -> Float[np.ndarray, "n"]:
    """Squared Pearson correlation over the DWIs, voxel by voxel; 0 where one is constant."""
    dwis = ~gradients.is_b0 & ~gradients.without_direction
    a = predicted[:, dwis] - predicted[:, dwis].mean(1, keepdims=True)
    b = target[:, dwis].astype(float)
    b = b - b.mean(1, keepdims=True)
    power = (a**2).sum(1) * (b**2).sum(1)
    return np.where(power > 0, (a * b).sum(1) ** 2 / np.where(power > 0, power, 1), 0.0)


def predict_csd(
    signals: Float[np.ndarray, "n k"], gradients: Gradients, held: Gradients
) -> Float[np.ndarray, "n h"]:
    """Signals of the ``held`` directions by DIPY's CSD (Tournier et al. 2007); about 1 ms a voxel.

    The response comes from the voxels with FA above 0.7, or the 300 of highest FA; the highest
    shell is used, with the b0s.

    Raises
    ------
    CannotMeasure
        For directions of another shell than the one that is fitted.
    """
    chosen, order = csd_volumes(gradients)
    table = pick(gradients, chosen)
    nominal = float(gradients.bvals[chosen].max())
    echo = gradients.echo_numbers[chosen[0]]
    other = (held.echo_numbers != echo) | ~is_linear(held.shapes)
    if other.any() or np.abs(held.bvals - nominal).max() > SAME_SHELL * nominal:
        raise CannotMeasure("CSD is fitted to one shell and cannot predict another")
    data = np.maximum(signals[:, chosen].astype(float), SIGNAL_FLOOR)[:, None, None, :]
    response = single_fibre_response(data, table)
    model = csdeconv.ConstrainedSphericalDeconvModel(
        dipy_table(table), response, sh_order_max=order
    )
    fit = model.fit(data)
    signal_b0 = data[..., table.is_b0].mean(-1)
    return np.asarray(fit.predict(gtab=dipy_table(held), S0=signal_b0))[:, 0, 0, :]


MODELS: dict[str, Predict] = {"dti": predict_dti, "csd": predict_csd}
