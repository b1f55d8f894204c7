"""Figure 7: Tc from 100 to 1000 against R² and against the true error.

``python -m reproduce.figure7 here``. The poster shows R² alone and says: consistent for Tc < 500.
Each Tc is a training of its own on t ~ U{1 … Tc} and a walk from Tc to the end (no stop rule). The
same network's single pass at Tc stands beside it: what the iteration adds.
"""

from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from reproduce.claims import Claim, Told, qualified, table
from reproduce.poster import poster
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main
from reproduce.scores import PAIRS, Bench
from reproduce.style import canvas, legend_below, line, titled

TCS = 100, 200, 300, 400, 500, 600, 700, 800, 900, 999
FEW = 100, 300, 400, 500, 700, 999
WALK, SINGLE, NOISY = "walk", "single pass", "noisy"
PANELS = {
    "r2": "R², DTI: denoised from denoised (the poster's)",
    "r2_raw": "R², DTI: raw from denoised",
    "nrmse": "NRMSE of the DWIs against the truth",
}
CONSISTENT = 0.02  # R² may vary by this much among the Tc that are called consistent
SAME_ERROR = 0.1  # and the true error by this share
SMOKE = Setting((16, 20, 3), 15, 4, 20.0, "smoke", 3, 1, {"tc": (100, 999)})
SETTINGS = {
    "smoke": SMOKE,
    "here": Setting((28, 34, 3), 20, 4, iterations=200, seeds=1, more={"tc": FEW}),
    "full": replace(FULL, more={"tc": TCS}),
}


def measure(run: Run) -> Record:
    rows: list[dict[str, Any]] = []
    for seed in range(run.seed, run.seed + run.setting.seeds):
        bench = Bench.of(run, seed)
        rows.append({"way": NOISY, "seed": seed, **bench.scores(bench.made.scan.data)})
        for pairing in PAIRS:
            for tc in run.setting["tc"]:
                rows += trained(bench, pairing, tc)
                run.say(f"seed {seed}, {pairing}, Tc = {tc} done")
    return {"rows": rows}


def trained(bench: Bench, pairing: str, tc: int) -> list[dict[str, Any]]:
    """A training up to Tc: its whole walk's scores, and its single pass's."""
    method = bench.method(pairing=pairing, latter=tc, stop="never")
    weights = bench.fit(method)
    rows = []
    for way, chosen in ((WALK, method), (SINGLE, replace(method, evaluations=1))):
        result = bench.apply(chosen, weights)
        row = {"way": way, "pairing": pairing, "tc": tc, "seed": bench.seed}
        rows.append(row | {"evaluations": len(chosen.steps)} | bench.scores(result.data))
    return rows


def series(record: Record, pairing: str, way: str, score: str) -> dict[int, float]:
    """Tc → the mean over the seeds; scores that could not be had are left out."""
    found: dict[int, list[float]] = {}
    for row in record["rows"]:
        if row["way"] == way and row.get("pairing") == pairing and score in row:
            found.setdefault(row["tc"], []).append(row[score])
    return {tc: sum(v) / len(v) for tc, v in sorted(found.items())}


def draw(record: Record) -> Figure:
    figure, axes = canvas(len(PANELS))
    noisy = [row for row in record["rows"] if row["way"] == NOISY]
    for ax, (score, title) in zip(axes, PANELS.items(), strict=True):
        number = 0
        for pairing, name in PAIRS.items():
            for way in (WALK, SINGLE):
                found = series(record, pairing, way, score)
                ax.plot(list(found), list(found.values()), label=f"{name}, {way}", **line(number))
                number += 1
        level = sum(row[score] for row in noisy) / len(noisy)
        ax.axhline(level, label="noisy scan", color="0.5", linewidth=1.2, linestyle=(0, (1, 1)))
        ax.axvline(poster()["figure7"]["consistent_below"], color="0.8", linewidth=0.8, zorder=0)
        titled(ax, title, "Tc", "R²" if score != "nrmse" else "NRMSE")
        ax.set_ylim(bottom=0)
    legend_below(figure, axes[-1], len(PANELS))
    return figure


def tell(record: Record) -> Told:
    limit = poster()["figure7"]["consistent_below"]
    claims, rows = [], []
    quiet = [row for row in record["rows"] if row["way"] == NOISY]
    for pairing, name in PAIRS.items():
        r2 = series(record, pairing, WALK, "r2")
        error = series(record, pairing, WALK, "nrmse")
        alone = series(record, pairing, SINGLE, "nrmse")
        noisy = sum(row["nrmse"] for row in quiet) / len(quiet)
        early, off = ([found[tc] for tc in found if tc < limit] for found in (r2, error))
        wide = max(early) - min(early)
        own = [v for tc, v in series(record, pairing, SINGLE, "r2").items() if tc < limit]
        share = max(off) / min(off) - 1
        lost = sum(e > noisy for e in error.values())
        worse = sum(error[tc] > alone[tc] for tc in error)
        claims.append(
            Claim(
                f"Figure 7: consistent for Tc < {limit} ({name})",
                qualified(wide <= CONSISTENT, max(off) < noisy)
                if len(early) > 1
                else "cannot be judged",
                f"Among Tc < {limit} the poster's R² varies by {wide:.3f} (up to {CONSISTENT} "
                f"counts as consistent), the true error by {share:.0%} "
                f"({'consistent too' if share <= SAME_ERROR else 'not consistent'}: up to "
                f"{SAME_ERROR:.0%}). A single pass's R² varies by "
                f"{max(own) - min(own):.3f}. Beyond, the walk's R² is at least "
                f"{min((r2[tc] for tc in r2 if tc >= limit), default=float('nan')):.3f}. The walk "
                f"errs more than its own single pass at {worse} of {len(error)} values of Tc, "
                f"and more than the noisy scan at {lost}.",
            )
        )
        for tc in r2:
            raw = series(record, pairing, WALK, "r2_raw")[tc]
            cells = f"{r2[tc]:.3f}", f"{raw:.3f}", f"{error[tc]:.4f}", f"{alone[tc]:.4f}"
            rows.append([name, str(tc), *cells])
    heads = ["pair", "Tc", "R² (poster's)", "R², raw", "NRMSE, walk", "NRMSE, single pass"]
    lines = [
        *table(heads, rows),
        f"The noisy scan: R² {quiet[0]['r2']:.3f}, NRMSE {quiet[0]['nrmse']:.4f}. R² by the "
        "tensor, three folds, squared Pearson correlation over the DWIs, median over white matter.",
        "",
    ]
    return Told(claims, lines)


EXPERIMENT = Experiment("figure7", "Figure 7: Tc against R²", SETTINGS, measure, tell, draw)

if __name__ == "__main__":
    main(EXPERIMENT)
