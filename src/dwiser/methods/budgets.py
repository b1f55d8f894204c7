"""One work budget for every learned method, so that comparisons at a preset are fair.

The numbers are Di-Fusion's, in ``difusion_presets``; who tunes them there tunes them for all.
"""

from math import prod
from typing import Any

from dwiser.methods.difusion_presets import PRESETS
from dwiser.methods.options import Sourced

FIELDS = ("network", "width", "iterations", "batch", "patch", "learning_rate", "decay", "crop")
DEFAULT: dict[str, Any] = {field: PRESETS["laptop"][field].value for field in FIELDS}


def budget(preset: str, *fields: str) -> dict[str, Sourced]:
    """Di-Fusion's values of the shared fields (all, or those named) at a preset."""
    return {
        field: Sourced(PRESETS[preset][field].value, f"as difusion at {preset}: one work budget")
        for field in fields or FIELDS
    }


def pixels(preset: str) -> int:
    """Pixels in a training batch of Di-Fusion's at a preset with patches."""
    return prod(PRESETS[preset][f].value for f in ("batch", "patch", "patch"))
