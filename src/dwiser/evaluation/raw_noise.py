"""The raw noise's correlation between neighbouring voxels, from the raw scan alone."""

import numpy as np
from jaxtyping import Bool, Float

from dwiser.evaluation.groups import Group, directed_shells, in_mask, volume_groups
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual import Whiteness, whiteness
from dwiser.scan import Gradients

HIGHEST = 6  # order of the spherical harmonics; beyond it a signal is below its noise
PER_COEFFICIENT = 2  # volumes for each coefficient: at least half of the noise stays
FEWEST_DIRECTIONS = 8  # of a shell: order 2 leaves two degrees of freedom
BRIGHT = 3.0  # σ; below it the magnitude's noise is narrower and less correlated
FEWEST_VOXELS = 500
AT_ONCE = 8  # volumes, for memory
MOST_VOLUMES = 24  # that are looked at: errors are then far below any limit


def raw_noise(
    raw: Float[np.ndarray, "x y z v"],
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
) -> Whiteness:
    """Lag-1 correlation of the raw noise along x, y and z; ``volume`` is None.

    The noise is the residual of a fit across the volumes, voxel by voxel: for b0s their mean, for
    a shell spherical harmonics of the highest even order, up to 6, with two directions for each
    coefficient. The fit is linear and uses no neighbour, so the residual has the noise's
    correlation in space. Interpolation, zero filling and partial Fourier give 0.1 to 0.5.

    Raises
    ------
    CannotMeasure
        With one b0 at most and no shell of 8 directions.
    """
    b0s = [group for group in volume_groups(gradients, pooled=False) if group.is_b0]
    groups = [
        (group, basis)
        for group in (*b0s, *directed_shells(gradients))
        if (basis := _basis(group, gradients)) is not None
    ]
    if not groups:
        raise CannotMeasure(
            f"two b0s or {FEWEST_DIRECTIONS} directions in a shell tell the raw noise from signal"
        )
    every = -(-sum(len(group.volumes) for group, _ in groups) // MOST_VOLUMES)
    noise = sigma[mask].astype(np.float32)
    plain, columns = np.ones(len(noise), bool), 0
    residual = np.empty((sum(-(-len(b) // every) for _, b in groups), len(noise)), np.float32).T
    for group, basis in groups:
        coefficients = np.zeros((len(noise), basis.shape[1]), np.float32)
        for low in range(0, len(basis), AT_ONCE):
            some = in_mask(raw, mask, group.volumes[low : low + AT_ONCE])
            some /= noise[:, None]
            coefficients += some @ basis[low : low + AT_ONCE]
        for v, row in list(zip(group.volumes, basis, strict=True))[::every]:
            np.divide(raw[..., v][mask], noise, out=residual[:, columns])
            residual[:, columns] -= coefficients @ row
            columns += 1
        if basis.shape[1] == _coefficients(2):
            plain &= _least_anisotropic(coefficients / len(basis) ** 0.5)
    where = mask.copy()
    if FEWEST_VOXELS <= plain.sum() < len(plain):
        residual, where[mask] = residual[plain], plain
    return whiteness(residual, where, in_space=True)


def _least_anisotropic(
    coefficients: Float[np.ndarray, "n k"],
) -> Bool[np.ndarray, "n"]:
    """The half of the bright voxels whose signal order 2 fits best: a misfit would look like noise.

    Chosen by coefficients, whose noise is independent of the residual's, so the choice does not
    select noise.
    """
    bright = np.abs(coefficients[:, 0]) >= BRIGHT
    anisotropy = np.square(coefficients[:, 1:]).sum(1)
    if not bright.any():
        return bright
    return bright & (anisotropy <= np.median(anisotropy[bright]))


def _basis(group: Group, gradients: Gradients) -> np.ndarray | None:
    """Orthonormal columns (v, k) that a group's signal is fitted by; None for too few volumes."""
    count = len(group.volumes)
    if group.is_b0:
        return np.full((count, 1), count**-0.5, np.float32) if count > 1 else None
    if count < FEWEST_DIRECTIONS:
        return None
    orders = range(2, HIGHEST + 1, 2)
    order = max((o for o in orders if PER_COEFFICIENT * _coefficients(o) <= count), default=2)
    return even_basis(gradients.bvecs[group.volumes], order).astype(np.float32)


def even_basis(directions: Float[np.ndarray, "v 3"], order: int) -> Float[np.ndarray, "v k"]:
    """Orthonormal columns that span the spherical harmonics of even orders up to ``order``.

    On the sphere these are the polynomials x^i y^j z^k with i + j + k = order. The first column is
    the mean (order 0), in place of z^order, which 1 = (x² + y² + z²)^(order/2) holds.
    """
    x, y, z = directions.T
    powers = [(i, j) for i in range(order + 1) for j in range(order + 1 - i) if i + j]
    columns = [np.ones(len(x)), *(x**i * y**j * z ** (order - i - j) for i, j in powers)]
    return np.linalg.qr(np.stack(columns, 1))[0]


def _coefficients(order: int) -> int:
    return (order + 1) * (order + 2) // 2
