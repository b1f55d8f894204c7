"""Patch2Self: every volume predicted from all others, by DIPY."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from tempfile import TemporaryDirectory
from typing import ClassVar, Literal

import numpy as np
from dipy.denoise.patch2self import patch2self
from jaxtyping import Float

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.classical import TASK, Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.scan import Scan
from dwiser.seeds import global_stream
from dwiser.watch import Progress, Watch

VERSIONS = (1, 3)
FEW_DIRECTIONS = 10  # below it DIPY warns
LEAST_VOXELS = 20  # DIPY draws the sketch in twentieths of them
BLOCKS = 5  # DIPY's version 3 fills its output in fifths of the series
FADNAVIS_2020 = "Fadnavis, Batson, Garyfallidis, NeurIPS 2020 (arXiv 2011.01355)"
FADNAVIS_2024 = "Fadnavis et al., CVPR 2024 (Patch2Self2); DIPY's version 3"
DIPY = "DIPY 1.12's default"


@dataclass(frozen=True)
class Patch2Self(Classical):
    """Each volume becomes its least-squares prediction from the other volumes of its kind.

    Noise that is independent from volume to volume cannot be predicted, so it goes. DWIs are
    predicted from DWIs of all shells, b0s from b0s; a single b0 passes through. Version 1 fits
    on every voxel of the image, version 3 on a random sketch of them (30 % as many rows).

    Notes
    -----
    Three faults of DIPY 1.12.1 are worked around; a test of each tells when it is mended.

    - Version 1 lets scikit-learn centre its regressors in place and then predicts from the
      centred ones: every volume comes back shifted by a constant (−206 for DWIs of mean 480,
      −672 for b0s, on a phantom). Least squares with an intercept keep a volume's mean, so
      giving each volume its mean back restores the fit to the digit. ``shift_intensity`` does
      not mend it (it adds min − min, which is 0) and is not offered, nor is clipping: every
      method here ends at 0.
    - Version 3 writes wrong volumes at the end of a series whose length is no multiple of
      five, and a wrong volume in place of a b0 that it skips. So each kind of volume is given
      to it alone, with empty volumes up to a multiple of five.
    - Version 3 draws its sketch from NumPy's global state: it is seeded, and put back.
    """

    name: ClassVar[str] = "patch2self"
    presets: ClassVar[Presets] = {
        "paper": {
            "version": S(1, FADNAVIS_2020),
            "model": S("ols", f"{FADNAVIS_2020}: linear least squares"),
            "b0_denoising": S(True, f"{FADNAVIS_2020}: b0s apart from the DWIs; {DIPY}"),
        },
        "laptop": {
            "version": S(3, FADNAVIS_2024),
            "model": S("ols", DIPY),
            "alpha": S(1.0, DIPY),
            "b0_denoising": S(True, DIPY),
        },
    }

    version: int = option(3, "1: as published in 2020; 3: on a sketch, today's default", least=1)
    model: Literal["ols", "ridge", "lasso"] = option("ols", "the regression")
    alpha: float = option(1.0, "strength of ridge and lasso, in the data's units squared", least=0)
    b0_denoising: bool = option(True, "predict b0s from b0s, where there are two or more")

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; version 3 draws a sketch of the voxels."""
        return replace(
            super().capabilities,
            least_directions=2,
            least_b0s_alone=None,
            has_seed=self.version == 3,
        )

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise InputError(
                f"version of patch2self must be 1 or 3, not {self.version}.",
                code=Code.SETTING_VALUE,
            )

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        if self.version == 3 and np.prod(scan.shape[:3]) < LEAST_VOXELS:
            raise InputError(
                f"patch2self needs at least {LEAST_VOXELS} voxels for its sketch: set version=1.",
                code=Code.SCAN_TOO_SMALL,
            )
        is_b0 = scan.gradients.is_b0
        directions = int((~is_b0).sum())
        if directions < FEW_DIRECTIONS:
            warnings.warn(
                f"patch2self predicts each volume from the others, and {directions} directions "
                f"are few: from {FEW_DIRECTIONS} on it can be trusted more.",
                DwiserWarning,
                stacklevel=3,
            )
        data = scan.data.copy()
        passed: dict[int, str] = {}
        for kind, volumes in (("b0", np.flatnonzero(is_b0)), ("dwi", np.flatnonzero(~is_b0))):
            if kind == "b0" and not self.b0_denoising:
                passed |= dict.fromkeys(volumes.tolist(), "b0_denoising is false")
            elif len(volumes) == 1:
                passed[int(volumes[0])] = "a single b0"
            elif len(volumes):
                data[..., volumes] = self._predicted(scan.data[..., volumes], seed)
            watch(Progress(TASK, 1 if kind == "b0" else 2, 2, f"{kind}s"))
        return Filtered(data, passed)

    def _predicted(
        self, data: Float[np.ndarray, "x y z v"], seed: int
    ) -> Float[np.ndarray, "x y z v"]:
        """DIPY's prediction of each volume from the others, all of one kind."""
        count = data.shape[3]
        empty = BLOCKS - count % BLOCKS
        series = np.concatenate([data, np.zeros((*data.shape[:3], empty), data.dtype)], axis=3)
        bvals = np.repeat([1.0, 0.0], [count, empty])  # empty volumes pose as b0s, to be skipped
        with global_stream(seed, "sketch"), _quiet(), TemporaryDirectory() as place:
            out = patch2self(
                series, bvals, model=self.model, b0_threshold=0, alpha=self.alpha,
                b0_denoising=False, shift_intensity=False, clip_negative_vals=False,
                version=self.version, tmp_dir=place if self.version == 3 else None,
            )[..., :count]  # fmt: skip
        if self.version == 1:
            out += (data.mean((0, 1, 2), dtype=float) - out.mean((0, 1, 2), dtype=float)).astype(
                out.dtype
            )
        return out


@contextmanager
def _quiet() -> Iterator[None]:
    """Without DIPY's progress bar and its own warning of few volumes."""
    with redirect_stderr(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
