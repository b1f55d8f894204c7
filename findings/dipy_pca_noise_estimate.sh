#!/usr/bin/env bash
# DIPY 1.12.1, dipy.denoise.pca_noise_estimate.pca_noise_estimate, 2026-11-28.
#
# 1. It takes no mask, and its smoothing averages σ with that of the background: where the
#    background is exactly 0 (as after skull stripping, and in the images of some scanners), σ
#    falls by a third in the object's outermost voxels, with the default smooth=2 and with smooth=3.
# 2. With two b0s or more the DWIs are not looked at: noise that is three times as large in
#    them changes no voxel of σ. With one b0, σ comes from the DWIs alone.
#
# A ball of constant signal, noise sd 20 (Gaussian), background 0. Seen, σ over the true one:
#   smooth=2: centre 0.937  edge 0.660
#   smooth=3: centre 0.931  edge 0.621
#   DWIs with three times the noise, 2 b0s: σ changes by a factor of 1.000; 1 b0: 3.039
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install "dipy==1.12.1" "numpy==2.4.6" "scipy==1.17.1"
"$place/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from dipy.core.gradients import gradient_table
from dipy.denoise.pca_noise_estimate import pca_noise_estimate
from scipy import ndimage

rng = np.random.default_rng(0)
axes = np.indices((32, 32, 32)) - 15.5
ball = np.sqrt((axes**2).sum(0)) < 12
directions = rng.standard_normal((30, 3))
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
noise = 20 * rng.standard_normal((*ball.shape, 32))


def sigma(b0s: int, louder: float, smooth: int) -> np.ndarray:
    """σ of a scan with b0s of 1000 and DWIs of 500, their noise ``louder`` times as large."""
    b0 = 1000 + noise[..., :b0s]
    dwi = 500 + louder * noise[..., 2:]
    data = np.concatenate([b0, dwi], -1) * ball[..., None]
    bvals = np.r_[np.zeros(b0s), np.full(30, 1000.0)]
    table = gradient_table(bvals, bvecs=np.vstack([np.zeros((b0s, 3)), directions]))
    return pca_noise_estimate(data, table, correct_bias=True, smooth=smooth)


edge = ball & ~ndimage.binary_erosion(ball)
centre = ndimage.binary_erosion(ball, iterations=8)
for smooth in (2, 3):
    found = sigma(1, 1, smooth) / 20
    inner, outer = np.median(found[centre]), np.median(found[edge])
    print(f"smooth={smooth}: centre {inner:.3f}  edge {outer:.3f}")
    assert outer < 0.8 * inner, "the edge's σ is no longer low"
factors = [np.median((sigma(n, 3, 3) / sigma(n, 1, 3))[ball]) for n in (2, 1)]
print(
    "DWIs with three times the noise, 2 b0s: σ changes by a factor of "
    f"{factors[0]:.3f}; 1 b0: {factors[1]:.3f}"
)
assert abs(factors[0] - 1) < 1e-6 and factors[1] > 2.5, "other volumes are looked at"
PY
echo "as on 2026-11-28"
