"""Loss of sharpness and of small details by denoising: edge blur and lesion contrast."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation, gaussian_filter, gaussian_gradient_magnitude

from dwiser.evaluation.records import CannotMeasure, measured

FWHM_PER_SD = 2 * np.sqrt(2 * np.log(2))
EDGE_SHARE = 0.2  # the steepest fifth of the mask counts as edges
WIDEST = 3.0  # voxels, sd: a wider blur than that is reported as at least that
VOLUMES = 6  # evenly taken from a group; edges of one group are nearly the same in all
RING = 2  # voxels around a lesion that it is compared with
SHOWS = 0.1  # a lesion shows in a volume where it differs from its ring by this share of it
ENOUGH = 4  # voxels in a lesion's ring


@dataclass(frozen=True)
class EdgeBlur:
    """FWHM in mm of the Gaussian that turns the truth's edges into the denoised ones."""

    fwhm: float = measured("mm")
    voxels: int = 0


@dataclass(frozen=True)
class LesionContrast:
    """Share of a lesion's contrast that survived: 1 all of it, 0 erased.

    kept = 1 + Σ_v e(v)·d(v) / Σ_v d(v)², with e the denoised less the true difference between
    lesion and ring, and d what the lesion changed, over the volumes where it shows. Where d is
    not known the true difference between lesion and ring is used; that misleads where the
    healthy tissue differs from its ring by as much. contrast: the largest d.
    """

    label: int
    kept: float = measured("")
    contrast: float = measured("signal")
    voxels: int = 0
    volumes: int = 0


def edge_blur(
    denoised: Float[np.ndarray, "x y z n"],
    truth: Float[np.ndarray, "x y z n"],
    mask: Bool[np.ndarray, "x y z"],
    voxel_size: tuple[float, float, float],
) -> EdgeBlur:
    """Effective Gaussian blur at the truth's edges.

    The sd s (mm, the same along all axes) minimises the squared error of regressing the
    denoised voxels on the truth blurred by s, with a free scale and offset for each volume,
    over the steepest fifth of the mask (gradient magnitude of the true mean). The noise
    that remains in the denoised image adds a constant and does not widen the edges. Blurs
    below about two thirds of a voxel FWHM cannot be seen on the grid and come out as 0.

    Raises
    ------
    CannotMeasure
        Where the truth has no edges in the mask.
    """
    mean = truth.mean(-1, dtype=float)
    slope = gaussian_gradient_magnitude(mean, 0.5)
    edge = mask & (slope >= np.quantile(slope[mask], 1 - EDGE_SHARE))
    if not slope[edge].max() > 0:
        raise CannotMeasure("the truth has no edges in the mask")
    chosen = np.unique(np.linspace(0, truth.shape[3] - 1, VOLUMES).astype(int))
    pairs = [(truth[..., v].astype(float), denoised[..., v][edge].astype(float)) for v in chosen]

    def cost(sd: float) -> float:
        widths = [sd / size for size in voxel_size]
        return sum(_unexplained(gaussian_filter(t, widths)[edge], d) for t, d in pairs)

    fit = scipy.optimize.minimize_scalar(
        cost, bounds=(0, WIDEST * max(voxel_size)), method="bounded", options={"xatol": 1e-3}
    )
    blurred = float(fit.fun) < cost(0.0)
    return EdgeBlur(float(FWHM_PER_SD * fit.x) if blurred else 0.0, int(edge.sum()))


def _unexplained(model: np.ndarray, data: np.ndarray) -> float:
    m, d = model - model.mean(), data - data.mean()
    power = float(m @ m)
    return float(d @ d) - (float(m @ d) ** 2 / power if power > 0 else 0.0)


def lesion_contrast(
    denoised: Float[np.ndarray, "x y z v"],
    truth: Float[np.ndarray, "x y z v"],
    lesions: Int[np.ndarray, "x y z"] | Bool[np.ndarray, "x y z"],
    mask: Bool[np.ndarray, "x y z"],
    volumes: Mapping[int, Sequence[int]] | None = None,
    changes: Mapping[int, Sequence[float]] | None = None,
) -> tuple[LesionContrast, ...]:
    """Preserved contrast, lesion by lesion (labels 1, 2, …; 0 is no lesion; a bool map is one).

    ``volumes`` says for a label in which volumes it shows; without it these are the volumes
    where the true lesion differs from its ring by more than a tenth. ``changes`` says how much
    the lesion changed the signal in each of these volumes, as ``dwiser simulate`` records it.

    Raises
    ------
    CannotMeasure
        When there is no lesion in the mask that shows in any volume.
    """
    contrasts = []
    labels = np.asarray(lesions, int)
    for label in np.unique(labels[mask & (labels > 0)]):
        inside = mask & (labels == label)
        ring = binary_dilation(labels == label, iterations=RING) & mask & (labels == 0)
        if ring.sum() < ENOUGH:
            continue
        surround = truth[ring].mean(0, dtype=float)
        true = truth[inside].mean(0, dtype=float) - surround
        contrast = denoised[inside].mean(0, dtype=float) - denoised[ring].mean(0, dtype=float)
        shows = np.abs(true) > SHOWS * np.abs(surround)
        if volumes is not None and int(label) in volumes:
            shows = np.isin(np.arange(len(true)), list(volumes[int(label)]))
        if not shows.any():
            continue
        t, c = true[shows], contrast[shows]
        d = t if changes is None or int(label) not in changes else np.array(changes[int(label)])
        if not d.any():
            continue
        share = 1 + float((c - t) @ d / (d @ d))
        strongest = float(d[np.abs(d).argmax()])
        contrasts.append(
            LesionContrast(int(label), share, strongest, int(inside.sum()), int(shows.sum()))
        )
    if not contrasts:
        raise CannotMeasure("no lesion in the mask shows in any volume")
    return tuple(contrasts)
