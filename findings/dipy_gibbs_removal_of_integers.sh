#!/usr/bin/env bash
# DIPY 1.12.1, dipy_gibbs_ringing and dipy.denoise.gibbs.gibbs_removal, 2026-11-29.
#
# The correction works in the type of the array that it is given, and DIPY's load_nifti gives the type
# of the file. In unsigned integers, the type of many converted magnitudes, neighbours are
# subtracted and shifted lines stored without a sign: what falls below 0 becomes 65 thousand, in the
# result and in the total variation by which the shifts are chosen. In signed integers all values are cut
# to whole numbers, twice, so that the image is 0.8 of a unit darker. The exit code is 0, and nothing is
# said. Float32 voxels of the same values are right.
#
# A disc of brightness 300 with three darker ones, cut off in k-space, its magnitude rounded (highest 330,
# mean 107.7). Seen after dipy_gibbs_ringing (rms: of the difference from float32's):
#   float32: highest 316, mean 107.8, rms 0.0
#   int16: highest 315, mean 107.0, rms 1.1
#   uint16: highest 60487, mean 7227.7, rms 12404.5
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install \
    "dipy==1.12.1" "nibabel==5.4.2" "numpy==2.4.6" "scipy==1.17.1"
cd "$place"
cat > rings.py <<'PY'
import sys

import nibabel
import numpy as np

FULL, KEPT = 256, 64


def disc(x, y, radius):
    across, along = np.indices((FULL, FULL)) / FULL - 0.5
    return ((across - x) ** 2 + (along - y) ** 2 < radius**2).astype(float)


scene = 300 * disc(0, 0, 0.35) - 150 * disc(0.1, 0, 0.1) - 280 * disc(-0.1, 0.1, 0.06) - 90 * disc(-0.1, -0.1, 0.09)
spectrum = np.fft.fftshift(np.fft.fft2(scene))
middle = slice((FULL - KEPT) // 2, (FULL + KEPT) // 2)
cut = np.fft.ifft2(np.fft.ifftshift(spectrum[middle, middle])) * (KEPT / FULL) ** 2
ringing = np.abs(cut).round()


def read(kind):
    return np.asarray(nibabel.load(f"{kind}/dwi.nii.gz").dataobj, float)[:, :, 0]


if sys.argv[1:]:
    for kind in ("float32", "int16", "uint16"):
        image = read(kind)
        off = image - read("float32")
        print(f"{kind}: highest {image.max():.0f}, mean {image.mean():.1f}, rms {np.sqrt((off**2).mean()):.1f}")
else:
    print(f"before: highest {ringing.max():.0f}, mean {ringing.mean():.1f}")
    series = np.stack([ringing] * 2, -1)
    for kind in ("float32", "int16", "uint16"):
        nibabel.save(nibabel.Nifti1Image(series.astype(kind), np.eye(4)), f"{kind}.nii.gz")
PY
venv/bin/python rings.py
for kind in float32 int16 uint16; do
    mkdir "$kind"
    OMP_NUM_THREADS=1 venv/bin/dipy_gibbs_ringing "$kind.nii.gz" --num_processes 1 --out_dir "$kind" \
        --out_unring dwi.nii.gz > log 2>&1 || { cat log; exit 1; }
done
venv/bin/python rings.py after | tee seen
diff seen - <<'SEEN'
float32: highest 316, mean 107.8, rms 0.0
int16: highest 315, mean 107.0, rms 1.1
uint16: highest 60487, mean 7227.7, rms 12404.5
SEEN
echo "as on 2026-11-29"
