"""Multi-compartment signals: each compartment decays as an axially symmetric tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dwiser.scan import Gradients

CHUNK = 20_000  # voxels at a time: keeps the largest temporary near 10 MB for 100 volumes


@dataclass(frozen=True, eq=False)
class Compartment:
    """Water of one kind in n voxels.

    Parameters
    ----------
    weight : (n,) its signal without diffusion weighting, in the scanner's units.
    parallel, perpendicular : (n,) diffusivities along and across the axis, mm²/s; a stick has
        perpendicular 0, a ball both alike.
    axis : (n, 3) unit vectors, or None for a ball, which decays with ``parallel``.
    """

    weight: Float[np.ndarray, "n"]
    parallel: Float[np.ndarray, "n"]
    perpendicular: Float[np.ndarray, "n"]
    axis: Float[np.ndarray, "n 3"] | None = None


def ball(weight: Float[np.ndarray, "n"], diffusivity: Float[np.ndarray, "n"]) -> Compartment:
    """Isotropic water: S = weight · exp(−b D)."""
    return Compartment(weight, diffusivity, diffusivity)


def decay(compartment: Compartment, gradients: Gradients) -> Float[np.ndarray, "n v"]:
    """One compartment's signal S = w · exp(−b (λ⊥ + (λ∥ − λ⊥)(g·n)²)), float64."""
    b = gradients.bvals
    if compartment.axis is None:
        shells, which = np.unique(b, return_inverse=True)
        curve = np.exp(-compartment.parallel[:, None] * shells)
        return np.asarray(compartment.weight[:, None] * curve[:, which], float)
    along = (compartment.axis @ gradients.bvecs.T) ** 2
    extra = compartment.parallel - compartment.perpendicular
    exponent = -b * (compartment.perpendicular[:, None] + extra[:, None] * along)
    return np.asarray(compartment.weight[:, None] * np.exp(exponent), float)


def synthesise(
    compartments: Sequence[Compartment], gradients: Gradients
) -> Float[np.ndarray, "n v"]:
    """The sum of all compartments' signals in n voxels on any scheme, float32."""
    n = len(compartments[0].weight)
    signal = np.zeros((n, len(gradients)), np.float32)
    for start in range(0, n, CHUNK):
        block = slice(start, min(start + CHUNK, n))
        for part in compartments:
            rows = start + np.flatnonzero(part.weight[block])
            axis = None if part.axis is None else part.axis[rows]
            some = Compartment(
                part.weight[rows], part.parallel[rows], part.perpendicular[rows], axis
            )
            signal[rows] += decay(some, gradients)
    return signal
