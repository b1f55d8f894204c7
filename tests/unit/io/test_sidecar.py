"""The sidecar is strict JSON of plain values."""

import hashlib
import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwiser.errors import DwiserWarning
from dwiser.io import carried_over, sha256, sidecar


@dataclass(frozen=True)
class Settings:
    steps: tuple[int, ...] = (300, 290)
    rate: float = 1e-4
    where: Path = Path("a/b")


class Stop(Enum):
    NOISE = "noise"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.longdouble(2), 2.0),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.0, np.nan, -np.inf]), [1.0, None, None]),
        (float("nan"), None),
        (None, None),
        (Path("x.nii"), "x.nii"),
        (Stop.NOISE, "noise"),
        ({3, 1, 2}, [1, 2, 3]),
        (Settings(), {"steps": [300, 290], "rate": 1e-4, "where": "a/b"}),
        ({0: {"σ": (1, 2)}}, {"0": {"σ": [1, 2]}}),
        (1 + 2j, "(1+2j)"),
        (np.complex64(2j), "2j"),
    ],
)
def test_everything_becomes_plain(value, plain):
    assert json.loads(sidecar({"value": value})) == {"value": plain}


def test_keys_keep_their_order_and_letters_theirs():
    text = sidecar({"z": 1, "a": "σ²", "m": 2})
    assert list(json.loads(text)) == ["z", "a", "m"]
    assert "σ²" in text
    assert text.startswith('{\n  "z": 1,\n')


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(), plain_values))
def test_plain_records_come_back(record):
    assert json.loads(sidecar(record)) == record


def test_acquisition_fields_are_carried_over(tmp_path):
    image = tmp_path / "dwi.nii.gz"
    assert carried_over(image) == {}
    (tmp_path / "dwi.json").write_text(
        '\ufeff{"EchoTime": 0.09, "PhaseEncodingDirection": "j-"}', "utf-8"
    )
    assert carried_over(image) == {"EchoTime": 0.09, "PhaseEncodingDirection": "j-"}


@pytest.mark.parametrize("content", [b"{", b"", b"[1, 2]", b"\xff\xfe\x00", b"[" * 100_000])
def test_an_unreadable_sidecar_is_a_warning(tmp_path, content):
    (tmp_path / "dwi.json").write_bytes(content)
    with pytest.warns(DwiserWarning, match=r"dwi\.json.*not carried over\.$"):
        assert carried_over(tmp_path / "dwi.nii") == {}


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 10_000)
    assert sha256(tmp_path / "x") == hashlib.sha256(b"abc" * 10_000).hexdigest()


def test_the_nearest_of_several_sidecars_wins(tmp_path):
    (tmp_path / "dwi.json").write_text('{"EchoTime": 3}')
    (tmp_path / "top.json").write_text('{"EchoTime": 1, "FlipAngle": 90}')
    (tmp_path / "near.json").write_text('{"EchoTime": 2, "FlipAngle": 80}')
    above = [tmp_path / "top.json", tmp_path / "near.json"]
    assert carried_over(tmp_path / "dwi.nii", above) == {"EchoTime": 3, "FlipAngle": 80}
    (tmp_path / "near.json").write_text("{")
    with pytest.warns(DwiserWarning, match=r"near\.json: it ends in the middle"):
        assert carried_over(tmp_path / "dwi.nii", above) == {"EchoTime": 3, "FlipAngle": 90}


def test_half_of_a_surrogate_pair_becomes_text_that_can_be_written():
    text = sidecar({"a\udcfc": "M\udcfcller", "σ": "ü"})
    assert json.loads(text.encode()) == {"a\\udcfc": "M\\udcfcller", "σ": "ü"}
