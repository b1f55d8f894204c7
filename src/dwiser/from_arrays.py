"""A scan from what a user of Python holds: an array, a nibabel image, DIPY's gradient table."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike

from dwiser.b_delta import shapes_of
from dwiser.defaults import B0_THRESHOLD, BValueScaling
from dwiser.errors import Code, InputError
from dwiser.io.gradient_table import ReadGradients
from dwiser.prepare.phase import as_radians
from dwiser.prepare.user_sigma import fill_holes
from dwiser.scan import Scan


@runtime_checkable
class Image(Protocol):
    """A nibabel image: what of it is used here."""

    dataobj: Any

    @property
    def affine(self) -> np.ndarray: ...

    @property
    def header(self) -> Any: ...

    def get_fdata(self, *, dtype: Any) -> np.ndarray: ...


@runtime_checkable
class GradientTable(Protocol):
    """DIPY's ``GradientTable``: what of it is used here."""

    bvals: np.ndarray
    bvecs: np.ndarray
    b0_threshold: float


Series: TypeAlias = Any  # a Scan, an Image or an array: checked here, for a sentence
CALLS = {
    "denoise": "dwiser.denoise(data, bvals=bvals, bvecs=bvecs, affine=affine)",
    "image": "dwiser.denoise(image, gtab=gtab)",
}


def as_scan(
    data: Series,
    *,
    bvals: ArrayLike | None = None,
    bvecs: ArrayLike | None = None,
    gtab: Any = None,
    affine: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    noise_map: ArrayLike | None = None,
    phase: ArrayLike | None = None,
    noise_volumes: Sequence[int] | None = None,
    b0_threshold: float | None = None,
    bvalue_scaling: BValueScaling | None = None,
    b_delta: ArrayLike | None = None,
) -> Scan:
    """A diffusion-weighted series as one checked value.

    Parameters
    ----------
    data : a NumPy array (X, Y, Z, V) in the scanner's units, a nibabel image, or a `Scan`. Complex
        numbers are magnitude and phase in one.
    bvals, bvecs : (V,) in s/mm², and (V, 3) or (3, V) in the image's voxel axes, as in FSL's
        files; or ``gtab``, a DIPY ``GradientTable``, in their place.
    affine : (4, 4) voxel to world in mm; a nibabel image brings its own.
    mask : (X, Y, Z), voxels that are not 0 are inside; outside, voxels come back unchanged.
    noise_map : (X, Y, Z), the noise's sd (σ) in the data's units, where it is known.
    phase : (X, Y, Z, V), in radians or in scanner steps, for methods that take one.
    noise_volumes : volumes acquired without excitation, counted from 0, () for none; looked for
        by default. They tell σ and the channels, and come back unchanged.
    b0_threshold : b-values up to this count as b0, in s/mm²; 50, or the ``gtab``'s.
    bvalue_scaling : whether b is multiplied by the squared length of its vector: "yes", "no", or
        "auto" (None), as `Gradients` decides it.
    b_delta : the shape of the b-tensors, −0.5 (planar) over 0 (spherical) to 1 (linear): a number,
        or one a volume; by default the ``gtab``'s, or linear.

    Raises
    ------
    InputError
        For whatever is missing, does not fit or is given twice, with the call that is right.

    Examples
    --------
    >>> import numpy as np, dwiser
    >>> data = np.random.default_rng(0).gamma(9.0, 10.0, (6, 6, 4, 8))
    >>> bvecs = np.eye(3)[[0, 0, 1, 2, 0, 1, 2, 0]]
    >>> scan = dwiser.as_scan(
    ...     data, bvals=[0, *[1000] * 7], bvecs=bvecs, affine=np.diag([2, 2, 2, 1])
    ... )
    >>> scan.shape, scan.voxel_size
    ((6, 6, 4, 8), (2.0, 2.0, 2.0))
    """
    if isinstance(data, Scan):
        table = (bvals, bvecs, gtab, affine, b0_threshold, bvalue_scaling, b_delta)
        if any(value is not None for value in table):
            raise InputError(
                "A Scan has its gradient table and affine: leave out bvals, bvecs, gtab, affine, "
                "b0_threshold, bvalue_scaling and b_delta.",
                code=Code.ARGUMENT_CONFLICT,
            )
        scan = data
    else:
        data, angle = _parted(data, phase)
        inside = None if mask is None else np.nan_to_num(np.asarray(mask)) != 0
        scan = _scan_of(
            data, bvals, bvecs, gtab, affine, inside, b0_threshold, bvalue_scaling, b_delta
        )
        scan = scan if angle is None else replace(scan, phase=angle)
    if mask is not None and isinstance(data, Scan):
        scan = replace(scan, mask=np.nan_to_num(np.asarray(mask)) != 0)
    if noise_map is not None:
        sigma = np.asarray(noise_map, np.float32)
        check_shape("noise_map", sigma, scan.shape[:3])
        scan = replace(scan, sigma=fill_holes(sigma, scan.data))
    if noise_volumes is not None:
        scan = replace(scan, noise_volumes=tuple(int(v) for v in noise_volumes))
    if phase is not None:
        angles = np.asarray(phase, np.float32)
        check_shape("phase", angles, scan.shape)
        scan = replace(scan, phase=as_radians(angles, scan.mask)[0])
    return scan


def _parted(data: Series, phase: ArrayLike | None) -> tuple[Series, np.ndarray | None]:
    """A complex series as its magnitude and its phase in radians; any other as it is, and None.

    Raises
    ------
    InputError
        For a complex series with a phase beside it.
    """
    if isinstance(data, Image):
        values = np.asanyarray(data.dataobj) if data.header.get_data_dtype().kind == "c" else None
    else:
        values = data if isinstance(data, np.ndarray) and np.iscomplexobj(data) else None
    if values is None:
        return data, None
    if phase is not None:
        raise InputError(
            "The series is complex and has its phase: leave out phase.", code=Code.ARGUMENT_CONFLICT
        )
    magnitude, angle = np.abs(values).astype(np.float32), np.angle(values).astype(np.float32)
    if isinstance(data, Image):
        return nib.Nifti1Image(magnitude, data.affine), angle
    return magnitude, angle


def _scan_of(
    data: Series,
    bvals: ArrayLike | None,
    bvecs: ArrayLike | None,
    gtab: Any,
    affine: ArrayLike | None,
    mask: np.ndarray | None,
    b0_threshold: float | None,
    bvalue_scaling: BValueScaling | None,
    b_delta: ArrayLike | None,
) -> Scan:
    header = None
    if isinstance(data, Image):
        affine = data.affine if affine is None else affine
        header = data.header.copy()
    elif not isinstance(data, np.ndarray):
        kind = type(data).__name__
        raise InputError(
            f"data is a {kind}: give a NumPy array, a nibabel image or a dwiser.Scan "
            "(dwiser.load(path) reads a file).",
            code=Code.ARGUMENT_TYPE,
        )
    if affine is None:
        raise InputError(
            f"An array has no affine: call {CALLS['denoise']}.", code=Code.ARGUMENT_MISSING
        )
    if np.shape(affine) != (4, 4):
        raise InputError(
            f"affine has shape {np.shape(affine)}, not (4, 4): give voxel to world.",
            code=Code.IMAGE_AFFINE,
        )
    values, directions, threshold = _table(bvals, bvecs, gtab)
    threshold = threshold if b0_threshold is None else b0_threshold
    voxels = np.asfortranarray(voxels_of(data), np.float32)
    if b_delta is None and gtab is not None and gtab.btens is not None:
        b_delta = shapes_of(np.asarray(gtab.btens, float))
    table = ReadGradients(
        values, directions, threshold, bvalue_scaling or "auto", raw_bvals=values,
        raw_bvecs=directions, b_delta=None if b_delta is None else np.asarray(b_delta, float),
    )  # fmt: skip
    return Scan(voxels, np.asarray(affine, float), table, header, mask)


def _table(
    bvals: ArrayLike | None, bvecs: ArrayLike | None, gtab: Any
) -> tuple[np.ndarray, np.ndarray, float]:
    """b-values (V,), b-vectors (V, 3) and the b0 threshold."""
    if gtab is not None:
        if bvals is not None or bvecs is not None:
            raise InputError(
                "The gradient table is given twice: gtab, or bvals and bvecs.",
                code=Code.ARGUMENT_CONFLICT,
            )
        if not isinstance(gtab, GradientTable):
            raise InputError(
                f"gtab is no DIPY GradientTable: call {CALLS['image']}.", code=Code.ARGUMENT_TYPE
            )
        threshold = float(gtab.b0_threshold)
        return np.asarray(gtab.bvals, float), np.asarray(gtab.bvecs, float), threshold
    if bvals is None or bvecs is None:
        raise InputError(
            f"The gradient table is missing: call {CALLS['denoise']}, or {CALLS['image']} with a "
            "DIPY GradientTable.",
            code=Code.GRADIENTS_MISSING,
        )
    values, vectors = np.asarray(bvals, float).ravel(), np.asarray(bvecs, float)
    if vectors.ndim != 2 or 3 not in vectors.shape:
        raise InputError(
            f"bvecs has shape {vectors.shape}: give (V, 3), a unit vector a volume.",
            code=Code.GRADIENTS_FORMAT,
        )
    if vectors.shape[1] != 3 or (vectors.shape == (3, 3) and len(values) != 3):
        vectors = vectors.T
    return values, vectors, B0_THRESHOLD


def voxels_of(image: Image | np.ndarray) -> np.ndarray:
    """An array as it is, an image's as float32."""
    return image if isinstance(image, np.ndarray) else image.get_fdata(dtype=np.float32)


def check_shape(name: str, image: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse an image that is not on the series' grid.

    Raises
    ------
    InputError
        For another shape; the message says ``name``.
    """
    if image.shape != shape:
        raise InputError(
            f"{name} has shape {image.shape}, the series needs {shape}: give one on its grid.",
            code=Code.GRID_SHAPE,
        )
