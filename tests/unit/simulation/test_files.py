"""Texts become settings, and a simulation becomes maps that are true."""

import numpy as np
import pytest

from dwiser.errors import Code
from dwiser.simulation import Simulation
from dwiser.simulation.files import parse_shape, parse_shells, truth_maps
from tests.refusals import refused


def test_shells_and_shape_are_read() -> None:
    assert parse_shells("1000:64,2000:32") == ((1000.0, 64), (2000.0, 32))
    assert parse_shells(" 700 : 6 ") == ((700.0, 6),)
    assert parse_shape("65,78, 66") == (65, 78, 66)


@pytest.mark.parametrize("text", ["", "1000", "1000:", ":6", "1000:6.5", "1000:6;2000:6", "a:b"])
def test_other_shells_are_refused_with_an_example(text: str) -> None:
    with refused(Code.ARGUMENT_VALUE, f"--shells '{text}'", "such as 1000:64,2000:64"):
        parse_shells(text)


@pytest.mark.parametrize("text", ["", "65", "65,78", "65,78,66,1", "65x78x66", "6.5,7,8"])
def test_other_shapes_are_refused_with_an_example(text: str) -> None:
    with refused(Code.ARGUMENT_VALUE, f"--shape '{text}'", "such as 65,78,66"):
        parse_shape(text)


def test_peaks_are_the_populations_axes_as_long_as_their_volume_fractions(
    small: Simulation,
) -> None:
    peaks = truth_maps(small)["peaks"].reshape(*small.mask.shape, -1, 3)
    lengths = np.linalg.norm(peaks, axis=-1)
    white = small.tissues["wm"]
    np.testing.assert_allclose(lengths.sum(-1)[small.mask], white[small.mask], atol=1e-5)
    held = lengths > 1e-3
    along = (peaks[held] / lengths[held][:, None] * small.axes[held]).sum(-1)
    np.testing.assert_allclose(along, 1, atol=1e-4)


def test_lesions_are_among_the_maps_only_where_there_are_some(small: Simulation) -> None:
    assert "lesions" not in truth_maps(small)
    assert {"f_wm", "f_gm", "f_csf"} <= set(truth_maps(small))
