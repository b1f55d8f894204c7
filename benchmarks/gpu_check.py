"""How fast training and sampling are on one GPU, row by row, within eight minutes by its own clock.

    python -m benchmarks.gpu_check [--smoke]

A training iteration of the paper's U-Net (batch 32 of 65×78) as up to 0.2.0 and as now, in each
precision; one of each other learned method; one with GroupNorm and SiLU as PyTorch's two operations
in place of one kernel, and the two alone, forward and backward; sampling 280 slices × 76
evaluations × 4 flips; preset `paper` on 65×78×66×70, file to file, from the measured paces; the
default method on 81×106×76×150; and with the time that is left the start of the learning curve of
the paper's pair, which `make gpu-curve` goes on with. The record is written after each row, and a
row that does not fit into the remaining time says so. ``--smoke`` runs all of it on a CPU in
seconds, on tiny images, and its figures mean nothing.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from torch import nn

import dwiser
from benchmarks.record import save
from dwiser.chain.sample import FLIPS, sample
from dwiser.chain.schedule import Schedule
from dwiser.chain.walk import run_walk
from dwiser.learn.loop import train
from dwiser.learn.memory import BatchedNetwork
from dwiser.learn.pairs import PairDraw
from dwiser.learn.precision import Precision, autocast, convolutions
from dwiser.learn.where_drawn import Draw, note_of
from dwiser.machine import Machine
from dwiser.methods.deep_image_prior.method import DeepImagePrior, Fit
from dwiser.methods.difusion.method import Difusion
from dwiser.methods.networked import Networked
from dwiser.methods.networks import Network
from dwiser.methods.registry import DEFAULT_METHOD, build
from dwiser.methods.splitnet import Splitnet
from dwiser.nets import norm
from dwiser.nets.norm import NormSiLU, normalisation
from dwiser.prepare.stack import Stack
from dwiser.simulation import Simulation, phantom
from reproduce import learning_curve

SEED = 909
SECONDS = 8 * 60.0
BLOCKS = 3  # of iterations; the median of their paces is recorded
PRECISIONS: tuple[Precision, ...] = ("bf16", "tf32", "float32")
TYPES: tuple[Precision, ...] = ("bf16", "float32")  # of the images that are normalised
NORMS = ((32, 1), (64, 2), (128, 4), (256, 8), (512, 8))  # channels, and what the slice is over
SPLITNETS: dict[str, dict[str, Any]] = {"splitnet": {}, "splitnet, chain": {"chain": True}}
OTHERS = ("noise2noise", "noisier2noise", "ddm2", *SPLITNETS, DeepImagePrior.name)
ITERATIONS, SLICES = 37_100, 4_224  # of `paper`: 281 passes, and the slices that it samples


@dataclass(frozen=True)
class Sizes:
    """What is run: the phantom of the pace, its network, and the default method's phantom."""

    phantom: tuple[int, int, int] = (65, 78, 8)
    directions: int = 64
    width: int = 32
    batch: int = 32
    warm: int = 6
    iterations: int = 30
    slices: int = 280
    evaluations: int | None = None
    default: tuple[int, int, int] = (81, 106, 76)
    default_directions: int = 144
    network: Network = "unet"
    method: str = DEFAULT_METHOD
    seconds_a_row: float = 45.0  # without which a row is not begun
    curve: str = "paper"  # size of the learning curve
    passes: float = 281


SMOKE = Sizes(
    (10, 11, 5), 6, 8, 2, 1, 1, 3, 2, (10, 11, 5), 6, "compact", "gaussian", seconds_a_row=0.0,
    curve="smoke", passes=1,
)  # fmt: skip
DEFAULT_ROWS = 4  # rows' worth of seconds for the last one, whose phantom must be made


@dataclass(eq=False)
class Check:
    """The rows so far, the clock, and the record that each row is written to."""

    name: str
    sizes: Sizes
    device: str
    begun: float = field(default_factory=perf_counter)
    rows: dict[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds."""
        return SECONDS - (perf_counter() - self.begun)

    def row(self, name: str, measure: Callable[[], dict[str, Any]], worth: int = 1) -> None:
        """Measure a row and write the record; what fails or finds no time is said in it."""
        if self.left < worth * self.sizes.seconds_a_row:
            self.rows[name] = {"not_measured": "no time left"}
        else:
            try:
                self.rows[name] = measure()
            except RuntimeError as error:
                self.rows[name] = {"not_measured": str(error).strip().splitlines()[0]}
        print(name, self.rows[name], flush=True)
        seconds = round(perf_counter() - self.begun, 1)
        save(self.name, SEED, {"device": self.device, "seconds": seconds, "rows": self.rows})


def method_of(sizes: Sizes, precision: Precision) -> Difusion:
    """Preset `paper` with the sizes' network and batch."""
    settings = {
        "network": sizes.network, "width": sizes.width, "batch": sizes.batch,
        "precision": precision,
    }  # fmt: skip
    method = build("difusion", "paper", settings)
    assert isinstance(method, Difusion)
    return method


def as_before(net: nn.Module, draw: PairDraw, iterations: int) -> None:
    """The loop of version 0.2.0: NumPy's draw, all of the network in bf16, a wait a step."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    for i in range(iterations):
        batch = draw(i)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(batch.inputs.device.type, torch.bfloat16):
            out = net(batch.inputs, batch.level)
        loss = (out.float() - batch.targets).square().mean()
        loss.backward()
        optimizer.step()
        float(loss.detach())


def pace(run: Callable[[int], object], sizes: Sizes) -> dict[str, Any]:
    """Milliseconds an iteration: the median of blocks after a warm-up, and all blocks."""
    run(sizes.warm)
    blocks = []
    for _ in range(BLOCKS):
        settle()
        begun = perf_counter()
        run(sizes.iterations)
        settle()
        blocks.append((perf_counter() - begun) / sizes.iterations * 1e3)
    return {"ms_an_iteration": round(median(blocks), 3), "blocks": [round(b, 3) for b in blocks]}


def training_now(
    stack: Stack, sizes: Sizes, machine: Machine, precision: Precision
) -> dict[str, Any]:
    """An iteration as `dwiser` takes it, in blocks of one training after its capture."""
    method = method_of(sizes, precision)
    return timed_training(
        method._network(stack, SEED), method._draw(stack, machine, SEED), sizes, machine, precision
    )


def timed_training(
    net: nn.Module, draw: Draw, sizes: Sizes, machine: Machine, precision: Precision
) -> dict[str, Any]:
    """Milliseconds an iteration of a network that learns from a draw's batches."""
    net = net.to(machine.device)
    count = sizes.warm + BLOCKS * sizes.iterations
    marks = []

    def timed(iteration: int) -> Any:
        if iteration >= sizes.warm and (iteration - sizes.warm) % sizes.iterations == 0:
            settle()
            marks.append(perf_counter())
        return draw(iteration)

    trained = train(net, timed, iterations=count, learning_rate=1e-4, precision=precision)
    settle()
    marks.append(perf_counter())
    blocks = [(b - a) / sizes.iterations * 1e3 for a, b in pairwise(marks)]
    return {
        "ms_an_iteration": round(median(blocks), 3),
        "blocks": [round(b, 3) for b in blocks],
        "steps": trained.note or "eager",
        "batches": note_of(draw, machine.device) or "drawn in NumPy, on a CPU",
        "normalisation": normalisation(net) or "plain",
        "loss": trained.loss,
    }


def training_of_other(
    name: str, made: Simulation, sizes: Sizes, machine: Machine
) -> dict[str, Any]:
    """An iteration of another learned method in float32, of Stage I for DDM2.

    Those with Di-Fusion's network have it at the sizes here, as `paper` does; splitnet and Deep
    Image Prior are at `laptop`.
    """
    net: nn.Module
    if name == DeepImagePrior.name:
        prior = build(name, "laptop", {"jitter": 1 / 30})
        assert isinstance(prior, DeepImagePrior)
        stack = prior._prepare(made.scan).stack
        fit = Fit(prior, stack, int(stack.items[0, 1]), SEED, machine.device)
        net, draw = fit.decoder, fit.batch
    elif name in SPLITNETS:
        splitnet = build("splitnet", "laptop", SPLITNETS[name])
        assert isinstance(splitnet, Splitnet)
        whitened = splitnet._prepare(made.scan, SEED)
        net, _ = splitnet._network(whitened, SEED)
        draw = splitnet._draw(whitened, machine, SEED)
    else:
        settings = {"network": sizes.network, "width": sizes.width, "batch": sizes.batch}
        method = build(name, "paper", settings)
        assert isinstance(method, Networked)
        stack = method._prepare(made.scan).stack
        net, draw = method._network(stack, SEED), method._draw(stack, machine, SEED)
    return timed_training(net, draw, sizes, machine, "float32")


@contextmanager
def unfused() -> Iterator[None]:
    """GroupNorm and SiLU are PyTorch's two operations inside, on a GPU too."""
    before, norm.on_gpu = norm.on_gpu, lambda _: False
    try:
        yield
    finally:
        norm.on_gpu = before


def training_unfused(
    stack: Stack, sizes: Sizes, machine: Machine, precision: Precision
) -> dict[str, Any]:
    """As `training_now`, without the kernel."""
    with unfused():
        return training_now(stack, sizes, machine, precision)


def normalising(sizes: Sizes, machine: Machine, precision: Precision) -> dict[str, Any]:
    """Milliseconds of GroupNorm and SiLU, forward and backward, fused and as two operations.

    For each width of the paper's U-Net, with the level's shift, channels-last, into the type that
    the convolution behind it takes.
    """
    rows: dict[str, Any] = {}
    for channels, over in NORMS:
        layer = NormSiLU(min(32, channels), channels).to(machine.device)
        size = [-(-n // over) for n in sizes.phantom[:2]]
        image = torch.randn(sizes.batch, channels, *size, device=machine.device)
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        x = image.to(kind).contiguous(memory_format=torch.channels_last).requires_grad_()
        shift = torch.randn(sizes.batch, channels, device=machine.device).requires_grad_()
        by = (x, shift, *layer.parameters())

        def once(
            layer: NormSiLU = layer, x: Any = x, shift: Any = shift, kind: Any = kind, by: Any = by
        ) -> None:
            with autocast(precision, x.device), convolutions(precision, x.device):
                y = layer(x, shift).to(kind)
            torch.autograd.grad(y, by, y.detach())

        def run(count: int, once: Callable[[], None] = once) -> None:
            for _ in range(count):
                once()

        mine = pace(run, sizes)["ms_an_iteration"]
        with unfused():
            apart = pace(run, sizes)["ms_an_iteration"]
        place = f"{channels} channels, {size[0]}×{size[1]}"
        rows[place] = {"ms": mine, "ms_apart": apart, "way": layer.note or "plain"}
    return rows


def sampling(stack: Stack, sizes: Sizes, machine: Machine, precision: Precision) -> dict[str, Any]:
    """Seconds of so many slices down all of Run-Walk, every evaluation over four flips."""
    method = method_of(sizes, precision)
    net = method._network(stack, SEED).to(machine.device).eval()
    f = BatchedNetwork(net, method.sampling_batch, precision)
    steps = run_walk()[: sizes.evaluations]
    start = torch.zeros(sizes.slices, *sizes.phantom[1::-1], device=machine.device)
    settle()
    begun = perf_counter()
    sample(f, start, start, start, schedule=Schedule(), steps=steps)
    settle()
    seconds = perf_counter() - begun
    return {
        "slices": sizes.slices, "evaluations": len(steps), "flips": len(FLIPS),
        "seconds": round(seconds, 3),
        "seconds_a_slice_and_evaluation": seconds / sizes.slices / len(steps),
        **f.record,
    }  # fmt: skip


def paper_minutes(rows: dict[str, Any]) -> dict[str, Any]:
    """`paper` on 65×78×66×70 from the paces in float32: 281 passes, one evaluation and all 76."""
    training, sampled = rows["training float32"], rows["sampling float32"]
    if "ms_an_iteration" not in training or "seconds" not in sampled:
        raise RuntimeError("a pace in float32 is missing")
    trained = training["ms_an_iteration"] * ITERATIONS / 1e3
    evaluation = sampled["seconds_a_slice_and_evaluation"] * SLICES
    minutes = [round((trained + n * evaluation) / 60, 2) for n in (1, len(run_walk()))]
    return {"estimated_minutes_1_evaluation": minutes[0], "estimated_minutes_all": minutes[1]}


def default_method(sizes: Sizes, device: str) -> dict[str, Any]:
    """Seconds of `dwiser.denoise` on a phantom; reading and writing files is not in them."""
    made = made_phantom(sizes.default, sizes.default_directions)
    begun = perf_counter()
    result = dwiser.denoise(made.scan, sizes.method, device=device, seed=SEED, verdict=False)
    return {"method": result.method, "seconds": round(perf_counter() - begun, 2)}


def curve(check: Check, machine: Machine, folder: Path, checkpoints: Path) -> dict[str, Any]:
    """The paper's pair on the code phantom for the time that is left: how far it came."""
    asked = learning_curve.Asked(
        "adjacent", "phantom", check.sizes.curve, check.sizes.passes, check.left / 60,
        machine=machine, folder=folder, checkpoints=checkpoints,
    )  # fmt: skip
    done = learning_curve.run(asked)
    rows = json.loads(asked.record.read_text())["rows"] if asked.record.exists() else []
    last = max((row["passes"] for row in rows), default=0)
    return {"record": asked.record.name, "passes": last, "all": done}


def made_phantom(shape: tuple[int, int, int], directions: int) -> Simulation:
    """A phantom of one shell at b = 1000 and six b0s, b0 SNR 20."""
    return phantom(shape=shape, shells=((1000.0, directions),), n_b0=6, snr=20.0, seed=SEED)


def settle() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny, on a CPU, in seconds")
    asked = parser.parse_args(arguments)
    if not asked.smoke and not torch.cuda.is_available():
        parser.error("there is no CUDA GPU: take --smoke to try the program on a CPU")
    sizes = SMOKE if asked.smoke else Sizes()
    machine = Machine("cpu" if asked.smoke else "cuda", torch.get_num_threads())
    check = Check("gpu_check_smoke" if asked.smoke else "gpu_check", sizes, machine.device)
    made = made_phantom(sizes.phantom, sizes.directions)
    method = method_of(sizes, "bf16")
    stack = method._prepare(made.scan).stack

    def before() -> dict[str, Any]:
        net = method._network(stack, SEED).to(machine.device)
        draw = PairDraw(
            stack, Schedule(), SEED, sizes.batch, 300, within=False, device=machine.device
        )
        return pace(lambda n: as_before(net, draw, n), sizes)

    check.row("training as in 0.2.0, bf16", before)
    for p in PRECISIONS:
        check.row(f"training {p}", lambda p=p: training_now(stack, sizes, machine, p))
    for name in OTHERS:
        row = f"training of {name}"
        check.row(row, lambda name=name: training_of_other(name, made, sizes, machine))
    for p in TYPES:
        check.row(f"normalising {p}", lambda p=p: normalising(sizes, machine, p))
    for p in PRECISIONS:
        row = f"training {p}, GroupNorm and SiLU apart"
        check.row(row, lambda p=p: training_unfused(stack, sizes, machine, p))
    for p in PRECISIONS:
        check.row(f"sampling {p}", lambda p=p: sampling(stack, sizes, machine, p))
    check.row("paper, estimated", lambda: paper_minutes(check.rows))
    check.row("default method", lambda: default_method(sizes, machine.device), DEFAULT_ROWS)
    with TemporaryDirectory() as scratch:
        places = (learning_curve.FOLDER, learning_curve.CHECKPOINTS)
        where = (Path(scratch), Path(scratch)) if asked.smoke else places
        check.row("learning curve", lambda: curve(check, machine, *where))


if __name__ == "__main__":
    main()
