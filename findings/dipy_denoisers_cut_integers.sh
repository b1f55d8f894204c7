#!/usr/bin/env bash
# DIPY 1.12.1, denoisers of an integer scan, 2026-11-29.
#
# mppca, localpca, nlmeans and patch2self give back the type that they were given, and DIPY's load_nifti
# gives the type of the file. That the type is kept is documented; that the result is cut and not
# rounded to it is not: every voxel is half a unit too low on average, b0s and DWIs alike. Of
# a scanner whose DWIs have values of ten to some tens that is a bias of per cents. Way out:
# data.astype(numpy.float32), or out_dtype where there is one.
#
# Three smooth components in 24 volumes, true signal 8 to 26, Gaussian noise of sd 1.5, rounded. Seen,
# the mean error of the result, of float32 and int16 voxels of the same values:
#   mppca -0.00 -0.50   localpca -0.01 -0.50   nlmeans 0.09 -0.41   patch2self -0.01 -0.49
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install \
    "dipy==1.12.1" "numpy==2.4.6" "scipy==1.17.1" "scikit-learn==1.9.1"
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore - <<'PY'
import logging
import sys

import numpy as np
from dipy.denoise.localpca import localpca, mppca
from dipy.denoise.nlmeans import nlmeans
from dipy.denoise.patch2self import patch2self

logging.getLogger("dipy").setLevel(logging.ERROR)
SIZE, SD = (16, 16, 12), 1.5
rng = np.random.default_rng(0)
weights = rng.uniform(0.3, 1, (3, 24))
at = np.indices(SIZE)
parts = np.stack([1 + at[k] / (2 * SIZE[k]) for k in range(3)], -1) * 20 / 3
truth = parts @ weights
noisy = (truth + rng.normal(0, SD, truth.shape)).round()
bvals = np.r_[0, np.full(23, 1000.0)]
METHODS = {
    "mppca": lambda scan: mppca(scan, patch_radius=2),
    "localpca": lambda scan: localpca(scan, sigma=np.full(SIZE, SD), patch_radius=2),
    "nlmeans": lambda scan: nlmeans(scan, sigma=SD, rician=False),
    "patch2self": lambda scan: patch2self(scan, bvals, model="ols", verbose=False),
}
words, as_seen = [], True
for name, denoise in METHODS.items():
    one, other = (
        float((denoise(noisy.astype(kind)).astype(float) - truth).mean()) for kind in (np.float32, np.int16)
    )
    words.append(f"{name} {one:.2f} {other:.2f}")
    as_seen &= abs(other - one + 0.5) < 0.05
print("   ".join(words))
sys.exit(0 if as_seen else 1)
PY
echo "as on 2026-11-29"
