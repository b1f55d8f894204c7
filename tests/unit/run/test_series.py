"""Scans of one session: as one where they are one measurement, apart where they are not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.io import load, save
from dwiser.prepare.scan_compatibility import decide, joined, summarize
from dwiser.run import Request, denoise, input_scan
from dwiser.run.series import denoise_series, in_folder, output_folder
from dwiser.scan import Gradients, Scan
from dwiser.simulation import Simulation
from tests.refusals import refused


def part(scan: Scan, volumes: np.ndarray) -> Scan:
    table = Gradients(scan.gradients.bvals[volumes], scan.gradients.bvecs[volumes])
    return replace(scan, data=scan.data[..., volumes].copy(), gradients=table)


@pytest.fixture(scope="module")
def halves(small: Simulation) -> tuple[Scan, Scan]:
    """Two half-scans of one head, a b0 and half of the directions in each."""
    b0s, dwis = np.flatnonzero(small.scan.gradients.is_b0), np.arange(small.scan.shape[3])
    dwis = np.setdiff1d(dwis, b0s)
    return tuple(part(small.scan, np.r_[b0s[i], dwis[i::2]]) for i in (0, 1))


def decision(first: Scan, second: Scan, forced: bool | None = None) -> tuple[bool, str]:
    return decide([summarize(first, "A"), summarize(second, "B")], forced)


def moved(affine: np.ndarray) -> np.ndarray:
    affine = affine.copy()
    affine[0, 3] += 2
    return affine


CHANGES = {
    "shape": (lambda s: replace(s, data=s.data[:-1]), "B has shape"),
    "affine": (lambda s: replace(s, affine=moved(s.affine)), "affine of B is up to 2 off"),
    "brightness": (lambda s: replace(s, data=s.data * 1.3), "1.3 times as bright"),
    "place": (lambda s: replace(s, data=np.roll(s.data, 2, 0)), "does not show the object where"),
    "noise": (
        lambda s: replace(
            s, data=np.abs(s.data + np.random.default_rng(0).normal(0, 60, s.shape)).astype("f4")
        ),
        "noise of B",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_apart_where_they_differ_with_the_reason(halves, change) -> None:
    alter, reason = CHANGES[change]
    as_one, why = decision(halves[0], alter(halves[1]))
    assert not as_one
    assert reason in why


def test_apart_where_nothing_tells_their_scale(halves) -> None:
    dwis = part(halves[1], np.arange(1, 7))
    other = replace(dwis, gradients=Gradients(np.full(6, 3000.0), dwis.gradients.bvecs))
    assert decision(dwis, other) == (
        False, "A and B have no b-value in common to compare them by"
    )  # fmt: skip


def test_together_where_they_are_alike(halves) -> None:
    assert decision(*halves) == (True, "same grid, brightness, place and noise")
    assert decision(*halves, forced=False) == (False, "as asked for")
    brighter = replace(halves[1], data=halves[1].data * 2)
    assert decision(halves[0], brighter, forced=True) == (True, "as asked for")
    with refused(Code.SCANS_DIFFER, "cannot be denoised together: B has shape"):
        decision(halves[0], replace(halves[1], data=halves[1].data[:-1]), forced=True)


def written(folder: Path, scans: tuple[Scan, ...]) -> list[Path]:
    paths = [folder / f"{'AB'[i]}.nii.gz" for i in range(len(scans))]
    for path, scan in zip(paths, scans, strict=True):
        save(scan.data, path, scan)
    return paths


@pytest.mark.parametrize("together", [None, False])
def test_each_file_is_read_once(tmp_path, halves, together, monkeypatch) -> None:
    paths, opened = written(tmp_path, halves), []

    def counting(dwi: Path, *rest: object, **more: object) -> Scan:
        opened.append(Path(dwi).name)
        return load(dwi, *rest, **more)

    monkeypatch.setattr(input_scan, "load", counting)
    request = Request(paths[0], tmp_path, method="gaussian", threads=1)
    with output_folder(tmp_path / "out"):
        denoise_series(in_folder(request, paths, tmp_path / "out"), together=together)
    assert opened == ["A.nii.gz", "B.nii.gz"]


@pytest.mark.parametrize("together", [None, False])
def test_the_files_hold_what_denoising_gives(tmp_path, halves, together) -> None:
    paths, lines = written(tmp_path, halves), []
    request = Request(
        paths[0], tmp_path, method="subspace", threads=1, save_noise=Path("sigma.nii.gz")
    )
    with output_folder(tmp_path / "out"):
        summaries = denoise_series(
            in_folder(request, paths, tmp_path / "out"), together=together, print_line=lines.append
        )
    as_one = together is None
    assert lines == [
        "together: same grid, brightness, place and noise" if as_one else "apart: as asked for"
    ]
    scans = [load(path) for path in paths]
    if as_one:
        together_data = denoise(joined(scans), "subspace", threads=1).data
        count = scans[0].shape[3]
        expected = [together_data[..., :count], together_data[..., count:]]
    else:
        expected = [denoise(scan, "subspace", threads=1).data for scan in scans]
    for name, scan, data, summary in zip("AB", scans, expected, summaries, strict=True):
        result = load(tmp_path / "out" / f"{name}.nii.gz")
        np.testing.assert_allclose(result.data, data, rtol=1e-5)
        np.testing.assert_array_equal(result.gradients.bvecs, scan.gradients.bvecs)
        assert load(tmp_path / "out" / f"{name}.nii.gz").shape == scan.shape
        assert (tmp_path / "out" / f"{name}_sigma.nii.gz").exists()
        sidecar = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert sidecar["Series"] == summary.record["Series"]
        assert sidecar["Series"]["Together"] is as_one
        assert sidecar["Sources"][0].endswith(f"{name}.nii.gz")
        assert sum(row["volumes"] for row in sidecar["Shells"]) == scan.shape[3]
        assert sidecar["volumes_denoised"] == scan.shape[3]


def test_what_is_refused_leaves_nothing(tmp_path, halves) -> None:
    paths = written(tmp_path, halves)
    (tmp_path / "2").mkdir()
    twin = written(tmp_path / "2", halves[:1])
    few = part(halves[1], np.arange(4))
    save(few.data, tmp_path / "few.nii.gz", few)
    cases = {
        (Code.OUTPUT_SAME_NAME, f"{twin[0]}: ", "another --outdir"): ([paths[0], *twin], {}),
        (Code.ARGUMENT_CONFLICT, "--bval belongs to one scan: denoise each by itself"): (
            paths, {"bval": tmp_path / "A.bval"}
        ),
        (Code.ARGUMENT_VALUE, "m.nii.gz: ", "give a name without folders"): (
            paths, {"save_mask": tmp_path / "m.nii.gz"}
        ),
        (Code.GRADIENTS_TOO_FEW, "splitq needs at least 6", "has 3"): (
            [paths[0], tmp_path / "few.nii.gz"], {"method": "splitq"}
        ),
        (Code.FILE_MISSING, "none.nii.gz: ", "check the name"): (
            [paths[0], tmp_path / "none.nii.gz"], {}
        ),
    }  # fmt: skip
    for (code, *words), (files, more) in cases.items():
        request = Request(files[0], tmp_path, threads=1, **more)
        with refused(code, *words), output_folder(tmp_path / "out"):
            denoise_series(in_folder(request, files, tmp_path / "out"), together=False)
        assert not (tmp_path / "out").exists()


def test_echoes_may_differ_in_brightness_but_not_in_place(halves) -> None:
    first, second = halves
    later = replace(second, data=second.data * np.float32(0.5), sigma=None)
    noise = np.random.default_rng(0).normal(0, 34, second.shape)  # 39 in all, with 0.5 of 39
    later = replace(later, data=np.abs(later.data + noise).astype(np.float32))

    def decided(scan: Scan, *times: float | None) -> tuple[bool, str]:
        pairs = zip((first, scan), "AB", times, strict=True)
        return decide([summarize(*one) for one in pairs])

    assert decided(later, 0.07, 0.11) == (True, "echoes with the same grid, place and noise")
    assert "as bright" in decided(later, None, 0.11)[1]
    assert "as bright" in decided(later, 0.07, 0.07)[1]
    moved_away = replace(later, data=np.roll(later.data, 2, 0))
    assert "does not show the object where" in decided(moved_away, 0.07, 0.11)[1]
    whole = joined([first, later], as_echoes=True).gradients
    assert whole.echoes.tolist() == [1] * first.shape[3] + [2] * later.shape[3]
