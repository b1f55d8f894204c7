"""``dwiser cohort --cluster slurm`` on a real Slurm of one node, started by ``slurm.sh``."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("slurm.sh")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")


def missing() -> str:
    absent = [
        name for name in PROGRAMS if which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None
    ]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian's slurm-wlm and munge)"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started as root here"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a running Slurm, with a jobqueue.yaml for Dask."""
    if reason := missing():
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("slurm")
    for folder in (home, *home.parents[:3]):
        folder.chmod(0o755)  # munge wants a path that others cannot write
    started = subprocess.run([str(SCRIPT), "start", str(home)], capture_output=True, text=True)
    if started.returncode:
        subprocess.run([str(SCRIPT), "stop", str(home)], check=False)
        pytest.skip(f"Slurm did not start: {started.stderr[-300:]}")
    (home / "jobqueue.yaml").write_text(
        f"""
jobqueue:
  slurm:
    cores: 1
    processes: 1
    memory: 2GiB
    walltime: "00:20:00"
    interface: lo
    python: {sys.executable}
    log-directory: {home}/logs
    job-directives-skip: ["--mem"]
"""
    )
    yield os.environ | {"SLURM_CONF": f"{home}/slurm.conf", "DASK_CONFIG": f"{home}/jobqueue.yaml"}
    subprocess.run([str(SCRIPT), "stop", str(home)], check=False)


def jobs(slurm: dict[str, str]) -> list[str]:
    ran = subprocess.run(["squeue", "-h", "-o", "%i %T"], env=slurm, capture_output=True, text=True)
    return [line.split()[0] for line in ran.stdout.splitlines() if "RUNNING" in line]


def test_a_cohort_is_done_by_jobs_of_slurm_which_are_gone_after_it(
    slurm, bids, cohort, tools, whole, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(3))), tmp_path / "out"
    stop = tools.Stop(root, "sub-00")
    run = cohort(root, out, "--cluster", "slurm", "--workers", 2, env=slurm)
    tools.until(lambda: len(jobs(slurm)) == 2, "two jobs of Slurm")
    tools.until(lambda: tools.written(out, "sub-00_run-1"), "work")
    stop.answer()
    code, told = tools.ended(run)
    assert code == 0, told
    whole(out, {f"sub-0{n}_run-1" for n in range(3)})
    tools.until(lambda: not jobs(slurm), "the end of the jobs")


def test_a_job_that_slurm_ends_is_replaced_and_its_scan_done(
    slurm, bids, cohort, tools, whole, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(2))), tmp_path / "out"
    stop = tools.Stop(root, "sub-00")
    run = cohort(root, out, "--cluster", "slurm", "--workers", 1, env=slurm)
    tools.until(lambda: tools.written(out, "sub-00_run-1"), "work")
    stop.lift()
    (job,) = jobs(slurm)
    subprocess.run(["scancel", "--signal=KILL", job], env=slurm, check=True)
    code, told = tools.ended(run)
    assert code == 0, told
    whole(out, {f"sub-0{n}_run-1" for n in range(2)})


def test_without_a_setup_slurm_is_refused_in_a_sentence(
    bids, cohort, tools, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, "sub-00 run-1"), tmp_path / "out"
    empty = os.environ | {"DASK_CONFIG": str(tmp_path / "none"), "HOME": str(tmp_path)}
    code, told = tools.ended(cohort(root, out, "--cluster", "slurm", env=empty))
    assert code == 2, told
    assert "jobqueue.yaml" in told
    assert "Traceback" not in told
