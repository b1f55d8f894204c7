"""MRtrix3's dwidenoise2, where it is installed: a program of its own, under its own licence."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import numpy as np

from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.classical import TASK, Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.methods.peers.programs import (
    need_program,
    read_image,
    run_program,
    write_gradients,
    write_scan,
)
from dwiser.scan import Scan
from dwiser.watch import Progress, Watch

PROGRAM = "dwidenoise2"
REMEDY = (
    "build it from its sources (its licence allows noncommercial use only), or choose another "
    "method, such as localpca"
)
DEFAULT = "the default of dwidenoise2 (2026)"


@dataclass(frozen=True)
class Dwidenoise2(Classical):
    """Overcomplete local PCA with optimal shrinkage by ``dwidenoise2``, called as a program.

    Cordero-Grande et al. 2019 (10.1016/j.neuroimage.2019.06.039) for the estimator of σ;
    Manjón et al. 2013 (10.1371/journal.pone.0073021) for overlapping patches; Gavish & Donoho
    2017 for the shrinkage. It is no part of dwiser and never required. Its licence, PolyForm
    Noncommercial 1.0.0, forbids commercial use.

    Notes
    -----
    It demeans each shell before the PCA, so that a volume alone in its shell comes back as it
    was, and it removes the magnitude's noise floor unless ``floor=kept``. It takes no mask: what
    lies outside is filtered and thrown away. Only options that differ from its defaults are
    passed on; ``floor=kept`` needs a build of 2026, which knows ``-preserve_noise_bias``.
    """

    name: ClassVar[str] = "dwidenoise2"
    presets: ClassVar[Presets] = {
        "laptop": {
            "estimator": S(None, DEFAULT),
            "shrinkage": S(None, DEFAULT),
            "aggregator": S(None, DEFAULT),
            "demean": S(None, DEFAULT),
            "floor": S("removed", DEFAULT),
        },
    }

    sigma: Literal["estimate", "map"] = option(
        "estimate", "the noise: its own estimate, or the scan's own map (--noise-map)"
    )
    estimator: Literal["exp1", "exp2", "med"] | None = option(
        None, "of σ: Veraart 2016, Cordero-Grande 2019, Gavish & Donoho 2014; none: its default"
    )
    shrinkage: Literal["optshrink", "optthresh", "truncate"] | None = option(
        None, "of the components: optimal, or cut off at a threshold; none: its default"
    )
    aggregator: Literal["exclusive", "gaussian", "invl0", "rank", "uniform"] | None = option(
        None, "how overlapping patches are averaged; none: its default"
    )
    demean: Literal["none", "shells", "all"] | None = option(
        None, "what is subtracted before the PCA; none: its default"
    )
    floor: Literal["removed", "kept"] = option("removed", "the magnitude's noise floor")

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; its own estimate may stand in for the σ map."""
        return replace(super().capabilities, takes_noise_map=self.sigma == "map")

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        program = need_program(PROGRAM, REMEDY)
        watch(Progress(TASK, 0, 1))
        with TemporaryDirectory() as name:
            place = Path(name)
            write_scan(place, scan, sigma=domain.sigma)
            write_gradients(place, scan)
            run_program([program, *self._arguments(place, machine)], threads=machine.threads)
            data, sigma = read_image(place / "out.nii"), read_image(place / "noise.nii")
        watch(Progress(TASK, 1, 1))
        # its map lies on a coarser grid, where patches have their centres: no mask fits it
        positive = sigma[np.isfinite(sigma) & (sigma > 0)]
        record = {"its_own_sigma_median": float(np.median(positive)) if positive.size else None}
        return Filtered(data, record=record, coils=1.0, bias_removed=self.floor == "removed")

    def _arguments(self, place: Path, machine: Machine) -> list[str]:
        wanted: dict[str, Any] = {
            "noise_out": place / "noise.nii",
            "noise_in": place / "sigma.nii" if self.sigma == "map" else None,
            "estimator": self.estimator,
            "filter": self.shrinkage,
            "aggregator": self.aggregator,
            "demean": self.demean,
            "nthreads": machine.threads,
        }
        options = [
            text
            for name, value in wanted.items()
            if value is not None
            for text in (f"-{name}", str(value))
        ]
        options += ["-fslgrad", str(place / "dwi.bvec"), str(place / "dwi.bval"), "-quiet"]
        options += ["-preserve_noise_bias"] if self.floor == "kept" else []
        return [str(place / "dwi.nii"), str(place / "out.nii"), *options]
