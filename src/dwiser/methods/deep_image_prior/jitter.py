"""The batches of a slice's fit: always the whole slice, and each iteration's noise on the code."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from dwiser.learn.device_draws import keyed
from dwiser.learn.patches import as_tensor
from dwiser.learn.step import Batch
from dwiser.learn.where_drawn import Draw, where_possible
from dwiser.seeds import stream

PURPOSE = "jitter"


@dataclass(frozen=True, eq=False)
class JitterDraw:
    """Gaussian noise of this sd on the code, drawn in NumPy; without any the batch is one.

    Parameters
    ----------
    still : the batch without noise: (1, C, h, w) zeros, and the slice (1, K, H, W).
    place : the slice's number in the scan, which keys its noise with the seed and the iteration.
    """

    still: Batch
    sd: float
    seed: int
    place: int

    def __call__(self, iteration: int) -> Batch:
        """The batch of an iteration."""
        if self.sd == 0:
            return self.still
        return replace(self.still, inputs=self._noise(iteration))

    def _noise(self, iteration: int) -> Float[Tensor, "1 c h w"]:
        rng, like = stream(self.seed, PURPOSE, self.place, iteration), self.still.inputs
        noise = rng.standard_normal(tuple(like.shape[1:]), "float32")
        return as_tensor(self.sd * noise[None], str(like.device))


@dataclass(frozen=True, eq=False)
class DeviceJitterDraw(JitterDraw):
    """`JitterDraw` on its device: the same law, other numbers, and nothing waits for it."""

    generator: torch.Generator = field(kw_only=True, repr=False)

    def _noise(self, iteration: int) -> Float[Tensor, "1 c h w"]:
        g, like = self.generator, self.still.inputs
        keyed(g, self.seed, PURPOSE, self.place, iteration)
        noise = torch.randn(like.shape, generator=g, device=g.device)
        return (self.sd * noise).contiguous(memory_format=torch.channels_last)


def on_device(draw: JitterDraw) -> Draw:
    """The draw on the network's GPU, if that gives one; NumPy's elsewhere."""
    kind = draw.still.inputs.device.type
    return where_possible(draw, kind, lambda: device_jitter(draw))


def device_jitter(draw: JitterDraw) -> DeviceJitterDraw:
    """The draw on its device."""
    generator = torch.Generator(draw.still.inputs.device)
    return DeviceJitterDraw(draw.still, draw.sd, draw.seed, draw.place, generator=generator)
