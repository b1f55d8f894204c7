"""Steps before leave their traces in the noise; a raw scan has none."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from dwiser.methods.registry import build
from dwiser.prepare.earlier_steps import components_of_noise, noise_traces
from dwiser.run import denoise
from dwiser.run.survey import survey
from dwiser.scan import Gradients, Scan
from dwiser.simulation import phantom

SHAPE = (36, 40, 14)


def scan(directions: int = 30, **settings: object) -> Scan:
    s = phantom(SHAPE, shells=((1000.0, directions),), n_b0=2, snr=20, seed=9, **settings)
    return replace(s.scan, mask=s.mask)


def words(scan: Scan) -> str:
    traces = noise_traces(scan)
    assert traces is not None
    assert len(traces.sentences) <= 1
    return "".join(traces.sentences)


@pytest.fixture(scope="module")
def raw() -> Scan:
    return scan()


@pytest.mark.parametrize(("directions", "texture"), [(6, 0.5), (12, 0.0), (40, 0.5)])
def test_a_raw_scan_shows_nothing(directions: int, texture: float) -> None:
    assert words(scan(directions, texture=texture, sigma_map="gfactor")) == ""


def test_many_volumes_of_a_raw_scan_show_nothing() -> None:
    """Of 288 volumes and 343 voxels noise itself leaves the weakest components weak."""
    few, count = scan(6), 288
    shape, rng = (16, 18, 8), np.random.default_rng(4)
    sigma = np.linspace(3, 9, shape[0])[:, None, None, None]
    data = (100 + sigma * rng.standard_normal((*shape, count))).astype(np.float32)
    vectors = rng.standard_normal((count, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = Gradients(np.full(count, 1000.0), vectors)
    many = replace(few, data=data, gradients=table, mask=np.ones(shape, bool))
    traces = noise_traces(many)
    assert traces is not None
    assert traces.sentences == ()
    assert abs(traces.components / traces.of_noise - 1) < 0.25


@pytest.mark.parametrize(
    ("volumes", "samples"), [(10, 300.0), (32, 342.0), (32, 100.0), (60, 80.0)]
)
def test_components_of_noise_are_those_of_white_noise(volumes: int, samples: float) -> None:
    rng, ratios = np.random.default_rng(3), []
    for _ in range(60):
        x = rng.standard_normal((volumes, int(samples)))
        power = np.linalg.eigvalsh(x @ x.T)
        ratios.append(power[volumes // 10] / power[volumes // 2])
    assert np.median(ratios) == pytest.approx(components_of_noise(volumes, samples), rel=0.05)


def test_partial_fourier_and_channels_are_raw_too() -> None:
    assert words(scan(partial_fourier=0.75, noise="nc-chi", coils=4)) == ""


def test_zero_filling_leaves_the_edges_of_k_space_empty() -> None:
    assert "zero-filled" in words(scan(zero_fill=1.4))


@pytest.mark.parametrize("step", ["linear", "cubic", "smoothed"])
def test_resampling_and_smoothing_make_neighbours_alike_along_every_axis(
    raw: Scan, step: str
) -> None:
    rng, data = np.random.default_rng(1), raw.data.copy()
    for v in range(data.shape[3]):
        if step == "smoothed":
            data[..., v] = gaussian_filter(raw.data[..., v], 0.6)
        else:
            by, order = rng.uniform(0.25, 0.5, 3), 1 if step == "linear" else 3
            data[..., v] = shift(raw.data[..., v], by, order=order, mode="nearest").clip(0)
    assert "resampled or smoothed" in words(replace(raw, data=data))


def test_what_was_denoised_is_told_before_the_work_and_by_info(raw: Scan) -> None:
    """Its weakest components hold no noise."""
    done = denoise(raw, build("patch2self"), threads=1, device="cpu", seed=1)
    assert not [w for w in done.record["Warnings"] if "looks" in w]
    again = replace(raw, data=done.data)
    with pytest.warns(match="looks denoised already"):
        record = denoise(again, build("gaussian"), threads=1, device="cpu").record
    assert any("looks denoised already" in w for w in record["Warnings"])
    looked = survey(again, build("gaussian"), device="cpu", threads=1)
    assert "denoised already" in looked.earlier_steps[0]
    assert survey(raw, build("gaussian"), device="cpu", threads=1).earlier_steps == ()


def test_too_few_volumes_or_slices_tell_nothing(raw: Scan) -> None:
    assert noise_traces(scan(5)) is None
    thin = replace(raw, data=raw.data[:, :, :5].copy(), mask=raw.mask[:, :, :5])
    assert noise_traces(thin) is None
