"""dwiser: self-supervised denoising of diffusion MRI.

>>> import dwiser
>>> scan = dwiser.load("dwi.nii.gz")            # dwi.bval and dwi.bvec beside it
>>> result = dwiser.denoise(scan)               # result.data, result.sigma, result.record
>>> dwiser.save(result, "out.nii.gz", scan)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dwiser.io import load
    from dwiser.run import denoise, save

__version__ = "0.1.0"
__all__ = ["denoise", "load", "save"]

_HOMES = {"load": "dwiser.io", "denoise": "dwiser.run", "save": "dwiser.run"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for; ``import dwiser`` stays light."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dwiser' has no attribute '{name}'")
