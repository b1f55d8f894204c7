"""NLSAM, where it is installed: dictionaries learned on neighbours in space and angle."""

from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from importlib import import_module
from io import StringIO
from typing import Any, ClassVar

import numpy as np
from scipy import ndimage
from threadpoolctl import threadpool_limits

from dwiser.errors import Code, InputError
from dwiser.machine import Machine
from dwiser.methods.base import need_vectors
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.classical import TASK, Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.prepare.coils import effective_coils
from dwiser.scan import Scan
from dwiser.seeds import global_stream
from dwiser.watch import Progress, Watch

PACKAGE = "nlsam"
MARGIN = 3  # voxels: within two of its mask's edge NLSAM halves the signal
LEAST_EDGE = 3  # voxels: a block's edge
ST_JEAN = "St-Jean et al. 2016; the default of nlsam 1.0"


@dataclass(frozen=True)
class NLSAM(Classical):
    """Blocks of a volume and its angular neighbours, as sparse sums of learned atoms.

    St-Jean, Coupé, Descoteaux, *Non Local Spatial and Angular Matching*, Medical Image Analysis
    2016 (10.1016/j.media.2016.02.010); the magnitude's bias is removed first, as by Koay,
    Özarslan, Basser 2009. The package ``nlsam`` (its licence: GPL-3.0-or-later) is no part of
    dwiser and never required.

    Notes
    -----
    Within two voxels of its mask's edge NLSAM halves the signal (a voxel there is the sum of few
    blocks, over all that could cover it). So its mask is made three voxels wider, and the result
    is cut back. All b0s come back as one mean, as NLSAM does by default. One thread: with more
    its draws would not follow the seed.
    """

    name: ClassVar[str] = "nlsam"
    divides_by_sigma: ClassVar[bool] = True
    presets: ClassVar[Presets] = {
        "laptop": {
            "neighbours": S(5, ST_JEAN),
            "iterations": S(10, ST_JEAN),
            "stabilize": S(True, ST_JEAN),
        },
    }

    neighbours: int = option(5, "volumes of a block, itself included; a b0 comes on top", least=2)
    iterations: int = option(10, "most rounds of the reweighted l1 problem", least=1)
    stabilize: bool = option(True, "remove the magnitude's bias first")
    coils: float | None = option(
        None, "channels behind the magnitude; none: read off the background", least=0.5
    )

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; it draws the b0s' order, the atoms' start, and noise."""
        return replace(
            super().capabilities,
            least_directions=5,
            least_b0s=1,
            least_b0s_alone=None,
            has_seed=True,
            uses_directions=True,
        )

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        need_vectors(scan, self)
        denoise = needed_function("nlsam.denoiser", "nlsam_denoise")
        stabilization = (
            needed_function("nlsam.bias_correction", "stabilization") if self.stabilize else None
        )
        self._refuse_small(scan)
        wide = ndimage.binary_dilation(domain.mask, iterations=MARGIN)
        sigma = domain.sigma.astype(np.float32)
        coils = self.coils or effective_coils(scan, domain.mask, threads=machine.threads)
        data = scan.data.copy()  # NLSAM writes the b0s' mean into what it is given
        with global_stream(seed, "nlsam"), redirect_stderr(StringIO()), threadpool_limits(1):
            if stabilization is not None:
                data = stabilization(data, data, sigma, coils, mask=wide, n_cores=1)
                watch(Progress(TASK, 1, 2))
            denoised = denoise(
                data, sigma, scan.gradients.bvals, scan.gradients.bvecs,
                np.array([LEAST_EDGE] * 3 + [self.neighbours]), mask=wide, n_cores=1,
                n_iter=self.iterations, b0_threshold=scan.gradients.b0_threshold,
            )  # fmt: skip
        watch(Progress(TASK, 2, 2))
        floor = "removed" if self.stabilize else "kept"
        return Filtered(denoised, coils=coils, bias_removed=floor == "removed")

    def _refuse_small(self, scan: Scan) -> None:
        """An error for scans that NLSAM cannot cut into blocks."""
        if min(scan.shape[:3]) < LEAST_EDGE:
            raise InputError(
                f"nlsam needs at least {LEAST_EDGE} voxels along each axis: take nlmeans.",
                code=Code.SCAN_TOO_SMALL,
            )
        directions = int((~scan.gradients.is_b0).sum())
        if directions < self.neighbours:
            raise InputError(
                f"nlsam looks at {self.neighbours} directions together, and the scan has "
                f"{directions}: set neighbours={max(2, directions)}, or take mppca.",
                code=Code.GRADIENTS_TOO_FEW,
            )


def needed_function(module: str, name: str) -> Callable[..., Any]:
    """A function of the package ``nlsam``.

    Raises
    ------
    InputError
        Where the package is not installed, or does not fit the SciPy beside it.
    """
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"The package {PACKAGE} is not installed: pip install {PACKAGE} 'scipy<1.17', or "
            "choose another method, such as nlmeans.",
            code=Code.PROGRAM_MISSING,
        ) from error
    except ImportError as error:
        raise InputError(
            f"nlsam cannot be imported ({error}): pip install 'scipy<1.17', "
            "or set stabilize=false.",
            code=Code.PROGRAM_MISSING,
        ) from error
