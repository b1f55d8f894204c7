"""splitq: local estimates in the scan's own subspace, weighted across disjoint directions."""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.errors import Code, DwiserWarning, InputError
from dwiser.machine import Machine, give_memory_back, limited, side_by_side
from dwiser.memmap import allocate_like
from dwiser.methods.base import Denoised, Weights
from dwiser.methods.capabilities import FEWEST_B0S_ALONE, Capabilities, WorkingMemory
from dwiser.methods.options import option
from dwiser.methods.splitq.angular_response import UNKNOWNS
from dwiser.methods.splitq.arrays import Array, as_numpy, like, namespace, on_device
from dwiser.methods.splitq.few_directions import (
    FEWEST_VOXELS,
    MOSTLY,
    PILOT,
    WithTensor,
    axes_of,
    classes_with_dark,
    local_names,
    probe_of,
    residual_share,
    response_by_risk,
    weights_by_risk,
)
from dwiser.methods.splitq.freedom import degrees_of_freedom
from dwiser.methods.splitq.neighbours import Grid, cross, neighbour_mean
from dwiser.methods.splitq.own_deviation import add_deviation, deviation_weights
from dwiser.methods.splitq.presets import LAPTOP, PRESETS
from dwiser.methods.splitq.probe import Errors
from dwiser.methods.splitq.probed import Probed
from dwiser.methods.splitq.residual_recovery import NEAR, Neighbours, given_back, mean_back
from dwiser.methods.splitq.restoring import (
    HeldOutResponse,
    ResponseModel,
    chunks,
    joined,
    residual_response,
    restore_held_out,
    restore_residual,
    shape_of,
)
from dwiser.methods.splitq.shell_mean import ShellMeans
from dwiser.methods.splitq.stacking import NAMES, LocalEstimates, Stacking, plain_weights
from dwiser.methods.splitq.uncertainty import estimate_variance, signal_sd
from dwiser.methods.splitq.whitened import (
    FEWEST_HELD_OUT,
    WhitenedScan,
    as_it_is,
    inner_slices,
    share_subspace,
    whiten,
)
from dwiser.prepare.mask import on_grid
from dwiser.prepare.phase import WIDTH, Rephasing, real_part
from dwiser.prepare.rician_bias import allowed_sigma, true_signal
from dwiser.prepare.shells import shells
from dwiser.prepare.splits import folds
from dwiser.prepare.subspace import FEWEST_SHARED
from dwiser.scan import Gradients, Scan
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch, silent, step

TASK, UNCERTAINTY = "learning", "uncertainty"
ABLE = Capabilities(
    least_directions=6, least_b0s_alone=FEWEST_B0S_ALONE, presets=PRESETS, has_seed=True,
    takes_noise_map=True, takes_phase=True,
    gives_uncertainty=True, gives_rank=True, device="cpu or cuda",
    why_not_reusable="which learns its weights from each scan anew, in seconds",
    memory=WorkingMemory(3.7, 3.7, "mask"),  # K coordinates of each voxel, five times; the verdict
)  # fmt: skip
DEVIATION = "deviation_"  # and a number: names of the weights of `own_deviation`
ONE_EACH = Machine(threads=1)  # to BLAS (and torch): the voxels and volumes are shared out instead
FIRST = NAMES.index(PILOT)  # where it stands among the estimates, and with a tensor's too


@dataclass(frozen=True)
class Splitq:
    """What all volumes share is estimated once, denoised locally, and weighted by held-out volumes.

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
    uncertainty: bool = option(False, "also the sd of the error, in a fifth more time")
    coils: float | None = option(
        None, "channels behind the magnitude; none: read off the background", least=1
    )
    rank_map: bool = option(
        False, "also the degrees of freedom that are kept, in a quarter of the time again"
    )
    rephase: Literal["window", "slice", "none"] = option(
        "window",
        "a complex scan's phase: removed by the mean of a window, by a ramp in each slice, or not",
    )
    rephase_width: float = option(
        WIDTH, "sd of that window's Gaussian, in voxels", least=0.3, most=10
    )
    real_part: bool = option(
        False, "of a complex scan also the real part, below 0 too, and the phase that was removed"
    )

    @property
    def rephasing(self) -> Rephasing:
        """How the phase is removed."""
        return Rephasing(self.rephase, self.rephase_width)

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do."""
        return ABLE

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Learn the weights from the scan, then apply them to all of its volumes.

        Voxels outside the mask come back unchanged.

        Raises
        ------
        InputError
            For fewer than 6 diffusion-weighted volumes, or of b0s alone fewer than 5.
        """
        with limited(ONE_EACH):
            whitened = self._prepare(scan, machine, seed, watch)
            if whitened is None:
                return as_it_is(scan, self.name)
            weights = self._learn(whitened, scan.gradients, machine, seed, watch)
            with step(watch, "denoising"):
                return self._restored(weights, whitened, scan, machine, seed, watch)

    def fit(self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent) -> Weights:
        """Learn from the scan alone.

        Raises
        ------
        InputError
            For a scan without noise, from which there is nothing to learn.
        """
        with limited(ONE_EACH):
            whitened = self._prepare(scan, machine, seed, watch)
            if whitened is None:
                raise InputError(
                    "No noise was found in the scan: there is nothing to learn from it.",
                    code=Code.METHOD_NOTHING_TO_LEARN,
                )
            return self._learn(whitened, scan.gradients, machine, seed, watch)

    def apply(
        self, weights: Weights, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Apply weights learned before on the scan they were learned from."""
        with limited(ONE_EACH):
            whitened = self._prepare(scan, machine, seed, watch)
            if whitened is None:
                return as_it_is(scan, self.name)
            with step(watch, "denoising"):
                return self._restored(weights, whitened, scan, machine, seed, watch)

    def _prepare(
        self, scan: Scan, machine: Machine, seed: int, watch: Watch
    ) -> WhitenedScan | None:
        with step(watch, "noise and subspace"):
            return whiten(
                scan, seed, name=self.name, able=ABLE,
                fewest_shared=self.fewest_shared, coils=self.coils, threads=machine.threads,
                rephasing=self.rephasing,
            )  # fmt: skip

    def _learn(
        self,
        whitened: WhitenedScan,
        gradients: Gradients,
        machine: Machine,
        seed: int,
        watch: Watch,
    ) -> Weights:
        """The weights of the estimates, and the response: what predicts held-out volumes best."""
        plain = plain_weights(len(whitened.alone))
        if whitened.subspace is None:
            return self._learn_by_risk(whitened, gradients, machine, seed, watch)
        rank, volumes = whitened.subspace.rank, whitened.subspace.volumes
        part, trusted = inner_slices(whitened.mask, self.learned_on)
        here = part[whitened.mask]
        seen_here = whitened.y[here][:, volumes] / whitened.scale[volumes].astype(np.float32)
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
        splits = folds(whitened.groups, volumes, self.folds, stream(seed, "splits"))
        for done, seen in enumerate(splits, 1):
            matrix, root = whitened.subspace.coordinates(seen)
            channels = _rows_times(y, None, matrix, machine.threads)
            estimates = [_rows_times(u, inner, root, machine.threads) for _, u in local(channels)]
            del channels
            held = np.flatnonzero(~seen)
            pilot = _all_volumes(estimates[FIRST], lone, whitened, machine.threads)
            shares, bright = _classes_and_bright(pilot, model, rows)
            if self.response and model.shells and done > 1:  # weights from volumes before these
                estimate = _weighted(estimates, shares, stacking.weights(), machine.threads)
                whole = _all_volumes(estimate, lone, whitened, machine.threads)
                response.add(whole, raw, volumes[held])
            if bright.any():
                shares *= bright[:, None]
            stacking.add(estimates, y[inner][:, held], whitened.subspace.components[held], shares)
            watch(Progress(TASK, done, len(splits), "splits"))
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

    def _learn_by_risk(
        self,
        whitened: WhitenedScan,
        gradients: Gradients,
        machine: Machine,
        seed: int,
        watch: Watch,
    ) -> Weights:
        """The same where no volume can be held out; equal weights where voxels are too few."""
        volumes = len(whitened.mean)
        most = self.learned_on * min(1.0, self.fewest_shared / volumes)  # for memory
        part, trusted = inner_slices(whitened.mask, round(most))
        rows, inner = np.flatnonzero(part[whitened.mask]), np.flatnonzero(trusted[part])
        if len(inner) < FEWEST_VOXELS:
            return Weights({"stacking": plain_weights(volumes)}, {"learned": False})
        watch(Progress(TASK, 0, 1))
        model = ResponseModel(whitened, gradients, machine.threads)
        grid = Grid.of(part, machine.device)
        local = LocalEstimates(grid, whitened.noise, machine.threads, whitened.correlation)
        names, axes = local_names(model), axes_of(whitened)
        estimates, scale = WithTensor(local, model, rows), whitened.scale.astype(np.float32)
        channels = whitened.y[rows] / scale

        def classes(pilot: Float[np.ndarray, "m v"]) -> Float[np.ndarray, "m s"]:
            return classes_with_dark(model, pilot * scale, rows[inner])

        by_risk = weights_by_risk(
            estimates, channels, probe_of(whitened, seed)[rows], inner, axes, whitened.noise,
            machine.device, classes,
        )  # fmt: skip
        watch(Progress(TASK, 1, 1))
        if by_risk.impossible > MOSTLY and share_subspace(
            whitened, gradients, FEWEST_HELD_OUT, seed
        ):
            warnings.warn(
                "The noise is not what its map and its correlation say (Stein's risk is below 0 in "
                f"{by_risk.impossible:.0%} of the components): {self.name} holds volumes out after "
                "all and learns its weights from them.",
                DwiserWarning,
                stacklevel=3,
            )
            learned = self._learn(whitened, gradients, machine, seed, watch)
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
        state = {"stacking": weights, "axes": axes}
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

    def _restored(
        self, weights: Weights, whitened: WhitenedScan, scan: Scan, machine: Machine, seed: int,
        watch: Watch,
    ) -> Denoised:  # fmt: skip
        if "held_out" in weights.state and whitened.subspace is None:
            share_subspace(whitened, scan.gradients, FEWEST_HELD_OUT, seed)
        whitened.axes = weights.state.get("axes")
        model = ResponseModel(whitened, scan.gradients, machine.threads)
        clean = partial(self._clean, weights.state["stacking"], model=model, machine=machine)
        denoised = clean(whitened)
        give_memory_back()
        held_out, residual = weights.state.get("response"), None
        if held_out is not None:
            shape = restore_held_out(denoised, model, held_out)
            deviation = [own for name, own in weights.state.items() if name.startswith(DEVIATION)]
            if deviation:
                add_deviation(denoised, whitened.y, model, deviation, shape)
            part = float(weights.state.get("residual_share", 1.0))
            if part > 0:
                shape = shape_of(denoised, model) if deviation else shape
                residual = residual_response(denoised, model, shape)
                restore_residual(denoised, model, residual, shape, share=part)
            del shape
        restore_means = ShellMeans.of(whitened, scan, machine.threads) if self.give_back else None
        if restore_means is not None:
            restore_means(denoised, whitened.y)
        variance, rank = None, None
        if self.uncertainty or self.rank_map:
            watch(Progress(UNCERTAINTY, 0, 1))
            unsure = _of_uncertainty(scan.gradients)

            def estimate(other: WhitenedScan) -> np.ndarray:
                values = clean(other)
                if held_out is not None:
                    shape = restore_held_out(values, model, held_out)
                    if deviation:
                        add_deviation(values, other.y, model, deviation, shape)
                        shape = shape_of(values, model)
                    if residual is not None:
                        restore_residual(values, model, residual, shape, share=part)
                if restore_means is not None:
                    restore_means(values, other.y)
                return values

            probed = Probed.of(estimate, whitened, seed, machine.threads)
            if self.uncertainty:
                variance = estimate_variance(probed, denoised, unsure, whitened, machine.threads)
            if self.rank_map:
                rank = degrees_of_freedom(probed, denoised, whitened.mask)
            del probed
            watch(Progress(UNCERTAINTY, 1, 1))
        share = None
        if self.give_back and not whitened.contradicted:  # else it would return noise as signal
            share = self._return(denoised, whitened, scan, machine.threads)
        whitened.take_y()  # for room, where nothing went back too
        returned = 0.0 if share is None else round(float(share.mean()), 5)
        if rank is not None and share is not None:  # what goes back is not denoised
            rank += share.sum(1) * (1 - rank / share.shape[1])
        errors = None if variance is None else Errors(variance, whitened.scale, share)
        del share
        give_memory_back()
        data, complex_parts = allocate_like(scan.data), None
        if self.real_part and scan.phase is not None:
            complex_parts = real_part(
                scan.data, scan.phase, whitened.mask, self.rephasing, with_phase=True
            )
        own = whitened.sigma_inside
        sigma = own if self.floor == "kept" else _allowed(denoised, whitened, scan.gradients)
        for shell in shells(scan.gradients):
            power = self._power(denoised, shell.volumes, whitened, machine.threads)

            def write(v: int, power: np.ndarray | None = power) -> np.ndarray | None:
                values = denoised[:, v] * own + np.float32(whitened.mean[v])
                signal = self._signal(values, sigma, whitened, power)
                data[..., v] = scan.data[..., v]
                data[..., v][whitened.mask] = signal.clip(min=0)
                if complex_parts is not None:
                    complex_parts.data[..., v][whitened.mask] = signal
                if errors is None or v not in unsure:
                    return None
                spread = errors.spread(v) * own / sigma
                return self._signal_sd(values, signal, sigma, whitened, power, spread)

            for sd in side_by_side(write, shell.volumes.tolist(), machine.threads):
                if errors is not None and sd is not None:
                    errors.add(sd)
        record = {"training": weights.record, **whitened.record(), "given_back_mean": returned}
        sd = None if errors is None else errors.sd(whitened.mask)
        whitened.sigma[whitened.mask] = sigma
        return Denoised(
            data, whitened.sigma, sd, weights, record, whitened.mask,
            rank=None if rank is None else on_grid(rank, whitened.mask),
            real=None if complex_parts is None else complex_parts.data,
            phase=None if complex_parts is None else complex_parts.phase,
            coils=whitened.coils, bias_removed=self.floor == "removed",
            not_shared=whitened.not_shared, outlier_volumes=whitened.outliers,
            noise_correlation=whitened.measured,
        )  # fmt: skip

    def _power(
        self,
        estimate: Float[np.ndarray, "n v"],
        volumes: Int[np.ndarray, "m"],
        whitened: WhitenedScan,
        threads: int,
    ) -> Float[np.ndarray, "n"] | None:
        """What signals to expect of a shell, by voxel; None where it has too few volumes."""
        few = len(volumes) < FEWEST_SHARED
        if self.floor == "kept" or few or whitened.contradicted:
            return None
        return whitened.power_of(estimate, volumes, threads)

    def _signal(
        self,
        values: np.ndarray,
        sigma: np.ndarray,
        whitened: WhitenedScan,
        power: np.ndarray | None,
    ) -> np.ndarray:
        if self.floor == "kept":
            return values
        return true_signal(values, sigma, whitened.spread, whitened.coils, power)

    def _signal_sd(
        self, values: np.ndarray, signal: np.ndarray, sigma: np.ndarray, whitened: WhitenedScan,
        power: np.ndarray | None, spread: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """The error's sd in the data's units, where the estimate's is ``spread`` σ."""
        if self.floor == "kept":
            return spread * sigma
        return signal_sd(values, signal, sigma, spread, whitened.coils, power)

    def _return(
        self, estimate: Float[np.ndarray, "n v"], whitened: WhitenedScan, scan: Scan, threads: int
    ) -> Float[np.ndarray, "n v"]:
        """Put back into ``estimate`` what noise does not explain; the share that went back.

        The whitened scan's y becomes the standardised residual, and is gone.
        """
        residual = whitened.take_y()
        residual -= estimate

        def standardise(part: slice) -> None:
            residual[part] /= whitened.spread_of(estimate[part], slice(None), part)

        def put_back(v: int) -> None:
            own, part = residual[:, v], share[:, v]
            back = part * own + (1 - part) * mean_back(own, near)
            estimate[:, v] += whitened.spread_of(estimate[:, v], v) * back

        volumes, near = range(residual.shape[1]), Neighbours.of(whitened.mask, NEAR)
        list(side_by_side(standardise, chunks(len(residual)), threads))
        share = given_back(residual, whitened.mask, scan.voxel_size, threads=threads)
        list(side_by_side(put_back, volumes, threads))
        return share

    def _clean(
        self,
        weights: Float[np.ndarray, "*s e c"],
        whitened: WhitenedScan,
        model: ResponseModel,
        machine: Machine,
    ) -> Float[np.ndarray, "n v"]:
        """(x̂ − μ)/σ of all volumes at the mask's voxels."""
        seen = np.ones(len(whitened.mean) - len(whitened.alone), bool)
        matrix, root = whitened.into(seen)
        values = _times(on_device(whitened.y, machine.device), matrix)
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
            shares = _shares(first[FIRST], root @ whitened.back, model)
            for row in weights.transpose(1, 0, 2):
                estimate = first.pop(0) if first else next(estimates)[1]
                add = partial(_add_weighted, out, estimate, root, shares, row)
                list(side_by_side(add, chunks(len(out)), machine.threads))
                del estimate, add
        del values, estimates
        clean, back = allocate_like(whitened.y), whitened.back

        def of_volumes(part: slice) -> None:
            clean[part] = as_numpy(_times(out[part], back))

        list(side_by_side(of_volumes, chunks(len(out)), machine.threads))
        return clean


def _allowed(
    estimate: Float[np.ndarray, "n v"], whitened: WhitenedScan, gradients: Gradients
) -> Float[np.ndarray, "n"]:
    """σ at the mask's voxels; where the noise contradicts it, no larger than a shell's mean allows.

    A σ that a user gave stays as it is.
    """
    sigma = whitened.sigma_inside
    if whitened.sigma_given or not whitened.contradicted:
        return sigma
    lowest = np.full(len(sigma), np.inf, np.float32)
    for shell in shells(gradients):
        if len(shell.volumes) < FEWEST_SHARED:
            continue
        mean = np.zeros_like(lowest)
        for v in shell.volumes:
            mean += (estimate[:, v] * sigma + np.float32(whitened.mean[v])) / len(shell.volumes)
        np.minimum(lowest, mean, out=lowest)
    return allowed_sigma(lowest, sigma, whitened.coils)


def _of_uncertainty(gradients: Gradients) -> Int[np.ndarray, "m"]:
    """The volumes whose error is told: the diffusion-weighted ones, of b0s alone all."""
    if gradients.is_b0.all():
        return np.arange(len(gradients))
    return np.flatnonzero(~gradients.is_b0)


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


def _shares(
    pilot: Float[Array, "n c"], back: Float[np.ndarray, "c v"], model: ResponseModel
) -> Float[np.ndarray, "n s"]:
    """Shares in the classes of FA, by an estimate of the channels and their way back to y."""

    def classes(part: slice) -> Float[np.ndarray, "m s"]:
        values = as_numpy(_times(pilot[part], back))
        by_risk = model.whitened.axes is not None
        return classes_with_dark(model, values, part) if by_risk else model.classes(values, part)

    return joined(classes, len(pilot), model.threads)


def _add_weighted(
    out: Float[Array, "n c"], estimate: Float[Array, "n c"],
    root: Float[np.ndarray, "c c"], shares: Float[np.ndarray, "n s"],
    weights: Float[np.ndarray, "s c"], part: slice,
) -> None:  # fmt: skip
    """Add an estimate to ``part`` of ``out``, each voxel by the weights of its classes."""
    turned = _times(estimate[part], root)
    out[part] += turned * like(shares[part] @ weights, turned)


def _all_volumes(
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
        values[part] = as_numpy(_times(coordinates[part], back))
        values[part, whitened.lone] = as_numpy(lone[part])

    list(side_by_side(fill, chunks(len(values)), threads))
    return values


def _rows_times(
    values: Float[Array, "n k"], rows: Int[Array, "m"] | None, matrix: np.ndarray, threads: int
) -> Float[Array, "m j"]:
    """Some rows of the values (all: None) times a matrix, in parts."""
    turn = like(matrix, values)

    def of(part: slice) -> Array:
        return values[part if rows is None else rows[part]] @ turn

    parts = chunks(len(values) if rows is None else len(rows))
    return namespace(values).concatenate(list(side_by_side(of, parts, threads)))


def _times(values: Array, matrix: np.ndarray) -> Array:
    return values @ like(matrix, values)
