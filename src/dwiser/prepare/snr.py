"""The signal-to-noise ratio of a raw scan, by shell: one definition for all that show it."""

import numpy as np
from jaxtyping import Bool, Float

from dwiser.prepare.shells import Shell, shells
from dwiser.scan import Scan


def snr_by_shell(
    scan: Scan, mask: Bool[np.ndarray, "x y z"], sigma: Float[np.ndarray, "x y z"]
) -> list[tuple[Shell, float]]:
    """SNR of one raw volume in each shell, b0s first; empty where σ is nowhere above 0.

    The median over voxels of S/σ, with S the mean of the raw signal over the shell's volumes. The
    voxels are those of ``mask`` with σ > 0; σ is the noise's sd of one receiver channel, in the
    scan's units. The median, since a few voxels of fluid or of low σ raise a mean; the mask of
    the object, since no region (as the corpus callosum) exists in every scan. At low signal S
    contains the Rician bias, so that the SNR of noise alone is 1.25 for one channel.
    """
    inside = mask & (sigma > 0)
    if not inside.any():
        return []
    noise, rows = sigma[inside], []
    for shell in shells(scan.gradients):
        total = np.zeros(len(noise))
        for v in shell.volumes:  # one at a time, for memory
            total += scan.data[..., v][inside]
        rows.append((shell, float(np.median(total / len(shell.volumes) / noise))))
    return rows
