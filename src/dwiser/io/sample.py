"""The packaged scan: a crop of a real 1.2 mm acquisition (CC BY 4.0, see its ATTRIBUTION.md)."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path


@dataclass(frozen=True)
class SamplePaths:
    """Where the packaged scan's three files are."""

    dwi: Path
    bval: Path
    bvec: Path


def sample_paths() -> SamplePaths:
    """The packaged scan: (68, 64, 20, 41), 40 directions at b = 1000 s/mm², the b0 last.

    Source: St-Jean, Coupé, Descoteaux, Medical Image Analysis 32 (2016) 115–130.
    """
    folder = Path(str(files("dwiser"))) / "data" / "sample"
    return SamplePaths(folder / "dwi.nii.gz", folder / "dwi.bval", folder / "dwi.bvec")
