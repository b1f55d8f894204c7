"""Di-Fusion's chain on latents: states made of two sets of volumes, learned from a third.

x' = z_A and x = z_B are posterior latents of two disjoint sets of volumes; the loss is on the
raw volumes of a third set C, which no part of the input has seen. ξ is what no component
explains in the volumes of A and B, shuffled inside the mask and given the covariance of z_A's
error. Nothing is clipped. Numbers are in units of σ.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float

from dwiser.chain.fusion import forward, fuse, fusion_weights, shuffle_noise
from dwiser.chain.sample import F, sample
from dwiser.chain.schedule import Schedule
from dwiser.chain.walk import START, Steps
from dwiser.methods.splitnet.latents import LatentDraw, SplitLatent
from dwiser.prepare.splits import in_three
from dwiser.prepare.subspace import SignalSubspace
from dwiser.seeds import stream


@dataclass(frozen=True, eq=False)
class ChainDraw(LatentDraw):
    """Draws states of the chain's latter steps, t ~ U{1 … 300}, in place of latents.

    Notes
    -----
    The network sees x_t/s = λ1 z_B + λ2 z_A + τξ, τ² = (1 − s²)/s², and gets the sd of its
    error. With S_A and S_B the covariances of the latents' errors and D that of the signal,
    these errors share S_A D⁻¹ S_B: both shrink the same signal.
    """

    schedule: Schedule = field(default_factory=Schedule)

    def _latent(
        self,
        y: Float[np.ndarray, "h w m"],
        inside: Bool[np.ndarray, "h w"],
        rng: np.random.Generator,
    ) -> SplitLatent:
        t = int(rng.integers(1, START + 1))
        s = float(rng.uniform(self.schedule.level(t + 1), self.schedule.level(t)))
        weight_b, weight_a = (float(w) for w in fusion_weights(self.schedule, t))
        a, b = in_three(self.groups, self.subspace.volumes, rng)
        (of_a, spread_a), (of_b, spread_b) = (self.subspace.posterior(v) for v in (a, b))
        fused = y @ np.asarray(fuse(of_b, of_a, weight_b, weight_a), np.float32).T
        xi = shuffled_noise(self.subspace, y, inside, a | b, spread_a, rng)
        shared = spread_a / self.subspace.signal @ spread_b
        error = (
            weight_b**2 * spread_b
            + weight_a**2 * spread_a
            + weight_b * weight_a * (shared + shared.T)
        )
        error += (1 - s**2) / s**2 * spread_a
        state = np.asarray(forward(fused, xi, s), np.float32)
        return SplitLatent(state / np.float32(s), np.sqrt(np.diag(error)), a | b)


@dataclass(frozen=True, eq=False)
class LatentWalk:
    """A slice's way down from the latent of all volumes, which is x and x' alike.

    Notes
    -----
    A latent is shrunk: z is near d/(1+d)·u along a component of signal-to-noise d, and the
    network's answer to it is near u. To be the next state's clean part an answer is shrunk
    alike; otherwise the network would undo, at each evaluation, a shrinkage that is not there,
    and weak components grow without bound.
    """

    subspace: SignalSubspace
    steps: Steps
    seed: int
    schedule: Schedule = field(default_factory=Schedule)
    device: str = "cpu"

    def slice(
        self, f: F, y: Float[np.ndarray, "h w m"], inside: Bool[np.ndarray, "h w"], place: int
    ) -> Float[np.ndarray, "h w k"]:
        """The last x_out of one slice; ``place`` keys its noise.

        ``f`` is (x_t (1, K, H, W), s (1,)) → x_out, and 0 outside the mask.
        """
        every = np.ones(len(self.subspace.volumes), bool)
        matrix, spread = self.subspace.posterior(every)
        xi = shuffled_noise(
            self.subspace, y, inside, every, spread, stream(self.seed, "start", place)
        )
        shrinkage = self.subspace.signal / (self.subspace.signal + self.subspace.noise)
        shrunk = torch.from_numpy(shrinkage.astype(np.float32))[:, None, None].to(self.device)
        s = float(self.schedule.level(self.steps[0] + 1))
        state = np.asarray(forward(y @ matrix.T.astype(np.float32), xi, s), np.float32)
        start = torch.from_numpy(state.transpose(2, 0, 1)[None].copy()).to(self.device)
        unturned = torch.zeros(1, len(self.steps), dtype=torch.long, device=self.device)
        done = sample(
            lambda x, level: shrunk * f(x, level), start, start, start,
            schedule=self.schedule, steps=self.steps, draws=unturned, clip=False,
        )  # fmt: skip
        return (done.image[0] / shrunk).cpu().numpy().transpose(1, 2, 0)


def shuffled_noise(
    subspace: SignalSubspace,
    y: Float[np.ndarray, "h w m"],
    inside: Bool[np.ndarray, "h w"],
    chosen: Bool[np.ndarray, "m"],
    covariance: Float[np.ndarray, "k k"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "h w k"]:
    """ξ: the seen volumes' residual outside the subspace, in another order and 0 off the mask.

    ``covariance`` is that of its K channels; the order is one for all of them.
    """
    colour = np.linalg.cholesky(covariance).T
    noise = y @ (subspace.noise_alone(chosen, rng) @ colour).astype(np.float32)
    return shuffle_noise(noise, rng, inside) * inside[..., None]
