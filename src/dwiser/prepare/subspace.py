"""The scan's q-space subspace: a few components that describe the signal of all volumes.

In the mask y = (x − μ)/σ. Its covariance is W Λ Wᵀ plus noise; W (M, K) spans what volumes
share. For any subset A of the volumes ``latent`` gives the posterior of the K components.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dwiser.b_delta import shape_name
from dwiser.prepare.shells import shells, without_echoes
from dwiser.prepare.splits import Groups, split
from dwiser.scan import Gradients
from dwiser.seeds import stream

FEWEST_SHARED = 4  # effective volumes a component must rest on, and a group must have
RANK_SHARE = 2  # at most half of the volumes: a split must see more volumes than components
SPLITS = 24  # held-out splits that choose K
CHANCE = 3.0  # what a component of noise seems to gain, over the noise's variance, times voxels
LEAST_STRENGTH = 1e-3  # of a coordinate, of 1 where all volumes are visible
LEAST_NOISE = 1e-4  # of σ²: fewer voxels than volumes leave none, and σ is known all the same
SIGNAL_FLOOR = 1e-3  # of the noise's variance: weaker components carry no prior


@dataclass(frozen=True, eq=False)
class SignalSubspace:
    """Components and their strength, of the M volumes that share their signal.

    Parameters
    ----------
    volumes : (M,) which volumes of the scan these are.
    components : (M, K), orthonormal.
    signal : (K,) variance of each component's coefficient, in units of σ².
    noise : the noise's variance, in units of σ².
    """

    volumes: Int[np.ndarray, "m"]
    components: Float[np.ndarray, "m k"]
    signal: Float[np.ndarray, "k"]
    noise: float

    @property
    def rank(self) -> int:
        return self.components.shape[1]

    def latent(
        self, chosen: Bool[np.ndarray, "m"]
    ) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, "k"]]:
        """How y of the chosen volumes becomes the posterior mean z, and z's posterior sd.

        z_A = (W_AᵀW_A/ν + diag(1/s))⁻¹ W_Aᵀ y_A/ν, with ν the noise and s the signal; the
        prior keeps it finite however few volumes are chosen. Columns not chosen are 0.
        """
        matrix, spread = self.posterior(chosen)
        return matrix, np.sqrt(np.diag(spread))

    def posterior(
        self, chosen: Bool[np.ndarray, "m"]
    ) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, "k k"]]:
        """``latent``'s matrix, and the covariance of z's error: the inverse above."""
        w = np.where(chosen[:, None], self.components, 0.0)
        spread = np.linalg.inv(w.T @ w / self.noise + np.diag(1 / self.signal))
        return spread @ w.T / self.noise, spread

    def noise_alone(
        self, chosen: Bool[np.ndarray, "m"], rng: np.random.Generator
    ) -> Float[np.ndarray, "m k"]:
        """How y of the chosen volumes becomes K channels of what no component explains.

        y @ matrix has no signal; its noise has variance 1 in each channel, and is white
        where twice as many volumes as components are chosen. The residual's directions are
        mixed at random. All is 0 where there are no more volumes than components.
        """
        at = np.flatnonzero(chosen)
        rest = np.linalg.qr(self.components[at], mode="complete")[0][:, self.rank :]
        matrix = np.zeros(self.components.shape)
        if rest.shape[1]:
            directions = rng.standard_normal((max(rest.shape[1], self.rank), self.rank))
            mixing = np.linalg.qr(directions)[0][: rest.shape[1]]
            matrix[at] = rest @ (mixing / np.linalg.norm(mixing, axis=0)) / self.noise**0.5
        return matrix

    def coordinates(
        self, chosen: Bool[np.ndarray, "m"]
    ) -> tuple[Float[np.ndarray, "m k"], Float[np.ndarray, "k k"]]:
        """Least-squares coordinates of y from the chosen volumes, with white noise, and back.

        y @ matrix has independent noise of variance ν in each of its K channels;
        (y @ matrix) @ root are the coordinates u along the components, y ≈ u Wᵀ. With
        N = (W_AᵀW_A)⁻¹, matrix is W_A N^½ and root N^½. Rows not chosen are 0; a little of
        the identity keeps N finite where few volumes are chosen.
        """
        w = np.where(chosen[:, None], self.components, 0.0)
        strength, axes = np.linalg.eigh(w.T @ w)
        root = (axes / np.sqrt(np.maximum(strength, LEAST_STRENGTH))) @ axes.T
        return w @ root, root


def grouped(
    gradients: Gradients, fewest: int = FEWEST_SHARED, apart: tuple[int, ...] = ()
) -> tuple[Groups, dict[int, str]]:
    """Shells that can be split, and the volumes that stay out of the subspace with the reason.

    The echoes of a shell are one group: each is predicted by the others. Outlier volumes
    (``apart``) are in neither.
    """
    groups: list[np.ndarray] = []
    excluded: dict[int, str] = {}
    for shell in shells(without_echoes(gradients)):
        volumes = np.setdiff1d(shell.volumes, apart)
        if len(volumes) >= fewest:
            groups.append(volumes)
        else:
            kind = "b0s" if shell.is_b0 else f"volumes at b={shell.bval:.0f}"
            if gradients.b_delta is not None and not shell.is_b0:
                kind += f" with {shape_name(shell.b_delta)} b-tensors"
            excluded |= {int(v): f"fewer than {fewest} {kind}" for v in volumes}
    return tuple(groups), excluded


def second_moment(y: Float[np.ndarray, "n v"]) -> Float[np.ndarray, "v v"]:
    """The covariance of volumes (x − μ)/σ over n voxels: all that a subspace needs."""
    return (y.T @ y).astype(np.float64) / len(y)


def fit_subspace(
    covariance: Float[np.ndarray, "v v"], voxels: int, groups: Groups, seed: int
) -> SignalSubspace | None:
    """The subspace of the grouped volumes; K by the held-out Wiener loss.

    ``covariance`` is all volumes' ``second_moment`` over so many ``voxels``. None where no
    component rests on four volumes or more: a handful of voxels, say.
    """
    volumes = np.sort(np.concatenate(groups))
    covariance = covariance[np.ix_(volumes, volumes)]
    eigenvalues, vectors = np.linalg.eigh(covariance)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    count = len(volumes)
    noise = float(np.clip(np.median(eigenvalues[count // 2 :]), LEAST_NOISE, 1))
    edge = noise * (1 + np.sqrt(count / voxels)) ** 2
    shared = 1 / (vectors**4).sum(0) >= FEWEST_SHARED
    most = max(1, min(count // RANK_SHARE, int((eigenvalues > edge).sum())))
    usable = np.flatnonzero(shared)[:most]
    if not len(usable):
        return None
    signal = np.maximum(eigenvalues - noise, SIGNAL_FLOOR * noise)
    candidates = SignalSubspace(volumes, vectors[:, usable], signal[usable], noise)
    rank = held_out_rank(candidates, covariance, voxels, groups, seed)
    return SignalSubspace(volumes, vectors[:, usable[:rank]], signal[usable[:rank]], noise)


def truncation_loss(subspace: SignalSubspace, covariance: Float[np.ndarray, "v v"]) -> float:
    """Mean variance outside the components, over the noise's: 1 if they hold all of the signal.

    ``covariance`` is all volumes'. Above 2 truncation loses more signal than it removes noise.
    """
    shared = covariance[np.ix_(subspace.volumes, subspace.volumes)]
    held = np.einsum("mk,mn,nk->", subspace.components, shared, subspace.components)
    rest = len(shared) - subspace.rank
    return float((np.trace(shared) - held) / rest / subspace.noise) if rest else 1.0


def held_out_rank(
    subspace: SignalSubspace,
    covariance: Float[np.ndarray, "m m"],
    voxels: int,
    groups: Groups,
    seed: int,
) -> int:
    """The K whose linear prediction W_B z_A of held-out volumes is best, over random splits.

    The components are those of the very covariance that the loss comes from, so that even one
    of noise seems to gain a little, the less the more ``voxels`` there are: between 2 and 3.5 of
    the noise's variance over their number (measured, 36 to 150 volumes, 7000 to 500 000 voxels).
    A component has to gain more than that.
    """
    rng = stream(seed, "rank")
    halves = [split(groups, subspace.volumes, rng) for _ in range(SPLITS)]
    losses = []
    for k in range(1, subspace.rank + 1):
        part = SignalSubspace(
            subspace.volumes, subspace.components[:, :k], subspace.signal[:k], subspace.noise
        )  # fmt: skip
        losses.append(np.mean([_held_out_loss(part, covariance, a) for a in halves]))
    chance = CHANCE * subspace.noise / voxels * np.arange(1, subspace.rank + 1)
    return int((np.array(losses) + chance).argmin()) + 1


def _held_out_loss(part: SignalSubspace, covariance: np.ndarray, chosen: np.ndarray) -> float:
    """E‖y_B − W_B z_A‖² a volume of B, from the covariance alone."""
    matrix, _ = part.latent(chosen)
    predict = part.components[~chosen] @ matrix[:, chosen]
    predicted = predict @ covariance[chosen]
    loss = np.diag(covariance)[~chosen].sum() - 2 * np.trace(predicted[:, ~chosen])
    return float((loss + np.sum(predicted[:, chosen] * predict)) / (~chosen).sum())
