"""Figure 7: Tc from 100 to 1000 against R² and against the true error.

``python -m reproduce.figure7 here``. The poster shows R² alone and says: consistent for Tc < 500.
Each Tc is a training of its own on t ~ U{1 … Tc} and a walk from Tc to the end (no stop rule). The
same network's single pass at Tc stands beside it: what the iteration adds. On a phantom with its
true error, on a real scan with R² alone.
"""

from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from reproduce.claims import AgainstNoisy, Claim, Told, at_budget, qualified, table
from reproduce.poster import poster
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main, on_gpu
from reproduce.scores import PAIRS, PHANTOM, REAL, SOURCES, Bench, benches, sources
from reproduce.style import NARROW, canvas, legend_below, line, titled

TCS = 100, 200, 300, 400, 500, 600, 700, 800, 900, 999
FEW = 100, 300, 400, 500, 700, 999
WALK, SINGLE, NOISY = "walk", "single pass", "noisy"
SCORES = {"r2": "R², denoised (the poster's)", "r2_raw": "R², raw", "nrmse": "true error"}
AXES = {"r2": "R²", "r2_raw": "R²", "nrmse": "NRMSE"}
PANELS = ((PHANTOM, "r2"), (PHANTOM, "r2_raw"), (PHANTOM, "nrmse"), (REAL, "r2"),
          (REAL, "r2_raw"))  # fmt: skip
CONSISTENT = 0.02  # R² may vary by this much among the Tc that are called consistent
SAME_ERROR = 0.1  # and the true error by this share
SMOKE = Setting((16, 20, 3), 15, 4, 20.0, "smoke", 3, 1,
                {"tc": (100, 999), "crop": None})  # fmt: skip
HERE = Setting((28, 34, 3), 20, 4, iterations=600, seeds=1, more={"tc": FEW, "crop": (28, 34, 3)})
SETTINGS = {
    "smoke": SMOKE,
    "here": HERE,
    "gpu": on_gpu(HERE),
    "full": replace(FULL, more={"tc": TCS, "crop": (0, 0, 0)}),
}


def measure(run: Run) -> Record:
    rows: list[dict[str, Any]] = []
    of_sources, name = benches(run)
    for source, bench in of_sources:
        where = {"source": source, "seed": bench.seed}
        rows.append({"way": NOISY, **where, **bench.scores(bench.scan.data)})
        for pairing in PAIRS:
            for tc in run.setting["tc"]:
                rows += [where | row for row in trained(bench, pairing, tc)]
                run.say(f"{source}, seed {bench.seed}, {pairing}, Tc = {tc} done")
    return {"real_scan": name, "rows": rows}


def trained(bench: Bench, pairing: str, tc: int) -> list[dict[str, Any]]:
    """A training up to Tc: its whole walk's scores, and its single pass's."""
    method = bench.method(pairing=pairing, latter=tc, stop="never")
    weights = bench.fit(method)
    rows = []
    for way, chosen in ((WALK, method), (SINGLE, replace(method, evaluations=1))):
        result = bench.apply(chosen, weights)
        row = {"way": way, "pairing": pairing, "tc": tc, "evaluations": len(chosen.steps)}
        rows.append(row | bench.scores(result.data))
    return rows


def series(
    record: Record, pairing: str, way: str, score: str, source: str = PHANTOM
) -> dict[int, float]:
    """Tc → the mean over the seeds; scores that could not be had are left out."""
    wanted = {"source": source, "way": way, "pairing": pairing}
    scores: dict[int, list[float]] = {}
    for row in record["rows"]:
        if wanted.items() <= row.items() and score in row:
            scores.setdefault(row["tc"], []).append(row[score])
    return {tc: sum(v) / len(v) for tc, v in sorted(scores.items())}


def noisy(record: Record, score: str, source: str = PHANTOM) -> float:
    """The noisy scan's score, its mean over the seeds."""
    wanted = {"source": source, "way": NOISY}
    scores = [row[score] for row in record["rows"] if wanted.items() <= row.items()]
    return float(sum(scores) / len(scores))


def draw(record: Record) -> Figure:
    panels = [(source, score) for source, score in PANELS if source in sources(record)]
    figure, axes = canvas(3, 1 + (len(panels) > 3), panel=NARROW)
    for ax, (source, score) in zip(axes, panels, strict=False):
        number = 0
        for pairing, name in PAIRS.items():
            for way in (WALK, SINGLE):
                means = series(record, pairing, way, score, source)
                ax.plot(list(means), list(means.values()), label=f"{name}, {way}", **line(number))
                number += 1
        level = noisy(record, score, source)
        ax.axhline(level, label="noisy scan", color="0.5", linewidth=1.2, linestyle=(0, (1, 1)))
        ax.axvline(poster()["figure7"]["consistent_below"], color="0.8", linewidth=0.8, zorder=0)
        titled(ax, f"{SOURCES[source]}:\n{SCORES[score]}", "Tc", AXES[score])
        ax.set_ylim(bottom=0)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    legend_below(figure, axes[0], 3)
    return figure


def tell(record: Record) -> Told:
    claims, lines = [], []
    for source in sources(record):
        rows = []
        for pairing, name in PAIRS.items():
            claims.append(_claim(record, pairing, f"{name}, {SOURCES[source]}", source))
            walk, alone = ({s: series(record, pairing, way, s, source) for s in SCORES}
                           for way in (WALK, SINGLE))  # fmt: skip
            for tc in walk["r2"]:
                cells = [f"{x[s][tc]:.3f}" for x in (walk, alone) for s in ("r2", "r2_raw")]
                true = [f"{x['nrmse'][tc]:.4f}" for x in (walk, alone)] if walk["nrmse"] else []
                rows.append([name, str(tc), *cells, *true])
        heads = [f"{s}, {way}" for way in (WALK, SINGLE) for s in ("R² (poster's)", "R², raw")]
        true = ["NRMSE, walk", "NRMSE, single pass"] if source == PHANTOM else []
        told = "The phantom" if source == PHANTOM else record["real_scan"]
        error = f", NRMSE {noisy(record, 'nrmse'):.4f}" if source == PHANTOM else ""
        lines += [
            f"**{told}**", "", *table(["pair", "Tc", *heads, *true], rows),
            f"The noisy scan: R² {noisy(record, 'r2', source):.3f}{error}.", "",
        ]  # fmt: skip
    lines += [
        "Every walk goes to its end: no stop rule. R² by the tensor, three folds, squared Pearson "
        "correlation over the DWIs, median over white matter.",
        "",
    ]
    return Told(claims, lines)


def _claim(record: Record, pairing: str, name: str, source: str) -> Claim:
    """Consistent by the poster's R²; in full only where the walk is no worse than no denoising."""
    limit = poster()["figure7"]["consistent_below"]
    walk, alone = ({s: series(record, pairing, way, s, source) for s in SCORES}
                   for way in (WALK, SINGLE))  # fmt: skip
    early = {s: [v for tc, v in walk[s].items() if tc < limit] for s in SCORES}
    own = [v for tc, v in alone["r2"].items() if tc < limit]
    wide = max(early["r2"]) - min(early["r2"])
    told = (
        f"Among Tc < {limit} the poster's R² varies by {wide:.3f} (up to {CONSISTENT} counts as "
        f"consistent), a single pass's by {max(own) - min(own):.3f}. "
        f"Beyond, the walk's R² is at least "
        f"{min((v for tc, v in walk['r2'].items() if tc >= limit), default=float('nan')):.3f}; "
        f"the noisy scan's is {noisy(record, 'r2', source):.3f}."
    )
    if error := walk["nrmse"]:
        level = noisy(record, "nrmse")
        sound = max(early["nrmse"]) < level
        share = max(early["nrmse"]) / min(early["nrmse"]) - 1
        worse = sum(error[tc] > alone["nrmse"][tc] for tc in error)
        told += (
            f" The true error varies by {share:.0%} "
            f"({'consistent too' if share <= SAME_ERROR else 'not consistent'}: up to "
            f"{SAME_ERROR:.0%}). The walk has more error than its own single pass at {worse} of "
            f"{len(error)} values of Tc, and more than the noisy scan at "
            f"{sum(e > level for e in error.values())}."
        )
    else:
        sound = min(early["r2"]) > noisy(record, "r2", source)
    steady = qualified(wide <= CONSISTENT, sound) if len(own) > 1 else "cannot be judged"
    claim = Claim(f"Figure 7: consistent for Tc < {limit} ({name})", steady, told)
    single = {s: [v for tc, v in alone[s].items() if tc < limit] for s in SCORES}
    if single["nrmse"]:
        best = AgainstNoisy(
            "its best single pass", "NRMSE", min(single["nrmse"]), noisy(record, "nrmse")
        )
    else:
        raw = max(single["r2_raw"], default=None)
        best = AgainstNoisy(
            "its best single pass",
            "R² of the raw volumes",
            raw,
            noisy(record, "r2_raw", source),
            True,
        )
    return at_budget(claim, record["size"], best)


EXPERIMENT = Experiment("figure7", "Figure 7: Tc against R²", SETTINGS, measure, tell, draw)

if __name__ == "__main__":
    main(EXPERIMENT)
