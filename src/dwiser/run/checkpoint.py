"""The checkpoint beside OUT while a method trains, and resuming from it after a kill."""

import hashlib
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dwiser import __version__
from dwiser.defaults import BValueScaling
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.io import read_tensors, sha256, stem, write_tensors
from dwiser.methods.base import Course, Denoiser, IterativeDenoiser
from dwiser.run.reuse import arrays_of, begin_with, check_reusable, tensors_of

if TYPE_CHECKING:  # it needs torch, which a method without training does not
    from dwiser.learn.checkpointing import Snapshot
else:
    Snapshot = Any

KIND, APART = "checkpoint", "/"
LONGEST_NAME = 255  # bytes; of ext4, xfs, APFS and NFS
EVERY = 60.0  # seconds between two checkpoints
WORDS = {
    "input": "the input files", "method": "the method", "parameters": "its settings",
    "seed": "the seed", "start": "the weights to start with", "b0_threshold": "the b0 threshold",
    "bvalue_scaling": "the b-value scaling", "b_delta": "the b-delta",
}  # fmt: skip


def checkpoint_path(out: Path) -> Path:
    """Of the checkpoint: a hidden file beside OUT, of OUT's name while a file system takes it."""
    base = stem(out)
    ending = ".dwiser-checkpoint.safetensors"
    if len(os.fsencode(base.name)) + 1 + len(ending) > LONGEST_NAME:
        return base.with_name(f".{hashlib.sha256(os.fsencode(base.name)).hexdigest()}{ending}")
    return base.with_name(f".{base.name}{ending}")


@dataclass(frozen=True)
class Run:
    """What identifies a run: a resumed one must have the same values."""

    out: Path
    method: Denoiser
    seed: int
    b0_threshold: float
    bvalue_scaling: BValueScaling
    inputs: tuple[Path, ...]
    start: Path | None = None
    noise_volumes: str | None = None
    b_delta: str | None = None

    @property
    def path(self) -> Path:
        """Where its checkpoint is."""
        return checkpoint_path(self.out)

    def metadata(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "input": [sha256(file) for file in self.inputs],
            "method": self.method.name,
            "parameters": asdict(self.method),
            "seed": self.seed,
            "b0_threshold": self.b0_threshold,
            "bvalue_scaling": self.bvalue_scaling,
            "noise_volumes": self.noise_volumes,
            "b_delta": self.b_delta,
            "start": None if self.start is None else sha256(self.start),
        }


def course_of(run: Run, *, resume: bool, every: float = EVERY) -> Course:
    """A course that is written beside OUT during training; ``run.path`` is removed at the end.

    With ``resume`` it is read first, if it exists and is of the same run.

    Raises
    ------
    InputError
        For a checkpoint of another run, or one that cannot be read.
    """
    from dwiser.learn import checkpointing

    metadata = run.metadata()
    snapshots, counted = _resumed(run, metadata) if resume else ({}, {})
    start = {} if run.start is None else begin_with(run.start, run.method)
    return checkpointing.Course(start, snapshots, counted, _Writer(run.path, metadata), every)


class _Writer:
    """Writes a course; a full disk costs the checkpoint, not the run."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path, self.run, self.warned = path, run, False

    def __call__(self, course: Course) -> None:
        tensors = {
            f"{task}{APART}{name}": array
            for task, snapshot in course.snapshots.items()
            for name, array in arrays_of(snapshot.tensors).items()
        }
        tasks = {task: snapshot.metadata for task, snapshot in course.snapshots.items()}
        metadata = {
            "kind": KIND,
            "version": __version__,
            "run": self.run,
            "counted": course.counted,
            "tasks": tasks,
        }
        try:
            write_tensors(self.path, tensors, metadata)
        except OSError as error:
            if not self.warned:
                warnings.warn(
                    f"{self.path}: no checkpoint can be written ({error.strerror}); the training "
                    "goes on, and would begin anew if it were broken off.",
                    DwiserWarning,
                    stacklevel=2,
                )
            self.warned = True


def _resumed(run: Run, expected: dict[str, Any]) -> tuple[dict[str, Snapshot], dict[str, Any]]:
    if not run.path.exists():
        warnings.warn(
            f"{run.out}: there is no checkpoint beside it: the training begins anew.",
            DwiserWarning,
            stacklevel=4,
        )
        return {}, {}
    arrays, metadata = read_tensors(run.path)
    of_run = metadata.get("run", {}) if metadata.get("kind") == KIND else {}
    other = [words for name, words in WORDS.items() if of_run.get(name) != expected[name]]
    if other:
        raise InputError(
            f"{run.path}: this checkpoint is of another run, {' and '.join(other)} changed: call "
            "as before, or leave out --resume to begin anew.",
            code=Code.CHECKPOINT_OTHER_RUN,
        )
    from dwiser.learn import checkpointing

    tensors: dict[str, dict[str, Any]] = {task: {} for task in metadata["tasks"]}
    for key, tensor in tensors_of(arrays).items():
        task, _, name = key.partition(APART)
        tensors[task][name] = tensor
    snapshots = {
        t: checkpointing.Snapshot(tensors[t], values) for t, values in metadata["tasks"].items()
    }
    return snapshots, dict(metadata["counted"])


def check_training(method: Denoiser, *, resume: bool, start: Path | None) -> bool:
    """Whether the method trains; --resume and --warm-start are refused where it does not.

    Raises
    ------
    InputError
        For a checkpoint or weights to go on from, and a method that does not train.
    """
    trains = isinstance(method, IterativeDenoiser)
    if resume and not trains:
        raise InputError(
            f"{method.name} does not train, there is nothing to go on from: drop --resume.",
            code=Code.METHOD_NO_WEIGHTS,
        )
    if start is not None:
        check_reusable(method, "--warm-start")
    return trains
