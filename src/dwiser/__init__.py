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

from typing import TYPE_CHECKING

from dwiser.lazy import importer

if TYPE_CHECKING:
    from dwiser.api import denoise, evaluate, report, simulate
    from dwiser.errors import DwiserError, DwiserWarning, InputError
    from dwiser.from_arrays import as_scan
    from dwiser.io import load
    from dwiser.run.denoising import save
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

__getattr__ = importer(  # ``import dwiser`` stays light
    __name__,
    {
        **dict.fromkeys(("denoise", "evaluate", "report", "simulate"), "dwiser.api"),
        "as_scan": "dwiser.from_arrays",
        **dict.fromkeys(("DwiserError", "DwiserWarning", "InputError"), "dwiser.errors"),
        **dict.fromkeys(("Gradients", "Scan"), "dwiser.scan"),
        "load": "dwiser.io",
        "save": "dwiser.run.denoising",
        "Result": "dwiser.run.result",
    },
)
