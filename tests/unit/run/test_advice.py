"""A refusal for too few volumes names methods that really take the scan: each is tried."""

import re
from dataclasses import replace

import numpy as np
import pytest

from dwiser.errors import InputError
from dwiser.methods.registry import METHODS
from dwiser.run import denoise
from dwiser.scan import Gradients, Scan
from dwiser.simulation import phantom

REFUSING = [name for name, entry in METHODS.items() if entry.available and name != "identity"]


def series(b0s: int, directions: int) -> Scan:
    """So many b0s and directions of one small phantom."""
    scan = phantom(shape=(10, 11, 5), shells=((1000.0, 6),), n_b0=8, seed=3).scan
    table = scan.gradients
    kinds = np.flatnonzero(table.is_b0)[:b0s], np.flatnonzero(~table.is_b0)[:directions]
    chosen = np.concatenate(kinds)
    few = Gradients(table.bvals[chosen], table.bvecs[chosen])
    return replace(scan, data=scan.data[..., chosen], gradients=few)


@pytest.mark.parametrize(("b0s", "directions"), [(3, 0), (8, 0), (1, 1), (1, 3), (0, 4)])
@pytest.mark.filterwarnings("ignore")
def test_each_method_that_is_advised_takes_the_scan(b0s: int, directions: int) -> None:
    scan, tried = series(b0s, directions), set()
    for name in REFUSING:
        if METHODS[name].load()().capabilities.shortage(b0s, directions) is None:
            continue
        with pytest.raises(InputError) as refusal:
            denoise(scan, name, threads=1)
        advised = re.search(r"take --method (\w+)(?: or (\w+))?\.$", str(refusal.value))
        assert advised is not None, refusal.value
        tried |= {method for method in advised.groups() if method}
    assert tried
    for method in tried:
        assert np.isfinite(denoise(scan, method, threads=1).data).all()


@pytest.mark.filterwarnings("ignore")
def test_b0s_alone_have_an_uncertainty() -> None:
    scan = series(6, 0)
    result = denoise(scan, threads=1, uncertainty=True)
    assert result.uncertainty is not None
    assert result.mask is not None
    assert (result.uncertainty[result.mask] > 0).all()
