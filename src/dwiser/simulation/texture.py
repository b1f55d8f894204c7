"""Variation from voxel to voxel inside one tissue, which smooth phantoms lack."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from jaxtyping import Float

from dwiser.errors import Code, InputError
from dwiser.seeds import stream
from dwiser.simulation.geometry import HeadAnatomy
from dwiser.simulation.shapes import Field, smooth_field, unit

FWHM_PER_SD = 2 * np.sqrt(2 * np.log(2))
LIMIT = 3.0  # sd; no field goes further
DIFFUSIVITY = 0.5  # of the strength: sd of a diffusivity's logarithm
TURN = 0.5  # radians for a strength of 1: sd of each component of a rotation vector
STRAY, STRAY_MOST = 0.4, 0.4  # of the strength: share of fibres of any direction; its most


@dataclass(frozen=True)
class Texture:
    """How much tissue varies from voxel to voxel, and how correlated neighbours are.

    Every variation is a Gaussian random field of mean 0 and sd 1 of its own, white noise
    smoothed by a Gaussian of ``correlation`` voxels FWHM and cut off at 3 sd.

    Parameters
    ----------
    strength : sd of the logarithm of every fraction (tissues, fibre populations, the stick's odds
        against its zeppelin) before fractions are brought back to their sum. Half of it is the
        sd of the diffusivities' logarithm and, in radians, that of each component of the
        rotation vector that turns a fibre; 0.4 of it, at most 0.4, is the share of fibres of
        any direction in white matter of fewer than three populations. 0 is no texture.
    correlation : FWHM in voxels; 0 makes neighbours independent.

    Raises
    ------
    InputError
        For numbers below 0 or not finite.
    """

    strength: float | int = 0.0
    correlation: float | int = 1.0

    def __post_init__(self) -> None:
        for name, value in (("strength", self.strength), ("correlation", self.correlation)):
            if not (value >= 0 and np.isfinite(value)):
                raise InputError(
                    f"The texture's {name} must be 0 or more, not {value:g}.",
                    code=Code.ARGUMENT_VALUE,
                )

    def field(self, shape: tuple[int, ...], quantity: str, seed: int, place: int = 0) -> Field:
        """One Gaussian random field.

        Parameters
        ----------
        shape : (X, Y, Z) of the grid.
        quantity : which quantity varies; each has its own field.
        seed : of the field.
        place : tells apart several fields of one quantity.

        Returns
        -------
        (X, Y, Z) float32 of mean 0 and sd 1, cut off at 3 sd
        """
        rng = stream(seed, "voxel texture " + quantity, place)
        return np.clip(smooth_field(shape, self.correlation / FWHM_PER_SD, rng), -LIMIT, LIMIT)

    def factor(self, shape: tuple[int, ...], quantity: str, seed: int, place: int = 0) -> Field:
        """The factor of a fraction: exp(strength · field).

        Parameters
        ----------
        shape : (X, Y, Z) of the grid.
        quantity : which quantity varies; each has its own field.
        seed : of the field.
        place : tells apart several fields of one quantity.

        Returns
        -------
        (X, Y, Z) float32, positive
        """
        return np.exp(self.strength * self.field(shape, quantity, seed, place))

    def diffusivity(self, shape: tuple[int, ...], quantity: str, seed: int) -> Field:
        """The factor of a diffusivity: exp(strength / 2 · field).

        Parameters
        ----------
        shape : (X, Y, Z) of the grid.
        quantity : which quantity varies; each has its own field.
        seed : of the field.

        Returns
        -------
        (X, Y, Z) float32, positive
        """
        return np.exp(DIFFUSIVITY * self.strength * self.field(shape, quantity, seed))

    def turns(
        self, shape: tuple[int, ...], seed: int, place: int = 0
    ) -> Float[np.ndarray, "x y z 3"]:
        """Rotation vectors, their components independent of each other.

        Parameters
        ----------
        shape : (X, Y, Z) of the grid.
        seed : of the fields.
        place : tells apart several fibre populations.

        Returns
        -------
        (X, Y, Z, 3) in radians
        """
        parts = [self.field(shape, f"turn {axis}", seed, place) for axis in "xyz"]
        return TURN * self.strength * np.stack(parts, axis=-1)

    def record(self) -> dict[str, Any] | None:
        """The texture as plain values, for the scan's record.

        Returns
        -------
        dict or None
            What varies by how much; None without texture.
        """
        if self.strength == 0:
            return None
        return {
            "strength": float(self.strength),
            "fwhm_voxels": float(self.correlation),
            "sd_log_fractions": float(self.strength),
            "sd_log_diffusivities": DIFFUSIVITY * self.strength,
            "sd_rotation_degrees": float(np.degrees(TURN * self.strength)),
            "share_of_strays": min(STRAY_MOST, STRAY * self.strength),
        }


SMOOTH = Texture()


def mixed(
    fractions: Float[np.ndarray, "*n k"], factors: Float[np.ndarray, "*n k"]
) -> Float[np.ndarray, "*n k"]:
    """Fractions times positive factors, rescaled to their former sum; 0 stays 0.

    The perturbation of compositions of Aitchison (1986): every fraction stays in [0, 1].

    Parameters
    ----------
    fractions : (..., k)
    factors : (..., k), positive.

    Returns
    -------
    (..., k) float32
    """
    changed = fractions * factors
    total = changed.sum(-1, keepdims=True)
    safe = np.where(total > 0, total, 1)
    return (changed * (fractions.sum(-1, keepdims=True) / safe)).astype(np.float32)


def turned(
    axes: Float[np.ndarray, "*n 3"], turns: Float[np.ndarray, "*n 3"]
) -> Float[np.ndarray, "*n 3"]:
    """Axes turned by rotation vectors, each by its own.

    Parameters
    ----------
    axes : (..., 3)
    turns : (..., 3) rotation vectors in radians.

    Returns
    -------
    (..., 3) float32
    """
    rotation = scipy.spatial.transform.Rotation.from_rotvec(turns.reshape(-1, 3))
    return rotation.apply(axes.reshape(-1, 3)).reshape(axes.shape).astype(np.float32)


def textured(anatomy: HeadAnatomy, texture: Texture, seed: int) -> HeadAnatomy:
    """The anatomy with texture: fractions varied and fibres turned.

    Mask and density do not change, and a voxel of one tissue alone stays so.

    Parameters
    ----------
    anatomy : a smooth head.
    texture : how much to vary.
    seed : of the variation.

    Returns
    -------
    HeadAnatomy
        Its populations are in the order of their new shares.
    """
    if texture.strength == 0:
        return anatomy
    shape, names = anatomy.mask.shape, list(anatomy.tissues)
    factors = [texture.factor(shape, "tissue", seed, i) for i in range(len(names))]
    tissues = mixed(np.stack(list(anatomy.tissues.values()), -1), np.stack(factors, -1))
    count = anatomy.shares.shape[-1]
    turns = np.stack([texture.turns(shape, seed, k) for k in range(count)], axis=-2)
    shares, axes = _with_strays(anatomy.shares, turned(anatomy.axes, turns), texture, seed)
    factors = [texture.factor(shape, "population", seed, k) for k in range(count)]
    shares = mixed(shares, np.stack(factors, -1))
    order = np.argsort(-shares, axis=-1, kind="stable")
    return HeadAnatomy(
        anatomy.mask,
        anatomy.density,
        {name: tissues[..., i] for i, name in enumerate(names)},
        np.take_along_axis(shares, order, axis=-1),
        np.take_along_axis(axes, order[..., None], axis=-2),
    )


def _with_strays(
    shares: Float[np.ndarray, "x y z f"],
    axes: Float[np.ndarray, "x y z f 3"],
    texture: Texture,
    seed: int,
) -> tuple[Float[np.ndarray, "x y z f"], Float[np.ndarray, "x y z f 3"]]:
    """Fibres of any direction as the last population of white matter that has room for one."""
    shape = shares.shape[:-1]
    free = (shares[..., -1] == 0) & (shares[..., 0] > 0)
    part = np.where(free, min(STRAY_MOST, STRAY * texture.strength), 0).astype(np.float32)
    anywhere = unit(np.stack([texture.field(shape, f"stray {a}", seed) for a in "xyz"], axis=-1))
    shares, axes = shares * (1 - part)[..., None], axes.copy()
    shares[..., -1] += part
    axes[free, -1] = anywhere[free]
    return shares, axes
