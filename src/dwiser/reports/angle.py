"""The residual by angle to the fibre as small heat maps."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from dwiser.evaluation.angle_cells import COS_BINS, COS_EDGES, FA_EDGES, PRECISE, ROWS, AngleCells
from dwiser.reports.charts import INK, Chart, drawn

WINDOW = 0.3  # σ, half of the colour scale of every map: maps of several methods compare
COLOURS = "RdBu_r"  # red: the raw is brighter than the denoised; blue: darker; white: 0
DARK = 0.6  # of the window, from where the numbers are white
SHADED = "#d5d9de"  # cells without a value


def angle_maps(cells: AngleCells) -> list[Chart]:
    """Mean residual by FA and angle of one shell, and beside it the cross-fitted one."""
    shell = f"b = {cells.bval:.0f} s/mm²"
    return [
        _map(f"{shell}: FA and fibre of the denoised scan", cells, cells.mean, cells.error),
        _map(
            f"{shell}: FA and fibre of other raw volumes",
            cells, cells.crossed, cells.crossed_error, counted=False,
        ),
    ]  # fmt: skip


def _map(
    title: str, cells: AngleCells, mean: np.ndarray, error: np.ndarray, *, counted: bool = True
) -> Chart:
    def draw(ax: Axes) -> None:
        ax.set_facecolor(SHADED)
        shown = ax.imshow(
            mean, cmap=COLOURS, norm=Normalize(-WINDOW, WINDOW), origin="lower", aspect="auto"
        )
        for (f, c), value in np.ndenumerate(mean):
            if np.isfinite(value):
                label = ax.text(
                    c,
                    f,
                    f"{value:+.2f}\n±{error[f, c]:.3f}".replace("-", "−"),
                    ha="center",
                    va="center",
                )
                label.set(fontsize=6.5, color="white" if abs(value) > DARK * WINDOW else INK)
                if error[f, c] > PRECISE:
                    label.set(style="italic", alpha=0.6)
        ax.set_xticks(np.arange(COS_BINS + 1) - 0.5, [f"{c:.1f}" for c in COS_EDGES])
        names = [f"{FA_EDGES[f]:.2f}–{FA_EDGES[f + 1]:.2f}" for f in range(ROWS)]
        if counted:
            names = [f"{n}\n{v:,} voxels" for n, v in zip(names, cells.voxels, strict=True)]
        ax.set_yticks(np.arange(ROWS), names, fontsize=7)
        ax.tick_params(length=0)
        ax.set(xlabel="|cos| of the angle to the fibre: 0 across, 1 along", ylabel="FA")
        bar = ax.figure.colorbar(shown, ax=ax, ticks=(-WINDOW, 0, WINDOW), shrink=0.8)
        bar.set_label("raw − expected, σ")
        bar.outline.set_visible(False)

    if not np.isfinite(mean).any():
        return drawn(draw, title, f"{title}: no cell holds enough voxels.")
    f, c = np.unravel_index(int(np.nanargmax(np.abs(mean))), mean.shape)
    alt = (
        f"{title}. Heat map of the mean residual by FA and by angle to the fibre; noise alone "
        f"gives 0. Largest: {mean[f, c]:+.2f} ± {error[f, c]:.2f} σ at FA {FA_EDGES[f]:.2f}–"
        f"{FA_EDGES[f + 1]:.2f}, |cos| {COS_EDGES[c]:.1f}–{COS_EDGES[c + 1]:.1f}."
    )
    return drawn(draw, title, alt)
