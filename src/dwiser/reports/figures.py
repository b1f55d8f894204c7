"""The montage: noisy, denoised, residual, and colour FA before and after, side by side."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from dwiser.reports import views
from dwiser.reports.views import View
from dwiser.scan import Gradients, Scan

WINDOW = (1.0, 99.0)  # percentiles of the noisy DWI in the mask: black and white
RESIDUAL_SIGMAS = 3.0  # half the residual's window: noise alone fills it, 0.3 % lies outside
FA_WHITE = 0.8  # the FA shown in full colour: white matter rarely passes it
COLUMN_INCHES = 2.8
BAR_INCHES = 1.1  # the strip below with colour bars and legend
TITLE_INCHES = 0.75
MARGIN_INCHES = 0.5  # left of the first column, for the names of the slices
DPI = 150
WIDE_INCHES = 10.0  # of a figure whose title is one line
NEUROLOGICAL = "neurological view: the subject's left is on the left"
AXIS_COLOURS = {"red": "left–right", "lime": "anterior–posterior", "blue": "inferior–superior"}


def middle_dwi(gradients: Gradients) -> int:
    """The volume to show: the middle one of the DWIs, or of b0s alone, in the series' order."""
    dwis = np.flatnonzero(~gradients.is_b0)
    if not len(dwis):
        return len(gradients) // 2
    return int(dwis[len(dwis) // 2])


def montage(
    raw: Scan,
    denoised: Float[np.ndarray, "x y z v"],
    *,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    fa_raw: Float[np.ndarray, "x y z 3"] | None,
    fa_denoised: Float[np.ndarray, "x y z 3"] | None,
    volume: int,
    title: str = "",
) -> Figure:
    """Three slices of one volume before and after, what was taken out, and both colour FAs.

    Parameters
    ----------
    raw : the noisy scan; its affine turns the pictures upright.
    denoised : in the units of ``raw``.
    mask : chooses the slices and the grey window (the same for noisy and denoised).
    sigma : sd of the noise in the data's units; its median in the mask sets the residual's
        window, ±3σ.
    fa_raw, fa_denoised : ``reports.tensor.colour_fa`` of each, in voxel axes; None where the
        table determines no tensor: then they are left out.
    volume : which volume to show, counted from 0; ``middle_dwi`` picks one.
    title : put before the volume's number and b-value.
    """
    noisy, clean = (data[..., volume].astype(np.float32) for data in (raw.data, denoised))
    grey, spread, noise = windows(noisy, mask, sigma)
    affine = raw.affine
    size = views.ras_voxel_size(affine)
    inside = views.to_ras(mask, affine)
    chosen, frame = views.choose_views(inside, size), views.frame(inside)
    columns: dict[str, tuple[np.ndarray, Normalize | None]] = {
        f"noisy DWI, volume {volume}": (views.to_ras(noisy, affine), grey),
        f"denoised DWI, volume {volume}": (views.to_ras(clean, affine), grey),
        "residual: noisy − denoised": (views.to_ras(noisy - clean, affine), spread),
    }
    if fa_raw is not None and fa_denoised is not None:
        columns["colour FA, noisy"] = _shown(fa_raw, affine), None
        columns["colour FA, denoised"] = _shown(fa_denoised, affine), None
    figure, grid = _canvas(chosen, frame, size, len(columns))
    for row, view in enumerate(chosen):
        for column, (name, (picture, window)) in enumerate(columns.items()):
            ax = figure.add_subplot(grid[row, column])
            draw_section(ax, views.section(picture, view), view, size, window)
            trim(ax, view, frame)
            if row == 0:
                ax.set_title(name, fontsize=10)
        axis, index = views.stored_slice(view, mask.shape, affine)
        figure.axes[row * len(columns)].set_ylabel(f"{view.plane}\n{'ijk'[axis]} = {index}")
    _bars(figure, grid, grey, spread, noise)
    b = raw.gradients.bvals[volume]
    head = f"{title} · " if title else ""
    title_lines = [f"{head}volume {volume} (counted from 0), b = {b:.0f} s/mm²", NEUROLOGICAL]
    wide = figure.get_figwidth() > WIDE_INCHES
    figure.suptitle((" · " if wide else "\n").join(title_lines), fontsize=11)
    return figure


def in_montage(
    mask: Bool[np.ndarray, "x y z"], affine: Float[np.ndarray, "4 4"]
) -> Bool[np.ndarray, "x y z"]:
    """The voxels of ``mask`` in the slices of its montage: no others need a colour FA."""
    chosen = views.choose_views(views.to_ras(mask, affine), views.ras_voxel_size(affine))
    shown = np.zeros_like(mask)
    for view in chosen:
        axis, index = views.stored_slice(view, mask.shape, affine)
        section_index = (slice(None),) * axis + (index,)
        shown[section_index] = mask[section_index]
    return shown


def save_montage(path: Path, figure: Figure) -> None:
    """Write a montage as PNG, whatever the name's ending."""
    figure.savefig(path, format="png", dpi=DPI)


def _shown(colours: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return np.clip(views.ras_colours(colours, affine) / FA_WHITE, 0, 1)


def _canvas(
    chosen: tuple[View, ...], frame: np.ndarray, size: np.ndarray, columns: int
) -> tuple[Figure, GridSpec]:
    """A figure whose columns are of one width and whose rows are as high as their slices."""
    extent = (np.ptp(frame, axis=1) + 1) * size
    widest = max(extent[v.across] for v in chosen)
    heights = [COLUMN_INCHES * extent[v.upward] / widest for v in chosen]
    width = columns * COLUMN_INCHES + MARGIN_INCHES
    total = TITLE_INCHES + sum(heights) + BAR_INCHES
    figure = Figure((width, total))
    grid = GridSpec(
        len(chosen) + 1,
        columns,
        figure,
        height_ratios=[*heights, BAR_INCHES],
        left=MARGIN_INCHES / width,
        right=0.995,
        top=1 - TITLE_INCHES / total,
        bottom=0.0,
        wspace=0.02,
        hspace=0.03,
    )
    return figure, grid


def draw_section(
    ax: Axes, picture: np.ndarray, view: View, size: np.ndarray, window: Normalize | None
) -> None:
    ax.imshow(
        picture,
        cmap="gray",
        norm=window,
        interpolation="nearest",
        aspect=size[view.upward] / size[view.across],
    )
    ax.set(xticks=[], yticks=[], facecolor="black")
    left, right = views.ENDS[view.across]
    top = views.ENDS[view.upward][1]
    for letter, place, ha, va in (
        (left, (0.02, 0.5), "left", "center"),
        (right, (0.98, 0.5), "right", "center"),
        (top, (0.5, 0.97), "center", "top"),
    ):
        text = ax.text(*place, letter, transform=ax.transAxes, ha=ha, va=va, fontsize=9)
        text.set(color="yellow", path_effects=[withStroke(linewidth=2, foreground="black")])


def trim(ax: Axes, view: View, frame: np.ndarray) -> None:
    """Show the part of a drawn section that lies in ``frame``."""
    last_row = ax.images[0].get_size()[0] - 1
    (left, right), (low, high) = frame[view.across], last_row - frame[view.upward]
    ax.set(xlim=(left - 0.5, right + 0.5), ylim=(low + 0.5, high - 0.5))


def windows(
    noisy: Float[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
) -> tuple[Normalize, Normalize, float]:
    """The windows of a noisy volume's greys and of its residual, and the noise they are set by.

    Returns
    -------
    grey : from the 1st to the 99th percentile in the mask, but no narrower than the noise's sd.
    residual : ±3 sd.
    noise : the median sd in the mask, in the data's units; 1 where there is no noise.
    """
    noise = float(np.median(sigma[mask])) or 1.0  # noise-free data: a window of ±3 units
    low, high = np.percentile(noisy[mask], WINDOW)
    grey = Normalize(float(low), float(max(high, low + noise)))
    return grey, Normalize(-RESIDUAL_SIGMAS * noise, RESIDUAL_SIGMAS * noise), noise


def _bars(figure: Figure, grid: GridSpec, grey: Normalize, spread: Normalize, noise: float) -> None:
    """Below the columns: the DWIs' bar, the residual's (in units and in σ), the directions."""
    units = "signal, scanner units"
    for columns, window, pad in ((slice(0, 2), grey, 0.2), (slice(2, 3), spread, 0.08)):
        strip = figure.add_subplot(grid[-1, columns])
        strip.axis("off")
        ax = strip.inset_axes((pad, 0.52, 1 - 2 * pad, 0.14))
        bar = figure.colorbar(
            ScalarMappable(window, "gray"), cax=ax, orientation="horizontal", extend="both"
        )
        bar.set_label(units, fontsize=9)
        ax.tick_params(labelsize=8)
        if window is spread:
            top = ax.secondary_xaxis(
                "top", functions=(lambda u: np.divide(u, noise), lambda s: np.multiply(s, noise))
            )
            top.set_xlabel(f"in σ (median in the mask: {noise:.3g})", fontsize=9)
            top.set_xticks(np.arange(-RESIDUAL_SIGMAS, RESIDUAL_SIGMAS + 1))
            top.tick_params(labelsize=8)
    if grid.ncols > 3:
        _directions(figure, grid)


def _directions(figure: Figure, grid: GridSpec) -> None:
    """What the colours of colour FA stand for."""
    legend = figure.add_subplot(grid[-1, 3:])
    legend.axis("off")
    legend.legend(
        handles=[Patch(color=colour, label=name) for colour, name in AXIS_COLOURS.items()],
        title=f"main direction of diffusion; full colour at FA ≥ {FA_WHITE}",
        loc="center",
        ncol=3,
        fontsize=9,
        title_fontsize=9,
        frameon=False,
    )
