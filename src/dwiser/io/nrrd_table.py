"""The gradient table in an NRRD header, as 3D Slicer has it.

It is described on NA-MIC's page "NAMIC Wiki:DTI:Nrrd format": vectors in a measurement frame, and
one b-value, that of the longest vector; the others' go by their squared length.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from dwiser.errors import Code, DwiserWarning, InputError

BVALUE, GRADIENT, REPEATED = "DWMRI_b-value", "DWMRI_gradient_", "DWMRI_NEX_"
B_MATRIX, FRAME = "DWMRI_B-matrix_", "measurement frame"
TO_RAS = np.array([-1.0, -1.0, 1.0])  # from and to the space that is written
MOST_LENGTH = 0.01  # by which the longest vector may differ from 1 without a word


def read_table(
    fields: Mapping[str, Any], signs: Float[np.ndarray, "3"], volumes: int
) -> Float[np.ndarray, "v 4"]:
    """Unit vectors in scanner axes, and b-values by their squared lengths.

    Parameters
    ----------
    fields : the header, as pynrrd reads it.
    signs : of the axes of the image's space, to the right, to the front and up.
    volumes : how many the image has.

    Returns
    -------
    (V, 4)
        As many rows as the header has gradients.

    Raises
    ------
    InputError
        For gradients that are missing or no numbers; without the file's name.
    """
    vectors = _vectors(fields, volumes)
    frame = np.eye(3)
    if FRAME not in fields:
        warnings.warn(
            "The NRRD header has no measurement frame: its gradients are taken to be in the "
            "image's space; check them, some programs turn the space without them.",
            DwiserWarning,
            stacklevel=4,
        )
    else:
        frame = np.array(fields[FRAME], float)  # a row is a vector of the frame
        if frame.shape != (3, 3) or not np.isfinite(frame).all():
            raise InputError(
                "Its measurement frame is not three vectors: correct the header, or give the "
                "table with --grad or --bval and --bvec.",
                code=Code.GRADIENTS_FORMAT,
            )
    lengths = np.linalg.norm(vectors, axis=1)
    longest = lengths.max(initial=0.0)
    bvalue = _floats(str(fields[BVALUE]), 1, BVALUE)[0]
    shares = (lengths / longest) ** 2 if longest > 0 else np.zeros(len(lengths))
    if longest > 0 and abs(longest - 1) > MOST_LENGTH:
        warnings.warn(
            f"The longest gradient in the NRRD header has length {longest:.3g}: it has the b-value "
            f"{bvalue:g}, and the others' go by their squared length relative to it.",
            DwiserWarning,
            stacklevel=4,
        )
    turned = (vectors @ frame) * signs
    norms = np.linalg.norm(turned, axis=1)
    return np.column_stack([turned / np.where(norms > 0, norms, 1)[:, None], bvalue * shares])


def _vectors(fields: Mapping[str, Any], volumes: int) -> Float[np.ndarray, "v 3"]:
    if any(key.startswith(B_MATRIX) for key in fields):
        raise InputError(
            "Its header has B-matrices in place of gradients: give the table with --grad or "
            "--bval and --bvec.",
            code=Code.GRADIENTS_FORMAT,
        )
    rows: list[list[float]] = []
    for key in sorted(key for key in fields if key.startswith(GRADIENT)):
        number = key.removeprefix(GRADIENT)
        if not number.isdigit() or int(number) != len(rows):
            raise InputError(
                f"Its gradients are not numbered one after the other ({key}): correct the header, "
                "or give the table with --grad or --bval and --bvec.",
                code=Code.GRADIENTS_FORMAT,
            )
        times = int(_floats(str(fields.get(REPEATED + number, 1)), 1, REPEATED + number)[0])
        rows += [_floats(str(fields[key]), 3, key)] * min(max(times, 1), volumes + 1)
    return np.array(rows, float).reshape(-1, 3)


def _floats(text: str, count: int, key: str) -> list[float]:
    words = text.replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise InputError(
            f"{key} in its header holds {text[:40]!r} where {count} finite numbers should be: "
            "correct the header, or give the table with --grad or --bval and --bvec.",
            code=Code.GRADIENTS_FORMAT,
        )
    return numbers


def gradient_lines(table: Float[np.ndarray, "v 4"]) -> Iterator[str]:
    """The table as pairs of a header whose space is LPS, and whose frame is that space.

    Parameters
    ----------
    table : (V, 4) in scanner axes.

    Yields
    ------
    str
    """
    highest = table[:, 3].max()
    lengths = np.sqrt(table[:, 3] / highest) if highest > 0 else np.zeros(len(table))
    norms = np.linalg.norm(table[:, :3], axis=1)
    scaled = table[:, :3] * TO_RAS * (lengths / np.where(norms > 0, norms, 1))[:, None]
    yield "modality:=DWMRI"
    yield f"{BVALUE}:={as_word(highest)}"
    for v, vector in enumerate(scaled + 0.0):  # no -0
        yield f"{GRADIENT}{v:04d}:={' '.join(as_word(n) for n in vector)}"


def is_of_table(key: str) -> bool:
    """Whether a pair of the header belongs to the table."""
    return key == "modality" or key.startswith("DWMRI_")


def as_word(number: float | np.floating) -> str:
    """With the fewest digits that are read as the same number."""
    return np.format_float_positional(number, trim="-")
