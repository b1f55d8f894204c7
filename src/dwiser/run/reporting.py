"""A denoising measured and drawn: what ``--report`` writes."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.evaluation.distribution import distribution, repeating
from dwiser.evaluation.groups import volume_groups
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.residual import Residual
from dwiser.methods.base import Denoised
from dwiser.prepare.outlier_volumes import find_outlier_volumes
from dwiser.prepare.subspace import grouped
from dwiser.reports.material import Material
from dwiser.reports.page import page
from dwiser.reports.tensor import colour_fa
from dwiser.reports.words import series_name
from dwiser.run.judging import Judgement
from dwiser.run.result import Result
from dwiser.run.volumes import judged_part
from dwiser.scan import Scan

FEWEST_VOLUMES = 12  # volumes in shells of four: fewer cannot tell which of them stands apart
MOST_VOXELS = 200_000  # that volumes are compared on


def report(scan: Scan, result: Result, judged: Judgement, *, name: str, command: str) -> str:
    """The report as HTML, of a denoising whose residual was tested."""
    return page(measured(scan, result, judged, name=name, command=command))


def measured(scan: Scan, result: Result, judged: Judgement, *, name: str, command: str) -> Material:
    """Everything that the report shows; what cannot be measured has its reason."""
    scan, result = judged_part(scan, result)
    shown: dict[str, Any] = {"absent": {}}
    if judged.residual is None or judged.judged is None:
        shown["absent"]["residual"] = judged.why
    else:
        shown |= {"judged": judged.judged} | _by_group(scan, judged.residual, result.seed)
    try:
        assert result.mask is not None
        before, after = (
            colour_fa(data, scan.gradients, result.mask) for data in (scan.data, result.data)
        )
        shown |= {"fa_raw": before, "fa_denoised": after}
    except CannotMeasure as why:
        shown["absent"]["fa"] = str(why)
    file = Path(name)
    shown["series"] = series_name(file.absolute()) if file.is_file() else ""
    return Material(name, scan, result, command, outlier_volumes=apart(scan, result), **shown)


def _by_group(scan: Scan, residual: Residual, seed: int) -> dict[str, Any]:
    """``seed`` is that of the subsample that quantiles are taken of."""
    groups = volume_groups(scan.gradients, pooled=False)
    standard = {group.name: residual.standard[:, group.volumes] for group in groups}
    return {
        "repeating": {name: repeating(z, residual.mask) for name, z in standard.items()},
        "distributions": {name: distribution(z, seed=seed) for name, z in standard.items()},
    }


def apart(scan: Scan, result: Denoised) -> dict[int, str]:
    """Volumes that dropped out, moved or repeat another: as the method saw, else looked for."""
    if result.outlier_volumes is not None:
        return dict(result.outlier_volumes)
    groups, _ = grouped(scan.gradients)
    volumes = np.sort(np.concatenate([np.zeros(0, int), *groups]))
    if len(volumes) < FEWEST_VOLUMES or result.sigma is None or result.mask is None:
        return {}
    inside = result.mask & (result.sigma > 0)
    places = np.argwhere(inside)[:: max(1, int(inside.sum()) // MOST_VOXELS)]
    if len(places) <= len(volumes):
        return {}
    at = tuple(places.T)
    y = scan.data[at][:, volumes] / result.sigma[at][:, None]
    return find_outlier_volumes(np.cov(y.T.astype(float)), volumes, groups)


def repeat_command(words: list[str], result: Result) -> str:
    """A command line as a shell takes it; a bound in minutes becomes the work it came to."""
    training = {} if result.weights is None else result.weights.record
    exact: list[str] = []
    for word in words:
        if word.startswith("minutes=") and "iterations" in training:
            exact.append(f"iterations={training['iterations']}")
            if "evaluations" in result.parameters:
                exact += ["--set", f"evaluations={training['evaluations_most']}"]
        else:
            exact.append(word)
    return shlex.join(exact)
