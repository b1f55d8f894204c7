#!/usr/bin/env bash
# dcm2niix 1.0.20260724 (PyPI), diffusion directions in DICOM's own attributes, 2026-11-29.
#
# The same files, b-value in (0018,9087) and direction in patient axes in (0018,9089) as the standard
# defines them, become three different gradient tables by the word in Manufacturer (0008,0070) alone:
#   SIEMENS, Philips, TOSHIBA   the directions that were written
#   GE                          x and y of every vector with the other sign (z is not changed)
#   UIH                         every vector 0, beside non-zero b-values; exit code 0
# (Debian 12's 1.0.20220720: GE's b-values are all 0, with a warning; UIH as above.) So a series
# from a simulator, a PACS or an anonymiser that writes the standard's attributes must not carry
# another maker's name, and a table is to be looked at after conversion.
#
# Seen (b and direction of the one DWI; written: 1000, 0.6 0 0.8):
#   SIEMENS 1000  0.6 0 0.8     GE 1000  -0.6 0 0.8     UIH 1000  0 0 0
#
# Exits with 0 while this is so, with 1 if it has changed.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"${PYTHON:-python3.11}" -m venv "$place/venv"
"$place/venv/bin/pip" --disable-pip-version-check -q install \
    dcm2niix==1.0.20260724 pydicom==3.0.2 numpy==2.4.6
cat > "$place/write.py" <<'PY'
import sys
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

folder, maker = Path(sys.argv[1]), sys.argv[2]
folder.mkdir()
series, study = generate_uid(), generate_uid()
for volume in range(3):
    for z in range(4):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        d.SOPClassUID, d.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        d.SeriesInstanceUID, d.StudyInstanceUID, d.Modality = series, study, "MR"
        d.Manufacturer, d.ImageType, d.PatientPosition = maker, ["ORIGINAL", "PRIMARY", "M"], "HFS"
        d.PatientName = d.PatientID = d.SeriesDescription = "phantom"
        d.StudyDate = d.SeriesDate = d.AcquisitionDate = "20261129"
        d.StudyTime = d.SeriesTime = "120000"
        d.AcquisitionTime = f"1200{volume:02d}"
        d.SeriesNumber, d.AcquisitionNumber, d.InstanceNumber = 2, volume + 1, 4 * volume + z + 1
        d.EchoTime, d.RepetitionTime, d.MRAcquisitionType = 80.0, 6000.0, "2D"
        d.ScanningSequence, d.InPlanePhaseEncodingDirection = "EP", "COL"
        d.ImagePositionPatient = [-20.0, -20.0, 2.0 * z]
        d.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        d.PixelSpacing, d.SliceThickness, d.SpacingBetweenSlices = [2.0, 2.0], 2.0, 2.0
        d.DiffusionBValue = 1000.0 * (volume == 1)
        if volume == 1:
            d.DiffusionGradientOrientation = [0.6, 0.0, 0.8]
        d.Rows = d.Columns = 20
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.BitsAllocated = d.BitsStored = 16
        d.HighBit, d.PixelRepresentation = 15, 0
        d.PixelData = np.full((20, 20), 100 + volume, "<u2").tobytes()
        d.save_as(folder / f"{4 * volume + z}.dcm", enforce_file_format=True)
PY
cd "$place"
for maker in SIEMENS GE UIH; do
    venv/bin/python write.py "$maker" "$maker"
    mkdir "out-$maker"
    venv/bin/dcm2niix -b n -z n -f dwi -o "out-$maker" "$maker" > log || { cat log; exit 1; }
    echo "$maker" "$(awk '{print $2}' "out-$maker/dwi.bval")" "" "$(awk '{printf "%s ", $2}' "out-$maker/dwi.bvec")"
done | tee seen
diff -b seen - <<'SEEN' || { echo "it has changed"; exit 1; }
SIEMENS 1000  0.6 0 0.8
GE 1000  -0.6 0 0.8
UIH 1000  0 0 0
SEEN
echo "as on 2026-11-29"
