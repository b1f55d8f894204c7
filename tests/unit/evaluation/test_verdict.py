"""A blur, the mean DWI, an eraser and an inventor fail, each for its own reason."""

import re

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import rice

from dwiser.errors import Code
from dwiser.evaluation.inputs import EvaluationInputs
from dwiser.evaluation.residual_findings import residual_findings, residual_of
from dwiser.evaluation.suite import evaluate
from dwiser.evaluation.verdict import SHIFT, Verdict, judge
from dwiser.scan import Scan
from dwiser.simulation import Simulation, phantom, scheme
from tests.refusals import refused


def verdict(denoised: np.ndarray, scan: Scan) -> Verdict:
    inputs = EvaluationInputs(denoised, scan, scan.mask, scan.sigma)
    return judge(residual_findings(inputs, residual_of(inputs)))


def failed(judged: Verdict) -> set[str]:
    return {r.code for r in judged.reasons if r.level == "FAIL"}


def means(words: str) -> tuple[float, float]:
    """The mean signal of the raw scan and of the denoised one, as a reason tells them."""
    match = re.search(r"is (\S+) in the raw scan and (\S+) in the denoised one", words)
    return float(match.group(1)), float(match.group(2))


def ball(head: Simulation, label: int) -> np.ndarray:
    return head.lesions == label


def test_the_truth_passes(head, head_scan):
    judged = verdict(head.truth, head_scan)
    assert judged == Verdict("PASS", (), ())


def test_the_rician_mean_passes(head, head_scan):
    sigma = head.sigma[head.mask][:, None].astype(float)
    mean = head.truth.copy()
    snr = head.truth[head.mask] / sigma
    law = np.where(snr < 30, rice.mean(np.minimum(snr, 30)), snr + 0.5 / np.maximum(snr, 1))
    mean[head.mask] = sigma * law
    assert verdict(mean, head_scan).level == "PASS"


def test_a_blur_fails_for_anatomy(head, head_scan):
    blurred = gaussian_filter(head_scan.data, (0.7, 0.7, 0.7, 0))
    judged = verdict(blurred, head_scan)
    assert judged.level == "FAIL"
    assert "anatomy" in failed(judged)
    assert "direction" not in failed(judged)
    assert any("anatomy" in r.words and "blurred" in r.words for r in judged.reasons)
    space = next(r for r in judged.reasons if r.code == "space")
    assert "the denoiser smoothed in space" in space.words


def test_the_mean_dwi_fails_for_lost_directions(head, head_scan):
    dwis = ~head_scan.gradients.is_b0
    mean = head_scan.data.copy()
    mean[..., dwis] = mean[..., dwis].mean(-1, keepdims=True)
    judged = verdict(mean, head_scan)
    assert {"variance", "direction"} <= failed(judged)
    assert "anatomy" not in failed(judged)
    assert judged.notes == ("the volumes of b0 are unchanged",)


@pytest.mark.parametrize("kind", ["diffusivity", "direction"])
def test_an_eraser_fails_for_one_spot_only(head, head_scan, kind):
    lesion = next(x for x in head.record["lesions"] if x["kind"] == kind)
    where = ball(head, lesion["label"])
    around = gaussian_filter(where.astype(float), 2) * ~(head.lesions > 0) * head.mask
    without = head.truth.copy()
    erased = list(lesion["volumes"])
    healthy = np.tensordot(around, head.truth[..., erased], 3) / around.sum()
    without[np.ix_(*[range(n) for n in head.mask.shape], erased)] = np.where(
        where[..., None], healthy, head.truth[..., erased]
    )
    if kind == "direction":  # all that the lesion changed is this one volume's brightness
        without = head.truth.copy()
        without[where, erased[0]] /= 1.4
    judged = verdict(without, head_scan)
    assert failed(judged) == {"local"}


def test_an_inventor_fails_for_one_spot_only(head, head_scan):
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in head.mask.shape], indexing="ij"), -1)
    calm = head.mask & (head.tissues["wm"] > 0.9) & (head.lesions == 0)
    centre = np.argwhere(calm)[calm.sum() // 2]
    invented = head.truth.copy()
    invented[np.linalg.norm(grid - centre, axis=-1) <= 2] *= 1.4
    judged = verdict(invented, head_scan)
    assert failed(judged) == {"local"}
    spot = next(r for r in judged.reasons if r.code == "local")
    raw, denoised = means(spot.words)
    assert denoised > 1.2 * raw
    assert "higher than noise explains" in spot.words


def test_the_input_unchanged_is_told_so(head_scan):
    judged = verdict(head_scan.data.copy(), head_scan)
    assert judged.level == "WARN"
    assert [r.code for r in judged.reasons] == ["unchanged"]
    assert "unchanged" in judged.reasons[0].words


def test_an_image_with_nan_is_refused_not_passed(head, head_scan):
    broken = head.truth.copy()
    broken[tuple(np.argwhere(head.mask)[5])] = np.nan
    with refused(Code.IMAGE_NOT_FINITE, "denoised image", "NaN"):
        verdict(broken, head_scan)


def test_shifted_intensities_fail_for_the_shift(head, head_scan):
    sigma = head.sigma[..., None]
    shifted = (head.truth + 0.5 * sigma).astype(np.float32)
    assert "shift" in failed(verdict(shifted, head_scan))


@pytest.mark.parametrize("by", [-0.5, 0.5])
def test_a_shift_is_told_as_the_means_that_a_reader_measures(head, head_scan, by: float) -> None:
    """By the signal a voxel on the floor is too bright, and still darker than its raw mean."""
    shifted = np.maximum(head.truth + by * head.sigma[..., None], 0).astype(np.float32)
    shifts = [r for r in verdict(shifted, head_scan).reasons if r.code == "shift"]
    dwis, inside = ~head_scan.gradients.is_b0, head.mask
    raw, denoised = means(next(r.words for r in shifts if r.words.startswith("intensities of b1")))
    assert np.isclose(raw, head_scan.data[inside][:, dwis].mean(), rtol=1e-3)
    assert np.isclose(denoised, shifted[inside][:, dwis].mean(), rtol=1e-3)
    word = "higher" if by > 0 else "lower"
    assert all(f"{word} than noise explains" in r.words for r in shifts)


def test_noise_that_was_correlated_is_not_held_against_the_denoiser() -> None:
    s = phantom(shape=(36, 40, 14), shells=((1000.0, 32),), n_b0=4, snr=20, zero_fill=1.5, seed=5)
    known = Scan(s.scan.data, s.scan.affine, s.scan.gradients, mask=s.mask, sigma=s.sigma * 1.0)
    inputs = EvaluationInputs(s.truth, known, s.mask, s.sigma.astype(float))
    findings = residual_findings(inputs, residual_of(inputs))
    assert max(findings.whiteness.x, findings.whiteness.y) > 0.15
    assert np.isclose(findings.noise.x, findings.whiteness.x, atol=0.03)
    assert "space" not in {r.code for r in judge(findings).reasons}


def test_signal_that_a_fit_leaves_is_not_taken_for_the_raw_noise() -> None:
    """Two shells and one b0: harmonics miss the b = 3000 signal, which is alike in neighbours."""
    s = phantom(
        (36, 40, 14), shells=((1000.0, 22), (3000.0, 22)), n_b0=1, snr=35, zero_fill=1.4, seed=7
    )
    inputs = EvaluationInputs(s.truth, s.scan, s.mask, s.sigma.astype(float))
    findings = residual_findings(inputs, residual_of(inputs))
    for of_residual, of_noise in (
        (findings.whiteness.x, findings.noise.x),
        (findings.whiteness.z, findings.noise.z),
    ):
        assert np.isclose(of_residual, of_noise, atol=0.05)
    assert findings.whiteness.x > 0.2


def test_a_background_that_the_scanner_suppressed_is_left_out(head, head_scan) -> None:
    """Between zero and the floor no expectation holds; it was told as a denoiser's shift."""
    around = np.ones_like(head.mask)
    data, truth = head_scan.data.copy(), head.truth.copy()
    data[~head.mask] *= 0.2
    truth[~head.mask] = 0
    scan = Scan(data, head_scan.affine, head_scan.gradients, mask=around, sigma=head_scan.sigma)
    judged = verdict(truth, scan)
    assert judged.level == "PASS", judged.reasons
    assert any("suppressed the background" in note for note in judged.notes)
    plain = Scan(
        head_scan.data, head_scan.affine, head_scan.gradients, mask=around, sigma=head_scan.sigma
    )
    assert verdict(head.truth, plain) == Verdict("PASS", (), ())


def test_a_denoiser_that_removes_half_of_the_noise_does_not_fail(head, head_scan):
    bright = (head.truth > 3 * head.sigma[..., None]).all(-1)
    half = Scan(
        head_scan.data,
        head_scan.affine,
        head_scan.gradients,
        mask=bright & head.mask,
        sigma=head_scan.sigma,
    )
    assert failed(verdict((head.truth + head_scan.data) / 2, half)) == set()


def test_a_removed_floor_of_several_channels_is_read_as_such() -> None:
    """The truth itself, of a four-channel magnitude: what it lacks of the raw is the floor."""
    s = phantom(
        shape=(40, 44, 12), shells=((2000.0, 24),), n_b0=4, snr=15, noise="nc-chi", coils=4, seed=9
    )
    evaluation = evaluate(s.truth, s.scan, mask=s.mask, sigma=s.sigma)
    assert evaluation.verdict is not None
    assert evaluation.verdict.level == "PASS", evaluation.verdict.reasons
    assert abs(evaluation.value("residual.shift", "b2000")) < 0.05


@pytest.mark.parametrize("wrong", [0.95, 1.06])
def test_a_sigma_a_little_wrong_makes_no_shift_of_dark_volumes(wrong: float) -> None:
    """The truth itself; what is at the noise floor is held against an expectation made of σ."""
    s = phantom(
        shape=(30, 32, 10), shells=((3000.0, 24),), n_b0=4, snr=12, noise="nc-chi", coils=8, seed=9
    )
    sigma = (s.sigma * wrong).astype(np.float32)
    inputs = EvaluationInputs(s.truth, s.scan, s.mask, sigma, coils=8)
    findings = residual_findings(inputs, residual_of(inputs))
    assert abs(findings.standard_mean["b3000"]) > SHIFT[0]
    assert "shift" not in {r.code for r in judge(findings).reasons}


def test_noise_that_was_averaged_over_neighbours_is_a_note_and_no_reason() -> None:
    """Without a signal to lose, a blur removes noise only; with one it fails (above)."""
    flat = np.full((24, 24, 16, 30), 1000.0)
    raw = flat + np.random.default_rng(3).normal(scale=20.0, size=flat.shape)
    gradients = scheme([(1000.0, 26)], n_b0=4, seed=1)
    mask, sigma = np.ones(flat.shape[:3], bool), np.full(flat.shape[:3], 20.0)
    scan = Scan(raw.astype(np.float32), np.eye(4), gradients, mask=mask, sigma=sigma)
    judged = verdict(gaussian_filter(raw, (0.7, 0.7, 0.7, 0)), scan)
    assert "space" not in {r.code for r in judged.reasons}
    assert any("noise was averaged over neighbours" in note for note in judged.notes)


@pytest.mark.parametrize("wrong", [0.92, 1.08])
def test_a_sigma_wrong_by_a_twelfth_makes_no_spot_and_no_anatomy_of_a_floor(wrong: float) -> None:
    """With four channels the floor is 2.7 σ high, and the truth was told to be darker than it."""
    s = phantom(
        (34, 38, 14), shells=((2000.0, 20),), n_b0=2, snr=12, noise="nc-chi", coils=4, seed=6
    )
    around = np.ones_like(s.mask)
    sigma = wrong * s.sigma.astype(float)
    scan = Scan(s.scan.data, s.scan.affine, s.scan.gradients, mask=around, sigma=sigma)
    inputs = EvaluationInputs(s.truth, scan, around, sigma, coils=4.0)
    judged = judge(residual_findings(inputs, residual_of(inputs)))
    assert {"local", "anatomy"}.isdisjoint(r.code for r in judged.reasons), judged.reasons


@pytest.mark.parametrize("wrong", [0.96, 1.04])
def test_a_sigma_wrong_by_a_little_makes_no_shift_of_a_floor(wrong: float) -> None:
    """The floor follows σ: of four channels it is 2.7 σ, and its sd 0.7 σ."""
    s = phantom(
        (34, 38, 14), shells=((3000.0, 20),), n_b0=6, snr=20, noise="nc-chi", coils=4, seed=7
    )
    sigma = wrong * s.sigma.astype(float)
    scan = Scan(s.scan.data, s.scan.affine, s.scan.gradients, mask=s.mask, sigma=sigma)
    inputs = EvaluationInputs(s.truth, scan, s.mask, sigma, coils=4.0)
    findings = residual_findings(inputs, residual_of(inputs))
    assert abs(findings.standard_mean["b3000"]) > SHIFT[0]
    assert "shift" not in {r.code for r in judge(findings).reasons}


def test_successive_volumes_that_are_alike_are_told_and_a_fit_across_few_is_not() -> None:
    rng, gradients = np.random.default_rng(5), scheme([(1000.0, 6)], n_b0=2, seed=1)
    flat = np.full((20, 20, 12, 8), 1000.0)
    noise = rng.normal(scale=20.0, size=flat.shape)
    mask, sigma = np.ones(flat.shape[:3], bool), np.full(flat.shape[:3], 20.0)

    def of(noise: np.ndarray, clean: np.ndarray) -> set[str]:
        data = (flat + noise).astype(np.float32)
        scan = Scan(data, np.eye(4), gradients, mask=mask, sigma=sigma)
        return {r.code for r in verdict(clean, scan).reasons}

    assert "volumes" not in of(noise, flat + noise.mean(3, keepdims=True))  # −1/7 between all
    drift = noise.copy()
    drift[..., 1:] = (noise[..., 1:] + noise[..., :-1]) / 2**0.5
    assert "volumes" in of(drift, flat)
