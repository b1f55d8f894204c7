"""Weights on disk: the same bits back, a hash that is checked, nothing that could run."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dwiser
from dwiser.errors import Code
from dwiser.io import read_tensors, tensor_bytes, write_tensors
from tests.refusals import refused

TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not contiguous
    "b": np.array(2.5, np.float32),
    "n": np.array([3], np.int64),
}
METADATA = {"kind": "weights", "loss": 0.1 + 0.2, "none": None, "ü": "ψ"}


def test_what_is_written_comes_back_bit_for_bit(tmp_path: Path) -> None:
    write_tensors(tmp_path / "w.safetensors", TENSORS, METADATA)
    tensors, metadata = read_tensors(tmp_path / "w.safetensors")
    assert metadata == METADATA
    assert set(tensors) == set(TENSORS)
    for name, array in TENSORS.items():
        assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(tensors[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_one_changed_bit_is_found(tmp_path: Path) -> None:
    content = bytearray(tensor_bytes(TENSORS, METADATA))
    content[-1] ^= 1
    path = tmp_path / "w.safetensors"
    path.write_bytes(bytes(content))
    with refused(Code.WEIGHTS_INVALID, "w.safetensors: ", "match its hash", "create it again"):
        read_tensors(path)


def other_programs(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2, np.float32)}, path)


NO_WEIGHTS = Code.WEIGHTS_INVALID, ("no safetensors file", "create it again")


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda p: None, Code.FILE_MISSING, ("there is no such file", "check the name")),
        (lambda p: p.write_bytes(b""), *NO_WEIGHTS),
        (lambda p: p.write_text("hello" * 99), *NO_WEIGHTS),
        (lambda p: p.write_bytes(tensor_bytes(TENSORS, METADATA)[:-3]), *NO_WEIGHTS),
        (lambda p: p.write_bytes(pickle.dumps(Evil())), *NO_WEIGHTS),
        (other_programs, Code.WEIGHTS_INVALID, ("not dwiser's", "--save-weights")),
    ],
)
def test_anything_else_is_refused(tmp_path, monkeypatch, make, code, says) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "w.safetensors")
    with refused(code, "w.safetensors: ", *says):
        read_tensors(tmp_path / "w.safetensors")
    assert not (tmp_path / "ran").exists()


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "w.safetensors"
    write_tensors(path, TENSORS, {"old": True})

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_tensors(path, TENSORS, {"old": False})
    assert read_tensors(path)[1] == {"old": True}
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_no_code_of_ours_loads_a_pickle() -> None:
    """Neither by name, nor while a weights file is read: unpickling is made to fail."""
    home = Path(dwiser.__file__).parent
    forbidden = ("pickle", "torch.load", "allow_pickle=True", "joblib.load", "marshal", "shelve")
    for file in home.rglob("*.py"):
        text = file.read_text()
        used = [word for word in forbidden if word in text.replace("No pickle is read", "")]
        assert not used, (file, used)


def test_reading_weights_never_unpickles(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_tensors(path, TENSORS, METADATA)
    script = (
        "import dwiser, pickle, _pickle\n"
        "from dwiser.io import read_tensors\n"
        "def no(*a, **k): raise SystemExit('unpickled')\n"
        "pickle.load = pickle.loads = _pickle.load = _pickle.loads = no\n"
        f"print(sorted(read_tensors({str(path)!r})[0]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "['a', 'b', 'n']", done.stderr
