"""Cut dwiser's packaged scan from the example that comes with nlsam 1.0.

    python -m scripts.cut_sample [EXAMPLE_FOLDER]

Without a folder, pip fetches nlsam's source distribution. Running it again writes the same
bytes (given the same zlib).
"""

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

SAMPLE = Path(__file__).parents[1] / "src" / "dwiser" / "data" / "sample"
SOURCE = "nlsam==1.0"
SHA256 = "309927deb52e06c4f85fd70ca1d08423165f79bf02d67f875aae55d549c0596b"
# Left hemisphere and midline: corpus callosum from genu to splenium, lateral ventricles,
# internal capsule, cingulum, lateral cortex, and skull and air at the left edge.
BOX = (slice(40, 108), slice(70, 134), slice(38, 58))
NAMES = {"bvals": "dwi.bval", "bvecs": "dwi.bvec"}
NIFTI_HEADER = 348  # bytes
NO_EXTENSION = bytes(4)


def fetch(folder: Path) -> Path:
    """Have pip unpack the source distribution in ``folder``; its example's folder."""
    command = [sys.executable, "-m", "pip", "download", "--no-clean", "--no-deps"]
    command += ["--no-build-isolation", "--no-binary", ":all:", SOURCE, "-d", str(folder)]
    # pip cannot build this package's metadata and fails, having unpacked it all the same.
    done = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True
    )
    folders = list(folder.glob("pip-download-*/nlsam_*/example"))
    if not folders:
        raise SystemExit(f"pip did not unpack {SOURCE}:\n{done.stderr}")
    return folders[0]


def cut(image: bytes) -> bytes:
    """Crop an uncompressed NIfTI: raw values, scaling and the rest of the header stay."""
    header = Nifti1Header.from_fileobj(io.BytesIO(image), check=False)
    shape = header.get_data_shape()
    raw = np.frombuffer(image, header.get_data_dtype(), np.prod(shape), header.get_data_offset())
    crop = raw.reshape(shape, order="F")[BOX]
    header["dim"][1:4] = crop.shape[:3]
    start = np.array([s.start for s in BOX] + [1])
    qoffset, soffset = header.get_qform() @ start, header.get_sform() @ start
    for axis, name in enumerate("xyz"):
        header[f"qoffset_{name}"] = qoffset[axis]
        header[f"srow_{name}"][3] = soffset[axis]
    header["vox_offset"] = NIFTI_HEADER + len(NO_EXTENSION)
    return header.binaryblock + NO_EXTENSION + crop.tobytes(order="F")


def compress(content: bytes) -> bytes:
    """gzip without a time or a name in it."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("example", nargs="?", type=Path, help="nlsam's unpacked example folder")
    asked = parser.parse_args().example
    with tempfile.TemporaryDirectory() as folder:
        example = asked or fetch(Path(folder))
        image = (example / "dwi.nii.gz").read_bytes()
        if hashlib.sha256(image).hexdigest() != SHA256:
            raise SystemExit(f"{example / 'dwi.nii.gz'} is not the scan of {SOURCE}.")
        SAMPLE.mkdir(parents=True, exist_ok=True)
        packed = compress(cut(gzip.decompress(image)))
        (SAMPLE / "dwi.nii.gz").write_bytes(packed)
        for theirs, ours in NAMES.items():
            (SAMPLE / ours).write_bytes((example / theirs).read_bytes())
    print(f"{SAMPLE / 'dwi.nii.gz'}: {len(packed) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
