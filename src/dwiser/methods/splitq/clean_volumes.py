"""What was learned at work: clean volumes from the local estimates, and their shape restored."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from dwiser.machine import Machine, give_memory_back, side_by_side
from dwiser.memmap import allocate_like
from dwiser.methods.splitq.arrays import Array, as_numpy, like, namespace, on_device
from dwiser.methods.splitq.few_directions import WithTensor
from dwiser.methods.splitq.learning import DEVIATION, FIRST
from dwiser.methods.splitq.neighbours import Grid
from dwiser.methods.splitq.own_deviation import add_deviation
from dwiser.methods.splitq.parts import chunks, joined, times
from dwiser.methods.splitq.restoring import (
    ResponseModel,
    residual_response,
    restore_held_out,
    restore_residual,
    shape_of,
)
from dwiser.methods.splitq.shell_mean import ShellMeans
from dwiser.methods.splitq.stacking import LocalEstimates
from dwiser.methods.splitq.tissue_classes import tissue_classes
from dwiser.methods.splitq.whitened import WhitenedScan


@dataclass(eq=False)
class CleanVolumes:
    """What learned weights make of a whitened scan, called with it: (x̂ − μ)/σ of all volumes.

    Called first with the model's own scan, in whose residual the second response is found.

    Parameters
    ----------
    state : of the weights, as `Learner` gives them.
    means : what a whole shell lacks is put back; None to leave it out.
    residual : the second response; None before the first call, and where there is none.
    """

    state: Mapping[str, np.ndarray]
    model: ResponseModel
    machine: Machine
    means: ShellMeans | None
    residual: Float[np.ndarray, "s c k"] | None = None

    def __call__(self, whitened: WhitenedScan) -> Float[np.ndarray, "n v"]:
        values = combined(self.state, whitened, self.model, self.machine)
        give_memory_back()
        if "response" in self.state:
            self._restore_shape(values, whitened, self.state["response"])
        if self.means is not None:
            self.means(values, whitened.y)
        return values

    def _restore_shape(
        self,
        values: Float[np.ndarray, "n v"],
        whitened: WhitenedScan,
        held_out: Float[np.ndarray, "s c k"],
    ) -> None:
        """The signal's shape about the fibre: what held-out volumes show, then the residual."""
        shape = restore_held_out(values, self.model, held_out)
        deviation = [own for name, own in self.state.items() if name.startswith(DEVIATION)]
        if deviation:
            add_deviation(values, whitened.y, self.model, deviation, shape)
        part = float(self.state.get("residual_share", 1.0))
        if part > 0:
            shape = shape_of(values, self.model) if deviation else shape
            if self.residual is None:
                self.residual = residual_response(values, self.model, shape)
            restore_residual(values, self.model, self.residual, shape, share=part)


def combined(
    state: Mapping[str, np.ndarray],
    whitened: WhitenedScan,
    model: ResponseModel,
    machine: Machine,
) -> Float[np.ndarray, "n v"]:
    """All volumes at the mask's voxels, in units of y, by the weights alone."""
    weights, knots = state["stacking"], state.get("attenuation", np.zeros(0))
    seen = np.ones(len(whitened.mean) - len(whitened.alone), bool)
    matrix, root = whitened.into(seen)
    values = times(on_device(whitened.y, machine.device), matrix)
    local = LocalEstimates(
        Grid.of(whitened.mask, machine.device),
        whitened.noise,
        machine.threads,
        whitened.correlation,
    )
    out = namespace(values).zeros_like(values)
    by_risk = whitened.axes is not None  # of volumes themselves, and with a tensor's too
    estimates = (WithTensor(local, model, slice(None)) if by_risk else local)(values)
    if weights.ndim == 2:  # the same in all voxels
        for row in weights:  # in place, and nothing kept: each of these is K channels large
            estimate = next(estimates)[1]
            turned = like(root * row, out)
            for part in chunks(len(out)):
                out[part] += estimate[part] @ turned
            del estimate
    else:
        first = [next(estimates)[1] for _ in range(FIRST + 1)]
        shares = _shares(first[FIRST], root @ whitened.back, model, knots)
        for row in weights.transpose(1, 0, 2):
            estimate = first.pop(0) if first else next(estimates)[1]
            add = partial(_add_weighted, out, estimate, root, shares, row)
            list(side_by_side(add, chunks(len(out)), machine.threads))
            del estimate, add
    del values, estimates
    clean, back = allocate_like(whitened.y), whitened.back

    def of_volumes(part: slice) -> None:
        clean[part] = as_numpy(times(out[part], back))

    list(side_by_side(of_volumes, chunks(len(out)), machine.threads))
    return clean


def _shares(
    pilot: Float[Array, "n c"], back: Float[np.ndarray, "c v"], model: ResponseModel,
    knots: Float[np.ndarray, "k"],
) -> Float[np.ndarray, "n s"]:  # fmt: skip
    """Shares in the classes, by an estimate of the channels and their way back to y."""

    def classes(part: slice) -> Float[np.ndarray, "m s"]:
        values = as_numpy(times(pilot[part], back))
        by_risk = model.whitened.axes is not None
        if by_risk:
            return tissue_classes(model, knots, values, part)
        return model.classes(values, part)

    return joined(classes, len(pilot), model.threads)


def _add_weighted(
    out: Float[Array, "n c"], estimate: Float[Array, "n c"],
    root: Float[np.ndarray, "c c"], shares: Float[np.ndarray, "n s"],
    weights: Float[np.ndarray, "s c"], part: slice,
) -> None:  # fmt: skip
    """Add an estimate to ``part`` of ``out``, each voxel by the weights of its classes."""
    turned = times(estimate[part], root)
    out[part] += turned * like(shares[part] @ weights, turned)
