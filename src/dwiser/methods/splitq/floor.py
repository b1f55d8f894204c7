"""From an estimate in units of noise to signals in the scanner's; the floor goes, or stays."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from dwiser.methods.splitq.uncertainty import signal_sd
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.prepare.rician_bias import allowed_sigma, true_signal
from dwiser.prepare.shells import shells
from dwiser.prepare.subspace import FEWEST_SHARED
from dwiser.scan import Gradients

Floor = Literal["removed", "kept"]


@dataclass(frozen=True, eq=False)
class Signals:
    """The way from magnitudes' means to signals, voxel by voxel.

    Parameters
    ----------
    sigma : (n,) of the mask's voxels, by which the floor is removed.
    """

    whitened: WhitenedScan
    floor: Floor
    sigma: Float[np.ndarray, "n"]

    @classmethod
    def of(
        cls, estimate: Float[np.ndarray, "n v"], whitened: WhitenedScan, gradients: Gradients,
        floor: Floor,
    ) -> "Signals":  # fmt: skip
        """With σ as the ``estimate``, in units of y, allows it."""
        if floor == "kept":
            return cls(whitened, floor, whitened.sigma_inside)
        return cls(whitened, floor, _allowed(estimate, whitened, gradients))

    def magnitudes(self, estimate: Float[np.ndarray, "n v"], v: int) -> Float[np.ndarray, "n"]:
        """A volume's mean magnitudes in the data's units, from ``estimate`` in units of y."""
        return self.whitened.magnitudes(estimate, v)

    def power(
        self, estimate: Float[np.ndarray, "n v"], volumes: Int[np.ndarray, "m"], threads: int
    ) -> Float[np.ndarray, "n"] | None:
        """What signals to expect of a shell, by voxel; None where it has too few volumes."""
        few = len(volumes) < FEWEST_SHARED
        if self.floor == "kept" or few or self.whitened.contradicted:
            return None
        return self.whitened.power_of(estimate, volumes, threads)

    def signal(
        self, magnitudes: Float[np.ndarray, "n"], power: Float[np.ndarray, "n"] | None
    ) -> Float[np.ndarray, "n"]:
        """The signal of a volume; the magnitudes themselves where the floor is kept."""
        if self.floor == "kept":
            return magnitudes
        known = self.whitened.passed, self.whitened.coils
        return true_signal(magnitudes, self.sigma, *known, power)

    def sd(
        self, magnitudes: Float[np.ndarray, "n"], signal: Float[np.ndarray, "n"],
        power: Float[np.ndarray, "n"] | None, spread: Float[np.ndarray, "n"],
    ) -> Float[np.ndarray, "n"]:  # fmt: skip
        """The signal's error's sd in the data's units; the estimate's is ``spread``, in y's."""
        spread = spread * self.whitened.sigma_inside / self.sigma
        if self.floor == "kept":
            return spread * self.sigma
        return signal_sd(magnitudes, signal, self.sigma, spread, self.whitened.coils, power)


def _allowed(
    estimate: Float[np.ndarray, "n v"], whitened: WhitenedScan, gradients: Gradients
) -> Float[np.ndarray, "n"]:
    """σ at the mask's voxels; where the noise contradicts it, no larger than a shell's mean allows.

    A σ that a user gave stays as it is.
    """
    sigma = whitened.sigma_inside
    if whitened.sigma_given or not whitened.contradicted:
        return sigma
    lowest = np.full(len(sigma), np.inf, np.float32)
    for shell in shells(gradients):
        if len(shell.volumes) < FEWEST_SHARED:
            continue
        mean = np.zeros_like(lowest)
        for v in shell.volumes:
            mean += whitened.magnitudes(estimate, v) / len(shell.volumes)
        np.minimum(lowest, mean, out=lowest)
    return allowed_sigma(lowest, sigma, whitened.coils)
