"""What x' is: the partner of each volume from which Di-Fusion learns.

``adjacent`` is the paper's, ``angular`` the nearest direction of the shell, ``predicted``
the leave-one-out linear prediction of the volume from all others. All give (plan, x') with
the noise of x' independent of the noise of x.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from dwiser.prepare.shells import shells
from dwiser.scan import Gradients

Pairing = Literal["adjacent", "angular", "predicted"]
Partner = Literal[Pairing, "itself"]  # "itself": for methods that need no pair
Neighbour = Literal["shell", "series"]
B0s = Literal["denoised", "unseen"]
FEWEST_B0S = 4  # fewer b0s pass through unchanged
RIDGE = 1e-3  # of the median noise-floor eigenvalue: keeps duplicated volumes invertible
FLOOR_QUANTILE = 0.25
ALONE = ("adjacent", "shell"), ("angular", "shell"), ("angular", "series")  # need one of the shell


@dataclass(frozen=True, eq=False)
class PairPlan:
    """Which volumes are denoised, and with which partner.

    Parameters
    ----------
    volumes : (K,) the volumes that are denoised, in series order.
    partners : (K,) their partners' indices; −1 where the partner is predicted.
    passed : {volume: why it passes through unchanged}.
    """

    volumes: Int[np.ndarray, "k"]
    partners: Int[np.ndarray, "k"]
    passed: dict[int, str]


def plan_pairs(
    gradients: Gradients,
    pairing: Partner,
    *,
    neighbour: Neighbour = "shell",
    b0s: B0s = "denoised",
    fewest_b0s: int = FEWEST_B0S,
    dead: frozenset[int] = frozenset(),
) -> PairPlan:
    """Decide for every volume whether it is denoised and who its partner is.

    Parameters
    ----------
    neighbour : for ``adjacent``: the volume before it in its own shell ("shell"), or in
        the whole series of DWIs ("series", the authors' order); both wrap around.
    b0s : "denoised" makes a shell of them, "unseen" passes every one through unchanged.
    fewest_b0s : fewer b0s than this pass through unchanged.
    dead : volumes without signal or without change, which neither pass on nor receive.
    """
    partner: dict[int, int] = {}
    passed = dict.fromkeys(sorted(dead), "no signal in the mask")
    dwis: list[int] = []
    for shell in shells(gradients):
        alive = [int(v) for v in shell.volumes if v not in dead]
        if not alive:
            continue
        if shell.is_b0 and b0s == "unseen":
            passed |= dict.fromkeys(alive, "a b0 (b0s=unseen)")
            continue
        if shell.is_b0 and len(alive) < fewest_b0s:
            passed |= dict.fromkeys(alive, f"fewer than {fewest_b0s} b0s")
            continue
        if len(alive) == 1 and (pairing, neighbour) in ALONE:
            passed[alive[0]] = "alone in its shell"
            continue
        if neighbour == "series" and not shell.is_b0:
            dwis += alive
        partner |= dict(zip(alive, _partners(gradients, alive, pairing), strict=True))
    if pairing == "adjacent" and len(dwis) == 1:
        del partner[dwis[0]]
        passed[dwis[0]] = "the only DWI"
    elif pairing == "adjacent":
        dwis.sort()
        partner |= dict(zip(dwis, dwis[-1:] + dwis[:-1], strict=True))
    volumes = np.array(sorted(partner), int)
    return PairPlan(volumes, np.array([partner[v] for v in volumes], int), passed)


def _partners(gradients: Gradients, shell: list[int], pairing: Partner) -> list[int]:
    if pairing == "predicted":
        return [-1] * len(shell)
    if pairing == "itself":
        return shell
    is_b0 = bool(gradients.is_b0[shell[0]])
    if pairing == "adjacent" or is_b0:
        return shell[-1:] + shell[:-1]
    cosine = np.abs(gradients.bvecs[shell] @ gradients.bvecs[shell].T)
    np.fill_diagonal(cosine, -1)
    return [shell[k] for k in cosine.argmax(1)]


@dataclass(frozen=True, eq=False)
class LinearPrediction:
    """Each volume as an affine function of all others: x'_j = b_j + Σ_i A_ij x_i, A_jj = 0.

    ``weights`` is (V, V), ``offset`` (V,), both in the data's units.
    """

    weights: Float[np.ndarray, "v v"]
    offset: Float[np.ndarray, "v"]

    def of(self, voxels: Float[np.ndarray, "*s v"], volume: int) -> Float[np.ndarray, "*s"]:
        """x' of one volume at voxels (…, V)."""
        column = self.weights[:, volume].astype(np.float32)
        return voxels @ column + np.float32(self.offset[volume])


def fit_prediction(
    voxels: Float[np.ndarray, "n v"], dead: frozenset[int] = frozenset()
) -> LinearPrediction:
    """The least-squares prediction of every volume from all others, over (N, V) voxels.

    With P the inverse covariance: x'_j = μ_j − Σ_{i≠j} (P_ij/P_jj)(x_i − μ_i). A small
    ridge keeps P finite when volumes repeat each other.

    Notes
    -----
    In sample, x'_j holds a share V/N of the noise of x_j; N is a brain, so none.
    """
    count = voxels.shape[1]
    mean = voxels.mean(0, dtype=np.float64)
    centred = voxels - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / len(voxels)
    alive = np.array([v for v in range(count) if v not in dead])
    block = covariance[np.ix_(alive, alive)]
    floor = np.quantile(np.linalg.eigvalsh(block), FLOOR_QUANTILE)
    ridge = RIDGE * max(floor, 1e-9 * np.trace(block))
    precision = np.linalg.inv(block + ridge * np.eye(len(alive)))
    inner = -precision / np.diag(precision)[None, :]
    np.fill_diagonal(inner, 0.0)
    weights = np.zeros((count, count))
    weights[np.ix_(alive, alive)] = inner
    return LinearPrediction(weights, mean - mean @ weights)


def dead_volumes(voxels: Float[np.ndarray, "n v"]) -> frozenset[int]:
    """Volumes that are constant in the mask: dropped out, or zeroed."""
    return frozenset(int(v) for v in np.flatnonzero(np.ptp(voxels, axis=0) == 0))
