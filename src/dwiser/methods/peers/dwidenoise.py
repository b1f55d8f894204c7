"""MRtrix3's dwidenoise, when it is installed: a program of its own, under its own licence."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import numpy as np

from dwiser.errors import Code, InputError
from dwiser.machine import Machine
from dwiser.methods.classical import TASK, Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.methods.peers.programs import need_program, read_image, run_program, write_scan
from dwiser.scan import Scan
from dwiser.watch import Progress, Watch

PROGRAM = "dwidenoise"
REMEDY = "install MRtrix3 (www.mrtrix.org), or choose another method, such as mppca"
MRTRIX = "MRtrix3's default"


@dataclass(frozen=True)
class Dwidenoise(Classical):
    """MP-PCA by MRtrix3's ``dwidenoise``, called as a program on temporary NIfTI files.

    Veraart et al. 2016; Cordero-Grande et al. 2019 (10.1016/j.neuroimage.2019.06.039) for the
    estimator Exp2. MRtrix3 is no part of dwiser and is never required.

    Notes
    -----
    The program sees the voxels on a plain grid of the scan's voxel size: it needs no more of
    the geometry, and so cannot reorder the axes.
    """

    name: ClassVar[str] = "dwidenoise"
    presets: ClassVar[Presets] = {
        "laptop": {"extent": S(None, MRTRIX), "estimator": S("Exp2", MRTRIX)},
        "paper": {
            "extent": S(5, "Veraart et al. 2016: patches of 5³ voxels"),
            "estimator": S("Exp1", "Veraart et al. 2016"),
        },
    }

    extent: int | None = option(
        None, "edge of a patch in voxels, odd; none: the least with more voxels than volumes",
        least=3,
    )  # fmt: skip
    estimator: Literal["Exp1", "Exp2"] = option("Exp2", "of σ: Veraart 2016, Cordero-Grande 2019")
    datatype: Literal["float32", "float64"] = option("float32", "of the eigenvalues")

    def __post_init__(self) -> None:
        if self.extent is not None and self.extent % 2 == 0:
            raise InputError(
                f"extent of dwidenoise must be odd, not {self.extent}.", code=Code.SETTING_VALUE
            )

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        program = need_program(PROGRAM, REMEDY)
        watch(Progress(TASK, 0, 1))
        with TemporaryDirectory() as name:
            place = Path(name)
            write_scan(place, scan, mask=domain.mask)
            run_program([program, *self._arguments(place, machine)], threads=machine.threads)
            data, sigma = read_image(place / "out.nii"), read_image(place / "noise.nii")
        watch(Progress(TASK, 1, 1))
        positive = sigma[domain.mask & (sigma > 0)]
        record = {"its_own_sigma_median": float(np.median(positive)) if positive.size else None}
        return Filtered(data, record=record)

    def _arguments(self, place: Path, machine: Machine) -> list[str]:
        wanted: dict[str, Any] = {
            "mask": place / "mask.nii",
            "noise": place / "noise.nii",
            "estimator": self.estimator,
            "datatype": self.datatype,
            "nthreads": machine.threads,
        }
        if self.extent is not None:
            wanted["extent"] = self.extent
        options = [text for name, value in wanted.items() for text in (f"-{name}", str(value))]
        return [str(place / "dwi.nii"), str(place / "out.nii"), "-quiet", *options]
