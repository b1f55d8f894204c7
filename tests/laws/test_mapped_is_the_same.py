"""Whether a scan lies in memory or in a file changes nothing in what comes out."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.memmap import allocate_mapped, is_mapped, writable_copy
from dwiser.run import denoise

FEW = {"difusion": {"iterations": 3}, "splitnet": {"iterations": 3}}


@pytest.mark.filterwarnings("ignore::dwiser.errors.DwiserWarning")
@pytest.mark.parametrize(
    "method", ["identity", "gaussian", "splitq", "subspace", "splitnet", "difusion"]
)
def test_a_mapped_scan_gives_the_same_and_its_result_is_mapped(small, method: str) -> None:
    room = allocate_mapped(small.scan.shape)
    room[:] = small.scan.data
    preset = "smoke" if method in FEW or method == "splitq" else "laptop"
    in_memory, mapped = (
        denoise(replace(small.scan, data=data), method, preset, threads=1, **FEW.get(method, {}))
        for data in (writable_copy(small.scan.data), room)
    )
    assert is_mapped(mapped.data)
    assert not is_mapped(in_memory.data)
    np.testing.assert_allclose(mapped.data, in_memory.data, rtol=1e-5, atol=1e-3)
