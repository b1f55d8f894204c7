"""One sentence for whatever is wrong with a JSON file; what is certain is read."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwiser.errors import Code, InputError
from dwiser.io import read_object, sidecar
from dwiser.io.json_file import DEEPEST
from tests.refusals import refused

FIELDS = {"InstitutionName": "Hôpital", "EchoTime": 0.09}
TEXT = json.dumps(FIELDS, ensure_ascii=False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_an_encoding_that_is_certain_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "dwi.json").write_bytes(TEXT.encode(encoding))
    assert read_object(tmp_path / "dwi.json") == FIELDS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TEXT.encode("latin-1"), "line 1 is not UTF-8 (byte 0xF4"),
        (b'{\n "A": "\x93"}', "line 2 is not UTF-8 (byte 0x93"),
        (b'{"A": 1,}', "line 1 has a comma with nothing after it"),
        (b'{"A": [1,\n2,\n\n]}', "line 2 has a comma with nothing after it"),
        (b'{"A": [1,,2]}', "line 1 is no JSON at ',2]}'"),
        (b'{"A": 1\n"B": 2}', "line 2 is no JSON at"),
        (b'{"A": nan}', "line 1 is no JSON at 'nan}'"),
        (b'{"A": 1} {"B": 2}', "line 1 is no JSON at"),
        (b'{\n"A": "one\ntwo"}', "line 2 has a line break"),
        (b'{"A": 1', "it ends in the middle"),
        (b'{"A": "', "it ends in the middle"),
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"[1, 2]", "it holds a list and no JSON object"),
        (b"null", "it holds null and no JSON object"),
        (b'"A"', "it holds a text and no JSON object"),
        (b"3", "it holds a number and no JSON object"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "it is no text"),
        (b"\xff\xfe\0", "it is no text"),
        (b"[" * 100_000, "its lists and objects are nested too deeply"),
        (b'{"A": ' + b"[" * 600 + b"]" * 600 + b"}", "its lists and objects are nested too deeply"),
        (b'{"A": ' + b"9" * 5000 + b"}", "it has a number with thousands of digits"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "dwi.json"
    path.write_bytes(content)
    with refused(Code.SIDECAR_FORMAT, f"{path}: {words}"):
        read_object(path)


def test_what_is_read_can_be_written_again(tmp_path: Path) -> None:
    path, deep = tmp_path / "dwi.json", DEEPEST - 1
    path.write_text('{"A": ' + "[" * deep + "]" * deep + "}")
    assert json.loads(sidecar(read_object(path))) == read_object(path)
    path.write_text('{"A": ' + "[" * (deep + 1) + "]" * (deep + 1) + "}")
    with refused(Code.SIDECAR_FORMAT, "nested too deeply"):
        read_object(path)


def test_what_is_no_file_is_refused_as_elsewhere(tmp_path: Path) -> None:
    with refused(Code.FILE_MISSING, tmp_path / "dwi.json"):
        read_object(tmp_path / "dwi.json")
    (tmp_path / "dwi.json").symlink_to("nowhere.json")
    with refused(Code.FILE_NOT_FETCHED, tmp_path / "dwi.json"):
        read_object(tmp_path / "dwi.json")
    with refused(Code.FILE_KIND, tmp_path, "this is a folder"):
        read_object(tmp_path)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_an_object_or_one_sentence(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    try:
        assert isinstance(read_object(path), dict)
    except InputError as error:
        sentence = str(error)
        assert sentence.startswith(f"{path}: ")
        assert sentence.endswith(".")
        assert len(sentence.splitlines()) == 1
