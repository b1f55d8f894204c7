"""What F may be told beside the noise level: the gradient directions of x and x', as images flip.

A direction g is fed as the six distinct entries of g·gᵀ, so that its sign, which means nothing in
diffusion MRI, means nothing here either. A flip of the image along an axis is a mirror: it turns
the sign of that component of g, and with it of the entries off the diagonal that hold it.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from dwiser.chain.sample import FLIPS
from dwiser.prepare.stack import Stack

Directions = Literal["unknown", "embedded"]
FIRST, SECOND = (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)  # xx yy zz xy xz yz
AXES = {-2: 0, -1: 1}  # a slice's rows run along the volume's x axis, its columns along y
PER_PAIR = 2 * len(FIRST)


def outer_products(directions: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 6"]:
    """xx, yy, zz, xy, xz and yz of g·gᵀ; 0 for a null vector."""
    return directions[..., FIRST] * directions[..., SECOND]


def flipped(
    directions: Float[np.ndarray, "*n 3"], dims: tuple[int, ...]
) -> Float[np.ndarray, "*n 3"]:
    """Directions as they are in an image that is flipped along ``dims`` (−2: rows, −1: columns)."""
    signs = np.ones(3)
    signs[[AXES[d] for d in dims]] = -1
    return directions * signs


def pair_conditions(stack: Stack) -> Float[np.ndarray, "k 4 12"]:
    """Of each volume of the plan: g·gᵀ of x and of x', under each of the chain's four flips.

    b0s and volumes without a direction have zeros; the partner of a predicted pair shows the
    direction of x itself.
    """
    under = [outer_products(flipped(stack.directions, dims)) for dims in FLIPS]
    table = np.stack(under, axis=1).astype(np.float32)
    return table.reshape(len(table), len(FLIPS), PER_PAIR)
