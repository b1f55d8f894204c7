"""A simulated set is written whole or not at all, and never beside what is left of another."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.errors import Code, DwiserError
from dwiser.io import truth as module
from dwiser.io.truth import SimulatedScan, all_paths, check_folder, save_simulated
from dwiser.scan import Gradients
from tests.refusals import refused

SHAPE = (4, 5, 3)


@pytest.fixture
def tiny() -> SimulatedScan:
    rng = np.random.default_rng(0)
    table = Gradients(np.array([0.0, 1000.0]), np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    affine = np.diag([-2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = 4, -5, 6
    data = rng.uniform(1, 9, (*SHAPE, 2)).astype(np.float32)
    return SimulatedScan(data, affine, table)


def maps() -> dict[str, np.ndarray]:
    return {"truth": np.ones((*SHAPE, 2), np.float32), "mask": np.ones(SHAPE, bool)}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_folder_is_made_and_the_image_comes_last(tmp_path: Path, tiny: SimulatedScan) -> None:
    home = tmp_path / "a" / "b"
    written = save_simulated(tiny, home, maps(), record=lambda: {"x": 1}, lesions={"Lesions": []})
    assert written[-1] == home / "dwi.nii.gz"
    assert names(home) == {path.name for path in written}
    assert json.loads((home / "dwi.json").read_text()) == {"x": 1}
    assert json.loads((home / "lesions.json").read_text()) == {"Lesions": []}
    np.testing.assert_array_equal(nib.load(home / "dwi.nii.gz").get_fdata(), tiny.data)


def test_a_scan_without_a_header_gets_millimetres_and_scanner_coordinates(
    tmp_path: Path, tiny: SimulatedScan
) -> None:
    save_simulated(tiny, tmp_path, maps(), record=dict)
    for name in ("dwi", "mask"):
        header = nib.load(tmp_path / f"{name}.nii.gz").header
        assert header.get_xyzt_units()[0] == "mm"
        assert header["qform_code"] == header["sform_code"] == 1
        np.testing.assert_allclose(header.get_qform(), tiny.affine, atol=1e-5)
        np.testing.assert_allclose(header.get_sform(), tiny.affine, atol=1e-5)
        np.testing.assert_allclose(header.get_zooms()[:3], (2, 2, 3))


def test_force_replaces_the_set_and_removes_what_the_new_one_has_not(
    tmp_path: Path, tiny: SimulatedScan
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "f_mine.nii.gz").write_text("mine")
    lesion = {"lesions": np.ones(SHAPE, np.int16), "f_lesion": np.ones(SHAPE, np.float32)}
    save_simulated(tiny, tmp_path, maps() | lesion, record=dict, lesions={})
    before = names(tmp_path)
    with refused(Code.OUTPUT_EXISTS, tmp_path, "--force"):
        save_simulated(tiny, tmp_path, maps(), record=dict)
    assert names(tmp_path) == before
    save_simulated(tiny, tmp_path, maps(), record=lambda: {"new": 1}, force=True)
    assert before - names(tmp_path) == {"lesions.nii.gz", "f_lesion.nii.gz", "lesions.json"}
    assert json.loads((tmp_path / "dwi.json").read_text()) == {"new": 1}


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize(
    ("failure", "shown"),
    [(OSError(28, "full"), DwiserError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_failure_leaves_everything_as_it_was(
    exists: bool,
    failure: BaseException,
    shown: type,
    tmp_path: Path,
    tiny: SimulatedScan,
    monkeypatch,
) -> None:
    home = tmp_path / "set" / "deep"
    if exists:
        save_simulated(tiny, home, maps(), record=lambda: {"old": 1})
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    real = module.save_volume

    def fail(data: np.ndarray, path: Path, like: SimulatedScan) -> None:
        if data is tiny.data:
            raise failure
        real(data, path, like)

    monkeypatch.setattr(module, "save_volume", fail)
    with pytest.raises(shown):
        save_simulated(tiny, home, maps(), record=lambda: {"new": 1}, force=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert (tmp_path / "set").exists() == exists


def test_any_file_of_a_set_stands_in_the_way(tmp_path: Path) -> None:
    for path in all_paths(tmp_path):
        path.write_text("mine")
        with refused(Code.OUTPUT_EXISTS, f"{path.name}: ", "--force"):
            check_folder(tmp_path)
        check_folder(tmp_path, force=True)
        with refused(Code.OUTPUT_IS_INPUT, f"{path.name}: ", "choose another name"):
            check_folder(tmp_path, inputs=[path], force=True)
        path.unlink()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below"):
        with refused(Code.FILE_KIND, tmp_path / name, "is not a folder", "give another name"):
            check_folder(tmp_path / name)
