"""Nothing that a user gives is ever unpickled: a pickle may run any code."""

import ast
import gzip
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import dwiser
from dwiser.errors import DwiserWarning, InputError
from dwiser.io import save
from dwiser.run import Request, denoise_file

SOURCES = sorted(Path(dwiser.__file__).parent.rglob("*.py"))
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}


def names_of(node: ast.AST) -> set[str]:
    """The modules that a statement imports, by their first name."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").split(".")[0]}
    return set()


def test_no_source_imports_an_unpickler_or_allows_one() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not names_of(node) & UNPICKLERS, path
            if isinstance(node, ast.keyword):
                value = getattr(node.value, "value", None)
                assert (node.arg, value) not in {("allow_pickle", True), ("weights_only", False)}, (
                    path
                )
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "torch.load",
                "joblib.load",
            ):
                keywords = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
                assert keywords.get("weights_only") is True, path


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.place),)


def charges(place: Path) -> dict[str, bytes]:
    """A bomb as a pickle, in NumPy's format, and compressed."""
    array = io.BytesIO()
    np.save(array, np.array([Bomb(place)], object), allow_pickle=True)
    plain = pickle.dumps(Bomb(place))
    return {"pickle": plain, "npy": array.getvalue(), "gzip": gzip.compress(plain)}


def test_the_bomb_goes_off_where_it_is_unpickled(tmp_path) -> None:
    pickle.loads(charges(tmp_path / "gone")["pickle"])
    assert (tmp_path / "gone").exists()


@pytest.mark.parametrize("charge", ["pickle", "npy", "gzip"])
@pytest.mark.parametrize(
    "place", ["dwi.nii", "dwi.nii.gz", "dwi.bval", "dwi.bvec", "dwi.json", "mask.nii"]
)
@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
def test_no_input_is_unpickled(tmp_path, crop, place, charge) -> None:
    gone, dwi = tmp_path / "gone", tmp_path / ("dwi.nii" if place != "dwi.nii.gz" else place)
    save(crop.data, dwi, crop)
    (tmp_path / place).write_bytes(charges(gone)[charge])
    mask = tmp_path / place if place.startswith("mask") else None
    request = Request(dwi, tmp_path / "out.nii.gz", mask=mask, method="identity", threads=1)
    if place == "dwi.json":
        with pytest.warns(DwiserWarning, match="its acquisition fields are not carried over"):
            denoise_file(request)
    else:
        with pytest.raises(InputError, match=place) as caught:
            denoise_file(request)
        assert caught.value.code.startswith("gradients." if ".bv" in place else "image.")
    assert not gone.exists()
