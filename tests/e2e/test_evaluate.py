"""``dwiser evaluate``: the truth is perfect, a blur is caught, what cannot be had is said."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dwiser.cli import main
from dwiser.errors import Code
from tests.refusals import command_refused

FULL = ("--truth", "truth.nii.gz", "--mask", "mask.nii.gz", "--noise-map", "sigma.nii.gz",
        "--tissues", ".", "--lesions", "lesions.nii.gz")  # fmt: skip
ABSENT = "n/a"


def evaluate(*words: object) -> int:
    return main(["evaluate", *map(str, words)])


def change(path: Path, to: Path, how: Callable[[np.ndarray], np.ndarray], shift: float = 0) -> None:
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 3] += shift
    nib.save(nib.Nifti1Image(how(np.asarray(image.dataobj)), affine), to)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom with lesions, and beside it a blur of its scan and a smoke denoising."""
    home = tmp_path_factory.mktemp("eval")
    words = ("--shape", "26,24,10", "--shells", "1000:16", "--b0", "2", "--lesions", "--seed", "3")
    assert main(["simulate", str(home), *words, "-q"]) == 0
    blur = lambda d: gaussian_filter(d, (1, 1, 1, 0))  # noqa: E731
    change(home / "dwi.nii.gz", home / "blur.nii.gz", blur)
    dwi, out = str(home / "dwi.nii.gz"), str(home / "smoke.nii.gz")
    assert main(["denoise", dwi, out, "--preset", "smoke", "--threads", "1", "-q"]) == 0
    return home


@pytest.fixture
def folder(simulated: Path, tmp_path: Path, monkeypatch) -> Path:
    """The phantom's folder to be in, and a place of the test's own for what it writes."""
    monkeypatch.chdir(simulated)
    return tmp_path


def values_of(path: Path) -> dict[tuple[str, str], float]:
    return {(m["metric"], m["group"]): m["value"] for m in json.loads(path.read_text())["metrics"]}


def test_the_truth_is_perfect(folder: Path, capsys) -> None:
    words = ("--json", folder / "t.json", "--strict")
    assert evaluate("truth.nii.gz", "--raw", "dwi.nii.gz", *FULL, *words) == 0
    values = values_of(folder / "t.json")
    for group in ("b0", "b1000", "b1000 wm", "b1000 lesion"):
        assert values["error.bias", group] == values["error.systematic", group] == 0
    assert values["fidelity.ssim", "b0"] == values["crossing.found", "all"] == 1
    assert values["fa.rmse", "all"] == values["v1.angle.p95", "all"] == 0
    assert values["edge.fwhm", "b1000"] == 0
    contrasts = [value for (metric, _), value in values.items() if metric == "lesion.kept"]
    assert len(contrasts) >= 4
    np.testing.assert_allclose(contrasts, 1)
    out = capsys.readouterr().out
    assert "verdict: PASS" in out
    assert "mask given, sigma given" in out
    assert "PSNR is infinite" in out


def test_a_blur_fails_and_strict_makes_that_an_exit_code(folder: Path, capsys) -> None:
    assert evaluate("blur.nii.gz", "--raw", "dwi.nii.gz", *FULL, "--json", folder / "b.json") == 0
    out = capsys.readouterr().out
    assert "verdict: FAIL" in out
    assert "FAIL: " in out
    values = values_of(folder / "b.json")
    assert values["edge.fwhm", "b1000"] == pytest.approx(2.355 * 2.5, rel=0.15)
    assert values["lesion.kept", "lesion 1"] < 0.8
    assert json.loads((folder / "b.json").read_text())["verdict"]["level"] == "FAIL"
    words = ("--strict", "-q", "--json", folder / "again.json")
    assert evaluate("blur.nii.gz", "--raw", "dwi.nii.gz", *words) == 1
    quiet = capsys.readouterr()
    assert quiet.out == ""
    assert len(quiet.err.splitlines()) == 1
    assert "the verdict is FAIL" in quiet.err
    assert (folder / "again.json").exists()  # it ran: what it found is kept


def test_the_input_unchanged_is_told_so(folder: Path, capsys) -> None:
    assert evaluate("dwi.nii.gz", "--raw", "dwi.nii.gz", "--strict") == 0
    assert "unchanged: the denoised scan equals the raw one" in capsys.readouterr().out


def test_without_truth_its_metrics_are_absent_with_reasons(folder: Path, capsys) -> None:
    words = ("--json", folder / "s.json", "--tsv", folder / "s.tsv")
    assert evaluate("smoke.nii.gz", "--raw", "dwi.nii.gz", *words) == 0
    shown = capsys.readouterr().out
    assert "fidelity; tensor; crossing; csd; edge; lesion: no truth was given" in shown
    assert "mask estimated, sigma estimated" in shown
    record = json.loads((folder / "s.json").read_text())
    assert record["inputs"] == {"mask": "estimated", "sigma": "estimated"}
    assert record["Sources"] == {"denoised": ["smoke.nii.gz"], "raw": ["dwi.nii.gz"]}
    with (folder / "s.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    numbers = {(r["metric"], r["group"]): float(r["value"]) for r in rows if r["reason"] == ABSENT}
    assert numbers == values_of(folder / "s.json")
    absent = [r for r in rows if r["value"] == ABSENT]
    assert len(absent) == len(record["absent"]) > 3
    assert all(len(r["reason"]) > 10 for r in absent)
    assert not any(name.startswith(("fidelity", "fa.", "edge")) for name, _ in numbers)


def test_simulate_denoise_evaluate_agrees_with_numpy(folder: Path, simulated: Path) -> None:
    words = ("--truth", "truth.nii.gz", "--mask", "mask.nii.gz", "-q")
    data = {}
    for name in ("smoke", "dwi"):
        assert (
            evaluate(f"{name}.nii.gz", "--raw", "dwi.nii.gz", *words, "--json", folder / name) == 0
        )
        data[name] = values_of(folder / name)["fidelity.nrmse", "b1000"]
    dwis = np.loadtxt(simulated / "dwi.bval") > 50
    load = lambda n: np.asarray(nib.load(simulated / f"{n}.nii.gz").dataobj)  # noqa: E731
    inside = load("mask") > 0
    truth, smoke = (load(name)[inside][:, dwis] for name in ("truth", "smoke"))
    by_hand = np.sqrt(np.mean((smoke - truth) ** 2) / np.mean(truth**2))
    assert data["smoke"] == pytest.approx(by_hand, rel=1e-5)
    assert data["smoke"] < 0.95 * data["dwi"]


def test_a_lesions_sidecar_says_in_which_volumes_it_shows(folder: Path, simulated: Path) -> None:
    listed = json.loads((simulated / "lesions.json").read_text())["Lesions"]
    lone = next(x for x in listed if x["kind"] == "direction")
    only = lambda d: np.where(d == lone["label"], d, 0)  # noqa: E731
    change(simulated / "lesions.nii.gz", folder / "one.nii.gz", only)

    def erase(series: np.ndarray) -> np.ndarray:
        series = series.copy()
        inside = np.asarray(nib.load(simulated / "lesions.nii.gz").dataobj) == lone["label"]
        for v in lone["volumes"]:
            series[inside, v] /= 1.4
        return series

    change(simulated / "truth.nii.gz", folder / "erased.nii.gz", erase)
    (folder / "one.json").write_text(json.dumps({"Lesions": listed}))
    words = ("--truth", "truth.nii.gz", "--mask", "mask.nii.gz", "-q", "--json", folder / "e.json")
    lesions = ("--lesions", folder / "one.nii.gz")
    assert evaluate(folder / "erased.nii.gz", "--raw", "dwi.nii.gz", *words, *lesions) == 0
    assert values_of(folder / "e.json")["lesion.kept", f"lesion {lone['label']}"] < 0.4


def test_a_bundle_is_tracked_in_both_scans_and_its_coherency_told(
    folder: Path, simulated, capsys
) -> None:
    fa = np.asarray(nib.load(simulated / "fa.nii.gz").dataobj)
    start = np.zeros_like(fa)
    start[tuple(np.argwhere(fa > np.quantile(fa, 0.995)).T)] = 1
    change(simulated / "fa.nii.gz", folder / "start.nii.gz", lambda d: start)
    words = (
        "--mask",
        "mask.nii.gz",
        "--bundle",
        folder / "start.nii.gz",
        "--json",
        folder / "b.json",
    )
    assert evaluate("blur.nii.gz", "--raw", "dwi.nii.gz", *words) == 0
    values = values_of(folder / "b.json")
    for scan in ("raw", "denoised"):
        assert values["bundle.streamlines", scan] >= 2
        assert 0 <= values["bundle.share", scan] <= 1
    assert "fibre-to-bundle coherency" in capsys.readouterr().out


def with_nan(d: np.ndarray) -> np.ndarray:
    return np.where(np.arange(d.size).reshape(d.shape) == d.size // 2, np.nan, d)


ODD = {
    "denoised grid": (
        ("dwi.nii.gz", lambda d: d[1:], 0),
        "ODD --raw dwi.nii.gz",
        Code.GRID_SHAPE,
        "shape",
    ),
    "denoised place": (
        ("dwi.nii.gz", np.copy, 1.5),
        "ODD --raw dwi.nii.gz",
        Code.GRID_AFFINE,
        "affine",
    ),
    "denoised volumes": (
        ("dwi.nii.gz", lambda d: d[..., 1:], 0),
        "ODD --raw dwi.nii.gz",
        Code.GRID_SHAPE,
        "shape",
    ),
    "denoised is a map": (
        ("mask.nii.gz", np.copy, 0),
        "ODD --raw dwi.nii.gz",
        Code.IMAGE_DIMENSIONS,
        "4-D",
    ),
    "truth": (("truth.nii.gz", with_nan, 0), "--truth ODD", Code.IMAGE_NOT_FINITE, "NaN"),
    "sigma": (("sigma.nii.gz", np.negative, 0), "--sigma ODD", Code.NOISE_VALUES, "negative"),
    "sigma grid": (
        ("sigma.nii.gz", lambda d: d[..., 1:], 0),
        "--sigma ODD",
        Code.GRID_SHAPE,
        "shape",
    ),
    "mask": (("mask.nii.gz", np.zeros_like, 0), "--mask ODD", Code.MASK_EMPTY, "empty"),
    "tissue": (
        ("f_wm.nii.gz", lambda d: 3 * d, 0),
        "--tissues ODD",
        Code.TRUTH_VALUES,
        "from 0 to 1",
    ),
    "bundle": (("mask.nii.gz", np.zeros_like, 0), "--bundle ODD", Code.MASK_EMPTY, "empty"),
    "bundle grid": (
        ("mask.nii.gz", lambda d: d[1:], 0),
        "--bundle ODD",
        Code.GRID_SHAPE,
        "start mask has shape",
    ),
    "through alone": (None, "--through mask.nii.gz", Code.ARGUMENT_MISSING, "--bundle"),
    "lesions": (("f_wm.nii.gz", lambda d: d / 2, 0), "--lesions ODD", Code.TRUTH_VALUES, "labels"),
    "no denoised": (None, "none.nii.gz --raw dwi.nii.gz", Code.FILE_MISSING, "none.nii.gz"),
    "no raw": (None, "dwi.nii.gz", None, "raw"),
    "no gradients": (None, "dwi.nii.gz --raw truth.nii.gz", Code.GRADIENTS_MISSING, "--bval"),
    "gradients": (None, "--bval dwi.json", Code.GRADIENTS_FORMAT, "dwi.json"),
    "no tissue": (None, "--tissues OUT", Code.FILE_MISSING, "f_<tissue>"),
    "seed": (None, "--seed -1", Code.ARGUMENT_VALUE, "--seed"),
    "json over raw": (None, "--json dwi.nii.gz --force", Code.OUTPUT_IS_INPUT, "also an input"),
    "json over labels": (
        None,
        "--lesions lesions.nii.gz --json lesions.json --force",
        Code.OUTPUT_IS_INPUT,
        "input",
    ),
    "no folder": (None, "--tsv nowhere/a.tsv", Code.OUTPUT_FOLDER, "nowhere"),
    "one name": (None, "--tsv OUT/a --json OUT/a", Code.OUTPUT_SAME_NAME, "two outputs"),
    "exists": (None, "--json OUT/mine.json", Code.OUTPUT_EXISTS, "--force"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_wrong_is_one_sentence_about_the_file(
    case, folder: Path, simulated, capsys
) -> None:
    odd, line, code, said = ODD[case]
    (folder / "mine.json").write_text("mine")
    if odd is not None:
        change(simulated / odd[0], folder / "odd.nii.gz", *odd[1:])
    if line.startswith("--"):
        line = "smoke.nii.gz --raw dwi.nii.gz " + line
    before = {path.name for path in (*simulated.iterdir(), *folder.iterdir())}
    words = line.replace("ODD", str(folder / "odd.nii.gz")).replace("OUT", str(folder)).split()
    sentence = command_refused(capsys, code, "evaluate", *words)
    assert said in sentence
    if odd is not None:
        assert "odd.nii.gz" in sentence
    assert {path.name for path in (*simulated.iterdir(), *folder.iterdir())} == before
    assert (folder / "mine.json").read_text() == "mine"


def test_force_replaces_and_without_a_sigma_there_is_no_verdict(
    folder: Path, simulated, capsys
) -> None:
    (folder / "a.json").write_text("mine")
    change(simulated / "sigma.nii.gz", folder / "zero.nii.gz", np.zeros_like)
    words = ("--raw", "dwi.nii.gz", "--sigma", folder / "zero.nii.gz", "--json", folder / "a.json")
    assert evaluate("smoke.nii.gz", *words, "--force") == 0
    assert json.loads((folder / "a.json").read_text())["verdict"] is None
    assert "verdict: none, because the noise's σ is zero" in capsys.readouterr().out
    strict = ("evaluate", "smoke.nii.gz", *map(str, words), "--force", "--strict", "-q")
    sentence = command_refused(capsys, Code.VERDICT_MISSING, *strict, exit_code=1)
    assert "smoke.nii.gz: verdict: none" in sentence
