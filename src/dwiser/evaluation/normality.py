"""D'Agostino's test of normality, without the second that SciPy's statistics take to import."""

import numpy as np
from jaxtyping import Float


def k_squared(values: Float[np.ndarray, "n"]) -> float:
    """K² of D'Agostino & Pearson (1973), as ``scipy.stats.normaltest`` gives it; n of 20 or more.

    The sum of two squared standard normal variables, one of the skewness (D'Agostino 1970,
    10.1093/biomet/57.3.679) and one of the kurtosis (Anscombe & Glynn 1983,
    10.1093/biomet/70.1.227).
    """
    n, centred = len(values), values - values.mean()
    square = centred**2
    variance = square.mean()
    skewness = (square * centred).mean() / variance**1.5
    kurtosis = (square**2).mean() / variance**2
    return _skewness(float(skewness), n) ** 2 + _kurtosis(float(kurtosis), n) ** 2


def _skewness(skewness: float, n: int) -> float:
    y = skewness * np.sqrt((n + 1) * (n + 3) / (6 * (n - 2)))
    beta = 3.0 * (n * n + 27 * n - 70) * (n + 1) * (n + 3)
    beta /= (n - 2) * (n + 5) * (n + 7) * (n + 9)
    w = np.sqrt(2 * (beta - 1)) - 1
    return float(np.arcsinh(y / np.sqrt(2 / (w - 1))) / np.sqrt(0.5 * np.log(w)))


def _kurtosis(kurtosis: float, n: int) -> float:
    mean = 3 * (n - 1) / (n + 1)
    variance = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (kurtosis - mean) / np.sqrt(variance)
    beta = 6 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9))
    beta *= np.sqrt(6 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    a = 6 + 8 / beta * (2 / beta + np.sqrt(1 + 4 / beta**2))
    cube = (1 - 2 / a) / (1 + x * np.sqrt(2 / (a - 4)))
    return float((1 - 2 / (9 * a) - np.cbrt(cube)) / np.sqrt(2 / (9 * a)))
