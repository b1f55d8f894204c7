"""The JSON sidecar: a record as text, acquisition fields, and the input's hash."""

import dataclasses
import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from dwiser.errors import DwiserWarning, InputError
from dwiser.io.about import FilePath
from dwiser.io.json_file import read_object
from dwiser.io.names import companion


def sidecar(record: Mapping[str, Any]) -> str:
    """The record as JSON text.

    NumPy scalars and arrays, dataclasses, enums, paths, sets and tuples become plain
    values; NaN and infinity, which JSON lacks, become null; anything else its ``str``.

    Parameters
    ----------
    record : any values; the order of its keys is preserved.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> from dwiser.io import sidecar
    >>> print(sidecar({"Sigma": np.float32(2.5), "Shape": (2, 3)}), end="")
    {
      "Sigma": 2.5,
      "Shape": [
        2,
        3
      ]
    }
    """
    return json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, np.floating):
        return _plain(float(value))
    if isinstance(value, np.ndarray | np.bool_ | np.integer | np.str_):
        return _plain(value.tolist())
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)  # a strange value in the record must not lose the result


def carried_over(dwi: FilePath, inherited: Iterable[FilePath] = ()) -> dict[str, Any]:
    """The acquisition fields of the BIDS sidecar beside an image, and of those above it.

    Parameters
    ----------
    dwi : the image.
    inherited : further JSON files that speak for it, the nearest last; a field of a nearer one
        wins, and the sidecar beside the image is the nearest.

    Returns
    -------
    dict
        The fields; empty if there is no sidecar. One that cannot be read gives a DwiserWarning
        that says why, and no fields.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import carried_over
    >>> _ = Path("dwi.json").write_text('{"EchoTime": 0.09}')
    >>> carried_over("dwi.nii.gz")
    {'EchoTime': 0.09}
    """
    fields: dict[str, Any] = {}
    for path in (*inherited, companion(dwi, ".json")):
        if not os.path.lexists(path):
            continue
        try:
            fields |= read_object(path)
        except InputError as error:
            warnings.warn(not_carried_over(error), DwiserWarning, stacklevel=2)
    return fields


def not_carried_over(error: InputError) -> str:
    """What is said of a sidecar that cannot be read: the denoising does not need it."""
    return f"{str(error).removesuffix('.')}; its acquisition fields are not carried over."


def sha256(path: FilePath) -> str:
    """The SHA-256 of a file's bytes.

    Parameters
    ----------
    path : any file.

    Returns
    -------
    str
        In hexadecimal.

    Raises
    ------
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from dwiser.io import sha256
    >>> _ = Path("a.txt").write_text("abc")
    >>> sha256("a.txt")[:8]
    'ba7816bf'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
