"""The voxelwise Bayes bound: how well any method can do that looks at one voxel at a time.

The least mean squared error of a voxel's signal, from its own noisy values and the distribution
that all voxels are drawn from, is that of the posterior mean. The distribution is learned from a
library of noiseless signals of the simulator itself: a mixture of Gaussians, one for each cell of
a k-means partition. Plain importance sampling does not work here: with some ten free parameters
and 64 directions hardly one of 1e5 draws lies within the noise of any one voxel. The noise is
taken as Gaussian about the magnitude's mean. Whatever the mixture misses makes the mean squared
error over all voxels larger than the bound, not smaller: two independent libraries, and a larger
one, show how far it is from it. It holds over all voxels together: in one bin of FA another
estimator may have less error, as may FA itself where it is computed from the mean signal.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dwiser import lazy

cluster = lazy.module("sklearn.cluster")

PER_COMPONENT = 150  # library signals for each Gaussian of the mixture
SHOWS = 0.1  # of σ: sd over the library of the smallest principal component that is used
AT_ONCE = 4096  # voxels
NEGLIGIBLE = 1e-5  # a component of a smaller posterior weight is ignored
BATCH = 8192


@dataclass(frozen=True, eq=False)
class SignalPrior:
    """A mixture of k Gaussians over d coordinates of a voxel's magnitudes, with q targets.

    Parameters
    ----------
    centre, basis : (v,), (v, d) orthonormal: coordinates are (magnitudes − centre) @ basis.
    share, means : (k,), (k, d) of the components.
    variances, axes : (k, d), (k, d, d) eigenvalues and vectors (columns) of their covariances.
    targets, slopes : (k, q), (k, d, q): the targets' mean, and their covariance with the
        coordinates along ``axes``.
    """

    centre: Float[np.ndarray, "v"]
    basis: Float[np.ndarray, "v d"]
    share: Float[np.ndarray, "k"]
    means: Float[np.ndarray, "k d"]
    variances: Float[np.ndarray, "k d"]
    axes: Float[np.ndarray, "k d d"]
    targets: Float[np.ndarray, "k q"]
    slopes: Float[np.ndarray, "k d q"]


def learned_prior(
    magnitudes: Float[np.ndarray, "n v"],
    targets: Float[np.ndarray, "n q"],
    sigma: float,
    *,
    components: int | None = None,
    seed: int = 0,
) -> SignalPrior:
    """The mixture for a library of n voxels: what their magnitude shows on average, and targets.

    ``sigma`` is the noise's typical sd: coordinates in which the library varies by less than a
    tenth of it are dropped. A component's covariance is shrunk towards the mean of all by as
    many samples as there are coordinates.
    """
    centre = magnitudes.mean(0)
    values, vectors = np.linalg.eigh(np.cov(magnitudes.T, dtype=float))
    basis = vectors[:, values > (SHOWS * sigma) ** 2].astype(np.float32)
    y = (magnitudes - centre) @ basis
    count = max(1, len(y) // PER_COMPONENT) if components is None else components
    cells = cluster.MiniBatchKMeans(
        count, batch_size=BATCH, n_init=1, random_state=seed
    ).fit_predict(y)
    rows = [np.flatnonzero(cells == c) for c in range(count)]
    rows = [some for some in rows if len(some)]
    d, q = y.shape[1], targets.shape[1]
    means = np.stack([y[some].mean(0) for some in rows])
    levels = np.stack([targets[some].mean(0) for some in rows])
    within = np.zeros((d, d + q))
    sums = np.empty((len(rows), d, d + q), np.float32)
    for k, some in enumerate(rows):
        apart = y[some] - means[k]
        sums[k] = apart.T @ np.concatenate([apart, targets[some] - levels[k]], axis=1)
        within += sums[k]
    sizes = np.array([len(some) for some in rows])
    joint = (sums + d * within / len(y)) / (sizes + d)[:, None, None]
    variances, axes = np.linalg.eigh(joint[..., :d])
    slopes = axes.transpose(0, 2, 1) @ joint[..., d:]
    return SignalPrior(
        centre, basis, sizes / len(y), means, variances.clip(min=0), axes, levels, slopes
    )


def posterior_mean(
    prior: SignalPrior, noisy: Float[np.ndarray, "n v"], sigma: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n q"]:
    """Expected targets of n voxels from their own noisy magnitudes (noise of sd ``sigma``)."""
    out = np.zeros((len(noisy), prior.targets.shape[1]))
    for low in range(0, len(noisy), AT_ONCE):
        some = slice(low, low + AT_ONCE)
        y = (noisy[some] - prior.centre) @ prior.basis
        out[some] = _posterior(prior, y, sigma[some, None].astype(float) ** 2)
    return out


def _posterior(prior: SignalPrior, y: np.ndarray, noise: np.ndarray) -> np.ndarray:
    logs = np.empty((len(prior.share), len(y)))
    for k, share in enumerate(prior.share):
        spread = prior.variances[k] + noise
        apart = (y - prior.means[k]) @ prior.axes[k]
        logs[k] = np.log(share) - ((apart**2 / spread + np.log(spread)).sum(1)) / 2
    weights = np.exp(logs - logs.max(0))
    weights /= weights.sum(0)
    out = np.zeros((len(y), prior.targets.shape[1]))
    for k, weight in enumerate(weights):
        rows = np.flatnonzero(weight > NEGLIGIBLE)
        apart = (y[rows] - prior.means[k]) @ prior.axes[k]
        guess = prior.targets[k] + (apart / (prior.variances[k] + noise[rows])) @ prior.slopes[k]
        out[rows] += weight[rows, None] * guess
    return out
