#!/usr/bin/env bash
# nibabel 5.4.2, parrec2nii --bvs, beside dcm2niix 1.0.20260724 (both PyPI), 2026-11-29.
#
# Philips' PAR files have gradient directions in the patient's axes (ap, fh, rl), and the angulation of
# the slices beside them. parrec2nii puts the angulation into the image's affine and leaves the
# directions as they are, in the order and sense of the image's axes only. Of a scan along the
# patient's axes its .bvecs are dcm2niix's. Of a tilted one they are off by the tilt, all by the same
# rotation, so that no map of FA shows it, and fibres are tilted.
#
# nibabel's own sample header (DTI.PAR, six directions at b=1000), its angulation set, with voxels of
# noise. Seen, the angle between both programs' directions in scanner axes, in degrees (with a tilt
# of 30 about one axis it is 30 for a direction across that axis, and less for others):
#   tilt 0 0 0: 0.0 to 0.0   tilt 30 0 0: 21.1 to 30.0   tilt 0 30 0: 21.1 to 30.0   tilt 0 0 30: 21.1 to 30.0
# dcm2niix's directions in scanner axes are the same at all four tilts, as the PAR's are.
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install \
    nibabel==5.4.2 dcm2niix==1.0.20260724 numpy==2.4.6
cd "$place"
cat > tilt.py <<'PY'
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np

DIRECTIONS = 6


def tilted(folder, angles):
    """The sample's PAR with this angulation, and a REC for it; slices are the lines of numbers."""
    sample = Path(nibabel.__file__).with_name("tests") / "data" / "DTI.PAR"
    lines, slices = [], 0
    for line in sample.read_text("latin-1").splitlines():
        words = line.split()
        if line.startswith(".    Angulation"):
            line = line.partition(":")[0] + ":   " + "  ".join(f"{a:.3f}" for a in angles)
        elif len(words) > 40 and words[0].isdigit():
            words[16:19] = (f"{a:.2f}" for a in angles)
            line, slices = " " + " ".join(words), slices + 1
        lines.append(line)
    folder.mkdir()
    (folder / "dti.PAR").write_text("\r\n".join(lines) + "\r\n", "latin-1")
    noise = np.random.default_rng(0).integers(100, 1000, (slices, 80, 80))
    (folder / "dti.REC").write_bytes(noise.astype("<i2").tobytes())


def scanner_axes(image, bvec, first):
    """Six of FSL's vectors in scanner axes: x has the other sign where the determinant is positive."""
    axes = nibabel.load(image).affine[:3, :3]
    axes /= np.linalg.norm(axes, axis=0)
    vectors = np.loadtxt(bvec).T[first : first + DIRECTIONS]
    if np.linalg.det(axes) > 0:
        vectors[:, 0] *= -1
    return vectors @ axes.T


programs = Path(sys.executable).parent
untilted = None
for angles in ((0, 0, 0), (30, 0, 0), (0, 30, 0), (0, 0, 30)):
    folder = Path("_".join(map(str, angles)))
    tilted(folder, angles)
    quiet = {"check": True, "capture_output": True}
    subprocess.run([programs / "parrec2nii", "--bvs", "--output-dir", folder, folder / "dti.PAR"], **quiet)
    subprocess.run([programs / "dcm2niix", "-f", "dwi", "-z", "n", "-o", folder, folder / "dti.PAR"], **quiet)
    one = scanner_axes(folder / "dti.nii", folder / "dti.bvecs", 0)
    other = scanner_axes(folder / "dwi.nii", folder / "dwi.bvec", 1)  # which puts the b0 first
    untilted = other if untilted is None else untilted
    assert np.allclose(other, untilted, atol=1e-3)
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    off = np.degrees(np.arccos(np.minimum(np.abs(cosines), 1)))
    print(f"tilt {' '.join(map(str, angles))}: {off.min():.1f} to {off.max():.1f}")
PY
venv/bin/python tilt.py | tee seen
diff seen - <<'SEEN'
tilt 0 0 0: 0.0 to 0.0
tilt 30 0 0: 21.1 to 30.0
tilt 0 30 0: 21.1 to 30.0
tilt 0 0 30: 21.1 to 30.0
SEEN
echo "as on 2026-11-29"
