"""The poster's numbers, from one file."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("poster.json")


def poster() -> dict[str, Any]:
    """The poster's numbers and their source; percent and dB as printed there."""
    told: dict[str, Any] = json.loads(FILE.read_text())
    return told
