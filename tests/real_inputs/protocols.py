"""Protocols, pipelines and outputs."""

import errno
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper

import numpy as np

from dwiser.cli import main
from dwiser.io import read_bvals, read_bvecs
from dwiser.scan import Gradients
from dwiser.simulation import Simulation, phantom
from tests.real_inputs.situation import Ran, Series, Situation, s7, s20

LONG = "m" * 244  # its .nii.gz has 251 bytes; file systems take 255
INFO = ["info", "dwi.nii.gz", "--threads", "1"]


class FullDisk(BytesIO):
    """A file that takes nothing."""

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def jittered() -> Simulation:
    """One b0 and 18 volumes of which no two have the same b-value: 100 to 3000 s/mm²."""
    shells = tuple((float(b), 1) for b in np.linspace(100, 3000, 18).round())
    return phantom(shape=(24, 24, 10), shells=shells, n_b0=1, snr=20.0, seed=5)


def no_b0() -> Simulation:
    """18 directions at b=1000 and no b0."""
    return phantom(shape=(24, 24, 10), shells=((1000.0, 18),), n_b0=0, snr=20.0, seed=5)


def mouse() -> Simulation:
    """2 b0s and 18 directions, voxels of 0.1 mm."""
    shells = ((1000.0, 18),)
    return phantom(shape=(24, 24, 10), voxel=0.1, shells=shells, n_b0=2, snr=20.0, seed=5)


def coils8() -> Simulation:
    """2 b0s and 18 directions, sum of squares of 8 channels."""
    shells, coils = ((1000.0, 18),), 8
    return phantom((24, 24, 10), shells=shells, n_b0=2, noise="nc-chi", coils=coils, seed=5)


def as_it_is(series: Series) -> None:
    """Nothing is changed."""


def reported_bvals(series: Series) -> None:
    assert series.bvals is not None
    off = np.resize([-5.0, 0.0, 5.0, -10.0, 10.0], len(series.bvals))
    series.bvals = np.where(series.bvals > 0, series.bvals + off, 5.0)


def drifting(series: Series) -> None:
    """The signal falls by 15 % over the series; the truth that it is judged by falls with it."""
    gain = np.linspace(1, 0.85, series.data.shape[3], dtype=np.float32)
    series.data = series.data * gain


def outside_zero(series: Series) -> None:
    series.data[~series.made.mask] = 0


def coarse(series: Series) -> None:
    """Whole numbers in steps of 1.5 σ, as a narrow receiver range gives them."""
    step = 1.5 * float(series.made.sigma.max())
    series.data = (np.round(series.data / step) * step).astype(np.float32)


def huge_units(series: Series) -> None:
    series.data = series.data * np.float32(1e6)


def table_text(series: Series, change: dict[str, str]) -> None:
    """Write the table in other ways: ``change`` replaces text of both files."""
    assert series.bvals is not None
    assert series.bvecs is not None
    rows = [" ".join(f"{x:.7g}" for x in row) for row in (series.bvals, *series.bvecs.T)]
    texts = {"dwi.bval": f"{rows[0]}\n", "dwi.bvec": "\n".join(rows[1:]) + "\n"}
    for name, text in texts.items():
        for old, new in change.items():
            text = text.replace(old, new)
        series.files[name] = text.encode()


def tabs_and_crlf(series: Series) -> None:
    table_text(series, {" ": "\t", "\n": "\t\r\n\r\n"})


def columns(series: Series) -> None:
    assert series.bvals is not None
    assert series.bvecs is not None
    series.files["dwi.bval"] = "\n".join(f"{b:.1e}" for b in series.bvals) + "\n"
    rows = (" ".join(f"{x:.7g}" for x in v) for v in series.bvecs)
    series.files["dwi.bvec"] = "\n".join(rows) + "\n"


def nan_b0s(series: Series) -> None:
    assert series.bvals is not None
    assert series.bvecs is not None
    series.bvecs[series.bvals == 0] = np.nan


def four_rows(series: Series) -> None:
    assert series.bvals is not None
    assert series.bvecs is not None
    rows = np.column_stack([series.bvecs, series.bvals]).T
    series.files["dwi.bvec"] = "\n".join(" ".join(f"{x:.7g}" for x in r) for r in rows) + "\n"


def thrice() -> Simulation:
    """2 b0s and 6 directions, each three times, as averages that a scanner stored apart."""
    made = s20()
    table = made.scan.gradients
    dwis = np.flatnonzero(~table.is_b0)[:6]
    volumes = np.concatenate([np.flatnonzero(table.is_b0), np.tile(dwis, 3)])
    truth = made.truth[..., volumes]
    noise = np.random.default_rng(3).normal(size=(2, *truth.shape)) * made.sigma[..., None]
    data = np.hypot(truth + noise[0], noise[1]).astype(np.float32)
    gradients = Gradients(table.bvals[volumes], table.bvecs[volumes])
    scan = replace(made.scan, data=data, gradients=gradients)
    return replace(made, scan=scan, truth=truth)


def better_than(most: float) -> Callable[[Ran], None]:
    """A check: the error is below ``most`` σ, the verdict PASS, and nothing looks amiss."""

    def check(ran: Ran) -> None:
        ran.ok()
        assert "verdict PASS" in ran.out
        assert "looks" not in ran.err
        assert ran.error() < most

    return check


def same_table(ran: Ran) -> None:
    """The result's table has the numbers of the input's."""
    ran.ok()
    assert ran.exit_code == 0
    np.testing.assert_allclose(
        read_bvals("out.bval"), read_bvals("dwi.bval"), rtol=0, atol=0, equal_nan=True
    )
    np.testing.assert_array_equal(read_bvecs("out.bvec"), read_bvecs("dwi.bvec"))


def drift_is_signal(ran: Ran) -> None:
    ran.ok()
    gain = np.linspace(1, 0.85, ran.image().shape[3], dtype=np.float32)
    assert "verdict PASS" in ran.out
    assert ran.error(ran.image() / gain) < 0.5


def units_are_kept(ran: Ran) -> None:
    ran.ok()
    assert "verdict PASS" in ran.out
    assert ran.error(ran.image() / np.float32(1e6)) < 0.5


def outside_stays_zero(ran: Ran) -> None:
    ran.ok()
    assert not ran.image()[~ran.series.made.mask].any()
    assert ran.error() < 0.5


def closed_streams(ran: Ran) -> None:
    """Without the streams, which Python then has as None, the command writes the same."""
    ran.ok()
    with redirect_stdout(None), redirect_stderr(None):
        assert main(["denoise", "dwi.nii.gz", "closed.nii.gz", "--threads", "1"]) == 0
    np.testing.assert_array_equal(ran.image("closed.nii.gz"), ran.image())


def plain_letters(ran: Ran) -> None:
    """`info` prints as many lines where the terminal knows no letters but ASCII."""
    ran.ok()
    printed = BytesIO()
    stream = TextIOWrapper(printed, encoding="ascii")
    with redirect_stdout(stream):
        assert main(INFO) == 0
    assert len(printed.getvalue().splitlines()) == len(ran.out.splitlines())


def full_disk(ran: Ran) -> None:
    """One sentence, exit code 1, where what is printed goes to a full disk."""
    ran.ok()
    said = StringIO()
    with redirect_stdout(TextIOWrapper(FullDisk())), redirect_stderr(said):
        assert main(INFO) == 1
    *_, sentence = said.getvalue().splitlines()  # after the steps that took long, if any did
    assert sentence == "dwiser: There is no room left to print or write on: make some."


def long_name(ran: Ran) -> None:
    ran.ok()
    assert f"{LONG}.nii.gz" in ran.appeared
    assert not any(name.endswith(".safetensors") for name in ran.appeared)


def refused_with(*named: object) -> Callable[[Ran], None]:
    """A check: refused in one sentence that names these."""
    return lambda ran: ran.refused(*named)


RIGHT = "It ended as it should"

ROWS: tuple[Situation, ...] = (
    Situation(
        "streams-closed",
        ("pypa/pipx #1620",),
        "A workflow engine starts dwiser with stdin, stdout and stderr closed.",
        "Denoised as ever; what would be printed is dropped.",
        "“Something inside dwiser broke ('NoneType' object has no attribute 'isatty')”, exit 1, "
        "no result.",
        as_it_is, closed_streams, base=s7,
    ),
    Situation(
        "ascii-terminal",
        ("nipy/nipype #2942",),
        "A batch job has LC_ALL=C and a terminal that knows ASCII only.",
        "`info` prints all its lines, with escapes for × and σ.",
        "“Something inside dwiser broke (UnicodeEncodeError)”, exit 1, nothing printed.",
        as_it_is, plain_letters, commands=("info dwi.nii.gz",), base=s7,
    ),
    Situation(
        "log-on-a-full-disk",
        ("nipreps/fmriprep #1291",),
        "The log that a job prints to lies on a full disk.",
        "One sentence that says so, exit code 1.",
        "“Something inside dwiser broke (OSError 28)”: the user was told to report it.",
        as_it_is, full_disk, commands=("info dwi.nii.gz",), base=s7,
    ),
    Situation(
        "longest-name",
        ("nipreps/fmriprep #2650", "PennLINC/qsiprep #514"),
        "The result's name has 251 bytes; the file system takes 255.",
        "Written: the checkpoint beside it gets a short name of its own.",
        "After all of the work “Something inside dwiser broke (File name too long)”.",
        as_it_is, long_name, commands=(f"denoise dwi.nii.gz {LONG}.nii.gz",), base=s7,
    ),
    Situation(
        "b-values-as-played",
        ("rordenlab/dcm2niix #561", "daducci/AMICO #10"),
        "Real b-values: 5 for the b0s, 990 to 1010 for one shell.",
        "One shell; σ, error and verdict as with nominal values.",
        f"{RIGHT}: error 0.39 σ (mppca 0.53).",
        reported_bvals, better_than(0.5),
    ),
    Situation(
        "no-two-alike",
        ("PennLINC/qsiprep #550",),
        "A grid in q-space (DSI): no two volumes have the same b-value.",
        "Denoised; each b-value may stand alone.",
        f"{RIGHT}: error 0.43 σ with 30 such volumes (local PCA 0.55).",
        as_it_is, better_than(0.6), base=jittered,
    ),
    Situation(
        "no-b0",
        ("rordenlab/dcm2niix #628", "daducci/AMICO #178"),
        "The converter put the b0s into another file: the series has none.",
        "Denoised; `info` says that there is none.",
        f"{RIGHT}: error 0.45 σ (local PCA 0.55).",
        as_it_is, better_than(0.55), base=no_b0,
    ),
    Situation(
        "averages-apart",
        ("CMRR-C2P/MB #216",),
        "Six directions, each measured three times and stored apart.",
        "Repeats are measurements of their own, no copies; all are denoised.",
        f"{RIGHT}: error 0.42 σ (local PCA 0.54).",
        as_it_is, better_than(0.55), base=thrice,
    ),
    Situation(
        "signal-drift",
        ("nipreps/dmriprep #93",),
        "The signal falls by 15 % over the series, as the scanner warms up.",
        "The drift is signal: each volume keeps its level.",
        f"{RIGHT}: error 0.44 σ.",
        drifting, drift_is_signal,
    ),
    Situation(
        "mouse",
        ("nipreps/sdcflows #118",),
        "A mouse: voxels of 0.1 mm.",
        "The same as for a head: nothing counts in mm that means voxels.",
        f"{RIGHT}: error 0.44 σ.",
        as_it_is, better_than(0.5), base=mouse,
    ),
    Situation(
        "sum-of-squares",
        (),
        "Magnitudes from the sum of squares of 8 channels.",
        "Channels are estimated, and their higher noise floor is removed.",
        f"{RIGHT}: error 0.46 σ where the raw series has 1.36 and local PCA 1.12.",
        as_it_is, better_than(0.55), base=coils8,
    ),
    Situation(
        "skull-stripped",
        (),
        "All voxels outside the head were set to zero before.",
        "Zeros stay zeros, σ is that of the head.",
        f"{RIGHT}: σ 40.2 for 39.0, error 0.43 σ.",
        outside_zero, outside_stays_zero,
    ),
    Situation(
        "coarse-steps",
        (),
        "Few grey levels: whole numbers in steps of 1.5 σ.",
        "Denoised; σ includes the steps' own error.",
        f"{RIGHT}: σ 0.73 for 0.67, error 0.46 σ where the raw series has 1.08.",
        coarse, better_than(0.5),
    ),
    Situation(
        "huge-units",
        ("rordenlab/dcm2niix #575",),
        "Values a million times larger, as another scaling of the converter gives them.",
        "The same result in those units.",
        f"{RIGHT}: σ 3.88e7 for 3.90e7, error 0.43 σ.",
        huge_units, units_are_kept,
    ),
    Situation(
        "tabs-and-windows",
        ("bids-standard/bids-2-devel #9", "bids-standard/legacy-validator #175"),
        "Tables with tabs, one at each line's end, Windows line ends, and empty lines.",
        "Read; the result's table has the same numbers.",
        f"{RIGHT}.",
        tabs_and_crlf, same_table, base=s7,
    ),
    Situation(
        "columns",
        ("dipy/dipy #1831", "daducci/AMICO #182"),
        "b-values in one column and as 1.0e+03, b-vectors in three columns.",
        "Read; the result's table has the same numbers, in FSL's rows.",
        f"{RIGHT}.",
        columns, same_table, base=s7,
    ),
    Situation(
        "nan-vectors-of-b0s",
        ("MRtrix3/mrtrix3 #84", "dipy/dipy #817"),
        "NaN for the b-vectors of b0s.",
        "Read: a b0 needs no direction; the table is written as it came.",
        f"{RIGHT}.",
        nan_b0s, same_table, base=s7,
    ),
    Situation(
        "four-rows",
        (),
        "A table of four rows: the b-values stand under the b-vectors.",
        "Refused, with the size that was found and the one that is needed.",
        f"{RIGHT}.",
        four_rows, refused_with("dwi.bvec", "4×7", "3×N"), base=s7,
    ),
)  # fmt: skip
