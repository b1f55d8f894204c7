#!/usr/bin/env bash
# DIPY 1.12.1, dipy.align.motion_correction and dipy.core.gradients.reorient_bvecs, 2026-11-29.
#
# motion_correction gives its transforms in scanner axes (of the image's affine). reorient_bvecs
# applies their rotation to the b-vectors as they are, and those of FSL's files lie along the image's
# axes, with x to the left whatever the affine's determinant is. A rotation about x is the same in
# both. About y and z it has the other sense: the images are aligned, and the directions are
# turned away by as much as the head was, so that their error is twice what it was without
# reorient_bvecs. Neither function says in which axes it works. Way out: turn each rotation into the
# image's axes first, F R F with F from scanner axes to FSL's; the error is below 0.5 degrees then.
#
# A lopsided object of 32 voxels of 2 mm, turned by 8 degrees in the second volume; one b-vector of
# FSL's. Seen, the error of the direction in degrees, before and after reorient_bvecs:
#   LAS: about x 7.0 -> 0.1   about y 6.4 -> 12.8   about z 6.1 -> 12.4
#   RAS: about x 7.0 -> 0.1   about y 6.4 -> 12.6   about z 6.1 -> 12.3
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install "dipy==1.12.1" "numpy==2.4.6" "scipy==1.17.1"
OMP_NUM_THREADS=1 "$place/venv/bin/python" -W ignore - <<'PY'
import logging
import sys

import numpy as np
from dipy.align import motion_correction
from dipy.core.gradients import gradient_table, reorient_bvecs
from scipy.spatial.transform import Rotation

logging.getLogger("dipy").setLevel(logging.ERROR)
SIZE = 32
BLOBS = [  # centre and half axes in mm, brightness
    ((0, 0, 0), (18, 14, 11), 1000), ((9, 3, 2), (5, 4, 3), 600),
    ((-6, 7, -3), (4, 6, 4), -400), ((2, -8, 4), (4, 3, 5), 500),
]
DIRECTION = np.array([0.48, 0.6, 0.64])  # in scanner axes: right, front, up
TO_FSL = np.diag([-1.0, 1, 1])  # of an image along the scanner's axes, LAS or RAS


def volume(affine, turn):
    at = np.indices((SIZE,) * 3).reshape(3, -1)
    at = turn.T @ (affine[:3, :3] @ at + affine[:3, 3:])
    value = 0
    for centre, axes, bright in BLOBS:
        radius = np.sqrt((((at.T - centre) / axes) ** 2).sum(1))
        value = value + bright / (1 + np.exp(8 * (radius - 1)))
    return value.reshape((SIZE,) * 3)


def off(one, other):
    return np.degrees(np.arccos(min(1, abs(one @ other))))


as_seen = True
for name, x in (("LAS", -2.0), ("RAS", 2.0)):
    affine = np.diag([x, 2, 2, 1])
    affine[:3, 3] = -affine[:3, :3].sum(1) * (SIZE - 1) / 2
    words = []
    for axis in "xyz":
        turn = Rotation.from_euler(axis, 8, degrees=True).as_matrix()
        series = np.stack([volume(affine, np.eye(3)), volume(affine, turn)], -1)
        bvec = TO_FSL @ DIRECTION
        table = gradient_table(np.array([0, 1000.0]), bvecs=np.array([[0, 0, 0], bvec]))
        _, moved = motion_correction(series, table, affine=affine, pipeline=["rigid"])
        turned = reorient_bvecs(table, moved[..., 1:]).bvecs[1]
        right = TO_FSL @ turn.T @ DIRECTION
        before, after = off(bvec, right), off(turned, right)
        in_image_axes = np.array([TO_FSL @ one[:3, :3] @ TO_FSL for one in np.moveaxis(moved, -1, 0)])
        way_out = reorient_bvecs(table, np.moveaxis(in_image_axes, 0, -1)[..., 1:]).bvecs[1]
        as_seen &= bool(off(way_out, right) < 0.5)
        words.append(f"about {axis} {before:.1f} -> {after:.1f}")
        as_seen &= after < 1 if axis == "x" else 1.8 < after / before < 2.2
    print(f"{name}: {'   '.join(words)}")
sys.exit(0 if as_seen else 1)
PY
echo "as on 2026-11-29"
