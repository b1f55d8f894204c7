"""What to do about each reason of a verdict, a sentence each."""

from collections.abc import Mapping

REMEDIES: Mapping[str, str] = {
    "unchanged": "check the σ map: where σ is 0, nothing is removed.",
    "shift": "compare the mean of the shell before and after; a noise floor that was removed or "
    "kept, or a wrong --noise-map, shifts intensities.",
    "anatomy": "look at the residual of the shell's mean in the report (--report); try a method "
    "that smooths less (mppca).",
    "variance": "look at the σ map (--save-noise): where it is too low, give a better one with "
    "--noise-map; else signal was removed, and mppca removes less.",
    "direction": "compare colour FA before and after in the report (--report); with few "
    "directions try mppca.",
    "angle": "compare FA and fibre directions in white matter with those of --method mppca, which "
    "keeps this shape, before you use them.",
    "local": "look at the voxel that is named, in the viewer of the report (--report).",
    "space": "denoise before any interpolation, or try a method that smooths less (mppca).",
    "volumes": "look at each volume in the report (--report): drift or copied volumes cause it.",
}
