"""Volumes of noise alone."""

from collections.abc import Callable

import numpy as np

from tests.real_inputs.situation import Ran, Series, Situation

REPORTED = ("MRtrix3/mrtrix3 #3031", "SteenMoeller/NORDIC_Raw #22")
SPLIT = ("bids-standard/bids-specification #1024", "rordenlab/dcm2niix #1025")


def _noise(series: Series, count: int, share: float = 1.0) -> list[np.ndarray]:
    """Magnitudes of the series' own noise, without signal."""
    draw = np.random.default_rng(11).standard_normal
    sigma = share * series.made.sigma
    shape = sigma.shape
    return [sigma * np.hypot(draw(shape), draw(shape)) for _ in range(count)]


def _at_the_end(series: Series) -> None:
    for volume in _noise(series, 3):
        series.append(volume)


def _with_a_weaker_one(series: Series) -> None:
    for volume in [*_noise(series, 1, 0.8), *_noise(series, 4)]:
        series.append(volume)


def _as_an_image(name: str) -> Callable[[Series], None]:
    def change(series: Series) -> None:
        (series.folder / name).parent.mkdir(parents=True, exist_ok=True)
        series.save(np.stack(_noise(series, 4), -1), name)

    return change


def _in_a_dataset(series: Series) -> None:
    series.name = "raw/sub-01/dwi/sub-01_dwi"
    series.files["raw/dataset_description.json"] = {"Name": "one", "BIDSVersion": "1.10.0"}
    series.files["raw/README"] = "Phantoms, made by code, for tests of a denoiser.\n" * 4
    series.files["raw/.bidsignore"] = "*_noRF.nii.gz\n"  # BIDS 1.10 has the suffix, but not in dwi
    _as_an_image("raw/sub-01/dwi/sub-01_noRF.nii.gz")(series)


def _sigma_is_right(ran: Ran, name: str, share: float = 0.04) -> None:
    made = ran.series.made
    ratio = ran.image(name)[made.mask] / made.sigma[made.mask]
    assert abs(float(np.median(ratio)) - 1) < share
    assert float(np.std(ratio)) < share


def _give_sigma(ran: Ran) -> None:
    ran.ok("Volumes 20-22", "noise alone")
    _sigma_is_right(ran, "sigma.nii.gz")
    out = ran.image()
    assert np.array_equal(out[..., 20:], ran.series.data[..., 20:])
    assert ran.error(out, slice(0, 20)) < 0.45
    record = ran.record()
    assert record["NoiseVolumes"] == [20, 21, 22]
    assert record["coils"] == 1
    assert "volumes of noise alone" in record["NoiseModel"]
    assert record["Shells"][0] == {"bval": 0, "volumes": 2}
    assert record["Verdict"]["Level"] == "PASS"


def _the_weak_one_is_named(ran: Ran) -> None:
    ran.ok("Volumes 20-24", "noise alone", "noise volumes, 20", "20%")
    _sigma_is_right(ran, "sigma.nii.gz")


def _info_counts_two_b0s(ran: Ran) -> None:
    ran.ok("Volumes 20-22", "noise alone", "b0 volumes  2 (at 0, 1")
    line = next(line for line in ran.out.splitlines() if line.startswith("SNR"))
    snr = float(line.split("b=0: ")[1].split(",")[0])
    assert abs(snr / 20 - 1) < 0.1


def _image_gives_sigma(name: str) -> Callable[[Ran], None]:
    def check(ran: Ran) -> None:
        ran.ok()
        _sigma_is_right(ran, name)

    return check


ROWS = (
    Situation(
        name="noise-volumes-at-the-end",
        reported=REPORTED,
        happens="Three volumes acquired without excitation (RF off) end the series, with b = 0.",
        expected="They are named, tell σ and the channels, and come back unchanged.",
        before="Denoised as b0s: σ 30.0 for 39.0, RMSE 0.61 σ for 0.44, two WARNs.",
        change=_at_the_end,
        check=_give_sigma,
        commands=("denoise dwi.nii.gz out.nii.gz --save-noise sigma.nii.gz",),
    ),
    Situation(
        name="info-of-noise-volumes",
        reported=REPORTED,
        happens="The same, and `dwiser info` is asked.",
        expected="They are no b0s: two b0s are counted, and the SNR is that of these.",
        before="5 b0s, SNR 11.7 where 20 is right.",
        change=_at_the_end,
        check=_info_counts_two_b0s,
        commands=("info dwi.nii.gz",),
    ),
    Situation(
        name="a-weaker-noise-volume",
        reported=REPORTED,
        happens="The first of five noise volumes is weaker by a fifth.",
        expected="It is named, and σ is read from the other four.",
        before="σ 0, “No noise was found”, exit 0, nothing denoised.",
        change=_with_a_weaker_one,
        check=_the_weak_one_is_named,
        commands=("denoise dwi.nii.gz out.nii.gz --save-noise sigma.nii.gz",),
    ),
    Situation(
        name="noise-volumes-by-number",
        reported=REPORTED,
        happens="The user knows which volumes they are: `--noise-volumes 20-22`.",
        expected="The same as where they are found; a number that is not there is refused.",
        before="No such option.",
        change=_at_the_end,
        check=_give_sigma,
        commands=("denoise dwi.nii.gz out.nii.gz --noise-volumes 20-22 --save-noise sigma.nii.gz",),
    ),
    Situation(
        name="evaluating-with-noise-volumes",
        reported=REPORTED,
        happens="A result of a series with noise volumes is evaluated.",
        expected="They are left out of every number, found or given, and said to be.",
        before="They counted as b0s: WARN, directional signal was removed.",
        change=_at_the_end,
        check=lambda ran: ran.ok("volumes: Volumes 20-22", "noise alone", "verdict: PASS"),
        commands=(
            "denoise dwi.nii.gz out.nii.gz",
            "evaluate out.nii.gz --raw dwi.nii.gz --noise-volumes 20-22",
        ),
    ),
    Situation(
        name="a-noise-volume-that-is-not-there",
        reported=(),
        happens="`--noise-volumes 20-25` for a series of 23 volumes.",
        expected="One sentence with the volumes that there are.",
        before="No such option.",
        change=_at_the_end,
        check=lambda ran: ran.refused("noise volume 23", "0 to 22"),
        commands=("denoise dwi.nii.gz out.nii.gz --noise-volumes 20-25",),
    ),
    Situation(
        name="an-image-of-noise-volumes",
        reported=SPLIT,
        happens="The noise volumes are a file of their own.",
        expected="`--noise-volumes FILE` takes σ and channels from it.",
        before="No such option.",
        change=_as_an_image("noise.nii.gz"),
        check=_image_gives_sigma("out.nii.gz"),
        commands=("denoise dwi.nii.gz out.nii.gz --noise-only --noise-volumes noise.nii.gz",),
    ),
    Situation(
        name="norf-beside-a-series-of-a-dataset",
        reported=SPLIT,
        happens="A dataset has the noise volumes beside the series, with BIDS's suffix noRF.",
        expected="They are used, and named among the sources.",
        before="Not looked at.",
        change=_in_a_dataset,
        check=_image_gives_sigma("out/sub-01/dwi/sub-01_desc-sigma_dwimap.nii.gz"),
        commands=("bids raw out participant",),
    ),
)
