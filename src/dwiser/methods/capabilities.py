"""What a method needs and what it can do: asked of the method itself, never guessed."""

from dataclasses import dataclass, field
from typing import Literal

from dwiser.methods.options import Presets

FEWEST_B0S_ALONE = (
    5  # volumes; b0s of reversed phase encoding, to correct distortion with, are fewer
)


@dataclass(frozen=True)
class WorkingMemory:
    """What a method holds beside the scan and the result, over the scan's bytes as float32.

    Parameters
    ----------
    in_memory : where the scan and the result lie in memory.
    mapped : what it holds in memory where both lie in memory-mapped files.
    grows_with : whether it grows with the mask's voxels, the mask's box or the field of view.

    Notes
    -----
    splitq's and localpca's are measured (benchmarks/memory.py), the others' counted from the
    arrays that they allocate.
    """

    in_memory: float
    mapped: float
    grows_with: Literal["mask", "box", "field of view"] = "field of view"


@dataclass(frozen=True)
class Capabilities:
    """What a method needs and can do, with the settings that it has.

    Parameters
    ----------
    least_directions, least_b0s : volumes that it needs; 0 for none.
    least_b0s_alone : volumes that it needs of a series of b0s alone; None if it takes no such one.
    presets : named sets of values of its fields, each value with its source.
    uses_directions : it needs the direction of every DWI, not only its b-value.
    has_seed : another seed gives another result; without it every run gives the same.
    takes_mask : it works in the scan's mask; the other voxels are the input's.
    takes_noise_map : a σ map changes its result.
    takes_phase : it denoises the real part of a complex image, given the phase.
    gives_uncertainty : it has a field ``uncertainty``, for the sd of the result's error.
    gives_rank : it has a field ``rank_map``, for the degrees of freedom that the result keeps.
    reusable_weights : what it learned from one scan is of use for another one.
    why_not_reusable : the reason, to complete "NAME, …", where it is not.
    device : where it computes.
    memory : what it holds; None where nobody has measured or counted it.
    """

    least_directions: int = 1
    least_b0s: int = 0
    least_b0s_alone: int | None = None
    presets: Presets = field(default_factory=dict)
    uses_directions: bool = False
    has_seed: bool = False
    takes_mask: bool = True
    takes_noise_map: bool = False
    takes_phase: bool = False
    gives_uncertainty: bool = False
    gives_rank: bool = False
    reusable_weights: bool = False
    why_not_reusable: str = "it learns nothing that is kept"
    device: Literal["cpu", "cpu or cuda"] = "cpu"
    memory: WorkingMemory | None = None

    def shortage(self, b0s: int, directions: int) -> str | None:
        """What a series of so many b0s and diffusion-weighted volumes lacks; None if nothing.

        Parameters
        ----------
        b0s, directions : numbers of volumes.

        Returns
        -------
        str or None
            To complete "NAME …", say "needs at least 6 diffusion-weighted volumes, …".
        """
        if directions == 0:
            if self.least_b0s_alone is None:
                return f"needs diffusion-weighted volumes, the scan has {b0s} b0s alone"
            least = self.least_b0s_alone
            return (
                f"needs at least {least} volumes of a scan of b0s alone, the scan has {b0s}"
                if b0s < least
                else None
            )
        if directions < self.least_directions:
            return (
                f"needs at least {self.least_directions} diffusion-weighted volumes, "
                f"the scan has {directions}"
            )
        if b0s < self.least_b0s:
            return f"needs at least {self.least_b0s} b0s, the scan has {b0s}"
        return None
