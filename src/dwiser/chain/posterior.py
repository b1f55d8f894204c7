"""One jump of the chain: the exact posterior from step t to any step r < t (Eq. 10).

The jump of the authors' program stands beside it, for the preset ``released``: its weights are
another's wherever r is not t − 1.
"""

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


def released_weights(schedule: Schedule, t: int, r: int) -> tuple[float, float]:
    """Weights of (x_out, x_t) in the authors' program, for −1 ≤ r < t.

    √ᾱ_r β_t/(1−ᾱ_t) and √α_t (1−ᾱ_r)/(1−ᾱ_t), with α_t and β_t of the one step t (authors'
    released settings, as reported).

    Notes
    -----
    For r = t − 1 they are ``jump_weights``. For a longer jump the first one is too small: from 300
    to 290 both sum to 0.970, from 50 to 40 to 0.824, so the image fades and the walk does not
    return the posterior mean. They are here to repeat the program, not to be recommended.
    """
    _down(t, r)
    bar_t, bar_r = float(schedule.alpha_bar(t)), float(schedule.alpha_bar(r))
    beta = float(schedule.beta[t])
    return bar_r**0.5 * beta / (1 - bar_t), (1 - beta) ** 0.5 * (1 - bar_r) / (1 - bar_t)


def released_arrival(t: int, r: int, turn: int, stride: int) -> int:
    """The step whose state the authors' program makes from t, where r is the next one visited.

    ``turn`` and ``stride`` are Tr and p of Run-Walk. From every step down to ``turn``, the turn
    itself included, the program's weights lead ``stride`` steps down: with the paper's numbers the
    state made at 50 is the one of step 40, and F is given it at step 49.
    """
    return max(t - stride, -1) if t >= turn else r


def _down(t: int, r: int) -> None:
    if not -1 <= r < t:
        raise ValueError(f"a jump goes down: -1 <= r < t, not t={t}, r={r}")
