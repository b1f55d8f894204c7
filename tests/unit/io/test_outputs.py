"""A set of outputs appears as a whole or not at all."""

import errno
import json
import os
import signal
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from dwiser.errors import Code, DwiserError, InputError
from dwiser.io import load, planned, read_bvecs, save, write_set
from tests.refusals import refused


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def text(content):
    return lambda path: path.write_text(content)


def failing(error):
    def write(path):
        path.write_text("half")
        raise error

    return write


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
        (OSError(errno.ENOSPC, "No space left on device"), DwiserError),
    ],
    ids=["Ctrl-C", "memory", "disk full"],
)
def test_a_failing_writer_leaves_the_folder_as_it_was(tmp_path, force, place, error, raised):
    paths = [tmp_path / name for name in ("o.json", "o.bval", "o.nii.gz")]
    if force:
        for path in paths:
            path.write_text("old " + path.name)
    before = snapshot(tmp_path)
    writers = {path: text("new") for path in paths}
    writers[paths[place]] = failing(error)
    with pytest.raises(raised) as caught:
        write_set(writers, force=force)
    assert snapshot(tmp_path) == before
    if raised is DwiserError:
        assert not isinstance(caught.value, InputError)
        assert paths[place].name in str(caught.value)
        assert "No space left" in str(caught.value)
        assert "make room" in str(caught.value)
        assert caught.value.code is Code.OUTPUT_NOT_WRITTEN


@pytest.mark.parametrize("existing", [(), ("o.json",), ("o.json", "o.bval", "o.nii")])
@pytest.mark.parametrize("fails_at", range(6))
def test_a_failing_rename_is_undone(tmp_path, monkeypatch, existing, fails_at):
    paths = [tmp_path / name for name in ("o.json", "o.bval", "o.nii")]
    for name in existing:
        (tmp_path / name).write_text("old " + name)
    before = snapshot(tmp_path)
    real, calls = Path.replace, []

    def replace(self, target):
        calls.append(self)
        if len(calls) == fails_at + 1:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write_set({path: text("new") for path in paths}, force=True)
    assert snapshot(tmp_path) == before


def test_the_image_appears_last_and_an_old_one_goes_first(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("o.json", "o.nii")]
    for path in paths:
        path.write_text("old")
    contents = []
    real = Path.replace

    def replace(self, target):
        result = real(self, target)
        contents.append(tuple(p.read_text() if p.exists() else None for p in paths))
        return result

    monkeypatch.setattr(Path, "replace", replace)
    write_set({path: text("new") for path in paths}, force=True)
    assert contents == [("old", None), (None, None), ("new", None), ("new", "new")]
    assert sorted(snapshot(tmp_path)) == ["o.json", "o.nii"]


def test_temporary_names_are_hidden_and_keep_the_ending(tmp_path):
    names = {}

    def note(key):
        def write(path):
            names[key] = path
            path.write_text("")

        return write

    outputs = [tmp_path / name for name in ("o.json", "a.b_sigma.nii.gz", "x" * 240 + ".nii")]
    write_set({path: note(path) for path in outputs})
    for path, temporary in names.items():
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".")
        assert temporary.name.endswith((".json", ".nii.gz", ".nii"))
        assert "".join(temporary.suffixes[-2:]) == "".join(Path(path.name[-9:]).suffixes)


def test_the_plan_names_the_whole_set(tmp_path):
    plan = planned(tmp_path / "o.nii.gz", None, tmp_path / "sigma.nii")
    names = ["o.json", "o.bval", "o.bvec", "sigma.nii", "o.nii.gz"]
    assert [path.name for path in plan] == names
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("existing", ["o.nii.gz", "o.json", "o.bval", "o.bvec", "sigma.nii.gz"])
def test_any_existing_file_is_refused_without_force(tmp_path, existing):
    (tmp_path / existing).write_text("precious")
    outputs = tmp_path / "o.nii.gz", tmp_path / "sigma.nii.gz"
    with refused(Code.OUTPUT_EXISTS, f"{existing}: ", "give another name, or --force."):
        planned(*outputs)
    assert planned(*outputs, force=True)


def test_a_dangling_link_counts_as_existing(tmp_path):
    (tmp_path / "o.nii").symlink_to(tmp_path / "nowhere")
    with refused(Code.OUTPUT_EXISTS, "o.nii: ", "--force"):
        planned(tmp_path / "o.nii")


@pytest.mark.parametrize("name", ["o", "o.nii.lz4", "o.txt"])
def test_an_output_is_nifti(tmp_path, name):
    for outputs in ((name, None), ("o.nii", name)):
        with refused(Code.FILE_ENDING, f"{name}: only NIfTI", ".nii or .nii.gz"):
            planned(*(tmp_path / output for output in outputs if output))


def test_folders(tmp_path, monkeypatch):
    with refused(Code.OUTPUT_FOLDER, "o.json: ", f"create {tmp_path / 'no'} first"):
        planned(tmp_path / "no" / "o.nii")
    (tmp_path / "o.json").mkdir()
    with refused(Code.FILE_KIND, "o.json: this is a folder", "give the name of a file"):
        planned(tmp_path / "o.nii", force=True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with refused(Code.OUTPUT_FOLDER, tmp_path / "p.", "may not be written: choose another"):
        planned(tmp_path / "p.nii")


def test_no_output_is_an_input_even_with_force(tmp_path):
    image, table = tmp_path / "dwi.nii.gz", tmp_path / "dwi.bval"
    image.write_text("x")
    table.write_text("x")
    (tmp_path / "link.nii.gz").symlink_to(image)
    os.link(image, tmp_path / "hard.nii.gz")
    for out in ("dwi.nii.gz", "link.nii.gz", "hard.nii.gz", "../" + tmp_path.name + "/dwi.nii.gz"):
        with refused(Code.OUTPUT_IS_INPUT, Path(out).name, "choose another name"):
            planned(tmp_path / out, inputs=[image], force=True)
    with refused(Code.OUTPUT_IS_INPUT, "dwi.bval: ", "choose another name"):
        planned(tmp_path / "dwi.nii", inputs=[image, table], force=True)


def test_no_two_outputs_are_one(tmp_path):
    (tmp_path / "x").mkdir()
    with refused(Code.OUTPUT_SAME_NAME, f"{tmp_path}", "o.", "give each its own"):
        planned(tmp_path / "o.nii", tmp_path / "x" / ".." / "o.nii")


def test_save_writes_what_load_reads(small):
    path = small.series()
    np.savetxt(small.path("dwi.bvec"), np.where(small.bvals[:, None] > 0, small.bvecs, np.nan))
    scan = load(path)
    sigma = np.full(small.shape[:3], 7.0)
    save(
        scan.data / 2,
        small.path("o.nii.gz"),
        scan,
        record={"sigma": np.float32(7), "voxels": scan.data.size},
        extras={small.path("s.nii"): sigma, small.path("m.nii.gz"): sigma > 1},
    )
    again = load(small.path("o.nii.gz"), mask=small.path("m.nii.gz"))
    np.testing.assert_array_equal(again.data, scan.data / 2)
    np.testing.assert_array_equal(again.affine, scan.affine)
    np.testing.assert_array_equal(again.gradients.bvecs, scan.gradients.bvecs)
    np.testing.assert_array_equal(
        read_bvecs(small.path("o.bvec")), read_bvecs(small.path("dwi.bvec"))
    )
    assert again.mask.all()
    assert json.loads(small.path("o.json").read_text()) == {"sigma": 7.0, "voxels": 480}
    np.testing.assert_array_equal(nib.load(small.path("s.nii")).get_fdata(), sigma)
    with refused(Code.OUTPUT_EXISTS, small.path("o."), "give another name, or --force"):
        save(scan.data, small.path("o.nii.gz"), scan)
    save(scan.data, small.path("o.nii.gz"), scan, force=True)
    np.testing.assert_array_equal(load(small.path("o.nii.gz")).data, scan.data)
    assert not [path for path in small.folder.iterdir() if path.name.startswith(".")]


def test_a_page_comes_with_the_set(tmp_path, crop):
    page = tmp_path / "o.html"
    save(crop.data, tmp_path / "o.nii.gz", crop, pages={page: "<p>σ</p>"})
    assert page.read_text(encoding="utf-8") == "<p>σ</p>"
    assert nib.load(tmp_path / "o.nii.gz").shape == crop.shape
    assert len(list(tmp_path.iterdir())) == 5
    with refused(Code.OUTPUT_EXISTS, "o.html: ", "--force"):
        save(crop.data, tmp_path / "other.nii.gz", crop, pages={page: "new"})
    assert page.read_text(encoding="utf-8") == "<p>σ</p>"


def test_a_page_has_a_pages_name(tmp_path):
    with refused(Code.FILE_ENDING, "o.nii.gz: ", "end its name in .html"):
        planned(tmp_path / "x.nii.gz", pages=[tmp_path / "o.nii.gz"])


KILLS = ("before", "in the image", "after the image", *(f"rename {n}" for n in range(7)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("moment", KILLS)
def test_killed_at_any_moment_an_image_is_whole_and_beside_its_own_companions(tmp_path, moment):
    image = tmp_path / "o.nii.gz"
    paths = [tmp_path / "o.json", tmp_path / "o.bval", image]
    for path in paths:
        path.write_text("old " * 100)
    pid = os.fork()
    if pid == 0:
        _killed(paths, moment)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == (signal.SIGKILL if moment in KILLS[:-1] else 0)
    contents = {path.name: path.read_text() for path in paths if path.exists()}
    assert set(contents.values()) <= {"old " * 100, "new " * 100}  # none is half-written
    if image.exists():
        assert len(contents) == 3
        assert len(set(contents.values())) == 1
    assert not [n for n in os.listdir(tmp_path) if n not in contents and n[0] != "."]


def _killed(paths, moment):
    """Write a set and die in the middle of it."""

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def write(path):
        is_image = path.name.endswith(".nii.gz")
        if moment == "before":
            die()
        with path.open("w") as file:
            file.write("new " * 50)
            file.flush()
            if moment == "in the image" and is_image:
                die()
            file.write("new " * 50)
        if moment == "after the image" and is_image:
            die()

    renames, real = iter(range(99)), Path.replace

    def replace(self, target):
        if moment == f"rename {next(renames)}":
            die()
        return real(self, target)

    Path.replace = replace
    write_set(dict.fromkeys(paths, write), force=True)
