"""The other commands, and the package from Python."""

import json
from dataclasses import fields, is_dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import get_type_hints

import nibabel as nib
import numpy as np
import pytest

import dwiser as package
from dwiser.cli import COMMANDS, main
from dwiser.io.sample import SamplePaths, sample_paths
from dwiser.run import demo


def test_a_bare_dwiser_prints_the_help(program) -> None:
    done = program()
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help(command: str, dwiser) -> None:
    done = dwiser(command, "--help")
    assert done.returncode == 0
    name = command.replace("-", "_")
    function = getattr(import_module(f"dwiser.cli.{name}"), name)
    for name, hint in options_of(signature(function).parameters, function):
        assert any(getattr(m, "help", None) for m in hint.__metadata__), name


def options_of(names, owner):
    """Each option and its annotation; those that commands share stand in a dataclass."""
    hints = get_type_hints(owner, include_extras=True)
    for name in names:
        if is_dataclass(hints[name]):
            yield from options_of([f.name for f in fields(hints[name])], hints[name])
        else:
            yield name, hints[name]


def test_the_version_is_the_packages(dwiser) -> None:
    assert dwiser("--version").stdout.strip() == package.__version__


def test_info_tells_what_the_scan_is(files: Path, dwiser) -> None:
    done = dwiser("info", files / "dwi.nii.gz", "--method", "difusion", "--preset", "smoke")
    assert done.returncode == 0, done.stderr
    for part in (
        "24 × 20 × 6 × 41",
        "1.2 × 1.2 × 1.25 mm",
        "1 (at 40;",
        "b=999.6: 40",
        "sigma",
        "correlation x 0.",
        "SNR",
    ):
        assert part in done.stdout
    assert "60 iterations" in done.stdout
    assert "would take  about" in done.stdout


@pytest.mark.parametrize("method", ["identity", "noise2noise", "splitq"])
def test_info_plans_any_method(files: Path, capsys, method: str) -> None:
    assert main(["info", str(files / "dwi.nii.gz"), "--method", method, "--threads", "1"]) == 0
    assert f"would do    {method} (laptop): " in capsys.readouterr().out


def test_methods_lists_and_explains(dwiser) -> None:
    assert "difusion" in dwiser("methods").stdout
    printed = dwiser("methods", "difusion").stdout
    for part in ("pairing", "threshold", "ICLR 2025", "0.04", "100000"):
        assert part in printed
    wrong = dwiser("methods", "difusio", "--debug")
    assert wrong.returncode == 2
    assert "dwiser: error code method.unknown\n" in wrong.stderr
    assert "did you mean 'difusion'?" in wrong.stderr


def test_the_demo_leaves_its_files(tmp_path: Path, files: Path, dwiser, monkeypatch) -> None:
    """On a part of the packaged scan: the whole one takes a minute."""
    assert demo.sample_paths is sample_paths
    part = SamplePaths(*(files / f"dwi.{ending}" for ending in ("nii.gz", "bval", "bvec")))
    monkeypatch.setattr(demo, "sample_paths", lambda: part)
    done = dwiser("demo", tmp_path / "demo", "--preset", "smoke", "--set", "iterations=5", "-q")
    assert done.returncode == 0, done.stderr
    for method in ("splitq", "difusion"):
        place = tmp_path / "demo" / method
        for name in ("denoised", "sigma", "residual", "mask"):
            assert nib.load(place / f"{name}.nii.gz").shape[:3] == (24, 20, 6)
        assert json.loads((place / "denoised.json").read_text())["Method"] == method
        assert (place / "montage.png").read_bytes()[:4] == b"\x89PNG"
        assert "<!doctype html>" in (place / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "demo" / "side_by_side.png").read_bytes()[:4] == b"\x89PNG"


def test_the_demo_refuses_a_wrong_field_before_any_work(tmp_path: Path, dwiser) -> None:
    done = dwiser("demo", tmp_path / "demo", "--set", "nonsense=3", "-q", "--debug")
    assert done.returncode == 2
    assert "dwiser: error code setting.unknown\n" in done.stderr
    assert "nonsense" in done.stderr
    assert not (tmp_path / "demo").exists()


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_from_python_load_denoise_save(files: Path) -> None:
    scan = package.load(files / "dwi.nii.gz")
    result = package.denoise(scan, preset="smoke", threads=1, folds=3, seed=1)
    package.save(result, files / "py.nii.gz", scan)
    stored = nib.load(files / "py.nii.gz")
    np.testing.assert_array_equal(np.asarray(stored.dataobj), result.data)
    assert result.record["Parameters"]["folds"] == 3
    assert (files / "py.json").exists()


def test_an_unknown_command_is_one_sentence(dwiser) -> None:
    done = dwiser("denoize")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
