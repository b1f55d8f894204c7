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

import pytest

# Long enough to be killed in the middle of it: some seconds a scan.
SLOW = ("--method", "difusion", "--preset", "smoke", "--set", "iterations=300")
COMMON = ("--threads", "1", "--device", "cpu", "--skip-bids-validation")
PATIENCE = 300  # seconds

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def processes() -> Iterator[Start]:
    """Starts programs of this environment in process groups, all ended after the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(*words: object, **options) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *map(str, words)]
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
    """Starts ``dwiser cohort ROOT OUT participant`` with words; slow scans by default."""

    def start(root: Path, out: Path, *words: object, method=SLOW, **options):
        return processes(
            "dwiser", "cohort", root, out, "participant", *method, *COMMON, *words, **options
        )

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

    class Tools:
        pass

    kit = Tools()
    kit.ended, kit.until, kit.at_work, kit.free_port = ended, until, at_work, free_port  # type: ignore[attr-defined]
    return kit


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
