"""Whether a training in bfloat16 ends with the loss of one in float32: three seeds of each.

``python -m benchmarks.precision [--iterations 300]``: Di-Fusion's pairs of a small phantom, the
compact network and a small U-Net, on a CPU. The loss is that of batches which the training did
not draw, computed in the training's own precision. The means of two precisions are compared with
the spread over seeds: within two standard errors of their difference they are called equal.
"""

import argparse
from statistics import mean
from typing import Any

import torch
from torch import nn

from benchmarks.record import save
from benchmarks.spread import compared
from dwiser.chain.schedule import Schedule
from dwiser.learn.loop import train
from dwiser.learn.pairs import PairDraw
from dwiser.learn.precision import Precision
from dwiser.learn.step import loss_of
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.networks import Network, Scaling, build_network
from dwiser.methods.registry import build
from dwiser.prepare.stack import Stack
from dwiser.simulation import phantom

SEEDS = (0, 1, 2)
PRECISIONS: tuple[Precision, ...] = ("float32", "bf16")
NETWORKS: dict[Network, tuple[int, float]] = {"compact": (16, 3e-3), "unet": (8, 1e-3)}  # rates
BATCH, PATCH = 4, 24
HELD_OUT = range(1_000_000, 1_000_040)  # iterations that no training reaches


def network(stack: Stack, kind: Network, seed: int) -> nn.Module:
    """A small one of its kind."""
    scaling = Scaling.between(stack, stack.neighbour)
    return build_network(kind, NETWORKS[kind][0], scaling, seed)


def loss_after(
    stack: Stack, kind: Network, precision: Precision, seed: int, iterations: int
) -> float:
    """The loss on held-out batches after a training; seeds differ in weights and in draws."""
    net = network(stack, kind, seed)
    draw = PairDraw(stack, Schedule(), seed, BATCH, 300, patch=PATCH)
    rate = NETWORKS[kind][1]
    train(net, draw, iterations=iterations, learning_rate=rate, decay="cosine", precision=precision)
    judge = PairDraw(stack, Schedule(), len(SEEDS), BATCH, 300, patch=PATCH)
    with torch.no_grad():
        return mean(float(loss_of(net, judge(i), precision)) for i in HELD_OUT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=300)
    asked = parser.parse_args()
    made = phantom(shape=(32, 36, 8), shells=((1000.0, 24),), n_b0=4, snr=20.0, seed=77)
    method = build("difusion")
    assert isinstance(method, Difusion)
    stack = method._prepare(made.scan).stack
    rows: dict[str, Any] = {}
    for kind in NETWORKS:
        losses: dict[Precision, list[float]] = {
            p: [loss_after(stack, kind, p, s, asked.iterations) for s in SEEDS] for p in PRECISIONS
        }
        rows[kind] = {"losses": losses} | compared(losses, "bf16", "float32")
        print(kind, rows[kind], flush=True)
        print(save("precision_cpu", 77, {"iterations": asked.iterations, "rows": rows}))


if __name__ == "__main__":
    main()
