"""The slab that benchmarks share: 22 slices of a phantom, and how a result is scored on it."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from dwiser.evaluation.tensor import angular_error, fit_tensor
from dwiser.scan import Scan
from dwiser.simulation import phantom

SLICES = slice(22, 44)


@dataclass(frozen=True, eq=False)
class Slab:
    """A noisy scan, the series without noise, and the object."""

    scan: Scan
    truth: Float[np.ndarray, "x y z v"]
    mask: Bool[np.ndarray, "x y z"]

    def scores(self, data: Float[np.ndarray, "x y z v"]) -> dict[str, float]:
        """NRMSE of the DWIs, RMSE of FA, median angle of V1 in degrees, all in the mask."""
        table, mask, dwis = self.scan.gradients, self.mask, ~self.scan.gradients.is_b0
        error, signal = (data - self.truth)[mask][:, dwis], self.truth[mask][:, dwis]
        ours, true = (fit_tensor(d, table, mask) for d in (data, self.truth))
        return {
            "nrmse": float(np.sqrt(np.mean(error**2) / np.mean(signal**2))),
            "fa_rmse": float(np.sqrt(np.mean((ours.fa - true.fa)[mask] ** 2))),
            "v1_degrees": angular_error(ours.v1, true.v1, true.fa, mask).median,
        }


def phantom_slab(snr: float, seed: int) -> Slab:
    """The middle of a head of 65×78×66 voxels: 64 directions at b=1000, 6 b0s, Rician."""
    whole = phantom(snr=snr, seed=seed)
    scan = replace(whole.scan, data=whole.scan.data[:, :, SLICES].copy(order="F"))
    return Slab(scan, whole.truth[:, :, SLICES], whole.mask[:, :, SLICES])
