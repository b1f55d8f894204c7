"""Lesion labels, and from their sidecar the volumes in which each lesion shows and how much."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from dwiser.errors import Code, InputError
from dwiser.io import companion, read_object, read_on_grid
from dwiser.scan import Scan


@dataclass(frozen=True, eq=False)
class Lesions:
    """Labels (0 where there is no lesion), label → volumes and label → change of the signal in
    them; None for what is missing."""

    labels: Int[np.ndarray, "x y z"] | None = None
    volumes: dict[int, list[int]] | None = None
    changes: dict[int, list[float]] | None = None


def read_lesions(path: Path | None, scan: Scan) -> Lesions:
    """The lesions of a scan, an empty record without a ``path``.

    Volumes and changes come from ``<stem>.json`` beside the image, as ``dwiser simulate`` writes
    it.

    Raises
    ------
    InputError
        For values that are no labels, and a sidecar that is not of that form.
    """
    if path is None:
        return Lesions()
    values = read_on_grid(path, scan, "lesion map")
    labels = np.zeros(values.shape, np.int32)
    if not np.isfinite(values).all() or (values < 0).any() or (values != np.rint(values)).any():
        raise InputError(
            f"{path}: lesions are whole numbers from 0: this is no map of labels.",
            code=Code.TRUTH_VALUES,
        )
    labels[:] = values
    beside = companion(path, ".json")
    if not os.path.lexists(beside):
        return Lesions(labels)
    sidecar = read_object(beside)
    try:
        return Lesions(labels, _volumes(sidecar, scan.shape[3]), _changes(sidecar))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(
            f"{beside}: it does not tell the lesions' volumes as dwiser simulate does: "
            "correct it, or take it away from beside the labels.",
            code=Code.SIDECAR_FORMAT,
        ) from error


def _volumes(sidecar: dict[str, Any], count: int) -> dict[int, list[int]]:
    volumes = {int(x["label"]): [int(v) for v in x["volumes"]] for x in sidecar["Lesions"]}
    if any(not 0 <= v < count for some in volumes.values() for v in some):
        raise ValueError("a volume that the scan does not have")
    return volumes


def _changes(sidecar: dict[str, Any]) -> dict[int, list[float]]:
    changes = {}
    for x in sidecar["Lesions"]:
        change = [float(c) for c in x.get("change") or ()]
        if not change:
            continue
        if len(change) != len(x["volumes"]) or not np.isfinite(change).all():
            raise ValueError("a change for each volume is needed")
        changes[int(x["label"])] = change
    return changes
