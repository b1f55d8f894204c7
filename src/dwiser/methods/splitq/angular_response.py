"""The signal's shape about its fibre: learned from all voxels at once, and restored.

Local patches cannot tell a weak signal from noise: what is of fourth order about a fibre, and a
part of the second, is shrunk away in white matter. But all voxels with such a tensor lack about
the same. So the missing signal is regressed on the tensor of the estimate: with D the tensor's
traceless part, of unit norm, every function of D and a direction g that does not depend on the
frame is a function of gᵀDg, gᵀD²g and D's invariants (Boehler 1977, Wang 1970: representation of
isotropic functions). Polynomials of these two up to fourth degree (eighth order in g), with
coefficients that depend on FA and mode, are fitted in closed form.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from dwiser.compiled import pointwise
from dwiser.prepare.shells import Shell, contrasts, shells
from dwiser.prepare.tensor_fit import UNKNOWNS, TensorFit, tensor_rows
from dwiser.scan import Gradients

B_MOST = 1550.0  # s/mm²; above it the signal is not Gaussian, and a tensor from it is another
FEWEST_DIRECTIONS = 6  # of a shell, and of a tensor
WORST_CONDITION = 100.0  # of the design, b over its largest: 5 to 40 where directions are spread
FA_KNOTS = np.arange(0, 0.95, 0.1)
MODE_KNOTS = np.array([-1.0, 0.0, 1.0])
DEGREE = 4
SHAPES = 15  # (gᵀDg)^i (gᵀD²g)^j with i + j ≤ 4; three leave a third of the pattern at b = 3000
PRIOR = 0.2  # sd of a coefficient, of the mean signal: classes that few voxels tell stay near 0
MONOMIALS = 45  # up to twice that degree: the products of two of them
BETWEEN = 2 * len(MODE_KNOTS)  # classes of a voxel between two knots of FA
PAIRS = np.triu_indices(BETWEEN)
TINY = 1e-12
DIMMEST = float(np.finfo(np.float32).tiny)  # in the data's units, which may be any


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
    if tensor_design(gradients, volumes) is None:
        return ()
    parts = (
        replace(s, volumes=np.intersect1d(s.volumes, volumes))
        for s in _directed(gradients)
        if not s.is_b0
    )
    return tuple(s for s in parts if len(s.volumes) >= FEWEST_DIRECTIONS)


def tensor_design(
    gradients: Gradients, shared: Int[np.ndarray, "k"] | None = None
) -> tuple[Int[np.ndarray, "m"], TensorFit] | None:
    """The volumes a tensor is fitted to, and its fit: log S = design · (log S0, D in 1e-3 mm²/s).

    Those of shells up to 1550 s/mm², or of the two lowest shells; of one echo and one shape, linear
    if it can be. Of a shell in which some volumes are ``shared``, the others stand apart and stay
    out. None where no such volumes determine the tensor: without a b0 or a second shell, or with
    directions that are too few or in one plane.
    """
    for alike in contrasts(_directed(gradients)):
        parts = [(s.bval, _fit_for_tensor(s.volumes, shared)) for s in alike]
        for some in ([v for b, v in parts if b <= B_MOST], [v for _, v in parts[:2]]):
            low = np.sort(np.concatenate([*some, np.zeros(0, int)]))
            design = tensor_rows(gradients.take(low))
            design[:, 1:] *= 1e-3  # of b in ms/µm²
            if (~gradients.is_b0[low]).sum() >= FEWEST_DIRECTIONS and _determines(design):
                return low, TensorFit(design)
    return None


def _directed(gradients: Gradients) -> tuple[Shell, ...]:
    """The shells without the DWIs that have no direction: their signal tells of no tensor."""
    without = np.flatnonzero(gradients.without_direction)
    parts = (replace(s, volumes=np.setdiff1d(s.volumes, without)) for s in shells(gradients))
    return tuple(shell for shell in parts if len(shell.volumes))


def _fit_for_tensor(
    volumes: Int[np.ndarray, "m"], shared: Int[np.ndarray, "k"] | None
) -> Int[np.ndarray, "j"]:
    usual = volumes if shared is None else np.intersect1d(volumes, shared)
    return usual if len(usual) else volumes


def _determines(design: Float[np.ndarray, "m 7"]) -> bool:
    if len(design) < UNKNOWNS:
        return False
    largest = np.maximum(np.abs(design).max(), TINY)
    unitless = design / np.array([1.0] + [largest] * (UNKNOWNS - 1))
    return bool(np.linalg.cond(unitless) <= WORST_CONDITION)


def tensor_shape(magnitudes: Float[np.ndarray, "n m"], fit: TensorFit, least: float) -> TensorShape:
    """FA, mode and deviator of the tensor fitted to ``magnitudes``, as `fitted_tensor` does."""
    tensor = fitted_tensor(magnitudes, fit, least)[:, 1:]
    fa, mode, deviator = (part.astype(np.float32) for part in _invariants(tensor))
    return TensorShape(fa, mode, deviator)


def predicted_by_tensor(
    magnitudes: Float[np.ndarray, "n m"], fit: TensorFit, least: float
) -> Float[np.ndarray, "n m"]:
    """What the tensor fitted to ``magnitudes`` predicts for these volumes; no more than twice
    the largest of them.
    """
    logs = fitted_tensor(magnitudes, fit, least) @ fit.design.T
    most = np.log(2 * np.maximum(magnitudes.max(1, keepdims=True), max(least, DIMMEST)))
    return np.exp(np.minimum(logs, most)).astype(np.float32)


def fitted_tensor(
    magnitudes: Float[np.ndarray, "n m"], fit: TensorFit, least: float
) -> Float[np.ndarray, "n 7"]:
    """log S0 and the tensor in 1e-3 mm²/s, by a weighted log-linear fit (Salvador et al. 2005).

    ``magnitudes`` are those of the fit's volumes, as in `tensor_design`; values below
    ``least`` count as that.
    """
    return fit(magnitudes.T, max(least, DIMMEST)).T


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
    the noise's sd, with h_c tent functions of FA and mode and s_k the monomials up to the fourth
    degree; ``level`` is the mean signal of the voxel's shell. β has a normal prior of sd 0.2.

    Notes
    -----
    β = (N + K R)⁻¹ r with N the features' second moments, r their product with the deficit, R the
    prior's precision, and K (diagonal) the variance of r over that of unit noise, N's diagonal.
    """

    def __init__(self) -> None:
        size = len(FA_KNOTS) * len(MODE_KNOTS) * SHAPES
        self.right = np.zeros(size)
        self._products = np.zeros((len(FA_KNOTS) - 1, len(PAIRS[0]), MONOMIALS))
        self.variance = np.zeros(size)  # of the right side, where it is more than unit noise's

    def add(
        self,
        shape: TensorShape,
        level: Float[np.ndarray, "n"],
        deficit: Float[np.ndarray, "n m"],
        directions: Float[np.ndarray, "m 3"],
    ) -> None:
        """Voxels' raw less estimated signals along ``directions``, in sd of the noise."""
        classes = _classes(shape)
        self._add_normal(classes, level, shape, directions)
        products = _summed(shape.deviator, directions, DEGREE, deficit) * level[:, None]
        self.right += (classes.T @ products).reshape(-1)

    def add_probed(
        self,
        shape: TensorShape,
        level: Float[np.ndarray, "n"],
        deficit: Float[np.ndarray, "n m"],
        probed_shape: TensorShape,
        probed_level: Float[np.ndarray, "n"],
        noise: Float[np.ndarray, "n m"],
        directions: Float[np.ndarray, "m 3"],
    ) -> None:
        """The same of an estimate that saw the deficit's noise, less what it followed of it.

        ``noise`` times what the features change with the probe has the mean of the deficit's
        noise times the features. Its variance is larger than unit noise's, and is measured.
        """
        classes, probed_classes = _classes(shape), _classes(probed_shape)
        self._add_normal(classes, level, shape, directions)
        products = _summed(shape.deviator, directions, DEGREE, deficit + noise)
        followed = _summed(probed_shape.deviator, directions, DEGREE, noise)
        products *= level[:, None]
        followed *= probed_level[:, None]
        for c, (weight, probed_weight) in enumerate(zip(classes.T, probed_classes.T, strict=True)):
            near = np.flatnonzero((weight > 0) | (probed_weight > 0))
            part = weight[near, None] * products[near] - probed_weight[near, None] * followed[near]
            place = slice(c * SHAPES, (c + 1) * SHAPES)
            self.right[place] += part.sum(0)
            self.variance[place] += np.square(part).sum(0)

    def merge(self, other: "AngularResponse") -> None:
        """What another has gathered of the same shell, of other voxels."""
        self._products += other._products
        self.right += other.right
        self.variance += other.variance

    def _add_normal(
        self,
        classes: Float[np.ndarray, "n c"],
        level: Float[np.ndarray, "n"],
        shape: TensorShape,
        directions: Float[np.ndarray, "m 3"],
    ) -> None:
        moments = _summed(shape.deviator, directions, 2 * DEGREE)
        moments *= np.square(level, dtype=float)[:, None]
        between, (row, column) = _knot_below(shape.fa), PAIRS
        for knot in np.unique(between).tolist():  # elsewhere these voxels have no part
            here = np.flatnonzero(between == knot)
            own = classes[here, _near(knot)]
            self._products[knot] += (own[:, row] * own[:, column]).T @ moments[here]

    @property
    def normal(self) -> Float[np.ndarray, "k k"]:
        """The second moments of all classes' features."""
        normal = np.zeros((len(self.right), len(self.right)))
        blocks = normal.reshape(len(normal) // SHAPES, SHAPES, -1, SHAPES)
        for knot, products in enumerate(self._products):
            own = np.empty((BETWEEN, BETWEEN, SHAPES, SHAPES))
            own[PAIRS] = own[PAIRS[::-1]] = products[:, PRODUCTS]
            blocks[_near(knot), :, _near(knot)] += own.transpose(0, 2, 1, 3)
        return normal

    def coefficients(self) -> Float[np.ndarray, "c k"]:
        """β of each class and monomial."""
        normal = self.normal
        spread = np.maximum(self.variance / np.maximum(normal.diagonal(), TINY), 1)
        normal.flat[:: len(normal) + 1] += spread / PRIOR**2
        return np.linalg.solve(normal, self.right).reshape(-1, SHAPES)


def deficit_of(
    coefficients: Float[np.ndarray, "c k"],
    shape: TensorShape,
    level: Float[np.ndarray, "n"],
    directions: Float[np.ndarray, "m 3"],
) -> Float[np.ndarray, "n m"]:
    """What the estimate lacks along ``directions``, in sd of the noise."""
    of_voxel = (_classes(shape) @ coefficients.astype(np.float32)) * level[:, None]
    total = np.zeros((len(of_voxel), len(directions)), np.float32)
    if pointwise is not None:
        parts = of_voxel, shape.deviator, quadratic(directions)
        pointwise.polynomial(*(np.ascontiguousarray(p, np.float32) for p in parts), total)
        return total
    for k, form in enumerate(_monomials(*_along(shape.deviator, directions))):
        total += of_voxel[:, k, None] * form
    return total


def _along(
    deviator: Float[np.ndarray, "n 6"], directions: Float[np.ndarray, "m 3"]
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n m"]]:
    """gᵀDg and gᵀD²g of each voxel and direction."""
    forms = quadratic(directions)
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
    return deviator @ forms, squared @ forms


def quadratic(directions: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "6 m"]:
    """gᵀDg is a deviator (xx, yy, zz, xy, xz, yz) times these."""
    x, y, z = directions.T
    return np.stack([x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z]).astype(np.float32)


def _monomials(
    p: Float[np.ndarray, "n m"], q: Float[np.ndarray, "n m"], degree: int = DEGREE
) -> Iterator[Float[np.ndarray, "n m"]]:
    """1, p, q, p², pq, q², p³, p²q, pq², q³, … up to the degree."""
    same_degree = [np.ones_like(p)]
    yield same_degree[0]
    for _ in range(degree):
        same_degree = [same_degree[0] * p, *(form * q for form in same_degree)]
        yield from same_degree


def _products() -> Int[np.ndarray, "k k"]:
    """Which of the monomials up to twice the degree is the product of two up to the degree."""
    q_power = np.concatenate([np.arange(d + 1) for d in range(DEGREE + 1)])
    degree = np.repeat(np.arange(DEGREE + 1), np.arange(DEGREE + 1) + 1)
    both = np.add.outer(degree, degree)
    return both * (both + 1) // 2 + np.add.outer(q_power, q_power)


PRODUCTS = _products()


def _summed(
    deviator: Float[np.ndarray, "n 6"],
    directions: Float[np.ndarray, "m 3"],
    degree: int,
    weights: Float[np.ndarray, "n m"] | None = None,
) -> Float[np.ndarray, "n k"]:
    """Each monomial up to the degree, times the weights if there are any, summed over directions.

    In float64, since the prior is small beside the sums.
    """
    if pointwise is not None:
        sums = np.empty((len(deviator), (degree + 1) * (degree + 2) // 2), np.float32)
        parts = (weights, deviator, quadratic(directions))
        arrays = (p if p is None else np.ascontiguousarray(p, np.float32) for p in parts)
        pointwise.moments(*arrays, degree, sums)
        return sums.astype(float)
    forms = _monomials(*_along(deviator, directions), degree)
    weighted = forms if weights is None else (form * weights for form in forms)
    return np.stack([f @ np.ones(f.shape[1], f.dtype) for f in weighted], 1).astype(float)


def _classes(shape: TensorShape) -> Float[np.ndarray, "n c"]:
    """Weights of the knots of FA and mode: 1 in all."""
    fa, mode = tents(shape.fa, FA_KNOTS), tents(shape.mode, MODE_KNOTS)
    return (fa[:, :, None] * mode[:, None]).reshape(len(fa), -1)


def _near(knot: int) -> slice:
    """The classes of a knot of FA and of the next."""
    return slice(knot * len(MODE_KNOTS), (knot + 2) * len(MODE_KNOTS))


def _knot_below(fa: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Which of FA's knots lies below, but for the last one."""
    place = (fa.clip(FA_KNOTS[0], FA_KNOTS[-1]) - FA_KNOTS[0]) / (FA_KNOTS[1] - FA_KNOTS[0])
    return np.minimum(place.astype(int), len(FA_KNOTS) - 2)


def tents(values: Float[np.ndarray, "n"], knots: np.ndarray) -> Float[np.ndarray, "n k"]:
    """Weights of the two knots about each value, 1 in all; the knots are evenly spaced."""
    place = ((values.clip(knots[0], knots[-1]) - knots[0]) / (knots[1] - knots[0]))[:, None]
    return np.maximum(0, 1 - np.abs(place - np.arange(len(knots)))).astype(np.float32)
