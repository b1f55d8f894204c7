"""dwiser in Python: what a user holds becomes a scan, and wrong arguments get the right call."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dipy.core.gradients import gradient_table

import dwiser
from dwiser.errors import Code
from tests.refusals import refused


@pytest.fixture(scope="module")
def made() -> object:
    return dwiser.simulate((16, 18, 8), shells=[(1000, 12)], n_b0=2, seed=4)


def table(scan: dwiser.Scan) -> dict[str, np.ndarray]:
    return {"bvals": scan.gradients.bvals, "bvecs": scan.gradients.bvecs, "affine": scan.affine}


def test_arrays_an_image_with_a_gradient_table_and_a_scan_give_the_same(made) -> None:
    scan = made.scan
    gtab = gradient_table(scan.gradients.bvals, bvecs=scan.gradients.bvecs)
    image = nib.Nifti1Image(scan.data, scan.affine)
    arrays = dwiser.denoise(scan.data, "subspace", threads=1, **table(scan))
    images = dwiser.denoise(image, "subspace", gtab=gtab, threads=1)
    scans = dwiser.denoise(scan, "subspace", threads=1)
    np.testing.assert_array_equal(arrays.data, scans.data)
    np.testing.assert_array_equal(images.data, scans.data)
    assert arrays.data.dtype == np.float32


def test_b_vectors_are_taken_as_rows_or_as_columns(made) -> None:
    scan = made.scan
    turned = dwiser.as_scan(scan.data, **(table(scan) | {"bvecs": scan.gradients.bvecs.T}))
    np.testing.assert_array_equal(turned.gradients.bvecs, scan.gradients.bvecs)


@pytest.mark.parametrize("as_image", [False, True])
def test_a_complex_series_is_magnitude_and_phase(made, as_image: bool) -> None:
    """Its real part was taken for the series."""
    scan = made.scan
    phase = np.linspace(0, 3, scan.data.size, dtype=np.float32).reshape(scan.shape)
    z = (scan.data * np.exp(1j * phase)).astype(np.complex64)
    given = nib.Nifti1Image(z, scan.affine) if as_image else z
    parted = dwiser.as_scan(given, **table(scan))
    np.testing.assert_allclose(parted.data, scan.data, rtol=1e-5)
    np.testing.assert_allclose(parted.phase, phase, atol=1e-4)
    with refused(Code.ARGUMENT_CONFLICT, "complex", "leave out phase"):
        dwiser.as_scan(given, phase=phase, **table(scan))


def test_a_result_has_data_sigma_verdict_and_record(made) -> None:
    result = dwiser.denoise(made.scan, "gaussian", fwhm=4.0, threads=1)
    assert result.data.shape == made.scan.shape
    assert result.sigma.shape == made.scan.shape[:3]
    assert result.verdict.level == "FAIL"  # a blur
    assert result.record["Verdict"]["Level"] == "FAIL"
    assert result.record["Parameters"]["fwhm"] == 4.0
    untested = dwiser.denoise(made.scan, "gaussian", threads=1, verdict=False)
    assert untested.verdict is None
    assert "not tested" in untested.no_verdict


def test_mask_noise_map_and_phase_reach_the_method(made) -> None:
    scan, mask = made.scan, np.zeros(made.scan.shape[:3])
    mask[4:12, 4:12, 2:6] = 1
    inside = dwiser.denoise(scan, "gaussian", mask=mask, noise_map=made.sigma, threads=1)
    np.testing.assert_array_equal(inside.data[mask == 0], scan.data[mask == 0])
    np.testing.assert_array_equal(inside.sigma[mask > 0], made.sigma[mask > 0])
    with refused(Code.METHOD_PHASE, "gaussian", "works on magnitudes"):
        dwiser.denoise(scan, "gaussian", phase=np.angle(scan.data - 100 + 1j * (scan.data % 7)))


def test_evaluate_and_report_take_a_result(made, tmp_path: Path) -> None:
    result = dwiser.denoise(made.scan, "subspace", threads=1)
    scores = dwiser.evaluate(result, made.scan, truth=made.truth)
    noisy = dwiser.evaluate(made.scan.data, made.scan, truth=made.truth)
    nrmse = ("fidelity.nrmse", "b1000")
    assert scores.value(*nrmse) < noisy.value(*nrmse)
    page = dwiser.report(result, made.scan, tmp_path / "out.html")
    assert "subspace" in page.read_text()
    with refused(Code.OUTPUT_EXISTS, "out.html: "):
        dwiser.report(result, made.scan, page)
    assert dwiser.report(result, made.scan, page, force=True) == page


WRONG = {
    "no table": ({"affine": np.eye(4)}, Code.GRADIENTS_MISSING, "bvals=bvals, bvecs=bvecs"),
    "no affine": (
        {"bvals": [0] * 14, "bvecs": np.zeros((14, 3))},
        Code.ARGUMENT_MISSING,
        "affine=affine",
    ),
    "a flat affine": ({"affine": np.eye(3)}, Code.IMAGE_AFFINE, "(4, 4)"),
    "flat b-vectors": (
        {"bvals": [0] * 14, "bvecs": np.zeros(42), "affine": np.eye(4)},
        Code.GRADIENTS_FORMAT,
        "bvecs",
    ),
    "no gradient table": (
        {"gtab": [0, 1000], "affine": np.eye(4)},
        Code.ARGUMENT_TYPE,
        "gtab=gtab",
    ),
    "other length": (
        {"bvals": [0] * 9, "bvecs": np.zeros((9, 3)), "affine": np.eye(4)},
        Code.GRADIENTS_LENGTH,
        "14 volumes",
    ),
}


@pytest.mark.parametrize(("arguments", "code", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_gets_a_sentence_with_the_right_call(made, arguments, code, words) -> None:
    with refused(code, words):
        dwiser.denoise(made.scan.data, **arguments)


def test_what_is_given_twice_or_of_a_wrong_kind_is_refused(made, tmp_path: Path) -> None:
    scan = made.scan
    gtab = gradient_table(scan.gradients.bvals, bvecs=scan.gradients.bvecs)
    with refused(Code.ARGUMENT_CONFLICT, "given twice: gtab, or bvals and bvecs"):
        dwiser.denoise(scan.data, gtab=gtab, **table(scan))
    with refused(Code.ARGUMENT_CONFLICT, "has its gradient table", "leave out bvals"):
        dwiser.denoise(scan, bvals=scan.gradients.bvals)
    with refused(Code.ARGUMENT_TYPE, "data is a str", "dwiser.load"):
        dwiser.denoise(str(tmp_path / "dwi.nii.gz"))  # type: ignore[arg-type]
    with refused(Code.GRID_SHAPE, "noise_map has shape", "give one on its grid"):
        dwiser.denoise(scan, noise_map=np.ones((2, 2, 2)))
    with refused(Code.METHOD_UNKNOWN, "'splitk'", "did you mean 'splitq'"):
        dwiser.denoise(scan, "splitk")
