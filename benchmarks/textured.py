"""Phantoms whose tissue varies from voxel to voxel: what each method does to FA where it is high.

``python -m benchmarks.textured [--snr 15] [--texture 0.5] [--methods splitq,mppca,dwidenoise]``

Errors of the tensor by bins of the true FA and of the FA of an independent noisy draw, and beside
the methods the voxelwise Bayes bound: the posterior mean under the phantom's own law, learned from
heads of other seeds, by `dwiser.evaluation.bound`; twice, from independent libraries. σ is known to
the bound and to nobody else.
"""

import argparse
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import process_time
from typing import Any

import numpy as np

from benchmarks.phantom_options import published_seed, voxels
from benchmarks.record import recorded, rounded, save, stamp
from dwiser.errors import DwiserWarning
from dwiser.evaluation.bins import binned_rows, drawn_fa
from dwiser.evaluation.bound import learned_prior, posterior_mean
from dwiser.evaluation.records import Metric
from dwiser.evaluation.tensor import TensorMaps, fit_tensor
from dwiser.methods.registry import build
from dwiser.prepare.moments import magnitude_moments
from dwiser.run import denoise
from dwiser.scan import Gradients
from dwiser.simulation import NoiseModel, Simulation, phantom
from dwiser.simulation.contrast import compartments
from dwiser.simulation.geometry import head_anatomy
from dwiser.simulation.signal import synthesise
from dwiser.simulation.texture import Texture, textured

LIBRARY_SEEDS = 3000  # of the heads that the bound learns from: far from any phantom's
NAME = "textured"


@dataclass(frozen=True)
class Case:
    """A phantom: its size, scheme, texture and noise."""

    shape: tuple[int, int, int]
    directions: int
    n_b0: int
    snr: float
    texture: Texture
    seed: int

    @property
    def label(self) -> str:
        return (
            f"{'x'.join(map(str, self.shape))}, {self.directions} directions, SNR {self.snr:g}, "
            f"texture {self.texture.strength:g} of {self.texture.correlation:g} voxels, "
            f"seed {self.seed}"
        )

    def made(self) -> Simulation:
        return phantom(
            self.shape, shells=((1000.0, self.directions),), n_b0=self.n_b0, snr=self.snr,
            texture=self.texture.strength, texture_correlation=self.texture.correlation,
            seed=self.seed,
        )  # fmt: skip


def by_bin(
    fitted: TensorMaps, true: TensorMaps, fa: np.ndarray, mask: np.ndarray
) -> dict[str, dict[str, float]]:
    """bin → metric → value."""
    by_group: dict[str, dict[str, float]] = {}
    for row in binned_rows(fitted, true, fa, mask):
        if isinstance(row, Metric):
            by_group.setdefault(row.group, {})[row.metric] = rounded(row.value)
    return by_group


def scored(
    fitted: TensorMaps, true: TensorMaps, drawn: np.ndarray, mask: np.ndarray
) -> dict[str, Any]:
    """RMSE and bias of FA and MD in the mask, and all of the tensor by both kinds of bins."""
    e = {name: (getattr(fitted, name) - getattr(true, name))[mask] for name in ("fa", "md")}
    whole = {f"{name}_rmse": rounded(np.sqrt((v**2).mean())) for name, v in e.items()}
    whole["fa_bias"] = rounded(e["fa"].mean())
    bins = {"drawn": drawn, "true": true.fa}
    return whole | {f"by_{k}_fa": by_bin(fitted, true, fa, mask) for k, fa in bins.items()}


def nrmse(
    data: np.ndarray, truth: np.ndarray, gradients: Gradients, mask: np.ndarray
) -> dict[str, float]:
    """Of the DWIs and of the b0s, in the mask."""
    dwis = ~gradients.is_b0
    scores = {}
    for name, chosen in (("nrmse", dwis), ("b0_nrmse", ~dwis)):
        error, signal = (data - truth)[mask][:, chosen], truth[mask][:, chosen]
        scores[name] = rounded(float(np.sqrt((error**2).mean() / (signal**2).mean())))
    return scores


def library(
    case: Case, gradients: Gradients, seeds: Iterable[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Noiseless signals of heads of other seeds on the same scheme, and FA and MD of each."""
    signals, values = [], []
    for seed in seeds:
        anatomy = textured(head_anatomy(case.shape, seed), case.texture, seed)
        signal = synthesise(compartments(anatomy, seed, case.texture), gradients)
        grid = np.zeros((*anatomy.mask.shape, len(gradients)), np.float32)
        grid[anatomy.mask] = signal
        maps = fit_tensor(grid, gradients, anatomy.mask)
        signals.append(signal)
        values.append(np.stack([maps.fa[anatomy.mask], maps.md[anatomy.mask]], axis=1))
    return np.concatenate(signals), np.concatenate(values).astype(np.float32)


def bounds(
    case: Case, made: Simulation, true: TensorMaps, drawn: np.ndarray, heads: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The bound from two independent libraries of ``heads`` heads each."""
    mask, gradients = made.mask, made.scan.gradients
    noisy, sigma = made.scan.data[mask], made.sigma[mask]
    for again in range(2):
        first = LIBRARY_SEEDS + again * heads
        signals, values = library(case, gradients, range(first, first + heads))
        typical = float(sigma.mean())
        shown = (typical * magnitude_moments(signals / typical)[0]).astype(np.float32)
        prior = learned_prior(shown, np.concatenate([signals, values], axis=1), typical, seed=again)
        posterior = posterior_mean(prior, noisy, sigma)
        image = made.truth.copy()
        image[mask] = posterior[:, :-2]
        about = {
            "library_signals": len(signals), "components": len(prior.share),
            "coordinates": prior.basis.shape[1],
        }  # fmt: skip
        fitted = fit_tensor(image, gradients, mask)
        name = f"Bayes bound, library {again + 1}"
        yield (
            name,
            about | nrmse(image, made.truth, gradients, mask) | scored(fitted, true, drawn, mask),
        )
        own = [np.zeros(mask.shape), np.zeros(mask.shape)]
        for grid, column in zip(own, posterior[:, -2:].T, strict=True):
            grid[mask] = column
        direct = replace(fitted, fa=own[0], md=own[1])
        yield f"{name}, posterior mean of FA and MD", scored(direct, true, drawn, mask)


def rows(case: Case, methods: list[str], heads: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The noisy scan, each method, and the bound."""
    made = case.made()
    gradients, mask = made.scan.gradients, made.mask
    true = fit_tensor(made.truth, gradients, mask)
    noise = NoiseModel(snr=case.snr)
    drawn = drawn_fa(made.truth, gradients, mask, made.sigma, noise, case.seed)

    def of(image: np.ndarray) -> dict[str, Any]:
        return nrmse(image, made.truth, gradients, mask) | scored(
            fit_tensor(image, gradients, mask), true, drawn, mask
        )

    yield "noisy", of(made.scan.data)
    for name in methods:
        begun = process_time()
        image = denoise(made.scan, build(name), threads=1, device="cpu").data
        yield name, {"cpu_seconds": round(process_time() - begun, 1)} | of(image)
    if heads:
        yield from bounds(case, made, true, drawn, heads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=voxels, default="48,56,12")
    parser.add_argument("--directions", type=int, default=64)
    parser.add_argument("--b0", type=int, default=6)
    parser.add_argument("--snr", type=float, default=15.0)
    parser.add_argument("--texture", type=float, default=0.5, help="strength; 0.3 is a brain's")
    parser.add_argument("--correlation", type=float, default=1.0, help="its FWHM in voxels")
    parser.add_argument("--seed", type=published_seed, default=320, help="300 to 399")
    parser.add_argument("--methods", default="splitq,mppca,dwidenoise")
    parser.add_argument("--heads", type=int, default=10, help="in each library; 0: no bound")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    x, y, z = asked.shape
    texture = Texture(asked.texture, asked.correlation)
    case = Case((x, y, z), asked.directions, asked.b0, asked.snr, texture, asked.seed)
    cases = recorded(NAME, {}).get("cases", {})
    methods: dict[str, Any] = dict(cases.get(case.label, {}).get("methods", {}))
    for name, row in rows(case, [m for m in asked.methods.split(",") if m], asked.heads):
        methods[name] = row
        told = {k: v for k, v in row.items() if not isinstance(v, dict)}
        bins = {g: (v["fa.rmse"], v["fa.bias"]) for g, v in row["by_drawn_fa"].items()}
        print(name, told, bins, flush=True)
        cases[case.label] = {**stamp(asked.seed), "texture": texture.record(), "methods": methods}
        path = save(NAME, asked.seed, {"cases": cases})
    print(path)


if __name__ == "__main__":
    main()
