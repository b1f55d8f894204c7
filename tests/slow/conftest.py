"""Scans on disk, written well and then damaged: one seed, one damage."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
SHAPES = ((6, 5, 4, 9), (5, 6, 1, 8), (1, 1, 3, 7), (7, 7, 3, 2), (4, 4, 4, 24))
NASTY = (0, -1, 1, 2, 7, 127, -128, 255, 32767, -32768, 65535, 1e-30, 1e-9, 1e9, 3e38, -3e38)
NUMBERS = (*NASTY, float("nan"), float("inf"), float("-inf"))
TOKENS = (
    *("nan", "-inf", "1e400", "-1000", "0", "1e-320", "0x10", "1_000", "1,000", "٣", "…", "\0"),
    *("1000.0000001", "99999999999", "", "\t", "\n", "\r\n", "\v", "\f", "b", "1.2.3", "--", "+5"),
)
BYTES = (b"\xff\xfe", b"\xef\xbb\xbf", b"\x00" * 9, b"\x80\x03]q\x00.", b"\x1f\x8b", b"#", b"%")


@dataclass
class Damage:
    """A folder with a scan, and the generator that damages it."""

    folder: Path
    rng: np.random.Generator

    def pick(self, some: tuple) -> object:
        return some[int(self.rng.integers(len(some)))]

    def scan(self) -> Path:
        """A sound scan of any kind, with its table, and half of the time a mask or a sidecar."""
        rng, shape = self.rng, self.pick(SHAPES)
        kind = (nib.Nifti1Image, nib.Nifti2Image)[int(rng.integers(2))]
        dtype, ends = str(self.pick(DTYPES)), "<>"[int(rng.integers(2))]
        header = kind.header_class(endianness=ends)
        header.set_data_dtype(np.dtype(dtype).newbyteorder(ends))
        signal = rng.uniform(20, 100, shape[:3])[..., None] * rng.uniform(0.5, 1, shape[3])
        image = kind(np.abs(signal + rng.normal(0, 3, shape)).astype(dtype), None, header)
        image.set_sform(np.diag([-2, 2, 2.5, 1.0]), int(rng.integers(3)))
        image.set_qform(np.diag([-2, 2, 2.5, 1.0]), int(rng.integers(3)))
        image.header.set_slope_inter(*((1, 0), (0.5, 0), (2.5, 3))[int(rng.integers(3))])
        name = ("dwi.nii", "dwi.nii.gz")[int(rng.integers(2))]
        image.to_filename(self.folder / name)
        bvals = np.where(rng.random(shape[3]) < 0.2, 0, 1000)
        bvecs = rng.normal(size=(3, shape[3]))
        bvecs /= np.linalg.norm(bvecs, axis=0)
        np.savetxt(self.folder / "dwi.bval", bvals[None], fmt="%g")
        np.savetxt(self.folder / "dwi.bvec", bvecs, fmt="%.6f")
        if rng.random() < 0.3:
            (self.folder / "dwi.json").write_text('{"EchoTime": 0.09, "Manufacturer": "x"}')
        return self.folder / name

    def harm(self, dwi: Path) -> str:
        """Damage one to three things; what was done, in words."""
        ways = (self.fields, self.fields, self.bytes, self.raw, self.tokens, self.tokens, self.text)
        return ", ".join(str(self.pick(ways)(dwi)) for _ in range(int(self.rng.integers(1, 4))))

    def fields(self, dwi: Path) -> str:
        """Set a header field to what it should not hold."""

        def change(content: bytearray) -> str:
            kind = nib.Nifti2Header if content[:1] in b"\x1c\x00" and len(content) > 540 else None
            known = (kind or nib.Nifti1Header).template_dtype
            if content[:4] in (b"\x00\x00\x01\x5c", b"\x00\x00\x02\x1c"):
                known = known.newbyteorder(">")
            if len(content) < known.itemsize:
                return "nothing"
            header = np.frombuffer(content, known, 1)
            name = str(self.pick(known.names))
            value = header[name][0]
            if header[name].dtype.kind == "S":
                header[name][0] = bytes(self.rng.integers(0, 256, 8).tolist())
                return name
            new = float(self.pick(NUMBERS)) * (1 if self.rng.random() < 0.7 else self.rng.random())
            with np.errstate(all="ignore"):
                new = np.array(new if np.isfinite(new) or value.dtype.kind == "f" else 9).astype(
                    value.dtype
                )
            if value.ndim:
                value[int(self.rng.integers(value.size))] = new
            else:
                header[name][0] = new
            return f"{name}={new}"

        return self._inside(dwi, change)

    def bytes(self, dwi: Path) -> str:
        """Random bytes in the header."""

        def change(content: bytearray) -> str:
            for _ in range(int(self.rng.integers(1, 9))):
                place = int(self.rng.integers(min(len(content), 560)))
                content[place] = int(self.rng.integers(256))
            return "header bytes"

        return self._inside(dwi, change)

    def raw(self, dwi: Path) -> str:
        """Damage the file as it lies there, compressed or not: bytes, a cut, a tail."""
        content = bytearray(dwi.read_bytes())
        way = int(self.rng.integers(3))
        if way == 0 and content:
            for _ in range(int(self.rng.integers(1, 5))):
                content[int(self.rng.integers(len(content)))] = int(self.rng.integers(256))
        elif way == 1:
            del content[int(self.rng.integers(len(content) + 1)) :]
        else:
            content += self.rng.bytes(int(self.rng.integers(1, 200)))
        dwi.write_bytes(bytes(content))
        return f"file {('bytes', 'cut', 'tail')[way]}"

    def tokens(self, dwi: Path) -> str:
        """Replace, drop, add or scale a number of a table."""
        path = dwi.with_name(("dwi.bval", "dwi.bvec")[int(self.rng.integers(2))])
        lines = [line.split(" ") for line in path.read_text("utf-8", "replace").split("\n")]
        row = lines[int(self.rng.integers(len(lines)))]
        place, way = int(self.rng.integers(len(row))), int(self.rng.integers(4))
        token = str(self.pick(TOKENS))
        if way == 0:
            row[place] = token
        elif way == 1:
            del row[place]
        elif way == 2:
            row.insert(place, token)
        else:
            row[:] = [part + str(self.pick(("0", "e9", "e-9", ""))) for part in row]
        path.write_bytes("\n".join(" ".join(line) for line in lines).encode())
        return f"{path.name} {('replaced', 'dropped', 'added', 'scaled')[way]} {token!r}"

    def text(self, dwi: Path) -> str:
        """Damage a table or the sidecar as a whole."""
        path = dwi.with_name(("dwi.bval", "dwi.bvec", "dwi.json")[int(self.rng.integers(3))])
        old = path.read_bytes() if path.exists() else b"{}"
        new = (
            *(b"", b"{}", b"\n \n", b"[" * 100_000, old[::-1], old * 2),
            *(old.replace(b" ", b"\n"), old.replace(b" ", b",")),
            *(junk + old for junk in BYTES),
            old.decode("utf-8", "replace").encode("utf-16"),
        )
        path.write_bytes(new[int(self.rng.integers(len(new)))])
        return f"{path.name} as a whole"

    def _inside(self, dwi: Path, change: Callable[[bytearray], str]) -> str:
        """Change what a file holds; a damaged .gz stays as it is."""
        zipped = dwi.name.endswith(".gz")
        try:
            content = bytearray(gzip.decompress(dwi.read_bytes()) if zipped else dwi.read_bytes())
        except Exception:
            return "nothing"
        if not content:
            return "nothing"
        told = change(content)
        dwi.write_bytes(gzip.compress(bytes(content), 1, mtime=0) if zipped else bytes(content))
        return told


@pytest.fixture
def damage(tmp_path: Path) -> Callable[[int], Damage]:
    """A fresh folder and generator for a case's number."""

    def begin(case: int) -> Damage:
        folder = tmp_path / f"{case}"
        folder.mkdir()
        return Damage(folder, np.random.default_rng([7, case]))

    return begin
