"""Tensors by name with plain values beside them, as safetensors: weights and checkpoints.

The format is a JSON header and raw numbers: nothing in it can run. The file carries a SHA-256 of
both, and one that does not match it is refused. No pickle is read or written anywhere.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from dwiser.errors import InputError
from dwiser.io.about import FilePath, about

KEY, HASH = "dwiser", "sha256"


def tensor_bytes(tensors: Mapping[str, np.ndarray], told: Mapping[str, Any]) -> bytes:
    """A safetensors file: ``told`` becomes JSON in its header, with version and hash."""
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    text = json.dumps(dict(told), sort_keys=True)
    return save(arrays, {KEY: text, HASH: _hash(arrays, text)})


def write_tensors(
    path: FilePath, tensors: Mapping[str, np.ndarray], told: Mapping[str, Any]
) -> None:
    """Write the file at once or not at all: under another name first, then renamed.

    Raises
    ------
    OSError
        If there is no room or no permission; an older file of that name is then still there.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(tensor_bytes(tensors, told))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_tensors(path: FilePath) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors of a file that dwiser wrote, and what it tells of them.

    Raises
    ------
    InputError
        If the file cannot be read, is another program's, or is damaged.
    """
    with about(path):
        Path(path).open("rb").close()
        try:
            with safe_open(path, framework="np") as file:
                header = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, TypeError, ValueError) as error:
            raise InputError("It is no safetensors file, or damaged: make it anew.") from error
        if KEY not in header:
            raise InputError("It holds weights, but not dwiser's: give a file of --save-weights.")
        if header.get(HASH) != _hash(arrays, header[KEY]):
            raise InputError("Its contents do not match its hash, it is damaged: make it anew.")
        try:
            told = dict(json.loads(header[KEY]))
        except (ValueError, TypeError) as error:
            raise InputError("What it tells of itself cannot be read: make it anew.") from error
    return arrays, told


def _hash(arrays: Mapping[str, np.ndarray], text: str) -> str:
    found = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()
