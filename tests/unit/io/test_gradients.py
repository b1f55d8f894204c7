"""Tables: every layout reads alike, what is read is written back to the last bit."""

from pathlib import Path

import numpy as np
import pytest
from dipy.io.gradients import read_bvals_bvecs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dwiser.errors import Code, DwiserWarning
from dwiser.io import read_bvals, read_bvecs, read_gradients, write_bvals, write_bvecs
from dwiser.io.gradient_table import ReadGradients
from dwiser.scan import Gradients
from tests.refusals import refused

BVALS = np.array([0.0, 1000, 999.5, 2000])
BVECS = np.array([[0, 0, 0], [1, 0, 0], [0, 0.6, -0.8], [0.48, 0.64, 0.6]])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    bval, bvec = tmp_path / "dwi.bval", tmp_path / "dwi.bvec"
    np.savetxt(bval, BVALS[None])
    np.savetxt(bvec, BVECS.T)
    return bval, bvec


@pytest.mark.parametrize("layout", [BVECS, BVECS.T], ids=["N×3", "3×N"])
@pytest.mark.parametrize("delimiter", [" ", "\t", ", "])
def test_both_layouts_and_any_delimiter_read_alike(tmp_path, layout, delimiter):
    path = tmp_path / "a.bvec"
    np.savetxt(path, layout, delimiter=delimiter, newline=" \r\n\r\n")
    np.testing.assert_array_equal(read_bvecs(path), BVECS)


def test_three_by_three_is_read_as_fsl_writes_it(tmp_path):
    path = tmp_path / "a.bvec"
    path.write_text("1 0 0.6\n0 0 0.8\n0 1 0\n")
    np.testing.assert_array_equal(read_bvecs(path)[2], [0.6, 0.8, 0])  # the last column


@pytest.mark.parametrize(
    "text", ["0 1000 999.5 2e3\n", "0\n1000\n999.5\n2000", "\ufeff0 1000 999.5 2000"]
)
def test_bvals_are_a_row_or_a_column(tmp_path, text):
    path = tmp_path / "a.bval"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_bvals(path), BVALS)


def test_agrees_with_dipy(files):
    bvals, bvecs = read_bvals_bvecs(*map(str, files))
    gradients = read_gradients(*files, volumes=4)
    np.testing.assert_array_equal(gradients.bvals, bvals)
    np.testing.assert_allclose(gradients.bvecs, bvecs, atol=1e-15)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(
    bvals=arrays(float, 5, elements=st.floats(0, 1e5)),
    bvecs=arrays(float, (5, 3), elements=st.floats(-1, 1)),
)
def test_writing_and_reading_is_exact(tmp_path, bvals, bvecs):
    b0s = np.zeros(5), np.zeros((5, 3))
    gradients = ReadGradients(*b0s, raw_bvals=bvals, raw_bvecs=bvecs)
    write_bvals(gradients, tmp_path / "o.bval")
    write_bvecs(gradients, tmp_path / "o.bvec")
    assert len((tmp_path / "o.bvec").read_text().splitlines()) == 3
    np.testing.assert_array_equal(read_bvals(tmp_path / "o.bval"), bvals)
    np.testing.assert_array_equal(read_bvecs(tmp_path / "o.bvec"), bvecs)


def test_whole_numbers_are_written_without_a_point(files):
    gradients = read_gradients(*files, volumes=4)
    write_bvals(gradients, files[0])
    assert files[0].read_text() == "0 1000 999.5 2000\n"


def test_what_was_read_is_what_is_written(files, tmp_path):
    """NaN b0 vectors and lengths off 1 are mended for us, not for whoever reads on."""
    raw = BVECS.copy()
    raw[0] = np.nan
    raw[1] *= 1.05
    np.savetxt(files[1], raw.T)
    with pytest.warns(DwiserWarning, match="normalised"):
        gradients = read_gradients(*files, volumes=4)
    np.testing.assert_array_equal(gradients.bvecs[0], 0)
    np.testing.assert_allclose(np.linalg.norm(gradients.bvecs[1:], axis=1), 1, atol=1e-12)
    write_bvecs(gradients, tmp_path / "o.bvec")
    np.testing.assert_array_equal(read_bvecs(tmp_path / "o.bvec"), raw)


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("dwi.bval", b"0 1000 x1 2000", Code.GRADIENTS_FORMAT, "'x1' where a number should be"),
        ("dwi.bval", b"", Code.GRADIENTS_FORMAT, "empty"),
        ("dwi.bval", b"0 1000 999", Code.GRADIENTS_LENGTH, "3 b-values for the 4 volumes"),
        ("dwi.bval", b"0 1000 999 nan", Code.GRADIENTS_VALUES, "NaN"),
        ("dwi.bval", b"0 1000 -999 1", Code.GRADIENTS_VALUES, "negative"),
        ("dwi.bval", b"0 1 2 3\n0 1 2 3\n0 1 2 3", Code.GRADIENTS_FORMAT, "3×4 table"),
        ("dwi.bval", b"\xff\xd8\x00", Code.GRADIENTS_FORMAT, "not a text file"),
        ("dwi.bvec", b"1 0 0\n0 1 0\n0 0", Code.GRADIENTS_FORMAT, "not equally long (2 to 3"),
        ("dwi.bvec", b"1 0 0 1\n0 1 0 1", Code.GRADIENTS_FORMAT, "2×4 table"),
        (
            "dwi.bvec",
            b"1 0 0 0 0\n0 1 0 0 0\n0 0 1 1 1",
            Code.GRADIENTS_LENGTH,
            "5 b-vectors for the 4 volumes",
        ),
        (
            "dwi.bvec",
            b"0 1 0 0\n0 0 1 0\n0 0 0 0.5",
            Code.GRADIENTS_VALUES,
            "1 DWI (volume 3) have length 0.5",
        ),
        ("dwi.bvec", b"0 1 0 nan\n0 0 1 0\n0 0 0 1", Code.GRADIENTS_VALUES, "hold NaN"),
        ("dwi.bvec", b"\n \n", Code.GRADIENTS_FORMAT, "empty"),
    ],
)
def test_a_bad_table_is_named_in_one_sentence(files, name, content, code, says):
    files[0].with_name(name).write_bytes(content)
    with refused(code, f"{name}: ", says, ": "):
        read_gradients(*files, volumes=4)


def test_a_table_that_was_made_is_written_too(tmp_path):
    gradients = Gradients(BVALS, BVECS)
    write_bvals(gradients, tmp_path / "o.bval")
    write_bvecs(gradients, tmp_path / "o.bvec")
    again = read_gradients(tmp_path / "o.bval", tmp_path / "o.bvec", volumes=4)
    np.testing.assert_array_equal(again.bvecs, gradients.bvecs)
