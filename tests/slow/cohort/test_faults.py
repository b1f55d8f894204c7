"""Faults, with real processes: nothing lost, nothing written twice, nothing half-written."""

import os
import re
import signal
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pytestmark = pytest.mark.slow
QUICK = ("--method", "gaussian")


def done_in(told: str) -> set[str]:
    """The scans that a log says were done by it, not found done."""
    return set(re.findall(r"^\d+/\d+ (\S+): done", told, re.MULTILINE))


def test_a_worker_killed_in_the_middle_of_a_scan_costs_a_try_and_nothing_else(
    bids, cohort, tools, whole, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(3))), tmp_path / "out"
    run = cohort(root, out, "--workers", 2)
    name, pid = next(iter(tools.until(lambda: tools.at_work(out), "work").items()))
    os.kill(pid, signal.SIGKILL)
    code, told = tools.ended(run)
    assert code == 0, told
    assert name in done_in(told)
    whole(out, {f"sub-0{n}_run-1" for n in range(3)})


def test_a_scan_whose_workers_die_each_time_is_named_and_the_others_are_done(
    bids, cohort, tools, whole, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(2))), tmp_path / "out"
    run = cohort(root, out, "--workers", 1, "--retries", 1)
    killed: list[int] = []
    while len(killed) < 2:
        pid = tools.until(
            lambda: {
                p for n, p in tools.at_work(out).items() if n == "sub-00_run-1" and p not in killed
            },
            "a try",
        ).pop()
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
    code, told = tools.ended(run)
    assert code == 1, told
    assert "1 scans failed: sub-00_run-1." in told
    assert "2 workers were killed while at work on it" in told
    whole_after = tmp_path / "out"
    again = cohort(root, out, "--workers", 1)
    code, told = tools.ended(again)
    assert code == 0, told
    assert done_in(told) == {"sub-00_run-1"}
    whole(whole_after, {"sub-00_run-1", "sub-01_run-1"})


def test_the_scheduler_is_killed_and_started_again_and_the_run_goes_on(
    bids, cohort, processes, tools, whole, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(3))), tmp_path / "out"
    port = tools.free_port()
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}

    def scheduler():
        words = ("--host", "127.0.0.1", "--port", port, "--no-dashboard")
        return processes("distributed.cli.dask_scheduler", *words, **quiet)

    def workers():
        words = (address, "--nthreads", 1, "--no-dashboard", "--death-timeout", 60)
        return processes("distributed.cli.dask_worker", *words, **quiet)

    first = scheduler()
    workers()
    run = cohort(root, out, "--cluster", address)
    tools.until(lambda: tools.at_work(out), "work")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    scheduler()
    workers()
    code, told = tools.ended(run)
    assert code == 0, told
    whole(out, {f"sub-0{n}_run-1" for n in range(3)})


def test_a_run_that_is_killed_is_taken_up_by_the_same_command(
    bids, cohort, tools, whole, tmp_path: Path
) -> None:
    """Scheduler, client and all die; orphaned workers end by themselves or are waited for."""
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(3))), tmp_path / "out"
    run = cohort(root, out, "--workers", 1)
    tools.until(lambda: list(out.rglob("*denoised_dwi.nii.gz")), "a first scan")
    tools.until(lambda: tools.at_work(out), "a second one")
    os.kill(run.pid, signal.SIGKILL)  # the workers are left behind
    run.wait()
    code, told = tools.ended(cohort(root, out, "--workers", 1))
    assert code == 0, told
    assert "sub-00_run-1" not in done_in(told)
    whole(out, {f"sub-0{n}_run-1" for n in range(3)})


def test_a_scan_that_needs_more_memory_than_its_worker_has_is_listed_with_a_sentence(
    bids, cohort, tools, whole, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, "sub-00 run-1", "sub-01 run-1"), tmp_path / "out"
    path = root / "sub-00/dwi/sub-00_run-1_dwi.nii.gz"
    small = nib.load(path)
    data = np.tile(np.asarray(small.dataobj), (12, 12, 10, 15)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, small.affine), path)
    for kind, axis in (("bval", 0), ("bvec", 1)):
        table = path.with_name(f"sub-00_run-1_dwi.{kind}")
        values = np.loadtxt(table)
        np.savetxt(table, np.concatenate([values] * 15, axis=axis).reshape(-1, 7 * 15), fmt="%.6f")
    run = cohort(
        root, out, "--workers", 1, "--memory", "650MiB", "--retries", 0, method=QUICK,
    )  # fmt: skip
    code, told = tools.ended(run)
    assert code == 1, told
    assert "for want of memory: give each worker more" in told
    whole(out, {"sub-01_run-1"})


def test_a_full_disk_is_said_leaves_nothing_half_and_is_gone_on_from(
    bids, cohort, tools, whole, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(4))), disk / "out"
        code, told = tools.ended(cohort(root, out, "--workers", 2, method=QUICK))
        assert code == 1, told
        assert "No space left on device" in told or "make room" in told
        made = done_in(told)
        assert 0 < len(made) < 4
        whole(out, made)
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        code, told = tools.ended(cohort(root, out, "--workers", 2, method=QUICK))
        assert code == 0, told
        assert not done_in(told) & made
        whole(out, {f"sub-0{n}_run-1" for n in range(4)})
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_two_cohorts_on_one_folder_share_the_work_and_write_nothing_twice(
    bids, cohort, tools, whole, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(4))), tmp_path / "out"
    runs = [cohort(root, out, "--workers", 1) for _ in range(2)]
    (one, first), (two, second) = map(tools.ended, runs)
    assert (one, two) == (0, 0), first + second
    names = {f"sub-0{n}_run-1" for n in range(4)}
    assert not done_in(first) & done_in(second)
    assert done_in(first) | done_in(second) == names
    assert done_in(first)
    assert done_in(second)
    whole(out, names)


def test_ctrl_c_keeps_what_is_done_and_says_that_the_command_goes_on(
    bids, cohort, tools, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(3))), tmp_path / "out"
    run = cohort(
        root, out, "--workers", 1,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    tools.until(lambda: list(out.rglob("*denoised_dwi.nii.gz")), "a first scan")
    tools.until(lambda: tools.at_work(out), "a second one")
    os.kill(run.pid, signal.SIGINT)
    code, told = tools.ended(run)
    assert code == 130, told
    assert "1 of 3 scans are done; the same command goes on." in told
    assert "Traceback" not in told
    assert (out / "cohort.html").exists()
