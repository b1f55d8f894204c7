"""How a file is compressed, from its first bytes: its name may say otherwise."""

from pathlib import Path

from dwiser.errors import Code, InputError
from dwiser.io.gz import unzipped
from dwiser.io.names import ending

HEADER_START = 4  # bytes: NIfTI's first field is the size of its header
HEADER_SIZES = (348, 540)  # NIfTI-1 and NIfTI-2
GZIP = b"\x1f\x8b"
OTHERS = {  # a file's first bytes: the format, what unpacks it
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zX": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"PK\x03\x04": ("zip", "unzip"),
}


def check_packing(path: Path, start: bytes) -> None:
    """Refuse a file that is not compressed as its name says.

    Parameters
    ----------
    path : of a NIfTI image.
    start : its first four bytes.

    Raises
    ------
    InputError
        With the new name, or the program that unpacks it.
    """
    named_gz = ending(path).lower() == ".nii.gz"
    for magic, (kind, program) in OTHERS.items():
        if start.startswith(magic):
            raise InputError(
                f"It is compressed by {kind}: unpack it by {program}, or convert it to .nii.gz.",
                code=Code.IMAGE_FORMAT,
            )
    zipped = start.startswith(GZIP)
    if zipped and not named_gz:
        raise InputError("It is gzip-compressed: name it .nii.gz.", code=Code.IMAGE_FORMAT)
    if named_gz and not zipped:
        plain = path.name[: -len(".gz")]
        remedy = f"name it {plain}" if _is_header(start) else "give a NIfTI image"
        raise InputError(
            f"It is not gzip-compressed as a .nii.gz must be: {remedy}.", code=Code.IMAGE_FORMAT
        )
    if zipped and _inside(path).startswith(GZIP):
        raise InputError(
            "It is gzip-compressed twice: unpack it once by gunzip, and name that .nii.gz again.",
            code=Code.IMAGE_FORMAT,
        )


def _is_header(start: bytes) -> bool:
    sizes = int.from_bytes(start, "little"), int.from_bytes(start, "big")
    return any(size in HEADER_SIZES for size in sizes)


def _inside(path: Path) -> bytes:
    """The first bytes of what is compressed; none of a damaged file."""
    try:
        with unzipped(path) as file:
            return file.read(HEADER_START)
    except Exception:  # gzip and zlib each have their own
        return b""
