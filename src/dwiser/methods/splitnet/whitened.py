"""What splitnet works on: the scan in units of noise in the mask's box, and its subspace."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from dwiser.errors import Code, InputError
from dwiser.prepare.box import Box
from dwiser.prepare.mask import object_mask, voxels_in
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.splits import Groups
from dwiser.prepare.subspace import SignalSubspace, fit_subspace, grouped, second_moment
from dwiser.scan import Scan


@dataclass(frozen=True, eq=False)
class WhitenedBox:
    """The scan in the mask's box: y (Z, H, W, M), its subspace and what stays out of it.

    ``mean`` (M,) of the subspace's volumes over the mask, in the data's units.
    """

    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    box: Box
    y: Float[np.ndarray, "s h w m"]
    inside: Bool[np.ndarray, "s h w"]
    mean: Float[np.ndarray, "m"]
    subspace: SignalSubspace
    groups: Groups
    passed_through: dict[int, str]


def whiten(scan: Scan, seed: int, name: str) -> WhitenedBox:
    """Mask, σ, subspace and what stays out of it; ``name`` is the method's, for its errors.

    Raises
    ------
    InputError
        For a scan without a shell of four volumes, or without anything that the volumes share.
    """
    groups, passed_through = grouped(scan.gradients)
    if not groups:
        raise InputError(
            f"{name} needs a shell with at least 4 volumes, there is none.",
            code=Code.GRADIENTS_TOO_FEW,
        )
    mask = object_mask(scan)
    sigma = sigma_map(scan, mask)
    noise = np.maximum(sigma, 1e-6 * float(scan.data.max()))
    voxels = voxels_in(scan.data, mask)
    mean = voxels.mean(0, dtype=np.float64).astype(np.float32)
    moment = second_moment((voxels - mean) / noise[mask][:, None])
    subspace = fit_subspace(moment, len(voxels), groups, seed)
    if subspace is None:
        raise InputError(
            f"{name} finds nothing that the volumes share: use splitq.",
            code=Code.METHOD_NOTHING_TO_LEARN,
        )
    mean = mean[subspace.volumes]
    box = Box.around(mask)
    part = scan.data[box.index].transpose(2, 0, 1, 3)[..., subspace.volumes]
    y = (part - mean) / noise[box.index].transpose(2, 0, 1)[..., None]
    inside = np.ascontiguousarray(mask[box.index].transpose(2, 0, 1))
    y *= inside[..., None]
    return WhitenedBox(mask, sigma, box, y, inside, mean, subspace, groups, passed_through)
