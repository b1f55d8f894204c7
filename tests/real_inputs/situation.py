"""A situation that real scans bring: how it is made, what a user expects, where it was reported.

A situation starts from a small simulated series. ``change`` turns it into what scanners,
converters and people make of one, ``commands`` are what a user types in the folder that holds it,
and ``check`` asserts what the user then expects. ``scripts/real_inputs.py`` writes the table of
all of them to docs/reference/real-inputs.md.
"""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from dwiser.cli import main
from dwiser.io import save_volume, write_bvals, write_bvecs
from dwiser.io.gradient_table import ReadGradients
from dwiser.simulation import Simulation, phantom
from tests.refusals import assert_says, sentences

QUIET = {"denoise": ("--threads", "1"), "bids": ("--threads", "1")}


@cache
def s20() -> Simulation:
    """2 b0s and 18 directions at b=1000, SNR 20: 24×24×10 voxels."""
    return phantom(shape=(24, 24, 10), shells=((1000.0, 18),), n_b0=2, snr=20.0, seed=5)


@cache
def small20() -> Simulation:
    """The same protocol on 14×14×6 voxels: where bits count, and no error."""
    return phantom(shape=(14, 14, 6), shells=((1000.0, 18),), n_b0=2, snr=20.0, seed=5)


@cache
def s36() -> Simulation:
    """4 b0s, 16 directions at b=1000 and 16 at b=2000, SNR 20: 24×24×10 voxels."""
    shells = ((1000.0, 16), (2000.0, 16))
    return phantom(shape=(24, 24, 10), shells=shells, n_b0=4, snr=20.0, seed=5)


@cache
def s7() -> Simulation:
    """1 b0 and 6 directions, 10×11×5 voxels: where only the words matter."""
    return phantom(shape=(10, 11, 5), shells=((1000.0, 6),), n_b0=1, snr=20.0, seed=4)


@dataclass(eq=False)
class Series:
    """What a situation changes before it is written: a series, its table, files beside it.

    Parameters
    ----------
    made : the simulation, whose truth is known.
    folder : where all is written.
    data : (X, Y, Z, V) float32, a copy of the noisy series.
    bvals, bvecs : (V,) in s/mm² and (V, 3); each None to write no file.
    name : of the series' files, without ending; None to write no series.
    files : further files by their name in the folder: text, bytes, values for a JSON file, or a
        path for a symbolic link to it.
    """

    made: Simulation
    folder: Path
    data: np.ndarray
    bvals: np.ndarray | None
    bvecs: np.ndarray | None
    name: str | None = "dwi"
    files: dict[str, str | bytes | dict[str, Any] | Path] = field(default_factory=dict)

    def append(self, volume: np.ndarray, bval: float = 0.0, bvec: Any = (0.0, 0.0, 0.0)) -> None:
        """Put one more volume (X, Y, Z) at the end, with its row of the table."""
        assert self.bvals is not None
        assert self.bvecs is not None
        self.data = np.concatenate([self.data, volume[..., None]], axis=3).astype(np.float32)
        self.bvals = np.append(self.bvals, bval)
        self.bvecs = np.concatenate([self.bvecs, np.array([bvec], float)])

    def save(self, data: np.ndarray, name: str) -> None:
        """Write an image on the series' grid now."""
        save_volume(np.asarray(data, np.float32), self.folder / name, like=self.made.scan)

    def write(self) -> None:
        """Write the series and the files beside it."""
        if self.name is not None:
            base = self.folder / self.name
            base.parent.mkdir(parents=True, exist_ok=True)
            self.save(self.data, f"{self.name}.nii.gz")
            count = self.data.shape[3]
            bvals = np.zeros(count) if self.bvals is None else self.bvals
            bvecs = np.zeros((len(bvals), 3)) if self.bvecs is None else self.bvecs
            none = np.zeros(len(bvals)), np.zeros((len(bvals), 3))
            table = ReadGradients(*none, raw_bvals=bvals, raw_bvecs=bvecs)
            if self.bvals is not None:
                write_bvals(table, self.folder / f"{self.name}.bval")
            if self.bvecs is not None:
                write_bvecs(table, self.folder / f"{self.name}.bvec")
        for name, content in self.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if isinstance(content, Path):
                path.symlink_to(content)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                text = json.dumps(content) if isinstance(content, dict) else content
                path.write_text(text, encoding="utf-8")


@dataclass(frozen=True, eq=False)
class Ran:
    """What the last command came to.

    ``appeared`` are the files that it wrote, relative to the folder.
    """

    series: Series
    exit_code: int
    out: str
    err: str
    appeared: frozenset[str]

    def image(self, name: str = "out.nii.gz") -> np.ndarray:
        """The voxels (X, Y, Z, V) of an image in the folder."""
        return np.asarray(nib.load(self.series.folder / name).dataobj, np.float32)

    def record(self, name: str = "out.json") -> dict[str, Any]:
        """A JSON file in the folder."""
        values: dict[str, Any] = json.loads((self.series.folder / name).read_text())
        return values

    def ok(self, *named: object) -> None:
        """It ended well, and what it printed names each of these, one after the other."""
        assert self.exit_code == 0, self.err
        assert "Traceback" not in self.err
        assert_says((self.out + " " + self.err).replace("\n", " "), *named)

    def refused(self, *named: object) -> None:
        """One sentence that names each of these in turn, exit code 2, nothing written."""
        assert self.exit_code == 2, f"exit {self.exit_code}: {self.out}{self.err}"
        lines = sentences(self.err)
        assert len(lines) == 1, self.err
        assert lines[0].startswith("dwiser: ")
        assert lines[0].endswith((".", "?"))
        assert_says(lines[0], *named)
        assert not self.appeared

    def error(self, image: np.ndarray | None = None, volumes: Any = slice(None)) -> float:
        """RMSE of ``volumes`` in the object, in σ: the raw series has about 1."""
        made = self.series.made
        image = self.image() if image is None else image
        count = made.truth.shape[3]
        off = image[..., :count][..., volumes] - made.truth[..., volumes]
        return float(np.sqrt(np.mean((off[made.mask] / made.sigma[made.mask][:, None]) ** 2)))


@dataclass(frozen=True)
class Situation:
    """One row of the table.

    Parameters
    ----------
    name : of the test, lower case and hyphens.
    reported : where, as "owner/repository #number"; empty if nobody is known to have.
    happens : what a user has, in one sentence.
    expected : what the user then gets.
    before : what dwiser 0.2.0 did.
    change : turns the simulated series into the user's.
    check : asserts what is expected of the last command.
    commands : typed one after the other in the folder; all but the last must end well.
    base : which simulated series it starts from.
    """

    name: str
    reported: tuple[str, ...]
    happens: str
    expected: str
    before: str
    change: Callable[[Series], None]
    check: Callable[[Ran], None]
    commands: tuple[str, ...] = ("denoise dwi.nii.gz out.nii.gz",)
    base: Callable[[], Simulation] = s20


def run(
    situation: Situation, folder: Path, capsys: pytest.CaptureFixture[str]
) -> Ran:  # the folder is the working directory
    """Make the situation in ``folder`` and do what its user does."""
    made = situation.base()
    scan = made.scan
    table = scan.gradients
    series = Series(made, folder, scan.data.copy(), table.bvals.copy(), table.bvecs.copy())
    situation.change(series)
    series.write()
    for command in situation.commands[:-1]:
        assert main(_words(command)) == 0, capsys.readouterr().err
    capsys.readouterr()
    before = _files(folder)
    exit_code = main(_words(situation.commands[-1]))
    printed = capsys.readouterr()
    return Ran(series, exit_code, printed.out, printed.err, frozenset(_files(folder) - before))


def _words(command: str) -> list[str]:
    words = shlex.split(command)
    return [*words, *QUIET.get(words[0], ())]


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
