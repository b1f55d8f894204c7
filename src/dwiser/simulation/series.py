"""The noiseless series of a simulation, computed for some voxels and some volumes at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.scan import Gradients
from dwiser.simulation.lesions import Lesion, changes, include

VOLUMES = 16  # at a time: each block goes through all voxels' compartments once
EVERY = slice(None)

Voxels: TypeAlias = slice | Int[np.ndarray, "m"]
Signal: TypeAlias = Callable[[Gradients, Voxels], Float[np.ndarray, "m v"]]


@dataclass(frozen=True, eq=False)
class TrueSeries:
    """The series without noise, of which nothing is held but the voxels of lesions.

    Parameters
    ----------
    signal : gives the healthy signal (m, V) of some of the mask's voxels for any gradient table.
    gradients : the table of V volumes.
    mask : (X, Y, Z) the object, n voxels.
    lesion_voxels : (m,) which of the n lie in lesions, ascending.
    lesion_signal : (m, V) their signal.
    """

    signal: Signal
    gradients: Gradients
    mask: Bool[np.ndarray, "x y z"]
    lesion_voxels: Int[np.ndarray, "m"]
    lesion_signal: Float[np.ndarray, "m v"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(X, Y, Z, V)"""
        x, y, z = self.mask.shape
        return x, y, z, len(self.gradients)

    def rows(self, voxels: slice, volumes: Int[np.ndarray, "v"]) -> Float[np.ndarray, "m v"]:
        """The signal of some of the mask's voxels in some volumes.

        Parameters
        ----------
        voxels : which of the n voxels, in the mask's order; without a step.
        volumes : numbers of the volumes.

        Returns
        -------
        (m, v) float32, in the scanner's units
        """
        signal = self.signal(self.gradients.take(volumes), voxels)
        start, stop, _ = voxels.indices(int(self.mask.sum()))
        first, last = np.searchsorted(self.lesion_voxels, (start, stop))
        signal[self.lesion_voxels[first:last] - start] = self.lesion_signal[first:last][:, volumes]
        return signal

    def volumes(self) -> Iterator[Float[np.ndarray, "x y z"]]:
        """Each volume in turn.

        Yields
        ------
        (X, Y, Z) float32, in the scanner's units
            Its voxels lie in the order in which an image file holds them.
        """
        for start in range(0, len(self.gradients), VOLUMES):
            block = np.arange(start, min(start + VOLUMES, len(self.gradients)))
            for column in self.rows(EVERY, block).T:
                volume = np.zeros(self.mask.shape, np.float32, order="F")
                volume[self.mask] = column
                yield volume

    def whole(self) -> Float[np.ndarray, "x y z v"]:
        """All volumes in memory.

        Returns
        -------
        (X, Y, Z, V) float32, in the scanner's units
        """
        series = np.zeros(self.shape, np.float32)
        series[self.mask] = self.rows(EVERY, np.arange(len(self.gradients)))
        return series


def true_series(
    signal: Signal,
    gradients: Gradients,
    mask: Bool[np.ndarray, "x y z"],
    lesions: Sequence[Lesion],
    labelled: Int[np.ndarray, "x y z"],
) -> tuple[TrueSeries, list[list[float]]]:
    """The series of an anatomy with its lesions.

    Parameters
    ----------
    signal : the healthy signal.
    gradients : the table.
    mask : (X, Y, Z) the object.
    lesions : may be none.
    labelled : (X, Y, Z) label of each voxel, as ``labels`` gives them.

    Returns
    -------
    series : the series.
    changes : for each lesion the mean change of its volumes, as ``changes`` gives it.
    """
    shares = np.zeros((len(lesions), int(mask.sum())), np.float32)
    for share, lesion in zip(shares, lesions, strict=True):
        share[:] = lesion.share(mask.shape)[mask]
    voxels = np.flatnonzero(shares.any(axis=0))
    if not len(voxels):
        nothing = np.zeros((0, len(gradients)), np.float32)
        return TrueSeries(signal, gradients, mask, voxels, nothing), [[] for _ in lesions]
    healthy = signal(gradients, voxels)
    changed = include(healthy, lesions, shares[:, voxels], gradients)
    mean_changes = changes(healthy, changed, lesions, labelled[mask][voxels])
    return TrueSeries(signal, gradients, mask, voxels, changed), mean_changes
