"""Noisier2Noise: a network learns to undo noise that is added on top of the scan's own."""

from dataclasses import dataclass, replace
from math import sqrt
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dwiser.learn.budget import Work
from dwiser.learn.device_draws import DeviceStack, Examples, cuts_on_device
from dwiser.learn.passes import single_pass
from dwiser.learn.patches import Cut, CutDraw, Example, as_tensor
from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import Draw
from dwiser.machine import Machine
from dwiser.methods.base import Weights
from dwiser.methods.budgets import budget
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.learned import DenoisedStack
from dwiser.methods.networked import Evaluate, Networked
from dwiser.methods.networks import Scaling, build_network, inside
from dwiser.methods.options import Presets, Sourced, option
from dwiser.prepare.stack import Stack
from dwiser.seeds import stream
from dwiser.watch import Watch

MORAN = "Moran et al., CVPR 2020 (arXiv 1910.11908)"
AUTHORS = "the comparison of Wu et al., ICLR 2025, as reported"

PRESETS: Presets = {
    "paper": {
        "added": Sourced(0.5, f"{AUTHORS}: sd of m ~ U(0, 0.5) in [-1, 1] units"),
        "output": Sourced("direct", f"{AUTHORS}: F(x) itself"),
    }
    | budget("paper")
    | {"decay": Sourced("cosine", AUTHORS)},
    "laptop": {
        "added": Sourced(0.5, f"{AUTHORS}: sd of m ~ U(0, 0.5) in [-1, 1] units"),
        "output": Sourced("direct", f"{AUTHORS}: F(x) itself"),
    }
    | budget("laptop")
    | {"decay": Sourced("cosine", AUTHORS)},
}
PRESETS["smoke"] = PRESETS["laptop"] | budget("smoke", "width", "iterations", "batch", "patch")


@dataclass(frozen=True)
class Noisier2Noise(Networked):
    """Learn x from x + m, with Gaussian m of a sd drawn for each item.

    Moran et al., *Noisier2Noise: Learning to Denoise from Unpaired Noisy Data*, CVPR 2020,
    arXiv 1910.11908. No partner is needed: every volume stands alone.

    Notes
    -----
    E[x | x + m] keeps a share of the scan's own noise; ``corrected`` takes it away, exactly
    so where the noise is Gaussian of known sd and F is that conditional mean. So for this output
    F is trained with m of the sd that it will meet, a·σ, not of one that is drawn for each item:
    an F that must guess the sd is no such mean, and the correction doubles its error.
    """

    name: ClassVar[str] = "noisier2noise"

    added: float = option(0.5, "direct: m's sd is drawn from 0 to this, in [-1, 1] units", least=0)
    output: Literal["direct", "corrected"] = option(
        "direct", "F(x), or ((1+a^2)F(z)-z)/a^2 with z = x + m and a = sd(m)/sigma"
    )
    ratio: float = option(1.0, "a of the corrected output (the publication's alpha)", least=0.05)
    draws: int = option(4, "draws of m that the corrected output is averaged over", least=1)

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do."""
        return replace(
            self._learned,
            presets=PRESETS,
            least_directions=1,
        )

    @property
    def _most_evaluations(self) -> int:
        return self.draws if self.output == "corrected" else 1

    def _counted(self, work: Work) -> "Noisier2Noise":
        draws = work.evaluations if self.output == "corrected" else self.draws
        return replace(self, minutes=None, iterations=work.iterations, draws=draws)

    def _network(self, stack: Stack, seed: int) -> nn.Module:
        rms = self.added / sqrt(3)  # of an sd that is uniform on 0 … added
        if self.output == "corrected":
            volumes = [
                stack.sigma_of(k, z)[stack.inside[z]].mean() for k, z in stack.items.tolist()
            ]
            rms = self.ratio * float(np.mean(volumes))
        scaling = Scaling(float(inside(stack, stack.target).mean()), rms or 1.0)
        return build_network(self.network, self.width, scaling, seed, conditioned=False)

    def _draw(self, stack: Stack, machine: Machine, seed: int) -> Draw:
        def noisier(cut: Cut, rng: np.random.Generator) -> Example:
            x = cut.of(stack.target[cut.k, cut.z])[None]
            sd: np.ndarray = np.float32(rng.uniform(0, self.added)) * np.ones_like(x)
            if self.output == "corrected":
                sd = np.float32(self.ratio) * cut.of(stack.sigma_of(cut.k, cut.z))[None]
            return Example(x + sd * rng.standard_normal(x.shape, np.float32), x)

        draw = CutDraw(stack, noisier, seed, self.batch, self.patch, machine.device)
        return cuts_on_device(draw, lambda on: self._examples(stack, on))

    def _examples(self, stack: Stack, on: DeviceStack) -> Examples:
        """As `_draw`'s, of a batch of cuts on the device."""
        if self.output == "direct":
            return lambda cuts, g: _noisier(cuts.of(on.target)[:, None], self.added, g)
        sd = torch.from_numpy(self.ratio * _sigma(stack)).to(on.target.device)
        return lambda cuts, g: _noisier(cuts.of(on.target)[:, None], cuts.of(sd)[:, None], g)

    def _evaluate(
        self, f: Evaluate, stack: Stack, items: np.ndarray, machine: Machine, seed: int
    ) -> None:
        f(as_tensor(stack.target[items[:, 0], items[:, 1]], machine.device))

    def _denoise_stack(
        self, weights: Weights, stack: Stack, machine: Machine, seed: int, watch: Watch
    ) -> DenoisedStack:
        f = self._loaded(self._network(stack, seed), weights.state, machine)

        def passed(noisier: "Noisier") -> np.ndarray:
            return single_pass(
                f, stack, noisier, batch=self.sampling_batch, device=machine.device, watch=watch
            )

        if self.output == "direct":
            unit = passed(Noisier(stack, seed, 0, 0.0))
            return DenoisedStack(unit, {"evaluations": 1} | f.record)
        unit = np.zeros_like(stack.target)
        for draw in range(self.draws):
            noisier = Noisier(stack, seed, draw, self.ratio)
            z = stack.target.copy()
            z[stack.items[:, 0], stack.items[:, 1]] = noisier(stack.items)
            unit += corrected(passed(noisier), z, self.ratio) / np.float32(self.draws)
        return DenoisedStack(unit.clip(-1, 1), {"evaluations": self.draws} | f.record)


def _sigma(stack: Stack) -> Float[np.ndarray, "k z h w"]:
    """The sd of the scan's own noise in [−1, 1] units, of the items; 0 elsewhere."""
    sigma = np.zeros_like(stack.target)
    for k, z in stack.items.tolist():
        sigma[k, z] = stack.sigma_of(k, z)
    return sigma


def _noisier(
    x: Float[Tensor, "b 1 h w"], sd: Float[Tensor, "b 1 h w"] | float, g: torch.Generator
) -> Batch:
    """x + m, and x to be learned; m of this sd, or of one drawn from 0 to it for each item."""
    if isinstance(sd, float):
        sd = sd * torch.rand(len(x), 1, 1, 1, generator=g, device=g.device)
    return Batch(x + sd * torch.randn(x.shape, generator=g, device=g.device), None, x)


@dataclass(frozen=True, eq=False)
class Noisier:
    """z = x + m of some items: m Gaussian of ``ratio`` times the scan's own noise there."""

    stack: Stack
    seed: int
    draw: int
    ratio: float

    def __call__(self, items: np.ndarray) -> np.ndarray:
        x = self.stack.target[items[:, 0], items[:, 1]]
        if self.ratio == 0:
            return x
        return x + np.stack([self._added(int(k), int(z)) for k, z in items])

    def _added(self, k: int, z: int) -> np.ndarray:
        place = int(self.stack.plan.volumes[k]), z + (self.stack.box.z.start or 0), self.draw
        sd = np.float32(self.ratio) * self.stack.sigma_of(k, z)
        return sd * stream(self.seed, "noisier", *place).standard_normal(sd.shape, np.float32)


def corrected(
    f_of_z: Float[np.ndarray, "*s"], z: Float[np.ndarray, "*s"], ratio: float
) -> Float[np.ndarray, "*s"]:
    """((1+a²)F(z) − z)/a²: E[s | z] from F(z) = E[s + n | z], where z = s + n + m.

    a = sd(m)/sd(n); n and m Gaussian and independent (Moran et al. 2020, section 3).
    """
    square = ratio**2
    return ((1 + square) * f_of_z - z) / square
