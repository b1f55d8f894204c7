"""dwiser in Python: arrays, nibabel images or scans go in, results come out.

Nothing here reads or writes an image (`dwiser.load` and `dwiser.save` do): it turns what a user
holds into a `Scan`, and calls what the command line calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dwiser.defaults import DEFAULT_METHOD, DEFAULT_PRESET, BValueScaling
from dwiser.evaluation import suite
from dwiser.evaluation.suite import Evaluation
from dwiser.from_arrays import Series, as_scan, check_shape, voxels_of
from dwiser.io.outputs import check_outputs, write_set
from dwiser.machine import find_machine
from dwiser.methods.base import Denoiser, Weights
from dwiser.run import denoising
from dwiser.run.judging import judgement, with_verdict
from dwiser.run.residual_images import with_variance
from dwiser.run.result import Result
from dwiser.simulation import Simulation, phantom
from dwiser.watch import Watch, silent


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
        image = voxels_of(denoised)
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
    check_shape("scan", series.data, result.data.shape)
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
