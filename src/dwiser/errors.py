"""Errors for people: one sentence each, what is wrong with which file, and what to do.

The sentence is for people and may be reworded; ``error.code`` is for programs and is kept.
"""

import copyreg
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """The kinds of fault, one for each that a program may want to treat in its own way.

    A code is its string (``error.code == "file.missing"``). ``sentence`` says what is wrong and,
    after the colon, what to do; docs/reference/errors.md is written from it.
    """

    sentence: str

    def __new__(cls, value: str, sentence: str) -> "Code":
        code = str.__new__(cls, value)
        code._value_, code.sentence = value, sentence
        return code

    # fmt: off
    FILE_MISSING = ("file.missing",
        "There is no such file or folder: check its name, or put it there")
    FILE_KIND = ("file.kind",
        "A folder stands where a file is needed, or a file where a folder is: give the other")
    FILE_PERMISSION = ("file.permission",
        "A file may not be read: check its permissions")
    FILE_UNREADABLE = ("file.unreadable",
        "The system failed to read a file: check the file and its disk")
    FILE_NOT_FETCHED = ("file.not_fetched",
        "A file is a link to contents that are elsewhere: fetch them, such as with `datalad get`")
    FILE_CHANGED = ("file.changed",
        "A file changed while it was read: run it again")
    FILE_ENDING = ("file.ending",
        "A file's name has an ending that is not its format's: rename it")

    IMAGE_FORMAT = ("image.format",
        "An image's format or type is not read, or not what its name says: convert or rename it")
    IMAGE_DAMAGED = ("image.damaged",
        "An image is empty, cut off or corrupt: export or copy it again")
    IMAGE_KIND = ("image.kind",
        "An image holds colours or complex numbers where real ones are needed: give magnitudes")
    IMAGE_DIMENSIONS = ("image.dimensions",
        "An image has the wrong number of dimensions, volumes or voxels: give the right one")
    IMAGE_AFFINE = ("image.affine",
        "An affine is no matrix from voxels to mm: repair the header, or give the affine")
    IMAGE_NOT_FINITE = ("image.not_finite",
        "An image holds NaN or infinite values: replace them first")
    IMAGE_VALUES = ("image.values",
        "A series is all zero, partly negative or has huge numbers: give magnitudes, scaled down")

    GRID_SHAPE = ("grid.shape",
        "An image has not the shape of the scan: give one on the scan's grid")
    GRID_AFFINE = ("grid.affine",
        "An image has not the affine of the scan: give one on the scan's grid, or repair it")
    MASK_EMPTY = ("mask.empty",
        "A mask or region holds no voxel: give one that covers the object")
    SCANS_DIFFER = ("scans.differ",
        "Two scans do not lie on one grid: bring them onto one, or use each by itself")
    SCAN_TOO_SMALL = ("scan.too_small",
        "A scan has too few voxels along an axis or in its mask: give more, or take another method")

    GRADIENTS_MISSING = ("gradients.missing",
        "A scan has no b-values or b-vectors: put them beside it, or name them")
    GRADIENTS_FORMAT = ("gradients.format",
        "A gradient table is no table of numbers in FSL's form: correct the file")
    GRADIENTS_LENGTH = ("gradients.length",
        "A gradient table has not an entry for each volume: give the one that belongs to it")
    GRADIENTS_VALUES = ("gradients.values",
        "A b-value is negative or not finite, or a b-vector is no unit vector: correct it")
    GRADIENTS_NO_B0 = ("gradients.no_b0",
        "A scan has no b0, which is needed: give one, or take another method")
    GRADIENTS_TOO_FEW = ("gradients.too_few",
        "A scan has too few directions for the method: take another method or setting")

    PHASE_VALUES = ("phase.values",
        "A phase is in no known unit: rescale it to radians")
    NOISE_VALUES = ("noise.values",
        "A σ map is no standard deviation in the scan's units: give the noise's sd")
    TRANSFORM_FORMAT = ("transform.format",
        "A text file is no linear transform: give 4 rows of 4 numbers, as MRtrix writes them")
    TRUTH_VALUES = ("truth.values",
        "A reference image is not what it is given as: give labels, or fractions from 0 to 1")
    SIDECAR_FORMAT = ("sidecar.format",
        "A JSON file is not readable, or lacks what it should hold: correct or remove it")

    BIDS_INVALID = ("bids.invalid",
        "A folder is no valid BIDS dataset: correct it, or skip the check")
    BIDS_NO_SERIES = ("bids.no_series",
        "A dataset has no such series, participant or session: check the folder and the labels")

    ARGUMENT_MISSING = ("argument.missing",
        "An option or argument needs another one with it: give that too")
    ARGUMENT_CONFLICT = ("argument.conflict",
        "Two things exclude each other, or one is given twice: leave one out")
    ARGUMENT_VALUE = ("argument.value",
        "An option or argument has a value that it cannot have: give one that the error names")
    ARGUMENT_TYPE = ("argument.type",
        "A Python argument is of a type that is not taken: call as the error shows")

    METHOD_UNKNOWN = ("method.unknown",
        "There is no method of this name: see `dwiser methods`")
    METHOD_PHASE = ("method.phase",
        "The method cannot use a phase: give the magnitude alone, or take one that can")
    METHOD_UNCERTAINTY = ("method.uncertainty",
        "The method gives no uncertainty: do not ask for it, or take one that does")
    METHOD_RANK = ("method.rank",
        "The method tells no rank: do not ask for it, or take one that does")
    METHOD_NO_WEIGHTS = ("method.no_weights",
        "The method has no weights to keep, use or go on from: leave them out, or take another")
    METHOD_NOTHING_TO_LEARN = ("method.nothing_to_learn",
        "The method finds nothing in the scan to learn from: check the scan, or take another")
    METHOD_DIVERGED = ("method.diverged",
        "The training diverged and gave NaN: lower the learning rate")
    PRESET_UNKNOWN = ("preset.unknown",
        "The method has no preset of this name: see `dwiser methods NAME`")
    SETTING_UNKNOWN = ("setting.unknown",
        "The method has no setting of this name: see `dwiser methods NAME`")
    SETTING_VALUE = ("setting.value",
        "A setting of the method has a value that it cannot have: give one that the error names")

    PROGRAM_MISSING = ("program.missing",
        "A program or package is not installed, or too old or new: install it as the error says")
    PROGRAM_FAILED = ("program.failed",
        "Another program that does the denoising failed: see its own words in the error")
    DEVICE_MISSING = ("device.missing",
        "There is no GPU that can be used: take the CPU")
    MEMORY_LIMIT = ("memory.limit",
        "It needs more memory than it may use: allow more, crop the scan, or take another method")
    MEMORY_RAN_OUT = ("memory.ran_out",
        "The memory ran out: end other programs, lower the batch, or give a mask")
    DISK_SCRATCH = ("disk.scratch",
        "The folder for temporary files is full: name another by TMPDIR, or allow more memory")
    DISK_SPACE = ("disk.space",
        "The output's disk has too little space for the next scan: make room and run it again")

    WEIGHTS_INVALID = ("weights.invalid",
        "A file holds no weights of dwiser, or is damaged: give another, or train anew")
    WEIGHTS_MISMATCH = ("weights.mismatch",
        "The weights are of another method, network or version: give fitting ones, or train anew")
    WEIGHTS_PROTOCOL = ("weights.protocol",
        "The weights are of another protocol than the scan's: train on this scan")
    CHECKPOINT_OTHER_RUN = ("checkpoint.other_run",
        "A checkpoint is of a run with other inputs or options: call as before, or begin anew")

    OUTPUT_EXISTS = ("output.exists",
        "An output exists already: give another name, or allow it to be replaced (`--force`)")
    OUTPUT_FOLDER = ("output.folder",
        "An output's folder does not exist or may not be written: create it, or choose another")
    OUTPUT_IS_INPUT = ("output.is_input",
        "An output has the name of an input: give another name")
    OUTPUT_SAME_NAME = ("output.same_name",
        "Two outputs have one name: give each its own")
    OUTPUT_FOREIGN = ("output.foreign",
        "The output folder holds another program's dataset: choose another folder")
    OUTPUT_NOT_WRITTEN = ("output.not_written",
        "An output could not be written to its end: make room, or check the folder")
    REPORT_FAILED = ("report.failed",
        "The report could not be drawn, the images are written: report the fault")
    VERDICT_FAIL = ("verdict.fail",
        "The verdict is FAIL: read the report before the result is used")
    VERDICT_MISSING = ("verdict.missing",
        "No verdict could be given, and one was asked for: see why in the error")

    CLUSTER_SETUP = ("cluster.setup",
        "Slurm is not set up for Dask: write its cores and memory in jobqueue.yaml")
    CLUSTER_UNREACHABLE = ("cluster.unreachable",
        "No Dask scheduler answers at the address: give the address of one that runs")
    CLUSTER_VERSION = ("cluster.version",
        "A worker has no dwiser, or another version: start it in this command's environment")
    CLUSTER_LOST = ("cluster.lost",
        "The Dask scheduler stopped: start one and run the same command again")
    SCAN_LOCKED = ("scan.locked",
        "Another process is at work on the scan: wait for it, or end it")
    MEASURE_IMPOSSIBLE = ("measure.impossible",
        "A metric needs something that the inputs do not have: see the error, or leave it out")
    # fmt: on


class DwiserError(Exception):
    """Something failed while running (exit code 1).

    Parameters
    ----------
    sentence : what is wrong, with which file, and what to do: for people.
    code : which kind of fault it is: for programs.

    Examples
    --------
    >>> import dwiser
    >>> try:
    ...     dwiser.load("missing.nii.gz")
    ... except dwiser.DwiserError as error:
    ...     print(error, error.code)
    missing.nii.gz: there is no such file: check the name. file.missing
    """

    exit_code = 1

    def __init__(self, sentence: str, *, code: Code) -> None:
        super().__init__(sentence)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:  # between processes: as it is, __init__ left out
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class InputError(DwiserError):
    """The input or the way dwiser was called is wrong (exit code 2); nothing was written.

    Examples
    --------
    >>> import dwiser
    >>> try:
    ...     dwiser.load("mask.mgz")
    ... except dwiser.InputError as error:
    ...     print(error.code == "file.missing")
    True
    """

    exit_code = 2


class DwiserWarning(UserWarning):
    """Something the user should know; printed, and written to the sidecar's ``Warnings``.

    Examples
    --------
    >>> import warnings, dwiser
    >>> warnings.simplefilter("error", dwiser.DwiserWarning)  # in a test: let none pass
    >>> warnings.resetwarnings()
    """


def unknown(kind: str, name: str, known: Iterable[str], *, code: Code) -> InputError:
    """An error for an unknown name, with the nearest known one suggested."""
    options = sorted(known)
    near = get_close_matches(name, options, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(options)}."
    return InputError(f"Unknown {kind} '{name}': {hint}", code=code)
