"""From x_out back into the chain: the next state's clean part, and its noise.

The state at step r is clean_r + noise_r, and each part has its own rule, so that the two causes
of a walk's harm can be told apart: what image the network is shown, and how much noise.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeVar

from dwiser.chain.fusion import Fusion, fuse, fusion_weights
from dwiser.chain.posterior import (
    jump_spread,
    jump_weights,
    released_arrival,
    released_weights,
)
from dwiser.chain.schedule import Schedule
from dwiser.chain.walk import STRIDE, TURN

A = TypeVar("A")
State = Literal["posterior", "fused", "released"]
StateNoise = Literal["mean", "posterior", "held", "drawn"]


@dataclass(frozen=True)
class Transition:
    """How x_out at step t becomes the state at step r < t.

    Parameters
    ----------
    state : the clean part. "posterior" (Eq. 10): the exact posterior's mix of x_out and the
        state before. "fused" (Eq. 6 once more): s(λ1·x_out + λ2·x'), s = level(r + 1), which is
        what training showed at step r with x_out in place of x. "released": as the authors'
        program, whose weights fade (`posterior.released_weights`); with "mean" only.
    noise : the noise part. "mean": what the posterior's mean leaves of the start's ξ (η = 0, as
        released). "posterior": that, and σz of Eq. 10 with ξ drawn anew for z. "held": the
        start's ξ, √(1−s²) of it, which is what F is told. "drawn": as much, ξ drawn anew.
    fusion : as in training; "neighbour" puts x' into both places, and x_out into none.
    turn, stride : Tr and p of Run-Walk, which the released weights depend on.

    Notes
    -----
    In the posterior's state x_out has the share 1 − (t + 1)/(Tc + 1), about, where in training x
    had 1/(t + 1): at t = 50 of 300, 83 % in place of 2 %. With "mean" the state at step t holds
    the share ``noise_share`` of the noise that F is told.
    """

    schedule: Schedule = field(default_factory=Schedule)
    state: State = "posterior"
    noise: StateNoise = "mean"
    fusion: Fusion = "target"
    turn: int = TURN
    stride: int = STRIDE

    def __post_init__(self) -> None:
        if self.state == "released" and self.noise != "mean":
            raise ValueError("the released state has the noise that its weights leave: mean")

    @property
    def draws(self) -> bool:
        """Whether ξ is drawn anew at each step."""
        return self.noise in ("posterior", "drawn")

    def clean(self, out: A, before: A, partner: A | None, t: int, r: int) -> A:
        """The clean part at r, from x_out, the clean part at t, and x' where it is fused."""
        if self.state != "fused":
            of_out, of_before = self._weights(t, r)
            return of_out * out + of_before * before  # type: ignore[operator, return-value]
        if partner is None:
            raise ValueError("a fused state needs the partner x'")
        lambda1, lambda2 = (float(w) for w in fusion_weights(self.schedule, r))
        s = float(self.schedule.level(r + 1))
        return s * fuse(out, partner, lambda1, lambda2, self.fusion)  # type: ignore

    def noise_weights(self, t: int, r: int) -> tuple[float, float]:
        """Weights at r of the noise part at t and of a ξ drawn anew."""
        of_state = self._weights(t, r)[1]
        variance = float(1 - self.schedule.alpha_bar(r))
        return {
            "mean": (of_state, 0.0),
            "posterior": (of_state, jump_spread(self.schedule, t, r)),
            "held": ((variance / float(1 - self.schedule.alpha_bar(t))) ** 0.5, 0.0),
            "drawn": (0.0, variance**0.5),
        }[self.noise]

    def _weights(self, t: int, r: int) -> tuple[float, float]:
        if self.state == "released":
            return released_weights(
                self.schedule, t, released_arrival(t, r, self.turn, self.stride)
            )
        return jump_weights(self.schedule, t, r)


def noise_share(schedule: Schedule, start: int, t: int) -> float:
    """With η = 0, the sd of the noise left in the state at t over √(1−ᾱ_t), which F is told."""
    if t == start:
        return 1.0
    of_state = jump_weights(schedule, start, t)[1]
    return of_state * float((1 - schedule.alpha_bar(start)) / (1 - schedule.alpha_bar(t))) ** 0.5
