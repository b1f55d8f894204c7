"""The page: one self-contained HTML file, filled from records and arrays."""

import io
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from dwiser.evaluation.groups import volume_groups
from dwiser.io import sidecar
from dwiser.methods.registry import METHODS
from dwiser.prepare.snr import snr_by_shell
from dwiser.reports import charts, words
from dwiser.reports.angle import angle_maps
from dwiser.reports.colours import GREY, VIRIDIS
from dwiser.reports.figures import AXIS_COLOURS, middle_dwi, montage
from dwiser.reports.material import Material
from dwiser.reports.payload import payload
from dwiser.reports.voxels import packed

BUNDLED = files("dwiser.reports") / "bundled"
STILL_DPI = 80  # of the picture for a browser without JavaScript
STILL_QUALITY = 80


def page(material: Material) -> str:
    """The report of one denoising as HTML.

    It loads nothing from the network: pictures, voxels, scripts and the viewer are inside.
    Every text is escaped, whatever the input's names hold.
    """
    shown = payload(material)
    record = material.result.record
    return _template().render(
        m=material,
        short_name=PurePath(material.name).name,
        title=title(material),
        record=record,
        sidecar=sidecar(record),
        method=METHODS.get(str(record.get("Method"))),
        meaning=words.MEANING,
        why=words.why(material),
        facts=facts(material),
        shells=shell_rows(material),
        apart=outlier_rows(material),
        anatomy=anatomy_rows(material),
        residual_charts=residual_charts(material),
        angle_charts=angle_charts(material),
        training_charts=training_charts(record),
        spec=shown.spec,
        blobs=shown.blobs,
        palettes={"grey": GREY, "viridis": VIRIDIS},
        axis_colours=AXIS_COLOURS,
        still=still(material),
        fflate=bundled("fflate.umd.js"),
        niivue=_viewer(),
        licences=bundled("LICENCES.txt"),
    )


def title(material: Material) -> str:
    """What a reader with many pages open tells them apart by: series, method, verdict."""
    method, judged = material.result.record.get("Method"), material.judged
    verdict = "no verdict" if judged is None else judged.verdict.level
    series = material.series or words.series_name(PurePath(material.name))
    return f"{series}: {method}, {verdict} – denoised by dwiser"


@cache
def _template() -> Any:
    loader = PackageLoader("dwiser.reports", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["listed"] = words.listed
    return environment.get_template("page.html")


@cache
def _viewer() -> str:
    return packed(bundled("niivue.umd.js").encode())


def bundled(name: str) -> str:
    """A file that came with the package, as text."""
    return (BUNDLED / name).read_text(encoding="utf-8")


def facts(material: Material) -> dict[str, str]:
    """The facts that a reader looks up first, by name."""
    record, scan = material.result.record, material.scan
    size = " × ".join(f"{v:.3g}" for v in scan.voxel_size)
    generator: dict[str, str] = next(iter(record.get("GeneratedBy", [])[-1:]), {})
    values = {
        "Input": material.name,
        "Image": f"{' × '.join(map(str, scan.shape))}, {size} mm",
        "Method": f"{record.get('Method')}, preset {record.get('Preset')}",
        "Seed": record.get("Seed"),
        "Time": f"{record['WallTimeSeconds']:.0f} s" if "WallTimeSeconds" in record else None,
        "Memory": f"{record['PeakMemoryMiB'] / 1024:.2f} GiB"
        if "PeakMemoryMiB" in record
        else None,
        "Device": f"{record.get('Device')}, threads: {record.get('Threads')}",
        "Made by": f"{generator.get('Name', 'dwiser')} {generator.get('Version', '')}",
        "On": record.get("Date"),
        "SHA-256 of the input": record.get("InputSHA256"),
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def shell_rows(material: Material) -> list[dict[str, Any]]:
    """One row for each shell: b, volumes, SNR, mean and sd of the residual."""
    scan, result, rows = material.scan, material.result, []
    snr: dict[int, float] = {}
    if result.mask is not None and result.sigma is not None:
        by_shell = snr_by_shell(scan, result.mask, result.sigma)
        snr = {int(shell.volumes[0]): ratio for shell, ratio in by_shell}
    for group in volume_groups(scan.gradients, pooled=False):
        row: dict[str, Any] = {"b": round(float(scan.gradients.bvals[group.volumes].mean()))}
        which = [scan.gradients.number(v) for v in group.volumes]
        row |= {"volumes": len(which), "which": words.listed(which)}
        row |= {"snr": snr.get(int(group.volumes[0])), "mean": None, "sd": None}
        if material.judged is not None:
            moments = material.judged.findings.raw_moments[group.name]
            row |= {"mean": moments.mean, "sd": moments.sd}
        rows.append(row)
    return rows


def outlier_rows(material: Material) -> list[dict[str, Any]]:
    """Volumes that dropped out, moved or repeat another, with their place in the table."""
    table = material.scan.gradients
    return [
        {"volume": table.number(v), "b": round(float(table.bvals[v])), "why": reason}
        for v, reason in sorted(material.outlier_volumes.items())
    ]


def anatomy_rows(material: Material) -> list[dict[str, Any]]:
    """The residual's correlation with the signal, its edges and FA."""
    if material.judged is None or material.judged.findings.anatomy is None:
        return []
    correlations = asdict(material.judged.findings.anatomy)
    names = {"signal": "the signal", "gradient": "the signal's edges", "fa": "FA"}
    rows = []
    for key, name in names.items():
        values = {kind: correlations[f"{kind}_{key}"] for kind in ("mean", "size", "energy")}
        known = [v for v in values.values() if v is not None]
        rows.append(
            {"name": name, **values, "word": words.strength(max(known, key=abs, default=None))}
        )
    return rows


def residual_charts(material: Material) -> list[charts.Chart]:
    """Histogram and QQ of each group from which something was removed."""
    drawn_charts, gradients = [], material.scan.gradients
    for group in volume_groups(gradients, pooled=False):
        distribution = material.distributions.get(group.name)
        if distribution is not None and material.judged is not None:
            name = "b0" if group.is_b0 else f"b = {gradients.bvals[group.volumes].mean():.0f} s/mm²"
            name += words.contrast_words(group, gradients)
            rms = material.judged.findings.energies[group.name].mean ** 0.5
            drawn_charts += [
                charts.histogram(name, distribution, rms),
                charts.quantiles(name, distribution),
            ]
    return drawn_charts


def angle_charts(material: Material) -> list[charts.Chart]:
    """Two heat maps a shell: the residual by angle to the fibre, and cross-fitted."""
    shells = material.judged.findings.angle if material.judged is not None else ()
    return [chart for cells in shells for chart in angle_maps(cells)]


def training_charts(record: Mapping[str, Any]) -> list[charts.Chart]:
    """The training's loss, for each stage that recorded it, and where slices stopped."""
    training = record.get("training") or {}
    stages = {"Training": training}
    stages |= {
        f"Training, {k.replace('_', ' ')}": v for k, v in training.items() if isinstance(v, dict)
    }
    drawn_charts = [
        charts.training_curve(n, s["curve"]) for n, s in stages.items() if s.get("curve")
    ]
    steps = (record.get("sampling") or {}).get("stopping_step")
    return [*drawn_charts, charts.stopping_steps(steps)] if steps else drawn_charts


def still(material: Material) -> str | None:
    """The montage as a data URI, for a browser without JavaScript."""
    result = material.result
    if material.fa_raw is None or material.fa_denoised is None or result.sigma is None:
        return None
    assert result.mask is not None
    figure: Figure = montage(
        material.scan, result.data,
        mask=result.mask, sigma=result.sigma,
        fa_raw=material.fa_raw, fa_denoised=material.fa_denoised,
        volume=middle_dwi(material.scan.gradients),
    )  # fmt: skip
    file = io.BytesIO()
    figure.savefig(file, format="webp", dpi=STILL_DPI, pil_kwargs={"quality": STILL_QUALITY})
    return "data:image/webp;base64," + b64encode(file.getvalue()).decode("ascii")
