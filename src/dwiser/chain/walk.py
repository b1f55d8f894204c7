"""Which steps to visit: run with strides, then walk one by one (Run-Walk; Fig. 2c)."""

from itertools import pairwise

Steps = tuple[int, ...]
START, TURN, STRIDE = 300, 50, 10  # Tc, Tr and p of the paper, section 4


def run_walk(start: int = START, turn: int = TURN, stride: int = STRIDE) -> Steps:
    """Run from ``start`` to ``turn`` by ``stride``, then walk every step to 0.

    The paper's (300, 50, 10), the default, visits 300, 290, …, 60, 50, 49, …, 0: 76 evaluations.
    """
    return (*range(start, turn, -stride), *range(turn, -1, -1))


def walk(start: int) -> Steps:
    """Every step from ``start`` to 0: 301 evaluations from 300."""
    return run_walk(start, start, 1)


def run(start: int, stride: int) -> Steps:
    """Strides only, 0 included."""
    return (*range(start, 0, -stride), 0)


def jumps(steps: Steps) -> tuple[tuple[int, int], ...]:
    """(from, to) for each evaluation; the last one goes to −1, the clean end."""
    return tuple(pairwise((*steps, -1)))
