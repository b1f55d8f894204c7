"""Options that several commands share, each with its help."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from dwiser.cli.pipes import Pipes
from dwiser.defaults import B0_THRESHOLD, BValueScaling

if TYPE_CHECKING:
    from dwiser.run import Request

Bval = Annotated[
    Path | None, Parameter(help="b-values (default: in the image, or beside it, same stem).")
]
Bvec = Annotated[
    Path | None, Parameter(help="b-vectors (default: in the image, or beside it, same stem).")
]
Grad = Annotated[
    Path | None,
    Parameter(
        help="The whole gradient table in scanner axes, x y z b in each row, as MRtrix's -grad "
        "takes it: in place of b-values and b-vectors."
    ),
]
Mask = Annotated[
    Path | None, Parameter(help="Mask; voxels outside come back unchanged (default: Otsu).")
]
NoiseMap = Annotated[
    Path | None,
    Parameter(help="The noise's sd (σ map) on the scan's grid, used instead of the estimate."),
]
Phase = Annotated[
    Path | None,
    Parameter(
        help="Phase of the series, in any unit that shows its wraps: denoise the complex image."
    ),
]
NoiseVolumes = Annotated[
    str | None,
    Parameter(
        help="Volumes acquired without excitation, which tell σ and the channels: 70-72 or 5,7 "
        "(counted from 0), an image of them (BIDS noRF), or none (default: b0s as dark as noise)."
    ),
]
SaveNoise = Annotated[Path | None, Parameter(help="Write the noise's sd (σ map) here.")]
SaveResidual = Annotated[
    Path | None, Parameter(help="Write what was removed, input − output, here.")
]
SaveStandardised = Annotated[
    Path | None,
    Parameter(
        help="Write what was removed in units of its noise here: (input − expected)/sd, in which "
        "a noise floor that was removed does not show."
    ),
]
SaveRank = Annotated[
    Path | None,
    Parameter(
        help="Write here how many degrees of freedom of its volumes each voxel keeps (effective "
        "rank)."
    ),
]
SaveVariance = Annotated[
    Path | None,
    Parameter(help="Write the share of the variance within the shells that was removed here."),
]
SaveReal = Annotated[
    Path | None,
    Parameter(help="Of a complex scan, write the denoised real part here; it goes below 0."),
]
SavePhase = Annotated[
    Path | None,
    Parameter(
        help="Of a complex scan, write the phase of that real part here, in radians: the denoised "
        "complex image is real·exp(i·phase)."
    ),
]
SaveMask = Annotated[Path | None, Parameter(help="Write the mask that was used here.")]
SaveWeights = Annotated[
    Path | None,
    Parameter(help="Write what was learned here (.safetensors), for apply; splitq has nothing."),
]
Method = Annotated[str, Parameter(help="Which denoiser; 'dwiser methods' lists them.")]
Preset = Annotated[
    str,
    Parameter(
        help="paper, released (difusion), laptop or smoke: a named set of the fields' values."
    ),
]
Settings = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        help="field=value, as often as needed; 'dwiser methods NAME' lists the fields.",
        negative_iterable=(),
    ),
]
B0Threshold = Annotated[
    float, Parameter(name="--b0-threshold", help="b-values up to this (s/mm²) are b0s.")
]
BValueScalingOption = Annotated[
    BValueScaling,
    Parameter(
        name="--bvalue-scaling",
        help="Multiply b by the squared length of its vector; auto: where all DWIs have one "
        "b-value and shorter vectors.",
    ),
]
BDelta = Annotated[
    str | None,
    Parameter(
        name="--b-delta",
        help="Shape of the b-tensors: -0.5 planar, 0 spherical, 1 linear; a number for all DWIs, "
        "or a text file of one a volume (default: BDelta in the sidecar, or linear).",
    ),
]
Device = Annotated[Literal["auto", "cpu", "cuda"], Parameter(help="Where to compute.")]
Threads = Annotated[int | None, Parameter(help="CPU threads (default: all this process may use).")]
Memory = Annotated[
    str | None,
    Parameter(
        help="Main memory it may take; 8G is 8 GiB, 500M is 500 MiB (default: what is free)."
    ),
]
Seed = Annotated[int, Parameter(help="Of everything random; the same seed, the same result.")]
Force = Annotated[bool, Parameter(help="Replace output files that exist.", negative=())]
Verbose = Annotated[
    bool, Parameter(name=["--verbose", "-v"], help="Print the whole record.", negative=())
]
Quiet = Annotated[
    bool, Parameter(name=["--quiet", "-q"], help="Print nothing but errors.", negative=())
]
Strict = Annotated[
    bool,
    Parameter(
        help="Exit code 1 unless the verdict is PASS or WARN; everything is written all the same.",
        negative=(),
    ),
]
Truth = Annotated[Path | None, Parameter(help="The series without noise, if known.")]
Tissues = Annotated[
    list[Path] | None,
    Parameter(
        help="Volume fractions: a folder with f_<tissue>.nii.gz, or files; repeatable.",
        negative_iterable=(),
    ),
]
Lesions = Annotated[
    Path | None,
    Parameter(help="Lesion labels; a .json beside them says which volumes they change."),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Shared:
    """What ``dwiser denoise`` and ``dwiser apply`` take; all but the last three of `Request`."""

    bval: Bval = None
    bvec: Bvec = None
    grad: Grad = None
    mask: Mask = None
    noise_map: NoiseMap = None
    noise_volumes: NoiseVolumes = None
    save_noise: SaveNoise = None
    save_residual: SaveResidual = None
    save_standardised: SaveStandardised = None
    save_mask: SaveMask = None
    b0_threshold: B0Threshold = B0_THRESHOLD
    bvalue_scaling: BValueScalingOption = "auto"
    b_delta: BDelta = None
    device: Device = "auto"
    threads: Threads = None
    memory: Memory = None
    seed: Seed = 0
    force: Force = False
    strict: Strict = False
    verbose: Verbose = False
    quiet: Quiet = False

    def request(self, dwi: Path, out: Path, **more: Any) -> "Request":
        """These, and what one of the commands takes alone."""
        from dwiser.run import Request

        display_only = ("strict", "verbose", "quiet")
        names = [f.name for f in fields(self) if f.name not in display_only]
        return Request(dwi, out, **{name: getattr(self, name) for name in names}, **more)


SHARED = Shared()


def through_pipes(shared: Shared, pipes: Pipes) -> Shared:
    """The options with the file that stands behind a ``-``."""
    mask, noise_map = pipes.input(shared.mask), pipes.input(shared.noise_map)
    return replace(shared, mask=mask, noise_map=noise_map)
