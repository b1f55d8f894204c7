"""``dwiser info``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dwiser.cli.options import (
    B0Threshold,
    Bval,
    BValueScalingOption,
    Bvec,
    Device,
    Mask,
    Method,
    NoiseMap,
    NoiseVolumes,
    Phase,
    Preset,
    Settings,
    Threads,
)
from dwiser.methods.registry import DEFAULT_METHOD
from dwiser.scan import B0_THRESHOLD

if TYPE_CHECKING:
    from dwiser.run import Survey


def info(
    dwi: Annotated[Path, Parameter(help="The series, a 4-D NIfTI image.")],
    /,
    *,
    bval: Bval = None,
    bvec: Bvec = None,
    mask: Mask = None,
    noise_map: NoiseMap = None,
    noise_volumes: NoiseVolumes = None,
    phase: Phase = None,
    method: Method = DEFAULT_METHOD,
    preset: Preset = "laptop",
    settings: Settings = None,
    b0_threshold: B0Threshold = B0_THRESHOLD,
    bvalue_scaling: BValueScalingOption = "auto",
    device: Device = "auto",
    threads: Threads = None,
) -> int:
    """Say what a scan is, how noisy it is, and what denoising it would do and take."""
    from dwiser.io import load
    from dwiser.machine import usable_memory
    from dwiser.methods.registry import build, settings_of
    from dwiser.run import survey
    from dwiser.run.capabilities import with_maps

    chosen = build(method, preset, settings_of(settings or []))
    scan = load(
        dwi,
        bval,
        bvec,
        mask,
        b0_threshold=b0_threshold,
        bvalue_scaling=bvalue_scaling,
        memory=usable_memory(),
    )
    scan, _ = with_maps(scan, noise_map=noise_map, phase=phase, noise_volumes=noise_volumes)
    print(_survey_text(survey(scan, chosen, device=device, threads=threads), dwi, method, preset))
    return 0


def _survey_text(survey: "Survey", dwi: Path, method: str, preset: str) -> str:
    size = " × ".join(f"{edge:.3g}" for edge in survey.voxel_size)
    lines = [
        f"{dwi}",
        f"shape       {' × '.join(map(str, survey.shape))}",
        *(f"volumes     {sentence}" for sentence in survey.volumes),
        f"voxel       {size} mm",
        f"b0 volumes  {_listed(survey.b0s)}",
        "shells      " + ", ".join(f"b={s['bval']:g}: {s['volumes']}" for s in survey.shells),
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


def _directions(survey: "Survey") -> str:
    dwis = survey.shape[3] - len(survey.b0s)
    some = "none" if survey.without_direction == dwis else f"{dwis - survey.without_direction} DWIs"
    return f"{some} ({survey.without_direction} DWIs have a null vector)"


def _listed(volumes: list[int]) -> str:
    if not volumes:
        return "none"
    shown = ", ".join(map(str, volumes[:12])) + (", …" if len(volumes) > 12 else "")
    return f"{len(volumes)} (at {shown}; counted from 0)"
