"""A series that is written volume by volume, so that it need not fit into memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from dwiser.io.about import FilePath
from dwiser.io.ahead import ahead
from dwiser.io.gz import zipped
from dwiser.io.names import check_output_name, ending
from dwiser.io.writing import HasGeometry, image_of


@runtime_checkable
class Sink(Protocol):
    """What bytes are written to."""

    def write(self, content: Any, /) -> int: ...

    def tell(self) -> int: ...


@dataclass(frozen=True, eq=False)
class VolumeStream:
    """A series whose volumes are computed in turn, as often as they are asked for.

    Parameters
    ----------
    shape : (X, Y, Z, V)
    volumes : gives an iterator of V volumes (X, Y, Z).
    """

    shape: tuple[int, int, int, int]
    volumes: Callable[[], Iterator[Float[np.ndarray, "x y z"]]]


def save_stream(stream: VolumeStream, path: FilePath, like: HasGeometry) -> None:
    """Write a series as ``save_volume`` does; one volume is computed while one is written.

    Parameters
    ----------
    stream : the series; stored as float32 without a scale slope.
    path : .nii or .nii.gz.
    like : its affine and header are written, as by ``save_volume``.

    Raises
    ------
    InputError
        If the name does not end in .nii or .nii.gz.
    OSError
        If the file cannot be written.
    """
    check_output_name(path)
    # strides of 0: the header is that of the whole series, the memory that of one number
    header = image_of(np.broadcast_to(np.float32(0), stream.shape), like).header
    header.set_slope_inter(1, 0)
    packed = ending(path).lower() == ".nii.gz"
    with zipped(Path(path)) if packed else Path(path).open("wb") as file:
        _write(file, header, stream.volumes())


def _write(file: Sink, header: Any, volumes: Iterable[Float[np.ndarray, "x y z"]]) -> None:
    header.write_to(file)
    file.write(bytes(header.get_data_offset() - file.tell()))
    for volume in ahead(volumes):
        stored = np.asarray(volume, header.get_data_dtype().newbyteorder(header.endianness))
        file.write(stored.ravel(order="F").data)
