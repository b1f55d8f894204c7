"""Cross-validated R² as on the poster: DTI or CSD predicts the left-out fold, squared Pearson.

Scored against the denoised volumes it rewards blur, as the poster's does; give the raw volumes
as the target beside it.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from dipy.reconst.csdeconv import ConstrainedSphericalDeconvModel
from jaxtyping import Float

from dwiser.evaluate.csd import csd_volumes, single_fibre_response
from dwiser.evaluate.groups import volume_groups
from dwiser.evaluate.heldout import predict_dti
from dwiser.evaluate.records import CannotMeasure
from dwiser.evaluate.tensor import dipy_table, pick
from dwiser.scan import Gradients
from dwiser.seeds import stream

FOLDS = 3  # the poster's
SAME_SHELL = 0.1  # b-values within a tenth are one shell
SIGNAL_FLOOR = 1e-6  # CSD divides by the b0

Predict: TypeAlias = Callable[[np.ndarray, Gradients, Gradients], np.ndarray]


def folds(gradients: Gradients, count: int = FOLDS, *, seed: int = 0) -> list[np.ndarray]:
    """DWIs dealt at random into ``count`` folds, shell by shell; b0s belong to none."""
    deals: list[list[np.ndarray]] = [[] for _ in range(count)]
    for i, group in enumerate(g for g in volume_groups(gradients, pooled=False) if not g.is_b0):
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
    predicted = np.zeros(denoised.shape)
    for fold in folds(gradients, count, seed=seed):
        rest = np.setdiff1d(np.arange(len(gradients)), fold)
        predicted[:, fold] = predict(
            denoised[:, rest], pick(gradients, rest), pick(gradients, fold)
        )
    dwis = ~gradients.is_b0
    a = predicted[:, dwis] - predicted[:, dwis].mean(1, keepdims=True)
    b = target[:, dwis].astype(float)
    b = b - b.mean(1, keepdims=True)
    power = (a**2).sum(1) * (b**2).sum(1)
    return np.where(power > 0, (a * b).sum(1) ** 2 / np.where(power > 0, power, 1), 0.0)


def predict_csd(
    kept: Float[np.ndarray, "n k"], gradients: Gradients, held: Gradients
) -> Float[np.ndarray, "n h"]:
    """Signals of the ``held`` directions by DIPY's CSD (Tournier et al. 2007); about 1 ms a voxel.

    The response comes from the voxels with FA above 0.7, or the 300 of highest FA; the highest
    shell is used, with the b0s.
    """
    chosen, order = csd_volumes(gradients)
    table = pick(gradients, chosen)
    nominal = float(gradients.bvals[chosen].max())
    if np.abs(held.bvals - nominal).max() > SAME_SHELL * nominal:
        raise CannotMeasure("CSD is fitted to one shell and cannot predict another")
    data = np.maximum(kept[:, chosen].astype(float), SIGNAL_FLOOR)[:, None, None, :]
    response = single_fibre_response(data, table)
    model = ConstrainedSphericalDeconvModel(dipy_table(table), response, sh_order_max=order)
    fit = model.fit(data)
    signal_b0 = data[..., table.is_b0].mean(-1)
    return np.asarray(fit.predict(gtab=dipy_table(held), S0=signal_b0))[:, 0, 0, :]
