"""Results of benchmarks as JSON: figures with versions, seed, kind of machine and date."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import scipy
import torch

import dwiser

RESULTS = Path(__file__).parent / "results"


def machine_kind() -> dict[str, Any]:
    """What the figures were measured on, without naming the machine."""
    cpu = "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":")[1].strip() if names else cpu
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


def stamp(seed: int) -> dict[str, Any]:
    """Date, seed, kind of machine and versions: what every recorded result carries."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "machine": machine_kind(),
        "versions": {
            "dwiser": dwiser.__version__,
            "python": platform.python_version(),
            "numpy": numpy.__version__,
            "scipy": scipy.__version__,
            "torch": torch.__version__,
        },
    }


def rounded(value: Any, digits: int = 5) -> Any:
    """Plain values, numbers of so many significant digits; in dictionaries and lists too."""
    if isinstance(value, dict):
        return {k: rounded(v, digits) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v, digits) for v in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float | numpy.floating) else value


def recorded(name: str, about: dict[str, Any]) -> dict[str, Any]:
    """What ``benchmarks/results/NAME.json`` holds, if it is ``about`` the same; else nothing."""
    path = RESULTS / f"{name}.json"
    old: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    same: dict[str, Any] = json.loads(json.dumps(about))
    return old if old and {**old, **same} == old else {}


def save(name: str, seed: int, figures: dict[str, Any]) -> Path:
    """Write ``benchmarks/results/NAME.json``; returns its path."""
    record = {"benchmark": name, **stamp(seed), **figures}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path
