"""What a sidecar or an option says of each volume: its echo, and the shape of its b-tensor."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from dwiser.b_delta import LINEAR, PLANAR
from dwiser.echo_check import echo_numbers
from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath, about
from dwiser.io.names import companion
from dwiser.io.number_table import read_numbers

ECHO_TIME = "EchoTime"  # BIDS's name: s, a number or a list of one a volume
B_DELTA = "BDelta"  # BIDS has none; this is what our sidecars write


def b_delta_of(
    dwi: FilePath,
    option: str | float | int | FilePath | None,
    fields: Mapping[str, Any],
    axes: tuple[int, ...],
) -> Float[np.ndarray, "n"] | None:
    """b-delta of each volume along ``axes``: as the option says, else as the sidecar's fields do.

    Parameters
    ----------
    dwi : the image, whose sidecar an error names.
    option : a number, or a text file of one number a volume; None to ask the fields.
    fields : of the sidecar; ``BDelta`` is a number, or a list of them.
    axes : of the image, from the fourth on; one number a volume of the fourth counts for all.

    Returns
    -------
    One number for all volumes, or one for each; None where nothing is said.

    Raises
    ------
    InputError
        For what holds no numbers, or another number of them.
    """
    if option is None and fields.get(B_DELTA) is None:
        return None
    path = b_delta_file(option)
    if option is not None and path is None:
        number = float(option)  # type: ignore[arg-type]
        if not PLANAR <= number <= LINEAR:
            raise InputError(
                f"--b-delta goes from -0.5 (planar) over 0 (spherical) to 1 (linear), not "
                f"{number:g}.",
                code=Code.ARGUMENT_VALUE,
            )
        return np.array([number])
    name = B_DELTA if path is None else "b-delta"
    read = None if path is None else read_numbers(path, name)  # whose errors name the file
    with about(companion(dwi, ".json") if path is None else path):
        values = _numbers(fields[B_DELTA], name) if read is None else read
        wrong = values[(values < PLANAR) | (values > LINEAR)]  # NaN may stand for b0s
        if len(wrong):
            raise InputError(
                f"Its {name} holds {wrong[0]:g}, and they go from -0.5 (planar) over 0 (spherical) "
                "to 1 (linear): correct it.",
                code=Code.GRADIENTS_VALUES,
            )
        return _spread(values, axes, f"values of {name}")


def b_delta_file(option: str | float | int | FilePath | None) -> Path | None:
    """The file that the option b-delta names; None for a number, and without the option.

    Parameters
    ----------
    option : as in ``b_delta_of``.
    """
    if option is None:
        return None
    try:
        float(option)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return Path(option)  # type: ignore[arg-type]
    return None


def echoes_of(
    dwi: FilePath, fields: Mapping[str, Any], axes: tuple[int, ...]
) -> Int[np.ndarray, "v"] | None:
    """Which echo each volume along ``axes`` is of, from 1 on, by the sidecar's ``EchoTime``.

    Parameters
    ----------
    dwi : the image, whose sidecar an error names.
    fields : of the sidecar; a list has a time for each volume, each place along the fifth axis, or
        each volume of the fourth.
    axes : of the image, from the fourth on.

    Returns
    -------
    (V,) in the order of the times; None where there are no two of them.

    Raises
    ------
    InputError
        For a list of another length, or what is no time.
    """
    said = fields.get(ECHO_TIME)
    if not isinstance(said, list) or len(said) < 2:
        return None
    with about(companion(dwi, ".json")):
        times, every = _numbers(said, ECHO_TIME), math.prod(axes)
        if not (times > 0).all():  # NaN is wrong too
            raise InputError(
                f"Its {ECHO_TIME} holds what is no time in s: correct or remove it.",
                code=Code.SIDECAR_FORMAT,
            )
        if len(axes) > 1 and len(times) == every // axes[0] and len(times) != axes[0]:
            times = np.repeat(times, axes[0])
        times = _spread(times, axes, f"times in {ECHO_TIME}")
    return echo_numbers(times)


def echo_time(fields: Mapping[str, Any]) -> float | None:
    """The echo time of a whole series in s; None where it is not known, or there are several.

    Parameters
    ----------
    fields : of the sidecar.
    """
    said = fields.get(ECHO_TIME)
    if isinstance(said, bool) or not isinstance(said, int | float) or not said > 0:
        return None
    return float(said)


def _numbers(said: Any, name: str) -> Float[np.ndarray, "n"]:
    values = said if isinstance(said, list) else [said]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise InputError(
            f"Its {name} holds what is no number: correct or remove it.",
            code=Code.SIDECAR_FORMAT,
        )
    return np.array(values, float)


def _spread(
    values: Float[np.ndarray, "n"], axes: tuple[int, ...], name: str
) -> Float[np.ndarray, "m"]:
    """One for all volumes, or one a volume of all axes, from one a volume of the fourth."""
    every = math.prod(axes)
    if len(values) in (1, every):
        return values
    if len(values) == axes[0]:
        return np.tile(values, every // axes[0])
    raise InputError(
        f"There are {len(values)} {name} for the {every} volumes of the image: give one a volume"
        f"{' or one a series of the fifth axis' if len(axes) > 1 else ', or one for all'}.",
        code=Code.GRADIENTS_LENGTH,
    )
