"""Blur: its width in mm, and nothing from outside the mask."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.methods.gaussian import Gaussian, blurred


def test_a_constant_in_the_mask_stays_whatever_lies_outside() -> None:
    mask = np.zeros((12, 10, 8), bool)
    mask[2:9, 3:7, 1:6] = True
    image = np.where(mask, 3.0, 1e6)
    np.testing.assert_allclose(blurred(image, mask, (1.5, 1.0, 0.7))[mask], 3.0, rtol=1e-12)


def test_a_point_spreads_to_the_width_asked_for_in_mm(small, machine) -> None:
    voxel, fwhm = np.array([1.0, 2.0, 2.5]), 5.0
    data = np.zeros((41, 21, 17, 2), np.float32)
    data[20, 10, 8] = 1.0
    scan = replace(
        small.scan,
        data=data,
        affine=np.diag([*voxel, 1.0]),
        gradients=small.scan.gradients.__class__(np.array([0.0, 1000.0]), np.eye(3)[:2]),
        mask=np.ones(data.shape[:3], bool),
        sigma=np.ones(data.shape[:3], np.float32),
    )
    out = Gaussian(fwhm=fwhm).denoise(scan, machine=machine, seed=0).data[..., 0].astype(float)
    for axis, size in enumerate(voxel):
        profile = out.sum(tuple(a for a in range(3) if a != axis))
        place = (np.arange(len(profile)) - len(profile) // 2) * size
        sd = np.sqrt((profile * place**2).sum() / profile.sum())
        assert sd == pytest.approx(fwhm / 2.3548, rel=0.02)


def test_no_width_is_no_blur(small, machine) -> None:
    result = Gaussian(fwhm=0.0).denoise(small.scan, machine=machine, seed=0)
    np.testing.assert_allclose(result.data, small.scan.data, rtol=1e-6)
