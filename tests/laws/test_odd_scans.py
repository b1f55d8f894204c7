"""Odd scans end in a sound result: each of these once crashed, or was asked about by users."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dwiser.errors import Code, DwiserError, DwiserWarning
from dwiser.methods.base import Denoised
from dwiser.run import denoise
from dwiser.scan import Gradients, Scan
from tests.refusals import refused

AFFINE = np.diag([2.0, 2, 2, 1])


def scan(
    shape: tuple[int, ...], *, b0s: tuple[int, ...] = (0, 9), noise: float = 5.0, seed: int = 0,
    change: Callable[[np.ndarray], None] | None = None,
) -> Scan:  # fmt: skip
    """Voxels of 0 to 100, volumes of half to full brightness, Rician noise; then ``change``."""
    rng, volumes = np.random.default_rng(seed), shape[3]
    signal = rng.uniform(0, 100, shape[:3])[..., None] * rng.uniform(0.5, 1, volumes)
    data = np.hypot(signal + noise * rng.normal(size=shape), noise * rng.normal(size=shape))
    if change is not None:
        change(data)
    bvecs = rng.normal(size=(volumes, 3))
    bvals = np.where(np.isin(np.arange(volumes), b0s), 0.0, 1000.0)
    table = Gradients(bvals, bvecs / np.linalg.norm(bvecs, axis=1, keepdims=True))
    return Scan(data.astype(np.float32), AFFINE, table)


def setting(index: object, value: float) -> Callable[[np.ndarray], None]:
    return lambda data: data.__setitem__(index, value)


def mostly_zero(data: np.ndarray) -> None:
    data[np.random.default_rng(1).random(data.shape) < 0.9] = 0


def all_alike(data: np.ndarray) -> None:
    data[:] = data[..., :1]


ODD = {
    "one voxel": lambda: scan((1, 1, 1, 34)),
    "two voxels": lambda: scan((1, 2, 1, 19)),
    "one slice": lambda: scan((9, 8, 1, 34)),
    "one sagittal slice": lambda: scan((1, 8, 9, 34)),
    "fewer voxels than volumes": lambda: scan((1, 4, 3, 34)),
    "512 volumes": lambda: scan((6, 5, 2, 512)),
    "a single b0": lambda: scan((8, 8, 4, 34), b0s=(33,)),
    "no b0": lambda: scan((8, 8, 4, 34), b0s=()),
    "an empty volume": lambda: scan((8, 8, 4, 34), change=setting(np.s_[..., 5], 0)),
    "a spike of a volume": lambda: scan((8, 8, 4, 34), change=setting(np.s_[..., 5], 1e6)),
    "mostly zero": lambda: scan((1, 3, 7, 32), change=mostly_zero),
    "pure noise": lambda: scan((8, 8, 4, 34), change=lambda d: np.copyto(
        d, np.hypot(*np.random.default_rng(2).normal(0, 5, (2, *d.shape))))),
    "faint": lambda: replace(s := scan((8, 8, 4, 34)), data=s.data * np.float32(1e-9)),
    "bright": lambda: replace(s := scan((8, 8, 4, 34)), data=s.data * np.float32(1e30)),
    "voxels of a micrometre": lambda: replace(
        scan((8, 8, 4, 34)), affine=np.diag([1e-3, 1e-3, 1e-3, 1])),
}  # fmt: skip
NO_SERIES = {
    "constant": lambda: scan((8, 8, 4, 34), change=setting(..., 50)),
    "constant volumes": lambda: scan((8, 8, 4, 34), noise=0.0, change=setting(np.s_[..., 3:], 7)),
    "all volumes alike": lambda: scan((8, 8, 4, 34), change=all_alike),
    "empty DWIs": lambda: scan((8, 8, 4, 12), b0s=(0,), change=setting(np.s_[..., 1:], 0)),
}
ROWS = ("one voxel", "two voxels")  # splitq refuses these: it made them worse
METHODS = ("splitq", "subspace", "gaussian", "identity")


def sound(result: Denoised, raw: Scan) -> None:
    assert result.data.shape == raw.shape
    assert result.data.dtype == np.float32
    assert np.isfinite(result.data).all()
    assert (result.data >= 0).all()
    np.testing.assert_array_equal(result.data[~result.mask], raw.data[~result.mask])


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("odd", ODD)
def test_odd_scans(odd, method) -> None:
    raw = ODD[odd]()
    if method == "splitq" and odd in ROWS:
        with refused(Code.SCAN_TOO_SMALL, "a row of", "splitq", "give a slice"):
            denoise(raw, method, threads=1)
        return
    sound(denoise(raw, method, threads=1), raw)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("odd", NO_SERIES)
def test_what_is_no_series_is_refused(odd, method) -> None:
    with refused(Code.IMAGE_VALUES, "measurement", "give"):
        denoise(NO_SERIES[odd](), method, threads=1)


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    ["mppca", "patch2self", "nlmeans", "ascm", "difusion", "splitnet", "noise2noise",
     "noisier2noise", "ddm2", "deep_image_prior"],
)  # fmt: skip
@pytest.mark.parametrize("odd", ODD)
def test_odd_scans_in_other_methods(odd, method) -> None:
    raw = ODD[odd]()
    learned = method not in ("mppca", "patch2self", "nlmeans", "ascm")
    refusal = None
    try:
        result = denoise(raw, method, "smoke" if learned else "laptop", threads=1)
    except DwiserError as error:
        refusal = str(error)
    if refusal is None:
        sound(result, raw)
    else:
        assert refusal.endswith((".", "?"))


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])  # exact: no digit is rounded
def test_units_do_not_matter(factor) -> None:
    """splitq of a scaled scan is the scaled splitq."""
    raw = scan((8, 8, 4, 34))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DwiserWarning)
        plain = denoise(raw, "splitq", threads=1).data
        scaled = denoise(replace(raw, data=raw.data * np.float32(factor)), "splitq", threads=1).data
    np.testing.assert_allclose(scaled / factor, plain, rtol=1e-3, atol=0.05)
