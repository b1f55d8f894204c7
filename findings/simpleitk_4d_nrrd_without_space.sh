#!/usr/bin/env bash
# SimpleITK 2.5.7 (PyPI, ITK's NRRD reader and writer), a series of four axes, 2026-11-29.
#
# A NIfTI series that is written as NRRD has no "space: left-posterior-superior" any more. In its place
# stands "space dimension: 4", by which no reader can know that x goes to the left; time counts as a
# fourth axis of space. (The format has a name for it, left-posterior-superior-time.) ITK itself takes
# the numbers for LPS. The same volumes as one image with a vector in each voxel, and each volume alone,
# do have the name: only the form with four axes, which every series from NIfTI has, loses it.
#
# Seen, the lines of the header that say what the axes are:
#   4 axes: space dimension: 4 | kinds: domain domain domain domain
#   vectors: space: left-posterior-superior | kinds: vector domain domain domain
#   1 volume: space: left-posterior-superior | kinds: domain domain domain
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install simpleitk==2.5.7 nibabel==5.4.2 numpy==2.4.6
cd "$place"
venv/bin/python - <<'PY' | tee seen
import nibabel
import numpy as np
import SimpleITK

nibabel.save(nibabel.Nifti1Image(np.ones((5, 4, 3, 6), np.float32), np.diag([-2, 2, 2, 1])), "dwi.nii")
series = SimpleITK.ReadImage("dwi.nii")
volumes = [series[..., v] for v in range(series.GetSize()[3])]
for label, image in (
    ("4 axes", series), ("vectors", SimpleITK.Compose(volumes)), ("1 volume", volumes[0])
):
    SimpleITK.WriteImage(image, "dwi.nrrd")
    with open("dwi.nrrd", "rb") as file:
        lines = file.read().partition(b"\n\n")[0].decode("latin-1").splitlines()
    named = ("space:", "space dimension:", "kinds:")
    print(f"{label}: {' | '.join(line for line in lines if line.startswith(named))}")
again = SimpleITK.ReadImage("dwi.nrrd")
assert again.GetDirection() == volumes[0].GetDirection()
PY
diff seen - <<'SEEN'
4 axes: space dimension: 4 | kinds: domain domain domain domain
vectors: space: left-posterior-superior | kinds: vector domain domain domain
1 volume: space: left-posterior-superior | kinds: domain domain domain
SEEN
echo "as on 2026-11-29"
