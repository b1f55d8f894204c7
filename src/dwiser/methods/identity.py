"""The scan as it is: the row that every other row is compared with."""

from dataclasses import dataclass
from typing import ClassVar

from dwiser.machine import Machine
from dwiser.methods.classical import Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets
from dwiser.scan import Scan
from dwiser.watch import Watch


@dataclass(frozen=True)
class Identity(Classical):
    """Gives the scan back; negative voxels in the mask become 0, as with every method."""

    name: ClassVar[str] = "identity"
    presets: ClassVar[Presets] = {"laptop": {}}
    least_directions: ClassVar[int] = 0
    working: ClassVar[float] = 0.0
    working_mapped: ClassVar[float] = 0.0

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        return Filtered(scan.data)
