"""Faults, with real processes: nothing lost, nothing written twice, nothing half-written.

A scan is stopped (``tools.Stop``) where a death would do most harm: all of its files are
written, and none has its name yet.
"""

import os
import re
import signal
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pytestmark = pytest.mark.slow
STOPPED = "sub-00_run-1"


def done_in(told: str) -> set[str]:
    """The scans that a log says were done by it, not found done."""
    return set(re.findall(r"^\d+/\d+ (\S+): done", told, re.MULTILINE))


def names(count: int) -> set[str]:
    return {f"sub-0{n}_run-1" for n in range(count)}


@pytest.fixture
def three(bids, tmp_path: Path) -> Path:
    return bids(tmp_path, *(f"sub-0{n} run-1" for n in range(3)))


def test_a_worker_killed_in_the_middle_of_a_scan_costs_a_try_and_nothing_else(
    three, cohort, tools, whole, tmp_path: Path
) -> None:
    out, stop = tmp_path / "out", tools.Stop("sub-00")
    run = cohort(three, out, "--workers", 2)
    tools.until(lambda: tools.written(out, STOPPED), "work")
    stop.lift()
    os.kill(tools.at_work(out)[STOPPED], signal.SIGKILL)
    code, told = tools.ended(run)
    assert code == 0, told
    assert done_in(told) == names(3)
    whole(out, names(3))


def test_a_scan_whose_workers_die_each_time_is_named_and_the_others_are_done(
    three, cohort, tools, whole, tmp_path: Path
) -> None:
    out, stop = tmp_path / "out", tools.Stop("sub-00")
    run = cohort(three, out, "--workers", 1, "--retries", 1)
    killed: set[int] = set()

    def another() -> set[int]:
        return {tools.at_work(out).get(STOPPED)} - {None} - killed

    while len(killed) < 2:
        (pid,) = tools.until(another, "another try")
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)
    code, told = tools.ended(run)
    assert code == 1, told
    assert f"1 scans failed: {STOPPED}." in told
    assert "2 workers were killed while at work on it" in told
    assert done_in(told) == names(3) - {STOPPED}
    stop.lift()
    code, told = tools.ended(cohort(three, out, "--workers", 1))
    assert code == 0, told
    assert done_in(told) == {STOPPED}
    whole(out, names(3))


def test_the_scheduler_is_killed_and_started_again_and_the_run_goes_on(
    three, cohort, processes, tools, whole, tmp_path: Path
) -> None:
    out, stop = tmp_path / "out", tools.Stop("sub-00")
    port = tools.free_port()
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}

    def begin() -> tuple[subprocess.Popen, subprocess.Popen]:
        words = ("--host", "127.0.0.1", "--port", port, "--no-dashboard")
        one = processes("distributed.cli.dask_scheduler", *words, **quiet)
        words = (address, "--nthreads", 1, "--no-dashboard", "--death-timeout", 60)
        return one, processes("distributed.cli.dask_worker", *words, **quiet)

    scheduler, _ = begin()
    run = cohort(three, out, "--cluster", address)
    tools.until(lambda: tools.written(out, STOPPED), "work")
    stop.lift()
    os.killpg(scheduler.pid, signal.SIGKILL)
    scheduler.wait()
    begin()
    code, told = tools.ended(run)
    assert code == 0, told
    whole(out, names(3))


def test_a_scan_whose_only_worker_died_is_called_back_and_given_to_one_that_joins(
    three, cohort, processes, tools, whole, tmp_path: Path
) -> None:
    """Workers that a user started know nothing of our resource when they join a scheduler."""
    out, stop = tmp_path / "out", tools.Stop("sub-00")
    address = f"tcp://127.0.0.1:{(port := tools.free_port())}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    words = ("--host", "127.0.0.1", "--port", port, "--no-dashboard")
    processes("distributed.cli.dask_scheduler", *words, **quiet)

    def worker() -> subprocess.Popen:
        words = (address, "--nthreads", 1, "--no-dashboard", "--no-nanny", "--death-timeout", 60)
        return processes("distributed.cli.dask_worker", *words, **quiet)

    first = worker()
    run = cohort(three, out, "--cluster", address)
    tools.until(lambda: tools.written(out, STOPPED), "work")
    stop.lift()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    worker()
    code, told = tools.ended(run)
    assert code == 0, told
    assert done_in(told) == names(3)
    whole(out, names(3))


def test_a_run_that_is_killed_is_taken_up_by_the_same_command(
    three, cohort, tools, whole, tmp_path: Path
) -> None:
    """Client and scheduler die at once, and the workers are left behind."""
    out, stop = tmp_path / "out", tools.Stop("sub-01")
    run = cohort(three, out, "--workers", 1)
    tools.until(lambda: tools.written(out, "sub-01_run-1"), "the second scan")
    stop.lift()
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    code, told = tools.ended(cohort(three, out, "--workers", 1))
    assert code == 0, told
    assert done_in(told) == names(3) - {STOPPED}
    whole(out, names(3))


@pytest.mark.parametrize(
    ("method", "memory", "sentence"),
    [
        (
            "gaussian",
            "650MiB",
            "GiB for it, a worker may use 0.6: give each worker more",
        ),  # refused before the work
        (
            "patch2self",
            "400MiB",
            "the last for lack of memory: give each worker more",
        ),  # unknown
    ],
)
def test_a_scan_that_needs_more_memory_than_its_worker_has_is_listed_with_a_sentence(
    bids, cohort, tools, whole, tmp_path: Path, method: str, memory: str, sentence: str
) -> None:
    root, out = bids(tmp_path, "sub-00 run-1", "sub-01 run-1"), tmp_path / "out"
    path = root / "sub-00/dwi/sub-00_run-1_dwi.nii.gz"
    small = nib.load(path)
    data = np.tile(np.asarray(small.dataobj), (12, 12, 10, 15)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, small.affine), path)
    bval, bvec = (path.with_name(f"sub-00_run-1_dwi.{kind}") for kind in ("bval", "bvec"))
    np.savetxt(bval, [np.tile(np.loadtxt(bval), 15)], fmt="%g")
    np.savetxt(bvec, np.tile(np.loadtxt(bvec), (1, 15)), fmt="%.6f")
    words = ("--workers", 1, "--memory", memory, "--retries", 0, "--method", method)
    code, told = tools.ended(cohort(root, out, *words))
    assert code == 1, told
    assert sentence in told, told
    assert "1 scans failed: sub-00_run-1." in told
    whole(out, {"sub-01_run-1"})


def test_a_full_disk_is_said_leaves_nothing_half_and_is_gone_on_from(
    three, cohort, tools, whole, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        out = disk / "out"
        code, told = tools.ended(cohort(three, out, "--workers", 1))
        assert code == 1, told
        assert "No space left on device" in told
        assert "Traceback" not in told
        made = done_in(told)
        assert 0 < len(made) < 3
        whole(out, made)
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        code, told = tools.ended(cohort(three, out, "--workers", 1))
        assert code == 0, told
        assert done_in(told) == names(3) - made
        whole(out, names(3))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_two_cohorts_on_one_folder_share_the_work_and_write_nothing_twice(
    three, cohort, tools, whole, tmp_path: Path
) -> None:
    out, stop = tmp_path / "out", tools.Stop("sub-00")
    first = cohort(three, out, "--workers", 1)
    tools.until(lambda: tools.written(out, STOPPED), "work of the first")
    second = cohort(three, out, "--workers", 1)
    tools.until(lambda: len(list(out.rglob("*denoised_dwi.nii.gz"))) >= 3, "work of the second")
    assert second.poll() is None  # it waits for the scan that the first one holds
    stop.answer()
    (one, told), (two, also) = tools.ended(first), tools.ended(second)
    assert (one, two) == (0, 0), told + also
    assert done_in(told) == {STOPPED}
    assert done_in(also) == names(3) - {STOPPED}
    stop.lift()
    whole(out, names(3))


def test_ctrl_c_keeps_what_is_done_and_says_that_the_command_goes_on(
    three, cohort, tools, whole, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tools.Stop("sub-01")
    plain = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    run = cohort(three, out, "--workers", 1, **plain)
    tools.until(lambda: tools.written(out, "sub-01_run-1"), "the second scan")
    os.kill(run.pid, signal.SIGINT)
    code, told = tools.ended(run)
    assert code == 130, told
    assert "1 of 3 scans are done; the same command goes on." in told
    assert "Traceback" not in told
    assert "sub-00" in (out / "cohort.tsv").read_text()
