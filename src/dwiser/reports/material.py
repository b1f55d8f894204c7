"""What a report shows: arrays and records that others computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from dwiser.evaluation.distribution import Distribution
from dwiser.evaluation.verdict import Findings, Verdict
from dwiser.methods.base import Denoised
from dwiser.scan import Scan


@dataclass(frozen=True)
class Judged:
    """The residual's tests and their verdict."""

    findings: Findings
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Material:
    """One denoising, ready to be shown.

    Parameters
    ----------
    name : the input's file name, as the user wrote it.
    scan : the input; its affine turns the pictures upright.
    result : the denoiser's result: data, σ, uncertainty, mask, record.
    command : the command line that gives the same result again.
    judged : the tests of the residual; None where there was nothing to judge.
    repeating : by group, ``evaluation.distribution.repeating``: the loss common to its volumes.
    distributions : by group, how the residual is distributed; None where nothing was removed.
    fa_raw, fa_denoised : ``reports.tensor.colour_fa``, in voxel axes; None without a tensor.
    outlier_volumes : volumes that dropped out, moved or repeat another: {volume: why}.
    absent : what could not be measured or drawn: {name: reason}.
    series : what the page is called by: the input's BIDS entities, else its folder and name.
    """

    name: str
    scan: Scan
    result: Denoised
    command: str
    judged: Judged | None = None
    repeating: Mapping[str, Float[np.ndarray, "x y z"]] = field(default_factory=dict)
    distributions: Mapping[str, Distribution | None] = field(default_factory=dict)
    fa_raw: Float[np.ndarray, "x y z 3"] | None = None
    fa_denoised: Float[np.ndarray, "x y z 3"] | None = None
    outlier_volumes: Mapping[int, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    series: str = ""
