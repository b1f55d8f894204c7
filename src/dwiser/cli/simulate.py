"""``dwiser simulate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dwiser.cli.options import Bval, Bvec, Force, Grad, Quiet, Seed
from dwiser.cli.progress import progress

if TYPE_CHECKING:
    from dwiser.simulation.simulator import Simulator


def simulate(
    outdir: Annotated[Path, Parameter(help="The folder for the scan and its truth.")],
    /,
    *,
    snr: Annotated[
        float, Parameter(help="Mean true b0 in white matter over mean σ in the mask.")
    ] = 20.0,
    shells: Annotated[
        str | None,
        Parameter(help="b-value:directions pairs (default 1000:64,2000:64; with --from, its own)."),
    ] = None,
    b0: Annotated[
        int | None, Parameter(help="How many b0s, spread over the series (default 6).")
    ] = None,
    shape: Annotated[
        str | None, Parameter(help="X,Y,Z voxels (default 65,78,66); the head fills them.")
    ] = None,
    voxel: Annotated[float | None, Parameter(help="Edge of a voxel in mm (default 2.5).")] = None,
    noise: Annotated[
        str, Parameter(help="gaussian, rician, nc-chi, kspace (coil images) or none.")
    ] = "rician",
    coils: Annotated[int, Parameter(help="Receive channels of nc-chi and kspace.")] = 1,
    sigma_map: Annotated[
        str, Parameter(help="uniform, or gfactor: largest in the middle.")
    ] = "uniform",
    partial_fourier: Annotated[
        float, Parameter(help="Share of k-space lines acquired, above 0.5; correlates the noise.")
    ] = 1.0,
    zero_fill: Annotated[
        float, Parameter(help="Image matrix over the acquired one; correlates the noise.")
    ] = 1.0,
    lesions: Annotated[
        bool, Parameter(help="Put small lesions in, some in one direction only.", negative=())
    ] = False,
    phase: Annotated[
        bool,
        Parameter(
            help="Write the phase too: smooth in each shot, as eddy currents and motion leave it.",
            negative=(),
        ),
    ] = False,
    texture: Annotated[
        float,
        Parameter(
            help="How much tissue varies from voxel to voxel: sd of its fractions' logarithm; "
            "0.3 is about a brain's."
        ),
    ] = 0.0,
    texture_correlation: Annotated[
        float,
        Parameter(help="FWHM in voxels of that variation; 0 makes neighbours independent."),
    ] = 1.0,
    source: Annotated[
        Path | None,
        Parameter(name="--from", help="A real scan to refit, in place of the synthetic head."),
    ] = None,
    bval: Bval = None,
    bvec: Bvec = None,
    grad: Grad = None,
    mask: Annotated[
        Path | None, Parameter(help="Which voxels of the real scan to refit (default: Otsu).")
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Make a scan whose truth is known, with noise of known σ."""
    from dwiser.simulation.files import SimulationRequest, simulate_files

    request = SimulationRequest(
        outdir, snr, shells, b0, shape, voxel, noise, coils, sigma_map, partial_fourier,
        zero_fill, lesions, texture, texture_correlation, source, bval, bvec, mask, seed, force,
        grad, phase,
    )  # fmt: skip
    with progress(quiet) as watch:
        simulator, written = simulate_files(request, watch)
    if not quiet:
        print(_summary(simulator, written))
    return 0


def _summary(simulator: "Simulator", written: tuple[Path, ...]) -> str:
    size = " × ".join(f"{edge:.3g}" for edge in simulator.voxel_size)
    noise = simulator.record["noise"]
    noise_text = "no noise"
    if noise["kind"] != "none":
        sigma = simulator.record["mean_sigma"]
        noise_text = f"{noise['kind']} noise, sigma {sigma:.4g} (SNR {noise['snr']:g})"
    lesions = len(simulator.record["lesions"])
    return (
        f"{written[-1]}: {' × '.join(map(str, simulator.series.shape))}, {size} mm, {noise_text}"
        + (f", {lesions} lesions" if lesions else "")
        + f"\nwith it {', '.join(sorted(path.name for path in written[:-1]))}"
    )
