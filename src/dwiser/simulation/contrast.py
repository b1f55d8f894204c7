"""From anatomy to water: each tissue's b0 signal and diffusivities, smoothly varied."""

import numpy as np
from jaxtyping import Float

from dwiser.seeds import stream
from dwiser.simulation.geometry import Anatomy
from dwiser.simulation.shapes import smooth_field
from dwiser.simulation.signal import Compartment, ball
from dwiser.simulation.texture import SMOOTH, Texture

B0_SIGNAL = {"wm": 700.0, "gm": 880.0, "csf": 2200.0}  # a T2-weighted EPI at TE near 80 ms
# mm²/s at body temperature: sticks and tortuous extra-axonal water (Szafer 1995; Zhang 2012)
PARALLEL, GREY, WATER = 1.7e-3, 0.8e-3, 3.0e-3
STICK = 0.6  # share of a fibre's signal that does not leave the axon sideways
VARIED = {"bias": 0.07, "b0": 0.03, "parallel": 0.04, "stick": 0.07, "grey": 0.05}  # sd, relative
TEXTURE_WIDTH = 2.0  # voxels
BIAS_WIDTH = 0.2  # of the grid's mean side: a receive field


def varied(
    shape: tuple[int, ...], what: str, seed: int, place: int = 0
) -> Float[np.ndarray, "x y z"]:
    """A smooth factor around 1 whose sd is ``VARIED[what]``, kept within three sd."""
    width = BIAS_WIDTH * float(np.mean(shape)) if what == "bias" else TEXTURE_WIDTH
    field = smooth_field(shape, width, stream(seed, "texture " + what, place))
    return (1 + VARIED[what] * np.clip(field, -3, 3)).astype(np.float32)


def b0_signal(anatomy: Anatomy, tissue: str, seed: int) -> Float[np.ndarray, "x y z"]:
    """The b0 signal that a voxel full of ``tissue`` would have, scanner's units."""
    shape = anatomy.mask.shape
    own = varied(shape, "b0", seed, list(B0_SIGNAL).index(tissue))
    return B0_SIGNAL[tissue] * anatomy.density * varied(shape, "bias", seed) * own


def compartments(anatomy: Anatomy, seed: int, texture: Texture = SMOOTH) -> list[Compartment]:
    """Sticks and zeppelins of up to three populations, grey and free water in the mask's voxels.

    Each population is a stick (share ~0.6) and a zeppelin of the same axis whose λ⊥ follows
    the tortuosity limit λ∥(1 − stick): together λ⊥ ≈ 0.27e-3 mm²/s.
    ``texture`` varies λ∥, the stick's share and the diffusivity of grey matter by voxel.
    """
    mask = anatomy.mask
    shape = mask.shape
    water = {t: (b0_signal(anatomy, t, seed) * anatomy.tissues[t])[mask] for t in B0_SIGNAL}
    parallel = PARALLEL * varied(shape, "parallel", seed)[mask]
    stick = STICK * varied(shape, "stick", seed)[mask]
    grey = GREY * varied(shape, "grey", seed)[mask]
    if texture.strength > 0:
        parallel = np.minimum(WATER, parallel * texture.diffusivity(shape, "parallel", seed)[mask])
        grey = np.minimum(WATER, grey * texture.diffusivity(shape, "grey", seed)[mask])
        odds = stick / (1 - stick) * texture.factor(shape, "stick", seed)[mask]
        stick = odds / (1 + odds)
    across = parallel * (1 - stick)
    found = [
        ball(water["gm"], grey),
        ball(water["csf"], np.full(int(mask.sum()), WATER)),
    ]
    for k in range(anatomy.shares.shape[-1]):
        weight, axis = water["wm"] * anatomy.shares[..., k][mask], anatomy.axes[..., k, :][mask]
        found.append(Compartment(weight * stick, parallel, np.zeros_like(parallel), axis))
        found.append(Compartment(weight * (1 - stick), parallel, across, axis))
    return found
