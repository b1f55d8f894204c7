"""Tensors by name with plain values beside them, as safetensors: weights and checkpoints.

The format is a JSON header and raw numbers: nothing in it can run. The file holds a SHA-256 of
both, and is refused where that does not match. No pickle is read or written anywhere.
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

from dwiser.errors import Code, InputError
from dwiser.io.about import FilePath, about, check_contents

KEY, HASH = "dwiser", "sha256"


def tensor_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> bytes:
    """The contents of a safetensors file.

    Parameters
    ----------
    tensors : arrays by name, of any shape.
    metadata : plain values; they become JSON in the header, with a hash.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        For metadata that JSON cannot hold.

    Examples
    --------
    >>> import numpy as np
    >>> from dwiser.io import tensor_bytes
    >>> content = tensor_bytes({"w": np.ones(3)}, {"method": "splitq"})
    >>> b"splitq" in content
    True
    """
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    text = json.dumps(dict(metadata), sort_keys=True)
    return save(arrays, {KEY: text, HASH: _hash(arrays, text)})


def write_tensors(
    path: FilePath, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write a safetensors file completely or not at all: under another name, then renamed.

    Parameters
    ----------
    path : the file; an existing one is replaced.
    tensors : arrays by name, of any shape.
    metadata : plain values, as in ``tensor_bytes``.

    Raises
    ------
    OSError
        If there is no space or no permission; an older file of that name is then unchanged.

    Examples
    --------
    >>> import numpy as np
    >>> from dwiser.io import read_tensors, write_tensors
    >>> write_tensors("w.safetensors", {"w": np.ones(3)}, {"method": "splitq"})
    >>> read_tensors("w.safetensors")
    ({'w': array([1., 1., 1.])}, {'method': 'splitq'})
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(tensor_bytes(tensors, metadata))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_tensors(path: FilePath) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors and metadata of a file that dwiser wrote.

    Parameters
    ----------
    path : a safetensors file of ``write_tensors``.

    Returns
    -------
    tensors : dict of arrays by name.
    metadata : dict of plain values.

    Raises
    ------
    InputError
        If the file cannot be read, is another program's, or is damaged.

    Examples
    --------
    >>> import numpy as np
    >>> from dwiser.io import read_tensors, write_tensors
    >>> write_tensors("w.safetensors", {"w": np.zeros(2)}, {"epoch": 3})
    >>> tensors, metadata = read_tensors("w.safetensors")
    >>> tensors["w"].shape, metadata["epoch"]
    ((2,), 3)
    """
    with about(path):
        check_contents(path)
        Path(path).open("rb").close()
        try:
            with safe_open(path, framework="np") as file:
                header = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, TypeError, ValueError) as error:
            raise InputError(
                "It is no safetensors file, or a damaged one: create it again.",
                code=Code.WEIGHTS_INVALID,
            ) from error
        if KEY not in header:
            raise InputError(
                "It holds weights, but not dwiser's: give a file of --save-weights.",
                code=Code.WEIGHTS_INVALID,
            )
        if header.get(HASH) != _hash(arrays, header[KEY]):
            raise InputError(
                "Its contents do not match its hash, it is damaged: create it again.",
                code=Code.WEIGHTS_INVALID,
            )
        try:
            metadata = dict(json.loads(header[KEY]))
        except (ValueError, TypeError) as error:
            raise InputError(
                "Its metadata cannot be read: create it again.", code=Code.WEIGHTS_INVALID
            ) from error
    return arrays, metadata


def _hash(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
