#!/usr/bin/env bash
# nifreeze 0.1.0 (PyPI, Python 3.11), DWI.to_nifti with motion_affines, 2026-11-29.
#
# The images come out realigned, and with them b-vectors "in FSL/DIPY conventions". They were turned by
# the image's whole affine, voxel sizes included, and without FSL's sign of x:
#   1. of voxels that are no cubes the vectors leave length 1, and the rotation is sheared. MRtrix
#      multiplies b-values by the squared length, here by 1.12 or by 0.92;
#   2. where the affine's determinant is positive, rotations about y and z go the wrong way: the error
#      is twice that of vectors that were left alone.
# Cubic voxels of an image with a negative determinant (LAS, as dcm2niix writes) are right.
#
# A lopsided object of 32 voxels, turned by 10 degrees, and realigned by the true transform; one
# b-vector of FSL's. Seen, about x / y / z (length and error in degrees; the error of a vector that
# is left alone is 8.8 / 8.0 / 7.7):
#   LAS 2x2x2: length 1.000 / 1.000 / 1.000, error 0.0 / 0.0 / 0.0
#   LAS 2x2x3: length 1.058 / 0.961 / 1.000, error 1.7 / 2.8 / 0.0
#   RAS 2x2x2: length 1.000 / 1.000 / 1.000, error 0.0 / 16.0 / 15.3
# The image is nearer to the one that was not turned in all nine cases.
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install \
    "nifreeze==0.1.0" "nibabel==5.4.2" "numpy==2.3.5" "scipy==1.15.3"
cd "$place"
OMP_NUM_THREADS=1 venv/bin/python -W ignore - <<'PY' | tee seen
import numpy as np
from nifreeze.data.dmri import DWI
from scipy.spatial.transform import Rotation

SIZE = 32
BLOBS = [  # centre and half axes in mm, brightness
    ((0, 0, 0), (18, 14, 11), 1000), ((9, 3, 2), (5, 4, 3), 600),
    ((-6, 7, -3), (4, 6, 4), -400), ((2, -8, 4), (4, 3, 5), 500),
]
DIRECTION = np.array([0.48, 0.6, 0.64])  # in scanner axes: right, front, up
OTHERS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0), (0, 0.6, 0.8)]  # six are needed
TO_FSL = np.diag([-1.0, 1, 1])  # of an image along the scanner's axes, LAS or RAS


def volume(affine, turn):
    at = np.indices((SIZE,) * 3).reshape(3, -1)
    at = turn.T @ (affine[:3, :3] @ at + affine[:3, 3:])
    value = 0
    for centre, axes, bright in BLOBS:
        radius = np.sqrt((((at.T - centre) / axes) ** 2).sum(1))
        value = value + bright / (1 + np.exp(8 * (radius - 1)))
    return value.reshape((SIZE,) * 3).astype(np.float32)


for name, edges in (("LAS 2x2x2", (-2, 2, 2)), ("LAS 2x2x3", (-2, 2, 3)), ("RAS 2x2x2", (2, 2, 2))):
    affine = np.diag([*edges, 1.0])
    affine[:3, 3] = -affine[:3, :3].sum(1) * (SIZE - 1) / 2
    lengths, errors = [], []
    for axis in "xyz":
        turn = Rotation.from_euler(axis, 10, degrees=True).as_matrix()
        still, moved = volume(affine, np.eye(3)), volume(affine, turn)
        vectors = np.vstack([TO_FSL @ DIRECTION, OTHERS])
        scan = DWI(
            dataobj=np.stack([moved] * 6, -1), affine=affine, bzero=still,
            gradients=np.column_stack([vectors, np.full(6, 1000.0)]),
        )
        transform = np.eye(4)
        transform[:3, :3] = turn
        scan.motion_affines = np.stack([transform] * 6)
        realigned = np.asarray(scan.to_nifti("out.nii.gz").dataobj)[..., 0]
        assert ((realigned - still) ** 2).mean() < 0.2 * ((moved - still) ** 2).mean()
        bvec = np.loadtxt("out.bvec")[:, 0]
        lengths.append(np.linalg.norm(bvec))
        right = TO_FSL @ turn.T @ DIRECTION
        errors.append(np.degrees(np.arccos(min(1, abs(bvec @ right) / lengths[-1]))))
    length, error = " / ".join(f"{n:.3f}" for n in lengths), " / ".join(f"{e:.1f}" for e in errors)
    print(f"{name}: length {length}, error {error}")
PY
diff seen - <<'SEEN'
LAS 2x2x2: length 1.000 / 1.000 / 1.000, error 0.0 / 0.0 / 0.0
LAS 2x2x3: length 1.058 / 0.961 / 1.000, error 1.7 / 2.8 / 0.0
RAS 2x2x2: length 1.000 / 1.000 / 1.000, error 0.0 / 16.0 / 15.3
SEEN
echo "as on 2026-11-29"
