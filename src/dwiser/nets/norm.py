"""GroupNorm and SiLU: one fused operation on a GPU with Triton, PyTorch's two everywhere else."""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

FUSED = "GroupNorm and SiLU fused (Triton)"
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 4e-3}  # of the check


class NormSiLU(nn.GroupNorm):
    """SiLU(GroupNorm(x)), with weights named as GroupNorm's.

    On a GPU it is the Triton kernel of `nets.fused_norm`, where that gives PyTorch's result;
    ``note`` says so, or why not; it is empty as long as no GPU was used.
    """

    note: str = ""

    def forward(
        self, x: Float[Tensor, "b c h w"], shift: Float[Tensor, "b c"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """Of x, or of x + ``shift``; in the type that autocast computes in, if it is on."""
        if not on_gpu(x):
            return self.plain(x, shift)
        dtype = result_type(x, shift)
        shifted = shift is not None
        reason = why_plain(self.num_channels, self.num_groups, x.dtype, dtype, shifted, x.device)
        self.note = f"GroupNorm and SiLU not fused: {reason}" if reason else FUSED
        return self.plain(x, shift) if reason else self.fused(x, shift, dtype)

    def plain(
        self, x: Float[Tensor, "b c h w"], shift: Float[Tensor, "b c"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """The reference: PyTorch's two operations."""
        return F.silu(super().forward(x if shift is None else x + shift[:, :, None, None]))

    def fused(
        self, x: Float[Tensor, "b c h w"], shift: Float[Tensor, "b c"] | None, dtype: torch.dtype
    ) -> Float[Tensor, "b c h w"]:
        """The kernel, float32 inside, rounded once to ``dtype``."""
        from dwiser.nets.fused_norm import silu_of_norm

        return silu_of_norm(
            x, self.weight, self.bias, self.num_groups, self.eps, shift=shift, dtype=dtype
        )


def on_gpu(x: Tensor) -> bool:
    """Whether a Triton kernel may run where the tensor is."""
    return x.is_cuda


def result_type(x: Tensor, shift: Tensor | None) -> torch.dtype:
    """Of the fused operation: autocast's, which the convolution behind it takes, or the input's."""
    if torch.is_autocast_enabled(x.device.type):
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype if shift is None else torch.promote_types(x.dtype, shift.dtype)


@cache
def why_plain(
    channels: int,
    groups: int,
    x_type: torch.dtype,
    dtype: torch.dtype,
    shifted: bool,
    device: torch.device,
) -> str:
    """Why the kernel is not used for such a layer; empty where it is.

    The kernel is tried once on a small image, forward and backward, and compared with PyTorch's
    two operations: what does not run, or not right, on this GPU with this version of Triton is
    not used on it.
    """
    tolerance = max(TOLERANCE.get(t, 0.0) for t in (x_type, dtype))
    if not {x_type, dtype} <= set(TOLERANCE):
        return f"it takes no {x_type}".replace("torch.", "")
    try:
        off = torch.autocast(device.type, enabled=False)
        with torch.inference_mode(False), torch.enable_grad(), off:
            layer = _example_layer(channels, groups, device)
            x, shift, dy = _example_images(channels, x_type, dtype, shifted, device)
            mine = _with_gradients(lambda x, s: layer.fused(x, s, dtype), layer, x, shift, dy)
            reference = _with_gradients(layer.plain, layer, x, shift, dy)
            right = _alike(mine, reference, tolerance)
    except ImportError:
        return "Triton is not installed"
    except Exception as error:  # whatever its compiler, its launcher or the driver raises
        lines = str(error).strip().splitlines() or [""]
        return f"its kernel failed ({type(error).__name__}: {lines[0]})"
    return "" if right else "its kernel differs from PyTorch's result on this GPU"


def normalisation(net: nn.Module) -> str:
    """What the record says of a network's normalisation; empty where there is nothing to say."""
    notes = {layer.note for layer in net.modules() if isinstance(layer, NormSiLU)} - {""}
    return "; ".join(sorted(notes))


def _example_layer(channels: int, groups: int, device: torch.device) -> NormSiLU:
    layer = NormSiLU(groups, channels).to(device)
    with torch.no_grad():
        layer.weight.copy_(1 + 0.5 * _waves(channels, 1.0, device))
        layer.bias.copy_(_waves(channels, 2.0, device))
    return layer


def _example_images(
    channels: int, x_type: torch.dtype, dtype: torch.dtype, shifted: bool, device: torch.device
) -> tuple[Tensor, Tensor | None, Tensor]:
    """x, the shift and the gradient by the result: two images of 5 × 7 pixels."""
    shape = 2, channels, 5, 7
    x, dy = (_waves(2 * channels * 35, rate, device).view(shape) for rate in (0.7, 1.3))
    shift = _waves(2 * channels, 0.3, device).view(2, channels) if shifted else None
    return (
        x.to(x_type).contiguous(memory_format=torch.channels_last).requires_grad_(),
        None if shift is None else shift.requires_grad_(),
        dy.to(dtype),
    )


def _with_gradients(
    run: Callable[[Tensor, Tensor | None], Tensor],
    layer: NormSiLU,
    x: Tensor,
    shift: Tensor | None,
    dy: Tensor,
) -> list[Tensor]:
    y = run(x, shift)
    by = [x, layer.weight, layer.bias] if shift is None else [x, layer.weight, layer.bias, shift]
    return [y.detach(), *torch.autograd.grad(y, by, dy.to(y.dtype))]


def _waves(count: int, rate: float, device: torch.device) -> Tensor:
    """Numbers without a generator, whose state must stay: a sine that never repeats."""
    return (torch.arange(count, dtype=torch.float64) * rate).sin().float().to(device)


def _alike(mine: list[Tensor], reference: list[Tensor], tolerance: float) -> bool:
    """Whether the results, and the gradients by x, weight, bias and shift, are the same.

    The gradient by the shift is that by x, summed over the pixels: with one channel a group 0, but
    for the last digits of what is summed.
    """
    sizes = [float(values.float().abs().max()) for values in reference]
    pixels = reference[0][0, 0].numel()
    sizes[4:] = [max(size, pixels * sizes[1]) for size in sizes[4:]]
    return all(
        torch.allclose(a.float(), b.float(), rtol=tolerance, atol=tolerance * size)
        for a, b, size in zip(mine, reference, sizes, strict=True)
    )
