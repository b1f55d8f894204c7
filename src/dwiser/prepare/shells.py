"""Shells: runs of sorted b-values; b0s apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from dwiser.scan import Gradients

GAP, GAP_SHARE = 50.0, 0.05  # a gap wider than max(50 s/mm², 5 %) starts a new shell


@dataclass(frozen=True, eq=False)
class Shell:
    """Volumes of (nearly) one b-value: its mean in s/mm², and which they are, in series order."""

    bval: float
    volumes: Int[np.ndarray, "n"]

    @property
    def is_b0(self) -> bool:
        return self.bval == 0.0


def shells(gradients: Gradients) -> tuple[Shell, ...]:
    """The shells from low b to high; all b0s are one shell with ``bval`` 0, if there are any."""
    b0s = np.flatnonzero(gradients.is_b0)
    dwis = np.flatnonzero(~gradients.is_b0)
    found = [Shell(0.0, b0s)] if len(b0s) else []
    if len(dwis):
        dwis = dwis[np.argsort(gradients.bvals[dwis], kind="stable")]
        b = gradients.bvals[dwis]
        cuts = np.flatnonzero(np.diff(b) >= np.maximum(GAP, GAP_SHARE * b[:-1])) + 1
        for part in np.split(dwis, cuts):
            found.append(Shell(float(gradients.bvals[part].mean()), np.sort(part)))
    return tuple(found)


def shell_table(gradients: Gradients) -> list[dict[str, float | int]]:
    """The shells as plain rows for prints and sidecars."""
    return [
        {"bval": round(shell.bval, 1), "volumes": len(shell.volumes)} for shell in shells(gradients)
    ]
