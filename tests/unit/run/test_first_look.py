"""The first look at a series gives the same on any number of threads."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from dwiser import simulate
from dwiser.errors import DwiserWarning, InputError
from dwiser.methods.registry import build
from dwiser.run.first_look import first_look

METHOD = build("splitq", "laptop", {})


def _heard(scan, threads: int) -> tuple[list[str], int]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DwiserWarning)
        _, measured = first_look(scan, METHOD, threads=threads)
    return [str(w.message) for w in caught], measured.shape[3]


def _scans():
    scan = simulate((20, 20, 12), shells=[(1000, 20)], n_b0=2, seed=3).scan
    yield "plain", scan
    cut = scan.data.copy()
    np.minimum(cut, np.percentile(cut, 97), out=cut)
    yield "cut off", replace(scan, data=cut)
    twice = cut.copy()
    twice[..., 5], twice[..., 9] = 0, twice[..., 4]
    yield "cut off, an empty volume and a copy", replace(scan, data=twice)


@pytest.mark.parametrize(("kind", "scan"), list(_scans()))
def test_what_is_told_does_not_depend_on_the_threads(kind: str, scan) -> None:
    heard, volumes = _heard(scan, 1)
    assert (heard, volumes) == _heard(scan, 2)
    assert any("cut off" in sentence for sentence in heard) == ("cut off" in kind)
    assert volumes == (20 if "empty" in kind else 22)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_scan_of_too_few_volumes_is_refused(threads: int) -> None:
    scan = simulate((12, 12, 8), shells=[(1000, 3)], n_b0=1).scan
    with pytest.raises(InputError, match="splitq"):
        first_look(scan, METHOD, threads=threads)
