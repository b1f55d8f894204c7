"""splitnet: a convolutional network learned across disjoint directions, in the subspace."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float

from dwiser.errors import InputError
from dwiser.learn.budget import Pace, measure, plan_work
from dwiser.learn.latents import LatentDraw
from dwiser.learn.loop import Decay, train
from dwiser.machine import Machine
from dwiser.methods.base import Denoised, Weights
from dwiser.methods.options import Presets, option
from dwiser.methods.splitnet_presets import LAPTOP, PRESETS
from dwiser.nets.latent import Expanded, Latent, weight_count
from dwiser.prepare.box import Box
from dwiser.prepare.mask import object_mask
from dwiser.prepare.noise import sigma_map
from dwiser.prepare.splits import Groups
from dwiser.prepare.subspace import Subspace, fit_subspace, grouped, second_moment
from dwiser.scan import Scan
from dwiser.seeds import stream
from dwiser.watch import Progress, Watch, silent

WEIGHTS_PER_SAMPLE = 50  # N·V/p at least: fewer weights than this cannot learn the noise
NARROWEST = 8


@dataclass(frozen=True, eq=False)
class Ground:
    """The scan in the mask's box: y (Z, H, W, M), its subspace and what stays out of it.

    ``mean`` (M,) of the subspace's volumes over the mask, in the data's units.
    """

    mask: Bool[np.ndarray, "x y z"]
    sigma: Float[np.ndarray, "x y z"]
    box: Box
    y: Float[np.ndarray, "s h w m"]
    inside: Bool[np.ndarray, "s h w"]
    mean: Float[np.ndarray, "m"]
    subspace: Subspace
    groups: Groups
    left: dict[int, str]


@dataclass(frozen=True)
class Splitnet:
    """One pass of a small network over K latent channels denoises all volumes at once.

    The volumes are split at random into A and B: the network sees the posterior latent of A
    and must predict the raw volumes of B, whose noise it never saw. At the end it runs once
    on the latent of all volumes.
    """

    name: ClassVar[str] = "splitnet"
    presets: ClassVar[Presets] = PRESETS
    has_seed: ClassVar[bool] = True
    least_directions: ClassVar[int] = 6
    least_b0s: ClassVar[int] = 0

    iterations: int = option(LAPTOP["iterations"].value, "training iterations", least=1)
    minutes: float | None = option(None, "bound of the whole run, turned into iterations", least=0)
    batch: int = option(LAPTOP["batch"].value, "patches an iteration", least=1)
    patch: int = option(LAPTOP["patch"].value, "edge of a patch", least=8)
    width: int = option(LAPTOP["width"].value, "channels of the network", least=4)
    depth: int = option(LAPTOP["depth"].value, "3x3 convolutions of the network", least=2)
    learning_rate: float = option(LAPTOP["learning_rate"].value, "Adam's learning rate", least=0)
    decay: Decay = option(LAPTOP["decay"].value, "learning rate over the training")

    def denoise(
        self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Train on the scan, then run once on all volumes.

        Voxels outside the mask come back unchanged, and so do volumes of groups with fewer
        than four (a single b0): there is nobody to learn them from.
        """
        begun = perf_counter()
        ground = self._prepare(scan, seed)
        method = self._budgeted(ground, machine, seed, begun)
        return method._restored(method._learn(ground, machine, seed, watch), ground, scan, machine)

    def fit(self, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent) -> Weights:
        """Learn from the scan alone."""
        return self._learn(self._prepare(scan, seed), machine, seed, watch)

    def apply(
        self, weights: Weights, scan: Scan, *, machine: Machine, seed: int, watch: Watch = silent
    ) -> Denoised:
        """Run weights learned before on the scan they were learned from."""
        watch(Progress("denoising", 0, 1))
        return self._restored(weights, self._prepare(scan, seed), scan, machine)

    def _prepare(self, scan: Scan, seed: int) -> Ground:
        directions = int((~scan.gradients.is_b0).sum())
        if directions < self.least_directions:
            raise InputError(
                f"{self.name} needs at least {self.least_directions} diffusion-weighted volumes, "
                f"the scan has {directions}: use a method that works on single volumes."
            )
        groups, left = grouped(scan.gradients)
        if not groups:
            raise InputError(f"{self.name} needs a shell with at least 4 volumes, there is none.")
        mask = object_mask(scan)
        sigma = sigma_map(scan, mask)
        noise = np.maximum(sigma, 1e-6 * float(scan.data.max()))
        voxels = scan.data[mask]
        mean = voxels.mean(0, dtype=np.float64).astype(np.float32)
        moment = second_moment((voxels - mean) / noise[mask][:, None])
        subspace = fit_subspace(moment, len(voxels), groups, seed)
        mean = mean[subspace.volumes]
        box = Box.around(mask)
        part = scan.data[box.index].transpose(2, 0, 1, 3)[..., subspace.volumes]
        y = (part - mean) / noise[box.index].transpose(2, 0, 1)[..., None]
        inside = np.ascontiguousarray(mask[box.index].transpose(2, 0, 1))
        y *= inside[..., None]
        return Ground(mask, sigma, box, y, inside, mean, subspace, groups, left)

    def _network(self, ground: Ground, seed: int) -> tuple[Expanded, int]:
        """A fresh network, no larger than the scan can teach without being learned by heart."""
        rank, width = ground.subspace.rank, self.width
        most = ground.inside.sum() * len(ground.subspace.volumes) / WEIGHTS_PER_SAMPLE
        while width > NARROWEST and weight_count(rank, width, self.depth) > most:
            width -= 4
        torch.manual_seed(int(stream(seed, "weights").integers(2**31)))
        components = torch.from_numpy(ground.subspace.components.astype(np.float32))
        net = Expanded(Latent(rank, width, self.depth), components)
        return net.to(memory_format=torch.channels_last), width  # type: ignore[call-overload]

    def _draw(self, ground: Ground, machine: Machine, seed: int) -> LatentDraw:
        return LatentDraw(
            ground.y, ground.inside, ground.subspace, ground.groups, seed, self.batch,
            self.patch, machine.device,
        )  # fmt: skip

    def _learn(self, ground: Ground, machine: Machine, seed: int, watch: Watch) -> Weights:
        begun = perf_counter()
        net, width = self._network(ground, seed)
        trained = train(
            net.to(machine.device), self._draw(ground, machine, seed),
            iterations=self.iterations, learning_rate=self.learning_rate, decay=self.decay,
            bf16=machine.device == "cuda", watch=watch,
        )  # fmt: skip
        record = {
            "iterations": trained.iterations,
            "loss": trained.loss,
            "curve": trained.curve,
            "seconds": round(perf_counter() - begun, 2),
            "parameters": weight_count(ground.subspace.rank, width, self.depth),
            "width": width,
        }
        return Weights({k: v.cpu() for k, v in net.latent.state_dict().items()}, record)

    def _restored(self, weights: Weights, ground: Ground, scan: Scan, machine: Machine) -> Denoised:
        subspace, sigma = ground.subspace, ground.sigma[ground.box.index].transpose(2, 0, 1)
        net = Latent(subspace.rank, weights.record["width"], self.depth)
        net.load_state_dict(weights.state)
        net = net.to(machine.device).eval()
        matrix, level = subspace.latent(np.ones(len(subspace.volumes), bool))
        told = torch.from_numpy(level.astype(np.float32))[None].to(machine.device)
        data = scan.data.copy()
        view = data[ground.box.index]
        for s in range(len(ground.y)):
            z = (ground.y[s] @ matrix.T.astype(np.float32)).transpose(2, 0, 1)
            with torch.inference_mode():
                out = (
                    net(torch.from_numpy(z[None].copy()).to(machine.device), told)[0].cpu().numpy()
                )
            y = out.transpose(1, 2, 0) @ subspace.components.T.astype(np.float32)
            clean = ground.mean + sigma[s][..., None] * y
            for i, volume in enumerate(subspace.volumes):
                np.copyto(view[:, :, s, volume], clean[..., i].clip(0), where=ground.inside[s])
        record = {
            "training": weights.record,
            "rank": subspace.rank,
            "component_snr": [round(float(d), 2) for d in subspace.signal / subspace.noise],
            "noise_over_sigma": round(subspace.noise**0.5, 4),
            "volumes_denoised": len(subspace.volumes),
            "volumes_passed_through": {str(v): why for v, why in ground.left.items()},
        }
        return Denoised(data, ground.sigma, None, weights, record, ground.mask)

    def _budgeted(self, ground: Ground, machine: Machine, seed: int, begun: float) -> "Splitnet":
        if self.minutes is None:
            return self
        net, _ = self._network(ground, seed)
        draw = self._draw(ground, machine, seed)
        pace: Pace = measure(net.to(machine.device), draw, lambda: 0.0)
        left = self.minutes * 60 - (perf_counter() - begun)
        return replace(self, minutes=None, iterations=plan_work(left, pace, 1).iterations)
