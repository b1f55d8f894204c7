"""splitq: local estimates in the scan's own subspace, weighted across disjoint directions."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int

from dwiser.errors import Code, InputError
from dwiser.machine import Machine, give_memory_back, limited, side_by_side
from dwiser.memmap import allocate_like
from dwiser.methods.base import Denoised, Weights
from dwiser.methods.capabilities import FEWEST_B0S_ALONE, Capabilities, WorkingMemory
from dwiser.methods.options import option
from dwiser.methods.splitq.clean_volumes import CleanVolumes
from dwiser.methods.splitq.floor import Floor, Signals
from dwiser.methods.splitq.freedom import degrees_of_freedom
from dwiser.methods.splitq.learning import Learner
from dwiser.methods.splitq.presets import LAPTOP, PRESETS
from dwiser.methods.splitq.probe import Errors
from dwiser.methods.splitq.probed import Probed
from dwiser.methods.splitq.residual_recovery import return_residual
from dwiser.methods.splitq.restoring import ResponseModel
from dwiser.methods.splitq.shell_mean import ShellMeans
from dwiser.methods.splitq.uncertainty import estimate_variance
from dwiser.methods.splitq.whitened import (
    FEWEST_HELD_OUT,
    WhitenedScan,
    as_it_is,
    share_subspace,
    whiten,
)
from dwiser.prepare.mask import on_grid
from dwiser.prepare.phase import WIDTH, RealPart, Rephasing, real_part
from dwiser.prepare.shells import shells
from dwiser.scan import Gradients, Scan
from dwiser.watch import Progress, Watch, silent, step

UNCERTAINTY = "uncertainty"
ABLE = Capabilities(
    least_directions=6, least_b0s_alone=FEWEST_B0S_ALONE, presets=PRESETS, has_seed=True,
    takes_noise_map=True, takes_phase=True,
    gives_uncertainty=True, gives_rank=True, device="cpu or cuda",
    why_not_reusable="which learns its weights from each scan anew, in seconds",
    memory=WorkingMemory(3.7, 3.7, "mask"),  # K coordinates of each voxel, five times; the verdict
)  # fmt: skip
ONE_EACH = Machine(threads=1)  # to BLAS (and torch): the voxels and volumes are shared out instead


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
    floor: Floor = option(
        LAPTOP["floor"].value, "the magnitude's noise floor (Rician or nc-chi bias)"
    )
    response: bool = option(True, "restore the signal's shape about its fibre")
    give_back: bool = option(
        True, "give back what noise does not explain in a residual, and in a shell's mean of it"
    )
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
            weights = self._learner(machine, seed, watch)(whitened, scan.gradients)
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
            return self._learner(machine, seed, watch)(whitened, scan.gradients)

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

    def _learner(self, machine: Machine, seed: int, watch: Watch) -> Learner:
        return Learner(
            self.name, self.folds, self.learned_on, self.fewest_shared, self.response, machine,
            seed, watch,
        )  # fmt: skip

    def _restored(
        self, weights: Weights, whitened: WhitenedScan, scan: Scan, machine: Machine, seed: int,
        watch: Watch,
    ) -> Denoised:  # fmt: skip
        """The weights applied: volumes cleaned, what noise does not explain returned, in units."""
        if "held_out" in weights.state and whitened.subspace is None:
            share_subspace(whitened, scan.gradients, FEWEST_HELD_OUT, seed)
        whitened.axes = weights.state.get("axes")
        model = ResponseModel(whitened, scan.gradients, machine.threads)
        means = ShellMeans.of(whitened, scan, machine.threads) if self.give_back else None
        clean = CleanVolumes(weights.state, model, machine, means)
        denoised = clean(whitened)
        variance, rank, unsure = None, None, _of_uncertainty(scan.gradients)
        if self.uncertainty or self.rank_map:
            watch(Progress(UNCERTAINTY, 0, 1))
            probed = Probed.of(clean, whitened, seed, machine.threads)
            if self.uncertainty:
                variance = estimate_variance(probed, denoised, unsure, whitened, machine.threads)
            if self.rank_map:
                rank = degrees_of_freedom(probed, denoised, whitened.mask)
            del probed
            watch(Progress(UNCERTAINTY, 1, 1))
        share = None
        if self.give_back:
            share = return_residual(denoised, whitened, scan.voxel_size, machine.threads)
        whitened.take_y()  # for room, where nothing went back too
        returned = 0.0 if share is None else round(float(share.mean()), 5)
        if rank is not None and share is not None:  # what goes back is not denoised
            rank += share.sum(1) * (1 - rank / share.shape[1])
        errors = None if variance is None else Errors(variance, whitened.scale, share)
        del share
        give_memory_back()
        signals = Signals.of(denoised, whitened, scan.gradients, self.floor)
        data, parts = self._written(denoised, signals, scan, errors, unsure, machine.threads)
        record = {"training": weights.record, **whitened.record(), "given_back_mean": returned}
        sd = None if errors is None else errors.sd(whitened.mask)
        whitened.sigma[whitened.mask] = signals.sigma
        return Denoised(
            data, whitened.sigma, sd, weights, record, whitened.mask,
            rank=None if rank is None else on_grid(rank, whitened.mask),
            real=None if parts is None else parts.data,
            phase=None if parts is None else parts.phase,
            coils=whitened.coils, bias_removed=self.floor == "removed",
            not_shared=whitened.not_shared, outlier_volumes=whitened.outliers,
            noise_correlation=whitened.measured,
        )  # fmt: skip

    def _written(
        self, denoised: Float[np.ndarray, "n v"], signals: Signals, scan: Scan,
        errors: Errors | None, unsure: Int[np.ndarray, "m"], threads: int,
    ) -> tuple[Float[np.ndarray, "x y z v"], RealPart | None]:  # fmt: skip
        """The scan with the signals in the mask; ``errors`` gather the ``unsure`` volumes'."""
        mask, data, parts = signals.whitened.mask, allocate_like(scan.data), None
        if self.real_part and scan.phase is not None:
            parts = real_part(scan.data, scan.phase, mask, self.rephasing, with_phase=True)
        for shell in shells(scan.gradients):
            power = signals.power(denoised, shell.volumes, threads)

            def write(v: int, power: np.ndarray | None = power) -> np.ndarray | None:
                magnitudes = signals.magnitudes(denoised, v)
                signal = signals.signal(magnitudes, power)
                data[..., v] = scan.data[..., v]
                data[..., v][mask] = signal.clip(min=0)
                if parts is not None:
                    parts.data[..., v][mask] = signal
                if errors is None or v not in unsure:
                    return None
                return signals.sd(magnitudes, signal, power, errors.spread(v))

            for sd in side_by_side(write, shell.volumes.tolist(), threads):
                if errors is not None and sd is not None:
                    errors.add(sd)
        return data, parts


def _of_uncertainty(gradients: Gradients) -> Int[np.ndarray, "m"]:
    """The volumes whose error is told: the diffusion-weighted ones, of b0s alone all."""
    if gradients.is_b0.all():
        return np.arange(len(gradients))
    return np.flatnonzero(~gradients.is_b0)
