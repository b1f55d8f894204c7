"""What an evaluation is made from, checked and completed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from dwiser.evaluation.records import CannotMeasure
from dwiser.prepare.noise_correlation import NoiseCorrelation
from dwiser.scan import Scan

ALL = "all"


@dataclass(frozen=True, eq=False)
class EvaluationInputs:
    """The inputs of an evaluation, checked and completed; definitions at `suite.evaluate`."""

    denoised: Float[np.ndarray, "x y z v"]
    raw: Scan
    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    truth: Float[np.ndarray, "x y z v"] | None = None
    tissues: Mapping[str, np.ndarray] | None = None
    lesions: Bool[np.ndarray, "x y z"] | Integer[np.ndarray, "x y z"] | None = None
    lesion_volumes: Mapping[int, Sequence[int]] | None = None
    lesion_changes: Mapping[int, Sequence[float]] | None = None
    bundle: Mapping[str, Bool[np.ndarray, "x y z"]] | None = None
    seed: int = 0
    coils: float | int | None = None  # channels of the raw magnitude; None: estimated from the scan
    noise_correlation: NoiseCorrelation | None = None  # of the raw scan; None: to be measured
    threads: int = 1  # that share the tests of the residual

    def true(self) -> Float[np.ndarray, "x y z v"]:
        if self.truth is None:
            raise CannotMeasure("no truth was given")
        return self.truth

    def with_signal(self) -> Bool[np.ndarray, "x y z"]:
        """The mask's voxels whose true signal is above σ in some volume.

        An estimated mask is wide, and air has no tensor and no fibre to be right or wrong about.

        Raises
        ------
        CannotMeasure
            Without a truth, or where it has no such voxel.
        """
        brightest = self.true().max(axis=3)
        voxels = self.mask & (brightest > self.sigma)
        if not voxels.any():
            raise CannotMeasure("the truth is not above σ anywhere in the mask")
        return voxels
