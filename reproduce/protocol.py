"""What all experiments share: their settings, their record, their command line."""

import argparse
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.record import stamp
from dwiser.errors import DwiserError, DwiserWarning
from dwiser.machine import DEVICES, Machine, find_machine
from dwiser.methods.networked import Networked
from dwiser.scan import Scan
from reproduce.claims import Told

HOME = Path(__file__).parents[1]
RESULTS, TRIALS = HOME / "docs" / "results", HOME / "build" / "reproduce"
SETTINGS = "smoke", "here", "gpu", "full"
SEED = 310  # phantoms with seeds 300 to 399 are for published figures; nothing is tuned on them
DPI, DIGITS = 150, 6
Record = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """How large an experiment is.

    Parameters
    ----------
    shape, directions, b0s, snr : of the phantom; SNR of a b0 in white matter.
    preset, iterations : of the learned methods; None keeps the preset's number.
    seeds : how many phantoms, trainings or draws of a subset.
    more : what only one experiment needs.
    passes : over the scan, in place of iterations, for networks that learn from batches of slices.
    """

    shape: tuple[int, int, int] = (40, 48, 6)
    directions: int = 32
    b0s: int = 4
    snr: float = 20.0
    preset: str = "laptop"
    iterations: int | None = 300
    seeds: int = 3
    more: Mapping[str, Any] = field(default_factory=dict)
    passes: int | None = None

    def __getitem__(self, name: str) -> Any:
        return self.more[name]

    def trained(self, method: Networked, scan: Scan) -> int:
        """The iterations of a method on a scan: a pass shows as many items as it has DWI slices."""
        if self.passes is None:
            return self.iterations or method.iterations
        items = scan.shape[2] * int((~scan.gradients.is_b0).sum())
        return ceil(self.passes * items / method.batch)

    def told(self) -> Record:
        """The setting as plain values."""
        plain = {k: v for k, v in vars(self).items() if k != "more"}
        return {**plain, "shape": list(self.shape), **self.more}


PASSES = 281  # the poster's 100 000 iterations of 32 over the slices of its scan


def on_gpu(here: Setting) -> Setting:
    """The same small data with the paper's network, rate, batch and passes: minutes on one card."""
    return replace(here, preset="paper", iterations=None, passes=PASSES)


FULL = Setting((65, 78, 66), 64, 6, 20.0, "paper", None)  # the poster's budgets, a whole head


@dataclass(frozen=True)
class Run:
    """What an experiment is given: its setting, the first seed, the machine, and real data."""

    setting: Setting
    seed: int = SEED
    threads: int = 1
    data: Path | None = None
    say: Callable[[str], None] = print
    device: str = "cpu"

    @property
    def machine(self) -> Machine:
        return Machine(self.device, self.threads)


@dataclass(frozen=True)
class Experiment:
    """One of the poster's results.

    Parameters
    ----------
    measure : a run → figures as plain values.
    draw : a record → its figure, or None for a table.
    tell : a record → the claims, and Markdown for the page.
    """

    name: str
    title: str
    settings: Mapping[str, Setting]
    measure: Callable[[Run], Record]
    tell: Callable[[Record], Told]
    draw: Callable[[Record], Figure] | None = None

    def run(self, setting: str, run: Run, folder: Path) -> Path:
        """Measure, write the record and its figure; the record's path."""
        begun, worked = perf_counter(), process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DwiserWarning)
            figures = self.measure(run)
        record = {
            "experiment": self.name,
            "setting": setting,
            **stamp(run.seed),
            "seconds": round(perf_counter() - begun, 1),
            "cpu_seconds": round(process_time() - worked, 1),
            "threads": run.threads,
            "device": run.device,
            "size": run.setting.told(),
            **figures,
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        text = json.dumps(shortened(record), indent=1, allow_nan=False)
        path.write_text(text + "\n")
        self.drawn(folder)
        return path

    def drawn(self, folder: Path) -> None:
        """The figure of the record in a folder."""
        if self.draw is not None:
            record = json.loads((folder / f"{self.name}.json").read_text())
            self.draw(record).savefig(folder / f"{self.name}.png", dpi=DPI)


def shortened(value: Any) -> Any:
    """Plain values with six significant digits: no digit is kept that means nothing."""
    if isinstance(value, Mapping):
        return {str(k): shortened(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [shortened(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{float(value):.{DIGITS}g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def main(experiment: Experiment) -> None:
    """The command line of one experiment."""
    parser = argparse.ArgumentParser(
        prog=f"python -m reproduce.{experiment.name}", description=experiment.title
    )
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--data", type=Path, help="the poster's data: a NIfTI, or M4Raw's .h5")
    parser.add_argument("--seed", type=int, default=SEED, help="the first; others follow it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--device", choices=DEVICES, help="of the learned methods; auto, for the setting gpu cuda"
    )
    parser.add_argument("--out", type=Path, help="folder; docs/results, for smoke build/reproduce")
    parser.add_argument("--draw", action="store_true", help="only draw the recorded figure again")
    asked = parser.parse_args()
    folder = asked.out or (TRIALS if asked.setting == "smoke" else RESULTS)
    try:
        if asked.draw:
            experiment.drawn(folder)
            return
        device = asked.device or ("cuda" if asked.setting == "gpu" else "auto")
        machine = find_machine(device, asked.threads)
        run = Run(
            experiment.settings[asked.setting], asked.seed, machine.threads, asked.data,
            device=machine.device,
        )  # fmt: skip
        print(experiment.run(asked.setting, run, folder))
    except DwiserError as error:
        parser.exit(error.exit_code, f"{error}\n")
