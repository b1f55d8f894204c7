"""``dwiser cohort --cluster slurm`` on a real Slurm of one node, started by ``slurm.sh``."""

import os
import re
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


def with_memory(slurm: dict[str, str], home: Path, words: str) -> dict[str, str]:
    """The environment of a jobqueue.yaml that says this memory, and leaves Slurm's line in."""
    text = Path(slurm["DASK_CONFIG"]).read_text()
    text = text.replace("memory: 2GiB", f"memory: {words}")
    (home / "jobqueue.yaml").write_text(text.replace('job-directives-skip: ["--mem"]', ""))
    return slurm | {"DASK_CONFIG": str(home / "jobqueue.yaml")}


def asked_of(slurm: dict[str, str], *words: str) -> str:
    return subprocess.run(words, env=slurm, capture_output=True, text=True, check=True).stdout


def jobs(slurm: dict[str, str]) -> list[str]:
    ran = subprocess.run(["squeue", "-h", "-o", "%i %T"], env=slurm, capture_output=True, text=True)
    return [line.split()[0] for line in ran.stdout.splitlines() if "RUNNING" in line]


def test_a_cohort_is_done_by_jobs_of_slurm_which_are_gone_after_it(
    slurm, bids, cohort, tools, whole, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, *(f"sub-0{n} run-1" for n in range(3))), tmp_path / "out"
    stop = tools.Stop("sub-00")
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
    stop = tools.Stop("sub-00")
    run = cohort(root, out, "--cluster", "slurm", "--workers", 1, env=slurm)
    tools.until(lambda: tools.written(out, "sub-00_run-1"), "work")
    stop.lift()
    (job,) = jobs(slurm)
    subprocess.run(["scancel", "--signal=KILL", job], env=slurm, check=True)
    code, told = tools.ended(run)
    assert code == 0, told
    whole(out, {f"sub-0{n}_run-1" for n in range(2)})


@pytest.mark.parametrize(
    ("options", "asked", "granted", "worker", "plan"),
    [
        ((), "2G", "2G", "1.86", "(memory 2GB in jobqueue.yaml, where GB is 10⁹ bytes)"),
        (("--memory", "1.5G"), "1536M", "1.50G", "1.50", ""),
    ],
    ids=["jobqueue", "option"],
)
def test_the_plan_says_what_slurm_grants_and_the_worker_holds(
    slurm, bids, cohort, tools, whole, tmp_path: Path, options, asked, granted, worker, plan
) -> None:
    root, out = bids(tmp_path, "sub-00 run-1"), tmp_path / "out"
    env = with_memory(slurm, tmp_path, "2GB") | {"PYTHONIOENCODING": "utf-8"}
    code, told = tools.ended(cohort(root, out, "--cluster", "slurm", *options, env=env))
    assert code == 0, told
    last = asked_of(slurm, "scontrol", "show", "job", "-o").splitlines()[-1]  # ended ones stay
    (job,) = re.findall(r"^JobId=(\d+) ", last)
    assert f",mem={granted}," in last
    script = asked_of(slurm, "scontrol", "write", "batch_script", job, "-")
    assert f"--memory-limit {worker}GiB" in script
    log = (Path(slurm["SLURM_CONF"]).parent / "logs" / f"dask-worker-{job}.err").read_text()
    assert re.findall(r"Memory: +([\d.]+) GiB", log) == [worker]
    (line,) = [line for line in told.splitlines() if line.startswith("workers ")]
    assert f"1 asked of Slurm, {worker} GiB for each" in line
    assert plan in line
    assert f"a job is granted {asked}, in Slurm's units of 1024" in line
    whole(out, {"sub-00_run-1"})


def test_without_a_setup_slurm_is_refused_in_a_sentence(
    bids, cohort, tools, tmp_path: Path
) -> None:
    root, out = bids(tmp_path, "sub-00 run-1"), tmp_path / "out"
    empty = os.environ | {"DASK_CONFIG": str(tmp_path / "none"), "HOME": str(tmp_path)}
    code, told = tools.ended(cohort(root, out, "--cluster", "slurm", env=empty))
    assert code == 2, told
    assert "jobqueue.yaml" in told
    assert "Traceback" not in told
