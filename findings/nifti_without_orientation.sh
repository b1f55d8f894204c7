#!/usr/bin/env bash
# A NIfTI header without qform and sform (both codes 0), and three programs that read it, 2026-11-29:
# nibabel 5.4.2 and SimpleITK 2.5.7 (PyPI), MRtrix's mrconvert 3.0.3 (Debian 12).
#
# Conversions from Analyze and home-made files of animal scanners have such headers. Where the format
# says little, the three give the same voxels three orientations: nibabel (and with it DIPY) turns x,
# SimpleITK turns x and y, MRtrix turns nothing. They so differ in handedness, and FSL's b-vectors
# have their x reversed where an image is right-handed: MRtrix gives the gradients another x relative
# to the voxels than nibabel's affine does. Tensors and fibres of one program are mirrored beside those
# of another, with no word printed. Way out: set both codes before the first program reads the file.
#
# Seen (right, front and up for the voxel axes; handedness; the first component of the b-vector
# 0.6 0 0.8 along the voxel axes, as the rule of FSL's b-vectors gives it):
#   nibabel: x-left y-front z-up, left-handed, 0.6
#   SimpleITK: x-left y-back z-up, right-handed, -0.6
#   mrconvert: x-right y-front z-up, right-handed, -0.6
#
# Exits with 0 while this is so, with 1 if it has changed. The third line needs mrconvert; without one
# it is left out.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install simpleitk==2.5.7 nibabel==5.4.2 numpy==2.4.6
cd "$place"
cat > read.py <<'PY'
import shutil
import subprocess

import nibabel
import numpy as np
import SimpleITK

WORDS = (("left", "right"), ("back", "front"), ("down", "up"))
BVEC = np.array([0.6, 0.0, 0.8])


def show(program, axes, along=None):
    """``axes``: the voxel axes in columns, right, front and up in rows."""
    where = " ".join(f"{'xyz'[k]}-{WORDS[k][int(axes[k, k] > 0)]}" for k in range(3))
    right_handed = np.linalg.det(axes) > 0
    if along is None:
        along = BVEC * (-1 if right_handed else 1, 1, 1)
    hand = "right-handed" if right_handed else "left-handed"
    print(f"{program}: {where}, {hand}, {along[0]:.1f}")


image = nibabel.Nifti1Image(np.ones((5, 4, 3, 2), np.float32), None)
image.header.set_zooms((2, 2, 2, 1))
assert image.header["qform_code"] == image.header["sform_code"] == 0
nibabel.save(image, "dwi.nii")
show("nibabel", nibabel.load("dwi.nii").affine[:3, :3] / 2)
itk = np.reshape(SimpleITK.ReadImage("dwi.nii")[..., 0].GetDirection(), (3, 3))
show("SimpleITK", np.diag([-1, -1, 1]) @ itk)  # ITK's axes are to the left, to the back, up

if shutil.which("mrconvert"):
    np.savetxt("dwi.bval", [[0, 1000]])
    np.savetxt("dwi.bvec", np.column_stack([np.zeros(3), BVEC]))
    line = "mrconvert dwi.nii dwi.mif -fslgrad dwi.bvec dwi.bval -quiet"
    subprocess.run(line.split(), check=True)
    with open("dwi.mif", "rb") as file:
        lines = file.read().partition(b"\nEND")[0].decode().splitlines()
    rows = [[float(n) for n in line[10:].split(",")] for line in lines if line.startswith("transform")]
    table = [[float(n) for n in line[10:].split(",")] for line in lines if line.startswith("dw_scheme")]
    axes = np.array(rows)[:, :3]
    show("mrconvert", axes, axes.T @ table[1][:3])
PY
venv/bin/python read.py | tee seen
cat > expected <<'SEEN'
nibabel: x-left y-front z-up, left-handed, 0.6
SimpleITK: x-left y-back z-up, right-handed, -0.6
SEEN
if command -v mrconvert > mrtrix; then
    echo "mrconvert: x-right y-front z-up, right-handed, -0.6" >> expected
fi
diff seen expected
echo "as on 2026-11-29"
