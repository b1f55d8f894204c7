"""Run-Walk sampling with adaptive termination, over batches of slices.

A slice is an image (H, W) or K channels of one (K, H, W).

F is any callable (x_t, level) → x_out: a network, or a formula in the tests.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dwiser.chain.schedule import Schedule
from dwiser.chain.stop import Stop
from dwiser.chain.transition import Transition
from dwiser.chain.walk import Steps, jumps

F = Callable[[Tensor, Tensor], Tensor]
Drawn = Callable[[Tensor, int], Tensor]  # (which slices, evaluation) → ξ of unit scale
FLIPS: tuple[tuple[int, ...], ...] = (
    (),
    (-2,),
    (-1,),
    (-2, -1),
)  # none, vertical, horizontal, both


@dataclass(frozen=True, eq=False)
class Sampled:
    """Slices at the end of their walks.

    Parameters
    ----------
    image : (B, …, H, W), the last x_out of each slice.
    evaluations : (B,), how many evaluations each slice took.
    distance : (B,), the stop rule's last measure; 0 where there was no rule.
    """

    image: Float[Tensor, "b *k h w"]
    evaluations: Int[Tensor, "b"]
    distance: Float[Tensor, "b"]


def four_flips(
    f: F,
    x: Float[Tensor, "b *k h w"],
    level: Float[Tensor, "b"],
    conditions: Float[Tensor, "b 4 c"] | None = None,
) -> Tensor:
    """Mean of F over the four flips, evaluated as one stacked batch.

    ``conditions``: what F is told of each slice under each flip, in columns after the level's.
    """
    stacked = torch.cat([x.flip(dims) for dims in FLIPS])
    known = [_known(level, conditions, k) for k in range(len(FLIPS))]
    parts = f(stacked, torch.cat(known)).chunk(len(FLIPS))
    return torch.stack([p.flip(dims) for p, dims in zip(parts, FLIPS, strict=True)]).mean(0)


def drawn_flip(
    f: F,
    x: Float[Tensor, "b *k h w"],
    level: Float[Tensor, "b"],
    draw: Int[Tensor, "b"],
    conditions: Float[Tensor, "b 4 c"] | None = None,
) -> Tensor:
    """F under one flip for each slice, ``draw`` in 0…3 saying which; as `four_flips`."""
    return _flipped(f(_flipped(x, draw), _known(level, conditions, draw)), draw)


def _known(
    level: Float[Tensor, "b"],
    conditions: Float[Tensor, "b 4 c"] | None,
    flip: int | Int[Tensor, "b"],
) -> Float[Tensor, "b *c"]:
    """What F is told: the level (B,), or level and conditions under the flip (B, 1 + C)."""
    if conditions is None:
        return level
    rows = torch.arange(len(level), device=level.device)
    return torch.cat([level[:, None], conditions[rows, flip]], dim=1)


def _flipped(x: Tensor, draw: Tensor) -> Tensor:
    out = x.clone()
    for kind, dims in enumerate(FLIPS):
        if dims:
            chosen = draw == kind
            out[chosen] = x[chosen].flip(dims)
    return out


def sample(
    f: F,
    start: Float[Tensor, "b *k h w"],
    target: Float[Tensor, "b *k h w"],
    sigma: Float[Tensor, "b *k h w"],
    *,
    schedule: Schedule,
    steps: Steps,
    stop: Stop | None = None,
    draws: Int[Tensor, "b e"] | None = None,
    clip: bool = True,
    transition: Transition | None = None,
    partner: Float[Tensor, "b *k h w"] | None = None,
    start_noise: Float[Tensor, "b *k h w"] | None = None,
    noise: Drawn | None = None,
    conditions: Float[Tensor, "b 4 c"] | None = None,
) -> Sampled:
    """Take every slice down the steps until its stop rule ends it.

    Parameters
    ----------
    f : (x_t, level) → x_out, both in [−1, 1] units; levels are √ᾱ_t.
    start : (B, …, H, W), x_t at the first step.
    target : like ``start``, the noisy slices x that the stop rule compares with.
    sigma : like ``start``, the noise's sd in [−1, 1] units, 0 outside the mask.
    steps : the steps to visit, going down.
    stop : a rule, or None to visit every step.
    draws : (B, E) flips 0…3, one an evaluation; None averages all four.
    clip : hold x_out in [−1, 1]; without it the unit is the caller's.
    transition : how the next state is made; None: the posterior's mean (η = 0).
    partner : like ``start``, x', for a transition that fuses.
    start_noise : the part of ``start`` that is the chain's noise, √(1−s²)·ξ; None: no part of
        it is told apart.
    noise : (places (b,) in the batch, evaluation) → (b, …, H, W) ξ drawn anew, for a
        transition that draws.
    conditions : (B, 4, C) what F is told of each slice under each flip; it then gets them in
        columns after the level's, (B, 1 + C). None: the level alone, (B,).

    Notes
    -----
    Slices that have stopped leave the batch.
    """
    count, to = start.shape[0], transition or Transition(schedule)
    image = torch.zeros_like(start)
    evaluations = torch.zeros(count, dtype=torch.long, device=start.device)
    distance = torch.zeros(count, dtype=start.dtype, device=start.device)
    active = torch.arange(count, device=start.device)
    clean, xi = (start, None) if start_noise is None else (start - start_noise, start_noise)
    for k, (t, r) in enumerate(jumps(steps)):
        state = clean if xi is None else clean + xi
        level = state.new_full((len(active),), float(schedule.level(t + 1)))
        known = None if conditions is None else conditions[active]
        out = (
            four_flips(f, state, level, known)
            if draws is None
            else drawn_flip(f, state, level, draws[active, k], known)
        )
        out = out.clamp(-1, 1) if clip else out
        image[active], evaluations[active] = out, k + 1
        on = torch.ones(len(active), dtype=torch.bool, device=start.device)
        if stop is not None:
            distance[active] = stop.distance(target[active], out, sigma[active])
            on = distance[active] <= stop.threshold
        active, out, clean = active[on], out[on], clean[on]
        if r < 0 or len(active) == 0:
            break
        clean = to.clean(out, clean, None if partner is None else partner[active], t, r)
        xi = _noise(to, None if xi is None else xi[on], noise, active, k, (t, r))
    return Sampled(image, evaluations, distance)


def _noise(
    to: Transition,
    before: Tensor | None,
    noise: Drawn | None,
    active: Int[Tensor, "b"],
    evaluation: int,
    jump: tuple[int, int],
) -> Tensor | None:
    """The noise part of the next state; None where there is none."""
    of_before, of_new = to.noise_weights(*jump)
    part = None if before is None or of_before == 0 else of_before * before
    if not to.draws:
        return part
    if noise is None:
        raise ValueError("a transition that draws needs noise to draw")
    new = of_new * noise(active, evaluation)
    return new if part is None else part + new
