"""Gradient tables: directions spread evenly over the half sphere, in a spread-out order."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import scipy
from jaxtyping import Float

from dwiser import lazy
from dwiser.defaults import B0_THRESHOLD
from dwiser.errors import Code, InputError, unknown
from dwiser.scan import Gradients
from dwiser.seeds import stream

dipy_sphere = lazy.module("dipy.core.sphere")

Shells: TypeAlias = Sequence[tuple[float | int, int]]  # (b in s/mm², directions)
B0_PLACES = ("spread", "first", "last")
REPULSION_STEPS = 300  # 64 directions: nearest neighbours 16-19° apart, a tenth of a second
GOLDEN = (1 + 5**0.5) / 2


def spread_directions(n: int, seed: int, shell: int = 0) -> Float[np.ndarray, "n 3"]:
    """Unit vectors spread evenly over the half sphere.

    A golden-angle spiral is relaxed by electrostatic repulsion of antipodal charges (Jones et
    al. 1999, DIPY's ``disperse_charges``), rotated at random, and ordered so that every first
    part of it covers the sphere.

    Parameters
    ----------
    n : how many.
    seed, shell : of the rotation.

    Returns
    -------
    (n, 3) unit vectors
    """
    place = np.arange(n) + 0.5
    height, angle = 1 - place / n, 2 * np.pi * place / GOLDEN
    ring = np.sqrt(1 - height**2)
    points = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=1)
    if n > 1:
        half = dipy_sphere.HemiSphere(xyz=points)
        points = dipy_sphere.disperse_charges(half, REPULSION_STEPS)[0].vertices
    turn = scipy.spatial.transform.Rotation.random(random_state=stream(seed, "directions", shell))
    return _farthest_first(turn.apply(points))


def _farthest_first(points: np.ndarray) -> np.ndarray:
    """Order axes greedily: the next one is the least aligned with all that came before."""
    aligned = np.abs(points @ points.T)
    order = [0]
    worst = aligned[0].copy()
    for _ in range(len(points) - 1):
        worst[order[-1]] = np.inf
        order.append(int(worst.argmin()))
        worst = np.maximum(worst, aligned[order[-1]])
    return points[order]


def scheme(
    shells: Shells = ((1000.0, 64),),
    *,
    n_b0: int = 6,
    b0_place: str = "spread",
    seed: int = 0,
) -> Gradients:
    """A gradient table with b0s and shells of evenly spread directions.

    Shells are interleaved.

    Parameters
    ----------
    shells : (b in s/mm², directions) of each shell.
    n_b0 : number of b0s.
    b0_place : "spread" puts one b0 first and the others evenly between the DWIs; "first" or
        "last".
    seed : of the directions.

    Returns
    -------
    Gradients

    Raises
    ------
    InputError
        For no shell, a shell without directions or of a b-value that counts as b0, or an
        unknown b0 place.

    Examples
    --------
    >>> from dwiser.simulation import scheme
    >>> table = scheme(((1000.0, 6), (2000.0, 12)), n_b0=2)
    >>> len(table), int(table.is_b0.sum())
    (20, 2)
    """
    if b0_place not in B0_PLACES:
        raise unknown("b0 place", b0_place, B0_PLACES, code=Code.ARGUMENT_VALUE)
    if n_b0 < 0 or not shells:
        raise InputError(
            "A scheme needs at least one shell and no negative number of b0s.",
            code=Code.ARGUMENT_VALUE,
        )
    for b, n in shells:
        if not (np.isfinite(b) and b > B0_THRESHOLD) or n < 1:
            raise InputError(
                f"Shell {b:g}:{n} cannot be simulated: give a b-value above {B0_THRESHOLD:g} "
                "s/mm² and at least one direction, such as 1000:64.",
                code=Code.ARGUMENT_VALUE,
            )
    bvals = np.concatenate([np.full(n, float(b)) for b, n in shells])
    bvecs = np.concatenate([spread_directions(n, seed, i) for i, (_, n) in enumerate(shells)])
    when = np.concatenate([(np.arange(n) + 0.5) / n for _, n in shells])
    order = np.argsort(when, kind="stable")
    at = {
        "spread": np.arange(n_b0) * len(bvals) // max(n_b0, 1),
        "first": np.zeros(n_b0, int),
        "last": np.full(n_b0, len(bvals)),
    }[b0_place]
    return Gradients(
        np.insert(bvals[order], at, 0.0), np.insert(bvecs[order], at, np.zeros(3), axis=0)
    )
