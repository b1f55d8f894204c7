"""Methods side by side: the same slice in the same window, denoised image above residual."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dwiser.reports import views
from dwiser.reports.figures import RESIDUAL_SIGMAS, draw_section, trim, windows
from dwiser.scan import Scan

MOST_COLUMNS = 6  # more methods go on further bands
COLUMN, GAP, MARGIN = 2.4, 0.07, 0.4  # inches: a picture's width, between pictures, at the left
HEAD, LINE, BARS = 0.5, 0.16, 0.9  # inches: the figure's title, a line of a label, the bars


@dataclass(frozen=True)
class Page:
    """Where the pictures lie: ``bands`` of a title, a signal and a residual, in inches."""

    count: int
    height: float
    lines: int

    @property
    def bands(self) -> int:
        return -(-self.count // MOST_COLUMNS)

    @property
    def columns(self) -> int:
        """Bands of one length, or nearly: 8 methods are 4 and 4, not 6 and 2."""
        return -(-self.count // self.bands)

    @property
    def title(self) -> float:
        return self.lines * LINE + GAP

    @property
    def band(self) -> float:
        return self.title + 2 * (self.height + GAP)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the page."""
        return MARGIN + self.columns * (COLUMN + GAP), HEAD + self.bands * self.band + BARS

    def axes(self, figure: Figure, i: int, row: int) -> Axes:
        """The axes of method i: row 0 is its signal, row 1 its residual."""
        band, column = divmod(i, self.columns)
        left = MARGIN + column * (COLUMN + GAP)
        top = HEAD + band * self.band + self.title + row * (self.height + GAP)
        return self.at(figure, left, top, COLUMN, self.height)

    def at(self, figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
        """Axes by their corner and size, in inches from the page's upper left."""
        w, h = self.size
        return figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))


def side_by_side(
    raw: Scan,
    results: Mapping[str, Float[np.ndarray, "x y z v"]],
    *,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    volume: int,
    truth: Float[np.ndarray, "x y z v"] | None = None,
) -> Figure:
    """One axial slice of one volume: noisy first, then each method, denoised above residual.

    Parameters
    ----------
    results : label → (X, Y, Z, V), in the units of ``raw``.
    truth : drawn second where it is known, with its own residual (the noise itself).
    """
    named = {"noisy": raw.data} | ({"truth": truth} if truth is not None else {}) | dict(results)
    noisy = raw.data[..., volume].astype(np.float32)
    grey, spread, _ = windows(noisy, mask, sigma)
    size, inside = views.ras_voxel_size(raw.affine), views.to_ras(mask, raw.affine)
    view, frame = views.choose_views(inside, size)[0], views.frame(inside)
    extent = (np.ptp(frame, axis=1) + 1) * size
    height = float(COLUMN * extent[view.upward] / extent[view.across])
    page = Page(len(named), height, max(1 + label.count(":") for label in named))
    figure = Figure(page.size)
    for i, (label, data) in enumerate(named.items()):
        clean = data[..., volume].astype(np.float32)
        for row, (picture, window) in enumerate(((clean, grey), (noisy - clean, spread))):
            ax = page.axes(figure, i, row)
            section = views.section(views.to_ras(picture, raw.affine), view)
            draw_section(ax, section, view, size, window)
            trim(ax, view, frame)
            if row == 0:
                ax.set_title(label.replace(":", "\n"), fontsize=8, pad=3)
            if i % page.columns == 0:
                ax.set_ylabel(("signal", "noisy − this")[row], fontsize=9)
    _bars(figure, page, grey, spread)
    bval = raw.gradients.bvals[volume]
    figure.suptitle(
        f"volume {volume} (counted from 0), b = {bval:.0f} s/mm²", fontsize=11,
        y=1 - 0.15 / page.size[1], va="top",
    )  # fmt: skip
    return figure


def _bars(figure: Figure, page: Page, grey: Normalize, spread: Normalize) -> None:
    """Both windows at the foot of the page, in the scanner's units."""
    width, height = page.size
    names = {"signal": grey, f"residual, ±{RESIDUAL_SIGMAS:g} σ": spread}
    for left, (name, window) in zip((0.08, 0.56), names.items(), strict=True):
        ax = page.at(figure, left * width, height - BARS + 0.2, 0.36 * width, 0.12)
        bar = figure.colorbar(
            ScalarMappable(window, "gray"), cax=ax, orientation="horizontal", extend="both"
        )
        bar.set_label(f"{name}, scanner units", fontsize=9)
        ax.tick_params(labelsize=8)
