"""The number of channels, read off a background of noise and of nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from dwiser.prepare.coils import background_coils
from dwiser.scan import Scan
from dwiser.simulate import phantom


@pytest.mark.parametrize(("noise", "coils"), [("rician", 1), ("nc-chi", 4), ("nc-chi", 8)])
def test_channels_are_counted(noise: str, coils: int) -> None:
    s = phantom(
        shape=(36, 40, 12), shells=((1000.0, 20),), n_b0=2, noise=noise, coils=coils, seed=4
    )
    assert background_coils(s.scan, s.mask) == pytest.approx(coils, rel=0.05)


def test_a_zeroed_background_and_ghosts_do_not_tell() -> None:
    s = phantom(shape=(36, 40, 12), shells=((1000.0, 20),), n_b0=2, noise="nc-chi", coils=4, seed=4)
    zeroed = replace(s.scan, data=s.scan.data * s.mask[..., None])
    assert background_coils(zeroed, s.mask) == 1.0
    ghost = s.scan.data + 0.2 * np.roll(s.truth, 18, axis=1)
    ghosted = Scan(ghost.astype(np.float32), s.scan.affine, s.scan.gradients)
    assert background_coils(ghosted, s.mask) == 1.0
