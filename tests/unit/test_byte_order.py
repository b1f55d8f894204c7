"""Arrays as nibabel gives them, "<f4": float32 to NumPy, another type to compiled code."""

from dataclasses import replace

import numpy as np

from dwiser.methods.registry import build
from dwiser.run import denoise
from dwiser.scan import Scan


def test_a_scan_may_hold_what_nibabel_read(crop: Scan) -> None:
    small = crop.data[:10, :10, :6]
    kind = np.dtype(np.float32).newbyteorder("<")
    sigma = np.full(small.shape[:3], 30, np.float32)
    plain = Scan(small, crop.affine, crop.gradients, sigma=sigma)
    read = replace(plain, data=small.astype(kind), sigma=sigma.astype(kind))
    assert memoryview(read.data[0, 0, 0].copy()).format == "f"
    method = build("splitq", "smoke")
    one, other = (denoise(s, method, threads=1, device="cpu").data for s in (plain, read))
    np.testing.assert_array_equal(one, other)
