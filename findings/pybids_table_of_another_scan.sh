#!/usr/bin/env bash
# pybids 0.22.0 (PyPI), BIDSLayout.get_bval and get_bvec, 2026-11-29.
#
# By BIDS's inheritance a table counts for an image if all of its entities are in the image's name.
# get_bval also gives a table with an entity more, of another acquisition: to b0s of reversed phase
# encoding, which have no table of their own in many datasets, that of the series beside them; and it
# prefers that one to a table that does count for the image. get_metadata of the same image goes by the
# rule. So such b0s are taken for DWIs, or refused for the number of volumes; only where no table comes
# into question, get_bval says that there is none, by an IndexError.
#
# Seen (tables in the folder; the image; get_bval; EchoTime by get_metadata, of sidecars of the
# tables' names with 1, 2 and 3 s):
#   acq-b1000              dir-PA     acq-b1000   None
#   acq-b1000, dwi         dir-PA     acq-b1000   2
#   acq-b1000, dir-AP      dir-PA     acq-b1000   None
#   dir-AP                 dir-PA     IndexError  None
#   acq-b1000, dwi         acq-b1000  acq-b1000   1
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install pybids==0.22.0 nibabel==5.4.2
cd "$place"
venv/bin/python -W ignore - <<'PY' | tee seen
import json
from pathlib import Path

import nibabel
import numpy as np
from bids import BIDSLayout

ECHO_TIMES = {"acq-b1000_dwi": 1, "dwi": 2, "dir-AP_dwi": 3}


def short(name):
    return name.removesuffix("_dwi")


for number, (tables, image) in enumerate((
    (["acq-b1000_dwi"], "dir-PA_dwi"), (["acq-b1000_dwi", "dwi"], "dir-PA_dwi"),
    (["acq-b1000_dwi", "dir-AP_dwi"], "dir-PA_dwi"), (["dir-AP_dwi"], "dir-PA_dwi"),
    (["acq-b1000_dwi", "dwi"], "acq-b1000_dwi"),
)):
    folder = Path(f"data{number}", "sub-01", "dwi").resolve()
    folder.mkdir(parents=True)
    description = {"Name": "phantom", "BIDSVersion": "1.10.0"}
    (folder.parents[1] / "dataset_description.json").write_text(json.dumps(description))
    for name in tables:
        (folder / f"sub-01_{name}.bval").write_text("0 1000\n")
        (folder / f"sub-01_{name}.bvec").write_text("0 1\n0 0\n0 0\n")
        (folder / f"sub-01_{name}.json").write_text(json.dumps({"EchoTime": ECHO_TIMES[name]}))
    path = folder / f"sub-01_{image}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3, 2), np.float32), np.eye(4)), path)
    layout = BIDSLayout(folder.parents[1], validate=False)
    try:
        given = short(Path(layout.get_bval(path)).stem.removeprefix("sub-01_"))
        assert short(Path(layout.get_bvec(path)).stem.removeprefix("sub-01_")) == given
    except IndexError:
        given = "IndexError"
    time = layout.get_metadata(path).get("EchoTime")
    print(f"{', '.join(map(short, tables)):<22} {short(image):<10} {given:<11} {time}")
PY
diff seen - <<'SEEN'
acq-b1000              dir-PA     acq-b1000   None
acq-b1000, dwi         dir-PA     acq-b1000   2
acq-b1000, dir-AP      dir-PA     acq-b1000   None
dir-AP                 dir-PA     IndexError  None
acq-b1000, dwi         acq-b1000  acq-b1000   1
SEEN
echo "as on 2026-11-29"
