"""``dwiser info``."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from dwiser.cli.denoise import read_ahead
from dwiser.cli.options import (
    B0Threshold,
    BDelta,
    Bval,
    BValueScalingOption,
    Bvec,
    Device,
    Grad,
    Mask,
    Method,
    NoiseMap,
    NoiseVolumes,
    Phase,
    Preset,
    Settings,
    Threads,
)
from dwiser.cli.pipes import Pipes
from dwiser.cli.progress import progress
from dwiser.cli.starting import starting
from dwiser.defaults import B0_THRESHOLD, DEFAULT_METHOD
from dwiser.watch import step

if TYPE_CHECKING:
    from dwiser.run.survey import Survey


def info(
    dwi: Annotated[Path, Parameter(help="The series, a 4-D image.")],
    /,
    *,
    bval: Bval = None,
    bvec: Bvec = None,
    grad: Grad = None,
    mask: Mask = None,
    noise_map: NoiseMap = None,
    noise_volumes: NoiseVolumes = None,
    phase: Phase = None,
    method: Method = DEFAULT_METHOD,
    preset: Preset = "laptop",
    settings: Settings = None,
    b0_threshold: B0Threshold = B0_THRESHOLD,
    bvalue_scaling: BValueScalingOption = "auto",
    b_delta: BDelta = None,
    device: Device = "auto",
    threads: Threads = None,
    json: Annotated[
        bool,
        Parameter(
            help="Print one JSON object and nothing else: the fields below, Seconds (about; none: "
            "not known), SNR by shell, σ's median and 5 and 95 % limits.",
            negative=(),
        ),
    ] = False,
) -> int:
    """Say what a scan is, how noisy it is, and what denoising it would do and take."""
    with Pipes() as pipes, progress() as watch:
        dwi, mask = pipes.series(dwi), pipes.input(mask)
        with starting(watch):
            ahead = read_ahead(dwi) if threads != 1 else None
            from dwiser.io import load
            from dwiser.machine import usable_memory
            from dwiser.methods.registry import build, settings_of
            from dwiser.run.capabilities import with_maps
            from dwiser.run.survey import survey
        chosen = build(method, preset, settings_of(settings or []))
        with step(watch, "reading"):
            scan = load(
                dwi, bval, bvec, mask, grad, b0_threshold=b0_threshold,
                bvalue_scaling=bvalue_scaling, b_delta=b_delta, memory=usable_memory(),
                ahead=ahead,
            )  # fmt: skip
            scan, _ = with_maps(scan, noise_map=noise_map, phase=phase, noise_volumes=noise_volumes)
        with step(watch, "noise and time"):
            seen = survey(scan, chosen, device=device, threads=threads)
    if json:
        record = survey_record(seen) | {"Source": str(dwi), "Method": method, "Preset": preset}
        print(dumps(record, indent=2, ensure_ascii=False))
    else:
        print(_survey_text(seen, dwi, method, preset))
    return 0


def survey_record(survey: "Survey") -> dict[str, Any]:
    """A survey as plain values, with the sidecar's names where it has the same."""
    return {
        "Shape": list(survey.shape),
        "VolumeNotes": list(survey.volumes),
        "VoxelSize": [round(float(edge), 4) for edge in survey.voxel_size],
        "B0Volumes": survey.b0s,
        "Shells": survey.shells,
        "VolumesWithoutDirection": survey.without_direction,
        "MaskShare": round(survey.mask_share, 4),
        "SigmaMedian": survey.sigma,
        "Sigma5": survey.sigma_low,
        "Sigma95": survey.sigma_high,
        "NoiseModel": survey.noise,
        "NoiseCorrelation": [round(float(r), 4) for r in survey.correlation],
        "EarlierSteps": list(survey.earlier_steps),
        "SNR": [{"bval": b, "snr": round(snr, 3)} for b, snr in survey.snr],
        "Plan": survey.plan,
        "Time": survey.time,
        "Seconds": None if survey.seconds is None else round(survey.seconds, 1),
    }


def _survey_text(survey: "Survey", dwi: Path, method: str, preset: str) -> str:
    size = " × ".join(f"{edge:.3g}" for edge in survey.voxel_size)
    lines = [
        f"{dwi}",
        f"shape       {' × '.join(map(str, survey.shape))}",
        *(f"volumes     {sentence}" for sentence in survey.volumes),
        f"voxel       {size} mm",
        f"b0 volumes  {_listed(survey.b0s)}",
        "shells      " + ", ".join(_shell(row) for row in survey.shells),
        *([f"directions  {_directions(survey)}"] if survey.without_direction else []),
        f"mask        {survey.mask_share:.0%} of the field of view",
        f"sigma       {survey.sigma:.4g} (median in the mask; 5-95 %: "
        f"{survey.sigma_low:.4g}-{survey.sigma_high:.4g})",
        f"noise       {survey.noise}",
        "correlation "
        + ", ".join(f"{a} {r:z.2f}" for a, r in zip("xyz", survey.correlation, strict=True))
        + " (noise of adjacent voxels)",
        *(f"earlier     {sentence}" for sentence in survey.earlier_steps),
        "SNR         " + ", ".join(f"b={b:g}: {snr:.1f}" for b, snr in survey.snr),
        f"would do    {method} ({preset}): {survey.plan}",
        f"would take  {survey.time}",
    ]
    return "\n".join(lines)


def _shell(row: dict[str, Any]) -> str:
    from dwiser.b_delta import shape_name

    shape = f" {shape_name(row['b_delta'])}" if "b_delta" in row else ""
    echo = f" echo {row['echo']}" if "echo" in row else ""
    return f"b={row['bval']:g}{shape}{echo}: {row['volumes']}"


def _directions(survey: "Survey") -> str:
    dwis = survey.shape[3] - len(survey.b0s)
    some = "none" if survey.without_direction == dwis else f"{dwis - survey.without_direction} DWIs"
    return f"{some} ({survey.without_direction} DWIs have a null vector)"


def _listed(volumes: list[int]) -> str:
    if not volumes:
        return "none"
    shown = ", ".join(map(str, volumes[:12])) + (", …" if len(volumes) > 12 else "")
    return f"{len(volumes)} (at {shown}; counted from 0)"
