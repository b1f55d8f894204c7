"""Vectors for others' code that takes no null ones, and needs of a table only its shells."""

import numpy as np
from jaxtyping import Float

from dwiser.scan import Gradients


def any_directions(gradients: Gradients) -> Float[np.ndarray, "v 3"]:
    """The table's vectors; x for DWIs that have no direction."""
    return np.where(gradients.without_direction[:, None], [1.0, 0.0, 0.0], gradients.bvecs)
