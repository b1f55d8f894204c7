"""Echoes of one acquisition, a file each: denoised as one, planned and written one by one."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dwiser.cohort import ledger
from dwiser.cohort.job import CohortOptions, Job
from dwiser.cohort.worker import denoise_scan
from dwiser.io import load, save_volume
from dwiser.io.bids import find_scans
from dwiser.simulation import Simulation

QUICK = CohortOptions("gaussian", threads=1, device="cpu")


def jobs(home: Path) -> list[Job]:
    root = home / "raw"
    return [Job(scan, root, home / "out", QUICK) for scan in find_scans(root)]


@pytest.fixture
def home(bids: Callable[..., Path], tiny: Simulation, tmp_path: Path) -> Path:
    """Two echoes of one scan, the second darker with noise of its own, and a run without any."""
    root = bids(tmp_path, "sub-01 acq-a_echo-1", "sub-01 acq-a_echo-2", "sub-01 acq-b")
    (tmp_path / "out").mkdir()
    noise = np.random.default_rng(1).normal(0, float(np.median(tiny.sigma)), tiny.truth.shape)
    second = np.abs(0.6 * tiny.truth + noise).astype(np.float32)
    save_volume(second, root / "sub-01/dwi/sub-01_acq-a_echo-2_dwi.nii.gz", like=tiny.scan)
    return tmp_path


def test_they_are_told_by_the_entity_echo(home: Path) -> None:
    first, second, other = jobs(home)
    assert [s.name for s in first.joined_echoes] == ["sub-01_acq-a_echo-2"]
    assert [s.name for s in second.joined_echoes] == ["sub-01_acq-a_echo-1"]
    assert other.joined_echoes == ()
    assert {"dwi_echo-2", "bval_echo-2", "bvec_echo-2"} <= set(first.inputs)


def test_each_is_written_from_the_joint_result(home: Path) -> None:
    first, second, _ = jobs(home)
    assert denoise_scan(second).status == "done"
    record = json.loads(second.sidecar.read_text())
    assert record["Series"]["Together"] is True, record["Series"]
    assert record["Series"]["Volumes"] == [7, 13]
    assert all("echo" not in row for row in record["Shells"])
    assert load(second.image).shape == load(second.scan.dwi).shape
    first.scan.dwi.touch()
    assert ledger.state(second).why == "dwi_echo-1 may have changed"


def test_one_that_moved_is_denoised_alone_with_the_reason(home: Path) -> None:
    first, second, _ = jobs(home)
    scan = load(second.scan.dwi)
    save_volume(np.roll(scan.data, 3, 0), second.scan.dwi, like=scan)
    assert denoise_scan(first).status == "done"
    record = json.loads(first.sidecar.read_text())
    assert record["Series"]["Together"] is False
    assert any("without the others" in sentence for sentence in record["Warnings"])
