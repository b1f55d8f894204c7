"""References of an evaluation, read from files and checked: truth, σ map, tissues, lesions."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.compare.lesions import read_lesions
from dwiser.errors import Code, InputError
from dwiser.io import about, companion, read_on_grid, stem
from dwiser.io.names import MRTRIX_ENDINGS, NIFTI_ENDINGS, NRRD_ENDINGS
from dwiser.prepare.user_sigma import fill_holes
from dwiser.scan import Scan

TISSUE_PREFIX = "f_"
TISSUE_ENDINGS = (*NIFTI_ENDINGS, *MRTRIX_ENDINGS, *NRRD_ENDINGS)
MOST = 1.001  # of a volume fraction: interpolation may leave a little more than 1


@dataclass(frozen=True)
class References:
    """The files that an evaluation may be given besides the scan; paths, nothing read yet."""

    truth: Path | None = None
    sigma: Path | None = None
    tissues: tuple[Path, ...] = ()
    lesions: Path | None = None

    def files(self) -> list[Path]:
        """Every file that will be read, the lesions' sidecar with them."""
        paths = [self.truth, self.sigma, self.lesions, *tissue_files(self.tissues).values()]
        if self.lesions is not None:
            paths.append(companion(self.lesions, ".json"))
        return [path for path in paths if path is not None]

    def read(self, scan: Scan) -> dict[str, Any]:
        """The keywords of ``evaluation.suite.evaluate``, each on the scan's grid or None.

        Raises
        ------
        InputError
            For a file that cannot be read, lies on another grid, or is not what it should be.
        """
        lesions = read_lesions(self.lesions, scan)
        shares = {n: _fraction(path, scan) for n, path in tissue_files(self.tissues).items()}
        return {
            "truth": _truth(self.truth, scan),
            "sigma": _sigma(self.sigma, scan),
            "tissues": shares or None,
            "lesions": lesions.labels,
            "lesion_volumes": lesions.volumes,
            "lesion_changes": lesions.changes,
        }


def tissue_files(paths: Iterable[Path]) -> dict[str, Path]:
    """Tissue name → file: each file given, and every f_<tissue> image of each folder given.

    Raises
    ------
    InputError
        For a folder without such an image, and a tissue that comes twice.
    """
    files: dict[str, Path] = {}
    for path in paths:
        images = [path]
        if path.is_dir():
            images = sorted(p for e in TISSUE_ENDINGS for p in path.glob(f"{TISSUE_PREFIX}*{e}"))
            if not images:
                raise InputError(
                    f"{path}: it holds no f_<tissue>.nii.gz: name the files.",
                    code=Code.FILE_MISSING,
                )
        for file in images:
            name = stem(file).name.removeprefix(TISSUE_PREFIX)
            if name in files:
                raise InputError(
                    f"{file}: tissue '{name}' was given before: give each once.",
                    code=Code.ARGUMENT_CONFLICT,
                )
            files[name] = file
    return files


def read_region(path: Path, scan: Scan, what: str) -> np.ndarray:
    """A mask on the scan's grid as booleans; ``what`` names it where it is refused.

    Raises
    ------
    InputError
        For an image on another grid, and an empty one.
    """
    inside = read_on_grid(path, scan, what) > 0
    if not inside.any():
        raise InputError(
            f"{path}: the {what} is empty: mark at least one voxel.", code=Code.MASK_EMPTY
        )
    return inside


def _truth(path: Path | None, scan: Scan) -> np.ndarray | None:
    if path is None:
        return None
    truth = read_on_grid(path, scan, "truth", series=True)
    if not np.isfinite(truth).all():
        raise InputError(
            f"{path}: the truth holds NaN or infinite values: replace them first.",
            code=Code.IMAGE_NOT_FINITE,
        )
    return truth


def _sigma(path: Path | None, scan: Scan) -> np.ndarray | None:
    if path is None:
        return None
    sigma = read_on_grid(path, scan, "σ map")
    if not sigma.any():
        return sigma  # of a scan that was simulated without noise
    with about(path):
        return fill_holes(sigma, scan.data)


def _fraction(path: Path, scan: Scan) -> np.ndarray:
    share = read_on_grid(path, scan, "tissue fraction")
    if (share < 0).any() or (share > MOST).any():
        raise InputError(
            f"{path}: a tissue's volume fraction is from 0 to 1: this is no such map.",
            code=Code.TRUTH_VALUES,
        )
    return share
