"""Wiener shrinkage in the scan's q-space subspace: no network, about a second."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from dwiser.machine import Machine
from dwiser.methods.capabilities import Capabilities
from dwiser.methods.classical import Classical, Filtered, MaskAndSigma
from dwiser.methods.options import Presets, option
from dwiser.methods.options import Sourced as S
from dwiser.prepare.mask import on_grid, voxels_in
from dwiser.prepare.shells import shells
from dwiser.scan import Scan
from dwiser.watch import Watch

SIGMA_FLOOR = 1e-3  # of the median σ: a map that a user gives may hold zeros
QUARTILE = 0.404  # of the semicircle law on (−1, 1), which Marchenko–Pastur's nears as V/N falls
OUR_PHANTOMS = "our phantoms, b0 SNR 5, 10, 20: fewer components only cost, more change nothing"


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """How each component is weighted.

    Parameters
    ----------
    mean : (V,) of the volumes, in the data's units.
    matrix : (V, V), takes (x − mean)/σ to its posterior mean.
    weights : (V,) of the components, strongest first; 0 for excluded ones.
    noise : the noise's variance in units of σ².
    """

    mean: Float[np.ndarray, "v"]
    matrix: Float[np.ndarray, "v v"]
    weights: Float[np.ndarray, "v"]
    noise: float

    @property
    def components(self) -> int:
        return int((self.weights > 0).sum())

    @property
    def expected_error(self) -> float:
        """RMS error over σ of the result, if signal and noise are as modelled."""
        return float(np.sqrt(self.noise * self.weights.sum() / len(self.weights)))


@dataclass(frozen=True)
class Subspace(Classical):
    """Every component of q-space shrinks by its share of signal: the linear posterior mean.

    In the mask y = (x − μ)/σ has covariance W Λ Wᵀ. With d = λ/noise − 1 the signal-to-noise
    of a component, the posterior mean is x̂ = μ + σ W diag(d/(1+d)) Wᵀ y (Wiener). Components
    under the Marchenko–Pastur edge (1+√(V/N))² are noise and go. The floor that any network
    must beat.

    Notes
    -----
    Numbers are errors on phantoms of 30-64 volumes, b0 SNR 5, 10 and 20, two seeds, one shell
    and two (``NRMSE`` of the DWIs).

    *The noise's level* is that of which the median of the lower half of Λ is the quartile, but
    never above 1, which is what the σ map says: at the Rician floor magnitudes vary less than
    σ. At SNR 5 this takes the error from 0.238 to 0.223; at SNR 20 it changes nothing. The b0s,
    whose noise is not at the floor, pay for it at SNR 5 (two shells: 0.065 to 0.070).

    *The rank* matters little, since weak components shrink to near nothing: all with d > 0, or
    those above the edge, differ by 0.2 % at most. A third of the volumes costs up to 4 % at SNR
    20; keeping the same components unshrunk costs 3-30 %.

    *A volume alone in its group* (a single b0) needs no rule of its own: its variance is
    signal that no other volume shares, so its component keeps nearly all of it. Its error
    never rose (SNR 5: 0.128 to 0.124; SNR 20: 0.0320 to 0.0320).
    """

    name: ClassVar[str] = "subspace"
    divides_by_sigma: ClassVar[bool] = True
    presets: ClassVar[Presets] = {"laptop": {"rank": S(None, OUR_PHANTOMS)}}

    rank: int | None = option(
        None, "most components that are kept; none: all above the Marchenko–Pastur edge", least=1
    )
    rank_map: bool = option(False, "also the degrees of freedom that are kept, the same everywhere")

    @property
    def capabilities(self) -> Capabilities:
        """What it needs and can do."""
        return replace(super().capabilities, gives_rank=True)

    def _filter(
        self, scan: Scan, domain: MaskAndSigma, machine: Machine, seed: int, watch: Watch
    ) -> Filtered:
        voxels, sigma = voxels_in(scan.data, domain.mask), domain.sigma[domain.mask]
        sigma = np.maximum(sigma, SIGMA_FLOOR * np.median(sigma))[:, None].astype(np.float32)
        wiener = shrinkage(voxels, sigma, self.rank)
        mean = wiener.mean.astype(np.float32)
        data = np.zeros_like(scan.data)
        data[domain.mask] = mean + sigma * (
            ((voxels - mean) / sigma) @ wiener.matrix.astype(np.float32)
        )
        record = {
            "components": wiener.components,
            "component_weights": [round(float(w), 4) for w in wiener.weights[: wiener.components]],
            "noise_over_sigma": round(wiener.noise**0.5, 4),
            "expected_error_over_sigma": round(wiener.expected_error, 4),
            "volumes_alone_in_their_group": [
                int(s.volumes[0]) for s in shells(scan.gradients) if len(s.volumes) == 1
            ],
        }
        degrees = float(wiener.weights.sum())  # the trace of the matrix
        rank = on_grid(np.full(len(voxels), degrees), domain.mask) if self.rank_map else None
        return Filtered(data, record=record, rank=rank)


def shrinkage(
    voxels: Float[np.ndarray, "n v"], sigma: Float[np.ndarray, "n 1"], rank: int | None = None
) -> Shrinkage:
    """The Wiener filter that voxels (N, V) with noise ``sigma`` (N, 1) ask for."""
    n, v = voxels.shape
    mean = voxels.mean(0, dtype=np.float64)
    y = (voxels - mean.astype(voxels.dtype)) / sigma
    eigenvalues, vectors = np.linalg.eigh((y.T @ y).astype(float) / n)
    eigenvalues, vectors = eigenvalues[::-1].clip(0), vectors[:, ::-1]
    quartile = 1 - 2 * QUARTILE * np.sqrt(min(1.0, v / n))
    noise = min(1.0, float(np.median(eigenvalues[v // 2 :]) / quartile))
    least = np.finfo(float).eps * float(eigenvalues[0])  # of a scan without noise
    ratio = eigenvalues / max(noise, least, np.finfo(float).tiny)
    signal = ratio > (1 + np.sqrt(v / n)) ** 2
    signal &= np.arange(v) < (v if rank is None else rank)
    weights = np.where(signal, 1 - 1 / np.maximum(ratio, 1), 0.0)
    return Shrinkage(mean, (vectors * weights) @ vectors.T, weights, noise)
