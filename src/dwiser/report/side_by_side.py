"""Methods side by side: the same slice in the same window, what they gave and what they took."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dwiser.report import views
from dwiser.report.figures import RESIDUAL_SIGMAS, WINDOW, draw_section, trim
from dwiser.scan import Scan

COLUMN_INCHES, ROW_EXTRA_INCHES, BAR_INCHES = 2.4, 0.3, 0.9
MOST_COLUMNS = 6  # more methods go on further bands


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
    truth : drawn first where it is known, with its own residual (the noise itself).
    """
    named = {"noisy": raw.data} | ({"truth": truth} if truth is not None else {}) | dict(results)
    noisy = raw.data[..., volume].astype(np.float32)
    noise = float(np.median(sigma[mask])) or 1.0
    low, high = np.percentile(noisy[mask], WINDOW)
    grey = Normalize(float(low), float(max(high, low + noise)))
    spread = Normalize(-RESIDUAL_SIGMAS * noise, RESIDUAL_SIGMAS * noise)
    size, inside = views.ras_voxel_size(raw.affine), views.to_ras(mask, raw.affine)
    view, frame = views.choose_views(inside, size)[0], views.frame(inside)
    labels = list(named)
    columns = min(MOST_COLUMNS, len(labels))
    bands = -(-len(labels) // columns)
    extent = (np.ptp(frame, axis=1) + 1) * size
    height = COLUMN_INCHES * extent[view.upward] / extent[view.across]
    total = bands * 2 * (height + ROW_EXTRA_INCHES) + BAR_INCHES + 0.7
    figure = Figure((columns * COLUMN_INCHES + 0.4, total))
    ratios = [height + ROW_EXTRA_INCHES] * (2 * bands) + [BAR_INCHES]
    grid = figure.add_gridspec(
        2 * bands + 1, columns, height_ratios=ratios,
        left=0.04, right=0.99, top=1 - 0.75 / total, bottom=0.02, wspace=0.03, hspace=0.16,
    )  # fmt: skip
    for i, label in enumerate(labels):
        band, column = divmod(i, columns)
        clean = named[label][..., volume].astype(np.float32)
        for row, (picture, window) in enumerate(((clean, grey), (noisy - clean, spread))):
            ax = figure.add_subplot(grid[2 * band + row, column])
            section = views.section(views.to_ras(picture, raw.affine), view)
            draw_section(ax, section, view, size, window)
            trim(ax, view, frame)
            if row == 0:
                ax.set_title(label.replace(":", "\n"), fontsize=8)
            if column == 0:
                ax.set_ylabel(("signal", "noisy − this")[row], fontsize=9)
    for place, window, name in ((0.08, grey, "signal"), (0.56, spread, "residual, ±3 σ")):
        strip = figure.add_subplot(grid[-1, :])
        strip.axis("off")
        bar = figure.colorbar(
            ScalarMappable(window, "gray"), cax=strip.inset_axes((place, 0.55, 0.36, 0.14)),
            orientation="horizontal", extend="both",
        )  # fmt: skip
        bar.set_label(f"{name}, scanner units", fontsize=9)
    bval = raw.gradients.bvals[volume]
    figure.suptitle(f"volume {volume} (counted from 0), b = {bval:.0f} s/mm²", fontsize=11)
    return figure
