"""dwiser: self-supervised denoising of diffusion MRI.

>>> import dwiser
>>> scan = dwiser.load("dwi.nii.gz")            # dwi.bval and dwi.bvec beside it
>>> result = dwiser.denoise(scan)               # result.data, .sigma, .verdict, .record
>>> dwiser.save(result, "out.nii.gz", scan)
>>> dwiser.report(result, scan, "out.html")

With arrays: ``dwiser.denoise(data, bvals=bvals, bvecs=bvecs, affine=affine)``; with a nibabel
image and DIPY's table: ``dwiser.denoise(image, gtab=gtab)``. What is wrong with an input or a call
is an ``InputError``, a failed run a ``DwiserError``, and what to know a ``DwiserWarning``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dwiser.api import as_scan, denoise, evaluate, report, simulate
    from dwiser.errors import DwiserError, DwiserWarning, InputError
    from dwiser.io import load
    from dwiser.run import save
    from dwiser.run.result import Result
    from dwiser.scan import Gradients, Scan

__version__ = "0.2.0"
__all__ = [
    "DwiserError",
    "DwiserWarning",
    "Gradients",
    "InputError",
    "Result",
    "Scan",
    "as_scan",
    "denoise",
    "evaluate",
    "load",
    "report",
    "save",
    "simulate",
]

_HOMES = {
    **dict.fromkeys(("as_scan", "denoise", "evaluate", "report", "simulate"), "dwiser.api"),
    **dict.fromkeys(("DwiserError", "DwiserWarning", "InputError"), "dwiser.errors"),
    **dict.fromkeys(("Gradients", "Scan"), "dwiser.scan"),
    "load": "dwiser.io",
    "save": "dwiser.run",
    "Result": "dwiser.run.result",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for; ``import dwiser`` stays light."""
    if name in _HOMES:
        return vars(import_module(_HOMES[name]))[name]
    raise AttributeError(f"module 'dwiser' has no attribute '{name}'")
