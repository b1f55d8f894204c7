"""A σ map on another grid: what a later step's resampling did to the series, done to its noise."""

from itertools import product

import numpy as np
from jaxtyping import Float


def resampled_sigma(
    sigma: Float[np.ndarray, "x y z"],
    to_voxels: Float[np.ndarray, "4 4"],
    shape: tuple[int, int, int],
    *,
    averaged: bool = False,
) -> Float[np.ndarray, "a b c"]:
    """σ at the voxels of another grid, between the eight voxels around each (trilinear).

    Parameters
    ----------
    sigma : 0 where it is not known: such voxels take no part.
    to_voxels : from the other grid's voxels to those of ``sigma``.
    shape : (A, B, C) of the other grid.
    averaged : whether the series was interpolated linearly: its noise, independent between
        voxels, has then √Σ(wσ)², w the weights of the interpolation. Without, σ is that of a
        measurement at that place.

    Returns
    -------
    (A, B, C) float32
        0 outside the field of ``sigma``, and where no voxel around is known.
    """
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    at = places @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    edges = np.array(sigma.shape) - 1
    inside = ((at > -0.5) & (at < edges + 0.5)).all(-1)
    at = at[inside].clip(0, edges)
    low = np.minimum(np.floor(at).astype(int), np.maximum(edges - 1, 0))
    part = at - low
    known, total = np.zeros(len(at)), np.zeros(len(at))
    for corner in product((0, 1), repeat=3):
        weight = np.where(corner, part, 1 - part).prod(-1)
        value = sigma[tuple(np.minimum(low + corner, edges).T)].astype(float)
        is_known = value > 0
        known += weight * is_known
        total += (weight * value) ** 2 if averaged else weight * value
    if averaged:
        total = np.sqrt(total)
    out = np.zeros(shape, np.float32)
    out[inside] = np.divide(total, known, out=np.zeros_like(total), where=known > 0)
    return out
