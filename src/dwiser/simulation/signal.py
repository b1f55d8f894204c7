"""Multi-compartment signals: each compartment decays as an axially symmetric tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

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

    def of(self, voxels: slice | Int[np.ndarray, "m"]) -> "Compartment":
        """The water of some of the voxels.

        Parameters
        ----------
        voxels : which of the n.

        Returns
        -------
        Compartment
        """
        axis = None if self.axis is None else self.axis[voxels]
        return Compartment(
            self.weight[voxels], self.parallel[voxels], self.perpendicular[voxels], axis
        )


def ball(weight: Float[np.ndarray, "n"], diffusivity: Float[np.ndarray, "n"]) -> Compartment:
    """Isotropic water: S = weight · exp(−b D).

    Parameters
    ----------
    weight : (n,) signal without diffusion weighting.
    diffusivity : (n,) in mm²/s.

    Returns
    -------
    Compartment
    """
    return Compartment(weight, diffusivity, diffusivity)


def decay(compartment: Compartment, gradients: Gradients) -> Float[np.ndarray, "n v"]:
    """One compartment's signal S = w · exp(−b (λ⊥ + (λ∥ − λ⊥)(g·n)²)).

    Parameters
    ----------
    compartment : water of n voxels.
    gradients : the table of V volumes.

    Returns
    -------
    (n, V) float64, in the units of the compartment's weight
    """
    b = gradients.bvals
    if compartment.axis is None:
        shells, shell_index = np.unique(b, return_inverse=True)
        curve = np.exp(-compartment.parallel[:, None] * shells)
        return np.asarray(compartment.weight[:, None] * curve[:, shell_index], float)
    along = (compartment.axis @ gradients.bvecs.T) ** 2
    extra = compartment.parallel - compartment.perpendicular
    exponent = -b * (compartment.perpendicular[:, None] + extra[:, None] * along)
    return np.asarray(compartment.weight[:, None] * np.exp(exponent), float)


def synthesise(
    compartments: Sequence[Compartment], gradients: Gradients
) -> Float[np.ndarray, "n v"]:
    """The sum of all compartments' signals on any scheme.

    Parameters
    ----------
    compartments : each of the same n voxels.
    gradients : the table of V volumes.

    Returns
    -------
    (n, V) float32, in the units of the compartments' weights
    """
    n = len(compartments[0].weight)
    signal = np.zeros((n, len(gradients)), np.float32)
    for start in range(0, n, CHUNK):
        block = slice(start, min(start + CHUNK, n))
        for part in compartments:
            rows = start + np.flatnonzero(part.weight[block])
            signal[rows] += decay(part.of(rows), gradients)
    return signal
