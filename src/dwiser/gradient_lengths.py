"""b-vectors that are not of unit length: b-value scaling, rounding, or a wrong table.

Scanners that know one b-value only modulate it by the vectors' lengths: b·|g|² is what a volume
has then. The words are MRtrix's (``-bvalue_scaling``): yes, no, and automatic without them.
"""

import warnings
from collections.abc import Iterable
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float

from dwiser.defaults import BValueScaling
from dwiser.errors import Code, DwiserWarning, InputError

NULL = 0.01  # a shorter vector has no direction, and a ten-thousandth of b at most
UNIT_WARN, UNIT_FAIL = 0.01, 0.1  # how far from length 1 a b-vector may be
SAME_BVALUE = 0.05  # of the largest b: what DWIs of one nominal b-value may differ by
MOST_BVALUE = 1e6  # s/mm²; far above any gradient system, and 1 s/mm² in s/m²
SHOWN = 6  # runs of volumes that a sentence lists, and b-values


def unit_vectors(
    bvals: Float[np.ndarray, "v"],
    bvecs: Float[np.ndarray, "v 3"],
    is_dwi: Bool[np.ndarray, "v"],
    scaling: str,
) -> tuple[Float[np.ndarray, "v"], Float[np.ndarray, "v 3"]]:
    """b-values in effect and vectors of length 1; null for b0s and DWIs without a direction.

    Raises
    ------
    InputError
        For a DWI's vector that is not finite, and with ``auto`` for one off unit length by more
        than 0.1 where the lengths are not those of b-value scaling.
    """
    if scaling not in get_args(BValueScaling):
        raise InputError(
            f"--bvalue-scaling must be auto, yes or no, not {scaling}.", code=Code.ARGUMENT_VALUE
        )
    bvecs = np.where(is_dwi[:, None], bvecs, 0.0)
    bad = ~np.isfinite(bvecs).all(axis=1)
    if bad.any():
        raise InputError(
            f"The b-vectors of {_counted(bad, 'DWI')} hold NaN or infinite numbers, "
            "no direction: correct the table.",
            code=Code.GRADIENTS_VALUES,
        )
    length = np.linalg.norm(bvecs, axis=1)
    directed = is_dwi & (length >= NULL)
    unit = np.where(directed[:, None], bvecs / np.where(directed, length, 1.0)[:, None], 0.0)
    factor = np.where(directed, length, 0.0) ** 2
    if scaling == "no" or not is_dwi.any():
        return bvals, unit
    if scaling == "yes":
        return np.where(is_dwi, bvals * factor, bvals), unit
    off = np.where(directed, np.abs(length - 1), 0.0)
    if (off > UNIT_FAIL).any():
        scaled = np.where(is_dwi, bvals * factor, bvals)
        which = _counted(off > UNIT_FAIL, "DWI")
        if _written_once(bvals[is_dwi], length[is_dwi]):
            warnings.warn(
                f"The b-vectors of {which} are shorter than 1 as the roots of their b-values are, "
                f"which hold the scaling already: b was taken as it is written "
                f"({_by_bvalue(bvals)}); --bvalue-scaling yes takes b·|g|², as MRtrix does.",
                DwiserWarning,
                stacklevel=4,
            )
            return bvals, unit
        if not _scales(bvals[is_dwi], length[is_dwi]):
            raise _wrong_lengths(length, off > UNIT_FAIL)
        warnings.warn(
            f"The b-vectors of {which} are shorter than 1 under one b-value "
            f"({bvals[is_dwi].max():g} s/mm²), as where a scanner scales b by them: b·|g|² was "
            f"taken, as MRtrix does ({_by_bvalue(scaled)}); --bvalue-scaling no takes b as it is "
            "written.",
            DwiserWarning,
            stacklevel=4,
        )
        return scaled, unit
    if (off > UNIT_WARN).any():
        warnings.warn(
            f"{(off > UNIT_WARN).sum()} b-vectors were up to {off.max():.3f} off unit length "
            "and were normalised; --bvalue-scaling yes would take b·|g|².",
            DwiserWarning,
            stacklevel=4,
        )
    return bvals, unit


def check_unit(bvals: Float[np.ndarray, "v"]) -> None:
    """Refuse b-values in s/m², a million times too large."""
    if len(bvals) and bvals.max() > MOST_BVALUE:
        raise InputError(
            f"The b-values reach {bvals.max():.3g}, which is in s/m² ({bvals.max() / 1e6:.4g} "
            "s/mm²): divide the table by 1000000.",
            code=Code.GRADIENTS_VALUES,
        )


def _counted(which: Bool[np.ndarray, "v"], what: str) -> str:
    """``3 DWIs (volumes 4, 7-8)``, counted from 0; shortened where there are many runs."""
    numbers = np.flatnonzero(which).tolist()
    plural, listed = "s" * (len(numbers) > 1), volume_runs(numbers)
    return f"{len(numbers)} {what}{plural} (volume{plural} {listed})"


def volume_runs(numbers: Iterable[int], most: int | None = SHOWN, dash: str = "-") -> str:
    """``4, 7-9``: runs of volumes given in rising order; of many only the first ``most``."""
    runs: list[list[int]] = []
    for v in numbers:
        if runs and v == runs[-1][-1] + 1:
            runs[-1].append(v)
        else:
            runs.append([v])
    parts = [f"{run[0]}{dash}{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs[:most]]
    return ", ".join(parts) + (", …" if most is not None and len(runs) > most else "")


def _scales(bvals: Float[np.ndarray, "n"], length: Float[np.ndarray, "n"]) -> bool:
    """One nominal b-value, and the longest vector has length 1: that is the b-value's own."""
    one = bvals.max() - bvals.min() <= SAME_BVALUE * bvals.max()
    return bool(one and abs(length.max() - 1) <= UNIT_WARN)


def _written_once(bvals: Float[np.ndarray, "n"], length: Float[np.ndarray, "n"]) -> bool:
    """Each length is the root of its b-value over the largest: b holds the scaling already."""
    return bool((np.abs(length**2 - bvals / bvals.max()) <= SAME_BVALUE).all())


def _wrong_lengths(length: np.ndarray, wrong: np.ndarray) -> InputError:
    low, high = length[wrong].min(), length[wrong].max()
    span = f"{low:.3g}" if high - low < UNIT_WARN else f"{low:.3g} to {high:.3g}"
    return InputError(
        f"The b-vectors of {_counted(wrong, 'DWI')} have length {span}, neither 1 "
        "nor what b-value scaling gives: correct them, or take their directions alone "
        "(--bvalue-scaling no) or b·|g|² (--bvalue-scaling yes).",
        code=Code.GRADIENTS_VALUES,
    )


def _by_bvalue(bvals: Float[np.ndarray, "v"]) -> str:
    """``b=1000: 16, b=2000: 16``, or the range where there are many."""
    rounded, counts = np.unique(np.round(bvals, -1), return_counts=True)
    if len(rounded) > SHOWN:
        return f"b from {bvals.min():.0f} to {bvals.max():.0f}"
    return ", ".join(f"b={b:.0f}: {n}" for b, n in zip(rounded, counts, strict=True))
