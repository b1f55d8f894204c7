"""A picture of each phantom into docs/: made by code, refitted from a real scan, oil and water.

``python -m benchmarks.phantom_pictures [FOLDER] [--only code,refit,oil,water]``

FOLDER (default: the environment's DWISER_DATA) holds sherbrooke_1p8mm, oil_phantom and
water_phantom. Panels that share a colour bar share its window; slices are upright, the subject's
left on the left.
"""

import argparse
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from dwiser.errors import DwiserWarning
from dwiser.evaluation.repeats import moment_mean
from dwiser.io import load
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.shells import shells
from dwiser.reports import views
from dwiser.reports.figures import FA_WHITE, draw_section, middle_dwi, trim
from dwiser.reports.tensor import colour_fa
from dwiser.scan import Scan
from dwiser.simulation import phantom, phantom_from

DOCS = Path(__file__).parent.parent / "docs"
DPI, INCHES, BAR, TOP = 100, 2.3, 0.75, 0.75
SEED = 302
SLAB = slice(34, 44)  # slices of the real scan that are refitted: through the ventricles
BRIGHTEST = 99.7  # percentile of the mask that is white
SIGNAL = "signal, scanner units"
COLOURS = "red left–right, green anterior–posterior, blue inferior–superior"


@dataclass(frozen=True, eq=False)
class Panel:
    """A volume of the scan's grid (or its colour FA), and the window it is shown in."""

    title: str
    volume: np.ndarray
    window: Normalize | None = None


@dataclass(frozen=True, eq=False)
class Stage:
    """What all panels of a picture share: the affine, the object, and where it is cut."""

    scan: Scan
    mask: np.ndarray

    def view(self, plane: str) -> views.View:
        inside = np.nonzero(views.to_ras(self.mask, self.scan.affine))
        axis = views.PLANES[plane]
        return views.View(plane, int(np.median(inside[axis])))


def draw(
    name: str,
    title: str,
    stage: Stage,
    rows: list[tuple[str, list[Panel]]],
    bars: list[tuple[Normalize, str]],
) -> None:
    """Rows of panels, each row a plane; a colour bar below for every window."""
    affine = stage.scan.affine
    size = views.ras_voxel_size(affine)
    frame = views.frame(views.to_ras(stage.mask, affine))
    extent = (np.ptp(frame, axis=1) + 1) * size
    cut = [stage.view(plane) for plane, _ in rows]
    columns = max(len(panels) for _, panels in rows)
    heights = [INCHES * extent[v.upward] / extent[v.across] + 0.3 for v in cut]
    total = sum(heights) + BAR + TOP
    figure = Figure((columns * INCHES + 0.3, total))
    grid = figure.add_gridspec(
        len(rows) + 1, columns, height_ratios=[*heights, BAR], left=0.03, right=0.99,
        top=1 - TOP / total, bottom=0.01, wspace=0.03, hspace=0.14,
    )  # fmt: skip
    for row, (view, (_, panels)) in enumerate(zip(cut, rows, strict=True)):
        for column, panel in enumerate(panels):
            ax = figure.add_subplot(grid[row, column])
            colour = panel.volume.ndim == 4
            shown = (views.ras_colours if colour else views.to_ras)(panel.volume, affine)
            shown = np.clip(shown / FA_WHITE, 0, 1) if colour else shown
            draw_section(ax, views.section(shown, view), view, size, panel.window)
            trim(ax, view, frame)
            ax.set_title(panel.title, fontsize=8)
    strip = figure.add_subplot(grid[-1, :])
    strip.axis("off")
    for i, (window, label) in enumerate(bars):
        share = 1 / len(bars)
        place = strip.inset_axes((share * (i + 0.12), 0.6, share * 0.76, 0.18))
        bar = figure.colorbar(
            ScalarMappable(window, "gray"), cax=place, orientation="horizontal", extend="max"
        )
        bar.set_label(label, fontsize=8)
        place.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=9)
    path = DOCS / f"phantom_{name}.png"
    figure.savefig(path, dpi=DPI, pil_kwargs={"optimize": True})
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


def window(volume: np.ndarray, mask: np.ndarray, low: float = 0.0) -> Normalize:
    return Normalize(low, float(np.percentile(volume[mask], BRIGHTEST)))


def code(_: Path) -> None:
    """The head made by code: two planes, noisy beside true."""
    made = phantom(snr=20, sigma_map="gfactor", lesions=True, seed=SEED)
    scan, dwi = made.scan, middle_dwi(made.scan.gradients)
    b0 = int(np.flatnonzero(scan.gradients.is_b0)[0])
    bright, grey = window(made.truth[..., b0], made.mask), window(made.truth[..., dwi], made.mask)
    noise = Normalize(0, float(made.sigma.max()))
    fa = colour_fa(made.truth, scan.gradients, made.mask)
    panels = [
        Panel("b0, noisy", scan.data[..., b0], bright),
        Panel("DWI b=1000, noisy", scan.data[..., dwi], grey),
        Panel("the same DWI, truth", made.truth[..., dwi], grey),
        Panel(f"true colour FA (full at {FA_WHITE})", fa),
        Panel("σ of the noise", made.sigma, noise),
    ]
    draw(
        "code",
        f"Head made by code, seed {SEED}: 65×78×66 voxels of 2.5 mm, b0 SNR 20, six lesions\n"
        f"{COLOURS}",
        Stage(scan, made.mask),
        [("axial", panels), ("coronal", panels), ("sagittal", panels)],
        [(bright, f"b0: {SIGNAL}"), (grey, f"DWI: {SIGNAL}"), (noise, "σ, scanner units")],
    )


def refitted(folder: Path) -> None:
    """A slab of a real scan beside its refit, without and with new noise."""
    whole = load(folder / "sherbrooke_1p8mm" / "dwi.nii.gz")
    scan = Scan(whole.data[:, :, SLAB].copy(), whole.affine, whole.gradients, whole.header)
    made = phantom_from(scan, snr=20, seed=SEED)
    b0, dwi = int(np.flatnonzero(scan.gradients.is_b0)[0]), middle_dwi(scan.gradients)
    rows = []
    bars = []
    for name, v in (("b0", b0), ("DWI b=1000", dwi)):
        grey = window(scan.data[..., v], made.mask)
        bars.append((grey, f"{name}: {SIGNAL}"))
        which = (scan.data, made.truth) if v == b0 else (made.truth, made.truth)
        fa = colour_fa(which[0], scan.gradients, made.mask)
        told = "colour FA, real scan" if v == b0 else "colour FA, refit"
        three = {
            "real scan": scan.data, "refit, the new truth": made.truth,
            "refit with new noise": made.scan.data,
        }  # fmt: skip
        panels = [Panel(f"{name}, {what}", data[..., v], grey) for what, data in three.items()]
        rows.append(("axial", [*panels, Panel(f"{told} (full at {FA_WHITE})", fa)]))
    draw(
        "refit",
        "Phantom refitted from a real scan (sherbrooke_1p8mm, St-Jean et al. 2016, CC BY 4.0), "
        f"new noise at b0 SNR 20\n{COLOURS}",
        Stage(scan, made.mask), rows, bars,
    )  # fmt: skip


def oil(folder: Path) -> None:
    """Oil hardly diffuses: single volumes of every b-value, their mean and their sd."""
    scan = load(folder / "oil_phantom" / "dwi.nii.gz")
    mask = object_mask(scan)
    mean, sd = scan.data.mean(3), scan.data.std(3, ddof=1)
    grey, noise = window(mean, mask), Normalize(0, float(np.percentile(sd[mask], 99)))
    some = [(s.bval, s.volumes[len(s.volumes) // 2]) for s in shells(scan.gradients)]
    singles = [
        Panel(f"one volume, b={bval:.0f}", scan.data[..., v], grey)
        for bval, v in (some[0], some[2], some[-1])
    ]
    panels = [*singles, Panel("mean of all 86", mean, grey), Panel("sd over the 86", sd, noise)]
    draw(
        "oil",
        "Oil on a 3 T scanner: 86 repeats (Szczepankiewicz et al. 2019)",
        Stage(scan, mask),
        [("axial", panels), ("coronal", panels)],
        [(grey, SIGNAL), (noise, "sd over the repeats, scanner units")],
    )


def water(folder: Path) -> None:
    """Water: the signal falls to the noise floor, where the plain mean is too bright."""
    scan = load(folder / "water_phantom" / "dwi.nii.gz")
    mask = object_mask(scan)
    table = shells(scan.gradients)
    some = [table[i] for i in (0, 2, 3, 4)]
    grey = window(scan.data[..., table[0].volumes].mean(3), mask)
    falling = [
        Panel(f"one volume, b={s.bval:.0f}", scan.data[..., s.volumes[0]], grey) for s in some
    ]
    last = table[-1].volumes
    repeats, sigma = scan.data[..., last], sigma_map(scan, mask)
    plain = repeats.mean(3)
    moment = np.zeros_like(plain)
    everywhere = sigma > 0
    moment[everywhere] = moment_mean(repeats[everywhere], sigma[everywhere]).value
    dim = window(repeats, mask)
    b = f"b={table[-1].bval:.0f}"
    floor = [
        Panel(f"{b}, one volume", repeats[..., 0], dim),
        Panel(f"{b}, mean of {len(last)}", plain, dim),
        Panel("moment-corrected mean", moment, dim),
        Panel("Rician bias: their difference", plain - moment, dim),
    ]
    draw(
        "water",
        "Water on a 3 T scanner: repeats by b-value (Szczepankiewicz et al. 2019)",
        Stage(scan, mask),
        [("axial", falling), ("axial", floor)],
        [(grey, f"upper row: {SIGNAL}"), (dim, f"lower row: {SIGNAL}")],
    )


PICTURES: dict[str, Callable[[Path], None]] = {
    "code": code, "refit": refitted, "oil": oil, "water": water,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=os.environ.get("DWISER_DATA"), type=Path)
    parser.add_argument("--only", default=",".join(PICTURES))
    asked = parser.parse_args()
    if asked.folder is None and asked.only != "code":
        parser.error("name the folder with the scans, or set DWISER_DATA")
    warnings.simplefilter("ignore", DwiserWarning)
    for name in asked.only.split(","):
        PICTURES[name](asked.folder)


if __name__ == "__main__":
    main()
