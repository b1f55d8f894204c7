#!/usr/bin/env bash
# nibabel 5.4.2, nib-convert of an AFNI series to NIfTI, 2026-11-29.
#
# AFNI stores 16-bit integers with a factor for each volume (BRICK_FLOAT_FACS). NIfTI has one factor for
# all, and nib-convert keeps the type: it finds a new factor and an offset for the whole series, and
# rounds all volumes to that. The brightest voxel of any volume so decides the steps in all of them. No
# word is printed. With `--out-dtype float32` nothing is lost.
#
# Ten volumes of the integers 0 to 1999, nine with factor 0.01 and one with factor 30 (values to 59970:
# a bright b0 beside DWIs of normalised brightness). Seen, of a volume with factor 0.01:
#   AFNI: 2000 grey levels, step 0.010
#   nib-convert: 23 grey levels, step 0.915
#   nib-convert --out-dtype float32: 2000 grey levels, step 0.010
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install nibabel==5.4.2 numpy==2.4.6
cd "$place"
cat > afni.py <<'PY'
import sys

import nibabel
import numpy as np

SHAPE, FACTORS = (20, 10, 10), [0.01] * 9 + [30.0]


def attribute(kind, name, values):
    """By AFNI's description of a dataset's header."""
    text = f"'{values}~" if kind == "string" else " " + " ".join(map(str, values))
    count = len(values) + (kind == "string")
    return f"\ntype = {kind}-attribute\nname = {name}\ncount = {count}\n{text}\n"


def write():
    parts = [
        ("string", "TYPESTRING", "3DIM_HEAD_ANAT"),
        ("string", "BYTEORDER_STRING", "LSB_FIRST"),
        ("integer", "DATASET_RANK", [3, len(FACTORS)]),
        ("integer", "DATASET_DIMENSIONS", SHAPE),
        ("integer", "SCENE_DATA", [0, 2, 0]),
        ("integer", "ORIENT_SPECIFIC", [0, 3, 4]),
        ("float", "ORIGIN", [0.0] * 3),
        ("float", "DELTA", [2.0] * 3),
        ("float", "IJK_TO_DICOM_REAL", [2.0, 0, 0, 0, 0, 2.0, 0, 0, 0, 0, 2.0, 0]),
        ("integer", "BRICK_TYPES", [1] * len(FACTORS)),
        ("float", "BRICK_FLOAT_FACS", FACTORS),
    ]
    with open("dwi+orig.HEAD", "w") as file:
        file.writelines(attribute(*part) for part in parts)
    volume = np.arange(2000, dtype="<i2").reshape(SHAPE)
    with open("dwi+orig.BRIK", "wb") as file:
        file.write(np.stack([volume] * len(FACTORS), -1).tobytes("F"))


def show(label, path):
    levels = np.unique(np.asarray(nibabel.load(path).dataobj, np.float32)[..., 0])
    step = np.diff(levels).max()
    print(f"{label}: {len(levels)} grey levels, step {step:.3f}")


if sys.argv[1:]:
    show(*sys.argv[1:])
else:
    write()
PY
venv/bin/python afni.py
venv/bin/nib-convert dwi+orig.HEAD same.nii.gz
venv/bin/nib-convert --out-dtype float32 dwi+orig.HEAD float.nii.gz
{
    venv/bin/python afni.py AFNI dwi+orig.HEAD
    venv/bin/python afni.py nib-convert same.nii.gz
    venv/bin/python afni.py "nib-convert --out-dtype float32" float.nii.gz
} | tee seen
diff seen - <<'SEEN'
AFNI: 2000 grey levels, step 0.010
nib-convert: 23 grey levels, step 0.915
nib-convert --out-dtype float32: 2000 grey levels, step 0.010
SEEN
echo "as on 2026-11-29"
