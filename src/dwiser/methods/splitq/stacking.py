"""Several local estimates, weighted so that disjoint directions are predicted best.

Stacking (Wolpert 1992, Breiman 1996) with held-out volumes in place of held-out samples: the
estimates see the volumes A, the weights are the least-squares solution for the raw volumes B.
A handful of weights a channel is fitted to millions of voxels, in closed form: no step size, no
iterations, and too few weights to learn any noise by heart.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dwiser.machine import side_by_side
from dwiser.methods.splitq.arrays import Array, as_numpy, like, namespace, slices
from dwiser.methods.splitq.local_pca import local_pca
from dwiser.methods.splitq.neighbours import Centres, Grid, cross, cube, neighbour_mean
from dwiser.prepare.noise_correlation import NoiseCorrelation

NAMES = ("itself", "cross", "cube", "cube 6", "cube 26", "wide", "wide 6", "wide 26")
PLAIN = {"cube": 0.5, "wide": 0.5}  # weights where there is nothing to learn them from
PATCHES: tuple[tuple[str, int, Centres], ...] = (
    ("cube", 1, "checkerboard"),  # as good as every voxel, in half the time
    ("wide", 2, "second"),  # 1 % worse than every voxel, in a sixth of the time
)
RIDGE = 1e-6  # of the mean diagonal: keeps equal estimates (a scan of one slice) solvable
SPREAD = 0.3  # sd of a class's weights about the common ones: they are from −0.3 to 0.9
CHUNK = 4096  # voxels at once


@dataclass(frozen=True, eq=False)
class LocalEstimates:
    """All local estimates of some channels, one at a time in the order of ``NAMES``.

    ``itself`` is the input, ``cross``, ``cube`` and ``wide`` its local PCA on 7, 27 and 125
    voxels; "6" and "26" the mean of such an estimate over a voxel's neighbours. Where the noise
    of neighbours is correlated, a patch counts as fewer samples.
    """

    grid: Grid
    noise: float
    threads: int = 1
    correlation: NoiseCorrelation | None = None

    def __call__(self, values: Float[Array, "n k"]) -> Iterator[tuple[str, Array]]:
        yield "itself", values
        yield "cross", self._pca(values, cross())
        for name, radius, centres in PATCHES:
            estimate = self._pca(values, cube(radius), centres)
            yield name, estimate
            for around in (cross(), cube(1)):
                others = around[np.abs(around).sum(1) > 0]
                mean = neighbour_mean(estimate, self.grid, others, threads=self.threads)
                yield f"{name} {len(others)}", mean

    def _pca(self, values: Array, offsets: np.ndarray, centres: Centres = "all") -> Array:
        share = 1.0 if self.correlation is None else self.correlation.share_of(offsets)
        return local_pca(
            values, self.grid, offsets, self.noise,
            centres=centres, threads=self.threads, share=share,
        )  # fmt: skip


@dataclass(eq=False)
class Stacking:
    """Normal equations of the weights, gathered split by split, one set for each class of voxels.

    Minimises Σ s ‖y_B − W_B Σ_e diag(α_e) u_e‖² over the splits' voxels, for K channels and E
    estimates, with s each voxel's share in the class. A class's weights have a normal prior of sd
    0.3 about those of all voxels together, so that a class of few voxels has these.
    """

    estimates: int
    rank: int
    classes: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        size = self.estimates * self.rank
        self.normal = np.zeros((self.classes, size, size))
        self.target = np.zeros((self.classes, size))

    def add(
        self,
        estimates: list[Float[Array, "n k"]],
        targets: Float[Array, "n b"],
        components: Float[np.ndarray, "b k"],
        shares: Float[np.ndarray, "n c"] | None = None,
    ) -> None:
        """One split: estimates of the seen volumes, raw held-out volumes, and their W_B.

        ``shares`` of a voxel in the classes; None: all in one. A voxel of no share counts nothing.
        """
        xp, w = namespace(targets), like(components, targets)

        def gathered(rows: slice) -> tuple[np.ndarray, np.ndarray]:
            square, cross_ = np.zeros_like(self.normal), np.zeros_like(self.target)
            x = xp.concatenate([e[rows] for e in estimates], 1)
            wanted = xp.tile(targets[rows] @ w, (1, self.estimates))
            for c in range(self.classes):
                part, aim, weighted = x, wanted, x
                if shares is not None:
                    share = like(shares[rows, c], x)
                    near = share != 0
                    part, aim = x[near], wanted[near]
                    weighted = part * share[near][:, None]
                square[c] = as_numpy(weighted.T @ part)
                cross_[c] = as_numpy((weighted * aim).sum(0, dtype=xp.float64))
            return square, cross_

        held_out = np.tile(components.T @ components, (self.estimates,) * 2)
        parts = side_by_side(gathered, slices(len(targets), CHUNK), self.threads)
        for square, cross_ in parts:
            self.normal += square * held_out
            self.target += cross_

    def weights(self) -> Float[np.ndarray, "c e k"]:
        """α of each class, estimate and channel."""
        shape = (self.classes, self.estimates, self.rank)
        normal, target = self.normal.sum(0), self.target.sum(0)
        identity = np.eye(len(normal))
        common = np.linalg.solve(normal + RIDGE * np.trace(normal) / len(normal) * identity, target)
        if self.classes == 1:
            return common.reshape(shape)
        prior = SPREAD**-2
        weights = [
            np.linalg.solve(own + prior * identity, aim + prior * common)
            for own, aim in zip(self.normal, self.target, strict=True)
        ]
        return np.stack(weights).reshape(shape)


def plain_weights(channels: int) -> Float[np.ndarray, "e k"]:
    """Weights for channels that nothing can be learned for."""
    return np.array([[PLAIN.get(name, 0.0)] * channels for name in NAMES])
