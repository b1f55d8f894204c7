"""A file whose contents are elsewhere is named, with the command that fetches them."""

import os
from pathlib import Path

import pytest

from dwiser.errors import Code
from dwiser.io import about
from dwiser.io.about import check_contents
from tests.refusals import refused

KEY = "MD5E-s7--3b0d1d4c57211701b559f5e7649681de.bval"
OBJECT = f".git/annex/objects/P1/6x/{KEY}/{KEY}"


def opened(path: Path) -> None:
    with about(path):
        check_contents(path)
        path.open("rb").close()


@pytest.mark.parametrize(
    "text", [f"/annex/objects/{KEY}\n", f"../../{OBJECT}", f"../.git/modules/raw/{OBJECT[5:]}"]
)
def test_a_text_in_place_of_the_contents_is_a_pointer(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a b" / "dwi.bval"
    path.parent.mkdir()
    path.write_text(text)
    with refused(Code.FILE_NOT_FETCHED, path, f"`datalad -C '{path.parent}' get dwi.bval`"):
        opened(path)


@pytest.mark.parametrize("text", ["", "0 1000", "annex/objects/", "see /annex/objects/x", "../"])
def test_any_other_text_is_not(tmp_path: Path, text: str) -> None:
    (tmp_path / "dwi.bval").write_text(text)
    opened(tmp_path / "dwi.bval")


def test_a_file_in_the_working_directory_needs_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dwi.bval").symlink_to(OBJECT)
    with refused(Code.FILE_NOT_FETCHED, "dwi.bval: ", "`datalad get dwi.bval`"):
        opened(Path("dwi.bval"))


def test_a_link_into_a_dataset_leads_to_the_datasets_own(tmp_path: Path) -> None:
    home = tmp_path / "study" / "dwi"
    home.mkdir(parents=True)
    (home / "one.bval").symlink_to(f"../{OBJECT}")
    (tmp_path / "mine.bval").symlink_to(home / "one.bval")
    with refused(Code.FILE_NOT_FETCHED, tmp_path / "mine.bval", f"-C {home} get one.bval`"):
        opened(tmp_path / "mine.bval")


def test_any_other_link_to_nothing_says_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "dwi.bval").symlink_to("gone/dwi.bval")
    with refused(Code.FILE_NOT_FETCHED, tmp_path / "dwi.bval", tmp_path / "gone/dwi.bval"):
        opened(tmp_path / "dwi.bval")
    (tmp_path / "loop").symlink_to("loop")
    with refused(Code.FILE_NOT_FETCHED, tmp_path / "loop", "link"):
        opened(tmp_path / "loop")


def test_an_error_of_a_reader_that_did_not_look_before_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "dwi.bval").symlink_to(OBJECT)
    with (
        refused(Code.FILE_NOT_FETCHED, tmp_path / "dwi.bval", "git-annex"),
        about(tmp_path / "dwi.bval"),
    ):
        (tmp_path / "dwi.bval").open("rb")
    with refused(Code.FILE_MISSING, tmp_path / "dwi.bvec"), about(tmp_path / "dwi.bvec"):
        (tmp_path / "dwi.bvec").open("rb")


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dwi.bval")
    with refused(Code.FILE_KIND, tmp_path / "dwi.bval", "no regular file"):
        opened(tmp_path / "dwi.bval")


def test_a_file_is_named_once(tmp_path: Path) -> None:
    """Readers name their file, and are called inside readers that do."""
    path = tmp_path / "grad.b"
    with refused(Code.FILE_MISSING, path) as error, about(path), about(path):
        path.open("rb").close()
    assert str(error.value).count("grad.b") == 1
