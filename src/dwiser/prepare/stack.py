"""All slices of all volumes that are denoised, as targets and partners in [−1, 1] units."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.memmap import writable_copy
from dwiser.prepare.box import Box
from dwiser.prepare.mask import voxels_in
from dwiser.prepare.moments import magnitude_sd
from dwiser.prepare.pairs import (
    B0s,
    Neighbour,
    PairPlan,
    Partner,
    dead_volumes,
    fit_prediction,
    plan_pairs,
)
from dwiser.prepare.scale import Scale
from dwiser.scan import Scan


@dataclass(frozen=True, eq=False)
class Stack:
    """What Di-Fusion works on: (x, x') of every slice used of every denoised volume.

    Parameters
    ----------
    target, neighbour : (K, Z, H, W) float32 in [−1, 1] units.
    inside : (Z, H, W) bool, the mask in the box.
    sigma : (Z, H, W), the noise's sd in the scan's units.
    scale : maxima of all V volumes. box : where the slices lie. plan : who is paired.
    items : (n, 2) the (volume's place in the plan, slice) pairs that hold mask.
    directions : (K, 2, 3) unit vectors of x and x' in the image's voxel axes, of which H is the
        first and W the second; 0 where there is none.
    """

    target: Float[np.ndarray, "k z h w"]
    neighbour: Float[np.ndarray, "k z h w"]
    inside: Bool[np.ndarray, "z h w"]
    sigma: Float[np.ndarray, "z h w"]
    scale: Scale
    box: Box
    plan: PairPlan
    items: Int[np.ndarray, "n 2"]
    directions: Float[np.ndarray, "k 2 3"]

    def sigma_of(self, k: int, z: int) -> Float[np.ndarray, "h w"]:
        """sd of the magnitude's noise in one slice, in [−1, 1] units; 0 outside the mask.

        At the Rician noise floor it is below σ; x' is used for the mean it depends on.
        """
        volume = int(self.plan.volumes[k])
        mean = self.scale.from_unit(self.neighbour[k, z], volume)
        unit = self.scale.sigma_to_unit(magnitude_sd(self.sigma[z], mean), volume)
        return np.where(self.inside[z], unit, np.float32(0))

    def restore(
        self, original: Float[np.ndarray, "x y z v"], unit: Float[np.ndarray, "k slices h w"]
    ) -> Float[np.ndarray, "x y z v"]:
        """A copy of ``original`` with the stack's voxels, in the scan's units, put back."""
        out = writable_copy(original)
        inside = self.inside.transpose(1, 2, 0)
        for k, volume in enumerate(self.plan.volumes.tolist()):
            values = self.scale.from_unit(unit[k].transpose(1, 2, 0), volume)
            np.copyto(out[self.box.index][..., volume], values, where=inside)
        return out

    def sd_map(
        self, shape: tuple[int, int, int], sd: Float[np.ndarray, "k slices h w"]
    ) -> Float[np.ndarray, "x y z"]:
        """RMS over the volumes of an sd in [−1, 1] units, in the scan's; 0 off the stack."""
        squares = np.zeros(self.inside.shape)
        for k, volume in enumerate(self.plan.volumes.tolist()):
            squares += self.scale.sd_from_unit(sd[k], volume) ** 2
        out = np.zeros(shape, np.float32)
        rms = np.sqrt(squares / len(self.plan.volumes)) * self.inside
        out[self.box.index] = rms.transpose(1, 2, 0)
        return out


def build_stack(
    scan: Scan,
    mask: Bool[np.ndarray, "x y z"],
    sigma: Float[np.ndarray, "x y z"],
    *,
    pairing: Partner,
    neighbour: Neighbour,
    fewest_b0s: int,
    crop: bool,
    b0s: B0s = "denoised",
) -> Stack:
    """Pair, scale and lay out a scan; ``crop`` keeps only the mask's box and its slices."""
    voxels = voxels_in(scan.data, mask)
    dead = dead_volumes(voxels)
    plan = plan_pairs(
        scan.gradients, pairing, neighbour=neighbour, b0s=b0s, fewest_b0s=fewest_b0s, dead=dead
    )
    box = Box.around(mask) if crop else Box.full(scan.shape)
    data, scale = scan.data[box.index], Scale.of(scan.data)
    predicts = pairing == "predicted" and len(plan.volumes) > 0
    prediction = fit_prediction(voxels, dead) if predicts else None
    target = np.empty((len(plan.volumes), data.shape[2], *data.shape[:2]), np.float32)
    partner = target if pairing == "itself" else np.empty_like(target)
    pairs = zip(plan.volumes.tolist(), plan.partners.tolist(), strict=True)
    for k, (j, other) in enumerate(pairs):
        target[k] = scale.to_unit(data[..., j], j).transpose(2, 0, 1)
        if prediction is not None:
            predicted = scale.to_unit(prediction.of(data, j), j).clip(-1, 1)
            partner[k] = predicted.transpose(2, 0, 1)
        elif pairing != "itself":
            partner[k] = scale.to_unit(data[..., other], other).transpose(2, 0, 1)
    inside = mask[box.index].transpose(2, 0, 1)
    slices = np.flatnonzero(inside.any((1, 2))) if crop else np.arange(len(inside))
    items = np.stack(np.meshgrid(np.arange(len(plan.volumes)), slices, indexing="ij"), -1)
    return Stack(
        target,
        partner,
        np.ascontiguousarray(inside),
        np.ascontiguousarray(sigma[box.index].transpose(2, 0, 1)),
        scale,
        box,
        plan,
        items.reshape(-1, 2),
        _directions(scan, plan),
    )


def _directions(scan: Scan, plan: PairPlan) -> Float[np.ndarray, "k 2 3"]:
    """Of x and x'; what is predicted from all volumes shows the direction of x."""
    partners = np.where(plan.partners < 0, plan.volumes, plan.partners)
    return scan.gradients.bvecs[np.stack([plan.volumes, partners], axis=1)]
