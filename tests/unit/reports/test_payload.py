"""Voxels arrive on the page upright, in place and in the scanner's units, within a size."""

import gzip
from base64 import b64decode
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from dwiser.reports import payload as module
from dwiser.reports.grid import VoxelGrid
from dwiser.reports.material import Material
from dwiser.reports.payload import Payload, contrasts, payload, two_dwis, within
from dwiser.reports.voxels import RESIDUAL, Scale, nifti, signal_scale
from dwiser.scan import Gradients

AXES = np.eye(3)
AFFINES = [
    np.diag([2.0, 1.5, 1.2, 1.0]),
    np.array([[-2.0, 0, 0, 9], [0, 0, 1.2, -4], [0, -1.5, 0, 30], [0, 0, 0, 1]]),
    np.array([[0, 1.5, 0, 1], [-2.0, 0, 0, 2], [0, 0, -1.2, 3], [0, 0, 0, 1.0]]),
]


def image(blob: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(b64decode(blob)))


@pytest.fixture(scope="module")
def built(material: Material) -> Payload:
    return payload(material)


@pytest.mark.parametrize("affine", AFFINES, ids=["straight", "permuted", "flipped"])
@pytest.mark.parametrize("step", [1, 2])
def test_every_voxel_keeps_its_place_in_the_world(affine: np.ndarray, step: int) -> None:
    shape = (9, 11, 13)
    values = np.arange(np.prod(shape), dtype=float).reshape(shape) % 251
    mask = np.zeros(shape, bool)
    mask[4:6, 4:8, 5:9] = True
    shown = VoxelGrid.of(mask, affine).thinned(step)
    found = image(nifti(Scale(1.0).levels(shown.cut(values)), shown, Scale(1.0), (0.0, 250.0)))
    assert nib.aff2axcodes(found.affine) == ("R", "A", "S")
    np.testing.assert_allclose(found.header.get_zooms()[:3], shown.size)
    back = np.linalg.inv(affine) @ found.affine
    for voxel in np.ndindex(found.shape):
        stored = np.rint((back @ [*voxel, 1])[:3]).astype(int)
        assert found.dataobj[voxel] == values[tuple(stored)]


@pytest.mark.parametrize("affine", AFFINES, ids=["straight", "permuted", "flipped"])
def test_slices_are_told_by_their_index_as_stored(affine: np.ndarray) -> None:
    shape = (9, 11, 13)
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    shown = VoxelGrid.of(np.ones(shape, bool), affine)
    turned = shown.cut(place)
    for axis, plane in enumerate(("sagittal", "coronal", "axial")):
        told = shown.slices()[plane]
        for index, stored in enumerate(told["stored"]):
            there = np.take(turned, index, axis)[..., "ijk".index(told["axis"])]
            assert (there == stored).all()


def test_noisy_and_denoised_share_a_window_and_keep_their_units(
    built: Payload, material: Material
) -> None:
    data, mask = material.scan.data, material.result.mask
    shown = VoxelGrid.of(mask, material.scan.affine)
    for number, volumes in ((0, [40]), (1, list(range(40)))):
        told = built.spec["contrasts"][number]
        for kind, series in (("noisy", data), ("denoised", material.result.data)):
            found = image(built.blobs[told[kind]])
            assert (found.header["cal_min"], found.header["cal_max"]) == pytest.approx(
                told["window"], rel=1e-5
            )
            expected = shown.cut(series[..., volumes].mean(-1))
            slope = signal_scale(data[..., volumes].mean(-1)).slope
            seen = found.get_fdata()
            inside = expected < 254 * slope
            np.testing.assert_allclose(seen[inside], expected[inside], atol=0.51 * slope)
            assert inside.mean() > 0.98


def test_a_single_volumes_residual_is_in_sigmas(built: Payload, material: Material) -> None:
    told = built.spec["contrasts"][2]
    v = int(told["label"].split()[1].rstrip(","))
    shown = VoxelGrid.of(material.result.mask, material.scan.affine)
    expected = (material.scan.data - material.result.data)[..., v] / material.result.sigma
    seen = image(built.blobs[told["residual"]]).get_fdata()
    wide = np.abs(shown.cut(expected)) < 15
    np.testing.assert_allclose(seen[wide], shown.cut(expected)[wide], atol=0.0626)


def test_the_strips_show_each_volume_in_its_shells_window(
    built: Payload, material: Material
) -> None:
    told = built.spec["strips"]
    assert len(told["volumes"]) == 41
    assert len({tuple(v["window"]) for v in told["volumes"]}) == 2  # DWIs, and the b0
    size = sum(v["width"] * v["height"] for v in told["views"])
    strip = np.frombuffer(gzip.decompress(b64decode(built.blobs["strip-noisy"])), np.uint8)
    assert strip.size == 41 * size
    view, volume = told["views"][0], 7
    at = strip[volume * size :][: view["width"] * view["height"]]
    picture = at.reshape(view["height"], view["width"]) * told["volumes"][volume]["slope"]
    plane = material.scan.data[..., int(view["label"].split()[-1]), volume]  # axial, RAS-like
    assert plane.shape == picture.T.shape
    seen = [np.corrcoef(picture.ravel(), p.T[::-1].ravel())[0, 1] for p in (plane, plane[::-1])]
    assert max(seen) > 0.98
    zero = RESIDUAL.levels(np.zeros(1))[0]
    left = np.frombuffer(gzip.decompress(b64decode(built.blobs["strip-residual"])), np.uint8)
    assert abs(float(left.mean()) - zero) < 8


def test_too_much_is_thinned() -> None:
    def build(step: int) -> Payload:
        return Payload({"step": step}, {"x": "x" * (1000 // step)})

    assert within(2000, build).spec["step"] == 1
    assert within(260, build).spec["step"] == 4
    assert within(500, build).length <= 500


def test_a_large_scan_shows_fewer_slices_and_volumes(
    material: Material, built: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    strips = sum(len(v) for k, v in built.blobs.items() if k.startswith("strip"))
    monkeypatch.setattr(module, "MOST_STRIPS", strips // 2)
    monkeypatch.setattr(module, "MOST_VOLUMES", (built.length - strips) // 2)
    small = payload(material)
    assert small.length <= built.length // 2 + 1
    assert small.spec["strips"]["every"] >= 2
    assert small.spec["step"] >= 2
    axial = small.spec["planes"]["axial"]["stored"]
    assert axial == built.spec["planes"]["axial"]["stored"][:: small.spec["step"]]


def test_two_dwis_differ_as_much_as_they_can() -> None:
    bvecs = np.vstack([np.zeros(3), AXES, -AXES])
    one = Gradients(np.array([0.0, *[1000.0] * 6]), bvecs)
    first, second = two_dwis(one)
    assert bvecs[first] @ bvecs[second] == 0
    two = Gradients(np.array([0.0, 1000, 1000, 1000, 2000, 2000, 2000]), bvecs)
    assert {two.bvals[v] for v in two_dwis(two)} == {1000, 2000}
    assert [c.label for c in contrasts(two)][:3] == [
        "b0", "mean of 3 DWIs, b = 1000 s/mm²", "mean of 3 DWIs, b = 2000 s/mm²",
    ]  # fmt: skip
    assert len(contrasts(two)) == 5


def test_an_uncertainty_map_is_shown_beside_sigma(material: Material) -> None:
    values = np.full(material.scan.shape[:3], 3.0, np.float32)
    built = payload(replace(material, result=replace(material.result, uncertainty=values)))
    assert [m["image"] for m in built.spec["maps"]] == ["sigma", "uncertainty"]
    np.testing.assert_allclose(image(built.blobs["uncertainty"]).get_fdata(), 3.0, rtol=1e-3)
