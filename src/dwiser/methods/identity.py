"""The scan as it is: the row that every other row is compared with."""

from dataclasses import dataclass, replace
from typing import ClassVar

from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities, WorkingMemory
from dwiser.methods.classical import Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets
from dwiser.scan import Scan
from dwiser.watch import Watch


@dataclass(frozen=True)
class Identity(Classical):
    """Gives the scan back; negative voxels in the mask become 0, as with every method."""

    name: ClassVar[str] = "identity"
    presets: ClassVar[Presets] = {"laptop": {}}

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do."""
        return replace(
            super().capabilities,
            least_directions=0,
            least_b0s_alone=1,
            memory=WorkingMemory(0.0, 0.0),
        )

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        return Filtered(scan.data)
