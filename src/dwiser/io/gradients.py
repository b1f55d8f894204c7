"""Gradient tables as text: FSL's bvals, one row, and bvecs, three; MRtrix's, four columns."""

import math
import shlex
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from dwiser.errors import Code, InputError
from dwiser.gradient_lengths import check_unit
from dwiser.io.about import FilePath, about, check_contents
from dwiser.scan import Gradients

MATRIX_COLUMNS = 6  # of a symmetric matrix, in AFNI's and TORTOISE's tables
LONGEST = 1.1  # a component of a vector, at most
TOKEN_SHOWN = 20  # characters of an unreadable number that an error quotes


@dataclass(frozen=True, eq=False)
class ReadGradients(Gradients):
    """Gradients that keep the table as their files had it: b0 vectors, lengths and all.

    Parameters
    ----------
    raw_bvals : (V,) float, s/mm²
    raw_bvecs : (V, 3) float
    repeats : how many times in a row the files' table stands here, for an image of five axes.
    """

    _: KW_ONLY
    raw_bvals: Float[np.ndarray, "v"]
    raw_bvecs: Float[np.ndarray, "v 3"]
    repeats: int = 1

    @property
    def written(self) -> tuple[Float[np.ndarray, "w"], Float[np.ndarray, "w 3"]]:
        """b-values and vectors as the files had them, once."""
        once = len(self) // self.repeats
        return self.raw_bvals[:once], self.raw_bvecs[:once]

    def take(self, volumes: Shaped[np.ndarray, "n"]) -> Gradients:
        """The rows of some volumes; a file of them has a row for each."""
        part = super().take(volumes)
        object.__setattr__(part, "repeats", 1)
        return part


def read_bvals(path: FilePath) -> Float[np.ndarray, "v"]:
    """Read b-values, written as one row or one column.

    Parameters
    ----------
    path : a text file in FSL's format.

    Returns
    -------
    (V,) float, in s/mm²

    Raises
    ------
    InputError
        If the file cannot be read, is no row of numbers, or holds a negative, NaN or
        infinite one.

    Examples
    --------
    >>> from dwiser.io import read_bvals
    >>> from dwiser.io.sample import sample_paths
    >>> read_bvals(sample_paths().bval).max()
    np.float64(1000.0)
    """
    with about(path):
        table = _read_table(Path(path))
        _refuse_matrices(table, Path(path))
        if min(table.shape) > 1:
            raise InputError(
                f"It holds a {_size(table)} table, b-values are one row: give the .bval file.",
                code=Code.GRADIENTS_FORMAT,
            )
        if not np.isfinite(table).all() or (table < 0).any():
            raise InputError(
                "The b-values hold a negative, NaN or infinite number: correct them.",
                code=Code.GRADIENTS_VALUES,
            )
        check_unit(table.ravel())
    return table.ravel()


def read_bvecs(path: FilePath) -> Float[np.ndarray, "v 3"]:
    """Read b-vectors from a 3×N or an N×3 table.

    A 3×3 table is read as FSL writes it, one vector a column. Lengths are not checked
    here: a b0's vector may be anything.

    Parameters
    ----------
    path : a text file in FSL's format.

    Returns
    -------
    (V, 3) float, in the image's voxel axes

    Raises
    ------
    InputError
        If the file cannot be read or neither side of the table is 3.

    Examples
    --------
    >>> from dwiser.io import read_bvecs
    >>> from dwiser.io.sample import sample_paths
    >>> read_bvecs(sample_paths().bvec).shape
    (41, 3)
    """
    with about(path):
        table = _read_table(Path(path))
        _refuse_matrices(table, Path(path))
        if 3 not in table.shape:
            raise InputError(
                f"It holds a {_size(table)} table, b-vectors are 3×N or N×3: give the .bvec file.",
                code=Code.GRADIENTS_FORMAT,
            )
    return np.ascontiguousarray(table.T) if table.shape[0] == 3 else table


def read_grad(path: FilePath) -> Float[np.ndarray, "v 4"]:
    """Read a whole gradient table in scanner axes: MRtrix's ``-grad`` format.

    Parameters
    ----------
    path : a text file with x, y, z (right, front, up) and the b-value in each row; what follows
        a # is passed over.

    Returns
    -------
    (V, 4) float, b-values in s/mm² last

    Raises
    ------
    InputError
        If the file cannot be read, has not four columns, or holds a b-value that is negative, NaN
        or infinite.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import read_grad
    >>> _ = Path("grad.b").write_text("1 0 0 1000")
    >>> read_grad("grad.b").tolist()
    [[1.0, 0.0, 0.0, 1000.0]]
    """
    with about(path):
        table = _read_table(Path(path))
        _refuse_matrices(table, Path(path))
        if table.shape[1] != 4:
            raise InputError(
                f"It holds a {_size(table)} table, and --grad has four columns (x, y, z, b) in "
                "scanner axes: give that, or --bval and --bvec.",
                code=Code.GRADIENTS_FORMAT,
            )
        bvals = table[:, 3]
        if np.abs(bvals).max() <= LONGEST < table[:, 0].max() and table[:, 0].min() >= 0:
            raise InputError(
                "Its first column looks like the b-values, and --grad has them last: give x, y, z "
                "and b in each row, with vectors in scanner axes.",
                code=Code.GRADIENTS_FORMAT,
            )
        if not np.isfinite(bvals).all() or (bvals < 0).any():
            raise InputError(
                "The b-values hold a negative, NaN or infinite number: correct them.",
                code=Code.GRADIENTS_VALUES,
            )
        check_unit(bvals)
    return table


def read_gradients(
    bval: FilePath,
    bvec: FilePath,
    *,
    volumes: int | tuple[int, ...],
    **options: Any,
) -> ReadGradients:
    """Read the gradient table of a series.

    Parameters
    ----------
    bval, bvec : text files in FSL's format.
    volumes : how many the series has; of an image of five axes or more, its sizes from the fourth
        on: then the table may have a row for each volume of the fourth axis, which count for all
        further ones, or a row for each volume of all.
    options : of `Gradients`: ``b0_threshold``, ``bvalue_scaling``, ``b_delta``, ``echoes``.

    Returns
    -------
    ReadGradients
        The table, and the numbers as the files had them.

    Raises
    ------
    InputError
        If a file cannot be read, does not have one entry a volume, or holds DWI
        directions of a length that `Gradients` refuses; the message names the file.

    Examples
    --------
    >>> from dwiser.io import read_gradients
    >>> from dwiser.io.sample import sample_paths
    >>> sample = sample_paths()
    >>> int(read_gradients(sample.bval, sample.bvec, volumes=41).is_b0.sum())
    1
    """
    axes = (volumes,) if isinstance(volumes, int) else volumes
    bvals, bvecs = read_bvals(bval), read_bvecs(bvec)
    for path, name, table in ((bval, "b-values", bvals), (bvec, "b-vectors", bvecs)):
        with about(path):
            table_repeats(len(table), axes, name)
    if len(bvals) != len(bvecs):
        raise InputError(
            f"{bvec}: there are {len(bvecs)} b-vectors and {len(bvals)} b-values: give as many.",
            code=Code.GRADIENTS_LENGTH,
        )
    with about(bvec):
        return repeated(bvals, bvecs, axes, **options)


def table_repeats(rows: int, axes: tuple[int, ...], name: str, remedy: str = "") -> int:
    """How many times a table of so many rows stands for the volumes along ``axes``.

    Parameters
    ----------
    rows : of the table.
    axes : of the image, from the fourth on.
    name : what the rows are called.
    remedy : what to do about another number; by default to give the right table.

    Raises
    ------
    InputError
        For a number of rows that is neither that of all volumes nor that of the fourth axis.
    """
    every = math.prod(axes)
    if rows == every:
        return 1
    if rows == axes[0]:
        return every // rows
    remedy = remedy or "give the table that belongs to it"
    if len(axes) == 1:
        raise InputError(
            f"There are {rows} {name} for the {every} volumes of the image: {remedy}.",
            code=Code.GRADIENTS_LENGTH,
        )
    raise InputError(
        f"There are {rows} {name} for {axes[0]} volumes in each of {every // axes[0]} series (the "
        f"image's fifth axis): {axes[0]} for all of them or {every} are needed, {remedy}.",
        code=Code.GRADIENTS_LENGTH,
    )


def repeated(
    bvals: Float[np.ndarray, "w"],
    bvecs: Float[np.ndarray, "w 3"],
    axes: tuple[int, ...],
    **options: Any,
) -> ReadGradients:
    """A table for all volumes along ``axes``, from the rows of a file.

    Parameters
    ----------
    bvals, bvecs : of all volumes, or of those of the fourth axis.
    axes : of the image, from the fourth on.
    options : of `Gradients`.
    """
    repeats = table_repeats(len(bvals), axes, "rows")
    bvals, bvecs = np.tile(bvals, repeats), np.tile(bvecs, (repeats, 1))
    return ReadGradients(bvals, bvecs, **options, raw_bvals=bvals, raw_bvecs=bvecs, repeats=repeats)


def write_bvals(gradients: Gradients, path: FilePath) -> None:
    """Write the b-values as one row; reading them gives the same numbers to the last bit.

    Parameters
    ----------
    gradients : the table; one that was read is written with its original numbers.
    path : the text file; an existing one is replaced.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from dwiser.io import read_bvals, write_bvals
    >>> from dwiser.simulation import scheme
    >>> write_bvals(scheme(((1000.0, 6),), n_b0=1), "dwi.bval")
    >>> read_bvals("dwi.bval").tolist()
    [0.0, 1000.0, 1000.0, 1000.0, 1000.0, 1000.0, 1000.0]
    """
    raw = gradients.written[0] if isinstance(gradients, ReadGradients) else gradients.bvals
    Path(path).write_text(_row(raw))


def write_bvecs(gradients: Gradients, path: FilePath) -> None:
    """Write the b-vectors as three rows.

    Parameters
    ----------
    gradients : the table; one that was read is written with its original numbers.
    path : the text file; an existing one is replaced.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from dwiser.io import read_bvecs, write_bvecs
    >>> from dwiser.simulation import scheme
    >>> table = scheme(((1000.0, 6),), n_b0=1)
    >>> write_bvecs(table, "dwi.bvec")
    >>> bool((read_bvecs("dwi.bvec") == table.bvecs).all())
    True
    """
    raw = gradients.written[1] if isinstance(gradients, ReadGradients) else gradients.bvecs
    Path(path).write_text("".join(_row(axis) for axis in raw.T))


def read_numbers(path: FilePath, name: str) -> Float[np.ndarray, "n"]:
    """Read numbers, written as one row or one column.

    Parameters
    ----------
    path : a text file.
    name : what the numbers are, for the error.

    Returns
    -------
    (n,) float

    Raises
    ------
    InputError
        If the file cannot be read, or is no row of numbers.
    """
    with about(path):
        table = _read_table(Path(path))
        if min(table.shape) > 1:
            raise InputError(
                f"It holds a {_size(table)} table, and {name} is one number a volume: give one "
                "row of them.",
                code=Code.GRADIENTS_FORMAT,
            )
    return table.ravel()


def _refuse_matrices(table: Float[np.ndarray, "rows columns"], path: Path) -> None:
    """b-matrices have six columns, and no order of them is told by the file."""
    if table.shape[1] != MATRIX_COLUMNS or table.shape[0] in (1, 3):
        return
    vectors, values = (str(path.with_suffix(end)) for end in (".bvec", ".bval"))
    words = ("1dDW_Grad_o_Mat++", "-in_col_matA", str(path), "-unit_mag_out", "-out_row_vec")
    command = shlex.join((*words, vectors, "-out_row_bval_sep", values))
    raise InputError(
        "It holds b-matrices of six columns, as AFNI and TORTOISE have them: convert it with "
        f"AFNI's `{command}` (-in_col_matT for TORTOISE's order).",
        code=Code.GRADIENTS_FORMAT,
    )


def _row(values: Iterable[float]) -> str:
    # the shortest decimals that read back as the same double
    return " ".join(np.format_float_positional(v, trim="-") for v in values) + "\n"


def _read_table(path: Path) -> Float[np.ndarray, "rows columns"]:
    """Numbers in rows, apart by blanks or commas; comments begin with #."""
    check_contents(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            "It is not a text file: give numbers in FSL's format.", code=Code.GRADIENTS_FORMAT
        ) from error
    lines = [line.partition("#")[0].replace(",", " ") for line in lines]
    rows = [[_number(token) for token in line.split()] for line in lines]
    rows = [row for row in rows if row]
    if not rows:
        raise InputError("It is empty: give numbers in FSL's format.", code=Code.GRADIENTS_FORMAT)
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise InputError(
            f"Its rows are not equally long ({lengths[0]} to {lengths[-1]} numbers): correct them.",
            code=Code.GRADIENTS_FORMAT,
        )
    return np.array(rows, float)


def _number(token: str) -> float:
    try:
        return float(token)
    except ValueError as error:
        shown = token[:TOKEN_SHOWN] + ("…" if len(token) > TOKEN_SHOWN else "")
        raise InputError(
            f"It holds {shown!r} where a number should be: correct it.", code=Code.GRADIENTS_FORMAT
        ) from error


def _size(table: np.ndarray) -> str:
    return f"{table.shape[0]}×{table.shape[1]}"
