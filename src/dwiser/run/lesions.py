"""Lesion labels, and from the sidecar beside them the volumes in which each lesion shows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from dwiser.errors import InputError
from dwiser.io import companion, read_on_grid
from dwiser.scan import Scan


def read_lesions(
    path: Path | None, scan: Scan
) -> tuple[Int[np.ndarray, "x y z"] | None, dict[int, list[int]] | None]:
    """Labels (0 where there is no lesion) and label → volumes; None for what is not there.

    The volumes come from ``<stem>.json`` beside the image, as ``dwiser simulate`` writes it.

    Raises
    ------
    InputError
        For values that are no labels, and a sidecar that is not of that form.
    """
    if path is None:
        return None, None
    values = read_on_grid(path, scan, "lesion map")
    labels = np.zeros(values.shape, np.int32)
    if not np.isfinite(values).all() or (values < 0).any() or (values != np.rint(values)).any():
        raise InputError(f"{path}: lesions are whole numbers from 0: this is no map of labels.")
    labels[:] = values
    beside = companion(path, ".json")
    if not beside.is_file():
        return labels, None
    try:
        told = json.loads(beside.read_text(encoding="utf-8-sig"))
        return labels, _volumes(told, scan.shape[3])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{beside}: it does not tell the lesions' volumes as dwiser simulate does: "
            "correct it, or take it away from beside the labels."
        ) from error


def _volumes(told: dict[str, Any], count: int) -> dict[int, list[int]]:
    volumes = {int(x["label"]): [int(v) for v in x["volumes"]] for x in told["Lesions"]}
    if any(not 0 <= v < count for some in volumes.values() for v in some):
        raise ValueError("a volume that the scan does not have")
    return volumes
