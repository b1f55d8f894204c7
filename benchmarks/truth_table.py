"""The closing table: methods on a whole-brain phantom with known truth, at several b0 SNRs.

``python -m benchmarks.truth_table [--snrs 10,20,30] [--methods raw,gaussian,difusion:laptop]``

65 × 78 × 66 voxels of 2.5 mm, 64 directions at b=1000 and 6 b0s, Rician noise whose σ varies as
SENSE's does, six lesions. The methods get the scan as a scanner gives it; the truth, the true
mask, σ map, tissues and lesions are the evaluation's. One thread by default; ``seconds`` is the
wall clock, ``cpu_seconds`` what the process worked, the same on a quiet machine.
"""

import argparse
import warnings
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.phantom_options import published_seed, voxels
from benchmarks.record import save
from dwiser.errors import DwiserWarning, InputError
from dwiser.evaluation.suite import Evaluation, evaluate
from dwiser.methods.registry import build, settings_of
from dwiser.run import denoise
from dwiser.simulation import Simulation, phantom

SNRS = "10,20,30"
DEFAULT = "raw,gaussian,difusion:laptop"
SHOWN = {  # head of a column → (metric, group)
    "b0 NRMSE": ("fidelity.nrmse", "b0"),
    "DWI NRMSE": ("fidelity.nrmse", "b1000"),
    "DWI PSNR": ("fidelity.psnr", "b1000"),
    "DWI SSIM": ("fidelity.ssim", "b1000"),
    "systematic": ("error.systematic", "b1000"),
    "random": ("error.random", "b1000"),
    "FA RMSE": ("fa.rmse", "all"),
    "FA bias": ("fa.bias", "all"),
    "MD RMSE": ("md.rmse", "all"),
    "V1 °": ("v1.angle.median", "all"),
    "V1 95 %": ("v1.angle.p95", "all"),
    "crossing found": ("crossing.found", "all"),
    "crossing °": ("crossing.angle", "all"),
    "edge mm": ("edge.fwhm", "b1000"),
    "CC SNR": ("corpus_callosum.local.snr", "b1000"),
    "residual sd": ("residual.sd", "b1000"),
}


def denoised(label: str, made: Simulation, threads: int) -> tuple[np.ndarray, dict[str, float]]:
    """A method's result on the phantom's scan, and what it took."""
    if label == "raw":
        return made.scan.data.copy(), {"seconds": 0.0, "cpu_seconds": 0.0}
    name, *words = label.split(":")
    presets = [word for word in words if "=" not in word]
    chosen = build(name, *presets, settings=settings_of([w for w in words if "=" in w]))
    begun, worked = perf_counter(), process_time()
    data = denoise(made.scan, chosen, *presets, device="cpu", threads=threads, seed=0).data
    took = {"seconds": perf_counter() - begun, "cpu_seconds": process_time() - worked}
    return data, {name: round(value, 1) for name, value in took.items()}


def row(label: str, made: Simulation, threads: int) -> dict[str, Any]:
    """One method at one SNR: every metric, the verdict, the times."""
    data, took = denoised(label, made, threads)
    evaluation = evaluate(
        data, made.scan, truth=made.truth, mask=made.mask, sigma=made.sigma.astype(float),
        tissues=made.tissues, lesions=made.lesions, crossing=True,
        lesion_volumes={x["label"]: x["volumes"] for x in made.record["lesions"]},
        lesion_changes={x["label"]: x["change"] for x in made.record["lesions"]},
    )  # fmt: skip
    return {"method": label, **took, **evaluation.to_dict(), "shown": shown(evaluation)}


def shown(evaluation: Evaluation) -> dict[str, float | None]:
    """The table's figures; None where one is absent (its reason is among ``absent``)."""
    values = {(m.metric, m.group): m.value for m in evaluation.metrics}
    shares = [v for (metric, _), v in values.items() if metric == "lesion.kept"]
    figures = {head: values.get(key) for head, key in SHOWN.items()}
    least = {"lesions kept": float(np.mean(shares)), "the least": min(shares)} if shares else {}
    return figures | least


def show(console: Console, snr: float, rows: list[dict[str, Any]]) -> None:
    heads = list(rows[0]["shown"])
    table = Table("", *(r["method"] for r in rows), title=f"b0 SNR {snr:g}", box=None)
    for head in heads:
        cells = ["–" if r["shown"][head] is None else f"{r['shown'][head]:.4g}" for r in rows]
        table.add_row(head, *cells)
    for head in ("seconds", "cpu_seconds"):
        table.add_row(head, *(f"{r[head]:g}" for r in rows))
    verdicts = [r["verdict"] or {"level": "none", "reasons": []} for r in rows]
    table.add_row("verdict", *(v["level"] for v in verdicts))
    because = [sorted({f"{x['code']} {x['level']}" for x in v["reasons"]}) for v in verdicts]
    table.add_row("because", *("\n".join(b) for b in because))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snrs", default=SNRS)
    parser.add_argument("--methods", default=DEFAULT)
    parser.add_argument("--shape", type=voxels, default="65,78,66")
    parser.add_argument("--seed", type=published_seed, default=300, help="300 to 399")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="truth_table", help="of the file in results/")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", DwiserWarning)
    x, y, z = asked.shape
    console, results, path = Console(width=160), [], Path()
    for snr in map(float, asked.snrs.split(",")):
        made = phantom((x, y, z), snr=snr, sigma_map="gfactor", lesions=True, seed=asked.seed)
        try:
            rows = [row(label, made, asked.threads) for label in asked.methods.split(",")]
        except InputError as error:
            parser.error(str(error))
        show(console, snr, rows)
        results.append({"b0_snr": snr, "mean_sigma": made.record["mean_sigma"], "rows": rows})
        figures = {"threads": asked.threads, "shape": list(made.truth.shape), "table": results}
        path = save(asked.name, asked.seed, figures)
    print(path)


if __name__ == "__main__":
    main()
