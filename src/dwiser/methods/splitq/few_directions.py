"""Where too few volumes share a subspace for any to be held out: weights by Stein's risk.

All volumes are channels then. The same local estimates, and the tensor's prediction from two of
them, which is what directions tell of each other, are combined along axes that tell the level
from differences between directions (`axes_of`), with weights by class of tissue
(`tissue_classes`). With no volume to spare, these minimise Stein's unbiased estimate of the risk
(Stein 1981; a linear expansion of thresholds, Blu & Luisier 2007, 10.1109/TIP.2007.906002); the
divergences are measured with a probe (Ramani, Blu & Unser 2008, 10.1109/TIP.2008.2001404), which
is correlated in space as the noise is. The response about the fibre is learned by the same risk,
and so is what a voxel's own values say beyond all that (`own_deviation`).

No estimate has a risk below 0. Where the weights of a component seem to, its noise is not what σ
and the probe say, and the weights sharpen what they take for signal: its weights are then none
below 0 (Breiman 1996). Where that is so by much, the scan's noise is another, and all weights are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dwiser.machine import side_by_side
from dwiser.methods.splitq.angular_response import (
    AngularResponse,
    TensorShape,
    predicted_by_tensor,
)
from dwiser.methods.splitq.arrays import Array, as_numpy, like, on_device
from dwiser.methods.splitq.parts import chunks
from dwiser.methods.splitq.probe import signs
from dwiser.methods.splitq.restoring import (
    ResponseModel,
    residual_response,
    restore_residual,
    shape_of,
)
from dwiser.methods.splitq.stacking import NAMES, SPREAD, LocalEstimates
from dwiser.methods.splitq.whitened import WhitenedScan
from dwiser.seeds import stream

STEP = 0.1  # of the noise's sd: small enough to change no choice, large enough for float32
RIDGE = 1e-4  # of the mean diagonal: estimates of smooth signals are nearly equal
FEWEST_VOXELS = 1000  # fewer do not tell a divergence to 3 %
OF_TENSOR = ("cube", "wide")  # estimates that a tensor is fitted to
PILOT = "cube"  # the estimate whose FA says how a voxel is weighted
IMPOSSIBLE = -0.125  # of the noise's variance: a risk as low as this is no chance,
CHANCE = 4.0  # nor one so many of its standard errors below 0, if that is lower
MOSTLY = 1 / 4  # of the components: where so many are, nothing can be weighted by risk


def local_names(model: ResponseModel) -> tuple[str, ...]:
    """What `WithTensor` gives, in its order."""
    tensors = OF_TENSOR if len(model.fitted) else ()
    return tuple(n for name in NAMES for n in (name, f"tensor of {name}")[: 1 + (name in tensors)])


@dataclass(frozen=True, eq=False)
class WithTensor:
    """The local estimates, and after two of them what the tensor fitted to them predicts.

    ``rows`` are the mask's voxels that the channels belong to.
    """

    local: LocalEstimates
    model: ResponseModel
    rows: slice | np.ndarray

    def __call__(self, values: Float[Array, "n v"]) -> Iterator[tuple[str, Array]]:
        for name, estimate in self.local(values):
            yield name, estimate
            if name in OF_TENSOR and len(self.model.fitted):
                yield f"tensor of {name}", self._tensor(estimate)

    def _tensor(self, channels: Array) -> Array:
        scale = self.model.whitened.scale.astype(np.float32)
        values = as_numpy(channels) * scale

        def work(part: slice) -> None:
            rows = part if isinstance(self.rows, slice) else self.rows[part]
            magnitudes = self.model.magnitudes(values[part], rows)
            predicted = predicted_by_tensor(magnitudes, self.model.tensor_fit, self.model.least)
            values[part, self.model.fitted] = self.model.standard(predicted, rows)

        list(side_by_side(work, chunks(len(values)), self.model.threads))
        return like(values / scale, channels)


@dataclass(frozen=True, eq=False)
class WeightsByRisk:
    """What `weights_by_risk` finds.

    Parameters
    ----------
    weights : (S, E, V) of classes, estimates and components.
    estimate, probed, step : what the weights make of the channels and of the probed channels, and
        the step that was added to these, each (m, V) at the inner rows in units of the channels.
    risk : (V,) Stein's, of each component with weights of any sign, over the noise's variance.
    """

    weights: Float[np.ndarray, "s e v"]
    estimate: Float[np.ndarray, "m v"]
    probed: Float[np.ndarray, "m v"]
    step: Float[np.ndarray, "m v"]
    risk: Float[np.ndarray, "v"]

    @property
    def impossible(self) -> float:
        """The share of components whose risk is so far below 0 that the noise is another."""
        return float((self.risk < impossible_below(len(self.estimate))).mean())


def impossible_below(voxels: int) -> float:
    """The risk, over the noise's variance, below which chance does not bring so many voxels."""
    return min(IMPOSSIBLE, -CHANCE * float(np.sqrt(2 / voxels)))


def weights_by_risk(
    estimates: Callable[[Array], Iterator[tuple[str, Array]]],
    channels: Float[np.ndarray, "n v"],
    probe: Float[np.ndarray, "n v"],
    inner: np.ndarray,
    axes: Float[np.ndarray, "v v"],
    noise: float,
    device: str,
    classes: Callable[[Float[np.ndarray, "m v"]], Float[np.ndarray, "m s"]] | None = None,
    families: Int[np.ndarray, "s"] | None = None,
) -> WeightsByRisk:
    """Weights of each class of voxels along the ``axes``, and two estimates that they give.

    Parameters
    ----------
    channels : (n, V), of noise with variance ``noise``.
    probe : (n, V), noise of variance 1 with the same correlation between voxels.
    inner : rows that count.
    axes : (V, V) orthonormal.
    classes : a voxel's shares in S classes, by its ``PILOT`` estimate; None: all in one.
    families : the number of the family that each class belongs to, from 0; None: all are apart.

    Notes
    -----
    Minimises ‖u − Σ_s Σ_e α_se p_s û_e‖² + 2 ν Σ_s Σ_e α_se div(p_s û_e) for each component, with
    p the shares. A family's weights have the prior of `Stacking` about those of all voxels, and a
    class's about its family's. The divergence is
    E[b · (û(u + hb) − û(u))/h] for the probe b. The shares are read off the same noise, so that
    theirs counts too: without it, voxels would be thought as anisotropic as noise makes them.

    A component whose risk is below 0 gets weights of 0 or more, and all components do where the
    risk of one is `impossible_below` 0.
    """
    step = STEP * noise**0.5
    rotation = axes.astype(np.float32)
    plain: list[np.ndarray] = []
    probed: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    for rotated, values in ((plain, channels), (probed, channels + np.float32(step) * probe)):
        for name, estimate in estimates(on_device(values, device)):
            own = as_numpy(estimate)[inner]
            if name == PILOT and classes is not None:
                shares.append(classes(own))
            rotated.append(own @ rotation)
        if classes is None:
            shares.append(np.ones((len(inner), 1), np.float32))
    raw, probe_along = channels[inner] @ rotation, probe[inner] @ rotation

    pairs = zip(shares[0].T, shares[1].T, strict=True)
    near = [np.flatnonzero((p != 0) | (q != 0)) for p, q in pairs]  # a voxel is in few classes

    def of_component(c: int) -> tuple[_Equations, np.ndarray, float]:
        own, after = (np.stack([e[:, c] for e in p], 1).astype(float) for p in (plain, probed))
        scaled = probe_along[:, c] * (noise / step)
        equations = _Equations.of(own, after, shares[0], shares[1], raw[:, c], scaled, near)
        free = equations.weights(families)
        before, change = _combined(own, shares[0], free), _combined(after, shares[1], free)
        change -= before
        square = float(np.square(raw[:, c] - before).mean())
        return equations, free, (square + 2 * float((change * scaled).mean())) / noise - 1

    equations, free, risks = zip(*map(of_component, range(channels.shape[1])), strict=True)
    risk = np.array(risks)
    positive = (risk < 0) | (risk.min() < impossible_below(len(inner)))
    each = zip(equations, free, positive, strict=True)
    weights = np.stack([e.weights(families, positive=True) if p else w for e, w, p in each], 2)
    small = weights.astype(np.float32)
    before, after = (
        np.sum([e * (p @ small[:, k]) for k, e in enumerate(part)], 0) @ rotation.T
        for part, p in ((plain, shares[0]), (probed, shares[1]))
    )
    return WeightsByRisk(weights, before, after, probe[inner] * np.float32(step), risk)


@dataclass(frozen=True, eq=False)
class _Equations:
    """The normal equations of one component's weights, by class of voxels."""

    normal: Float[np.ndarray, "s e e"]
    aim: Float[np.ndarray, "s e"]

    @classmethod
    def of(
        cls,
        plain: Float[np.ndarray, "m e"],
        probed: Float[np.ndarray, "m e"],
        shares: Float[np.ndarray, "m s"],
        probed_shares: Float[np.ndarray, "m s"],
        raw: Float[np.ndarray, "m"],
        probe: Float[np.ndarray, "m"],
        near: list[np.ndarray],
    ) -> "_Equations":
        """``probe`` over the step and times the noise's variance; ``near`` are a class's voxels."""
        normal, aim = [], []
        for own, after, rows in zip(shares.T, probed_shares.T, near, strict=True):
            here = plain[rows]
            weighted = here * own[rows, None]
            normal.append(weighted.T @ here)
            change = probed[rows] * after[rows, None] - weighted
            aim.append(weighted.T @ raw[rows] - change.T @ probe[rows])
        return cls(np.stack(normal), np.stack(aim))

    def weights(
        self, families: Int[np.ndarray, "s"] | None = None, *, positive: bool = False
    ) -> Float[np.ndarray, "s e"]:
        """The weights; ``positive``: none below 0. ``families`` as in `weights_by_risk`."""
        solve = _solved_from_0 if positive else np.linalg.solve
        identity = np.eye(self.aim.shape[1])
        total = self.normal.sum(0)
        ridge = RIDGE * np.trace(total) / len(total) * identity
        common = solve(total + ridge, self.aim.sum(0))
        if len(self.aim) == 1:
            return common[None]

        prior = SPREAD**-2

        def about(centre: Float[np.ndarray, "e"], own: list[int]) -> Float[np.ndarray, "e"]:
            normal, aim = self.normal[own].sum(0), self.aim[own].sum(0)
            return solve(normal + prior * identity, aim + prior * centre)

        families = np.arange(len(self.aim)) if families is None else families
        weights = np.empty_like(self.aim)
        for family in np.unique(families):
            members = np.flatnonzero(families == family).tolist()
            weights[members] = centre = about(common, members)
            if len(members) > 1:
                for own in members:
                    weights[own] = about(centre, [own])
        return weights


def _solved_from_0(
    normal: Float[np.ndarray, "e e"], aim: Float[np.ndarray, "e"]
) -> Float[np.ndarray, "e"]:
    """The w ≥ 0 of least wᵀ N w − 2 wᵀ a (Lawson & Hanson 1974)."""
    from scipy.optimize import nnls  # here: importing it takes a fifth of a second

    root = np.linalg.cholesky(normal)
    return np.asarray(nnls(root.T, np.linalg.solve(root, aim))[0])


def _combined(
    estimates: Float[np.ndarray, "m e"],
    shares: Float[np.ndarray, "m s"],
    weights: Float[np.ndarray, "s e"],
) -> Float[np.ndarray, "m"]:
    """One component of the weighted estimate."""
    return (estimates * (shares @ weights)).sum(1)


def response_by_risk(
    model: ResponseModel,
    rows: np.ndarray,
    estimate: Float[np.ndarray, "n v"],
    probed: Float[np.ndarray, "n v"],
    step: Float[np.ndarray, "n v"],
) -> Float[np.ndarray, "s c k"]:
    """The first response where no volume is held out; all in units of y at the voxels ``rows``.

    The regression of y − x̂ on a function φ of x̂ is off by the noise that φ follows, E[n·φ],
    which is its divergence (Stein's lemma): that much, measured with the probe, is taken off.
    What the probe measures is itself noisy, most of all where the tensor is that of noise.
    """
    fitted = []
    for shell in model.shells:

        def gathered(part: slice, v: Int[np.ndarray, "m"] = shell.volumes) -> AngularResponse:
            variance = model.whitened.noise * model.whitened.scale[v].astype(np.float32) ** 2
            response, here, before, after = (
                AngularResponse(),
                rows[part],
                estimate[part],
                probed[part],
            )
            own_step = step[part][:, v]
            noise = variance.astype(np.float32) * own_step / np.square(own_step).mean(0)
            response.add_probed(
                model.shape(before, here),
                model.level(before, here, v),
                model.whitened.y[here][:, v] - before[:, v],
                model.shape(after, here),
                model.level(after, here, v),
                noise,
                model.directions[v],
            )
            return response

        whole = AngularResponse()
        for own in side_by_side(gathered, chunks(len(rows)), model.threads):
            whole.merge(own)
        fitted.append(whole.coefficients())
    return np.stack(fitted)


def residual_share(
    model: ResponseModel,
    rows: np.ndarray,
    estimate: Float[np.ndarray, "n v"],
    probed: Float[np.ndarray, "n v"],
    step: Float[np.ndarray, "n v"],
) -> float:
    """How much of the second response has the least risk: 0 to 1; all as in `response_by_risk`.

    With c what the second response adds to an estimate x̂, ‖x̂ + w c − signal‖² is least at
    w = (Σ c (y − x̂) − E[n·c])/Σ c² (Stein 1981), E[n·c] by the probe. Where the tensor follows
    its own noise that is near 0, where the signal bends more than the first response knows near 1.
    """
    shape = shape_of(estimate, model, rows)
    response = residual_response(estimate, model, shape, rows)

    def added_to(values: Float[np.ndarray, "n v"], shape: TensorShape) -> Float[np.ndarray, "n v"]:
        restored = values.copy()
        restore_residual(restored, model, response, shape, rows)
        return restored - values

    added = added_to(estimate, shape), added_to(probed, shape_of(probed, model, rows))
    residual = model.whitened.y[rows] - estimate
    noise = model.whitened.noise * model.whitened.scale.astype(np.float32) ** 2
    follows = noise * (step * (added[1] - added[0])).sum(0) / np.square(step).mean(0)
    gain = float((added[0] * residual).sum() - follows.sum())
    return float(np.clip(gain / max(float(np.square(added[0]).sum()), 1e-30), 0, 1))


def probe_of(whitened: WhitenedScan, seed: int) -> Float[np.ndarray, "n v"]:
    """Noise of variance 1 at the mask's voxels, correlated as the scan's is; signs if that is not.

    Of a denoiser's derivative J the noise meets E[nᵀ J n] = ν tr(J C), with C its correlation
    between voxels: that of the probe too.
    """
    count, volumes = whitened.y.shape
    if whitened.correlation is None:
        return np.stack([signs(stream(seed, "risk", v), count) for v in range(volumes)], 1)
    shape = whitened.mask.shape
    drawn = (whitened.correlation.draw(stream(seed, "risk", v), shape) for v in range(volumes))
    return np.stack([noise[whitened.mask] for noise in drawn], 1)


def axes_of(whitened: WhitenedScan, b0s: Int[np.ndarray, "b"]) -> Float[np.ndarray, "v v"]:
    """The axes that weights go along: principal components of the b0s, then of the others.

    Parameters
    ----------
    b0s : which volumes are b0s; they share no axis with the others, which tell little of them.

    Notes
    -----
    Components of the magnitudes themselves, in units of their noise and largest first, not of
    their deviations from the mask's mean: so the first of the diffusion-weighted ones is the
    level, which all directions share, and the others are differences between directions. In grey
    matter and fluid the former is signal and the latter are noise; components of the deviations
    mix the two, unless the mask holds enough background.
    """
    scale, typical = whitened.scale, float(np.median(whitened.sigma_inside))
    channels = whitened.y / scale.astype(np.float32)
    level = whitened.mean / (typical * scale)
    moment = (channels.T @ channels).astype(float) + len(channels) * np.outer(level, level)
    axes, start = np.zeros_like(moment), 0
    for volumes in (b0s, np.setdiff1d(np.arange(len(scale)), b0s)):
        columns = np.arange(start, start + len(volumes))
        own = np.linalg.eigh(moment[np.ix_(volumes, volumes)])[1][:, ::-1]
        axes[np.ix_(volumes, columns)] = own
        start += len(volumes)
    return axes
