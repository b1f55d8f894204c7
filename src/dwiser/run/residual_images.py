"""Images of the residual: the difference, the standardised one, and the variance removed."""

import warnings
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from dwiser.errors import DwiserWarning
from dwiser.evaluation.inputs import EvaluationInputs
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual_findings import standardised_of
from dwiser.evaluation.variance import variance_removed
from dwiser.memmap import allocate_like, writable_copy
from dwiser.methods.base import Denoised
from dwiser.run.result import Result
from dwiser.run.volumes import roles_of
from dwiser.scan import Scan


def difference(scan: Scan, result: Denoised) -> Float32[np.ndarray, "x y z v"]:
    """Input − output, volume by volume: mapped if the scan is."""
    residual = writable_copy(scan.data)
    for v in range(scan.shape[3]):
        residual[..., v] -= result.data[..., v]
    return residual


def standardised(scan: Scan, result: Denoised) -> Float32[np.ndarray, "x y z v"]:
    """(input − expected)/sd, 0 where σ or a volume is unknown: mapped if the scan is."""
    if result.sigma is not None and result.mask is not None:
        inputs = EvaluationInputs(
            result.data, scan, result.mask, result.sigma, coils=result.coils or None
        )
        try:
            return _where_measured(standardised_of(inputs), result)
        except CannotMeasure as why:
            reason = str(why)
    else:
        reason = "the method gave no σ map"
    sentence = f"The standardised residual is 0 everywhere: {reason}."
    warnings.warn(sentence, DwiserWarning, stacklevel=3)
    image = allocate_like(scan.data)
    image[...] = 0
    return image


def _where_measured(image: np.ndarray, result: Denoised) -> np.ndarray:
    """0 in volumes that are no measurement, and in places without data.

    Volumes whose noise differs are in units of their own.
    """
    if result.roles is not None:
        for v in result.roles.unchanged:
            image[..., v] = 0
        for v, region in result.roles.empty_regions.items():
            image[..., v][region] = 0
        for v, ratio in result.roles.noise_ratio.items():
            image[..., v] /= np.float32(ratio)
    return image


def with_variance(scan: Scan, result: Result) -> Result:
    """The result with the share of the measured volumes' variance that was removed."""
    measured = roles_of(scan, result).measured
    share = variance_removed(result.data, scan, result.mask, measured)
    return replace(result, variance_removed=share)
