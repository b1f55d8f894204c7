"""Variation from voxel to voxel inside one tissue, as brains have and smooth phantoms have not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from dwiser.errors import InputError
from dwiser.seeds import stream
from dwiser.simulation.geometry import Anatomy
from dwiser.simulation.shapes import Field, smooth_field, unit

FWHM_PER_SD = 2 * np.sqrt(2 * np.log(2))
LIMIT = 3.0  # sd; no field goes further
DIFFUSIVITY = 0.5  # of the strength: sd of a diffusivity's logarithm
TURN = 0.5  # radians for a strength of 1: sd of each component of a rotation vector
STRAY, STRAY_MOST = 0.4, 0.4  # of the strength: share of fibres of any direction; its most


@dataclass(frozen=True)
class Texture:
    """How much, and how alike in neighbours, tissue varies from voxel to voxel.

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
                raise InputError(f"The texture's {name} must be 0 or more, not {value:g}.")

    def field(self, shape: tuple[int, ...], what: str, seed: int, place: int = 0) -> Field:
        """One field of ``shape`` for one thing that varies, sd 1."""
        rng = stream(seed, "voxel texture " + what, place)
        return np.clip(smooth_field(shape, self.correlation / FWHM_PER_SD, rng), -LIMIT, LIMIT)

    def factor(self, shape: tuple[int, ...], what: str, seed: int, place: int = 0) -> Field:
        """What a fraction is multiplied with: exp(strength · field), float32."""
        return np.exp(self.strength * self.field(shape, what, seed, place))

    def diffusivity(self, shape: tuple[int, ...], what: str, seed: int) -> Field:
        """What a diffusivity is multiplied with: exp(strength / 2 · field), float32."""
        return np.exp(DIFFUSIVITY * self.strength * self.field(shape, what, seed))

    def turns(
        self, shape: tuple[int, ...], seed: int, place: int = 0
    ) -> Float[np.ndarray, "x y z 3"]:
        """Rotation vectors (radians), their components independent of each other."""
        parts = [self.field(shape, f"turn {axis}", seed, place) for axis in "xyz"]
        return TURN * self.strength * np.stack(parts, axis=-1)

    def record(self) -> dict[str, Any] | None:
        """Plain values that say what varies by how much; None without texture."""
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
    """Fractions times positive factors, brought back to the sum they had; 0 stays 0.

    The perturbation of compositions of Aitchison (1986): every fraction stays in [0, 1].
    """
    changed = fractions * factors
    total = changed.sum(-1, keepdims=True)
    safe = np.where(total > 0, total, 1)
    return (changed * (fractions.sum(-1, keepdims=True) / safe)).astype(np.float32)


def turned(
    axes: Float[np.ndarray, "*n 3"], turns: Float[np.ndarray, "*n 3"]
) -> Float[np.ndarray, "*n 3"]:
    """Axes turned by rotation vectors (radians), each by its own, float32."""
    rotation = Rotation.from_rotvec(turns.reshape(-1, 3))
    return rotation.apply(axes.reshape(-1, 3)).reshape(axes.shape).astype(np.float32)


def textured(anatomy: Anatomy, texture: Texture, seed: int) -> Anatomy:
    """The anatomy with its tissues' and populations' fractions varied and its fibres turned.

    Mask and density stay as they are, and a voxel of one tissue alone stays so. Populations are
    in order of their new shares.
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
    return Anatomy(
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
