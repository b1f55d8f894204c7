"""Stage III's examples drawn where the network is; `ddm2.stages` is the reference of their law."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dwiser.chain.fusion import forward
from dwiser.learn.device_draws import DeviceCuts, DeviceStack, mean_within, shuffled
from dwiser.learn.step import Batch
from dwiser.methods.ddm2.stages import StateExample


@dataclass(frozen=True, eq=False)
class DeviceStateExamples:
    """`stages.StateExample` of a batch, on its device: the same law, other numbers.

    Parameters
    ----------
    clean : (K, Z, H, W), x̂. matched_level, matched_sd : (K, Z), s = level(t*) and √(1−s²).
    levels : level(t) of t = 0 … latter.
    """

    example: StateExample
    stack: DeviceStack
    clean: Float[Tensor, "k z h w"]
    matched_level: Float[Tensor, "k z"]
    matched_sd: Float[Tensor, "k z"]
    levels: Float[Tensor, "t"]

    @classmethod
    def of(cls, example: StateExample, stack: DeviceStack) -> "DeviceStateExamples":
        """Copies x̂ to the stack's device, once."""
        level = example.schedule.level(example.matched.state)
        arrays = (
            example.matched.clean,
            level,
            np.sqrt(1 - level**2),
            example.schedule.level(np.arange(example.latter + 1)),
        )
        device = stack.target.device
        return cls(
            example, stack, *(torch.from_numpy(a.astype(np.float32)).to(device) for a in arrays)
        )

    def __call__(self, cuts: DeviceCuts, g: torch.Generator) -> Batch:
        """States, their levels and what Stage III learns to give, of a batch's cuts."""
        batch, within = len(cuts.k), self.example.within
        t = torch.randint(1, len(self.levels), (batch,), generator=g, device=g.device)
        low, high = self.levels[t], self.levels[t - 1]
        level = low + (high - low) * torch.rand(batch, generator=g, device=g.device)
        x, guess = cuts.of(self.stack.target), cuts.of(self.clean)
        of_item = cuts.k, cuts.z
        residual = x - self.matched_level[of_item][:, None, None] * guess
        inside = cuts.of_mask(self.stack.inside) if within else None
        keys, refill = torch.rand(2, batch, x[0].numel(), generator=g, device=g.device)
        unit = residual / self.matched_sd[of_item][:, None, None]
        xi = shuffled(unit, keys, inside, refill)
        clean = guess + mean_within(residual, inside)
        state = forward(clean, xi, level[:, None, None])
        goal = x if self.example.target == "noisy" else clean
        return Batch(state[:, None], level, goal[:, None])
