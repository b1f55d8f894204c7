"""splitq: local estimates in the scan's own subspace, weighted across disjoint directions."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from dwiser.errors import InputError
from dwiser.learn.stacking import NAMES, LocalEstimates, Stacking, plain_weights
from dwiser.machine import Machine, give_memory_back
from dwiser.methods.base import Denoised, Weights
from dwiser.methods.options import Presets, option
from dwiser.methods.split_doubt import estimate_variance, signal_sd
from dwiser.methods.split_ground import Ground, as_it_is, ground_of, inner_slices
from dwiser.methods.splitq.few_directions import (
    FEWEST_VOXELS,
    WithTensor,
    axes_of,
    local_names,
    probe_of,
    response_by_risk,
    weights_by_risk,
)
from dwiser.methods.splitq.presets import LAPTOP, PRESETS
from dwiser.methods.splitq.restoring import (
    HeldOutResponse,
    ResponseModel,
    residual_response,
    restore_held_out,
    restore_residual,
)
from dwiser.prepare.doubt import Errors
from dwiser.prepare.floor import true_signal
from dwiser.prepare.giveback import given_back, mean_back
from dwiser.prepare.grid import Grid, cross, neighbour_mean
from dwiser.prepare.shells import shells
from dwiser.prepare.splits import folds
from dwiser.prepare.subspace import FEWEST_SHARED
from dwiser.room import own_copy, own_room
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch, silent

TASK = "learning"


@dataclass(frozen=True)
class Splitq:
    """What all volumes share is found once, denoised locally, and weighted by held-out volumes.

    In the mask y = (x − μ)/σ lies near a subspace W of K of the V volumes' dimensions. The
    volumes A of a split give coordinates u_A along W with known white noise; several local
    estimates (PCA on patches of three sizes, their neighbours' means, u_A itself) are combined
    with the weights that predict the raw volumes B, whose noise u_A never saw. The same weights
    then combine the estimates that all volumes give. What such estimates lack of the signal's
    shape about its fibre is learned from all voxels by the same splits, and restored.

    Notes
    -----
    The held-out error is an unbiased risk given μ, W, σ and noise that is independent across
    volumes; E·K weights are learned from N·V values, so that none of the noise is. What is
    correlated across volumes (motion, ghosts, duplicated volumes) is signal to it.

    Volumes alone in their group (a single b0) are no part of W. They are channels of their own
    in the local PCA, beside what the others share, with fixed weights. So are all volumes
    where fewer than ``fewest_shared`` share a subspace; the weights then minimise Stein's
    unbiased risk, and the tensor's prediction is one of the estimates (`few_directions`).
    """

    name: ClassVar[str] = "splitq"
    presets: ClassVar[Presets] = PRESETS
    least_directions: ClassVar[int] = 6
    least_b0s: ClassVar[int] = 0
    has_seed: ClassVar[bool] = True
    takes_phase: ClassVar[bool] = True
    takes_noise_map: ClassVar[bool] = True
    working: ClassVar[float] = 3.7
    working_mapped: ClassVar[float] = 4.9  # K coordinates of each voxel, five times; the verdict
    works_in: ClassVar[str] = "mask"
    not_reusable: ClassVar[str] = "which learns its weights from each scan anew, in seconds"

    folds: int = option(LAPTOP["folds"].value, "splits; each volume is held out once", least=2)
    learned_on: int = option(
        LAPTOP["learned_on"].value, "voxels that the weights are learned on", least=1000
    )
    fewest_shared: int = option(
        LAPTOP["fewest_shared"].value, "fewer volumes than this share no subspace", least=4
    )
    floor: Literal["removed", "kept"] = option(
        LAPTOP["floor"].value, "the magnitude's noise floor (Rician or nc-chi bias)"
    )
    response: bool = option(True, "restore the signal's shape about its fibre")
    give_back: bool = option(True, "give back what noise does not explain in a residual")
    uncertainty: bool = option(False, "also the sd of the error, in half as much time again")
    coils: float | None = option(
        None, "channels behind the magnitude; none: read off the background", least=1
    )

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Learn the weights from the scan, then apply them to all of its volumes.

        Voxels outside the mask come back unchanged.

        Raises
        ------
        InputError
            For fewer than 6 diffusion-weighted volumes.
        """
        ground = self._prepare(scan, machine, seed)
        if ground is None:
            return as_it_is(scan, self.name)
        weights = self._learn(ground, scan.gradients, machine, seed, watch)
        return self._restored(weights, ground, scan, machine, seed, watch)

    def fit(self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent) -> Weights:
        """Learn from the scan alone.

        Raises
        ------
        InputError
            For a scan without noise, from which there is nothing to learn.
        """
        ground = self._prepare(scan, machine, seed)
        if ground is None:
            raise InputError("No noise was found in the scan: there is nothing to learn from it.")
        return self._learn(ground, scan.gradients, machine, seed, watch)

    def apply(
        self, weights: Weights, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Apply weights learned before on the scan they were learned from."""
        ground = self._prepare(scan, machine, seed)
        if ground is None:
            return as_it_is(scan, self.name)
        return self._restored(weights, ground, scan, machine, seed, watch)

    def _prepare(self, scan: Scan, machine: Machine, seed: int) -> Ground | None:
        return ground_of(
            scan, seed, name=self.name, least=self.least_directions,
            fewest_shared=self.fewest_shared, coils=self.coils, threads=machine.threads,
        )  # fmt: skip

    def _learn(
        self, ground: Ground, gradients: Gradients, machine: Machine, seed: int, watch: Watch
    ) -> Weights:
        """The weights of the estimates, and the response: what predicts held-out volumes best."""
        plain = plain_weights(len(ground.alone))
        if ground.subspace is None:
            return self._learn_by_risk(ground, gradients, machine, seed, watch)
        rank, volumes = ground.subspace.rank, ground.subspace.volumes
        part, trusted = inner_slices(ground.mask, self.learned_on)
        here = part[ground.mask]
        seen_here = ground.y[here][:, volumes] / ground.scale[volumes].astype(np.float32)
        y = torch.from_numpy(seen_here).to(machine.device)
        inner = torch.from_numpy(np.flatnonzero(trusted[part])).to(machine.device)
        grid = Grid.of(part, machine.device)
        local = LocalEstimates(grid, ground.noise, machine.threads, ground.correlation)
        model = ResponseModel(ground, gradients)
        rows = np.flatnonzero(trusted[ground.mask])
        response = HeldOutResponse(model, rows)
        lone = torch.from_numpy(ground.y[here][:, ground.lone]).to(machine.device)
        lone = neighbour_mean(lone, grid, cross())[inner]
        raw = ground.y[rows]
        stacking = Stacking(len(NAMES), rank)
        splits = folds(ground.groups, volumes, self.folds, stream(seed, "splits"))
        for done, seen in enumerate(splits, 1):
            matrix, root = ground.subspace.coordinates(seen)
            found = [_times(u[inner], root) for _, u in local(_times(y, matrix))]
            held = np.flatnonzero(~seen)
            if self.response and model.shells and done > 1:  # weights from volumes before these
                estimate = _seen_by_others(stacking.weights(), found, lone, ground)
                response.add(estimate, raw, volumes[held])
            stacking.add(found, y[inner][:, held], ground.subspace.components[held])
            watch(Progress(TASK, done, len(splits) + 1, "splits"))
        weights = stacking.weights()
        del found, y
        give_memory_back()
        record = {
            "learned": True,
            "splits": self.folds,
            "voxels": len(inner),
            "weights": int(weights.size),
            "mean_weights": {
                n: round(float(w.mean()), 3) for n, w in zip(NAMES, weights, strict=True)
            },
        }
        state = {"stacking": np.concatenate([weights, plain], 1)}
        if self.response and model.shells:
            state["response"] = response.coefficients()
        return Weights(state, record)

    def _learn_by_risk(
        self, ground: Ground, gradients: Gradients, machine: Machine, seed: int, watch: Watch
    ) -> Weights:
        """The same where no volume can be held out; equal weights where voxels are too few."""
        volumes = len(ground.mean)
        most = self.learned_on * min(1.0, self.fewest_shared / volumes)  # for memory
        part, trusted = inner_slices(ground.mask, round(most))
        rows, inner = np.flatnonzero(part[ground.mask]), np.flatnonzero(trusted[part])
        if len(inner) < FEWEST_VOXELS:
            return Weights({"stacking": plain_weights(volumes)}, {"learned": False})
        model = ResponseModel(ground, gradients)
        grid = Grid.of(part, machine.device)
        local = LocalEstimates(grid, ground.noise, machine.threads, ground.correlation)
        channels = ground.y[rows] / ground.scale.astype(np.float32)
        names, axes = local_names(model), axes_of(ground)
        estimates = WithTensor(local, model, rows)
        weights, estimate, probed, step = weights_by_risk(
            estimates, channels, probe_of(ground, seed)[rows], inner, axes, ground.noise,
            machine.device,
        )  # fmt: skip
        watch(Progress(TASK, 1, 2, "risk"))
        record = {
            "learned": True,
            "by": "Stein's unbiased risk",
            "voxels": len(inner),
            "weights": int(weights.size),
            "mean_weights": {
                n: round(float(w.mean()), 3) for n, w in zip(names, weights, strict=True)
            },
        }
        state = {"stacking": weights, "axes": axes}
        if self.response and model.shells:
            scale = ground.scale.astype(np.float32)
            state["response"] = response_by_risk(
                model, rows[inner], estimate * scale, probed * scale, step * scale
            )
        return Weights(state, record)

    def _restored(
        self, weights: Weights, ground: Ground, scan: Scan, machine: Machine, seed: int,
        watch: Watch,
    ) -> Denoised:  # fmt: skip
        ground.axes = weights.state.get("axes")
        model = ResponseModel(ground, scan.gradients)
        clean = partial(self._clean, weights.state["stacking"], model=model, machine=machine)
        found = clean(ground)
        give_memory_back()
        held_out, residual = weights.state.get("response"), None
        if held_out is not None:
            shape = restore_held_out(found, model, held_out)
            if ground.axes is None:  # of few volumes a tensor follows their noise, most of all
                residual = residual_response(found, model, shape)  # that of a residual it was in
                restore_residual(found, model, residual, shape)
            del shape
        sigma, variance = ground.sigma[ground.mask], None
        if self.uncertainty:
            watch(Progress(TASK, self.folds, self.folds + 1, "uncertainty"))
            dwi = np.flatnonzero(~scan.gradients.is_b0)

            def estimate(probed: Ground) -> np.ndarray:
                values = clean(probed)
                if held_out is not None:
                    shape = restore_held_out(values, model, held_out)
                    if residual is not None:
                        restore_residual(values, model, residual, shape)
                return values

            variance = estimate_variance(estimate, found, dwi, ground, seed)
        share = self._return(found, ground, scan) if self.give_back else None
        ground.take_y()  # for room, where nothing went back too
        returned = 0.0 if share is None else round(float(share.mean()), 5)
        errors = None if variance is None else Errors(variance, ground.scale, share)
        del share
        give_memory_back()
        data = own_copy(scan.data)
        for shell in shells(scan.gradients):
            power = self._power(found, shell.volumes, ground)
            for v in shell.volumes.tolist():
                values = found[:, v] * sigma + np.float32(ground.mean[v])
                if errors is not None and not shell.is_b0:
                    errors.add(v, partial(self._signal_sd, values, sigma, ground, power))
                signal = self._signal(values, sigma, ground, power)
                data[..., v][ground.mask] = signal.clip(min=0)
        watch(Progress(TASK, 1, 1))
        record = {"training": weights.record, **ground.record(), "noise_floor": self.floor}
        record["given_back_mean"] = returned
        sd = None if errors is None else errors.sd(ground.mask)
        return Denoised(data, ground.sigma, sd, weights, record, ground.mask)

    def _power(
        self, found: Float[np.ndarray, "n v"], volumes: Int[np.ndarray, "m"], ground: Ground
    ) -> Float[np.ndarray, "n"] | None:
        """What signals to expect of a shell, by voxel; None where it has too few volumes."""
        if self.floor == "kept" or len(volumes) < FEWEST_SHARED:
            return None
        return ground.power_of(found, volumes)

    def _signal(
        self, values: np.ndarray, sigma: np.ndarray, ground: Ground, power: np.ndarray | None
    ) -> np.ndarray:
        if self.floor == "kept":
            return values
        return true_signal(values, sigma, ground.spread, ground.coils, power)

    def _signal_sd(
        self, values: np.ndarray, sigma: np.ndarray, ground: Ground, power: np.ndarray | None,
        spread: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """The error's sd in the data's units, where the estimate's is ``spread`` σ."""
        if self.floor == "kept":
            return spread * sigma
        given = self._signal(values, sigma, ground, power)
        return signal_sd(values, given, sigma, spread, ground.coils, power)

    def _return(
        self, found: Float[np.ndarray, "n v"], ground: Ground, scan: Scan
    ) -> Float[np.ndarray, "n v"]:
        """Put back into ``found`` what noise does not explain; the share that went back.

        The ground's y becomes the standardised residual, and is gone.
        """
        residual = ground.take_y()
        residual -= found
        for v in range(residual.shape[1]):
            residual[:, v] /= ground.spread_of(found[:, v], v)
        share = given_back(residual, ground.mask, scan.voxel_size)
        for v in range(residual.shape[1]):
            own, part = residual[:, v], share[:, v]
            back = part * own + (1 - part) * mean_back(own, ground.mask)
            found[:, v] += ground.spread_of(found[:, v], v) * back
        return share

    def _clean(
        self,
        weights: Float[np.ndarray, "e c"],
        ground: Ground,
        model: ResponseModel,
        machine: Machine,
    ) -> Float[np.ndarray, "n v"]:
        """(x̂ − μ)/σ of all volumes at the mask's voxels."""
        seen = np.ones(len(ground.mean) - len(ground.alone), bool)
        matrix, root = ground.into(seen)
        values = _times(torch.from_numpy(ground.y).to(machine.device), matrix)
        local = LocalEstimates(
            Grid.of(ground.mask, machine.device), ground.noise, machine.threads, ground.correlation
        )
        out = torch.zeros_like(values)
        by_risk = ground.axes is not None  # of the volumes themselves, and with a tensor's too
        estimates = (WithTensor(local, model, slice(None)) if by_risk else local)(values)
        for row in weights:  # in place, and nothing kept: each of these is K channels large
            turned = torch.from_numpy((root * row).astype(np.float32)).to(out.device)
            out.addmm_(next(estimates)[1], turned)
        del values, estimates
        clean = own_room(ground.y)
        for v, column in enumerate(ground.back.T):
            clean[:, v] = _times(out, column).cpu().numpy()
        return clean


def _seen_by_others(
    weights: Float[np.ndarray, "e k"], estimates: list[torch.Tensor], lone: torch.Tensor,
    ground: Ground,
) -> Float[np.ndarray, "n v"]:  # fmt: skip
    """All volumes in units of y, from the estimates that some of them give."""
    assert ground.subspace is not None
    total = torch.zeros_like(estimates[0])
    for e, w in zip(estimates, weights, strict=True):
        total += e * torch.from_numpy(w.astype(np.float32)).to(e.device)
    values = np.empty((len(lone), len(ground.mean)), np.float32)
    shared = ground.subspace.volumes
    values[:, shared] = _times(total, ground.subspace.components.T).cpu().numpy()
    values[:, shared] *= ground.scale[shared].astype(np.float32)
    values[:, ground.lone] = lone.cpu().numpy()
    return values


def _times(values: torch.Tensor, matrix: np.ndarray) -> torch.Tensor:
    return values @ torch.from_numpy(matrix.astype(np.float32)).to(values.device)
