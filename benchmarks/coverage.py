"""Does splitq's uncertainty map cover its errors? Shares within two sd, tissue by tissue.

``python -m benchmarks.coverage``: slabs of phantoms with known truth, g-factor σ and lesions;
seeds from 340 on, which nothing was tuned on. 95 % would be a Gaussian error's share. The map is
that of a typical DWI: the b0s' own errors, and a lesion that shows in one direction only, are
listed beside it.
"""

import argparse
import warnings
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_gradient_magnitude

import dwiser
from benchmarks.record import save
from dwiser.errors import DwiserWarning
from dwiser.simulation import Simulation, phantom

SHAPE = (65, 78, 22)
CASES: tuple[dict[str, Any], ...] = (
    {"snr": 10.0, "shells": ((1000.0, 64),)},
    {"snr": 20.0, "shells": ((1000.0, 64),)},
    {"snr": 30.0, "shells": ((1000.0, 64),)},
    {"snr": 20.0, "shells": ((1000.0, 30), (2000.0, 60))},
    {"snr": 30.0, "shells": ((3000.0, 60),)},
)
EDGES = 0.2  # the steepest fifth of the mask


def regions(made: Simulation, mask: np.ndarray) -> dict[str, np.ndarray]:
    """The tissues, the edges between them, and lesions that show in many directions."""
    slope = gaussian_gradient_magnitude(made.truth.mean(-1), 0.5)
    masks = {name: mask & (np.asarray(share) > 0.5) for name, share in made.tissues.items()}
    masks["edges"] = mask & (slope >= np.quantile(slope[mask], 1 - EDGES))
    few = [x["label"] for x in made.record["lesions"] if len(x["volumes"]) == 1]
    assert made.lesions is not None
    masks["lesion"] = mask & (made.lesions > 0) & ~np.isin(made.lesions, few)
    return masks


def row(case: dict[str, Any], seed: int) -> dict[str, Any]:
    """Coverage of one phantom, DWIs and b0s; the lesions of one direction in that direction."""
    made = phantom(SHAPE, seed=seed, sigma_map="gfactor", lesions=True, **case)
    result = dwiser.denoise(made.scan, threads=1, seed=0, uncertainty=True)
    assert result.mask is not None
    assert result.uncertainty is not None
    b0, sd = made.scan.gradients.is_b0, result.uncertainty[..., None]
    error = np.abs(result.data - made.truth)
    within, places = error <= 2 * sd, regions(made, result.mask & made.mask)
    coverage: dict[str, Any] = {"seed": seed, **case, "dwi": {}, "b0": {}, "rms_over_sd": {}}
    for name, here in places.items():
        coverage["dwi"][name] = round(float(within[here][:, ~b0].mean()), 3)
        coverage["b0"][name] = round(float(within[here][:, b0].mean()), 3)
        square = (error[here][:, ~b0] ** 2).mean() / (sd[here] ** 2).mean()
        coverage["rms_over_sd"][name] = round(float(np.sqrt(square)), 3)
    single = [x for x in made.record["lesions"] if len(x["volumes"]) == 1]
    coverage["lesions_of_one_direction"] = [
        round(float(within[made.lesions == x["label"]][:, x["volumes"]].mean()), 3) for x in single
    ]
    return coverage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=340, help="of the first phantom")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    rows = []
    for i, case in enumerate(CASES):
        rows.append(row(case, asked.seed + i))
        print(rows[-1], flush=True)
        path = save("coverage", asked.seed, {"shape": SHAPE, "rows": rows})
    print(path)


if __name__ == "__main__":
    main()
