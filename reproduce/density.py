"""Streamlines of a bundle: counted, judged, and drawn as maps of their density.

A record holds each map as the text of its rows, so that figures are drawn from records alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from dipy.tracking.utils import density_map
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dwiser.evaluation.records import CannotMeasure
from dwiser.evaluation.tracts import bundle, coherency, is_valid, reaches
from dwiser.scan import Scan
from reproduce.style import COLUMNS, WIDTH

KEPT, LOST = "kept", "lost"
SHADES = 255  # of the grey behind a map
PICTURE, CAPTION = 1.27, 0.31  # inches: a picture's width, the two lines over it
GREY, MAP = "Greys_r", "viridis"
OUTLINE = "#D55E00"
FACES = {0: ("P", "A"), 1: ("L", "R")}  # what lies left and right, looking along an axis


@dataclass(frozen=True, eq=False)
class Course:
    """Where a bundle is tracked: seeds, where streamlines are to arrive, how it is looked at.

    Parameters
    ----------
    near : tracked in. inside : the bundle, or where it starts if its course is not known.
    anatomy : from 0 to 1, drawn behind. axis : along which maps are projected.
    """

    scan: Scan
    near: np.ndarray
    start: np.ndarray
    ends: tuple[np.ndarray, ...]
    inside: np.ndarray
    anatomy: np.ndarray
    axis: int

    def told(self) -> dict[str, Any]:
        """The bundle's outline and the anatomy, projected."""
        middle = np.argwhere(self.inside)[:, self.axis]
        slab = np.take(self.anatomy, np.unique(middle), self.axis).mean(self.axis)
        grey = np.clip(slab, 0, 1) * SHADES
        return {
            "axis": self.axis,
            "outline": written(self.inside.any(self.axis)),
            "anatomy": written(grey.round()),
        }

    def density(self, lines: list[np.ndarray]) -> list[str]:
        """Streamlines in each voxel, the most along the axis that is looked along."""
        if not lines:
            return written(np.zeros(np.delete(self.near.shape, self.axis)))
        visits = density_map(lines, self.scan.affine, self.near.shape)
        return written(visits.max(self.axis))


def tracked(label: str, data: np.ndarray, course: Course, seed: int) -> dict[str, Any]:
    """Streamlines that start and arrive, their coherency and their density."""
    row: dict[str, Any] = {"method": label}
    try:
        lines = bundle(
            data, course.scan.gradients, course.near, course.scan.affine, course.start, seed=seed
        )
    except CannotMeasure as why:
        return row | judged([], course) | {"why": str(why)}
    row |= judged(lines, course)
    try:
        return row | vars(coherency(arrived(lines, course), course.scan.affine, seed=seed))
    except CannotMeasure as why:
        return row | {"why": str(why)}


def judged(lines: list[np.ndarray], course: Course) -> dict[str, Any]:
    """How many start, arrive, are valid where the bundle is known; density maps.

    The maps are of what is kept (valid; of an unknown bundle: arrived) and of all others.
    """
    through = held = _reaching(lines, course)
    row: dict[str, Any] = {"started": len(lines), "found": int(through.sum())}
    if len(course.ends) == 1:
        ends = course.start, course.ends[0]
        held = is_valid(lines, course.scan.affine, course.inside, ends) if lines else through
        row |= {"valid": int(held.sum()), "invalid": int((~held).sum())}
    for name, chosen in ((KEPT, held), (LOST, ~held)):
        row[name] = course.density([x for x, yes in zip(lines, chosen, strict=True) if yes])
    return row


def arrived(lines: list[np.ndarray], course: Course) -> list[np.ndarray]:
    return [x for x, yes in zip(lines, _reaching(lines, course), strict=True) if yes]


def _reaching(lines: list[np.ndarray], course: Course) -> np.ndarray:
    if not lines:
        return np.zeros(0, bool)
    return np.all([reaches(lines, course.scan.affine, end) for end in course.ends], axis=0)


def written(grid: np.ndarray) -> list[str]:
    """Whole numbers of a map (A, B) as one text a row."""
    return [" ".join(str(int(v)) for v in row) for row in grid]


def read(rows: list[str]) -> np.ndarray:
    return np.array([[int(v) for v in row.split()] for row in rows])


def drawn(record: Mapping[str, Any], titles: Mapping[str, str]) -> Figure:
    """A column a method, what is kept over what is lost, at one window for each scan."""
    places = record["places"]
    groups = {s: [r for r in record["rows"] if r["source"] == s] for s in places}
    heights = []
    for source, rows in groups.items():
        wide, high = read(places[source]["outline"]).shape
        picture = PICTURE * high / wide + CAPTION
        heights.append(2 * -(-len(rows) // COLUMNS) * picture + CAPTION)
    figure = Figure((WIDTH, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(groups), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (source, rows) in zip(parts, groups.items(), strict=True):
        part.suptitle(titles[source], fontsize=9.5, x=0.01, ha="left")
        axes = part.subplots(2 * -(-len(rows) // COLUMNS), COLUMNS, squeeze=False)
        most = max(read(r[k]).max() for r in rows for k in (KEPT, LOST))
        norm = LogNorm(1, max(2, most))
        for ax in axes.flat:
            ax.set_axis_off()
        for i, row in enumerate(rows):
            down, across = divmod(i, COLUMNS)
            for j, (name, told) in enumerate(_captions(row).items()):
                shown = _map(axes[2 * down + j, across], read(row[name]), places[source], norm)
                axes[2 * down + j, across].set_title(told, fontsize=7.5, pad=2)
        bar = part.colorbar(shown, ax=axes, shrink=0.6, pad=0.01, aspect=30)
        bar.set_label("streamlines in a voxel", fontsize=8)
        bar.ax.tick_params(labelsize=7.5)
    return figure


def _captions(row: Mapping[str, Any]) -> dict[str, str]:
    if "valid" in row:
        kept, lost = f"{row['valid']} valid", f"{row['invalid']} invalid"
    else:
        kept, lost = f"{row['found']} arrive", f"{row['started'] - row['found']} do not"
    name = row["method"].replace(", predicted", ",\npredicted")
    return {KEPT: f"{name}\n{kept}", LOST: lost}


def _map(ax: Axes, counts: np.ndarray, place: Mapping[str, Any], norm: LogNorm) -> Any:
    """Upright: head up, the front (or the right hand) on the right."""
    given = {"origin": "lower", "interpolation": "nearest"}
    ax.imshow(read(place["anatomy"]).T, cmap=GREY, vmin=0, vmax=SHADES, alpha=0.6, **given)
    shown = ax.imshow(np.ma.masked_equal(counts, 0).T, cmap=MAP, norm=norm, **given)
    ax.contour(read(place["outline"]).T, [0.5], colors=OUTLINE, linewidths=0.9)
    for text, at in zip(FACES[place["axis"]], (0.04, 0.96), strict=True):
        ax.text(at, 0.04, text, transform=ax.transAxes, fontsize=7, color="white",
                ha="left" if at < 0.5 else "right", va="bottom")  # fmt: skip
    return shown
