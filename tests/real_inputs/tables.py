"""Gradient tables."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dwiser.scan import Gradients
from tests.real_inputs.situation import Ran, Series, Situation, s7, s36

BLUR = "denoise dwi.nii.gz out.nii.gz --method gaussian"
INFO = "info dwi.nii.gz"
ADVICE = "It was refused with the advice to raise `--b0-threshold`"


def table(change: Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]) -> Callable[[Series], None]:
    """Another table (b-values, b-vectors) for the same volumes."""

    def changed(series: Series) -> None:
        assert series.bvals is not None
        assert series.bvecs is not None
        series.bvals, series.bvecs = change(series.bvals, series.bvecs)

    return changed


def lengths(b: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Vectors as long as the roots of their b-values over the largest."""
    return g * np.sqrt(b / b.max())[:, None]


def with_trace(series: Series) -> None:
    """What a scanner appends: the mean of the directions, with their b-value."""
    assert series.bvals is not None
    series.append(series.data[..., series.bvals > 0].mean(3), 1000.0)


def half_spherical(series: Series) -> None:
    """Every second DWI has spherical encoding: the mean of the directions, no vector."""
    assert series.bvals is not None
    assert series.bvecs is not None
    made = series.made
    shell = np.flatnonzero(series.bvals == 1000)
    noise = series.data - made.truth
    mean = made.truth[..., shell].mean(3)
    for v in shell[::2]:
        series.data[..., v] = np.abs(mean + noise[..., v])
        series.bvecs[v] = 0


def are_b0s(ran: Ran) -> None:
    ran.ok("Volumes 0, 10", "have b=1000 s/mm² but a null vector, and are bright as b0s")
    assert ran.record()["Shells"][0] == {"bval": 0.0, "volumes": 2}
    assert Gradients(*as_written(ran)).bvals.tolist() == ran.series.bvals.tolist()  # as it came
    assert ran.error() < 0.6


def as_written(ran: Ran) -> tuple[np.ndarray, np.ndarray]:
    """The output's table."""
    folder = ran.series.folder
    return np.loadtxt(folder / "out.bval"), np.loadtxt(folder / "out.bvec").T


def scaled(ran: Ran) -> None:
    ran.ok("b-vectors of 16 DWIs (volumes", "b·|g|² was taken", "b=0: 4, b=1000: 16, b=2000: 16")
    assert [row["volumes"] for row in ran.record()["Shells"]] == [4, 16, 16]
    bvals, bvecs = as_written(ran)
    np.testing.assert_array_equal(bvals, ran.series.bvals)  # the table goes out as it came
    np.testing.assert_array_equal(bvecs, ran.series.bvecs)


def says(*words: object) -> Callable[[Ran], None]:
    return lambda ran: ran.ok(*words)


def refuses(*words: object) -> Callable[[Ran], None]:
    return lambda ran: ran.refused(*words)


def denoised_without_directions(ran: Ran) -> None:
    ran.ok("verdict PASS")
    assert ran.error() < 0.6


def evaluated(ran: Ran) -> None:
    ran.ok("(6 DWIs have no direction)")
    values = ran.record("e.json")
    assert "NaN" not in ran.series.folder.joinpath("e.json").read_text()
    assert values["verdict"]["level"] in ("PASS", "WARN", "FAIL")


ROWS: tuple[Situation, ...] = (
    Situation(
        name="ge-b0s-with-the-nominal-b",
        reported=("MRtrix3/mrtrix3 #2231", "rordenlab/dcm2niix #245"),
        happens="b0s between the directions have the shell's b-value and a null vector (GE).",
        expected="They are as bright as b0s, so they are b0s: it says so, names them and the "
        "option that keeps the b-value; the table goes out as it came.",
        before=f"{ADVICE}, by which the DWIs would have become b0s too.",
        change=table(lambda b, g: (np.full(len(b), 1000.0), g)),
        check=are_b0s,
    ),
    Situation(
        name="null-vector-with-a-small-b",
        reported=("rordenlab/dcm2niix #356",),
        happens="The b0 has b=60 and a null vector, above the threshold of 50.",
        expected="It counts as a b0, with a sentence.",
        before=f"{ADVICE}.",
        change=table(lambda b, g: (np.where(b == 0, 60.0, b), g)),
        check=says(
            "b0 volumes  1", "Volume 0", "b=60 s/mm² but a null vector, and is bright as b0s"
        ),
        commands=(INFO,),
        base=s7,
    ),
    Situation(
        name="null-vector-of-a-mean",
        reported=("rordenlab/dcm2niix #777",),
        happens="The last volume is the mean of the directions, with their b-value and no vector.",
        expected="It is no b0: it is as dark as the directions, and the sentence says so.",
        before=f"{ADVICE}, by which all DWIs would have become b0s.",
        change=with_trace,
        check=says("b0 volumes  2", "Volume 20", "null vector, and is no brighter than DWIs"),
        commands=(INFO,),
    ),
    Situation(
        name="b-value-scaling",
        reported=("rordenlab/dcm2niix #245", "rordenlab/dcm2niix #456"),
        happens="Both shells have b=2000, and the vectors of b=1000 have length 0.71 (GE).",
        expected="b times the squared length gives the shells, as MRtrix does; the table goes out "
        "as it came.",
        before=f"{ADVICE}, by which both shells would have become b0s.",
        change=table(lambda b, g: (np.where(b > 0, 2000.0, 0.0), lengths(b, g))),
        check=scaled,
        commands=(BLUR,),
        base=s36,
    ),
    Situation(
        name="b-value-scaling-is-in-the-b-values-too",
        reported=("MICA-MNI/micapipe #41", "MICA-MNI/micapipe #62"),
        happens="The b-values are right, and the vectors are shorter in the lower shell all the "
        "same (ABCD).",
        expected="The b-values are taken as they are, with a sentence: scaling again would be "
        "wrong.",
        before=f"{ADVICE}, by which the lower shell would have become b0s.",
        change=table(lambda b, g: (b, lengths(b, g))),
        check=says("b=1000: 16, b=2000: 16", "hold the scaling already"),
        commands=(INFO,),
        base=s36,
    ),
    Situation(
        name="b-value-scaling-off",
        reported=("MICA-MNI/micapipe #62",),
        happens="A user knows that the b-values are right although the vectors are shorter.",
        expected="`--bvalue-scaling no` takes the directions alone.",
        before="There was no such option.",
        change=table(lambda b, g: (np.where(b > 0, 2000.0, 0.0), lengths(b, g))),
        check=says("shells      b=0: 4, b=2000: 32"),
        commands=(f"{INFO} --bvalue-scaling no",),
        base=s36,
    ),
    Situation(
        name="vectors-of-any-length",
        reported=("rordenlab/dcm2niix #860",),
        happens="A converter wrote vectors of length 0.6 to 1.2 (Siemens XA50).",
        expected="One sentence with the volumes, and the option that takes their directions.",
        before=f"{ADVICE}, naming the first of them only.",
        change=table(lambda b, g: (b, g * np.linspace(0.5, 1.2, len(b))[:, None])),
        check=refuses(
            "dwi.bvec", "of 4 DWIs (volumes 1-3, 6)", "0.617 to 1.2", "--bvalue-scaling no"
        ),
        base=s7,
    ),
    Situation(
        name="vectors-of-any-length-taken-all-the-same",
        reported=("ekaden/smt #5",),
        happens="The same, and the user follows the sentence.",
        expected="The directions alone are used.",
        before="There was no such option.",
        change=table(lambda b, g: (b, g * np.linspace(0.5, 1.2, len(b))[:, None])),
        check=says("b=0: 1, b=1000: 6"),
        commands=(f"{INFO} --bvalue-scaling no",),
        base=s7,
    ),
    Situation(
        name="nan-for-a-direction",
        reported=("MRtrix3/mrtrix3 #2577",),
        happens="A tool wrote NaN for the vector of a DWI.",
        expected="One sentence that says so and names the volume.",
        before=f"{ADVICE}, for a vector “not of unit length (nan)”.",
        change=table(lambda b, g: (b, np.where(np.arange(len(b))[:, None] == 3, np.nan, g))),
        check=refuses("dwi.bvec", "1 DWI (volume 3) hold NaN", "correct the table"),
        base=s7,
    ),
    Situation(
        name="b-values-in-s-per-m2",
        reported=("robbert-harms/MDT #27",),
        happens="The b-values are in SI units: 1e9 for 1000 s/mm².",
        expected="It is refused with the factor: tools after this one would misread it too.",
        before="It was denoised, and the sidecar says b=1e9; the error of this scan is 0.77 σ.",
        change=table(lambda b, g: (b * 1e6, g)),
        check=refuses("dwi.bval", "1e+09", "s/m² (1000 s/mm²)", "divide the table by 1000000"),
        base=s7,
    ),
    Situation(
        name="b-values-in-ms-per-um2",
        reported=("muscbridge/PyDKE #230",),
        happens="The b-values are 1 and 2 (ms/µm²), so that all volumes would count as b0s.",
        expected="It is refused with the factor, for those volumes are too dark for b0s.",
        before="It was refused: the scan had 0 diffusion-weighted volumes.",
        change=table(lambda b, g: (b / 1000, g)),
        check=refuses("dwi.bval", "reach 2 only", "ms/µm²", "multiply the table by 1000"),
        base=s36,
    ),
    Situation(
        name="small-b-values-of-b0s",
        reported=("MRtrix3/mrtrix3 #2577",),
        happens="b0s have b-values of 5 and vectors of length 1.",
        expected="They count as b0s.",
        before="The same.",
        change=table(lambda b, g: (np.where(b == 0, 5.0, b), np.where(b[:, None], g, [1, 0, 0]))),
        check=says("b0 volumes  1 (at 0", "b=0: 1, b=1000: 6"),
        commands=(INFO,),
        base=s7,
    ),
    Situation(
        name="no-directions-at-all",
        reported=("rordenlab/dcm2niix #270",),
        happens="A trace or isotropic scan: b-values without any vector.",
        expected="`info` shows its shells, and that it has no directions.",
        before=f"{ADVICE}.",
        change=table(lambda b, g: (b, g * 0)),
        check=says("b=0: 2, b=1000: 18", "directions  none"),
        commands=(INFO,),
    ),
    Situation(
        name="no-directions-denoised",
        reported=("dipy/dipy #1991",),
        happens="The same is denoised by the default method.",
        expected="It is denoised: the method uses directions where there are some.",
        before=f"{ADVICE}.",
        change=table(lambda b, g: (b, g * 0)),
        check=denoised_without_directions,
    ),
    Situation(
        name="no-directions-for-a-method-that-needs-them",
        reported=("dipy/dipy #1991",),
        happens="The same, with a method that pairs neighbouring directions.",
        expected="One sentence that names methods which take it.",
        before=f"{ADVICE}.",
        change=table(lambda b, g: (b, g * 0)),
        check=refuses("needs directions", "18 DWIs", "splitq"),
        commands=(
            "denoise dwi.nii.gz out.nii.gz --method difusion --preset smoke --set pairing=angular",
        ),
    ),
    Situation(
        name="no-directions-evaluated",
        reported=("dipy/dipy #1991",),
        happens="The result of a scan without directions is evaluated.",
        expected="A verdict; what needs directions is absent with its reason, and nothing is NaN.",
        before=f"{ADVICE}.",
        change=table(lambda b, g: (b, g * 0)),
        check=evaluated,
        commands=(BLUR, "evaluate out.nii.gz --raw dwi.nii.gz --json e.json"),
        base=s7,
    ),
    Situation(
        name="spherical-beside-linear-encoding",
        reported=("MRtrix3/mrtrix3 #2603",),
        happens="Half of the DWIs have spherical b-tensors: the same b-value, no vector.",
        expected="They are DWIs without a direction; all are denoised.",
        before=f"{ADVICE}.",
        change=half_spherical,
        check=lambda ran: ran.ok("no brighter than DWIs: taken for DWIs without a direction"),
        commands=(BLUR,),
    ),
)
