#!/usr/bin/env bash
# nlsam 1.0 (PyPI, SciPy 1.16.3, Python 3.11), 2026-11-28.
#
# nlsam_denoise, given a mask, returns less than half of the signal in the mask's outermost voxels.
# A constant object (signal 1000 in every volume, noise sd 20, no background at all: the object
# fills the image) with a mask that is smaller than the object: each voxel of the result is a mean
# over all the blocks that could cover it, but blocks that lie less than half in the mask are
# not denoised and count as 0. With a mask three voxels wider the same voxels are right.
#
# Seen (mean of the result over the truth, in the voxels of the small mask's edge, and inside):
#   mask      edge 0.382  inside 0.983
#   widened   edge 0.994  inside 0.996
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install \
    "nlsam==1.0" "numpy==2.4.6" "scipy==1.16.3"
"$place/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from nlsam.denoiser import nlsam_denoise
from scipy import ndimage

rng = np.random.default_rng(0)
directions = rng.standard_normal((6, 3))
bvecs = np.vstack([np.zeros(3), directions / np.linalg.norm(directions, axis=1, keepdims=True)])
bvals = np.r_[0.0, np.full(6, 1000.0)]
truth = np.full((18, 18, 14, 7), 1000.0)
data = truth + 20 * rng.standard_normal(truth.shape)
sigma = np.full(truth.shape[:3], 20.0)
mask = np.zeros(truth.shape[:3], bool)
mask[5:13, 5:13, 4:10] = True
inside = ndimage.binary_erosion(mask, iterations=2)
edge = mask & ~ndimage.binary_erosion(mask)
seen = []
for name, given in (("mask", mask), ("widened", ndimage.binary_dilation(mask, iterations=3))):
    np.random.seed(0)
    out = nlsam_denoise(data.copy(), sigma, bvals, bvecs, np.array([3, 3, 3, 3]), mask=given, n_cores=1)
    at = [float((out[where] / truth[where]).mean()) for where in (edge, inside)]
    print(f"{name:9} edge {at[0]:.3f}  inside {at[1]:.3f}", flush=True)
    seen.append(at)
assert seen[0][0] < 0.65 and abs(seen[0][1] - 1) < 0.05, "the edge is no longer darkened"
assert abs(seen[1][0] - 1) < 0.05, "a wider mask does not mend it"
PY
echo "as on 2026-11-28"
