"""``dwiser denoise`` on a real crop: what goes in comes out, with its papers."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import dwiser as package

QUICK = (
    "--method",
    "difusion",
    "--preset",
    "smoke",
    "--set",
    "iterations=20",
    "--threads",
    "1",
    "--device",
    "cpu",
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_the_whole_set_comes_out_with_the_inputs_geometry_and_b0(files: Path, dwiser) -> None:
    out = files / "out.nii.gz"
    kinds = ("noise", "residual", "standardised", "mask")
    maps = {f"--save-{m}": files / f"{m}.nii.gz" for m in kinds}
    words = [str(w) for pair in maps.items() for w in pair]
    done = dwiser("denoise", files / "dwi.nii.gz", out, *QUICK, *words, "--seed", 7)
    assert done.returncode == 0, done.stderr
    expected = {f"out.{e}" for e in ("nii.gz", "json", "bval", "bvec")}
    assert names(files) >= expected | {p.name for p in maps.values()}
    before, after = nib.load(files / "dwi.nii.gz"), nib.load(out)
    np.testing.assert_array_equal(before.affine, after.affine)
    for field in ("qform_code", "sform_code", "xyzt_units", "quatern_b", "qoffset_x", "pixdim"):
        np.testing.assert_array_equal(before.header[field], after.header[field])
    assert after.get_data_dtype() == np.float32
    raw, clean = voxels(files / "dwi.nii.gz"), voxels(out)
    assert clean.shape == raw.shape
    np.testing.assert_array_equal(clean[..., 40], raw[..., 40])  # the only b0
    mask = voxels(maps["--save-mask"]).astype(bool)
    np.testing.assert_array_equal(clean[~mask], raw[~mask])
    assert (clean[mask][:, :40] != raw[mask][:, :40]).mean() > 0.99
    np.testing.assert_allclose(voxels(maps["--save-residual"]), raw - clean, atol=1e-3)
    standardised = voxels(maps["--save-standardised"])
    assert standardised.shape == raw.shape
    assert not standardised[~mask].any()
    assert 0.5 < standardised[mask][:, :40].std() < 2
    assert np.median(voxels(maps["--save-noise"])[mask]) == pytest.approx(35, rel=0.5)
    for e in ("bval", "bvec"):
        np.testing.assert_array_equal(
            np.loadtxt(files / f"out.{e}"), np.loadtxt(files / f"dwi.{e}")
        )


def test_the_sidecar_says_everything(files: Path, dwiser) -> None:
    (files / "dwi.json").write_text('{"EchoTime": 0.1, "Manufacturer": "Philips"}')
    walk = ("--set", "start=none", "--set", "evaluations=2")
    done = dwiser("denoise", files / "dwi.nii.gz", files / "out.nii.gz", *QUICK, *walk, "--seed", 7)
    assert done.returncode == 0, done.stderr
    sidecar = json.loads((files / "out.json").read_text())
    assert sidecar["EchoTime"] == 0.1
    assert sidecar["Method"] == "difusion"
    assert sidecar["Preset"] == "smoke"
    assert sidecar["Seed"] == 7
    assert sidecar["Device"] == "cpu"
    assert sidecar["Parameters"]["iterations"] == 20
    assert sidecar["Parameters"]["threshold"] == 1.0
    assert sidecar["Shells"] == [{"bval": 0.0, "volumes": 1}, {"bval": 999.6, "volumes": 40}]
    assert len(sidecar["InputSHA256"]) == 64
    assert sidecar["WallTimeSeconds"] > 0
    assert sidecar["PeakMemoryMiB"] > 50
    assert sidecar["GeneratedBy"][0]["Name"] == "dwiser"
    assert {"python", "numpy", "torch"} <= set(sidecar["Versions"])
    assert sidecar["volumes_passed_through"] == {"40": "fewer than 4 b0s"}
    assert sum(sidecar["sampling"]["evaluations"].values()) == 40 * 6
    assert any("first evaluation" in w for w in sidecar["Warnings"])
    assert "warning" in done.stderr


def test_the_same_seed_gives_the_same_file_and_force_replaces_the_set(files: Path, dwiser) -> None:
    def run(out: str, *more: str) -> np.ndarray:
        done = dwiser("denoise", files / "dwi.nii.gz", files / out, *QUICK, "-q", *more)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        return voxels(files / out)

    first, second = run("a.nii.gz"), run("b.nii")
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-2)
    assert np.abs(run("a.nii.gz", "--seed", "3", "--force") - first).max() > 0.1


def test_a_users_mask_is_honoured(files: Path, dwiser, image) -> None:
    mask = np.zeros(image.shape[:3], np.uint8)
    mask[4:20, 4:16, 1:5] = 1
    nib.save(nib.Nifti1Image(mask, image.affine), files / "mask.nii.gz")
    out = files / "out.nii.gz"
    done = dwiser("denoise", files / "dwi.nii.gz", out, "--mask", files / "mask.nii.gz", *QUICK)
    assert done.returncode == 0, done.stderr
    raw, clean = voxels(files / "dwi.nii.gz"), voxels(out)
    np.testing.assert_array_equal(clean[mask == 0], raw[mask == 0])
    assert (clean[mask == 1] != raw[mask == 1]).mean() > 0.9


def test_ctrl_c_leaves_nothing_and_says_so(files: Path) -> None:
    words = ["denoise", "dwi.nii.gz", "out.nii.gz", "--method", "difusion"]
    words += ["--set", "iterations=100000", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dwiser", *words],
        cwd=files, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # CI may ignore it
    )  # fmt: skip
    before = names(files)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any(line.startswith("training") for line in lines)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=30)
    assert process.returncode == 130
    assert printed.strip().endswith("Interrupted: nothing was written.")
    assert "Traceback" not in printed
    assert names(files) == before


def test_progress_in_a_log_is_plain_lines_with_the_time_left(files: Path, dwiser) -> None:
    done = dwiser("denoise", files / "dwi.nii.gz", files / "out.nii.gz", *QUICK)
    lines = [line for line in done.stderr.splitlines() if line.startswith(("training", "sampling"))]
    assert lines[0].startswith("training: 1/20")
    assert "s left" in lines[0] or "0 s" in lines[0] or "loss" in lines[0]
    assert any(line.startswith("training: 20/20") for line in lines)
    assert any(line.startswith("sampling: 240/240") for line in lines)
    assert "\x1b" not in done.stderr


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_without_a_method_it_is_splitq_for_the_command_line_and_for_python(
    files: Path, program
) -> None:
    """The README's command: one input, one output, in the scanner's units."""
    done = program("denoise", files / "dwi.nii.gz", files / "out.nii.gz", "--threads", 1)
    assert done.returncode == 0, done.stderr
    sidecar = json.loads((files / "out.json").read_text())
    assert (sidecar["Method"], sidecar["Preset"]) == ("splitq", "laptop")
    assert sidecar["training"]["learned"]
    scan = package.load(files / "dwi.nii.gz")
    in_python = package.denoise(scan, threads=1)
    assert in_python.record["Method"] == "splitq"
    np.testing.assert_allclose(
        np.asarray(nib.load(files / "out.nii.gz").dataobj), in_python.data, rtol=1e-4, atol=1e-2
    )


def test_strict_ends_with_1_for_a_fail_and_the_result_is_there(files: Path, dwiser) -> None:
    blur = ("denoise", files / "dwi.nii.gz", files / "out.nii.gz", "--method", "gaussian")
    wide = (*blur, "--set", "fwhm=4", "--threads", 1)
    done = dwiser(*wide, "--strict", "--debug")
    assert done.returncode == 1
    assert "dwiser: error code verdict.fail\n" in done.stderr
    assert "out.nii.gz was written, but the verdict is FAIL: " in done.stderr
    assert voxels(files / "out.nii.gz").shape == voxels(files / "dwi.nii.gz").shape
    verdict = json.loads((files / "out.json").read_text())["Verdict"]
    worst = next(r for r in verdict["Reasons"] if r["Level"] == "FAIL")
    assert f"  FAIL: {worst['Words']}" in done.stderr
    assert "  What to do: " in done.stderr
    assert dwiser(*wide, "--force").returncode == 0
    assert (
        dwiser("denoise", *blur[1:3], "--method", "identity", "--force", "--strict").returncode == 0
    )
