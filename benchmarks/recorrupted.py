"""Real phantoms again, each volume against its own signal: noise is added, and its mirror image.

``python -m benchmarks.recorrupted [FOLDER] [--methods raw,mean-of-all-volumes,…]``

`repeats.py` holds a denoised volume against the mean of other volumes. Where these differ by more
than noise (a phantom that drifts, eddy currents that follow b), a method that pulls all volumes
towards their mean wins that. Here no mean is taken: of a raw volume y with noise of sd σ a method
gets y + τz and is held against y − z/τ, with z drawn anew as the noise is. Both have y's own
signal, and their noise is independent (Pang et al. 2021, 10.1109/CVPR46437.2021.00208), so that the
mean squared difference less σ²(1 + 1/τ²) is the squared error of that very volume, in units of σ²,
at √(1 + τ²) times the noise. That asks for additive noise: shells near the floor are left out.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import save
from benchmarks.repeats import Apply, Phantom, asked
from dwiser.errors import DwiserWarning
from dwiser.prepare.shells import shells
from dwiser.seeds import stream

METHODS = "raw,mean-of-all-volumes,dwidenoise,patch2self,mppca,subspace,splitq"
TAU = 0.5
STRONG = 5.0  # σ, of a shell's median signal: there a magnitude's noise is additive to 2 %
DRAWS = 3


def groups(phantom: Phantom) -> dict[str, np.ndarray]:
    """The volumes of each shell that is far from the floor, and of all of these."""
    by_shell, sigma = {}, phantom.sigma[phantom.inside]
    for shell in shells(phantom.scan.gradients):
        mean = phantom.scan.data[..., shell.volumes].mean(-1)[phantom.inside]
        if np.median(mean / sigma) >= STRONG:
            by_shell[f"b{shell.bval:.0f}"] = shell.volumes
    return {"all": np.sort(np.concatenate(list(by_shell.values()))), **by_shell}


def errors(phantom: Phantom, apply: Apply, seed: int) -> dict[str, float]:
    """Squared error over σ² by group, of one draw."""
    scan, sigma = phantom.scan, phantom.sigma[..., None]
    z = stream(seed, "recorrupted").standard_normal(scan.data.shape, np.float32) * sigma
    given = replace(scan, data=np.asfortranarray((scan.data + TAU * z).clip(0)))
    wanted = (scan.data - z / TAU)[phantom.inside]
    square = np.square(apply(given)[phantom.inside].astype(float) - wanted)
    power = np.square(phantom.sigma[phantom.inside].astype(float)).mean()
    return {
        name: float(square[:, volumes].mean() / power - (1 + TAU**-2))
        for name, volumes in groups(phantom).items()
    }


def measure(phantom: Phantom, apply: Apply, seed: int) -> dict[str, Any]:
    """Mean over the draws, and their sd."""
    drawn = [errors(phantom, apply, seed + draw) for draw in range(DRAWS)]
    return {
        name: {
            "error": round(float(np.mean([d[name] for d in drawn])), 4),
            "sd": round(float(np.std([d[name] for d in drawn], ddof=1)), 4),
        }
        for name in drawn[0]
    }


def main() -> None:
    args, methods, phantoms = asked(__doc__, METHODS, "recorrupted")
    warnings.simplefilter("ignore", DwiserWarning)
    phantom_rows: dict[str, Any] = {}
    for phantom in phantoms:
        rows = phantom_rows[phantom.name] = {}
        for label, apply in methods.items():
            rows[label] = measure(phantom, apply, args.seed)
            print(phantom.name, label, rows[label], flush=True)
    console = Console(width=120)
    for name, rows in phantom_rows.items():
        keys = list(next(iter(rows.values())))
        table = Table("method", *keys, title=f"{name}: error of each volume, σ²", box=None)
        for label, row in rows.items():
            table.add_row(label, *(f"{row[k]['error']:.3f}" for k in keys))
        console.print(table)
    figures = {"units": "σ²", "tau": TAU, "draws": DRAWS, "phantoms": phantom_rows}
    print(save(args.name, args.seed, figures))


if __name__ == "__main__":
    main()
