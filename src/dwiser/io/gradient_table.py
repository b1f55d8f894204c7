"""A gradient table that keeps the numbers of its files, for images of four axes and of more."""

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from dwiser.errors import Code, InputError
from dwiser.scan import Gradients


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
