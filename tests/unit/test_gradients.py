"""The gradient table as values: lengths of its vectors, null vectors, units."""

import warnings

import numpy as np
import pytest

from dwiser.errors import Code, DwiserWarning
from dwiser.gradient_lengths import unit_vectors
from dwiser.scan import Gradients, Scan
from dwiser.simulation import scheme
from tests.refusals import refused

TWO_SHELLS = scheme(((1000.0, 8), (3000.0, 8)), n_b0=2)
LENGTHS = np.sqrt(TWO_SHELLS.bvals / 3000.0)
VECTORS = TWO_SHELLS.bvecs * LENGTHS[:, None]  # null for b0s
NOMINAL = np.full(18, 3000.0)


def scan_of(table: Gradients, *, bright: float = 1.0) -> Scan:
    """An object whose volumes lose brightness by b as TWO_SHELLS does; ``bright``: contrast."""
    signal = np.exp(-TWO_SHELLS.bvals * 0.0007 * bright)
    rng = np.random.default_rng(0)
    object_ = np.zeros((10, 10, 4))
    object_[2:8, 2:8] = 100.0
    data = object_[..., None] * signal + rng.normal(0, 2, (10, 10, 4, 18))
    return Scan(np.abs(data), np.diag([2.0, 2, 2, 1]), table)


def test_a_null_vector_is_a_dwi_without_direction_and_stays_null() -> None:
    bvecs = np.array([[0.0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    table = Gradients(np.array([0.0, 1000, 1000, 0]), bvecs)
    assert table.without_direction.tolist() == [False, True, False, False]
    assert table.is_b0.tolist() == [True, False, False, True]
    assert not table.bvecs[1].any()


def test_lengths_under_one_bvalue_scale_it_as_mrtrix_does() -> None:
    with pytest.warns(DwiserWarning, match=r"b·\|g\|² was taken.*b=0: 2, b=1000: 8, b=3000: 8"):
        table = Gradients(NOMINAL, VECTORS)
    np.testing.assert_allclose(table.bvals, TWO_SHELLS.bvals, atol=1e-9)
    np.testing.assert_allclose(table.bvecs, TWO_SHELLS.bvecs, atol=1e-12)


def test_lengths_that_the_bvalues_hold_already_scale_nothing() -> None:
    with pytest.warns(DwiserWarning, match="hold the scaling already"):
        table = Gradients(TWO_SHELLS.bvals, VECTORS)
    np.testing.assert_array_equal(table.bvals, TWO_SHELLS.bvals)
    np.testing.assert_allclose(table.bvecs, TWO_SHELLS.bvecs, atol=1e-12)


@pytest.mark.parametrize(
    ("scaling", "bvals"), [("yes", TWO_SHELLS.bvals), ("no", np.where(LENGTHS > 0, 3000.0, 3000.0))]
)
def test_what_is_asked_for_is_done_without_a_word(scaling, bvals) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Gradients(NOMINAL, VECTORS, bvalue_scaling=scaling)
    np.testing.assert_allclose(table.bvals, bvals, atol=1e-9)
    assert (np.abs(np.linalg.norm(table.bvecs[LENGTHS > 0], axis=1) - 1) < 1e-12).all()


@pytest.mark.parametrize(
    ("factor", "says"),
    [(2.0, "have length 2,"), (np.linspace(0.5, 1.2, 18)[:, None], "have length 0.541 to 1.2,")],
)
def test_other_lengths_are_refused_and_the_way_out_works(factor, says) -> None:
    bvecs = TWO_SHELLS.bvecs * factor
    with refused(Code.GRADIENTS_VALUES, "b-vectors of", "(volume", says, "--bvalue-scaling no"):
        Gradients(TWO_SHELLS.bvals, bvecs)
    table = Gradients(TWO_SHELLS.bvals, bvecs, bvalue_scaling="no")
    np.testing.assert_allclose(table.bvecs, TWO_SHELLS.bvecs, atol=1e-12)


def test_an_unknown_word_is_refused() -> None:
    with refused(Code.ARGUMENT_VALUE, "auto, yes or no, not maybe"):
        unit_vectors(NOMINAL, VECTORS, NOMINAL > 50, "maybe")


@pytest.mark.parametrize("b0s", ["some known", "none known"])
def test_a_null_vector_as_bright_as_b0s_is_one(b0s) -> None:
    bvals = TWO_SHELLS.bvals.copy()
    zero = np.flatnonzero(bvals == 0)
    bvals[zero if b0s == "none known" else zero[:1]] = 1000.0
    table = Gradients(bvals, TWO_SHELLS.bvecs)
    assert table.without_direction.sum() == (2 if b0s == "none known" else 1)
    with pytest.warns(DwiserWarning, match="null vector, and (is|are) bright as b0s"):
        scan = scan_of(table)
    np.testing.assert_array_equal(scan.gradients.bvals, TWO_SHELLS.bvals)


def test_a_null_vector_as_dark_as_its_shell_is_no_b0() -> None:
    bvecs = TWO_SHELLS.bvecs.copy()
    v = int(np.flatnonzero(TWO_SHELLS.bvals == 3000)[3])
    bvecs[v] = 0
    with pytest.warns(DwiserWarning, match=f"Volume {v} .* DWIs without a direction"):
        scan = scan_of(Gradients(TWO_SHELLS.bvals, bvecs))
    assert np.flatnonzero(scan.gradients.without_direction).tolist() == [v]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = Scan(scan.data, scan.affine, scan.gradients)  # decided once
    assert again.gradients is scan.gradients


@pytest.mark.parametrize("scaling", ["yes", "no"])
def test_a_word_decides_null_vectors_instead_of_the_data(scaling) -> None:
    bvals = np.where(TWO_SHELLS.bvals == 0, 1000.0, TWO_SHELLS.bvals)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan = scan_of(Gradients(bvals, TWO_SHELLS.bvecs, bvalue_scaling=scaling))
    assert scan.gradients.is_b0.sum() == (2 if scaling == "yes" else 0)


def test_a_scan_without_any_direction_is_left_open() -> None:
    table = Gradients(TWO_SHELLS.bvals, np.zeros((18, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scan_of(table).gradients.without_direction.sum() == 16


def test_other_units_are_refused() -> None:
    with refused(Code.GRADIENTS_VALUES, "reach 3e+09", "s/m² (3000 s/mm²)", "1000000"):
        Gradients(TWO_SHELLS.bvals * 1e6, TWO_SHELLS.bvecs)
    small = Gradients(TWO_SHELLS.bvals / 1000, TWO_SHELLS.bvecs)
    with refused(Code.GRADIENTS_VALUES, "reach 3 only", "ms/µm²", "by 1000"):
        scan_of(small)
    scan_of(small, bright=0.02)  # b0s that a scanner gave small b-values are as bright as others


def test_some_rows_are_taken_as_they_are() -> None:
    with pytest.warns(DwiserWarning):
        table = Gradients(NOMINAL, VECTORS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        part = table.take(np.arange(5))
    np.testing.assert_array_equal(part.bvals, table.bvals[:5])
    assert len(part) == 5
