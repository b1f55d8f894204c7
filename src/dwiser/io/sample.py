"""The packaged scan: a crop of a real 1.2 mm acquisition (CC BY 4.0, see its ATTRIBUTION.md)."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True)
class SamplePaths:
    """The packaged scan's three files.

    Parameters
    ----------
    dwi : the image.
    bval, bvec : its gradient table.
    """

    dwi: Path
    bval: Path
    bvec: Path


def sample_paths() -> SamplePaths:
    """The files of the packaged scan: 40 directions at b = 1000 s/mm², the b0 last.

    Its shape is (68, 64, 20, 41).

    Returns
    -------
    SamplePaths

    Notes
    -----
    Source: St-Jean, Coupé, Descoteaux, Medical Image Analysis 32 (2016) 115–130.
    """
    folder = Path(str(files("dwiser"))) / "data" / "sample"
    return SamplePaths(folder / "dwi.nii.gz", folder / "dwi.bval", folder / "dwi.bvec")
