"""Disjoint sets of volumes: what the network sees (visible), and what it must predict."""

import numpy as np
from jaxtyping import Bool, Int

HELD_LEAST, HELD_MOST = 0.1, 0.4  # share of a group that is held out

Groups = tuple[Int[np.ndarray, "_"], ...]


def split(
    groups: Groups, volumes: Int[np.ndarray, "m"], rng: np.random.Generator
) -> Bool[np.ndarray, "m"]:
    """Which of ``volumes`` are visible; the rest are held out, in the same share of each group.

    The share is drawn between 0.1 and 0.4; every group keeps a volume and gives one.
    """
    share = rng.uniform(HELD_LEAST, HELD_MOST)
    held: list[int] = []
    for group in groups:
        count = int(np.clip(round(share * len(group)), 1, len(group) - 1))
        held += rng.choice(group, count, replace=False).tolist()
    return ~np.isin(volumes, held)


def in_three(
    groups: Groups, volumes: Int[np.ndarray, "m"], rng: np.random.Generator
) -> tuple[Bool[np.ndarray, "m"], Bool[np.ndarray, "m"]]:
    """Two disjoint sets of ``volumes`` that are visible; the third, held out, is neither.

    What ``split`` holds out is the third; what it shows is split once more by the same rule,
    the larger part first.
    """
    visible = split(groups, volumes, rng)
    visible_groups = tuple(np.intersect1d(group, volumes[visible]) for group in groups)
    first = split(visible_groups, volumes, rng) & visible
    return first, visible & ~first


def folds(
    groups: Groups, volumes: Int[np.ndarray, "m"], count: int, rng: np.random.Generator
) -> list[Bool[np.ndarray, "m"]]:
    """``count`` splits in which every volume is held out once; which of ``volumes`` are visible.

    Each group is dealt evenly, so that every split holds out the same share of it; a group of
    fewer volumes than splits gives to some of them only.
    """
    held: list[list[int]] = [[] for _ in range(count)]
    first = 0
    for group in groups:
        for i, volume in enumerate(rng.permutation(group)):
            held[(first + i) % count].append(int(volume))
        first += len(group)
    return [~np.isin(volumes, some) for some in held]
