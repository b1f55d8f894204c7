"""Scan and rescan: how much FA, MD and the signal change when the same head is scanned again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import Code, InputError
from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.snr import Repeatability, repeatability
from dwiser.evaluation.tensor import fit_tensor
from dwiser.io import load
from dwiser.prepare.protocol import same_table
from dwiser.scan import AFFINE_TOLERANCE, Gradients, Scan


@dataclass(frozen=True)
class Rescan:
    """The second scan of the same object as files: on the first one's grid, registered to it."""

    dwi: Path
    bval: Path | None = None
    bvec: Path | None = None

    def read(self, first: Scan, **table: Any) -> Scan:
        """The second scan; ``table`` is how ``io.load`` reads its gradients.

        Raises
        ------
        InputError
            If it cannot be read or does not lie on the first one's grid.
        """
        second = load(self.dwi, self.bval, self.bvec, **table)
        grid, second_grid = first.shape[:3], second.shape[:3]
        off = float(np.abs(second.affine - first.affine).max())
        if second_grid != grid or off > AFFINE_TOLERANCE:
            what = (
                f"shape {second_grid}, not {grid}"
                if second_grid != grid
                else f"an affine up to {off:.3g} off"
            )
            raise InputError(
                f"{self.dwi}: the rescan has {what}: bring it onto the first scan's grid.",
                code=Code.SCANS_DIFFER,
            )
        return second


def rescan_scores(
    first: Float[np.ndarray, "x y z v"],
    second: Float[np.ndarray, "x y z w"],
    tables: tuple[Gradients, Gradients],
    mask: Bool[np.ndarray, "x y z"],
) -> tuple[dict[str, Repeatability], dict[str, str]]:
    """Repeatability of "fa", "md" and "signal" in the mask, and why one of them is absent.

    The signal is compared where the two schemes are equal, volume by volume. Misregistration
    of the two scans is in every number, and a blur betters all of them.
    """
    scores: dict[str, Repeatability] = {}
    absent: dict[str, str] = {}
    try:
        maps = [fit_tensor(d, t, mask) for d, t in zip((first, second), tables, strict=True)]
        for name in ("fa", "md"):
            scores[name] = repeatability([getattr(m, name) for m in maps], mask)
    except CannotMeasure as why:
        absent["rescan of fa and md"] = str(why)
    if same_table(*tables):
        scores["signal"] = repeatability([first, second], mask)
    else:
        absent["rescan of the signal"] = "the two scans have different gradient tables"
    return scores, absent
