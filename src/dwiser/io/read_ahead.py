"""Read an image's voxels in a thread while something else is done, say modules imported."""

from contextlib import suppress
from threading import Thread

import numpy as np
from jaxtyping import Float32

from dwiser.io.stored import StoredImage
from dwiser.io.voxels import read_voxels


class ReadAhead:
    """The voxels of an image, read from now on.

    Its thread ends with the program: what is not asked for any more is waited for by nobody.

    Parameters
    ----------
    image : its header was read; it is real.
    shape, mapped, in_place : as `read_voxels` has them.
    """

    def __init__(
        self,
        image: StoredImage,
        shape: tuple[int, ...],
        *,
        mapped: bool = False,
        in_place: bool = False,
    ) -> None:
        self._image, self._shape = image, shape
        self._mapped, self._in_place = mapped, in_place
        self._voxels: Float32[np.ndarray, "x y z v"] | None = None
        self._thread = Thread(target=self._read, name="read ahead", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(Exception):  # who reads it again is told
            self._voxels = read_voxels(
                self._image, self._shape, mapped=self._mapped, in_place=self._in_place
            )

    def taken(
        self, image: StoredImage, shape: tuple[int, ...]
    ) -> Float32[np.ndarray, "x y z v"] | None:
        """The voxels, once, as soon as all are read; they are not held here any more.

        Parameters
        ----------
        image : opened again.
        shape : as `read_voxels` has it.

        Returns
        -------
        Array (X, Y, Z, V), or None
            None where it is another image, or could not be read: to read it then says why.
        """
        self._thread.join()
        voxels, self._voxels = self._voxels, None
        same = (image.voxels, shape) == (self._image.voxels, self._shape)
        return voxels if same else None
