"""Real processes: the command line, Dask's scheduler and workers, killed for real."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

STOPS = "DWISER_TESTS_STOPS"  # the folder of the stops below
# Programs of these tests stop before a scan of a named subject is published: see `Stop`.
SITE = f"""
import os, time
from pathlib import Path
import dwiser.cohort.worker as worker
publish = worker.publish
def stopped(job, staging):
    stop = Path(os.environ["{STOPS}"], job.scan.name.split("_")[0])
    waits = stop.exists()
    while waits:
        waits = not stop.exists() or stop.read_text() != "go on"
        time.sleep(0.05)
    publish(job, staging)
worker.publish = stopped
"""
QUICK = ("--threads", "1", "--device", "cpu", "--skip-bids-validation")
PATIENCE = 600  # seconds

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def processes(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Starts programs of this environment in process groups, all ended after the test."""
    begun: list[subprocess.Popen[str]] = []
    folder = tmp_path_factory.mktemp("stops")
    (folder / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv(STOPS, str(folder))
    path = os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])

    def start(*words: object, **options) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *map(str, words)]
        options["env"] = options.get("env", os.environ) | {STOPS: str(folder), "PYTHONPATH": path}
        kinds = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(command, start_new_session=True, **(kinds | options))
        begun.append(process)
        return process

    yield start
    for process in begun:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def cohort(processes: Start) -> Start:
    """Starts ``dwiser cohort ROOT OUT participant`` with words."""

    def start(root: Path, out: Path, *words: object, **options):
        method = () if "--method" in words else ("--method", "gaussian")
        words = ("cohort", root, out, "participant", *method, *QUICK, *words)
        return processes("dwiser", *words, **options)

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and all that it printed."""
    told, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, told


def until(happened: Callable[[], object], what: str) -> object:
    """Wait for something; its value."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := happened():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen")


class Stop:
    """A subject whose scans stop when all is written and nothing has its name yet."""

    def __init__(self, subject: str) -> None:
        self.file = Path(os.environ[STOPS], subject)
        self.file.write_text("wait")

    def lift(self) -> None:
        """For all that come after; who waits goes on waiting."""
        self.file.unlink()

    def answer(self) -> None:
        """Lets those go on that wait."""
        self.file.write_text("go on")


def written(out: Path, name: str) -> bool:
    """Whether all of a scan's files are there, in the folder of those without a name."""
    image = out / f".dwiser/work/{name}/{name}_desc-denoised_dwi.nii.gz"
    return image.exists() and name in at_work(out)


def at_work(out: Path) -> dict[str, int]:
    """The scans that are being denoised, and the process that does each."""
    found = {}
    for path in (out / ".dwiser/locks").glob("*_run-*.json"):
        try:
            found[path.stem] = int(json.loads(path.read_text())["PID"])
        except (OSError, ValueError):
            continue
    return found


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


@pytest.fixture
def tools():
    """The functions above, by name: tests cannot import from here."""

    return SimpleNamespace(
        ended=ended, until=until, at_work=at_work, written=written, free_port=free_port, Stop=Stop
    )


@pytest.fixture
def whole() -> Callable[[Path, set[str]], None]:
    """Checks that exactly these scans are done: whole, readable, hashed, and nothing else."""
    import nibabel as nib
    import numpy as np

    def check(out: Path, names: set[str]) -> None:
        images = {
            p.name.removesuffix("_desc-denoised_dwi.nii.gz"): p for p in out.rglob("*dwi.nii.gz")
        }
        assert set(images) == names
        for path in images.values():
            told = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
            assert np.isfinite(np.asarray(nib.load(path).dataobj)).all()
            assert len(told["InputFiles"]["dwi"]["SHA256"]) == 64
            for other in path.parent.glob(f"{path.name.split('_desc')[0]}_desc-*.nii.gz"):
                assert np.asarray(nib.load(other).dataobj).size
        left = [p for p in out.rglob("*") if p.name.startswith(".dwiser-") or p.suffix == ".tmp"]
        assert left == []
        assert list((out / ".dwiser/work").iterdir()) == []
        assert list((out / ".dwiser/locks").glob("*.json")) == []

    return check
