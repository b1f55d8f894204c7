"""Lesions of a phantom as each method leaves them: shares kept, and one slice to look at.

The slice is of one DWI, that of a lesion which no other direction shows: what is rare is what a
denoiser may take for noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import SubFigure

from dwiser.evaluation.edges import lesion_contrast
from dwiser.simulation import Simulation
from reproduce.data import nrmse
from reproduce.density import GREY, OUTLINE, SHADES, read, written

BRIGHTEST = 99.5  # percentile of the truth's slice: white
RARE = "direction"


@dataclass(frozen=True)
class View:
    """A slice of one DWI, and the signal that is drawn white."""

    volume: int
    z: int
    white: float

    @classmethod
    def of(cls, phantom: Simulation) -> "View":
        """The DWI and slice of the first lesion that only one direction shows."""
        lesion = next(x for x in phantom.record["lesions"] if x["kind"] == RARE)
        z = int((phantom.lesions == lesion["label"]).sum((0, 1)).argmax())
        volume = int(lesion["volumes"][0])
        white = float(np.percentile(phantom.truth[:, :, z, volume], BRIGHTEST))
        return cls(volume, z, white)

    def of_data(self, data: np.ndarray) -> list[str]:
        """The slice in grey steps, at the one window of all pictures."""
        grey = np.clip(data[:, :, self.z, self.volume] / self.white, 0, 1) * SHADES
        return written(grey.round())

    def told(self, phantom: Simulation) -> dict[str, Any]:
        """The truth's slice and the outlines of the lesions that this DWI shows."""
        shown = [x["label"] for x in phantom.record["lesions"] if self.volume in x["volumes"]]
        outline = np.isin(phantom.lesions[:, :, self.z], shown)
        rare = sum(x["kind"] == RARE for x in phantom.record["lesions"])
        return {"rare": rare, "volume": self.volume, "slice": self.z, "white": self.white,
                "outline": written(outline), "truth": self.of_data(phantom.truth)}  # fmt: skip


def lesion_scores(data: np.ndarray, phantom: Simulation) -> dict[str, float]:
    """Error of the DWIs, and the share of their contrast that lesions keep: mean and least."""
    told = phantom.record["lesions"]
    lesions = lesion_contrast(
        data, phantom.truth, phantom.lesions, phantom.mask,
        {x["label"]: x["volumes"] for x in told}, {x["label"]: x["change"] for x in told},
    )  # fmt: skip
    shares = [lesion.kept for lesion in lesions]
    error = nrmse(data, phantom.truth, phantom.mask, ~phantom.scan.gradients.is_b0)
    return {"nrmse": error, "kept_mean": float(np.mean(shares)), "kept_least": min(shares)}


def drawn(record: Mapping[str, Any], part: SubFigure) -> None:
    """The truth's slice and every method's in a row, front up, at one window."""
    view = record["view"]
    pictures = {"truth": view["truth"]} | {r["method"]: r["picture"] for r in record["rows"]}
    axes = part.subplots(1, len(pictures), squeeze=False)[0]
    for ax, (name, rows) in zip(axes, pictures.items(), strict=True):
        shown = ax.imshow(read(rows).T * view["white"] / SHADES, cmap=GREY, vmin=0,
                          vmax=view["white"], origin="lower", interpolation="nearest")  # fmt: skip
        ax.contour(read(view["outline"]).T, [0.5], colors=OUTLINE, linewidths=0.8)
        ax.set_title(name.replace(", ", ",\n"), fontsize=7.5)
        ax.set_axis_off()
    bar = part.colorbar(shown, ax=axes, shrink=0.7, pad=0.01, aspect=15)
    bar.set_label("signal", fontsize=8)
    bar.ax.tick_params(labelsize=7.5)
    part.suptitle("one DWI; outlined: the lesions that it shows", fontsize=9.5, x=0.01, ha="left")
