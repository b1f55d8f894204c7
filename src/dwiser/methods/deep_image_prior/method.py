"""Deep image prior: an untrained decoder fitted to each slice, stopped before it fits the noise."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dwiser.learn.budget import Pace, Work, measure
from dwiser.learn.checkpointing import Course
from dwiser.learn.early_stopping import DiscrepancyStopping, HeldOutStopping
from dwiser.learn.loop import train
from dwiser.learn.patches import as_tensor
from dwiser.learn.precision import Precision, autocast, convolutions
from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import note_of
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.deep_image_prior.jitter import JitterDraw, on_device
from dwiser.methods.deep_image_prior.presets import PRESETS
from dwiser.methods.learned import DenoisedStack, Learned, Ready
from dwiser.methods.options import option
from dwiser.nets.decoder import Decoder, sizes_of
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch

CODE_HIGH = 0.1  # the code is uniform on 0 … 0.1 (Ulyanov et al. 2018)
LAPTOP = {field: sourced.value for field, sourced in PRESETS["laptop"].items()}


@dataclass(frozen=True)
class DeepImagePrior(Learned):
    """One untrained decoder a slice, all its volumes as output channels, fitted to the slice.

    Ulyanov, Vedaldi, Lempitsky, *Deep Image Prior*, CVPR 2018, arXiv 1711.10925.

    Notes
    -----
    A decoder fits what volumes and neighbouring pixels share before it fits their noise; it
    is stopped in between. Two-dimensional slices, since a 3-D convolution costs three times a
    2-D one and every slice's fit stands alone. The weights are the fit itself: they hold the
    scan they were fitted to, and are of no use for another.
    """

    name: ClassVar[str] = "deep_image_prior"

    learning_rate: float = option(LAPTOP["learning_rate"], "Adam's learning rate", least=0)
    pixels: int | None = option(
        LAPTOP["pixels"],
        "pixels an iteration counts for; what iterations x pixels allow is shared by the slices "
        "(none: so many iterations for each slice)",
        least=1,
    )
    width: int = option(32, "channels of every layer of the decoder", least=4)
    levels: int = option(1, "halvings of the slice's size down to the code's", least=1, most=6)
    code: int = option(32, "channels of the random code", least=1)
    precision: Precision = option(
        LAPTOP["precision"],
        "of the decoder's arithmetic; tf32 is a GPU's convolutions with 10 bits (on a CPU it is "
        "float32); first and last layer are float32 in each",
    )
    jitter: float = option(0.0, "sd of the noise added to the code at each iteration", least=0)
    stop: Literal["heldout", "noise", "never"] = option(
        "heldout",
        "when a fit ends: at the least error on held-out voxels, when the residual's RMS "
        "reaches sigma, or after all iterations",
    )
    held_out: float = option(
        0.05, "share of voxels held out of each volume for heldout", least=0.001, most=0.5
    )
    weight: Literal["noise", "equal"] = option(
        "noise", "what a voxel's error counts: 1/sigma^2 of its volume there, or all the same"
    )
    patience: int = option(10, "looks (every 10 iterations) without a better one", least=1)
    threshold: float = option(1.0, "RMS of (x - output)/sigma that noise stops at", least=0)

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do; σ serves where voxels count by it, or a fit ends at it."""
        return replace(
            self._learned,
            presets=PRESETS,
            least_directions=1,
            takes_noise_map="noise" in (self.weight, self.stop),
            why_not_reusable="whose weights are the scan that they were fitted to",
        )

    def _of_a_slice(self, stack: Stack) -> int:
        """Iterations of each slice's fit."""
        if self.pixels is None:
            return self.iterations
        return max(1, self.iterations * self.pixels // area(stack))

    def _learn(
        self, ready: Ready, machine: Machine, seed: int, watch: Watch, course: Course
    ) -> Weights:
        begun, stack = perf_counter(), ready.stack
        state: dict[str, Any] = {}
        slices, most = slices_of(stack), self._of_a_slice(stack)
        iterations_done, best_iterations = [], []
        notes: dict[str, dict[str, None]] = {}  # each way that a slice's fit went, once
        for n, z in enumerate(slices):
            fit = Fit(self, stack, z, seed, machine.device)
            ended, best = course.once(f"slice {z}", fit.decoder, partial(fit.run, most))
            iterations_done.append(ended)
            best_iterations.append(best)
            for name, note in fit.notes.items():
                notes.setdefault(name, {})[note] = None
            state |= {f"{z}.{k}": v.cpu() for k, v in fit.decoder.state_dict().items()}
            watch(Progress("training", n + 1, len(slices), f"stopped at {best}"))
        record = {
            "iterations": self.iterations,
            "iterations_a_slice": most,
            "stop": self.stop,
            "stopped_early_share": round(float(np.mean(np.array(iterations_done) < most)), 4),
            "kept_iteration": [
                int(n) for n in np.percentile(best_iterations, (0, 25, 50, 75, 100))
            ],
            "pixels": int(np.sum(iterations_done)) * int(np.prod(stack.target.shape[2:])),
            "seconds": round(perf_counter() - begun, 2),
            "parameters": sum(p.numel() for p in fit.decoder.parameters()) * len(slices),
            "precision": self.precision,
        } | {name: "; ".join(ways) for name, ways in notes.items()}
        return Weights(state, record)

    def _denoise_stack(
        self, weights: Weights, stack: Stack, machine: Machine, seed: int, watch: Watch
    ) -> DenoisedStack:
        unit = stack.target.copy()
        for z in slices_of(stack):
            fit = Fit(self, stack, z, seed, machine.device)
            fit.decoder.load_state_dict(
                {k.removeprefix(f"{z}."): v for k, v in state_of_slice(weights.state, z)}
            )
            unit[:, z] = fit.output().clamp(-1, 1).cpu().numpy()
        return DenoisedStack(unit, {"evaluations": 1})

    def _pace(self, ready: Ready, machine: Machine, seed: int) -> Pace:
        stack, slices = ready.stack, slices_of(ready.stack)
        fit = Fit(self, stack, slices[len(slices) // 2], seed, machine.device)

        def evaluate() -> float:
            begun = perf_counter()
            fit.output()
            return (perf_counter() - begun) * len(slices)

        pace = measure(fit.decoder, fit.batch, evaluate, precision=self.precision)
        counted = area(stack) if self.pixels is None else self.pixels
        return Pace(pace.iteration * len(slices) * counted / area(stack), pace.evaluation)

    def _counted(self, work: Work) -> "DeepImagePrior":
        return replace(self, minutes=None, iterations=work.iterations)


class Fit:
    """The fit of one slice: its decoder, its data, and the entries that are held out."""

    def __init__(
        self, method: DeepImagePrior, stack: Stack, z: int, seed: int, device: str
    ) -> None:
        place = z + (stack.box.z.start or 0)
        rng = stream(seed, "decoder", place)
        self.method, self.device = method, device
        inside = stack.inside[z] if stack.inside[z].any() else np.ones_like(stack.inside[z])
        target = stack.target[:, z]
        self.target = as_tensor(target, device)
        self.sigma = as_tensor(np.stack([stack.sigma_of(k, z) for k in range(len(target))]), device)
        share = method.held_out if method.stop == "heldout" else 0.0
        held = inside & (rng.random(target.shape) < share)
        precision = self._precision()
        self.held = as_tensor(held * precision, device)
        learned_on = (inside & ~held) * precision
        weights = as_tensor(learned_on * (learned_on.size / max(1e-9, learned_on.sum())), device)
        height, width = inside.shape
        coarsest = sizes_of(height, width, method.levels)[0]
        code = rng.uniform(0, CODE_HIGH, (method.code, *coarsest))
        torch.manual_seed(int(rng.integers(2**31)))
        voxels = target[:, inside]
        self.decoder = Decoder(
            as_tensor(code, device), (height, width), method.levels, method.width,
            as_tensor(voxels.mean(1), device), as_tensor(voxels.std(1), device),
        ).to(device)  # fmt: skip
        still = Batch(
            as_tensor(np.zeros((1, *code.shape)), device), None, self.target[None], weights[None]
        )
        self.batch = on_device(JitterDraw(still, method.jitter, seed, place))
        self.notes: dict[str, str] = {}

    def _precision(self) -> Float[np.ndarray, "k h w"]:
        """1/σ² of each voxel over its mean, so that every volume counts by its noise; or 1."""
        sigma = self.sigma.cpu().numpy()
        known = sigma > 0
        if self.method.weight == "equal" or not known.any():
            return np.ones_like(sigma)
        precision = np.divide(1, sigma**2, out=np.zeros_like(sigma), where=known)
        result: np.ndarray = precision / precision[known].mean()
        return result

    def output(self) -> Float[Tensor, "k h w"]:
        """The images as they are now, without jitter."""
        code, precision = self.decoder.code, self.method.precision
        with (
            torch.no_grad(), autocast(precision, code.device), convolutions(precision, code.device)
        ):  # fmt: skip
            out: Tensor = self.decoder(torch.zeros_like(code)[None])[0]
        return out

    def run(self, iterations: int) -> tuple[int, int]:
        """Fit; the iteration at which it ended, and the one whose weights are used."""
        method = self.method
        rule: HeldOutStopping | DiscrepancyStopping | None = None
        if method.stop == "heldout":
            rule = HeldOutStopping(
                self.decoder, self.output, self.target, self.held, method.patience
            )
        elif method.stop == "noise":
            rule = DiscrepancyStopping(self.output, self.target, self.sigma, method.threshold)
        trained = train(
            self.decoder, self.batch, iterations=iterations,
            learning_rate=method.learning_rate, decay=method.decay, precision=method.precision,
            finished=rule,
        )  # fmt: skip
        notes = {"steps": trained.note, "batches": note_of(self.batch, self.device)}
        self.notes = {name: note for name, note in notes.items() if note}
        done = trained.iterations
        return done, done if rule is None else rule.settle(done)


def slices_of(stack: Stack) -> list[int]:
    """The slices that hold items."""
    return [int(z) for z in np.unique(stack.items[:, 1])]


def area(stack: Stack) -> int:
    """Pixels of all slices that hold items."""
    return len(slices_of(stack)) * int(np.prod(stack.target.shape[2:]))


def state_of_slice(state: dict[str, Any], z: int) -> Iterator[tuple[str, Any]]:
    """The tensors of one slice's decoder."""
    return ((k, v) for k, v in state.items() if k.startswith(f"{z}."))
