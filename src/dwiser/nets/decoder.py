"""An untrained decoder: a fixed random code in, all volumes of a slice out (deep image prior)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dwiser.nets.layers import as_autocast, full_precision

SLOPE = 0.2  # of the leaky ReLU (Ulyanov et al. 2018)


class Decoder(nn.Module):
    """Code → K images of one slice, from coarse to fine.

    At each size, beginning with the code's: a 3×3 convolution, a normalisation of each
    channel over the slice and a leaky ReLU; then bilinear upsampling to the next size. A
    1×1 convolution makes the images, whose means and sds it need not learn.

    Sources: Ulyanov, Vedaldi, Lempitsky, *Deep Image Prior*, CVPR 2018 (arXiv 1711.10925);
    of its hourglass the decoding half, as in Heckel & Hand, *Deep Decoder*, ICLR 2019
    (arXiv 1810.03982), with 3×3 convolutions.

    Parameters
    ----------
    code : (C, h, w), the fixed random input; h and w are the first of ``sizes_of``'s.
    size : (height, width) of the slice, any. levels : halvings down to the code's size.
    width : channels of every layer.
    centre, spread : (K,) mean and sd of each image.
    """

    code: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        code: Float[Tensor, "c h w"],
        size: tuple[int, int],
        levels: int,
        width: int,
        centre: Float[Tensor, "k"],
        spread: Float[Tensor, "k"],
    ) -> None:
        super().__init__()
        self.size, self.sizes = size, sizes_of(*size, levels)
        self.register_buffer("code", code)
        self.register_buffer("centre", centre[:, None, None])
        self.register_buffer("spread", spread[:, None, None])
        entering = [len(code)] + [width] * levels
        self.layers = nn.ModuleList(nn.Conv2d(c, width, 3, padding=1) for c in entering)
        self.norms = nn.ModuleList(nn.GroupNorm(width, width) for _ in self.sizes)
        self.head = nn.Conv2d(width, len(centre), 1)

    def forward(
        self, jitter: Float[Tensor, "1 c h w"], level: Float[Tensor, "b"] | None = None
    ) -> Float[Tensor, "1 k y x"]:
        """The images, from the code plus ``jitter``; it takes no level."""
        code, (stem, *layers) = self.code + jitter, self.layers
        with full_precision(code.device):
            h = self._normalised(stem(code), 0)
        for depth, layer in enumerate(layers, 1):
            size = self.sizes[depth]
            if h.shape[2:] != size:
                h = functional.interpolate(h, size=size, mode="bilinear", align_corners=False)
            h = self._normalised(layer(as_autocast(h)), depth)
        height, width = self.size
        with full_precision(code.device):
            return self.centre + self.spread * self.head(h.float())[..., :height, :width]

    def _normalised(self, h: Float[Tensor, "1 c h w"], depth: int) -> Float[Tensor, "1 c h w"]:
        return functional.leaky_relu(self.norms[depth](h), SLOPE)


def sizes_of(height: int, width: int, levels: int) -> tuple[tuple[int, int], ...]:
    """A slice's size halved ``levels`` times, rounded up, the smallest first; 2 pixels at least.

    A 1×1 image would be all mean, which the normalisation takes away.
    """
    return tuple(
        (max(2, -(-height // 2**k)), max(2, -(-width // 2**k))) for k in range(levels, -1, -1)
    )


def flops_per_pixel(width: int, levels: int, code: int, images: int) -> float:
    """Floating-point operations a full-resolution pixel of one forward pass.

    Two a multiply-add, convolutions only.
    """
    layers = [9 * (code if k == levels else width) * width / 4**k for k in range(levels + 1)]
    return 2 * (sum(layers) + width * images)
