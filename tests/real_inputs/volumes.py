"""Volumes that are no measurement of their own."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from dwiser.cli import main
from dwiser.io import save_volume, write_bvals, write_bvecs
from dwiser.scan import Gradients
from tests.real_inputs.situation import QUIET, Ran, Series, Situation, s7, s36, small20

STOPPED = ("rordenlab/dcm2niix #357", "rordenlab/dcm2niix #742", "rordenlab/dcm2niix #515")
TRACE = ("MRtrix3/mrtrix3 #2172", "nipy/nibabel #291")


def _without(series: Series, aside: tuple[int, ...], folder: str = "without") -> Path:
    """The same series in a folder of its own, without some volumes."""
    place = series.folder / folder
    place.mkdir()
    keep = [v for v in range(series.data.shape[3]) if v not in aside]
    assert series.bvals is not None
    assert series.bvecs is not None
    save_volume(series.data[..., keep], place / "dwi.nii.gz", like=series.made.scan)
    table = Gradients(series.bvals[keep], series.bvecs[keep])
    write_bvals(table, place / "dwi.bval")
    write_bvecs(table, place / "dwi.bvec")
    return place


def _denoised(place: Path, *words: str) -> np.ndarray:
    command = ["denoise", f"{place}/dwi.nii.gz", f"{place}/out.nii.gz", *words]
    assert main([*command, *QUIET["denoise"]]) == 0
    return np.asarray(nib.load(place / "out.nii.gz").dataobj, np.float32)


def _as_if_absent(kind: str, *aside: int, words: tuple[str, ...] = ()) -> Callable[[Ran], None]:
    """The volumes are named and unchanged; the others as if those were absent, to the bit."""

    def check(ran: Ran) -> None:
        ran.ok(f"Volume{'s' * (len(aside) > 1)} {aside[0]}", kind)
        out, raw = ran.image(), ran.series.data
        volumes = [v for v in range(out.shape[3]) if v not in aside]
        assert np.array_equal(out[..., list(aside)], raw[..., list(aside)])
        alone = _denoised(_without(ran.series, aside), *words)
        assert np.array_equal(out[..., volumes], alone)

    return check


def _last_zero(count: int) -> Callable[[Series], None]:
    def change(series: Series) -> None:
        series.data[..., -count:] = 0

    return change


def _dwis(series: Series) -> np.ndarray:
    assert series.bvals is not None
    return series.data[..., series.bvals > 50]


def _averaged_b0s(series: Series) -> None:
    """Each b0 is the mean of eight, as a scanner with averaging by b-value stores them."""
    rng, sigma = np.random.default_rng(1), float(np.median(series.made.sigma))
    assert series.bvals is not None
    for v in np.flatnonzero(series.bvals <= 50):
        truth = series.made.truth[..., v, None]
        parts = rng.standard_normal((2, *truth.shape[:3], 8)) * sigma
        series.data[..., v] = np.hypot(truth + parts[0], parts[1]).mean(-1)


def _second_half_twice_as_bright(series: Series) -> None:
    series.data[..., 10:] *= 2


def _averages_are_told(ran: Ran) -> None:
    ran.ok("Volumes 0, 10", "times the noise of the others")
    assert abs(ran.record()["SigmaMedian"] / float(np.median(ran.series.made.sigma)) - 1) < 0.05
    assert ran.error(volumes=ran.series.bvals > 50) < 0.5
    assert ran.record()["Verdict"]["Level"] == "PASS"


def _gain_is_told(ran: Ran) -> None:
    ran.ok("Volumes 10-19", "times the noise of the others", "another gain")
    image = ran.image()
    image[..., 10:] /= 2
    assert ran.error(image) < 0.5
    assert ran.record()["Verdict"]["Level"] == "PASS"


def _trace(series: Series) -> None:
    geometric = np.exp(np.log(_dwis(series).clip(1e-3)).mean(-1))
    series.append(np.round(geometric), 1000.0)


def _mean(series: Series) -> None:
    series.append(_dwis(series).mean(-1), 1000.0, (1.0, 0, 0))


def _mean_of_b0s(series: Series) -> None:
    assert series.bvals is not None
    mean = series.data[..., series.bvals <= 50].mean(-1)
    series.data = np.concatenate([mean[..., None], series.data], 3)
    series.bvals = np.insert(series.bvals, 0, 0.0)
    series.bvecs = np.concatenate([np.zeros((1, 3)), series.bvecs])


def _constant(series: Series) -> None:
    series.data[..., 5] = 100


def _copy(series: Series) -> None:
    assert series.bvals is not None
    assert series.bvecs is not None
    series.append(series.data[..., 7].copy(), series.bvals[7], series.bvecs[7])


def _twice(series: Series) -> None:
    assert series.bvals is not None
    assert series.bvecs is not None
    series.data = np.concatenate([series.data] * 2, 3)
    series.bvals = np.concatenate([series.bvals] * 2)
    series.bvecs = np.concatenate([series.bvecs] * 2)


def _copies_receive(count: int) -> Callable[[Ran], None]:
    def check(ran: Ran) -> None:
        out = ran.image()
        copies = tuple(range(count, out.shape[3]))
        ran.ok(f"{copies[0]}", "cop", "receive")
        alone = _denoised(_without(ran.series, copies))
        assert np.array_equal(out[..., :count], alone)
        firsts = slice(0, count) if len(copies) == count else slice(7, 8)
        assert np.array_equal(out[..., count:], out[..., firsts])

    return check


def _slices_missing(series: Series) -> None:
    series.data[:, :, 7:, -1] = 0


def _denoised_where_there_are_data(ran: Ran) -> None:
    ran.ok("Volume 35", "no data", "zeros stay")
    out, raw = ran.image(), ran.series.data
    assert not out[:, :, 7:, -1].any()
    made = ran.series.made
    inside = made.mask.copy()
    inside[:, :, 7:] = False
    off = (out[..., -1] - made.truth[..., -1])[inside] / made.sigma[inside]
    noise = (raw[..., -1] - made.truth[..., -1])[inside] / made.sigma[inside]
    assert np.sqrt(np.mean(off**2)) < 0.55 * np.sqrt(np.mean(noise**2))
    assert ran.error(volumes=slice(0, -1)) < 0.40
    assert abs(ran.record()["SigmaMedian"] / float(np.median(made.sigma)) - 1) < 0.05


def _info_names_it(ran: Ran) -> None:
    ran.ok("shape       24 × 24 × 10 × 21", "Volume 20", "geometric mean of 18 others")
    ran.ok("b=1000: 18", "sigma")
    lines = {line.split()[0]: line for line in ran.out.splitlines()}
    sigma = float(lines["sigma"].split()[1])
    assert abs(sigma / float(np.median(ran.series.made.sigma)) - 1) < 0.05


def _zero_where_nothing_was_removed(ran: Ran) -> None:
    ran.ok()
    for name in ("residual.nii.gz", "standardised.nii.gz"):
        assert not ran.image(name)[..., -1].any()
        assert ran.image(name)[..., :-1].any()


def _noise_map_is_right(ran: Ran) -> None:
    ran.ok("sigma")
    made = ran.series.made
    ratio = ran.image()[made.mask] / made.sigma[made.mask]
    assert abs(float(np.median(ratio)) - 1) < 0.05


def _one_measurement(series: Series) -> None:
    series.data[..., 1:] = 0


def _evaluated(ran: Ran) -> None:
    ran.ok("volumes: Volume 19 (counted from 0) is empty", "verdict: PASS")


def _verdict_without_it(ran: Ran) -> None:
    ran.ok()
    record = ran.record()
    assert record["Verdict"]["Level"] == "PASS"
    assert record["VolumesWithoutMeasurement"] == {"20": "the geometric mean of 18 others"}
    assert record["volumes_passed_through"] == record["VolumesWithoutMeasurement"]
    assert record["Shells"] == [{"bval": 0, "volumes": 2}, {"bval": 1000, "volumes": 18}]


NOTHING_DONE = "σ 0, “No noise was found”, exit 0, nothing denoised (RMSE 0.99 σ)."
ROWS = (
    Situation(
        name="an-empty-volume-at-the-end",
        reported=STOPPED,
        happens="The scan was stopped early: its last volume is zeros.",
        expected="The volume is named and stays as it is; the others are denoised as if it were "
        "absent, to the bit.",
        before=NOTHING_DONE,
        change=_last_zero(1),
        check=_as_if_absent("is empty", 19),
    ),
    Situation(
        name="six-empty-volumes-of-36",
        reported=STOPPED,
        happens="The last six of 36 volumes are zeros.",
        expected="The same, with the same σ as without them.",
        before="“Looks denoised already”, σ 0, nothing denoised.",
        change=_last_zero(6),
        check=_as_if_absent("are empty", *range(30, 36)),
        base=s36,
    ),
    Situation(
        name="an-empty-volume-and-mppca",
        reported=STOPPED,
        happens="The last volume is zeros, and the method is mppca.",
        expected="The same for every method.",
        before="σ 0.00002, hardly anything removed (RMSE 0.98 σ), and a FAIL for a shifted mean.",
        change=_last_zero(1),
        check=_as_if_absent("is empty", 19, words=("--method", "mppca")),
        commands=("denoise dwi.nii.gz out.nii.gz --method mppca",),
        base=small20,
    ),
    Situation(
        name="the-scanners-trace-volume",
        reported=TRACE,
        happens="The scanner put its trace image, the geometric mean of all directions, at the "
        "end, with a b-value and a null vector.",
        expected="It is named, takes no part, and comes back unchanged; the others are denoised "
        "as if it were absent, to the bit.",
        before="The table was refused; with a unit vector: σ 6 for 40, RMSE 0.96 σ, a WARN of "
        "blurred edges.",
        change=_trace,
        check=_as_if_absent("geometric mean of 18", 20),
        base=small20,
    ),
    Situation(
        name="the-verdict-of-a-scan-with-a-trace",
        reported=TRACE,
        happens="The same, and the sidecar is read.",
        expected="The verdict, the shells and σ are those of the 20 measurements.",
        before="The table was refused; with a unit vector: σ 7.7 for 39.0, WARN of blurred edges.",
        change=_trace,
        check=_verdict_without_it,
    ),
    Situation(
        name="info-of-a-scan-with-a-trace",
        reported=TRACE,
        happens="The same, and `dwiser info` is asked.",
        expected="info names the volume; σ, SNR and shells are of the others.",
        before="The table was refused; with a unit vector: sigma 7.7 for 39.0, SNR 95 for 20.",
        change=_trace,
        check=_info_names_it,
        commands=("info dwi.nii.gz",),
    ),
    Situation(
        name="a-mean-volume",
        reported=TRACE,
        happens="Somebody appended the mean of all DWIs.",
        expected="It is named, takes no part, and comes back unchanged.",
        before=NOTHING_DONE,
        change=_mean,
        check=_as_if_absent("arithmetic mean of 18", 20),
        base=small20,
    ),
    Situation(
        name="the-mean-of-the-b0s-first",
        reported=TRACE,
        happens="The mean of the b0s was put before the series.",
        expected="It is named by its place; all other volumes are counted as in the file.",
        before=NOTHING_DONE,
        change=_mean_of_b0s,
        check=_as_if_absent("arithmetic mean of 2", 0),
        base=small20,
    ),
    Situation(
        name="a-constant-volume",
        reported=STOPPED,
        happens="One volume in the middle holds 100 everywhere.",
        expected="It is named, takes no part, and comes back unchanged.",
        before="It was denoised as a DWI, and spoiled the others: RMSE 0.75 σ for 0.44, WARN.",
        change=_constant,
        check=_as_if_absent("is constant", 5),
        base=small20,
    ),
    Situation(
        name="one-copied-volume",
        reported=(),
        happens="One of 36 volumes was stored a second time at the end.",
        expected="The first takes part, the copy receives its result; the others are denoised "
        "as if the copy were absent, to the bit.",
        before="σ 0, “No noise was found”, exit 0, nothing denoised.",
        change=_copy,
        check=_copies_receive(36),
        base=s36,
    ),
    Situation(
        name="a-series-stored-twice",
        reported=(),
        happens="The whole series is in the file twice.",
        expected="It is denoised as one; both halves hold the same result.",
        before="The series came back unchanged, exit 0.",
        change=_twice,
        check=_copies_receive(20),
        base=small20,
    ),
    Situation(
        name="slices-missing-in-the-last-volume",
        reported=STOPPED,
        happens="The scan was stopped within its last volume: three of ten slices are zeros.",
        expected="The volume is denoised where it has data, its zeros stay zeros, and σ is right.",
        before="σ 37.8 for 39.0; the zeros came back as 8 where 320 is usual, with a WARN that "
        "names a voxel.",
        change=_slices_missing,
        check=_denoised_where_there_are_data,
        base=s36,
    ),
    Situation(
        name="the-noise-map-of-a-scan-with-a-mean",
        reported=TRACE,
        happens="Only the σ map is wanted, of a scan with a mean volume.",
        expected="The map is that of the measurements.",
        before="A map of 0.0004 for 39.",
        change=_mean,
        check=_noise_map_is_right,
        commands=("denoise dwi.nii.gz out.nii.gz --noise-only",),
    ),
    Situation(
        name="residuals-of-a-scan-with-a-trace",
        reported=TRACE,
        happens="The residual of a scan with a trace volume is saved, standardised too.",
        expected="Both are 0 in the trace volume, from which nothing was removed.",
        before="The trace volume was denoised too, with a σ of 6 for 40.",
        change=_trace,
        check=_zero_where_nothing_was_removed,
        commands=(
            "denoise dwi.nii.gz out.nii.gz --save-residual residual.nii.gz "
            "--save-standardised standardised.nii.gz",
        ),
        base=small20,
    ),
    Situation(
        name="evaluating-a-scan-with-an-empty-volume",
        reported=STOPPED,
        happens="A result is evaluated against a raw scan with an empty volume.",
        expected="The volume is left out of every number, and said to be.",
        before="σ 0, nothing removed, WARN.",
        change=_last_zero(1),
        check=_evaluated,
        commands=("denoise dwi.nii.gz out.nii.gz", "evaluate out.nii.gz --raw dwi.nii.gz"),
    ),
    Situation(
        name="averaged-b0s-beside-single-dwis",
        reported=(),
        happens="Each b0 is the mean of eight acquisitions, each DWI is one.",
        expected="The b0s are named, with how much less noise they have; σ is that of the DWIs, "
        "and all are denoised.",
        before="σ 12.9 for 39.0 (36 volumes), RMSE 0.89 σ for 0.35, and PASS.",
        change=_averaged_b0s,
        check=_averages_are_told,
    ),
    Situation(
        name="half-a-series-at-another-gain",
        reported=(),
        happens="The second half of the series has twice the gain: signal and noise are double.",
        expected="The louder volumes are named, and denoised as if all had one gain.",
        before="RMSE 0.62 σ for 0.41 (18 volumes), and PASS.",
        change=_second_half_twice_as_bright,
        check=_gain_is_told,
    ),
    Situation(
        name="nothing-but-one-volume",
        reported=STOPPED,
        happens="All volumes but the first are zeros.",
        expected="One sentence: the file, and that one volume is no series.",
        before="“No noise was found”, exit 0.",
        change=_one_measurement,
        check=lambda ran: ran.refused(
            "Of the 7 volumes one is a measurement", "empty", "give a series"
        ),
        base=s7,
    ),
)
