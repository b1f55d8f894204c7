"""Gradient tables as text: FSL's bvals, one row, and bvecs, three; MRtrix's, four columns."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dwiser.errors import Code, InputError
from dwiser.gradient_lengths import check_unit
from dwiser.io.about import FilePath, about
from dwiser.io.gradient_table import ReadGradients, repeated, table_repeats
from dwiser.io.number_table import read_number_table, size_of
from dwiser.scan import Gradients

LONGEST = 1.1  # a component of a vector, at most


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
        table = read_number_table(path, matrices=False)
        if min(table.shape) > 1:
            raise InputError(
                f"It holds a {size_of(table)} table, b-values are one row: give the .bval file.",
                code=Code.GRADIENTS_FORMAT,
            )
        bvals = table.ravel()
        _check_bvals(bvals)
    return bvals


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
        table = read_number_table(path, matrices=False)
        if 3 not in table.shape:
            raise InputError(
                f"It holds a {size_of(table)} table, b-vectors are 3×N or N×3: give the .bvec "
                "file.",
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
        table = read_number_table(path, matrices=False)
        if table.shape[1] != 4:
            raise InputError(
                f"It holds a {size_of(table)} table, and --grad has four columns (x, y, z, b) in "
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
        _check_bvals(bvals)
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


def _check_bvals(bvals: Float[np.ndarray, "v"]) -> None:
    """Refuse b-values that are no numbers of s/mm²."""
    if not np.isfinite(bvals).all() or (bvals < 0).any():
        raise InputError(
            "The b-values hold a negative, NaN or infinite number: correct them.",
            code=Code.GRADIENTS_VALUES,
        )
    check_unit(bvals)


def _row(values: Iterable[float]) -> str:
    # the shortest decimals that read back as the same double
    return " ".join(np.format_float_positional(v, trim="-") for v in values) + "\n"
