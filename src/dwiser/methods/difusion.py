"""Di-Fusion: self-supervised denoising by iterative and stable refinement (ICLR 2025)."""

import warnings
from dataclasses import dataclass, replace
from math import gcd
from time import perf_counter
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import nn

from dwiser.chain.fusion import Fusion
from dwiser.chain.schedule import Schedule
from dwiser.chain.stop import Adaptive, NoiseBound, Stop
from dwiser.chain.walk import Steps, run_walk
from dwiser.errors import DwiserWarning, InputError
from dwiser.learn.budget import Pace, Work, measure, plan_work
from dwiser.learn.loop import Decay, train
from dwiser.learn.memory import batched
from dwiser.learn.pairs import Noise, PairDraw
from dwiser.learn.walks import Flips, Walker, Walks, stopping, walk_stack
from dwiser.machine import Machine
from dwiser.methods.base import Denoised, Weights
from dwiser.methods.difusion_presets import PRESETS
from dwiser.methods.options import Presets, option
from dwiser.nets.compact import Compact
from dwiser.nets.unet import GROUPS, UNet
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.pairs import FEWEST_B0S, Neighbour, Pairing
from dwiser.prepare.stack import Stack, build_stack
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.watch import Watch, silent

FIRST_STOP_WARNING = 0.2  # share of slices that stop at their first evaluation
SPREAD_SAMPLE = 200_000  # voxels from which the compact network's scaling is measured


@dataclass(frozen=True)
class Difusion:
    """Learn to turn each slice's partner x' into the slice x along a Markov chain; walk it.

    Wu, Kong, Jiang, Zhou, *Self-Supervised Diffusion MRI Denoising via Iterative and Stable
    Refinement*, ICLR 2025, arXiv 2501.13514.
    """

    name: ClassVar[str] = "difusion"
    presets: ClassVar[Presets] = PRESETS
    least_directions: ClassVar[int] = 6
    least_b0s: ClassVar[int] = 0

    pairing: Pairing = option(
        "predicted",
        "what x' is: the volume before (the paper), the nearest "
        "direction of the shell, or the prediction from all other volumes",
    )
    neighbour: Neighbour = option(
        "shell", "order of adjacent pairs: within the shell, or the series"
    )
    fusion: Fusion = option("target", "Eq. 6 with x and x' (target), or with x' twice (neighbour)")
    noise: Noise = option("shuffled", "the chain's noise: Di- (Eq. 8), or plain Gaussian")
    latter: int = option(
        300, "Tc: train on the latter steps 1 ... Tc, sample from Tc", least=1, most=999
    )
    turn: int = option(50, "Tr: where running turns into walking", least=0)
    stride: int = option(10, "p: steps skipped while running", least=1)
    network: Literal["compact", "unet"] = option(
        "compact", "the fast network, or the paper's U-Net"
    )
    width: int = option(32, "channels of the network's first level", least=4)
    iterations: int = option(2000, "training iterations", least=1)
    minutes: float | None = option(
        None, "bound of the whole run, turned once into iterations", least=0
    )
    batch: int = option(16, "training items an iteration", least=1)
    patch: int | None = option(64, "edge of training patches; none: whole slices", least=8)
    learning_rate: float = option(1e-3, "Adam's learning rate", least=0)
    decay: Decay = option("cosine", "learning rate over the training")
    crop: bool = option(True, "work in the mask's box, and shuffle noise inside the mask")
    flips: Flips = option("drawn", "mean over four flips, or one drawn flip, at each evaluation")
    stop: Literal["adaptive", "noise", "never"] = option(
        "noise", "when a slice's walk ends: Eq. 13, RMS of (x - x_out)/sigma, or at the end"
    )
    threshold: float = option(1.0, "of the stop rule; larger: more steps, smoother", least=0)
    evaluations: int | None = option(
        None, "most evaluations of a slice; none: all of Run-Walk", least=1
    )
    sampling_batch: int = option(64, "slices in the network at once when sampling", least=1)
    fewest_b0s: int = option(FEWEST_B0S, "fewer b0s than this pass through unchanged", least=2)

    @property
    def steps(self) -> Steps:
        """The steps that are visited: Run-Walk, cut off after ``evaluations``."""
        return run_walk(self.latter, min(self.turn, self.latter), self.stride)[: self.evaluations]

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Train on the scan, then take every slice down its walk.

        Returns the input's units and volume order; voxels outside the mask and volumes
        that cannot be paired (a single b0) are the input's.
        """
        begun = perf_counter()
        ready = self._prepare(scan)
        method = self._budgeted(ready, machine, seed, begun)
        weights = method._learn(ready, machine, seed, watch)
        return method._walk(weights, ready, scan, machine, seed, watch)

    def fit(self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent) -> Weights:
        """Learn F from the scan alone."""
        begun = perf_counter()
        ready = self._prepare(scan)
        return self._budgeted(ready, machine, seed, begun)._learn(ready, machine, seed, watch)

    def apply(
        self, weights: Weights, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Walk a scan down with weights learned before, on it or on one like it."""
        return self._walk(weights, self._prepare(scan), scan, machine, seed, watch)

    def pace(self, scan: Scan, *, machine: Machine, seed: int) -> Pace:
        """Seconds a training iteration and an evaluation of all slices, measured."""
        return self._pace(self._prepare(scan), machine, seed)

    def _prepare(self, scan: Scan) -> "Ready":
        directions = int((~scan.gradients.is_b0).sum())
        if directions < self.least_directions:
            raise InputError(
                f"{self.name} needs at least {self.least_directions} diffusion-weighted volumes, "
                f"the scan has {directions}: use a method that works on single volumes."
            )
        mask = object_mask(scan)
        sigma = sigma_map(scan, mask)
        stack = build_stack(
            scan, mask, sigma,
            pairing=self.pairing, neighbour=self.neighbour, fewest_b0s=self.fewest_b0s,
            crop=self.crop,
        )  # fmt: skip
        return Ready(mask, sigma, stack)

    def _network(self, stack: Stack, seed: int) -> nn.Module:
        torch.manual_seed(int(stream(seed, "weights").integers(2**31)))
        if self.network == "unet":
            net: nn.Module = UNet(base=self.width, groups=gcd(self.width, GROUPS), seed=seed)
        else:
            inside = np.broadcast_to(stack.inside, stack.target.shape)
            step = max(1, int(inside.sum()) // SPREAD_SAMPLE)
            x, partner = stack.target[inside][::step], stack.neighbour[inside][::step]
            net = Compact(self.width, float(partner.mean()), float((x - partner).std()) or 1.0)
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _draw(self, stack: Stack, machine: Machine, seed: int) -> PairDraw:
        return PairDraw(
            stack, Schedule(), seed, self.batch, self.latter, self.fusion, self.noise,
            self.patch, within=self.crop, device=machine.device,
        )  # fmt: skip

    def _learn(self, ready: "Ready", machine: Machine, seed: int, watch: Watch) -> Weights:
        net = self._network(ready.stack, seed).to(machine.device)
        begun = perf_counter()
        trained = train(
            net, self._draw(ready.stack, machine, seed), iterations=self.iterations,
            learning_rate=self.learning_rate, decay=self.decay,
            bf16=machine.device == "cuda", watch=watch,
        )  # fmt: skip
        record = {
            "iterations": trained.iterations,
            "evaluations_most": len(self.steps),
            "loss": trained.loss,
            "seconds": round(perf_counter() - begun, 2),
            "parameters": sum(p.numel() for p in net.parameters()),
        }
        return Weights({k: v.cpu() for k, v in net.state_dict().items()}, record)

    def _walk(
        self,
        weights: Weights,
        ready: "Ready",
        scan: Scan,
        machine: Machine,
        seed: int,
        watch: Watch,
    ) -> Denoised:
        begun = perf_counter()
        net = self._network(ready.stack, seed)
        net.load_state_dict(weights.state)
        f = batched(
            net.to(machine.device).eval(), self.sampling_batch, bf16=machine.device == "cuda"
        )
        walks = walk_stack(
            f, ready.stack, self._walker(machine, seed), batch=self.sampling_batch, watch=watch
        )
        data = np.maximum(ready.stack.restore(scan.data, walks.unit), np.minimum(scan.data, 0))
        sampling = self._stopping(walks) | {"seconds": round(perf_counter() - begun, 2)}
        plan = ready.stack.plan
        record = {
            "training": weights.record,
            "sampling": sampling,
            "volumes_denoised": len(plan.volumes),
            "volumes_passed_through": {str(v): why for v, why in plan.passed.items()},
        }
        return Denoised(data, ready.sigma, None, weights, record, ready.mask)

    def _walker(self, machine: Machine, seed: int) -> Walker:
        rules: dict[str, Stop | None] = {
            "adaptive": Adaptive(self.threshold),
            "noise": NoiseBound(self.threshold),
            "never": None,
        }
        return Walker(
            Schedule(), self.steps, rules[self.stop], self.fusion, self.noise, self.flips,
            within=self.crop, seed=seed, device=machine.device,
        )  # fmt: skip

    def _stopping(self, walks: Walks) -> dict[str, Any]:
        """The stopping steps on record; a warning where Run-Walk was a single pass."""
        record = stopping(walks, self.steps)
        first = record["first_stop_share"]
        if first > FIRST_STOP_WARNING and len(self.steps) > 1:
            warnings.warn(
                f"{first:.0%} of the slices stopped at their first evaluation (stop={self.stop}, "
                f"threshold {self.threshold:g}): for them Run-Walk was a single pass.",
                DwiserWarning,
                stacklevel=2,
            )
        return record

    def _pace(self, ready: "Ready", machine: Machine, seed: int) -> Pace:
        net = self._network(ready.stack, seed).to(machine.device)
        f = batched(net.eval(), self.sampling_batch, bf16=machine.device == "cuda")
        share = min(len(ready.stack.items), self.sampling_batch)
        one = replace(self, stop="never", evaluations=1)._walker(machine, seed)

        def evaluate() -> float:
            begun = perf_counter()
            one.group(f, ready.stack, ready.stack.items[:share])
            return (perf_counter() - begun) * len(ready.stack.items) / max(1, share)

        return measure(
            net, self._draw(ready.stack, machine, seed), evaluate, bf16=machine.device == "cuda"
        )

    def _budgeted(self, ready: "Ready", machine: Machine, seed: int, begun: float) -> "Difusion":
        """With ``minutes``, the same method with iterations and evaluations counted out."""
        if self.minutes is None:
            return self
        pace = self._pace(ready, machine, seed)
        left = self.minutes * 60 - (perf_counter() - begun)
        work: Work = plan_work(left, pace, len(self.steps))
        return replace(self, minutes=None, iterations=work.iterations, evaluations=work.evaluations)


@dataclass(frozen=True, eq=False)
class Ready:
    """A scan made ready: its mask, σ map and stack of pairs."""

    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    stack: Stack
