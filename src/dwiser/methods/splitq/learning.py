"""How splitq learns: the weights of its estimates and the response, from the scan alone."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.errors import DwiserWarning
from dwiser.machine import Machine, give_memory_back, side_by_side
from dwiser.methods.base import Weights
from dwiser.methods.splitq.angular_response import UNKNOWNS
from dwiser.methods.splitq.arrays import Array, as_numpy, like, namespace, on_device
from dwiser.methods.splitq.few_directions import (
    FEWEST_VOXELS,
    MOSTLY,
    PILOT,
    WithTensor,
    axes_of,
    local_names,
    probe_of,
    residual_share,
    response_by_risk,
    weights_by_risk,
)
from dwiser.methods.splitq.neighbours import Grid, cross, neighbour_mean
from dwiser.methods.splitq.own_deviation import deviation_weights
from dwiser.methods.splitq.parts import chunks, gathered, joined, rows_times, times
from dwiser.methods.splitq.restoring import HeldOutResponse, ResponseModel, restore_held_out
from dwiser.methods.splitq.stacking import NAMES, LocalEstimates, Stacking, plain_weights
from dwiser.methods.splitq.tissue_classes import attenuation_knots, families, tissue_classes
from dwiser.methods.splitq.whitened import (
    FEWEST_HELD_OUT,
    WhitenedScan,
    inner_slices,
    share_subspace,
)
from dwiser.prepare.splits import folds
from dwiser.scan import Gradients
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch

TASK = "learning"
DEVIATION = "deviation_"  # and a number: names of the weights of `own_deviation`
FIRST = NAMES.index(PILOT)  # where it stands among the estimates, and with a tensor's too


@dataclass(frozen=True)
class Learner:
    """What is learned of a whitened scan, called with it and its gradients.

    Parameters
    ----------
    name : of the method, for warnings.
    folds, learned_on, fewest_shared, response : as `Splitq` has them.
    """

    name: str
    folds: int
    learned_on: int
    fewest_shared: int
    response: bool
    machine: Machine
    seed: int
    watch: Watch

    def __call__(self, whitened: WhitenedScan, gradients: Gradients) -> Weights:
        """What predicts held-out volumes best, or has the least risk where none can be held out."""
        way = self._by_risk if whitened.subspace is None else self._held_out
        return way(whitened, gradients)

    def _held_out(self, whitened: WhitenedScan, gradients: Gradients) -> Weights:
        """The weights of the estimates, and the response: what predicts held-out volumes best."""
        assert whitened.subspace is not None
        machine, plain = self.machine, plain_weights(len(whitened.alone))
        rank, volumes = whitened.subspace.rank, whitened.subspace.volumes
        part, trusted = inner_slices(whitened.mask, self.learned_on)
        here = part[whitened.mask]
        seen_here = gathered(whitened.y, here, volumes, machine.threads)
        seen_here /= whitened.scale[volumes].astype(np.float32)
        y = on_device(seen_here, machine.device)
        inner = on_device(np.flatnonzero(trusted[part]), machine.device)
        grid = Grid.of(part, machine.device)
        local = LocalEstimates(grid, whitened.noise, machine.threads, whitened.correlation)
        model = ResponseModel(whitened, gradients, machine.threads)
        rows = np.flatnonzero(trusted[whitened.mask])
        response = HeldOutResponse(model, rows)
        lone = on_device(whitened.y[here][:, whitened.lone], machine.device)
        lone = neighbour_mean(lone, grid, cross())[inner]
        raw = whitened.y[rows]
        stacking = Stacking(len(NAMES), rank, model.class_count, machine.threads)
        splits = folds(whitened.groups, volumes, self.folds, stream(self.seed, "splits"))
        for done, seen in enumerate(splits, 1):
            matrix, root = whitened.subspace.coordinates(seen)
            channels = rows_times(y, None, matrix, machine.threads)
            estimates = [rows_times(u, inner, root, machine.threads) for _, u in local(channels)]
            del channels
            held = np.flatnonzero(~seen)
            pilot = all_volumes(estimates[FIRST], lone, whitened, machine.threads)
            shares, bright = _classes_and_bright(pilot, model, rows)
            if self.response and model.shells and done > 1:  # weights from volumes before these
                estimate = _weighted(estimates, shares, stacking.weights(), machine.threads)
                whole = all_volumes(estimate, lone, whitened, machine.threads)
                response.add(whole, raw, volumes[held])
            if bright.any():
                shares *= bright[:, None]
            stacking.add(estimates, y[inner][:, held], whitened.subspace.components[held], shares)
            self.watch(Progress(TASK, done, len(splits), "splits"))
        weights = stacking.weights()
        del estimates, y
        give_memory_back()
        record = {
            "learned": True,
            "splits": self.folds,
            "voxels": len(inner),
            "weights": int(weights.size),
            "mean_weights": {n: round(float(weights[:, e].mean()), 3) for e, n in enumerate(NAMES)},
        }
        state = {"stacking": np.concatenate([weights, np.stack([plain] * len(weights))], 2)}
        if self.response and model.shells:
            state["response"] = response.coefficients()
        return Weights(state, record)

    def _by_risk(self, whitened: WhitenedScan, gradients: Gradients) -> Weights:
        """The same where no volume can be held out; equal weights where voxels are too few."""
        machine, volumes = self.machine, len(whitened.mean)
        most = self.learned_on * min(1.0, self.fewest_shared / volumes)  # for memory
        part, trusted = inner_slices(whitened.mask, round(most))
        rows, inner = np.flatnonzero(part[whitened.mask]), np.flatnonzero(trusted[part])
        if len(inner) < FEWEST_VOXELS:
            return Weights({"stacking": plain_weights(volumes)}, {"learned": False})
        self.watch(Progress(TASK, 0, 1))
        model = ResponseModel(whitened, gradients, machine.threads)
        grid = Grid.of(part, machine.device)
        local = LocalEstimates(grid, whitened.noise, machine.threads, whitened.correlation)
        names, axes = local_names(model), axes_of(whitened, model.b0s)
        estimates, scale = WithTensor(local, model, rows), whitened.scale.astype(np.float32)
        channels, knots = whitened.y[rows] / scale, attenuation_knots(model)

        def classes(pilot: Float[np.ndarray, "m v"]) -> Float[np.ndarray, "m s"]:
            return tissue_classes(model, knots, pilot * scale, rows[inner])

        by_risk = weights_by_risk(
            estimates, channels, probe_of(whitened, self.seed)[rows], inner, axes, whitened.noise,
            machine.device, classes, families(model, knots),
        )  # fmt: skip
        self.watch(Progress(TASK, 1, 1))
        if by_risk.impossible > MOSTLY and share_subspace(
            whitened, gradients, FEWEST_HELD_OUT, self.seed
        ):
            warnings.warn(
                "The noise is not what its map and its correlation say (Stein's risk is below 0 in "
                f"{by_risk.impossible:.0%} of the components): {self.name} holds volumes out after "
                "all and learns its weights from them.",
                DwiserWarning,
                stacklevel=4,
            )
            learned = self._held_out(whitened, gradients)
            return Weights({**learned.state, "held_out": np.array(True)}, learned.record)
        weights = by_risk.weights
        record = {
            "learned": True,
            "by": "Stein's unbiased risk",
            "voxels": len(inner),
            "weights": int(weights.size),
            "mean_weights": {n: round(float(weights[:, e].mean()), 3) for e, n in enumerate(names)},
            "least_risk": round(float(by_risk.risk.min()), 3),
        }
        state = {"stacking": weights, "axes": axes, "attenuation": knots}
        if self.response and model.shells:
            here, step = rows[inner], by_risk.step * scale
            both = by_risk.estimate * scale, by_risk.probed * scale
            state["response"] = response_by_risk(model, here, *both, step)
            for values in both:
                restore_held_out(values, model, state["response"], here)
            state["residual_share"] = np.array(residual_share(model, here, *both, step))
            if len(model.fitted) > UNKNOWNS:  # else a tensor fits all, noise too
                for k, own in enumerate(deviation_weights(model, here, *both, step)):
                    state[f"{DEVIATION}{k}"] = own
        return Weights(state, record)


def _classes_and_bright(
    pilot: Float[np.ndarray, "n v"], model: ResponseModel, rows: Int[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n s"], Bool[np.ndarray, "n"]]:
    """Shares of the mask's voxels ``rows`` in the classes, and which show more than noise."""

    def of(part: slice) -> Float[np.ndarray, "c k"]:
        values = pilot[part], rows[part]
        return np.column_stack([model.classes(*values), model.bright(*values)])

    both = joined(of, len(pilot), model.threads)
    return both[:, :-1], both[:, -1] > 0


def _weighted(
    estimates: list[Float[Array, "n k"]],
    shares: Float[np.ndarray, "n s"],
    weights: Float[np.ndarray, "s e k"],
    threads: int,
) -> Float[Array, "n k"]:
    """The sum of the estimates, each voxel's by the weights of its classes."""
    out = namespace(estimates[0]).zeros_like(estimates[0])

    def add(part: slice) -> None:
        for estimate, row in zip(estimates, weights.transpose(1, 0, 2), strict=True):
            out[part] += estimate[part] * like(shares[part] @ row, estimate)

    list(side_by_side(add, chunks(len(out)), threads))
    return out


def all_volumes(
    coordinates: Float[Array, "n k"],
    lone: Float[Array, "n l"],
    whitened: WhitenedScan,
    threads: int,
) -> Float[np.ndarray, "n v"]:
    """All volumes in units of y, from coordinates that some of them give."""
    assert whitened.subspace is not None
    back, subspace = np.zeros((whitened.rank, len(whitened.mean))), whitened.subspace
    back[:, subspace.volumes] = subspace.components.T * whitened.scale[subspace.volumes]
    values = np.empty((len(lone), len(whitened.mean)), np.float32)

    def fill(part: slice) -> None:
        values[part] = as_numpy(times(coordinates[part], back))
        values[part, whitened.lone] = as_numpy(lone[part])

    list(side_by_side(fill, chunks(len(values)), threads))
    return values
