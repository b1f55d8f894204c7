"""What a voxel's own values say beyond the estimate, about its own fibre (few volumes).

The weights go along the same axes in all voxels of a class, though
fibres differ in direction. What is left of a voxel's own values, y − x̂, is therefore looked at once
more in the frame of its own tensor: the level of each shell, and of second order the parts that go
along the fibre (m = 0), lean from it (m = 1) and turn about it (m = 2). How much of each goes back
hangs on FA, is the same in any frame, and has the least risk (Stein 1981, with the probe of
`few_directions`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dwiser.machine import side_by_side
from dwiser.methods.splitq.angular_response import (
    TensorShape,
    quadratic,
    tents,
)
from dwiser.methods.splitq.parts import chunks
from dwiser.methods.splitq.restoring import ResponseModel
from dwiser.prepare.small_matrices import eigenvalues_3x3, first_vector_3x3

FA_KNOTS = np.arange(0, 0.95, 0.15)  # of the classes
NO_FIBRE, FIBRE = 0.15, 0.3  # FA from which parts of second order may go back, and may in full
PRIOR = 0.3  # sd of a weight about 0
TINY = 1e-12
FITTED = 12_000  # voxels that the weights are learned from: some 50 numbers a shell
ROW, COLUMN = np.array([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]).T  # of 6 elements
SAME = np.array([1, 1, 1, 0, 0, 0], np.float32)  # of the tensor I: gᵀIg = 1
FULL = np.array([[0, 3, 4], [3, 1, 5], [4, 5, 2]])  # where a matrix's elements stand among them
DIPY_ORDER = [0, 3, 1, 4, 5, 2]  # xx, xy, yy, xz, yz, zz


@dataclass(frozen=True, eq=False)
class Parts:
    """What could be added to the estimate of some volumes, ``tensors`` @ ``forms``.

    Parameters
    ----------
    volumes : (m,). forms : (c, m), gᵀTg is a tensor's six numbers times these; for b0s a row of
        ones. tensors : (n, k, c) of k parts, in units of y.
    """

    volumes: Int[np.ndarray, "m"]
    forms: Float[np.ndarray, "c m"]
    tensors: Float[np.ndarray, "n k c"]

    def times(self, values: Float[np.ndarray, "n v"]) -> Float[np.ndarray, "n k"]:
        """Each part times the values, summed over the volumes."""
        return (self.tensors @ (values[:, self.volumes] @ self.forms.T)[..., None])[..., 0]

    def times_each_other(self) -> Float[np.ndarray, "n k k"]:
        """Each part times each other, summed over the volumes."""
        return self.tensors @ (self.forms @ self.forms.T) @ self.tensors.transpose(0, 2, 1)


def deviation_parts(
    values: Float[np.ndarray, "n v"],
    y: Float[np.ndarray, "n v"],
    model: ResponseModel,
    rows: slice | np.ndarray,
    shape: TensorShape | None = None,
) -> tuple[Float[np.ndarray, "n s"], list[Parts]]:
    """Shares in the classes, and the parts of y − ``values``: the b0s' first, then each shell's.

    Every volume may get the level of any shell and of the b0s; those of a shell also its parts of
    second order, at an FA where there is a fibre. A voxel near the noise floor has no share in any
    class: its values are no sum of signal and noise. ``shape`` is the tensor of ``values``.
    """
    shape = model.shape(values, rows) if shape is None else shape
    classes = tents(shape.fa, FA_KNOTS)
    classes *= ((1 - model.faint(values, rows)) * model.bright(values, rows))[:, None]
    gate = ((shape.fa - NO_FIBRE) / (FIBRE - NO_FIBRE)).clip(0, 1)[:, None, None]
    fibre = first_vector_3x3(*_with_eigenvalues(shape.deviator)).T.astype(np.float32)
    residual, b0s, levels, second = y - values, model.b0s, [], []
    if len(b0s):
        levels.append(residual[:, b0s].mean(1))
    for shell in model.shells:
        forms = quadratic(model.directions[shell.volumes])
        level, tensors = _second_order(residual[:, shell.volumes], fibre, forms)
        levels.append(level)
        second.append((shell.volumes, forms, gate * tensors))
    common = np.stack(levels, 1)[..., None]
    ones = np.ones((1, len(b0s)), np.float32)
    found = [Parts(b0s, ones, common)] if len(b0s) else []
    for volumes, forms, tensors in second:
        found.append(Parts(volumes, forms, np.concatenate([common * SAME, tensors], 1)))
    return classes, found


def _with_eigenvalues(deviator: Float[np.ndarray, "n 6"]) -> tuple[np.ndarray, np.ndarray]:
    tensor = deviator.T[DIPY_ORDER].astype(float)
    return tensor, eigenvalues_3x3(tensor)


def _second_order(
    residual: Float[np.ndarray, "n m"],
    fibre: Float[np.ndarray, "n 3"],
    forms: Float[np.ndarray, "6 m"],
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n 3 6"]]:
    """A shell's level, and the parts of order 0, 1 and 2 about the fibre, as tensors.

    The residual is fitted by gᵀRg; with v the fibre and R' the traceless part of R these are
    3/2 (vᵀR'v)(vvᵀ − I/3), vwᵀ + wvᵀ with w = R'v − (vᵀR'v)v, and the rest of R'.
    """
    tensor = residual @ np.linalg.pinv(forms.astype(float)).astype(np.float32)
    level = tensor[:, :3].mean(1)
    tensor[:, :3] -= level[:, None]
    lean = (tensor[:, FULL] @ fibre[..., None])[..., 0]
    along = (lean * fibre).sum(1, keepdims=True)
    lean -= along * fibre
    axial = fibre[:, ROW] * fibre[:, COLUMN]
    axial -= SAME / 3
    axial *= 1.5 * along
    leaning = fibre[:, ROW] * lean[:, COLUMN] + lean[:, ROW] * fibre[:, COLUMN]
    return level, np.stack([axial, leaning, tensor - axial - leaning], 1)


def deviation_weights(
    model: ResponseModel,
    rows: Int[np.ndarray, "n"],
    estimate: Float[np.ndarray, "n v"],
    probed: Float[np.ndarray, "n v"],
    step: Float[np.ndarray, "n v"],
) -> list[Float[np.ndarray, "s _"]]:
    """The weights of least risk, of each of `deviation_parts`; all in units of y.

    Parameters
    ----------
    rows : the mask's voxels. estimate, probed : x̂ of y and of y + ``step``.

    Notes
    -----
    With c_k the parts times the classes' shares, ‖x̂ + Σ w_k c_k − signal‖² is least where
    Σ_l w_l c_k·c_l = c_k·(y − x̂) − E[n·c_k]; that last one is measured with the probe.
    """
    noise = model.whitened.noise * np.square(model.whitened.scale.astype(np.float32))
    per_step = noise / np.square(step).mean(0)
    chosen = np.arange(len(rows))[:: -(-len(rows) // FITTED)]

    def gathered(part: slice) -> list[tuple[np.ndarray, ...]]:
        here = chosen[part]
        own, values, probe = rows[here], estimate[here], step[here]
        y = model.whitened.y[own]
        shares, before = deviation_parts(values, y, model, own)
        then, after = deviation_parts(probed[here], y + probe, model, own)
        residual, probe = y - values, probe * per_step
        sums: list[tuple[np.ndarray, ...]] = []
        for now, changed in zip(before, after, strict=True):
            pairs = now.times_each_other()
            normal = np.einsum("ns,nt,nkl->sktl", shares, shares, pairs, optimize=True)
            aim = shares[..., None] * now.times(residual + probe)[:, None]
            aim -= then[..., None] * changed.times(probe)[:, None]
            variance = np.square(aim, dtype=float).sum(0)
            sums.append((normal.astype(float), aim.sum(0, dtype=float), variance))
        return sums

    total: list[tuple[np.ndarray, ...]] = []
    for sums in side_by_side(gathered, chunks(len(chosen)), model.threads):
        pairs = zip(total, sums, strict=True) if total else ()
        added = [tuple(a + b for a, b in zip(*pair, strict=True)) for pair in pairs]
        total = added or sums
    return [_solved(*own) for own in total]


def _solved(
    normal: Float[np.ndarray, "s k s k"],
    aim: Float[np.ndarray, "s k"],
    variance: Float[np.ndarray, "s k"],
) -> Float[np.ndarray, "s k"]:
    """The weights; the prior weighs more the less voxels tell, as in `AngularResponse`."""
    square = normal.reshape(aim.size, aim.size)
    spread = np.maximum(variance.ravel() / np.maximum(square.diagonal(), TINY), 1)
    return np.linalg.solve(square + np.diag(spread) / PRIOR**2, aim.ravel()).reshape(aim.shape)


def add_deviation(
    values: Float[np.ndarray, "n v"],
    y: Float[np.ndarray, "n v"],
    model: ResponseModel,
    weights: list[Float[np.ndarray, "s _"]],
    shape: TensorShape | None = None,
) -> None:
    """Add to all of the mask's ``values`` what the weights take of y − ``values``.

    ``shape`` is the tensor of ``values``, if it is known.
    """

    def work(part: slice) -> None:
        own_shape = None if shape is None else shape[part]
        classes, found = deviation_parts(values[part], y[part], model, part, own_shape)
        for parts, own in zip(found, weights, strict=True):
            each = classes @ own.astype(np.float32)
            added = (each[:, None] @ parts.tensors)[:, 0] @ parts.forms
            values[part, parts.volumes] += added

    list(side_by_side(work, chunks(len(values)), model.threads))
