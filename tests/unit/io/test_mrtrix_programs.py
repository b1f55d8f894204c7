"""MRtrix's own programs and dwiser read each other's images; tests/slow has every orientation."""

import shutil
import subprocess

import numpy as np
import pytest

from dwiser.io import load, read_on_grid, save, save_volume
from dwiser.io.scanner_axes import in_scanner_axes
from tests.unit.io.conftest import Small

pytestmark = pytest.mark.skipif(
    shutil.which("mrconvert") is None, reason="MRtrix3 is not on this machine"
)


def run(*words: object) -> str:
    done = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True)
    return done.stdout


def test_mrconvert_turns_the_table_as_dwiser_does(small: Small) -> None:
    series = small.series("dwi.nii")
    scan = load(series)
    theirs = small.path("theirs.mif")
    table = small.path("dwi.bvec"), small.path("dwi.bval")
    run("mrconvert", series, theirs, "-fslgrad", *table, "-strides", "3,-1,2,4", "-quiet")
    read = load(theirs)
    np.testing.assert_array_equal(read_on_grid(theirs, scan, "it", series=True), scan.data)
    turned = in_scanner_axes(read.gradients.bvecs, read.affine)
    expected = in_scanner_axes(scan.gradients.bvecs, scan.affine)
    np.testing.assert_allclose(turned, expected, atol=1e-9)
    save(read.data, small.path("ours.mif"), read, record={}, command="dwiser denoise a b")
    strides = run("mrinfo", small.path("ours.mif"), "-strides")
    assert strides == run("mrinfo", theirs, "-strides")
    scheme = run("mrinfo", small.path("ours.mif"), "-dwgrad")
    assert scheme == run("mrinfo", theirs, "-dwgrad")
    history = run("mrinfo", small.path("ours.mif"), "-property", "command_history")
    assert history.splitlines()[-1] == "dwiser denoise a b"


def test_mrstats_counts_our_mask(small: Small) -> None:
    scan = load(small.series())
    inside = np.random.default_rng(1).random(scan.shape[:3]) < 0.4
    save_volume(inside, small.path("m.mif.gz"), like=scan)
    count = run("mrstats", small.path("m.mif.gz"), "-ignorezero", "-output", "count", "-quiet")
    assert int(count) == inside.sum()
