"""Whether two ways end alike: their means over the seeds, beside the spread that the seeds have."""

from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any


def compared(scores: Mapping[str, list[float]], first: str, second: str) -> dict[str, Any]:
    """Mean and sd of each, and whether their difference is within two of its errors.

    Parameters
    ----------
    scores : of each way, a number a seed.
    first, second : the difference is the first one's mean less the second's.
    """
    means = {name: mean(values) for name, values in scores.items()}
    sds = {name: stdev(values) for name, values in scores.items()}
    error = (sum(s**2 for s in sds.values()) / len(scores[first])) ** 0.5
    difference = means[first] - means[second]
    return {
        "mean": means, "sd": sds, "difference": difference,
        "standard_error": error, "equal_within_the_spread": abs(difference) <= 2 * error,
    }  # fmt: skip
