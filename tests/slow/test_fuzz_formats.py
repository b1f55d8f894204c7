"""Damaged headers of MRtrix and NRRD images: read and written again, or refused in one sentence."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dwiser.errors import DwiserError
from dwiser.io import load, save_volume
from tests.unit.io import test_mif, test_nrrd
from tests.unit.io.conftest import Small

CASES = 1000
WORDS = (b"-", b"1e400", b"nan", b"inf", b"\n", b"0", b"99999999999", b":", b",", b"\xff", b"END\n")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def damaged(content: bytes, header: int, chance: random.Random) -> bytes:
    """A byte, a word, a line or the end of it is lost, moved, new or another."""
    harmed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2))):
        if len(harmed) < 2:
            break
        place, what = chance.randrange(min(header, len(harmed))), chance.randrange(5)
        if what == 0:
            harmed[place] = chance.randrange(256)
        elif what == 1:
            del harmed[place : place + chance.randrange(1, 20)]
        elif what == 2:
            harmed[place:place] = chance.choice(WORDS)
        elif what == 3:
            del harmed[chance.randrange(1, len(harmed)) :]
        else:
            lines = bytes(harmed).split(b"\n", 20)
            line = lines.pop(chance.randrange(len(lines)))
            if chance.random() < 0.5:
                lines.insert(chance.randrange(len(lines) + 1), line)
            harmed = bytearray(b"\n".join(lines))
    return bytes(harmed)


@pytest.mark.parametrize("name", ["dwi.mif", "dwi.nrrd"])
def test_any_damage(tmp_path: Path, name: str) -> None:
    small = Small(tmp_path)
    if name == "dwi.mif":
        whole, end = test_mif.mif(small), b"END\n"
    else:
        whole = test_nrrd.written(small, test_nrrd.header(small)).read_bytes()
        end = b"\n\n"
    ends: Counter[str] = Counter()
    for case in range(CASES):
        content = damaged(whole, whole.index(end) + len(end), random.Random(case))
        small.path(name).write_bytes(content)
        sentence = None
        try:
            scan = load(small.path(name))
        except DwiserError as error:
            sentence = str(error)
        except BaseException as error:
            error.add_note(f"case {case}")
            raise
        if sentence is not None:
            assert "\n" not in sentence
            assert sentence.endswith((".", "?")), f"case {case}: {sentence}"
            ends["refused"] += 1
            continue
        save_volume(scan.data, small.path(f"o{name[3:]}"), like=scan)
        again = load(small.path(f"o{name[3:]}"))
        np.testing.assert_array_equal(again.data, scan.data)
        np.testing.assert_allclose(again.affine, scan.affine, rtol=1e-9, atol=1e-9)
        ends["read"] += 1
    assert min(ends.values()) > CASES // 20, ends
