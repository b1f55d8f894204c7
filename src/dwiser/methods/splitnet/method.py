"""splitnet: a convolutional network learned across disjoint directions, in the subspace."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dwiser.chain.sample import F
from dwiser.chain.walk import Steps, run_walk
from dwiser.errors import Code, InputError
from dwiser.learn.budget import Pace, TrainingPlan, measure, plan_work
from dwiser.learn.checkpointing import Course
from dwiser.learn.loop import Decay, train
from dwiser.learn.memory import Evaluation
from dwiser.learn.precision import Precision
from dwiser.learn.where_drawn import Draw, note_of
from dwiser.machine import Machine
from dwiser.memmap import writable_copy
from dwiser.methods.base import Denoised, Weights, need_volumes
from dwiser.methods.capabilities import Capabilities, WorkingMemory
from dwiser.methods.options import option
from dwiser.methods.splitnet.device_latents import on_device
from dwiser.methods.splitnet.latent_chain import ChainDraw, LatentWalk
from dwiser.methods.splitnet.latents import LatentDraw
from dwiser.methods.splitnet.presets import LAPTOP, PRESETS
from dwiser.methods.splitnet.whitened import WhitenedBox, whiten
from dwiser.nets.latent import Expanded, Latent, weight_count
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch, silent

WEIGHTS_PER_SAMPLE = 50  # N·V/p at least: fewer weights than this cannot learn the noise
NARROWEST = 8
ABLE = Capabilities(
    least_directions=6, presets=PRESETS, has_seed=True, takes_noise_map=True, device="cpu or cuda",
    why_not_reusable="whose weights are bound to the subspace of the scan they saw",
    memory=WorkingMemory(3.0, 3.0, "box"),  # the mask's voxels, their box, y
)  # fmt: skip


@dataclass(frozen=True)
class Splitnet:
    """One pass of a small network over K latent channels denoises all volumes at once.

    The volumes are split at random into A and B: the network sees the posterior latent of A
    and must predict the raw volumes of B, whose noise it never saw. At the end it runs once
    on the latent of all volumes.

    With ``chain`` the input is a state of Di-Fusion's chain: x' and x are the latents of two
    disjoint sets, the loss is on a third, and the latent of all volumes walks down.
    """

    name: ClassVar[str] = "splitnet"

    iterations: int = option(LAPTOP["iterations"].value, "training iterations", least=1)
    minutes: float | None = option(None, "bound of the whole run, turned into iterations", least=0)
    batch: int = option(LAPTOP["batch"].value, "patches an iteration", least=1)
    patch: int = option(LAPTOP["patch"].value, "edge of a patch", least=8)
    width: int = option(LAPTOP["width"].value, "channels of the network", least=4)
    depth: int = option(LAPTOP["depth"].value, "3x3 convolutions of the network", least=2)
    learning_rate: float = option(LAPTOP["learning_rate"].value, "Adam's learning rate", least=0)
    decay: Decay = option(LAPTOP["decay"].value, "learning rate over the training")
    chain: bool = option(
        LAPTOP["chain"].value, "learn along Di-Fusion's chain and walk down it, not a single pass"
    )
    precision: Precision = option(
        LAPTOP["precision"].value,
        "of the network's arithmetic; tf32 is a GPU's convolutions with 10 bits (on a CPU it is "
        "float32); level, first and last layer are float32 in each",
    )
    evaluations: int | None = option(
        None, "with chain=yes: most evaluations of a slice; none: all of Run-Walk", least=1
    )

    def __post_init__(self) -> None:
        if self.evaluations is not None and not self.chain:
            raise InputError(
                "evaluations of splitnet count along its chain: set chain=yes too.",
                code=Code.SETTING_VALUE,
            )

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do."""
        return ABLE

    @property
    def steps(self) -> Steps:
        """The chain's steps that are visited: Run-Walk, cut off after ``evaluations``."""
        return run_walk()[: self.evaluations]

    def denoise(
        self,
        scan: Scan,
        *,
        machine: Machine,
        seed: int,
        watch: Watch = silent,
        course: Course | None = None,
    ) -> Denoised:
        """Train on the scan, then run once on all volumes.

        Voxels outside the mask come back unchanged, and so do volumes of groups with fewer
        than four (a single b0): there is nobody to learn them from.
        """
        begun, course = perf_counter(), course or Course()
        whitened = self._prepare(scan, seed)
        method = self._budgeted(whitened, machine, seed, begun, course)
        weights = method._learn(whitened, machine, seed, watch, course)
        return method._restored(weights, whitened, scan, machine, seed)

    def fit(self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent) -> Weights:
        """Learn from the scan alone, within ``minutes`` where these are set."""
        begun, course = perf_counter(), Course()
        whitened = self._prepare(scan, seed)
        method = self._budgeted(whitened, machine, seed, begun, course)
        return method._learn(whitened, machine, seed, watch, course)

    def apply(
        self, weights: Weights, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Run weights learned before on the scan they were learned from."""
        watch(Progress("denoising", 0, 1))
        return self._restored(weights, self._prepare(scan, seed), scan, machine, seed)

    def _prepare(self, scan: Scan, seed: int) -> WhitenedBox:
        need_volumes(scan, self.name, ABLE)
        return whiten(scan, seed, self.name)

    def _network(self, whitened: WhitenedBox, seed: int) -> tuple[Expanded, int]:
        """A fresh network, no larger than the scan can teach without being learned by heart."""
        rank, width = whitened.subspace.rank, self.width
        most = whitened.inside.sum() * len(whitened.subspace.volumes) / WEIGHTS_PER_SAMPLE
        while width > NARROWEST and weight_count(rank, width, self.depth) > most:
            width -= 4
        torch.manual_seed(int(stream(seed, "weights").integers(2**31)))
        components = torch.from_numpy(whitened.subspace.components.astype(np.float32))
        net = Expanded(Latent(rank, width, self.depth), components)
        return net.to(memory_format=torch.channels_last), width  # type: ignore[call-overload]

    def _draw(self, whitened: WhitenedBox, machine: Machine, seed: int) -> Draw:
        kind = ChainDraw if self.chain else LatentDraw
        draw = kind(
            whitened.y, whitened.inside, whitened.subspace, whitened.groups, seed, self.batch,
            self.patch, machine.device,
        )  # fmt: skip
        return on_device(draw)

    def _learn(
        self, whitened: WhitenedBox, machine: Machine, seed: int, watch: Watch, course: Course
    ) -> Weights:
        begun = perf_counter()
        net, width = self._network(whitened, seed)
        draw = self._draw(whitened, machine, seed)
        trained = train(
            net.to(machine.device), draw,
            iterations=self.iterations, learning_rate=self.learning_rate, decay=self.decay,
            precision=self.precision, watch=watch, course=course,
        )  # fmt: skip
        notes = {"steps": trained.note, "batches": note_of(draw, machine.device)}
        record = {
            "iterations": trained.iterations,
            "loss": trained.loss,
            "curve": trained.curve,
            "seconds": round(perf_counter() - begun, 2),
            "parameters": weight_count(whitened.subspace.rank, width, self.depth),
            "width": width,
            "precision": self.precision,
        } | {name: note for name, note in notes.items() if note}
        return Weights({k: v.cpu() for k, v in net.latent.state_dict().items()}, record)

    def _restored(
        self, weights: Weights, whitened: WhitenedBox, scan: Scan, machine: Machine, seed: int
    ) -> Denoised:
        subspace, sigma = whitened.subspace, whitened.sigma[whitened.box.index].transpose(2, 0, 1)
        net = Latent(subspace.rank, weights.record["width"], self.depth)
        net.load_state_dict(weights.state)
        f = Evaluation(net.to(machine.device).eval(), self.precision)
        data = writable_copy(scan.data)
        view = data[whitened.box.index]
        for s in range(len(whitened.y)):
            out = self._coordinates(f, whitened, s, machine, seed)
            y = out @ subspace.components.T.astype(np.float32)
            clean = whitened.mean + sigma[s][..., None] * y
            for i, volume in enumerate(subspace.volumes):
                np.copyto(view[:, :, s, volume], clean[..., i].clip(0), where=whitened.inside[s])
        record = {
            "training": weights.record,
            "evaluations": len(self.steps) if self.chain else 1,
            "rank": subspace.rank,
            "component_snr": [round(float(d), 2) for d in subspace.signal / subspace.noise],
            "noise_over_sigma": round(subspace.noise**0.5, 4),
        } | f.record
        return Denoised(
            data, whitened.sigma, None, weights, record, whitened.mask,
            passed_through=whitened.passed_through,
        )  # fmt: skip

    def _coordinates(
        self, network: Evaluation, whitened: WhitenedBox, s: int, machine: Machine, seed: int
    ) -> Float[np.ndarray, "h w k"]:
        """The coordinates of slice s: one pass from the latent of all volumes, or a walk."""
        subspace, y, inside = whitened.subspace, whitened.y[s], whitened.inside[s]
        matrix, level = subspace.latent(np.ones(len(subspace.volumes), bool))
        f = _conditioned(network, level, inside, machine.device)
        with torch.inference_mode():
            if self.chain:
                walk = LatentWalk(subspace, self.steps, seed, device=machine.device)
                return walk.slice(f, y, inside, s + (whitened.box.z.start or 0))
            z = (y @ matrix.T.astype(np.float32)).transpose(2, 0, 1)[None]
            z = torch.from_numpy(z.copy()).to(machine.device)
            return f(z, torch.ones_like(z[:, 0, 0, 0]))[0].cpu().numpy().transpose(1, 2, 0)

    def _budgeted(
        self, whitened: WhitenedBox, machine: Machine, seed: int, begun: float, course: Course
    ) -> "Splitnet":
        if self.minutes is None:
            return self
        if not course.counted:
            pace = self._pace(whitened, machine, seed)
            remaining = self.minutes * 60 - (perf_counter() - begun)
            work = plan_work(remaining, pace, self._most_evaluations)
            course.counted = {"minutes": None, "iterations": work.iterations}
            if self.chain:
                course.counted["evaluations"] = work.evaluations
        return replace(self, **course.counted)

    @property
    def _most_evaluations(self) -> int:
        return len(self.steps) if self.chain else 1

    def training_plan(self, scan: Scan, *, machine: Machine, seed: int) -> TrainingPlan:
        """What the training and the sampling come to; a few steps of each are timed."""
        pace = self._pace(self._prepare(scan, seed), machine, seed)
        words: tuple[str, ...] = (f"{self.iterations} iterations",)
        if self.chain:
            words += (f"then {self._most_evaluations} evaluations a slice",)
        return TrainingPlan(words, self.iterations, self._most_evaluations, self.minutes, pace)

    def _pace(self, whitened: WhitenedBox, machine: Machine, seed: int) -> Pace:
        net, _ = self._network(whitened, seed)
        draw = self._draw(whitened, machine, seed)
        return measure(
            net.to(machine.device), draw, lambda: self._evaluation(net, whitened, machine, seed),
            precision=self.precision,
        )  # fmt: skip

    def _evaluation(
        self, net: Expanded, whitened: WhitenedBox, machine: Machine, seed: int
    ) -> float:
        """Seconds of one evaluation of all slices."""
        one = replace(self, evaluations=1 if self.chain else None)
        network = Evaluation(net.latent, self.precision)
        begun = perf_counter()
        one._coordinates(network, whitened, len(whitened.y) // 2, machine, seed)
        return (perf_counter() - begun) * len(whitened.y)


def _conditioned(
    network: Evaluation, level: Float[np.ndarray, "k"], inside: Bool[np.ndarray, "h w"], device: str
) -> F:
    """(x_t, s) → x_out: the network sees x_t/s, whose error has sd level/s; 0 off the mask."""
    sd = torch.from_numpy(level.astype(np.float32))[None].to(device)
    in_mask = torch.from_numpy(inside.astype(np.float32)).to(device)

    def f(x: Tensor, s: Tensor) -> Tensor:
        return network(x / s[:, None, None, None], sd / s[:, None]) * in_mask

    return f
