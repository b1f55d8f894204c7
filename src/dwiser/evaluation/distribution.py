"""How the residual is distributed: its histogram and quantiles, beside the normal law's."""

from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float

from dwiser.evaluation.residual import UNCHANGED
from dwiser.seeds import stream

WIDEST = 6.0  # σ; what lies beyond counts in the outermost bins
BINS = 60
PROBABILITIES = np.concatenate(
    [[1e-4, 1e-3, 0.005], np.linspace(0.01, 0.99, 99), [0.995, 0.999, 1 - 1e-4]]
)
MOST = 200_000  # values the quantiles are taken of: at 1e-4 twenty lie beyond


@dataclass(frozen=True, eq=False)
class Distribution:
    """The standardised residual z of one group of volumes; pure noise is about N(0, 1).

    Parameters
    ----------
    edges : (b + 1,) of the bins, in sd. density : (b,), its integral is 1.
    normal : (q,) quantiles of N(0, 1). observed : (q,) those of z at the same probabilities.
    beyond : share of |z| > 3; 0.0027 for N(0, 1).
    """

    edges: Float[np.ndarray, "b1"]
    density: Float[np.ndarray, "b"]
    normal: Float[np.ndarray, "q"]
    observed: Float[np.ndarray, "q"]
    beyond: float


def distribution(standard: Float[np.ndarray, "n v"], *, seed: int = 0) -> Distribution | None:
    """Histogram and quantiles of the standardised residual; None where nothing was removed."""
    if float(standard.std(dtype=float)) < UNCHANGED:
        return None
    edges = np.linspace(-WIDEST, WIDEST, BINS + 1)
    counts, _ = np.histogram(standard.clip(-WIDEST, WIDEST), edges)
    values = standard.ravel()
    if values.size > MOST:
        values = values[stream(seed, "quantiles").integers(0, values.size, MOST)]
    return Distribution(
        edges,
        counts / counts.sum() / np.diff(edges),
        scipy.special.ndtri(PROBABILITIES),  # as scipy.stats.norm, whose import takes a second
        np.quantile(values.astype(float), PROBABILITIES),
        float((np.abs(standard) > 3).mean()),
    )


def repeating(
    standard: Float[np.ndarray, "n v"], mask: Bool[np.ndarray, "x y z"]
) -> Float[np.ndarray, "x y z"]:
    """What is the same in every volume: √v times the mean of z over volumes; 0 outside ``mask``.

    Independent noise leaves N(0, 1); anatomy that is removed from all volumes alike adds up.
    """
    out = np.zeros(mask.shape, np.float32)
    out[mask] = standard.mean(1, dtype=float) * np.sqrt(standard.shape[1])
    return out
