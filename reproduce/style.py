"""The figures' style: colours that colour-blind readers tell apart, markers and lines beside."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito's palette without its green, so that no red stands against a green.
COLOURS = "#0072B2", "#D55E00", "#000000", "#56B4E9", "#CC79A7", "#E69F00", "#7F7F7F", "#5D3A9B"
MARKERS = "o", "s", "^", "D", "v", "P", "X", "*"
LINES = "-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2))
PANEL = 3.4  # inches: two side by side fill a page's width
NARROW = 2.3  # three side by side do
WIDTH = 7.3  # of a printed page
COLUMNS = 5  # small pictures side by side on it
FONT = {"font.size": 9}


def canvas(columns: int, rows: int = 1, panel: float = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, row by row."""
    figure = Figure((panel * columns + 0.4, panel * 0.86 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        plain(ax)
    return figure, list(axes.flat)


def plain(ax: Axes) -> None:
    """Two spines and the sizes of the text."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.xaxis.label.set_size(9)
    ax.yaxis.label.set_size(9)


def line(number: int, *, marks: bool = True) -> dict[str, object]:
    """How the series of this number is drawn: colour, marker and line style all its own."""
    i = number % len(COLOURS)
    given: dict[str, object] = {"color": COLOURS[i], "linestyle": LINES[i], "linewidth": 1.4}
    return given | ({"marker": MARKERS[i], "markersize": 4.5} if marks else {})


def dot(number: int) -> dict[str, object]:
    """The same for points without a line."""
    i = number % len(COLOURS)
    return {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": "none", "markersize": 5}


def titled(ax: Axes, title: str, x: str, y: str) -> None:
    ax.set_title(title, fontsize=9.5, loc="left")
    ax.set_xlabel(x)
    ax.set_ylabel(y)


def legend(ax: Axes, **more: object) -> None:
    ax.legend(**({"fontsize": 7.5, "frameon": False} | more))


def legend_below(figure: Figure, ax: Axes, columns: int) -> None:
    """One legend for all panels, under them."""
    handles, names = ax.get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
    )
