"""The colour maps of the page's pictures: 256 colours as hexadecimal text."""

import matplotlib
import numpy as np


def _hexadecimal(name: str) -> str:
    colours = matplotlib.colormaps[name](np.arange(256))[:, :3]
    return bytes(np.rint(colours * 255).astype(np.uint8).ravel()).hex()


GREY = _hexadecimal("gray")
VIRIDIS = _hexadecimal("viridis")
