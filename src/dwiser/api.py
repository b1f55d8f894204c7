"""dwiser in Python: arrays, nibabel images or scans go in, results come out.

Nothing here reads or writes an image (`dwiser.load` and `dwiser.save` do): it turns what a user
holds into a `Scan`, and calls what the command line calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from dwiser.b_delta import shapes_of
from dwiser.defaults import B0_THRESHOLD, DEFAULT_METHOD, DEFAULT_PRESET, BValueScaling
from dwiser.errors import Code, InputError
from dwiser.evaluation import suite
from dwiser.evaluation.suite import Evaluation
from dwiser.io.gradient_table import ReadGradients
from dwiser.io.outputs import check_outputs, write_set
from dwiser.machine import find_machine
from dwiser.methods.base import Denoiser, Weights
from dwiser.prepare.phase import as_radians
from dwiser.prepare.user_sigma import fill_holes
from dwiser.run import denoising
from dwiser.run.judging import judgement, with_verdict
from dwiser.run.residual_images import with_variance
from dwiser.run.result import Result
from dwiser.scan import Scan
from dwiser.simulation import Simulation, phantom
from dwiser.watch import Watch, silent


@runtime_checkable
class Image(Protocol):
    """A nibabel image: what of it is used here."""

    @property
    def affine(self) -> np.ndarray: ...

    @property
    def header(self) -> Any: ...

    def get_fdata(self, *, dtype: Any) -> np.ndarray: ...


@runtime_checkable
class GradientTable(Protocol):
    """DIPY's ``GradientTable``: what of it is used here."""

    bvals: np.ndarray
    bvecs: np.ndarray
    b0_threshold: float


Series: TypeAlias = Any  # a Scan, an Image or an array: checked here, for a sentence
CALLS = {
    "denoise": "dwiser.denoise(data, bvals=bvals, bvecs=bvecs, affine=affine)",
    "image": "dwiser.denoise(image, gtab=gtab)",
}


def as_scan(
    data: Series,
    *,
    bvals: ArrayLike | None = None,
    bvecs: ArrayLike | None = None,
    gtab: Any = None,
    affine: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    noise_map: ArrayLike | None = None,
    phase: ArrayLike | None = None,
    noise_volumes: Sequence[int] | None = None,
    b0_threshold: float | None = None,
    bvalue_scaling: BValueScaling | None = None,
    b_delta: ArrayLike | None = None,
) -> Scan:
    """A diffusion-weighted series as one checked value.

    Parameters
    ----------
    data : a NumPy array (X, Y, Z, V) in the scanner's units, a nibabel image, or a `Scan`.
    bvals, bvecs : (V,) in s/mm², and (V, 3) or (3, V) in the image's voxel axes, as in FSL's
        files; or ``gtab``, a DIPY ``GradientTable``, in their place.
    affine : (4, 4) voxel to world in mm; a nibabel image brings its own.
    mask : (X, Y, Z), voxels that are not 0 are inside; outside, voxels come back unchanged.
    noise_map : (X, Y, Z), the noise's sd (σ) in the data's units, where it is known.
    phase : (X, Y, Z, V), in radians or in scanner steps, for methods that take one.
    noise_volumes : volumes acquired without excitation, counted from 0, () for none; looked for
        by default. They tell σ and the channels, and come back unchanged.
    b0_threshold : b-values up to this count as b0, in s/mm²; 50, or the ``gtab``'s.
    bvalue_scaling : whether b is multiplied by the squared length of its vector: "yes", "no", or
        "auto" (None), as `Gradients` decides it.
    b_delta : the shape of the b-tensors, −0.5 (planar) over 0 (spherical) to 1 (linear): a number,
        or one a volume; by default the ``gtab``'s, or linear.

    Raises
    ------
    InputError
        For whatever is missing, does not fit or is given twice, with the call that is right.

    Examples
    --------
    >>> import numpy as np, dwiser
    >>> data = np.random.default_rng(0).gamma(9.0, 10.0, (6, 6, 4, 8))
    >>> bvecs = np.eye(3)[[0, 0, 1, 2, 0, 1, 2, 0]]
    >>> scan = dwiser.as_scan(
    ...     data, bvals=[0, *[1000] * 7], bvecs=bvecs, affine=np.diag([2, 2, 2, 1])
    ... )
    >>> scan.shape, scan.voxel_size
    ((6, 6, 4, 8), (2.0, 2.0, 2.0))
    """
    if isinstance(data, Scan):
        table = (bvals, bvecs, gtab, affine, b0_threshold, bvalue_scaling, b_delta)
        if any(value is not None for value in table):
            raise InputError(
                "A Scan has its gradient table and affine: leave out bvals, bvecs, gtab, affine, "
                "b0_threshold, bvalue_scaling and b_delta.",
                code=Code.ARGUMENT_CONFLICT,
            )
        scan = data
    else:
        inside = None if mask is None else np.nan_to_num(np.asarray(mask)) != 0
        scan = _scan_of(
            data, bvals, bvecs, gtab, affine, inside, b0_threshold, bvalue_scaling, b_delta
        )
    if mask is not None and isinstance(data, Scan):
        scan = replace(scan, mask=np.nan_to_num(np.asarray(mask)) != 0)
    if noise_map is not None:
        sigma = np.asarray(noise_map, np.float32)
        _same_shape("noise_map", sigma, scan.shape[:3])
        scan = replace(scan, sigma=fill_holes(sigma, scan.data))
    if noise_volumes is not None:
        scan = replace(scan, noise_volumes=tuple(int(v) for v in noise_volumes))
    if phase is not None:
        angles = np.asarray(phase, np.float32)
        _same_shape("phase", angles, scan.shape)
        scan = replace(scan, phase=as_radians(angles, scan.mask)[0])
    return scan


def denoise(
    data: Series,
    method: str | Denoiser = DEFAULT_METHOD,
    preset: str = DEFAULT_PRESET,
    *,
    bvals: ArrayLike | None = None,
    bvecs: ArrayLike | None = None,
    gtab: Any = None,
    affine: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    noise_map: ArrayLike | None = None,
    phase: ArrayLike | None = None,
    noise_volumes: Sequence[int] | None = None,
    b0_threshold: float | None = None,
    bvalue_scaling: BValueScaling | None = None,
    b_delta: ArrayLike | None = None,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    watch: Watch = silent,
    weights: Weights | None = None,
    verdict: bool = True,
    variance_map: bool = False,
    **settings: Any,
) -> Result:
    """Denoise a diffusion-weighted series.

    Parameters
    ----------
    data, bvals, bvecs, gtab, affine, mask, noise_map, phase, noise_volumes, b0_threshold,
        bvalue_scaling, b_delta : as for `as_scan`.
    method, preset : a name of ``dwiser methods`` (or a configured method), and which set of
        values its fields begin with: "laptop", "paper" or "smoke", of difusion "released" too.
    device : "auto", "cpu" or "cuda".
    threads : CPU threads; all that this process may use by default.
    seed : of everything random; the same seed gives the same result.
    watch : is called with the progress.
    weights : learned before, to be applied instead of learning anew.
    verdict : test the residual too, a second or two for a whole brain.
    variance_map : also ``variance_removed``, the share of the variance within the shells.
    settings : fields of the method, as ``--set`` on the command line; ``uncertainty``, ``rank_map``
        and ``real_part`` fill fields of the result, where the method has them.

    Returns
    -------
    Result
        ``data`` (X, Y, Z, V) float32 in the input's units, ``sigma`` (X, Y, Z) the noise's sd,
        ``verdict`` (None where there is none, ``no_verdict`` says why), ``record`` what was done;
        if asked for ``uncertainty``, ``rank``, ``variance_removed`` (X, Y, Z), and of a complex
        scan ``real`` and ``phase`` (X, Y, Z, V).

    Raises
    ------
    InputError
        For a series the method cannot take, a wrong argument, an unknown method or field.

    Examples
    --------
    >>> import dwiser
    >>> phantom = dwiser.simulate((16, 16, 8), shells=[(1000, 12)], n_b0=2, seed=1)
    >>> result = dwiser.denoise(phantom.scan, "gaussian", fwhm=3.0)
    >>> result.data.shape, result.verdict.level
    ((16, 16, 8, 14), 'FAIL')
    """
    scan = as_scan(
        data, bvals=bvals, bvecs=bvecs, gtab=gtab, affine=affine, mask=mask, noise_map=noise_map,
        phase=phase, noise_volumes=noise_volumes, b0_threshold=b0_threshold,
        bvalue_scaling=bvalue_scaling, b_delta=b_delta,
    )  # fmt: skip
    result = denoising.denoise(
        scan, method, preset,
        device=device, threads=threads, seed=seed, watch=watch, weights=weights, **settings,
    )  # fmt: skip
    if variance_map:
        result = with_variance(scan, result)
    if not verdict:
        return result
    threads = find_machine("cpu", threads).threads
    return with_verdict(result, judgement(scan, result, seed=seed, threads=threads))


def evaluate(
    denoised: Any,
    raw: Series,
    *,
    truth: ArrayLike | None = None,
    tissues: Mapping[str, np.ndarray] | None = None,
    lesions: ArrayLike | None = None,
    crossing: bool = False,
    seed: int = 0,
    **table: Any,
) -> Evaluation:
    """Measure a denoised series against its raw one, and against the truth where it is known.

    Parameters
    ----------
    denoised : a `Result`, a nibabel image or an array (X, Y, Z, V) in the raw series' units.
    raw : the series that was denoised; ``table`` are `as_scan`'s arguments. The mask and the
        σ map of a `Result` are used where the raw series has none.
    truth : (X, Y, Z, V), the series without noise.
    tissues : name to (X, Y, Z) volume fraction. lesions : (X, Y, Z) labels, 0 elsewhere.
    crossing : crossing angles and fibres by bins too, some seconds more.
    seed : of the subsamples.

    Returns
    -------
    Evaluation
        ``value(metric, group)``, ``rows()``, ``verdict`` and ``to_dict()``; what could not be
        measured is in ``absent`` with its reason.

    Examples
    --------
    >>> import dwiser
    >>> phantom = dwiser.simulate((16, 16, 8), shells=[(1000, 12)], n_b0=2, seed=1)
    >>> result = dwiser.denoise(phantom.scan, "subspace")
    >>> scores = dwiser.evaluate(result, phantom.scan, truth=phantom.truth)
    >>> scores.value("fidelity.nrmse", "b1000") < 0.15
    True
    """
    scan = as_scan(raw, **table)
    if isinstance(denoised, Result):
        scan = replace(
            scan,
            mask=denoised.mask if scan.mask is None else scan.mask,
            sigma=denoised.sigma if scan.sigma is None else scan.sigma,
        )
        image = denoised.data
    else:
        image = _voxels(denoised)
    return suite.evaluate(
        image, scan,
        truth=None if truth is None else np.asarray(truth, np.float32),
        tissues=tissues, lesions=None if lesions is None else np.asarray(lesions),
        crossing=crossing, seed=seed,
    )  # fmt: skip


def report(
    result: Result, scan: Series, out: str | Path, *, force: bool = False, **table: Any
) -> Path:
    """Write the report of a result: one HTML file for any browser.

    Parameters
    ----------
    result : what `denoise` returned for ``scan``; ``table`` are `as_scan`'s arguments.
    out : the file to write. force : replace it if it exists.

    Raises
    ------
    InputError
        For a scan of another shape, or a file that is there or cannot be written.

    Examples
    --------
    >>> import dwiser
    >>> phantom = dwiser.simulate((16, 16, 8), shells=[(1000, 12)], n_b0=2, seed=1)
    >>> result = dwiser.denoise(phantom.scan, "subspace")
    >>> dwiser.report(result, phantom.scan, "out.html").name
    'out.html'
    """
    from dwiser.run.reporting import report as report_page  # matplotlib: not for who only denoises

    series, path = as_scan(scan, **table), Path(out)
    _same_shape("scan", series.data, result.data.shape)
    check_outputs([path], force=force)
    judged = judgement(series, result, seed=result.seed)
    text = report_page(
        series, result, judged, name="a series in Python", command="dwiser.denoise(...)"
    )

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    write_set({path: write}, force=force)
    return path


def simulate(
    shape: tuple[int, int, int] = (65, 78, 66),
    *,
    shells: Sequence[tuple[float | int, int]] = ((1000.0, 64),),
    n_b0: int = 6,
    snr: float | int = 20.0,
    noise: str = "rician",
    seed: int = 0,
    **settings: Any,
) -> Simulation:
    """A head made by code, scanned with noise of known σ.

    Parameters
    ----------
    shape : (X, Y, Z) voxels; the head fills them.
    shells : (b-value in s/mm², number of directions) each. n_b0 : b0 volumes.
    snr : mean true b0 signal in white matter over mean σ.
    noise : "rician", "gaussian", "nc-chi", "kspace" or "none".
    settings : see `dwiser.simulation.phantom`: voxel, coils, sigma_map, lesions, texture …

    Returns
    -------
    Simulation
        ``scan`` (noisy), ``truth`` (X, Y, Z, V), ``mask``, ``sigma``, ``fa``, ``md``, ``v1``.

    Examples
    --------
    >>> import dwiser
    >>> dwiser.simulate((16, 16, 8), shells=[(1000, 12)], n_b0=2).truth.shape
    (16, 16, 8, 14)
    """
    return phantom(
        shape, shells=tuple((float(b), int(n)) for b, n in shells), n_b0=n_b0, snr=snr,
        noise=noise, seed=seed, **settings,
    )  # fmt: skip


def _scan_of(
    data: Series,
    bvals: ArrayLike | None,
    bvecs: ArrayLike | None,
    gtab: Any,
    affine: ArrayLike | None,
    mask: np.ndarray | None,
    b0_threshold: float | None,
    bvalue_scaling: BValueScaling | None,
    b_delta: ArrayLike | None,
) -> Scan:
    header = None
    if isinstance(data, Image):
        affine = data.affine if affine is None else affine
        header = data.header.copy()
    elif not isinstance(data, np.ndarray):
        kind = type(data).__name__
        raise InputError(
            f"data is a {kind}: give a NumPy array, a nibabel image or a dwiser.Scan "
            "(dwiser.load(path) reads a file).",
            code=Code.ARGUMENT_TYPE,
        )
    if affine is None:
        raise InputError(
            f"An array has no affine: call {CALLS['denoise']}.", code=Code.ARGUMENT_MISSING
        )
    if np.shape(affine) != (4, 4):
        raise InputError(
            f"affine has shape {np.shape(affine)}, not (4, 4): give voxel to world.",
            code=Code.IMAGE_AFFINE,
        )
    values, directions, threshold = _table(bvals, bvecs, gtab)
    threshold = threshold if b0_threshold is None else b0_threshold
    voxels = np.asfortranarray(_voxels(data), np.float32)
    if b_delta is None and gtab is not None and gtab.btens is not None:
        b_delta = shapes_of(np.asarray(gtab.btens, float))
    table = ReadGradients(
        values, directions, threshold, bvalue_scaling or "auto", raw_bvals=values,
        raw_bvecs=directions, b_delta=None if b_delta is None else np.asarray(b_delta, float),
    )  # fmt: skip
    return Scan(voxels, np.asarray(affine, float), table, header, mask)


def _table(
    bvals: ArrayLike | None, bvecs: ArrayLike | None, gtab: Any
) -> tuple[np.ndarray, np.ndarray, float]:
    """b-values (V,), b-vectors (V, 3) and the b0 threshold."""
    if gtab is not None:
        if bvals is not None or bvecs is not None:
            raise InputError(
                "The gradient table is given twice: gtab, or bvals and bvecs.",
                code=Code.ARGUMENT_CONFLICT,
            )
        if not isinstance(gtab, GradientTable):
            raise InputError(
                f"gtab is no DIPY GradientTable: call {CALLS['image']}.", code=Code.ARGUMENT_TYPE
            )
        threshold = float(gtab.b0_threshold)
        return np.asarray(gtab.bvals, float), np.asarray(gtab.bvecs, float), threshold
    if bvals is None or bvecs is None:
        raise InputError(
            f"The gradient table is missing: call {CALLS['denoise']}, or {CALLS['image']} with a "
            "DIPY GradientTable.",
            code=Code.GRADIENTS_MISSING,
        )
    values, vectors = np.asarray(bvals, float).ravel(), np.asarray(bvecs, float)
    if vectors.ndim != 2 or 3 not in vectors.shape:
        raise InputError(
            f"bvecs has shape {vectors.shape}: give (V, 3), a unit vector a volume.",
            code=Code.GRADIENTS_FORMAT,
        )
    if vectors.shape[1] != 3 or (vectors.shape == (3, 3) and len(values) != 3):
        vectors = vectors.T
    return values, vectors, B0_THRESHOLD


def _voxels(image: Image | np.ndarray) -> np.ndarray:
    return image if isinstance(image, np.ndarray) else image.get_fdata(dtype=np.float32)


def _same_shape(name: str, image: np.ndarray, shape: tuple[int, ...]) -> None:
    if image.shape != shape:
        raise InputError(
            f"{name} has shape {image.shape}, the series needs {shape}: give one on its grid.",
            code=Code.GRID_SHAPE,
        )
