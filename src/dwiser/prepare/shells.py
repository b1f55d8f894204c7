"""Shells: groups of nearly equal b-values, and the one tolerance that decides what is equal."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dwiser.scan import Gradients

B_TOLERANCE, B_TOLERANCE_SHARE = 50.0, 0.05  # s/mm², and share of b


@dataclass(frozen=True, eq=False)
class Shell:
    """Volumes of (nearly) one b-value: its mean in s/mm², and which they are, in series order."""

    bval: float
    volumes: Int[np.ndarray, "n"]

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
    """The shells from low b to high; all b0s are one shell with ``bval`` 0, if there are any.

    In the sorted b-values a step of `b_tolerance` or more starts a new shell.
    """
    b0s = np.flatnonzero(gradients.is_b0)
    dwis = np.flatnonzero(~gradients.is_b0)
    by_b = [Shell(0.0, b0s)] if len(b0s) else []
    if len(dwis):
        dwis = dwis[np.argsort(gradients.bvals[dwis], kind="stable")]
        b = gradients.bvals[dwis]
        cuts = np.flatnonzero(np.diff(b) >= b_tolerance(b[:-1])) + 1
        for part in np.split(dwis, cuts):
            by_b.append(Shell(float(gradients.bvals[part].mean()), np.sort(part)))
    return tuple(by_b)


def shell_table(gradients: Gradients) -> list[dict[str, float | int]]:
    """The shells as plain rows for prints and sidecars."""
    return [
        {"bval": round(shell.bval, 1), "volumes": len(shell.volumes)} for shell in shells(gradients)
    ]
