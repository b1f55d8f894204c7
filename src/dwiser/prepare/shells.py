"""Shells: volumes of nearly one b-value, one shape of b-tensor and one echo, and the tolerances."""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dwiser.b_delta import SAME_SHAPE, shape_name
from dwiser.scan import Gradients

B_TOLERANCE, B_TOLERANCE_SHARE = 50.0, 0.05  # s/mm², and share of b


@dataclass(frozen=True, eq=False)
class Shell:
    """Volumes of (nearly) one b-value, of one shape and one echo.

    Parameters
    ----------
    bval : its mean in s/mm², 0 for b0s.
    volumes : which they are, in series order.
    b_delta : mean of their shape, 1 for linear b-tensors and b0s.
    echo : the echo, from 1 on.
    """

    bval: float
    volumes: Int[np.ndarray, "n"]
    b_delta: float = 1.0
    echo: int = 1

    @property
    def is_b0(self) -> bool:
        return self.bval == 0.0


def b_tolerance(bvals: Float[np.ndarray, "*n"] | float) -> Float[np.ndarray, "*n"] | float:
    """How far from these b-values another may lie and still count as equal, in s/mm².

    max(50 s/mm², 5 % of b): scanners write the b-value that the gradients come to, which differs
    by some per cent within a shell. Shells, protocols, gradient tables and the tensor's check for
    one shell all use this tolerance.
    """
    return np.maximum(B_TOLERANCE, B_TOLERANCE_SHARE * np.asarray(bvals, float))


def shells(gradients: Gradients) -> tuple[Shell, ...]:
    """The shells from low b to high; all b0s of an echo are one shell with ``bval`` 0.

    Within an echo and a shape a step of `b_tolerance` or more in the sorted b-values starts a new
    shell; a step of 0.1 or more in the sorted b-deltas another shape. Of shells of one b-value the
    first echo comes first, and of its shapes the most linear.
    """
    parts: list[Shell] = []
    echoes = gradients.echo_numbers
    for echo in np.unique(echoes).tolist():
        b0s = np.flatnonzero(gradients.is_b0 & (echoes == echo))
        parts += [Shell(0.0, b0s, echo=echo)] if len(b0s) else []
        dwis = np.flatnonzero(~gradients.is_b0 & (echoes == echo))
        for shape in _apart(dwis, gradients.shapes, SAME_SHAPE):
            b_delta = float(gradients.shapes[shape].mean())
            for part in _apart(shape, gradients.bvals, None):
                bval = float(gradients.bvals[part].mean())
                parts.append(Shell(bval, np.sort(part), b_delta, echo))
    return tuple(sorted(parts, key=lambda s: (s.bval, s.echo, -s.b_delta)))


def _apart(
    volumes: Int[np.ndarray, "n"], values: Float[np.ndarray, "v"], step: float | None
) -> Iterator[Int[np.ndarray, "m"]]:
    """Runs of sorted values without a step of so much, or of `b_tolerance`."""
    if not len(volumes):
        return
    order = volumes[np.argsort(values[volumes], kind="stable")]
    sorted_values = values[order]
    least = b_tolerance(sorted_values[:-1]) if step is None else step
    yield from np.split(order, np.flatnonzero(np.diff(sorted_values) >= least) + 1)


def without_echoes(gradients: Gradients) -> Gradients:
    """The table with all volumes of one echo."""
    if gradients.echoes is None:
        return gradients
    table = copy(gradients)
    object.__setattr__(table, "echoes", None)
    return table


def contrasts(of_shells: Iterable[Shell]) -> list[tuple[Shell, ...]]:
    """The shells of each shape and echo, with its echo's b0s: what one model of the signal holds.

    Linear shapes and early echoes first. At one b the signals of two shapes differ by more than a
    tensor does (microscopic anisotropy), and those of two echoes by T2. Without DWIs there are the
    b0s of each echo.
    """
    every = tuple(of_shells)
    kinds: list[list[Shell]] = []
    for shell in sorted((s for s in every if not s.is_b0), key=lambda s: (-s.b_delta, s.echo)):
        same = [
            kind
            for kind in kinds
            if kind[0].echo == shell.echo and abs(kind[0].b_delta - shell.b_delta) < SAME_SHAPE
        ]
        if same:
            same[0].append(shell)
        else:
            kinds.append([shell])
    b0s = {shell.echo: shell for shell in every if shell.is_b0}
    if not kinds:
        return [(shell,) for shell in b0s.values()]
    return [
        (*([b0s[kind[0].echo]] if kind[0].echo in b0s else []), *sorted(kind, key=lambda s: s.bval))
        for kind in kinds
    ]


def shell_table(gradients: Gradients) -> list[dict[str, float | int]]:
    """The shells as plain rows for prints and sidecars; shapes and echoes where they are known."""
    rows: list[dict[str, float | int]] = []
    for shell in shells(gradients):
        row: dict[str, float | int] = {
            "bval": round(shell.bval, 1),
            "volumes": len(shell.volumes),
        }
        if gradients.b_delta is not None and not shell.is_b0:
            row["b_delta"] = round(shell.b_delta, 2)
        if gradients.echoes is not None:
            row["echo"] = shell.echo
        rows.append(row)
    return rows


def shell_name(shell: Shell, gradients: Gradients) -> str:
    """``b0``, ``b1000``; with the shape where it is not linear, and the echo of several."""
    words = ["b0" if shell.is_b0 else f"b{round(shell.bval, -1):.0f}"]
    if gradients.b_delta is not None and not shell.is_b0:
        words.append(shape_name(shell.b_delta))
    if gradients.echoes is not None:
        words.append(f"echo {shell.echo}")
    return " ".join(words)
