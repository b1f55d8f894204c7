"""Methods side by side: one window for all, nothing on top of anything, however many there are."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dwiser.reports.figures import middle_dwi
from dwiser.reports.side_by_side import MOST_COLUMNS, Page, side_by_side
from dwiser.simulation import Simulation

SIGMAS = 3


def drawn(small: Simulation, count: int, truth: bool = False):
    labels = [f"method{i}:field=value:other={i}" if i % 3 else f"method{i}" for i in range(count)]
    half = small.scan.data / 2
    return labels, side_by_side(
        small.scan, dict.fromkeys(labels, half), mask=small.mask, sigma=small.sigma,
        volume=middle_dwi(small.scan.gradients), truth=small.truth if truth else None,
    )  # fmt: skip


def pictures(figure) -> list:
    return [ax for ax in figure.axes if ax.images]


@pytest.mark.parametrize("count", [1, 5, 6, 14, 17])
def test_no_title_or_picture_lies_on_another(small, count: int) -> None:
    _, figure = drawn(small, count, truth=True)
    FigureCanvasAgg(figure).draw()
    boxes = [ax.get_window_extent() for ax in pictures(figure)]
    boxes += [ax.title.get_window_extent() for ax in pictures(figure) if ax.get_title()]
    boxes.append(figure._suptitle.get_window_extent())
    boxes += [ax.get_tightbbox() for ax in figure.axes if not ax.images]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    whole = figure.bbox
    for box in boxes:
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1
        assert whole.y0 <= box.y0
        assert box.y1 <= whole.y1


def test_all_signals_share_one_window_and_all_residuals_another(small) -> None:
    labels, figure = drawn(small, 7)
    shown = pictures(figure)
    assert [ax.get_title().replace("\n", ":") for ax in shown[::2]] == ["noisy", *labels]
    assert len({ax.images[0].get_clim() for ax in shown[::2]}) == 1
    sd = float(np.median(small.sigma[small.mask]))
    for ax in shown[1::2]:
        assert ax.images[0].get_clim() == pytest.approx((-SIGMAS * sd, SIGMAS * sd))


def test_a_residual_is_the_noisy_slice_less_what_stands_above_it(small) -> None:
    shown = [np.asarray(ax.images[0].get_array()) for ax in pictures(drawn(small, 2)[1])]
    noisy, _, clean, taken = shown[:4]
    np.testing.assert_allclose(taken, noisy - clean, atol=1e-3)


@pytest.mark.parametrize("count", range(1, 30))
def test_bands_are_full_or_nearly(count: int) -> None:
    page = Page(count, 2.0, 1)
    assert page.columns <= MOST_COLUMNS
    assert page.bands * page.columns - count < page.bands


def test_both_bars_name_their_units(small) -> None:
    bars = [ax.get_xlabel() for ax in drawn(small, 3)[1].axes if not ax.images]
    assert bars == ["signal, scanner units", "residual, ±3 σ, scanner units"]
