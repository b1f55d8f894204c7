"""How much faster sampling in batches is than slice by slice with four separate forwards.

Same weights, termination off, all of Run-Walk; the outputs must agree within 1e-4 of the
[−1, 1] range. ``python -m benchmarks.sampling [--network unet] [--slices 64]``
"""

import argparse
from time import perf_counter

import torch
from torch import Tensor, nn

from benchmarks.record import save
from dwiser.chain.sample import FLIPS, sample
from dwiser.chain.schedule import Schedule
from dwiser.chain.walk import run_walk
from dwiser.learn.memory import BatchedNetwork
from dwiser.nets.compact import Compact
from dwiser.nets.unet import UNet

SIZE = (96, 80)
SEED = 0


def network(kind: str) -> nn.Module:
    """A network with random weights that change the image a little, as a trained one does."""
    torch.manual_seed(SEED)
    if kind == "unet":
        return UNet(seed=SEED).eval()
    net = Compact(32, 0.0, 0.02)
    for parameter in net.head.parameters():
        nn.init.normal_(parameter, std=0.05)
    return net.eval()


def one_by_one(net: nn.Module, start: Tensor, steps: tuple[int, ...]) -> Tensor:
    """Batch 1, one forward for each flip: the straightforward loop."""
    schedule, out = Schedule(), []
    for image in start:

        def f(x: Tensor, level: Tensor) -> Tensor:
            with torch.inference_mode():
                return torch.cat(
                    [net(one[None, None], s[None])[0] for one, s in zip(x, level, strict=True)]
                )

        image = image[None]
        out.append(sample(f, image, image, image, schedule=schedule, steps=steps).image)
    return torch.cat(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=["compact", "unet"], default="compact")
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--evaluations", type=int, default=None, help="cut Run-Walk short")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    steps = run_walk(300, 50, 10)[: asked.evaluations]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = network(asked.network).to(device)
    start = 0.3 * torch.randn(asked.slices, *SIZE, device=device)
    begun = perf_counter()
    slow = one_by_one(net, start, steps)
    _settle()
    middle = perf_counter()
    fast_net = net.to(memory_format=torch.channels_last)
    f = BatchedNetwork(fast_net, 64)
    fast = sample(f, start, start, start, schedule=Schedule(), steps=steps).image
    _settle()
    done = perf_counter()
    gap = float((slow - fast).abs().max())
    figures = {
        "network": asked.network,
        "device": device,
        "slices": asked.slices,
        "slice_size": SIZE,
        "evaluations": len(steps),
        "flips": len(FLIPS),
        "seconds_slice_by_slice": round(middle - begun, 2),
        "seconds_batched": round(done - middle, 2),
        "times_faster": round((middle - begun) / (done - middle), 2),
        "largest_difference": gap,
    }
    assert gap < 1e-4, f"the outputs differ by {gap}"
    print(figures)
    print(save(f"sampling_{asked.network}_{device}", SEED, figures))


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
