"""A diffusion MRI scan as frozen, validated values: voxels, geometry, gradient table, mask."""

import warnings
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from dwiser.b_delta import checked_b_delta, is_spherical
from dwiser.defaults import B0_THRESHOLD
from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.gradient_lengths import BValueScaling, check_unit, unit_vectors
from dwiser.memmap import writable_copy
from dwiser.table_check import settled

AFFINE_TOLERANCE = 1e-3  # mm; far below a voxel, above float32 round-off of a qform
FLAT_VOXEL = 1e-3  # of a cube's volume: a sheared grid has far more
MOST_NEGATIVE = 0.5  # of the highest value: interpolation does not go so far
MM = {"micron": 1e-3, "meter": 1e3}  # NIfTI's units of length that are not mm


@dataclass(frozen=True, eq=False)
class Gradients:
    """The gradient table: one b-value and one unit direction a volume.

    Parameters
    ----------
    bvals : (V,) float, s/mm²
    bvecs : (V, 3) float, in the image's voxel axes; for b0s any value, stored as 0.
        A DWI's vector off unit length by 0.01-0.1 is normalised with a warning; a null vector is
        a DWI without a direction (`without_direction`) and stays null.
    b0_threshold : b-values up to this many s/mm² count as b0.
    bvalue_scaling : whether b is multiplied by the squared length of a DWI's vector: "yes", "no",
        or "auto": where all DWIs have one b-value, and vectors of length 1 and shorter.
    settled : whether a scan's data decided what its null vectors are; `Scan` does it.
    numbers : (V,) what the volumes are called, counted from 0; 0 … V−1 by default, else where
        they stand in the series that they are a part of.
    b_delta : (V,) the shape of each b-tensor, −0.5 (planar) to 1 (linear), 0 for spherical, or
        one number for all DWIs; None where all are linear. Of a planar one the vector is the
        normal of its plane; a spherical one has no direction, and its vector becomes null. Those
        of b0s count for nothing.
    echoes : (V,) which echo each volume is of, from 1 on; None for one echo.

    Raises
    ------
    InputError
        For mismatched lengths, values that are not finite, b-values in s/m², shapes that no
        b-tensor has, or with "auto" a DWI direction off unit length by more than 0.1 that is not
        what b-value scaling gives.

    Examples
    --------
    >>> import numpy as np, dwiser
    >>> dwiser.Gradients(np.array([0.0, 1000.0]), np.array([[0.0, 0, 0], [0, 0, 1]])).is_b0.tolist()
    [True, False]
    """

    bvals: Float[np.ndarray, "v"]
    bvecs: Float[np.ndarray, "v 3"]
    b0_threshold: float = B0_THRESHOLD
    bvalue_scaling: BValueScaling = "auto"
    settled: bool = field(default=False, repr=False, kw_only=True)
    numbers: Int[np.ndarray, "v"] | None = field(default=None, repr=False, kw_only=True)
    b_delta: Float[np.ndarray, "_"] | float | None = field(default=None, kw_only=True)
    echoes: Int[np.ndarray, "v"] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 <= self.b0_threshold < np.inf:
            raise InputError(
                f"--b0-threshold must be 0 or more s/mm², not {self.b0_threshold:g}: 50 is usual.",
                code=Code.ARGUMENT_VALUE,
            )
        bvals = np.asarray(self.bvals, float).ravel()
        bvecs = np.array(self.bvecs, float).reshape(-1, 3)
        if len(bvals) != len(bvecs):
            raise InputError(
                f"There are {len(bvals)} b-values but {len(bvecs)} b-vectors: give equal numbers.",
                code=Code.GRADIENTS_LENGTH,
            )
        if not np.isfinite(bvals).all() or (bvals < 0).any():
            raise InputError(
                "The b-values hold a negative, NaN or infinite number: correct them.",
                code=Code.GRADIENTS_VALUES,
            )
        check_unit(bvals)
        is_dwi = bvals > self.b0_threshold
        bvals, bvecs = unit_vectors(bvals, bvecs, is_dwi, self.bvalue_scaling)
        bvecs[bvals <= self.b0_threshold] = 0.0
        if self.b_delta is not None:
            shapes = checked_b_delta(self.b_delta, bvals > self.b0_threshold)
            bvecs[is_spherical(shapes)] = 0.0
            object.__setattr__(self, "b_delta", shapes)
        if self.echoes is not None and len(self.echoes) != len(bvals):
            raise InputError(
                f"There are {len(self.echoes)} echo numbers for {len(bvals)} volumes: give one a "
                "volume.",
                code=Code.GRADIENTS_LENGTH,
            )
        object.__setattr__(self, "bvals", bvals)
        object.__setattr__(self, "bvecs", bvecs)
        between = bvals[(bvals > 10) & (bvals < 100)]
        if len(between):
            side = "b0s" if (between <= self.b0_threshold).all() else "not all b0s"
            warnings.warn(
                f"{len(between)} volumes have b-values between 10 and 100 s/mm²; with "
                f"--b0-threshold {self.b0_threshold:g} they are {side}.",
                DwiserWarning,
                stacklevel=3,
            )

    def __len__(self) -> int:
        return len(self.bvals)

    @property
    def is_b0(self) -> Bool[np.ndarray, "v"]:
        """Which volumes are b0s."""
        return self.bvals <= self.b0_threshold

    @property
    def shapes(self) -> Float[np.ndarray, "v"]:
        """b-delta of each volume; 1 where nothing else is known."""
        linear = np.ones(len(self))
        return linear if self.b_delta is None else linear * self.b_delta

    @property
    def echo_numbers(self) -> Int[np.ndarray, "v"]:
        """Which echo each volume is of, from 1 on."""
        return np.ones(len(self), int) if self.echoes is None else self.echoes

    def number(self, v: int | np.integer) -> int:
        """What volume v is called: its place in the whole series."""
        return int(v) if self.numbers is None else int(self.numbers[v])

    @property
    def without_direction(self) -> Bool[np.ndarray, "v"]:
        """Which volumes are DWIs with a null vector: a trace, or spherical encoding."""
        return ~self.is_b0 & ~self.bvecs.any(axis=1)

    def take(self, volumes: Shaped[np.ndarray, "n"]) -> "Gradients":
        """The rows of some volumes, by number or as booleans; nothing is decided again."""
        part = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                object.__setattr__(part, name, value[volumes])
        if self.numbers is None:
            object.__setattr__(part, "numbers", np.arange(len(self))[volumes])
        return part


@dataclass(frozen=True, eq=False)
class Scan:
    """A diffusion-weighted series in the scanner's units.

    Parameters
    ----------
    data : (X, Y, Z, V) float32
        Magnitude voxels as the scanner gave them.
    affine : (4, 4), voxel to world in the header's unit of length, or mm.
    gradients : the table, as many rows as volumes; a DWI with a null vector that is as bright as
        a b0 becomes one, with a warning.
    header : the NIfTI header the image came with, or None.
    mask : (X, Y, Z) bool or None; voxels outside come back unchanged.
    sigma : (X, Y, Z) or None; the noise's sd in the data's units, where it is known.
    phase : (X, Y, Z, V) or None; the voxels' phase in radians, for methods that take it.
    signed : whether the data are a real part, negative where noise makes them so.
    absent : (X, Y, Z, V) or None; where the image is NaN or infinite outside the mask. The data
        are 0 there; what is saved is NaN.
    coils : channels behind the magnitude, where they are known; None to estimate them.
    noise_volumes : volumes acquired without excitation, counted from 0, () for none; None to look
        for them.
    source : the header of the MRtrix or NRRD image that it came from, or None; an image that is
        written in the same format keeps its order of axes and its further keys.
    axes : the sizes of the axes that the volumes lie along in the file, where these are several
        (volumes, echoes); an image of all volumes that is written has them again.

    Raises
    ------
    InputError
        For data that are not 4-D, of one volume, not finite, or all zero, for an affine that
        gives voxels no size, and for a table, mask or σ map that does not fit them.

    Examples
    --------
    >>> import numpy as np, dwiser
    >>> table = dwiser.Gradients(np.array([0.0, 1000.0]), np.array([[0.0, 0, 0], [0, 0, 1]]))
    >>> scan = dwiser.Scan(np.ones((4, 4, 3, 2)), np.diag([2.0, 2, 2.5, 1]), table)
    >>> scan.voxel_size
    (2.0, 2.0, 2.5)
    """

    data: Float[np.ndarray, "x y z v"]
    affine: Float[np.ndarray, "4 4"]
    gradients: Gradients
    header: Any = field(default=None, repr=False)
    mask: Bool[np.ndarray, "x y z"] | None = None
    sigma: Float[np.ndarray, "x y z"] | None = None
    phase: Float[np.ndarray, "x y z v"] | None = None
    signed: bool = False
    absent: Bool[np.ndarray, "x y z v"] | None = field(default=None, repr=False)
    coils: float | None = None
    noise_volumes: tuple[int, ...] | None = None
    source: Any = field(default=None, repr=False)
    axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        if np.iscomplexobj(data):
            raise InputError(
                "The data are complex: give magnitude and phase apart.", code=Code.IMAGE_KIND
            )
        if data.ndim != 4:
            raise InputError(
                f"The image has {data.ndim} dimensions: a 4-D series is needed.",
                code=Code.IMAGE_DIMENSIONS,
            )
        if data.shape[3] < 2:
            raise InputError(
                "The image has one volume only: a series of DWIs is needed.",
                code=Code.IMAGE_DIMENSIONS,
            )
        if len(self.gradients) != data.shape[3]:
            raise InputError(
                f"The image has {data.shape[3]} volumes but the gradient table has "
                f"{len(self.gradients)} b-values: give the table that belongs to it.",
                code=Code.GRADIENTS_LENGTH,
            )
        # the view: nibabel's "<f4" is float32 to NumPy, and another type to compiled code
        object.__setattr__(self, "data", data.astype(np.float32, copy=False).view(np.float32))
        self._take_absent()
        _check_voxels(self.data, self.signed)
        object.__setattr__(self, "gradients", settled(self.gradients, self.data))
        object.__setattr__(self, "affine", np.asarray(self.affine, float))
        if not all(0 < edge < np.inf for edge in self.voxel_size):
            raise InputError(
                "The affine gives voxels no size (0 or NaN mm): repair the header.",
                code=Code.IMAGE_AFFINE,
            )
        if not has_volume(self.affine):
            raise InputError(
                "The affine gives voxels no volume (its axes lie in one plane): repair the header.",
                code=Code.IMAGE_AFFINE,
            )
        for name in ("mask", "sigma"):
            value = getattr(self, name)
            if value is not None and value.shape != data.shape[:3]:
                raise InputError(
                    f"The {name} has shape {value.shape}, the image {data.shape[:3]}: "
                    f"give a {name} on the image's grid.",
                    code=Code.GRID_SHAPE,
                )
        if self.phase is not None and self.phase.shape != data.shape:
            raise InputError(
                f"The phase has shape {self.phase.shape}, the image {data.shape}: "
                "give a phase on the image's grid.",
                code=Code.GRID_SHAPE,
            )
        if self.mask is not None and not self.mask.any():
            raise InputError(
                "The mask is empty: give one that covers the object.", code=Code.MASK_EMPTY
            )

    def _take_absent(self) -> None:
        """NaN and infinite voxels outside the mask become 0 in a copy of the data, aloud."""
        if self.mask is None or self.mask.shape != self.data.shape[:3]:
            return
        counts = [int((~np.isfinite(self.data[..., v])).sum()) for v in range(self.data.shape[3])]
        if not any(counts):
            return
        absent = ~np.isfinite(self.data)
        if absent[self.mask].any():
            return
        data = writable_copy(self.data)
        data[absent] = 0
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "absent", absent)
        warnings.warn(
            f"{sum(counts)} NaN or infinite voxels lie outside the mask: they take no part, and "
            "are NaN in the output.",
            DwiserWarning,
            stacklevel=4,
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        x, y, z, v = self.data.shape
        return x, y, z, v

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel in mm, from the affine and the header's unit of length."""
        return edge_lengths(self.affine_mm)

    @property
    def affine_mm(self) -> Float[np.ndarray, "4 4"]:
        """Voxel to world in mm, whatever the header's unit of length."""
        return in_mm(self.affine, self.header)


def in_mm(affine: Float[np.ndarray, "4 4"], header: Any) -> Float[np.ndarray, "4 4"]:
    """Voxel to world in mm: the affine, with the header's unit of length."""
    unit = 1.0 if header is None else MM.get(header.get_xyzt_units()[0], 1.0)
    return np.diag([unit, unit, unit, 1.0]) @ affine


def edge_lengths(affine: Float[np.ndarray, "4 4"]) -> tuple[float, float, float]:
    """Edge lengths of a voxel in the affine's unit."""
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
    return float(x), float(y), float(z)


def has_volume(affine: Float[np.ndarray, "4 4"]) -> bool:
    """Whether an affine's voxels have an extent along three directions."""
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not (edges > 0).all():
        return False
    return abs(float(np.linalg.det(affine[:3, :3] / edges))) >= FLAT_VOXEL


def _check_voxels(data: np.ndarray, signed: bool) -> None:
    bad, negative, low, high = 0, 0, 0.0, 0.0
    below, filling = data[..., 0] < 0, data[..., 0]  # voxels of one negative value throughout
    for v in range(1, data.shape[3] if below.any() else 0):
        below = below & (data[..., v] == filling)
    for v in range(data.shape[3]):
        volume = np.where(below, 0, data[..., v]) if below.any() else data[..., v]
        lowest, highest = float(volume.min()), float(volume.max())
        if not np.isfinite([lowest, highest]).all():
            bad += int((~np.isfinite(volume)).sum())
        if lowest < 0:
            negative += int((volume < 0).sum())
        low, high = min(low, lowest), max(high, highest)
    if bad:
        raise InputError(
            f"The image has {bad} NaN or infinite voxels: replace them first, or give a mask "
            "(--mask) that leaves them out.",
            code=Code.IMAGE_NOT_FINITE,
        )
    if high <= 0:
        raise InputError(
            "The image is all zero: there is nothing to denoise.", code=Code.IMAGE_VALUES
        )
    if negative > 0.01 * data.size and not signed:
        raise InputError(
            f"{negative / data.size:.0%} of the voxels are negative: this is no magnitude image "
            "(a phase or real part, did bright ones overflow, or was it interpolated or corrected "
            "for Gibbs ringing?); give the magnitude as it was before such steps.",
            code=Code.IMAGE_VALUES,
        )
    if negative and not signed and low < -MOST_NEGATIVE * high:
        raise InputError(
            f"{negative} voxels are negative, the lowest {low:g} where the highest is {high:g}: "
            "bright values have probably overflowed a 16-bit type; convert again to uint16 or "
            "float.",
            code=Code.IMAGE_VALUES,
        )
    if negative and not signed:
        warnings.warn(
            f"{negative} voxels are negative (lowest {low:g}): the image may have been "
            "interpolated; denoise before any interpolation.",
            DwiserWarning,
            stacklevel=4,
        )
