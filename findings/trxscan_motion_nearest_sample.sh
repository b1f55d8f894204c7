#!/usr/bin/env bash
# TRXScan (PyPI trxscan 0.3.0), head motion by Artifacts(motion=...), 2026-11-29.
#
# Its "faithful per-volume re-simulation" moves the streamlines exactly, but takes the tissue (grey
# matter and fluid, and where white matter is) from the nearest sample of its grid, which is half a
# voxel in plane with the default oversample=2, and a whole slice through the plane. Tissue that
# moves by less than half a sample does not move at all, then jumps by a whole one. A registration
# or an interpolation cannot be judged to better than that from such a scan.
#
# Seen (a box of 10 voxels of 2 mm, moved along x; the shift of its centre of mass):
#   moved 0.4 mm, seen 0.00   moved 0.8 mm, seen 0.39   moved 1.2 mm, seen 0.39   moved 2.0, seen 1.93
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install trxscan==0.3.0 numpy==2.4.6 scipy==1.17.1
"$place/venv/bin/python" -W ignore - <<'PY'
from dataclasses import replace

import numpy as np
import trxscan

box = trxscan.objects.box(10, matrix=32, oversample=2, voxel_mm=2.0, nz=5)
line = trxscan.phantom.Streamlines(np.array([[0.0, 0, 0], [1, 0, 0]]), [0, 2])  # motion needs one
grey = replace(box, fibers=None, streamlines=line, sim_gm=box.sim_wm, sim_wm=0 * box.sim_wm)
protocol = trxscan.Protocol.DEFAULT.replace(
    voxel_mm=2.0, oversample=2, coils=1, echo_spacing_ms=0.1, t_inhom_ms=1e6
)
moved = np.array([0.0, 0.4, 0.8, 1.2, 2.0])
poses = np.zeros((len(moved), 6))
poses[:, 0] = moved
motion = trxscan.Motion.from_arrays(poses, None)
run = grey.simulate(
    (np.zeros(len(moved)), np.zeros((len(moved), 3))), protocol,
    trxscan.Artifacts(motion=motion, distortion=False), slices=[2], clean_b0=False, kspace=False,
)
nx, ny, nz = run.dims
image = np.asarray(run.mag).reshape(nz, ny, nx, -1).transpose(2, 1, 0, 3)[:, :, 0]
centre = 2.0 * (image.sum(1) * np.arange(nx)[:, None]).sum(0) / image.sum((0, 1))
seen = centre - centre[0]
for a, b in zip(moved, seen):
    print(f"moved {a:.1f} mm, seen {b:.2f}")
assert abs(seen[1]) < 0.01, "a small movement is seen now"
assert abs(seen[2] - seen[3]) < 0.01, "0.8 and 1.2 mm differ now"
PY
echo "as on 2026-11-29"
