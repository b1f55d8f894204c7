"""A pipe of MRtrix carries the name of a temporary image, which its reader removes."""

import io
from pathlib import Path

import numpy as np
import pytest

from dwiser.cli import main, pipes
from dwiser.cli.pipes import Pipes
from dwiser.errors import Code
from dwiser.io import load, save_volume
from dwiser.simulation import phantom
from tests.refusals import refused


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What MRtrix leaves for who reads the pipe."""
    monkeypatch.setenv("MRTRIX_TMPFILE_DIR", str(tmp_path))
    path = tmp_path / "mrtrix-tmp-abcdef.mif"
    scan = phantom(shape=(9, 8, 5), shells=((1000.0, 6),), n_b0=1, seed=1).scan
    save_volume(scan.data, path, like=scan)
    return path


def piped(monkeypatch: pytest.MonkeyPatch, text: object) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{text}\n"))


def test_denoise_reads_one_and_writes_one(temporary, monkeypatch, capsys) -> None:
    before = load(temporary)
    piped(monkeypatch, temporary)
    assert main(["denoise", "-", "-", "--method", "identity", "--threads", "1"]) == 0
    printed = capsys.readouterr()
    name = printed.out.strip()
    assert printed.out == f"{name}\n"  # all else would end in the next program's input
    assert "-: identity" in printed.err
    assert not temporary.exists()
    assert Path(name).parent == temporary.parent
    np.testing.assert_array_equal(load(name).data, before.data)
    assert [path.name for path in temporary.parent.iterdir()] == [Path(name).name]
    head = Path(name).read_bytes().partition(b"\nEND\n")[0]
    assert b"command_history: dwiser denoise - - --method identity" in head


def test_a_failure_leaves_nothing(temporary, monkeypatch, capsys) -> None:
    piped(monkeypatch, temporary)
    words = ["denoise", "-", "-", "--method", "identity", "--set", "steps=many"]
    assert main(words) == 2
    assert capsys.readouterr().out == ""
    assert not list(temporary.parent.iterdir())


def test_other_doors(temporary, tmp_path, monkeypatch, capsys) -> None:
    scan = load(temporary)
    dwi, mask = tmp_path / "dwi.mif", tmp_path / "mrtrix-tmp-mask00.mif"
    save_volume(scan.data, dwi, like=scan)
    save_volume(scan.data[..., 0] > 0, mask, like=scan)
    piped(monkeypatch, temporary)
    assert main(["info", "-", "--threads", "1"]) == 0
    assert not temporary.exists()
    piped(monkeypatch, mask)
    words = ["--mask", "-", "--method", "identity", "--threads", "1", "-q"]
    assert main(["denoise", str(dwi), str(tmp_path / "o.mif"), *words]) == 0
    assert not mask.exists()
    capsys.readouterr()
    piped(monkeypatch, dwi)  # an image of the user's own
    assert main(["denoise", "-", str(tmp_path / "p.mif"), *words[2:]]) == 0
    assert dwi.exists()


def test_no_name_and_no_image(tmp_path, monkeypatch) -> None:
    for text, code, says in (
        ("", Code.FILE_MISSING, "no name of an image came"),
        ("dwi.nii", Code.FILE_ENDING, "is not the name of a .mif"),
    ):
        piped(monkeypatch, text)
        with pytest.raises(Exception, match=says[3:]) as caught, Pipes() as opened:
            opened.input(Path("-"))
        assert caught.value.code is code
    monkeypatch.setattr("sys.stdin", None)
    with refused(Code.FILE_MISSING, "- stands for the image of an MRtrix command"), Pipes() as one:
        one.input(Path("-"))
    piped(monkeypatch, "mrtrix-tmp-a.mif")
    with refused(Code.ARGUMENT_CONFLICT, "- stands for two inputs"), Pipes() as two:
        two.input(Path("-"))
        two.input(Path("-"))


def test_the_prefix_is_that_of_the_environment(monkeypatch) -> None:
    assert pipes.is_temporary(Path("/x/mrtrix-tmp-a.mif"))
    monkeypatch.setenv("MRTRIX_TMPFILE_PREFIX", "mine-")
    assert pipes.is_temporary(Path("/x/mine-a.mif"))
    assert not pipes.is_temporary(Path("/x/mrtrix-tmp-a.mif"))
