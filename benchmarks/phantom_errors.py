"""The errors of a denoised phantom against its truth."""

import numpy as np

from dwiser.evaluation.tensor import fit_tensor
from dwiser.scan import Scan


def phantom_errors(
    data: np.ndarray, truth: np.ndarray, scan: Scan, mask: np.ndarray
) -> dict[str, float]:
    """NRMSE of b0s and DWIs, RMSE and bias of FA; in the mask (X, Y, Z)."""
    dwis, measured = ~scan.gradients.is_b0, {}
    for name, chosen in (("b0_nrmse", ~dwis), ("nrmse", dwis)):
        error, signal = (data - truth)[mask][:, chosen], truth[mask][:, chosen]
        measured[name] = float(np.sqrt(np.mean(error**2) / np.mean(signal**2)))
    ours, true = (fit_tensor(d, scan.gradients, mask).fa for d in (data, truth))
    off = (ours - true)[mask]
    return measured | {"fa_rmse": float(np.sqrt(np.mean(off**2))), "fa_bias": float(off.mean())}
