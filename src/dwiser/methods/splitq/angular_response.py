"""The signal's shape about its fibre: learned from all voxels at once, and restored.

Local patches cannot tell a weak signal from noise: what is of fourth order about a fibre, and a
part of the second, is shrunk away in white matter. But all voxels with such a tensor lack about
the same. So the missing signal is regressed on the tensor of the estimate: with D the tensor's
traceless part, of unit norm, every function of D and a direction g that does not depend on the
frame is a function of gᵀDg, gᵀD²g and D's invariants (Boehler 1977, Wang 1970: representation of
isotropic functions). Polynomials of these two up to third degree (sixth order in g), with
coefficients that depend on FA and mode, are fitted in closed form.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dwiser.prepare.shells import Shell, shells
from dwiser.scan import Gradients

B_MOST = 1500.0  # s/mm²; above it the signal is not Gaussian, and a tensor from it is another
FEWEST_DIRECTIONS = 6  # of a shell, and of a tensor
UNKNOWNS = 7  # six of the tensor and the b0
FA_KNOTS = np.arange(0, 0.95, 0.1)
MODE_KNOTS = np.array([-1.0, 0.0, 1.0])
SHAPES = 10  # (gᵀDg)^i (gᵀD²g)^j with i + j ≤ 3
PRIOR = 0.2  # sd of a coefficient, of the mean signal: classes that few voxels tell stay near 0
TINY = 1e-12
NEARLY = 1e-9  # of the trace: keeps a voxel solvable whose weights leave a direction unknown


@dataclass(frozen=True, eq=False)
class TensorShape:
    """What the response hangs on, at n voxels.

    Parameters
    ----------
    fa, mode : (n,) the tensor's fractional anisotropy, 0 … 1, and mode, −1 … 1.
    deviator : (n, 6) its traceless part with unit norm: xx, yy, zz, xy, xz, yz.
    """

    fa: Float[np.ndarray, "n"]
    mode: Float[np.ndarray, "n"]
    deviator: Float[np.ndarray, "n 6"]

    def __getitem__(self, rows: slice | np.ndarray) -> "TensorShape":
        return TensorShape(self.fa[rows], self.mode[rows], self.deviator[rows])


def response_shells(gradients: Gradients, volumes: Int[np.ndarray, "m"]) -> tuple[Shell, ...]:
    """The shells of ``volumes`` that have six directions or more; none if no tensor can be had."""
    if tensor_design(gradients) is None:
        return ()
    parts = (
        Shell(s.bval, np.intersect1d(s.volumes, volumes)) for s in shells(gradients) if not s.is_b0
    )
    return tuple(s for s in parts if len(s.volumes) >= FEWEST_DIRECTIONS)


def tensor_design(
    gradients: Gradients,
) -> tuple[Int[np.ndarray, "m"], Float[np.ndarray, "m 7"]] | None:
    """The volumes a tensor is fitted to, and log S = design · (log S0, D in 1e-3 mm²/s).

    Those with b up to 1500 s/mm², or the b0s and the lowest shell. None where they do not
    determine it: without a b0 or a second shell, or with too few directions.
    """
    low = np.flatnonzero(gradients.bvals <= B_MOST)
    if (~gradients.is_b0[low]).sum() < FEWEST_DIRECTIONS:
        low = np.concatenate([s.volumes for s in shells(gradients)[:2]])
    b, (x, y, z) = gradients.bvals[low] * 1e-3, gradients.bvecs[low].T
    design = np.stack(
        [
            np.ones_like(b),
            *(-b * p for p in (x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z)),
        ],
        1,
    )
    if np.linalg.matrix_rank(design) < UNKNOWNS:
        return None
    return low, design


def tensor_shape(
    magnitudes: Float[np.ndarray, "n m"], design: Float[np.ndarray, "m 7"], least: float
) -> TensorShape:
    """FA, mode and deviator of the tensor fitted to ``magnitudes``, as `fitted_tensor` does."""
    tensor = fitted_tensor(magnitudes, design, least)[:, 1:]
    fa, mode, deviator = (part.astype(np.float32) for part in _invariants(tensor))
    return TensorShape(fa, mode, deviator)


def predicted_by_tensor(
    magnitudes: Float[np.ndarray, "n m"], design: Float[np.ndarray, "m 7"], least: float
) -> Float[np.ndarray, "n m"]:
    """What the tensor fitted to ``magnitudes`` predicts for these volumes; no more than twice
    the largest of them.
    """
    logs = fitted_tensor(magnitudes, design, least) @ design.T
    most = np.log(2 * np.maximum(magnitudes.max(1, keepdims=True), max(least, TINY)))
    return np.exp(np.minimum(logs, most)).astype(np.float32)


def fitted_tensor(
    magnitudes: Float[np.ndarray, "n m"], design: Float[np.ndarray, "m 7"], least: float
) -> Float[np.ndarray, "n 7"]:
    """log S0 and the tensor in 1e-3 mm²/s, by a weighted log-linear fit (Salvador et al. 2005).

    ``magnitudes`` are those of the design's volumes, as in `tensor_design`; values below
    ``least`` count as that.
    """
    first = np.linalg.pinv(design).T.astype(np.float32)
    small = design.astype(np.float32)
    pairs = (small[:, :, None] * small[:, None]).reshape(len(small), -1)
    logs = np.log(np.maximum(magnitudes, np.float32(max(least, TINY))))
    expected = logs @ first @ small.T
    weight = np.exp(2 * (expected - expected.max(1, keepdims=True)))
    normal = (weight @ pairs).reshape(-1, UNKNOWNS, UNKNOWNS).astype(float)
    normal += NEARLY * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(UNKNOWNS)
    right = ((weight * logs) @ small).astype(float)
    return np.linalg.solve(normal, right[..., None])[..., 0]


def _invariants(tensor: Float[np.ndarray, "n 6"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """FA, mode (Kindlmann et al. 2007) and the traceless part with unit norm."""
    diagonal, off = tensor[:, :3], tensor[:, 3:]
    trace = diagonal.mean(1, keepdims=True)
    deviator = np.concatenate([diagonal - trace, off], 1)
    square = _norm2(deviator)
    fa = np.sqrt(1.5 * square / np.maximum(square + 3 * trace[:, 0] ** 2, TINY))
    deviator /= np.sqrt(np.maximum(square, TINY))[:, None]
    xx, yy, zz, xy, xz, yz = deviator.T
    volume = xx * (yy * zz - yz**2) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    return fa.clip(0, 1), (3 * np.sqrt(6) * volume).clip(-1, 1), deviator


def _norm2(tensor: np.ndarray) -> np.ndarray:
    return (tensor[:, :3] ** 2).sum(1) + 2 * (tensor[:, 3:] ** 2).sum(1)


class AngularResponse:
    """What a shell's estimate lacks, by FA, mode and direction: gathered, solved, predicted.

    The deficit at direction g is level · Σ_c h_c(FA, mode) Σ_k β_ck s_k(gᵀDg, gᵀD²g) in units of
    the noise's sd, with h_c tent functions of FA and mode and s_k the monomials up to the third
    degree; ``level`` is the mean signal of the voxel's shell. β has a normal prior of sd 0.2.
    """

    def __init__(self) -> None:
        size = len(FA_KNOTS) * len(MODE_KNOTS) * SHAPES
        self.normal, self.right = np.zeros((size, size)), np.zeros(size)

    def add(
        self,
        shape: TensorShape,
        level: Float[np.ndarray, "n"],
        deficit: Float[np.ndarray, "n m"],
        directions: Float[np.ndarray, "m 3"],
    ) -> None:
        """Voxels' raw less estimated signals along ``directions``, in sd of the noise."""
        classes, forms = _features(shape, level, directions)
        square = (forms.transpose(0, 2, 1) @ forms).reshape(len(forms), -1)
        pairs = (classes[:, :, None] * classes[:, None]).reshape(len(classes), -1)
        count = classes.shape[1]
        blocks = (pairs.T @ square).reshape(count, count, SHAPES, SHAPES)
        self.normal += blocks.transpose(0, 2, 1, 3).reshape(self.normal.shape)
        self.right += (classes.T @ (deficit[:, None] @ forms)[:, 0]).reshape(-1)

    def add_right(
        self,
        shape: TensorShape,
        level: Float[np.ndarray, "n"],
        deficit: Float[np.ndarray, "n m"],
        directions: Float[np.ndarray, "m 3"],
    ) -> None:
        """Such a deficit alone, without its voxels' weight: what corrects one added before."""
        classes, forms = _features(shape, level, directions)
        self.right += (classes.T @ (deficit[:, None] @ forms)[:, 0]).reshape(-1)

    def coefficients(self) -> Float[np.ndarray, "c k"]:
        """β of each class and monomial."""
        ridge = np.eye(len(self.right)) / PRIOR**2
        return np.linalg.solve(self.normal + ridge, self.right).reshape(-1, SHAPES)


def deficit_of(
    coefficients: Float[np.ndarray, "c k"],
    shape: TensorShape,
    level: Float[np.ndarray, "n"],
    directions: Float[np.ndarray, "m 3"],
) -> Float[np.ndarray, "n m"]:
    """What the estimate lacks along ``directions``, in sd of the noise."""
    own = (_classes(shape) @ coefficients.astype(np.float32)) * level[:, None]
    total = np.zeros((len(own), len(directions)), np.float32)
    for k, form in enumerate(_monomials(shape.deviator, directions)):
        total += own[:, k, None] * form
    return total


def _monomials(
    deviator: Float[np.ndarray, "n 6"], directions: Float[np.ndarray, "m 3"]
) -> Iterator[Float[np.ndarray, "n m"]]:
    """1, p, q, p², pq, q², p³, p²q, pq², q³ with p = gᵀDg and q = gᵀD²g."""
    x, y, z = directions.T
    quadratic = np.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z]).astype(np.float32)
    xx, yy, zz, xy, xz, yz = deviator.T
    squared = np.stack(
        [
            xx * xx + xy * xy + xz * xz,
            xy * xy + yy * yy + yz * yz,
            xz * xz + yz * yz + zz * zz,
            xx * xy + xy * yy + xz * yz,
            xx * xz + xy * yz + xz * zz,
            xy * xz + yy * yz + yz * zz,
        ],
        1,
    )
    p, q = deviator @ quadratic, squared @ quadratic
    pp, pq, qq = p * p, p * q, q * q
    yield from (np.ones_like(p), p, q, pp, pq, qq, pp * p, pp * q, p * qq, qq * q)


def _features(
    shape: TensorShape, level: Float[np.ndarray, "n"], directions: Float[np.ndarray, "m 3"]
) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n m k"]]:
    """The classes' weights, and level times each monomial."""
    forms = np.stack(list(_monomials(shape.deviator, directions)), -1)
    forms *= level[:, None, None]
    return _classes(shape), forms


def _classes(shape: TensorShape) -> Float[np.ndarray, "n c"]:
    """Weights of the knots of FA and mode: 1 in all."""
    fa, mode = _tents(shape.fa, FA_KNOTS), _tents(shape.mode, MODE_KNOTS)
    return (fa[:, :, None] * mode[:, None]).reshape(len(fa), -1)


def _tents(values: Float[np.ndarray, "n"], knots: np.ndarray) -> Float[np.ndarray, "n k"]:
    place = ((values.clip(knots[0], knots[-1]) - knots[0]) / (knots[1] - knots[0]))[:, None]
    return np.maximum(0, 1 - np.abs(place - np.arange(len(knots)))).astype(np.float32)
