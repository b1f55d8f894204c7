"""Tables of numbers in text files, as FSL, MRtrix and AFNI write them."""

import shlex
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath, about, check_contents

MATRIX_COLUMNS = 6  # of a symmetric matrix, in AFNI's and TORTOISE's tables
TOKEN_SHOWN = 20  # characters of an unreadable number that an error quotes


def read_number_table(
    path: FilePath, *, matrices: bool = True
) -> Float[np.ndarray, "rows columns"]:
    """Read numbers in rows, separated by blanks or commas; comments begin with #.

    Parameters
    ----------
    path : a text file.
    matrices : whether it may hold a b-matrix in each row, which no gradient table does.

    Returns
    -------
    (rows, columns) float

    Raises
    ------
    InputError
        If it holds no numbers, rows of different length, or b-matrices where ``matrices`` is False;
        without the file's name.
    """
    path = Path(path)
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
    values = np.array(rows, float)
    if not matrices:
        _refuse_matrices(values, path)
    return values


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
        table = read_number_table(path)
        if min(table.shape) > 1:
            raise InputError(
                f"It holds a {size_of(table)} table, and {name} is one number a volume: give one "
                "row of them.",
                code=Code.GRADIENTS_FORMAT,
            )
    return table.ravel()


def size_of(table: Float[np.ndarray, "rows columns"]) -> str:
    """Rows × columns, for an error."""
    return f"{table.shape[0]}×{table.shape[1]}"


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


def _number(token: str) -> float:
    try:
        return float(token)
    except ValueError as error:
        shown = token[:TOKEN_SHOWN] + ("…" if len(token) > TOKEN_SHOWN else "")
        raise InputError(
            f"It holds {shown!r} where a number should be: correct it.", code=Code.GRADIENTS_FORMAT
        ) from error
