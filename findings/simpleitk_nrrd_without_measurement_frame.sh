#!/usr/bin/env bash
# SimpleITK 2.5.7 (PyPI, ITK's NRRD reader and writer; Python 3.11, Linux), 2026-11-29.
#
# A diffusion series in NRRD says in which space its axes are (LPS, RAS, LAS) and, in "measurement
# frame", how its gradients are turned into that space. SimpleITK reads a RAS or LAS image and writes
# it as LPS. Where there is a measurement frame, its vectors are turned along, and the directions
# stay right. Where the field is missing (taken for the identity by NRRD's readers of diffusion
# series), none is added and the gradients stay as they were: in the file that is written, and
# already in the image that was read, they point elsewhere. No word is printed. An LPS file is fine.
#
# Seen: the direction of one gradient in scanner axes, before and after ReadImage and WriteImage
#   LPS with a frame:    (0.6, 0.0, 0.8) -> (0.6, 0.0, 0.8)
#   LPS without a frame: (0.6, 0.0, 0.8) -> (0.6, 0.0, 0.8)
#   RAS with a frame:    (0.6, 0.0, 0.8) -> (0.6, 0.0, 0.8)
#   RAS without a frame: (0.6, 0.0, 0.8) -> (-0.6, 0.0, 0.8)
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install "simpleitk==2.5.7" "numpy==2.4.6"

cat > "$place/seen.py" <<'PYTHON'
import sys

import numpy as np
import SimpleITK

SPACES = {
    "LPS": ("left-posterior-superior", np.diag([-1.0, -1, 1])),
    "RAS": ("right-anterior-superior", np.eye(3)),
}
TRUE = np.array([0.6, 0.0, 0.8])  # to the right, to the front, up


def vectors(rows):
    return " ".join(f"({','.join(f'{n:g}' for n in row)})" for row in rows)


def write(path, space, framed):
    """A b0 and one DWI of 3 x 3 x 3 voxels, the volumes fastest, as 3D Slicer has them."""
    name, turn = SPACES[space]
    lines = [
        "NRRD0005", "type: float", "dimension: 4", f"space: {name}", "sizes: 2 3 3 3",
        f"space directions: none {vectors(2 * turn)}", "kinds: list space space space",
        "endian: little", "encoding: raw", "space origin: (0,0,0)",
        *(["measurement frame: (1,0,0) (0,1,0) (0,0,1)"] if framed else []),
        "modality:=DWMRI", "DWMRI_b-value:=1000", "DWMRI_gradient_0000:=0 0 0",
        f"DWMRI_gradient_0001:={' '.join(str(n) for n in turn @ TRUE)}",
    ]
    with open(path, "wb") as file:
        file.write(("\n".join(lines) + "\n\n").encode() + np.ones(54, "<f4").tobytes())


def direction(path):
    """Of the DWI, in scanner axes: by the frame, which is the identity where it is missing."""
    with open(path, "rb") as file:
        text = file.read().partition(b"\n\n")[0].decode()
    fields = dict(line.split(":", 1) for line in text.splitlines()[1:] if ":" in line)
    turn = next(t for name, t in SPACES.values() if name == fields["space"].strip())
    frame = np.eye(3)
    if "measurement frame" in fields:
        words = fields["measurement frame"].split()
        frame = np.array([[float(n) for n in word.strip("()").split(",")] for word in words]).T
    gradient = np.array([float(n) for n in fields["DWMRI_gradient_0001"].strip("=").split()])
    return turn @ frame @ gradient + 0.0


def shown(numbers):
    return f"({', '.join(f'{n:.1f}' for n in numbers)})"


folder = sys.argv[1]
for space in SPACES:
    for framed in (True, False):
        write(f"{folder}/in.nrrd", space, framed)
        image = SimpleITK.ReadImage(f"{folder}/in.nrrd")
        SimpleITK.WriteImage(image, f"{folder}/out.nrrd")
        before, after = direction(f"{folder}/in.nrrd"), direction(f"{folder}/out.nrrd")
        label = f"{space} {'with' if framed else 'without'} a frame:"
        print(f"{label:<20} {shown(before)} -> {shown(after)}")
PYTHON

"$place/venv/bin/python" "$place/seen.py" "$place" | tee "$place/seen"
diff "$place/seen" - <<'SEEN'
LPS with a frame:    (0.6, 0.0, 0.8) -> (0.6, 0.0, 0.8)
LPS without a frame: (0.6, 0.0, 0.8) -> (0.6, 0.0, 0.8)
RAS with a frame:    (0.6, 0.0, 0.8) -> (0.6, 0.0, 0.8)
RAS without a frame: (0.6, 0.0, 0.8) -> (-0.6, 0.0, 0.8)
SEEN
echo "as on 2026-11-29"
