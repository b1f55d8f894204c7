"""A diffusion series as a scanner writes it: one DICOM file a slice and volume.

``pip install pydicom; python -m scripts.write_dicom SERIES.nii.gz FOLDER``

For trying a pipeline from its first step without anybody's data: b-values and directions stand in
DICOM's own attributes (0018,9087) and (0018,9089), in patient axes, as `dcm2niix` reads them. The
values are rounded to 16-bit integers. Takes axial series whose axes are those of the scanner.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from dwiser import load
from dwiser.io.scanner_axes import in_scanner_axes
from dwiser.scan import Scan

NAME = "dwiser^simulated"
TO_PATIENT = np.array([-1.0, -1.0, 1.0])  # DICOM's x runs to the left, its y to the back
ECHO_TIME, REPETITION_TIME = 80.0, 6000.0  # ms


def write(scan: Scan, folder: Path, maker: str) -> int:
    """Write every slice of every volume; returns how many."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    axes = scan.affine[:3, :3] * TO_PATIENT[:, None]
    if not np.allclose(axes, np.diag(np.diag(axes))):
        raise SystemExit("The series' axes are not the scanner's: reorient it first.")
    data, directions = scan.data, in_scanner_axes(scan.gradients.bvecs, scan.affine) * TO_PATIENT
    origin = scan.affine[:3, 3] * TO_PATIENT
    for axis in (0, 1):  # columns run to the left and rows to the back
        if axes[axis, axis] < 0:
            origin[axis] += axes[axis, axis] * (data.shape[axis] - 1)
            data = np.flip(data, axis)
    size = np.abs(np.diag(axes))
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    for v in range(scan.data.shape[3]):
        for z in range(scan.data.shape[2]):
            number = v * scan.data.shape[2] + z + 1
            meta = pydicom.dataset.FileMetaDataset()
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            meta.MediaStorageSOPClassUID = MRImageStorage
            meta.MediaStorageSOPInstanceUID = generate_uid()
            d = pydicom.dataset.FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
            d.SOPClassUID, d.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
            d.SeriesInstanceUID, d.StudyInstanceUID, d.FrameOfReferenceUID = series, study, frame
            d.Modality, d.Manufacturer, d.ImageType = "MR", maker, ["ORIGINAL", "PRIMARY", "M"]
            d.PatientName, d.PatientID, d.PatientPosition = NAME, "01", "HFS"
            d.SeriesDescription = d.ProtocolName = "dwi"
            d.StudyDate = d.SeriesDate = d.AcquisitionDate = "20261129"
            seconds = v * REPETITION_TIME / 1000
            d.StudyTime = d.SeriesTime = "120000"
            d.AcquisitionTime = f"12{int(seconds // 60):02d}{seconds % 60:09.6f}"
            d.SeriesNumber, d.AcquisitionNumber, d.InstanceNumber = 2, v + 1, number
            d.EchoTime, d.RepetitionTime, d.MRAcquisitionType = ECHO_TIME, REPETITION_TIME, "2D"
            d.ScanningSequence, d.SequenceVariant, d.MagneticFieldStrength = "EP", "NONE", 3.0
            d.InPlanePhaseEncodingDirection = "COL"
            place = origin + axes[:, 2] * z
            d.ImagePositionPatient = [float(x) for x in place.round(4)]
            d.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
            d.PixelSpacing = [float(size[1]), float(size[0])]
            d.SliceThickness = d.SpacingBetweenSlices = float(size[2])
            d.SliceLocation = float(place[2])
            d.DiffusionBValue = float(scan.gradients.bvals[v])
            if scan.gradients.bvals[v] > 0:
                d.DiffusionDirectionality = "DIRECTIONAL"
                d.DiffusionGradientOrientation = [float(x) for x in directions[v]]
            else:
                d.DiffusionDirectionality = "NONE"
            d.Rows, d.Columns = data.shape[1], data.shape[0]
            d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
            d.BitsAllocated = d.BitsStored = 16
            d.HighBit, d.PixelRepresentation = 15, 0
            d.PixelData = data[:, :, z, v].T.round().clip(0, 65535).astype("<u2").tobytes()
            d.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)
    return scan.data.shape[2] * scan.data.shape[3]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("series", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--maker", default="TOSHIBA", help="whose dialect the headers are in")
    asked = parser.parse_args()
    print(write(load(asked.series), asked.folder, asked.maker), "files in", asked.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
