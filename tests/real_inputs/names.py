"""Names."""

from tests.real_inputs.datasets import BIDS, PLAIN, dataset
from tests.real_inputs.situation import Ran, Series, Situation, s7

APPLE = b"\0\5\x16\7\0\2\0\0Mac OS X        "  # how an AppleDouble file begins


def _hidden(series: Series) -> None:
    dataset(series)
    for ending in (".nii.gz", ".bval", ".bvec", ".json"):
        series.files[f"sub-01/dwi/._sub-01_dwi{ending}"] = APPLE
    series.files["._dwi.json"] = APPLE


def _twice(series: Series) -> None:
    dataset(series)
    (series.folder / "sub-01/dwi").mkdir(parents=True)
    series.save(series.data, f"{PLAIN}_dwi.nii")
    for sub in ("sub-02",):
        (series.folder / sub / "dwi").mkdir(parents=True)
        series.save(series.data, f"{sub}/dwi/{sub}_dwi.nii.gz")
    bvals, bvecs = series.bvals, series.bvecs
    assert bvals is not None
    assert bvecs is not None
    series.files["dwi.bval"] = " ".join(f"{b:g}" for b in bvals)
    series.files["dwi.bvec"] = "\n".join(" ".join(f"{x:.9f}" for x in row) for row in bvecs.T)


def _preprocessed(series: Series) -> None:
    dataset(series)
    (series.folder / "sub-01/dwi").mkdir(parents=True)
    series.save(2 * series.data, f"{PLAIN}_desc-preproc_dwi.nii.gz")


def _earlier_names(series: Series) -> None:
    """What 0.2.0 wrote beside the series."""
    dataset(series)
    home = "out/sub-01/dwi/sub-01_desc-brain_mask"
    words = "Voxels that were denoised; outside them the series is the input's"
    series.files[f"{home}.json"] = {"Description": words, "Type": "Brain"}
    series.files[f"{home}.nii.gz"] = b"a mask"
    series.files["out/dataset_description.json"] = {"GeneratedBy": [{"Name": "dwiser"}]}


def _one_scan(ran: Ran) -> None:
    ran.ok("1 of 1 participants", "1 of 1 scans done, 0 failed")


def _twice_is_refused(ran: Ran) -> None:
    assert ran.exit_code == 1
    assert "1 of 2 scans done, 1 failed" in ran.out
    assert "sub-01_dwi.nii: the same series is there as sub-01_dwi.nii.gz: remove one" in ran.err
    assert not list(ran.series.folder.glob("out/sub-01/dwi/*"))
    assert list(ran.series.folder.glob("out/sub-02/dwi/*_desc-denoised_dwi.nii.gz"))


def _one_desc(ran: Ran) -> None:
    ran.ok("2 of 2 scans done")
    names = {path.name for path in ran.series.folder.glob("out/sub-01/dwi/*.nii.gz")}
    assert all(name.count("desc-") == 1 for name in names)
    plain = {"desc-denoised_dwi", "desc-sigma_dwimap", "desc-denoised_mask"}
    other = {"desc-preprocDenoised_dwi", "desc-preprocSigma_dwimap", "desc-preprocDenoised_mask"}
    assert names == {f"sub-01_{name}.nii.gz" for name in plain | other}
    assert (ran.image("out/sub-01/dwi/sub-01_desc-preprocDenoised_dwi.nii.gz").max()) > 1.5 * (
        ran.image("out/sub-01/dwi/sub-01_desc-denoised_dwi.nii.gz").max()
    )


def _no_brain_mask(ran: Ran) -> None:
    ran.ok("1 of 1 scans done")
    home = ran.series.folder / "out/sub-01/dwi"
    assert not list(home.glob("*brain*"))
    record = ran.record("out/sub-01/dwi/sub-01_desc-denoised_mask.json")
    assert record["Type"] == "ROI"
    assert "Voxels that were denoised" in record["Description"]


ROWS: tuple[Situation, ...] = (
    Situation(
        "hidden-files-of-macos",
        ("bids-standard/pybids #1069", "bids-standard/pybids #244"),
        "macOS left `._` files beside image, tables and sidecars.",
        "They are no scans, tables or sidecars: nobody hears of them.",
        "`._sub-01` was a second scan that failed, and the exit code was 1.",
        _hidden,
        _one_scan,
        (BIDS,),
        s7,
    ),
    Situation(
        "nii-and-nii-gz",
        ("bids-standard/legacy-validator #376",),
        "One series is there as `.nii` and as `.nii.gz`; which is right nobody knows.",
        "It is refused before any work in a sentence that names both; the other scans go on.",
        "Both were denoised into one file, one over the other, and again on every further run.",
        _twice,
        _twice_is_refused,
        (BIDS,),
        s7,
    ),
    Situation(
        "desc-in-the-name",
        (),
        "A series and its `desc-preproc` lie in one folder.",
        "Each gets its own outputs with one `desc`: `desc-denoised`, `desc-preprocDenoised`.",
        "The outputs' names had two: `desc-preproc_desc-denoised`, which is no BIDS name.",
        _preprocessed,
        _one_desc,
        (BIDS,),
        s7,
    ),
    Situation(
        "mask-that-is-no-brain-mask",
        ("PennLINC/qsiprep #22",),
        "A program takes the mask that `bids` wrote for one of the brain.",
        "It is named `desc-denoised_mask`, with the type ROI; that of 0.2.0 is removed.",
        "An Otsu mask, two voxels wider, was written as `desc-brain_mask` with the type Brain.",
        _earlier_names,
        _no_brain_mask,
        (BIDS,),
        s7,
    ),
)
