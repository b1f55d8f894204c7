#!/usr/bin/env bash
# patch-denoise 1.4.4, which pip installs on Python 3.11 (2.x needs Python 3.12), 2026-11-28.
#
# Its default, optimal shrinkage in the Frobenius norm with weighted recombination, returns a wrong
# image: every component but the mean is scaled up. On a ball of two tissues (signals of 300 to
# 1000 in 20 volumes, noise sd 20) it errs by a hundred times the noise, where MP-PCA of the same
# version halves it, as both do in version 2.3.0 in Python 3.12. Beside that, 37 % of the voxels of
# a mask that fills the image are NaN in 1.4.4 (no patch covers the image's far ends), none in 2.3.0.
#
# Seen (rms error over the noise's sd, where the result is finite; share of voxels that are NaN):
#   patch-denoise 1.4.4: optimal-fro 102.14  mp-pca 0.50  NaN 0.37
#   patch-denoise 2.3.0: optimal-fro 0.33  mp-pca 0.33  NaN 0.00
#
# Exits with 0 while this is so, with 1 if it has changed. The second line needs a python3.12 (or
# PYTHON312); without one it is left out.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat > "$place/try.py" <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from patch_denoise.denoise import mp_pca, optimal_thresholding

rng = np.random.default_rng(0)
x, y, z = np.indices((24, 24, 16))
ball = (x - 11.5) ** 2 + (y - 11.5) ** 2 + (z - 7.5) ** 2 < 60
tissues = np.stack([ball & (x < 12), ball & (x >= 12)], -1).astype(float)
truth = 1000 * tissues @ rng.uniform(0.3, 1, (2, 20))
data = truth + 20 * rng.standard_normal(truth.shape)
settings = {
    "patch_shape": (11, 11, 11), "patch_overlap": (5, 5, 5), "recombination": "weighted",
    "mask": np.ones(data.shape[:3], bool), "mask_threshold": 1,
}
errors, missing = [], []
for denoise, more in ((optimal_thresholding, {"loss": "fro"}), (mp_pca, {})):
    out = denoise(data.copy(), **settings, **more)[0]
    known = np.isfinite(out)
    errors.append(float(np.sqrt(np.square((out - truth)[known]).mean()) / 20))
    missing.append(float(1 - known.mean()))
print(
    f"patch-denoise {version('patch-denoise')}: optimal-fro {errors[0]:.2f}  mp-pca {errors[1]:.2f}"
    f"  NaN {missing[0]:.2f}"
)
low, high = (float(word) for word in sys.argv[1:])
assert low < errors[0] < high, "optimal-fro is another"
assert errors[1] < 0.7, "mp-pca is another"
assert (missing[0] > 0.2) == (low > 1), "other voxels are NaN"
PY

tried() { # with a Python, a release and bounds of optimal-fro's error
    "$1" -m venv "$place/$2"
    "$place/$2/bin/pip" --disable-pip-version-check -q install "patch-denoise$2" "numpy$3" "scipy$4"
    "$place/$2/bin/python" -W ignore "$place/try.py" "$5" "$6" 2> "$place/log" || {
        cat "$place/log"
        exit 1
    }
}

tried "${PYTHON:-python3.11}" "" "==2.4.6" "==1.17.1" 10 1000 | grep '^patch-denoise' | tee "$place/old"
grep -q ' 1\.4\.4:' "$place/old" # what pip picks on this Python
newer=${PYTHON312:-python3.12}
if "$newer" -c '' 2> /dev/null; then
    tried "$newer" "==2.3.0" ">=2" ">=1.13" 0 0.7 | grep '^patch-denoise'
fi
echo "as on 2026-11-28"
