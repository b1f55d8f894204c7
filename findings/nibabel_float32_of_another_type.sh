#!/usr/bin/env bash
# nibabel 5.4.2, get_fdata(dtype=numpy.float32) and asarray(img.dataobj, float32), 2026-11-29.
#
# The array's dtype equals numpy.float32, is native and compares equal everywhere in NumPy, but it
# keeps the header's explicit byte order: its buffer says "<f", not "f". Compiled code that asks the
# buffer for float32 ("f", as the struct module's native type) refuses what NumPy calls float32,
# and astype(numpy.float32, copy=False) does not help, since the dtypes are equal. A view does.
#
# Seen:
#   get_fdata: equal True, native True, buffer <f; after astype(copy=False): <f; after view: f
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install nibabel==5.4.2 numpy==2.4.6
cd "$place"
venv/bin/python - <<'PY' | tee seen
import nibabel
import numpy as np

nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2), np.float32), np.eye(4)), "one.nii")
data = nibabel.load("one.nii").get_fdata(dtype=np.float32)
said = [memoryview(a.copy()).format for a in (data, data.astype(np.float32, copy=False), data.view(np.float32))]
print(
    f"get_fdata: equal {data.dtype == np.float32}, native {data.dtype.isnative}, buffer {said[0]}; "
    f"after astype(copy=False): {said[1]}; after view: {said[2]}"
)
PY
grep -qx 'get_fdata: equal True, native True, buffer <f; after astype(copy=False): <f; after view: f' seen
echo "as on 2026-11-29"
