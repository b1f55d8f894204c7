"""The data of a page's sliders and viewer: volumes and strips of pictures, within a size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from dwiser.evaluation.groups import volume_groups
from dwiser.reports import views
from dwiser.reports.figures import FA_WHITE, RESIDUAL_SIGMAS, WINDOW, middle_dwi
from dwiser.reports.grid import VoxelGrid
from dwiser.reports.material import Material
from dwiser.reports.voxels import RESIDUAL, ByteScale, nifti, packed, signal_scale
from dwiser.reports.words import group_words
from dwiser.scan import Gradients

MOST_VOLUMES = 7_600_000  # characters of the three-dimensional images; with the rest below 15 MB
MOST_STRIPS = 4_400_000  # characters of the strips through all volumes
MOST_TRIES = 4
BRIGHT, BRIGHTER = 75.0, 1.5  # percentile of the object, and how far above it white may be


# the window and the scale of each volume
Scaled: TypeAlias = tuple[dict[int, tuple[float, float]], dict[int, ByteScale]]


@dataclass(frozen=True)
class Payload:
    """``spec`` describes the images in plain values; ``blobs`` are their voxels by name."""

    spec: dict[str, Any]
    blobs: dict[str, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return sum(map(len, self.blobs.values()))


@dataclass(frozen=True, eq=False)
class Contrast:
    """One image to look at, before and after: a volume, or the mean of a group."""

    label: str
    group: str
    volumes: Int[np.ndarray, "n"]


@dataclass(frozen=True, eq=False)
class Images:
    """The voxels of a contrast, noisy and denoised."""

    contrast: Contrast
    noisy: Float[np.ndarray, "x y z"]
    denoised: Float[np.ndarray, "x y z"]


def contrasts(gradients: Gradients) -> list[Contrast]:
    """The b0s' mean, each shell's mean, and two single DWIs; of b0s alone two of these."""
    selected = [
        Contrast(group_words(group, gradients), group.name, group.volumes)
        for group in volume_groups(gradients, pooled=False)
    ]
    for v in two_dwis(gradients):
        if not any(len(c.volumes) == 1 and v in c.volumes for c in selected):
            label = f"volume {gradients.number(v)}, b = {gradients.bvals[v]:.0f} s/mm²"
            selected.append(Contrast(label, "", np.array([v])))
    return selected


def two_dwis(gradients: Gradients) -> list[int]:
    """The middle DWI, and the one least like it: of another shell, else of another direction."""
    first = middle_dwi(gradients)
    dwis = np.flatnonzero(~gradients.is_b0)
    if not len(dwis):
        return sorted({0, first})
    along = np.abs(gradients.bvecs[dwis] @ gradients.bvecs[first])
    apart = np.abs(gradients.bvals[dwis] - gradients.bvals[first])
    second = int(dwis[np.lexsort((along, -apart.round(-2)))[0]])
    return sorted({first, second})


def payload(material: Material) -> Payload:
    """All images of the page, thinned where they would make it too large."""
    mask = material.result.mask
    assert mask is not None
    grid = VoxelGrid.of(mask, material.scan.affine)
    images = [_images(material, contrast) for contrast in contrasts(material.scan.gradients)]
    volumes = within(MOST_VOLUMES, lambda step: _volumes(material, images, grid.thinned(step)))
    scaled = _by_shell(material, images)
    strips = within(MOST_STRIPS, lambda step: _strips(material, scaled, grid, step))
    return Payload(volumes.spec | {"strips": strips.spec}, volumes.blobs | strips.blobs)


def within(most: int, build: Callable[[int], Payload]) -> Payload:
    """``build(step)`` with the smallest step found at which it is short enough."""
    step = 1
    for _ in range(MOST_TRIES):
        built = build(step)
        if built.length <= most:
            break
        step = max(step + 1, round(step * built.length / most))
    return built


def _volumes(material: Material, images: Sequence[Images], shown: VoxelGrid) -> Payload:
    blobs: dict[str, str] = {}
    spec: dict[str, Any] = {
        "planes": shown.slices(), "step": shown.step, "ends": views.ENDS,
        "contrasts": [], "maps": [], "fa": None, "sigmas": RESIDUAL_SIGMAS, "faWhite": FA_WHITE,
    }  # fmt: skip
    for i, image in enumerate(images):
        window, packed_images = _contrast(material, image, shown)
        names = {kind: f"c{i}-{kind}" for kind in packed_images}
        blobs |= {names[kind]: packed_image for kind, packed_image in packed_images.items()}
        spec["contrasts"].append({"label": image.contrast.label, "window": window, **names})
    if material.fa_raw is not None and material.fa_denoised is not None:
        for kind, colours in (("noisy", material.fa_raw), ("denoised", material.fa_denoised)):
            levels = (shown.colours(colours) / FA_WHITE).clip(0, 1) * 255
            blobs[f"fa-{kind}"] = nifti(levels.astype(np.uint8), shown, ByteScale(1.0), None)
        spec["fa"] = {"noisy": "fa-noisy", "denoised": "fa-denoised"}
    for name, label, values in _maps(material):
        scale = ByteScale(max(float(values.max()), 1e-6) / 255)
        window = _window(values, material)
        blobs[name] = nifti(scale.levels(shown.cut(values)), shown, scale, window)
        spec["maps"].append({"label": label, "image": name, "window": window})
    return Payload(spec, blobs)


def _images(material: Material, contrast: Contrast) -> Images:
    noisy, clean = (
        data[..., contrast.volumes].mean(-1, dtype=np.float32)
        for data in (material.scan.data, material.result.data)
    )
    return Images(contrast, noisy, clean)


def _contrast(
    material: Material, image: Images, shown: VoxelGrid
) -> tuple[tuple[float, float], dict[str, str]]:
    """The window that noisy and denoised share, and the three images."""
    contrast, noisy, clean = image.contrast, image.noisy, image.denoised
    window, scale = signal_window(noisy, material), signal_scale(noisy)
    images = {
        kind: nifti(scale.levels(shown.cut(values)), shown, scale, window)
        for kind, values in (("noisy", noisy), ("denoised", clean))
    }
    alone = len(contrast.volumes) == 1
    residual = (
        in_sigmas(material, noisy - clean) if alone else material.repeating.get(contrast.group)
    )
    if residual is not None:
        spread = (-RESIDUAL_SIGMAS, RESIDUAL_SIGMAS)
        images["residual"] = nifti(RESIDUAL.levels(shown.cut(residual)), shown, RESIDUAL, spread)
    return window, images


def in_sigmas(
    material: Material, difference: Float[np.ndarray, "x y z"]
) -> Float[np.ndarray, "x y z"] | None:
    """A residual in units of σ, 0 where σ is; None where σ is unknown."""
    sigma = material.result.sigma
    if sigma is None or not (sigma > 0).any():
        return None
    return _over_sigma(difference, sigma)


def _over_sigma(difference: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    return np.divide(difference, sigma, out=np.zeros_like(difference), where=sigma > 0)


def signal_window(values: Float[np.ndarray, "x y z"], material: Material) -> tuple[float, float]:
    """Black and white of a signal: the object's percentiles, white where tissue is still grey.

    White is the 99th percentile or, where that is lower, 1.5 times the 75th: in a b0 fluid is five
    times as bright as tissue, which would be nearly black in a window that reaches to it.
    """
    low, high = _window(values, material)
    tissue = BRIGHTER * float(np.percentile(values[material.result.mask], BRIGHT))
    return low, min(high, tissue) if tissue > low else high


def _window(values: Float[np.ndarray, "x y z"], material: Material) -> tuple[float, float]:
    low, high = np.percentile(values[material.result.mask], WINDOW)
    return float(low), float(high if high > low else low + 1)


def _maps(material: Material) -> Iterator[tuple[str, str, np.ndarray]]:
    result, unit = material.result, "scanner units"
    if result.sigma is not None and (result.sigma > 0).any():
        yield "sigma", f"σ, the noise's sd ({unit})", result.sigma.astype(np.float32)
    if result.uncertainty is not None:
        label = f"uncertainty, sd of the result's error ({unit})"
        yield "uncertainty", label, result.uncertainty.astype(np.float32)
    if result.rank is not None:
        yield "rank", "degrees of freedom that the voxel's volumes keep", result.rank
    if result.variance_removed is not None:
        label = "share of the variance within the shells that was removed"
        yield "variance", label, result.variance_removed


def _strips(material: Material, scaled: Scaled, shown: VoxelGrid, every: int) -> Payload:
    """The middle slice of three planes through all volumes, or every nth of them."""
    scan, result = material.scan, material.result
    assert result.mask is not None
    inside = views.to_ras(result.mask, scan.affine)
    chosen = views.choose_views(inside, views.ras_voxel_size(scan.affine))
    windows, scales = scaled
    strips: dict[str, list[bytes]] = {"noisy": [], "denoised": [], "residual": []}
    volumes = range(0, len(scan.gradients), every)
    noise = None if result.sigma is None or not (result.sigma > 0).any() else result.sigma
    sigma_box = None if noise is None else shown.cut(noise)
    noisy_box, clean_box = shown.cut(scan.data), shown.cut(result.data)  # views: nothing is copied
    for v in volumes:
        for view in chosen:
            noisy, clean = (
                _cut_section(box[..., v], view, shown).astype(np.float32)
                for box in (noisy_box, clean_box)
            )
            strips["noisy"].append(scales[v].levels(noisy).tobytes())
            strips["denoised"].append(scales[v].levels(clean).tobytes())
            if sigma_box is not None:
                residual = _over_sigma(noisy - clean, _cut_section(sigma_box, view, shown))
                strips["residual"].append(RESIDUAL.levels(residual).tobytes())
    spec = {
        "every": every,
        "residual": {"slope": RESIDUAL.slope, "inter": RESIDUAL.inter},
        "views": [_about_view(view, material, shown) for view in chosen],
        "volumes": [_about_volume(v, scan.gradients, windows[v], scales[v]) for v in volumes],
        "images": [kind for kind, parts in strips.items() if parts],
    }
    blobs = {f"strip-{kind}": packed(b"".join(parts)) for kind, parts in strips.items() if parts}
    return Payload(spec, blobs)


def _by_shell(material: Material, images: Sequence[Images]) -> Scaled:
    """For each volume the window and the scale of its shell: volumes of one shell compare."""
    windows: dict[int, tuple[float, float]] = {}
    scales: dict[int, ByteScale] = {}
    means = {image.contrast.group: image.noisy for image in images}
    for group in volume_groups(material.scan.gradients, pooled=False):
        mean = means[group.name]
        first = material.scan.data[..., group.volumes[0]].astype(np.float32)
        window = signal_window(mean, material)[0], signal_window(first, material)[1]
        scale = signal_scale(first)
        windows |= dict.fromkeys(map(int, group.volumes), window)
        scales |= dict.fromkeys(map(int, group.volumes), scale)
    return windows, scales


def _cut_section(box: np.ndarray, view: views.View, shown: VoxelGrid) -> np.ndarray:
    index = view.index - int(shown.frame[view.axis, 0])
    return views.section(box, views.View(view.plane, index))


def _about_view(view: views.View, material: Material, shown: VoxelGrid) -> dict[str, Any]:
    axis, index = views.stored_slice(view, shown.shape, shown.affine)
    extent, size = np.ptp(shown.frame, axis=1) + 1, shown.size
    return {
        "plane": view.plane,
        "label": f"{view.plane}, {'ijk'[axis]} = {index}",
        "width": int(extent[view.across]), "height": int(extent[view.upward]),
        "aspect": float(extent[view.across] * size[view.across])
        / float(extent[view.upward] * size[view.upward]),
        "ends": [*views.ENDS[view.across], views.ENDS[view.upward][1]],
    }  # fmt: skip


def _about_volume(
    v: int, gradients: Gradients, window: tuple[float, float], scale: ByteScale
) -> dict[str, Any]:
    x, y, z = gradients.bvecs[v].round(2) + 0.0  # no −0.00
    along = "" if gradients.is_b0[v] else f", along ({x:.2f}, {y:.2f}, {z:.2f})"
    along = ", no direction" if gradients.without_direction[v] else along
    return {
        "label": f"volume {gradients.number(v)}, b = {gradients.bvals[v]:.0f} s/mm²{along}",
        "window": window, "slope": scale.slope,
        "b0": bool(gradients.is_b0[v]),
    }  # fmt: skip
