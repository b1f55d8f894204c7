"""Phase, σ maps and voxel values."""

import os
import stat
import struct
from collections.abc import Callable

import nibabel as nib
import numpy as np

from tests.real_inputs.situation import Ran, Series, Situation, s7

PHASE = "denoise dwi.nii.gz out.nii.gz --phase phase.nii.gz"
MASKED = "denoise dwi.nii.gz out.nii.gz --mask mask.nii.gz"
FAKE = "#!/bin/sh\nkill -SEGV $$\n"


def complex_series(series: Series) -> np.ndarray:
    """Another measurement of the truth, with a phase: its magnitude; the phase in radians."""
    made, rng = series.made, np.random.default_rng(3)
    x = 0.2 * np.arange(made.truth.shape[0])[:, None, None, None]
    turn = np.exp(1j * (x + np.arange(made.truth.shape[3])))
    noise = rng.standard_normal((2, *made.truth.shape)) * made.sigma[..., None]
    z = made.truth * turn + noise[0] + 1j * noise[1]
    series.data = np.abs(z).astype(np.float32)
    return np.angle(z)


def in_unit(scale: float) -> Callable[[Series], None]:
    """A phase of its own, times a number."""

    def changed(series: Series) -> None:
        series.save(complex_series(series) * scale, "phase.nii.gz")

    return changed


def of_unit(unit: str) -> Callable[[Ran], None]:
    def check(ran: Ran) -> None:
        ran.ok()
        assert ran.record()["PhaseUnit"] == unit
        assert ran.error() < 0.5
        assert ran.error(volumes=[0, 10]) < 0.7  # the b0s, which lose most by a wrong phase

    return check


def constant(series: Series) -> None:
    series.save(series.data * 0, "phase.nii.gz")


def of_no_period(series: Series) -> None:
    """A filtered phase without wraps: its size tells radians from cycles no more."""
    shape = series.data.shape
    x = np.linspace(-0.5, 0.5, shape[0])[:, None, None, None]
    series.save(np.broadcast_to(x, shape), "phase.nii.gz")


def masked(series: Series, volumes: object = slice(None)) -> np.ndarray:
    """Write the mask; NaN outside it in the data."""
    mask = series.made.mask
    series.save(mask.astype(float), "mask.nii.gz")
    series.data[~mask, volumes] = np.nan
    return mask


def nan_outside(series: Series) -> None:
    masked(series)


def phase_nan_outside(series: Series) -> None:
    phase = complex_series(series)
    mask = masked(series)
    phase[~mask] = np.nan
    series.save(phase, "phase.nii.gz")


def sigma_nan_outside(series: Series) -> None:
    mask = masked(series)
    series.save(np.where(mask, series.made.sigma, np.nan), "sigma.nii.gz")


def came_back(ran: Ran) -> None:
    ran.ok("lie outside the mask")
    mask, out = ran.series.made.mask, ran.image()
    assert np.isnan(out[~mask]).all()
    assert np.isfinite(out[mask]).all()


def denoised_inside(ran: Ran) -> None:
    came_back(ran)
    assert ran.error() < 0.6


def nan_intercept(series: Series) -> None:
    """A slope of 2 beside an intercept of NaN, in the bytes of the header."""
    series.name = None
    like = series.made.scan
    image = nib.Nifti1Image(series.data.astype(np.int16), like.affine)
    content = bytearray(image.to_bytes())
    content[112:120] = struct.pack("<2f", 2.0, np.nan)
    series.files["dwi.nii"] = bytes(content)
    assert series.bvals is not None
    assert series.bvecs is not None
    series.files["dwi.bval"] = " ".join(map(str, series.bvals)) + "\n"
    series.files["dwi.bvec"] = "\n".join(" ".join(map(str, row)) for row in series.bvecs.T) + "\n"


def program_that_ends_by_a_signal(series: Series) -> None:
    """A program of this name that ends itself, on a PATH of its own."""
    program = series.folder / "bin" / "dwidenoise"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def ended(ran: Ran) -> None:
    os.environ["PATH"] = os.environ["PATH"].partition(os.pathsep)[2]
    assert ran.exit_code == 1
    assert "dwidenoise was ended by a signal (SIGSEGV)" in ran.err
    assert "--method mppca" in ran.err
    assert not ran.appeared


def hot_voxels(series: Series) -> None:
    places = np.random.default_rng(0).integers(0, series.data.shape[:3], (30, 3))
    for v, at in enumerate(places):
        series.data[(*at, v % series.data.shape[3])] = 1e20


def says_hot(ran: Ran) -> None:
    ran.refused("30 voxels reach 1e+20", "98 % of the others stay below", "--mask")


def hot_outside_the_mask(series: Series) -> None:
    before = series.data.copy()
    hot_voxels(series)
    series.save(series.made.mask & (series.data == before).all(3), "mask.nii.gz")


def denoised_with_hot(ran: Ran) -> None:
    ran.ok()
    out, came = ran.image(), ran.series.data
    hot = came > 1e19
    assert (out[hot] == came[hot]).all()
    good = ran.series.made.truth.copy()
    good[~hot.any(3)] = out[~hot.any(3)]
    assert ran.error(good) < 0.5


ROWS: tuple[Situation, ...] = (
    Situation(
        name="phase-in-units-of-pi",
        reported=("bids-apps/MRtrix3_connectome #96",),
        happens="The phase goes from −1 to 1: its unit is π.",
        expected="The unit is read off the wraps and the noise, and recorded.",
        before="It was taken for radians: 1.04 σ of error (raw 0.99), 1.9 σ in the b0s.",
        change=in_unit(1 / np.pi),
        check=of_unit("units of π"),
        commands=(PHASE,),
    ),
    Situation(
        name="phase-in-cycles",
        reported=(),
        happens="The phase goes from −0.5 to 0.5: its unit is a whole turn.",
        expected="The same.",
        before="It was taken for radians: 0.47 σ of error, 0.75 σ in the b0s.",
        change=in_unit(0.5 / np.pi),
        check=of_unit("cycles"),
        commands=(PHASE,),
    ),
    Situation(
        name="phase-in-even-steps",
        reported=("CMRR-C2P/MB #238", "MRtrix3/mrtrix3 #3009"),
        happens="The phase goes from −4096 to 4094 in steps of 2 (Siemens).",
        expected="It is read as 8192 steps of a turn.",
        before="The same: 0.43 σ of error, 0.64 σ in the b0s.",
        change=lambda series: series.save(
            np.floor(complex_series(series) / np.pi * 2048) * 2, "phase.nii.gz"
        ),
        check=of_unit("scanner steps of 2π/8192"),
        commands=(PHASE,),
    ),
    Situation(
        name="phase-that-is-constant",
        reported=(),
        happens="The phase image is 0 everywhere.",
        expected="One sentence that says so.",
        before="The sentence was “goes from 0 to 0”, and for some −0 to −0.",
        change=constant,
        check=lambda ran: ran.refused("phase.nii.gz", "is 0 everywhere", "give"),
        commands=(PHASE,),
        base=s7,
    ),
    Situation(
        name="phase-that-may-be-radians-or-cycles",
        reported=("shimming-toolbox/shimming-toolbox-matlab #91",),
        happens="A phase within ±0.5 that never wraps: radians or cycles.",
        expected="It is refused, with a way out that works.",
        before="It was taken for radians, without a word.",
        change=of_no_period,
        check=lambda ran: ran.refused("phase.nii.gz", "-0.5 to 0.5", "never wraps", "complex"),
        commands=(PHASE,),
        base=s7,
    ),
    Situation(
        name="nan-outside-the-mask",
        reported=("muscbridge/PyDKE #55",),
        happens="The series is NaN outside a mask, which is given.",
        expected="It is denoised; outside the mask it comes back as it came, NaN.",
        before="It was refused: replace the NaN voxels first.",
        change=nan_outside,
        check=denoised_inside,
        commands=(MASKED,),
    ),
    Situation(
        name="nan-outside-the-mask-blurred",
        reported=("muscbridge/PyDKE #55",),
        happens="The same with a method that looks at neighbours across the mask's edge.",
        expected="No NaN comes into the mask.",
        before="It was refused: replace the NaN voxels first.",
        change=nan_outside,
        check=came_back,
        commands=(f"{MASKED} --method nlmeans",),
        base=s7,
    ),
    Situation(
        name="phase-nan-outside-the-mask",
        reported=(),
        happens="The same with the phase, which is NaN there too.",
        expected="The same.",
        before="It was refused: replace the NaN voxels first.",
        change=phase_nan_outside,
        check=came_back,
        commands=(f"{MASKED} --phase phase.nii.gz",),
        base=s7,
    ),
    Situation(
        name="noise-map-nan-outside-the-mask",
        reported=(),
        happens="The same with the σ map.",
        expected="The same.",
        before="It was refused: replace the NaN voxels first.",
        change=sigma_nan_outside,
        check=came_back,
        commands=(f"{MASKED} --noise-map sigma.nii.gz",),
        base=s7,
    ),
    Situation(
        name="nan-intercept",
        reported=("nipreps/fmriprep #2531",),
        happens="The header has a slope and an intercept (scl_inter) of NaN.",
        expected="The sentence names the field.",
        before="The sentence was “no NIfTI image, or a damaged one”.",
        change=nan_intercept,
        check=lambda ran: ran.refused("dwi.nii", "scl_slope", "scl_inter", "set scl_inter to 0"),
        commands=("denoise dwi.nii out.nii.gz",),
        base=s7,
    ),
    Situation(
        name="a-program-that-ends-by-a-signal",
        reported=("NYU-DiffusionMRI/DESIGNER-v2 #32",),
        happens="A program that dwiser starts for a method is ended by a signal.",
        expected="A sentence with another method, in place of the bare signal.",
        before="The sentence was “dwidenoise failed: exit code -11”.",
        change=program_that_ends_by_a_signal,
        check=ended,
        commands=("denoise dwi.nii.gz out.nii.gz --method dwidenoise",),
        base=s7,
    ),
    Situation(
        name="hot-voxels",
        reported=(),
        happens="30 voxels hold 1e20 in a series of some hundreds.",
        expected="It is refused with their number; a mask that leaves them out helps.",
        before="`info` took the whole field for the object; `denoise` found “no noise”, and gave "
        "the scan back, exit 0.",
        change=hot_voxels,
        check=says_hot,
        commands=("info dwi.nii.gz",),
    ),
    Situation(
        name="hot-voxels-outside-the-mask",
        reported=(),
        happens="The same, and a mask leaves them out.",
        expected="The scan is denoised, and they come back as they came.",
        before="It was denoised, too.",
        change=hot_outside_the_mask,
        check=denoised_with_hot,
        commands=(MASKED,),
    ),
)
