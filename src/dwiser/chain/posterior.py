"""One jump of the chain: the exact posterior from step t to any step r < t (Eq. 10)."""

from typing import TypeVar

from dwiser.chain.schedule import Schedule

A = TypeVar("A")


def jump_weights(schedule: Schedule, t: int, r: int) -> tuple[float, float]:
    """Weights of (x_out, x_t) in the mean of q(x_r | x_t, x_out), for −1 ≤ r < t.

    With a = ᾱ_t/ᾱ_r: √ᾱ_r (1−a)/(1−ᾱ_t) and √a (1−ᾱ_r)/(1−ᾱ_t).

    Notes
    -----
    A jump takes √ᾱ_t·c to √ᾱ_r·c, and two jumps with the same x_out equal one.
    """
    _down(t, r)
    bar_t, bar_r = float(schedule.alpha_bar(t)), float(schedule.alpha_bar(r))
    a = bar_t / bar_r
    return bar_r**0.5 * (1 - a) / (1 - bar_t), a**0.5 * (1 - bar_r) / (1 - bar_t)


def jump(schedule: Schedule, x0: A, xt: A, t: int, r: int) -> A:
    """x_r from the estimate ``x0`` of the clean image and the state ``xt`` at step t."""
    of_x0, of_xt = jump_weights(schedule, t, r)
    return of_x0 * x0 + of_xt * xt  # type: ignore[operator, return-value]


def jump_spread(schedule: Schedule, t: int, r: int) -> float:
    """sd of q(x_r | x_t, x_out), for −1 ≤ r < t: √((1−ᾱ_r)(1−a)/(1−ᾱ_t)), a = ᾱ_t/ᾱ_r.

    The σz of Eq. 10, which Di-Fusion's sampling sets to 0 and DDM2's keeps (Ho et al. 2020,
    arXiv 2006.11239, Eq. 7); 0 at the clean end, r = −1.

    Notes
    -----
    Two jumps, each with its own noise of this sd, have the variance of one.
    """
    _down(t, r)
    bar_t, bar_r = float(schedule.alpha_bar(t)), float(schedule.alpha_bar(r))
    return ((1 - bar_r) * (1 - bar_t / bar_r) / (1 - bar_t)) ** 0.5


def _down(t: int, r: int) -> None:
    if not -1 <= r < t:
        raise ValueError(f"a jump goes down: -1 <= r < t, not t={t}, r={r}")
