"""patch-denoise, where it is installed: a program of its own, in a Python of its own."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Literal

import numpy as np

from dwiser.errors import Code, DwiserError, InputError
from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.classical import TASK, Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.methods.peers.programs import need_program, read_image, run_program, write_scan
from dwiser.scan import Scan
from dwiser.watch import Progress, Watch

PROGRAM = "patch-denoise"
LEAST_VERSION = 2
REMEDY = (
    "with a Python of version 3.12 or later, install patch-denoise from PyPI and put its folder "
    "of programs on the PATH, or choose another method, such as localpca"
)
DEFAULT = "the default of patch-denoise 2.3"
COVERING = "at its default of 50, voxels of the mask that no patch covers come back as 0"


@dataclass(frozen=True)
class PatchDenoise(Classical):
    """Singular values of large patches shrunk towards those of the signal, by ``patch-denoise``.

    Gavish & Donoho, *Optimal Shrinkage of Singular Values*, IEEE Transactions on Information
    Theory 2017 (10.1109/TIT.2017.2653801); Comby, Amor, Vignaud, Ciuciu, *Denoising of fMRI
    volumes using local low rank methods*, ISBI 2023 (hal-03895194). Its licence is MIT. It is no
    part of dwiser and never required.

    Notes
    -----
    It is called as a program, on the PATH or beside dwiser's own Python, since version 2 needs
    Python 3.12, and dwiser runs on 3.11 too. On 3.11 pip installs version 1.4.4, whose results
    differ: it is refused. Patches shrink to fit along axes shorter than they are.
    """

    name: ClassVar[str] = "patch_denoise"
    presets: ClassVar[Presets] = {
        "laptop": {
            "denoiser": S("optimal-fro", DEFAULT),
            "patch": S(11, DEFAULT),
            "overlap": S(5, DEFAULT),
            "recombination": S("weighted", DEFAULT),
            "mask_threshold": S(1, COVERING),
        },
    }

    denoiser: Literal["optimal-fro", "optimal-nuc", "optimal-ope", "mp-pca", "nordic"] = option(
        "optimal-fro", "the shrinkage: optimal in one of three norms, MP-PCA's or NORDIC's cut"
    )
    patch: int = option(11, "edge of a patch in voxels", least=3)
    overlap: int = option(5, "voxels that patches share along each axis", least=0)
    recombination: Literal["weighted", "mean"] = option(
        "weighted", "how overlapping patches are averaged"
    )
    mask_threshold: int = option(1, "least share of a patch in the mask, in %", least=0, most=100)

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; NORDIC's cut alone is set by the noise map."""
        return replace(super().capabilities, takes_noise_map=self.denoiser == "nordic")

    def __post_init__(self) -> None:
        if self.overlap >= self.patch:
            raise InputError(
                f"overlap of patch_denoise must be below its patch {self.patch}, not "
                f"{self.overlap}.",
                code=Code.SETTING_VALUE,
            )

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        program = need_program(PROGRAM, REMEDY)
        version = checked_version(program)
        watch(Progress(TASK, 0, 1))
        with TemporaryDirectory() as name:
            place = Path(name)
            write_scan(place, scan, mask=domain.mask, sigma=domain.sigma)
            run_program([program, *self._arguments(place, scan)], threads=machine.threads)
            data = read_image(place / "out.nii")
        watch(Progress(TASK, 1, 1))
        data[(data == 0).all(-1)] = np.nan  # no patch covers these
        return Filtered(data, record={"program": f"{PROGRAM} {version}"})

    def _arguments(self, place: Path, scan: Scan) -> list[str]:
        patch = [min(self.patch, n) for n in scan.shape[:3]]
        overlap = [min(self.overlap, n - 1) for n in patch]
        options = {
            "--method": self.denoiser,
            "--patch-shape": ",".join(map(str, [*patch, -1])),
            "--patch-overlap": ",".join(map(str, [*overlap, -1])),
            "--recombination": self.recombination,
            "--mask": str(place / "mask.nii"),
            "--mask-threshold": str(self.mask_threshold),
        }
        if self.denoiser == "nordic":
            options["--noise-std-map"] = str(place / "sigma.nii")
        words = [word for pair in options.items() for word in pair]
        return [str(place / "dwi.nii"), str(place / "out.nii"), *words, "--cpu"]


def checked_version(program: str) -> str:
    """The program's version, as it says.

    Raises
    ------
    InputError
        For a version below 2, and for what says no version.
    """
    try:
        said = run_program([program, "--version"])
    except DwiserError:
        said = ""
    number = re.search(r"\d+(\.\d+)+", said)
    version = number[0] if number else "unknown"
    if number is None or int(version.split(".")[0]) < LEAST_VERSION:
        raise InputError(
            f"{PROGRAM} of version {version} is on the PATH, and versions below {LEAST_VERSION} "
            f"denoise wrongly: {REMEDY}.",
            code=Code.PROGRAM_MISSING,
        )
    return version
