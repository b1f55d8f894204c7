#!/usr/bin/env bash
# DIPY 1.12.1, dipy.denoise.localpca.mppca, 2026-11-29.
#
# One volume without noise of its own among twenty (all zero, because the scan stopped early; or the
# mean of the others, which scanners put at the end) switches the denoising off, without a warning:
# each patch has a singular value near 0, by which the Marchenko-Pastur criterion takes all others
# for signal.
#
# A ball in 20 volumes, noise sd 20 (Gaussian), patches of 5x5x5. Seen, the noise that is left in
# the volumes that hold noise, of 1:
#   20 measurements: 0.388
#   the last one zero: 0.999
#   the mean of all appended: 0.999
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install "dipy==1.12.1" "numpy==2.4.6" "scipy==1.17.1"
"$place/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from dipy.denoise.localpca import mppca

VOLUMES = 20
rng = np.random.default_rng(0)
axes = np.indices((18, 18, 18)) - 8.5
ball = np.sqrt((axes**2).sum(0)) < 8
weights = rng.uniform(0.3, 1, (3, VOLUMES))
parts = np.stack([1000 + 100 * axes[k] for k in range(3)], -1) / 3
truth = (parts @ weights) * ball[..., None]
noisy = truth + 20 * rng.standard_normal(truth.shape)


def left(data: np.ndarray, volumes: int) -> float:
    """sd of the error in the ball over the noise's, in the first volumes."""
    result = mppca(data, patch_radius=2)[..., :volumes]
    return float((result - truth[..., :volumes])[ball].std() / 20)


stopped = noisy.copy()
stopped[..., -1] = 0
mean = np.concatenate([noisy, noisy.mean(-1, keepdims=True)], -1)
cases = {
    "20 measurements": left(noisy, 20),
    "the last one zero": left(stopped, 19),
    "the mean of all appended": left(mean, 20),
}
for name, share in cases.items():
    print(f"{name}: {share:.3f}")
plain, *others = cases.values()
assert plain < 0.6, "measurements alone are not denoised either"
assert min(others) > 0.9, "such a volume no longer switches it off"
PY
echo "as on 2026-11-29"
