"""Pictures stand upright whatever the affine, and compare like with like."""

from itertools import permutations, product

import numpy as np
import pytest
from matplotlib.image import imread

from dwiser.reports import views
from dwiser.reports.figures import in_montage, middle_dwi, montage, save_montage
from dwiser.reports.views import View
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream

SHAPE = (8, 10, 12)
SIZES = np.array([2.0, 1.5, 1.2])  # mm, of the voxel axes; no slab is thin
OBLIQUE = 0.1  # radians
SIGMA = 7.0
B0, DWI = 0, 3
LEFT, ANTERIOR, SUPERIOR = 1.0, 10.0, 100.0


def affine(order: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
    """Voxel axis k along world axis ``order[k]``, up or down it, tilted a little about x."""
    c, s = np.cos(OBLIQUE), np.sin(OBLIQUE)
    tilt = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    result = np.eye(4)
    result[:3, :3] = tilt @ np.eye(3)[:, list(order)] * signs * SIZES
    result[:3, 3] = [-30.0, 12.0, 55.0]
    return result


AFFINES = [
    affine(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]
SOME = [AFFINES[i] for i in (0, 1, 21, 38)]  # straight, det < 0, and two permuted ones


def halves(matrix: np.ndarray) -> np.ndarray:
    """A volume that tells, by world coordinates, which half of each axis a voxel is in."""
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    centred = (voxels - (np.array(SHAPE) - 1) / 2) @ matrix[:3, :3].T
    # Without the tilt, so that the halves follow the voxel axes.
    c, s = np.cos(-OBLIQUE), np.sin(-OBLIQUE)
    x, y, z = np.moveaxis(centred @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T, -1, 0)
    return LEFT * (x < 0) + ANTERIOR * (y > 0) + SUPERIOR * (z > 0) + 1000.0


def scan(matrix: np.ndarray) -> Scan:
    bvecs = np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])
    data = np.zeros((*SHAPE, 7), np.float32)
    data[..., B0] = 2000
    data[..., DWI] = halves(matrix)
    return Scan(data, matrix, Gradients(np.array([0.0, *[1000.0] * 6]), bvecs))


def figure(matrix: np.ndarray, mask: np.ndarray | None = None):
    raw = scan(matrix)
    noise = stream(0, "noise").normal(scale=SIGMA, size=raw.shape)
    colours = np.zeros((*SHAPE, 3), np.float32)
    colours[..., 0] = 0.4
    return montage(
        raw,
        (raw.data + noise).astype(np.float32),
        mask=np.ones(SHAPE, bool) if mask is None else mask,
        sigma=np.full(SHAPE, SIGMA),
        fa_raw=colours,
        fa_denoised=colours / 2,
        volume=DWI,
    )


def pictures(shown) -> list[np.ndarray]:
    return [np.asarray(ax.images[0].get_array()) for ax in shown.axes[:15]]


@pytest.mark.parametrize("matrix", SOME)
def test_left_anterior_and_superior_are_where_they_should_be_on_the_page(matrix):
    shown = pictures(figure(matrix))
    axial, coronal, sagittal = (shown[5 * row] - 1000 for row in range(3))
    marker = LEFT + ANTERIOR  # axial: top left
    corners = [axial[r, c] % SUPERIOR for r, c in ((0, 0), (0, -1), (-1, 0), (-1, -1))]
    assert corners == [marker, ANTERIOR, LEFT, 0]
    corners = [coronal[r, c] // SUPERIOR + coronal[r, c] % 10 for r in (0, -1) for c in (0, -1)]
    assert corners == [1 + LEFT, 1, LEFT, 0]
    corners = [sagittal[r, c] // ANTERIOR for r in (0, -1) for c in (0, -1)]
    assert corners == [10, 11, 0, 1]


@pytest.mark.parametrize("matrix", AFFINES)
def test_turning_to_ras_follows_the_affine(matrix):
    turned = views.to_ras(halves(matrix), matrix) - 1000
    assert turned[0, -1, -1] == LEFT + ANTERIOR + SUPERIOR
    assert turned[-1, 0, 0] == 0
    assert np.allclose(views.ras_voxel_size(matrix) * turned.shape, _extent(matrix))


def _extent(matrix: np.ndarray) -> np.ndarray:
    order = np.abs(matrix[:3, :3]).argmax(axis=0)
    extent = np.empty(3)
    extent[order] = SIZES * SHAPE
    return extent


@pytest.mark.parametrize("matrix", AFFINES)
def test_a_view_names_the_slice_of_the_image_as_stored(matrix):
    volume = stream(1, "volume").normal(size=SHAPE)
    for plane in views.PLANES:
        view = View(plane, 2)
        picture = views.section(views.to_ras(volume, matrix), view)
        axis, index = views.stored_slice(view, SHAPE, matrix)
        stored = np.take(volume, index, axis=axis)
        assert np.array_equal(np.sort(picture.ravel()), np.sort(stored.ravel()))


@pytest.mark.parametrize("matrix", AFFINES)
def test_a_voxel_axis_takes_the_colour_of_the_world_axis_it_follows(matrix):
    for axis in range(3):
        colours = np.zeros((*SHAPE, 3))
        colours[..., axis] = 1
        world = np.abs(matrix[:3, axis]).argmax()
        assert views.ras_colours(colours, matrix)[0, 0, 0].argmax() == world


@pytest.mark.parametrize("matrix", SOME)
def test_the_figure_shows_the_turned_colours(matrix):
    after = pictures(figure(matrix))[4]
    world = np.abs(matrix[:3, 0]).argmax()
    assert np.allclose(after, 0.2 / 0.8 * np.eye(3)[world])


def test_noisy_and_denoised_share_a_window_and_the_residual_is_within_three_sigma():
    rows = figure(AFFINES[0]).axes[:15]
    for noisy, denoised, residual in zip(rows[0::5], rows[1::5], rows[2::5], strict=True):
        assert noisy.images[0].get_clim() == denoised.images[0].get_clim()
        assert residual.images[0].get_clim() == pytest.approx((-3 * SIGMA, 3 * SIGMA))
        difference = noisy.images[0].get_array() - denoised.images[0].get_array()
        assert np.allclose(residual.images[0].get_array(), difference)


def test_the_window_is_the_masks_business_alone():
    mask = np.zeros(SHAPE, bool)
    mask[:4] = True  # one value of LEFT only
    low, high = figure(AFFINES[0], mask).axes[0].images[0].get_clim()
    values = halves(AFFINES[0])[mask]
    assert (low, high) == pytest.approx(tuple(np.percentile(values, (1, 99))))


def test_a_pixel_is_as_wide_and_high_as_its_voxel():
    shown = figure(AFFINES[0])
    assert [shown.axes[5 * row].get_aspect() for row in range(3)] == pytest.approx(
        [1.5 / 2.0, 1.2 / 2.0, 1.2 / 1.5]
    )


def test_a_thin_slab_shows_two_axial_slices_and_a_coronal_one():
    mask = np.ones((60, 60, 12), bool)
    chosen = views.choose_views(mask, np.array([1.0, 1.0, 1.0]))
    assert [v.plane for v in chosen] == ["axial", "axial", "coronal"]
    assert chosen[0].index < 6 <= chosen[1].index


@pytest.mark.parametrize(
    ("shape", "planes"),
    [
        ((8, 90, 24), ["sagittal", "sagittal", "coronal"]),
        ((90, 8, 60), ["coronal", "coronal", "axial"]),
        ((40, 40, 100), ["axial", "coronal", "sagittal"]),  # a spine: narrow along two axes
    ],
)
def test_a_slab_is_shown_in_the_plane_that_it_was_acquired_in(shape, planes):
    """Axial slices of eight sagittal ones were strips of eight voxels, 5860 pixels high."""
    chosen = views.choose_views(np.ones(shape, bool), np.ones(3))
    assert [v.plane for v in chosen] == planes


def test_slices_pass_through_the_masks_middle():
    mask = np.zeros((40, 40, 40), bool)
    mask[4:9, 20:31, 30:37] = True
    axial, coronal, sagittal = views.choose_views(mask, np.ones(3))
    assert (axial.index, coronal.index, sagittal.index) == (33, 25, 6)


def test_the_page_is_filled_by_the_mask_and_a_little_air():
    big = np.zeros((30, 40, 50), bool)
    big[10:20, 0:12, 20:45] = True
    assert views.frame(big).tolist() == [[6, 23], [0, 15], [16, 48]]


@pytest.mark.parametrize("matrix", SOME)
def test_trimming_keeps_the_mask_in_sight(matrix):
    mask = np.zeros(SHAPE, bool)
    mask[:2, :2, :2] = True
    inside, trimmed = views.to_ras(mask, matrix), figure(matrix, mask)
    for row, view in enumerate(views.choose_views(inside, views.ras_voxel_size(matrix))):
        ax = trimmed.axes[5 * row]
        rows, columns = np.nonzero(views.section(inside, view))
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        assert left < columns.min() <= columns.max() < right
        assert top < rows.min() <= rows.max() < bottom
        assert right - left <= 6  # two voxels and four of air


def test_the_saved_montage_is_a_png_with_something_on_it(tmp_path):
    path = tmp_path / "montage.png.part"
    save_montage(path, figure(AFFINES[0]))
    picture = imread(path, format="png")
    assert picture.shape[1] > 1000
    assert picture[..., :3].std() > 0.1


def test_the_middle_dwi_is_no_b0():
    table = Gradients(np.array([1000.0, 0.0, 1000.0]), np.eye(3))
    assert middle_dwi(table) == 2


@pytest.mark.parametrize("matrix", SOME)
def test_the_voxels_of_a_montage_are_all_that_its_colours_need(matrix):
    """Of a colour FA that is known there only, the figure shows what it shows of a whole one."""
    mask = stream(2, "mask").uniform(size=SHAPE) > 0.3
    needed = in_montage(mask, matrix)
    assert 0.1 * mask.sum() < needed.sum() < 0.5 * mask.sum()
    raw, colours = scan(matrix), stream(2, "fa").uniform(size=(*SHAPE, 3)).astype(np.float32)
    drawn = [
        montage(
            raw, raw.data, mask=mask, sigma=np.full(SHAPE, SIGMA), volume=DWI,
            fa_raw=some, fa_denoised=some,
        )
        for some in (colours * mask[..., None], colours * needed[..., None])
    ]  # fmt: skip
    for one, other in zip(*map(pictures, drawn), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_a_tensor_the_montage_shows_the_rest():
    raw = scan(AFFINES[0])
    shown = montage(
        raw, raw.data, mask=np.ones(SHAPE, bool), sigma=np.full(SHAPE, SIGMA), volume=DWI,
        fa_raw=None, fa_denoised=None,
    )  # fmt: skip
    titles = [ax.get_title() for ax in shown.axes[:3]]
    assert titles == ["noisy DWI, volume 3", "denoised DWI, volume 3", "residual: noisy − denoised"]
    assert len([ax for ax in shown.axes if ax.images]) == 9
