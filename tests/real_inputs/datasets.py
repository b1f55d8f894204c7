"""Series of a dataset that are no scans to denoise."""

from typing import Any

import numpy as np

from tests.real_inputs.situation import Ran, Series, Situation, s7, s20

BIDS = "bids . out participant --skip-bids-validation --method gaussian"
PLAIN = "sub-01/dwi/sub-01"


def dataset(series: Series) -> None:
    """Make the series that of sub-01 in a dataset."""
    series.name = f"{PLAIN}_dwi"
    series.files["dataset_description.json"] = {"Name": "x", "BIDSVersion": "1.10.0"}


def beside(series: Series, name: str, data: np.ndarray, bvals: list[int] | None = None) -> None:
    """One more image, with a table of its own if ``bvals`` are given."""
    path = series.folder / f"{name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    series.save(data, path.relative_to(series.folder).as_posix())
    if bvals is not None:
        series.files[f"{name}.bval"] = " ".join(map(str, bvals)) + "\n"
        series.files[f"{name}.bvec"] = (" ".join("0" for _ in bvals) + "\n") * 3


def _reversed_b0s(series: Series) -> None:
    dataset(series)
    beside(series, f"{PLAIN}_dir-PA_dwi", np.repeat(series.data[..., :1], 3, 3), [0, 0, 0])


def _trace(series: Series) -> None:
    dataset(series)
    beside(series, f"{PLAIN}_rec-trace_dwi", series.data[..., 1:].mean(3))


def _single_b0(series: Series) -> None:
    dataset(series)
    beside(series, f"{PLAIN}_dir-PA_dwi", series.data[..., :1], [0])


def _no_table(series: Series) -> None:
    dataset(series)
    beside(series, f"{PLAIN}_dir-PA_dwi", series.data[..., :3])


def _skipped(ran: Ran, name: str, *words: object) -> None:
    ran.ok("skipped", "1, no scans to denoise", name, *words, "1 of 1 scans done", "1 skipped")
    page = (ran.series.folder / "out/cohort.html").read_text()
    assert "1 skipped" in page
    lines = (ran.series.folder / "out/cohort.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines[1:]]
    assert {row[2]: row[3] for row in rows} == {"sub-01": "done", name: "skipped"}
    assert str(words[0]) in rows[-1][10]
    assert not list(ran.series.folder.glob(f"out/sub-01/dwi/{name}_*"))


def b0s_alone(count: int) -> Any:
    """A change into a series of so many b0s and nothing else."""

    def change(series: Series) -> None:
        truth, sigma = series.made.truth[..., :1], series.made.sigma[..., None]
        shape = (*truth.shape[:3], count)
        real, imaginary = sigma * np.random.default_rng(1).standard_normal((2, *shape))
        series.data = np.hypot(truth + real, imaginary).astype(np.float32)
        series.bvals, series.bvecs = np.zeros(count), np.zeros((count, 3))

    return change


def error_of_b0s(ran: Ran, image: np.ndarray) -> float:
    """RMSE in the object, in σ."""
    made = ran.series.made
    off = (image - made.truth[..., :1])[made.mask] / made.sigma[made.mask][:, None]
    return float(np.sqrt(np.mean(off**2)))


def _better_than_the_mean(ran: Ran) -> None:
    ran.ok()
    mean = np.repeat(ran.series.data.mean(3, keepdims=True), ran.series.data.shape[3], 3)
    assert error_of_b0s(ran, ran.image()) < 0.99 * error_of_b0s(ran, mean)
    assert ran.record()["Verdict"]["Level"] == "PASS"
    assert ran.record()["Warnings"] == []


def _mppca_near_the_mean(ran: Ran) -> None:
    ran.ok()
    assert error_of_b0s(ran, ran.image()) < 0.5
    assert ran.record()["Verdict"]["Level"] == "PASS"


def _refusal_names_what_works(ran: Ran) -> None:
    ran.refused("splitq needs at least 5 volumes of a scan of b0s alone", "has 3", "--method ascm")


def _few_directions(series: Series) -> None:
    assert series.bvals is not None
    assert series.bvecs is not None
    series.data, series.bvals = series.data[..., :4], series.bvals[:4]
    series.bvecs = series.bvecs[:4]


def _info_tells_the_refusal(ran: Ran) -> None:
    ran.ok(
        "shells", "b=1000: 3", "would do", "nothing: splitq needs at least 6", "--method subspace"
    )


def _counted(series: Series) -> None:
    _reversed_b0s(series)
    beside(series, "sub-02/dwi/sub-02_rec-trace_dwi", series.data[..., 1])


def _none_failed(ran: Ran) -> None:
    ran.ok("2, no scans to denoise", "1 of 1 scans done, 0 failed, 2 skipped")


def _only_the_plan(ran: Ran) -> None:
    ran.ok("to do        1", "skipped      1", "sub-01_dir-PA: it has 3 b0s alone")
    assert not (ran.series.folder / "out").exists()


REVERSED = ("PennLINC/qsiprep #995", "bids-standard/legacy-validator #1845")

ROWS: tuple[Situation, ...] = (
    Situation(
        "reversed-b0s",
        REVERSED,
        "Three b0s of reversed phase encoding, for distortion, lie in `dwi/` beside the scan.",
        "They are `skipped` with the reason, wherever a status shows; the exit code is 0.",
        "The series failed, and the exit code was 1 on every run.",
        _reversed_b0s,
        lambda ran: _skipped(ran, "sub-01_dir-PA", "it has 3 b0s alone: splitq needs at least 5"),
        (BIDS.replace("gaussian", "splitq"),),
        s7,
    ),
    Situation(
        "skipped-in-the-plan",
        REVERSED[:1],
        "The same, with `--dry-run`.",
        "The plan names the skipped series and why; nothing is written.",
        "The plan counted it as a scan to do.",
        _reversed_b0s,
        _only_the_plan,
        (BIDS.replace("gaussian", "splitq") + " --dry-run",),
        s7,
    ),
    Situation(
        "skipped-is-no-failure",
        REVERSED[:1],
        "The same and a participant with a trace image alone, with `--max-failures 1`.",
        "Neither counts as a failure: the scan is denoised.",
        "The reversed b0s came first, failed, and no scan was begun.",
        _counted,
        _none_failed,
        (BIDS.replace("gaussian", "splitq") + " --max-failures 1",),
        s7,
    ),
    Situation(
        "trace-image",
        ("bids-standard/legacy-validator #1858", "bids-standard/bids-specification #1723"),
        "The scanner's trace image, 3-D and without a table, has the suffix `dwi`.",
        "It is `skipped` with the reason; the exit code is 0.",
        "It failed, a 4-D series was asked for, and the exit code was 1.",
        _trace,
        lambda ran: _skipped(ran, "sub-01_rec-trace", "it has one volume"),
        (BIDS,),
        s7,
    ),
    Situation(
        "single-b0",
        ("bids-standard/legacy-validator #860",),
        "A series is a single b0, 4-D, with a table of one row.",
        "It is `skipped` with the reason; the exit code is 0.",
        "It failed, and the exit code was 1.",
        _single_b0,
        lambda ran: _skipped(ran, "sub-01_dir-PA", "it has one volume"),
        (BIDS,),
        s7,
    ),
    Situation(
        "no-table-of-its-own",
        ("rordenlab/dcm2niix #696",),
        "A series has no gradient table, and another one's in the folder is named like it.",
        "It is `skipped` with the reason; the exit code is 0.",
        "The other series' table was taken for its own, and it failed for the number of volumes.",
        _no_table,
        lambda ran: _skipped(ran, "sub-01_dir-PA", "it has no b-values of its own"),
        (BIDS,),
        s7,
    ),
    Situation(
        "b0s-alone",
        (),
        "A series is eight b0s and nothing else.",
        "`splitq` denoises it: less error than the plain mean of the eight, verdict PASS.",
        "It was refused: splitq needs 6 diffusion-weighted volumes.",
        b0s_alone(8),
        _better_than_the_mean,
        base=s20,
    ),
    Situation(
        "b0s-alone-by-mppca",
        (),
        "The same, by `mppca`.",
        "It is denoised, verdict PASS.",
        "It was refused: mppca needs 1 diffusion-weighted volume.",
        b0s_alone(8),
        _mppca_near_the_mean,
        ("denoise dwi.nii.gz out.nii.gz --method mppca",),
        s20,
    ),
    Situation(
        "few-b0s-alone",
        REVERSED[:1],
        "Three b0s alone are denoised by themselves.",
        "One sentence says how many are needed and names methods that take these three.",
        "“Use a method that works on single volumes” was said by every such method too.",
        b0s_alone(3),
        _refusal_names_what_works,
        base=s7,
    ),
    Situation(
        "info-of-a-scan-that-is-refused",
        ("nipreps/mriqc #1240",),
        "`info` is asked about a clinical scan of one b0 and three directions.",
        "It shows the scan, and says with what sentence `denoise` would refuse it.",
        "It said that splitq would do one pass over the scan.",
        _few_directions,
        _info_tells_the_refusal,
        ("info dwi.nii.gz",),
        s7,
    ),
)
