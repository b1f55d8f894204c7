"""Figure 6: the ablation, one factor at a time, with the single pass as the control.

``python -m reproduce.figure6 here``. The base is Di-Fusion without a stop rule, so that every
slice takes all of its steps: with the program's threshold most slices stop at their first
evaluation, and nothing of the sampling would be left to compare. Noise2Noise with the same pair,
network and budget is the control beside Di-Fusion's own single pass. On a phantom with its true
error; on a real scan, whose truth nobody knows, with R² alone.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dwiser.methods.registry import build
from dwiser.run import denoise
from reproduce.claims import AgainstNoisy, Claim, Told, at_budget, qualified, row_name, table
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main, on_gpu
from reproduce.scores import PAIRS, PHANTOM, REAL, SOURCES, Bench, benches, sources
from reproduce.style import NARROW, canvas, dot, legend_below, titled

BASE, SINGLE, CONTROL, NOISY = "Di-Fusion (base)", "single pass", "Noise2Noise", "noisy scan"
TRAININGS: dict[str, dict[str, Any]] = {  # each differs from the base in one factor
    BASE: {"fusion": "target"},
    "x' in place of x in the fusion": {"fusion": "neighbour"},
    "all steps, Tc = 999": {"latter": 999},
    "Gaussian noise for Di-": {"noise": "gaussian"},
}
TURN_ALL = 10**6  # running turns into walking at once
SAMPLINGS: dict[str, dict[str, Any]] = {  # the base's network, sampled otherwise
    "walk only, 301 evaluations": {"turn": TURN_ALL},
    "run only, 31 evaluations": {"turn": 0},
    SINGLE: {"evaluations": 1},
}
FACTORS = {"x' in place of x in the fusion": "Fusion with x",
           "all steps, Tc = 999": "training the latter steps only",
           "Gaussian noise for Di-": "the Di- noise"}  # fmt: skip
SCORES = {"nrmse": "NRMSE of the DWIs", "fa_rmse": "RMSE of FA",
          "r2": "R², DTI (the poster's)", "r2_raw": "R², DTI, raw"}  # fmt: skip
WITHOUT_TRUTH = "r2", "r2_raw"
PANELS = ((PHANTOM, "nrmse"), (PHANTOM, "r2"), (PHANTOM, "r2_raw"), (PHANTOM, "fa_rmse"),
          (REAL, "r2"), (REAL, "r2_raw"))  # fmt: skip
MARGIN = 0.01  # of the error: less is a tie
SMOKE = Setting((16, 20, 3), 15, 4, 20.0, "smoke", 3, 1, {"crop": None})
HERE = Setting((28, 34, 3), 20, 4, iterations=200, seeds=1, more={"crop": (28, 34, 2)})
SETTINGS = {
    "smoke": SMOKE,
    "here": HERE,
    "gpu": on_gpu(HERE),
    "full": replace(FULL, more={"crop": (0, 0, 0)}),
}


def measure(run: Run) -> Record:
    rows: list[dict[str, Any]] = []
    of_sources, name = benches(run)
    for source, bench in of_sources:
        where = {"source": source, "seed": bench.seed}
        rows.append({"arm": NOISY, **where, **bench.scores(bench.scan.data)})
        for pairing in PAIRS:
            for arm, result, evaluations in arms(bench, pairing):
                row = {"arm": arm, "pairing": pairing, **where, "evaluations": evaluations}
                rows.append(row | bench.scores(result))
                run.say(f"{source}, seed {bench.seed}, {pairing}: {arm}")
    return {"real_scan": name, "rows": rows}


def arms(bench: Bench, pairing: str) -> Any:
    """(name, denoised data, evaluations a slice) of every arm with one pair."""
    for name, factor in TRAININGS.items():
        method = bench.method(pairing=pairing, stop="never", **factor)
        weights = bench.fit(method)
        yield name, bench.apply(method, weights).data, len(method.steps)
        if name == BASE:
            for other, settings in SAMPLINGS.items():
                chosen = replace(method, **settings)
                yield other, bench.apply(chosen, weights).data, len(chosen.steps)
    base = bench.method(pairing=pairing)
    control = build("noise2noise", bench.run.setting.preset, {
        "pairing": pairing, "iterations": base.iterations,
    })  # fmt: skip
    yield CONTROL, denoise(bench.scan, control, device=bench.run.device,
                           threads=bench.run.threads, seed=bench.seed).data, 1  # fmt: skip


def mean(
    record: Record, pairing: str | None, arm: str, score: str, source: str = PHANTOM
) -> float | None:
    """A score's mean over the seeds; None where it could not be had."""
    wanted = {"source": source, "arm": arm} | ({"pairing": pairing} if pairing else {})
    scores = [r[score] for r in record["rows"] if wanted.items() <= r.items() and score in r]
    return float(np.mean(scores)) if scores else None


def names(record: Record) -> list[str]:
    return [a for a in dict.fromkeys(r["arm"] for r in record["rows"]) if a != NOISY]


def draw(record: Record) -> Figure:
    panels = [(source, score) for source, score in PANELS if source in sources(record)]
    figure, axes = canvas(3, 2, panel=NARROW)
    arms = names(record)
    places = np.arange(len(arms))[::-1]
    for i, (ax, (source, score)) in enumerate(zip(axes, panels, strict=False)):
        for j, (pairing, name) in enumerate(PAIRS.items()):
            means = [mean(record, pairing, arm, score, source) for arm in arms]
            ax.plot(means, places - 0.12 + 0.24 * j, label=name, **dot(j))
        level = mean(record, None, NOISY, score, source)
        ax.axvline(level, color="0.5", linestyle=(0, (1, 1)), label=NOISY)
        titled(ax, f"{SOURCES[source]}:\n{SCORES[score]}", "", "")
        shown = [row_name(arm, record["size"]) for arm in arms]
        ax.set_yticks(places, shown if i % 3 == 0 else [], fontsize=8)
        ax.grid(axis="y", color="0.9", linewidth=0.6)
        ax.set_xlim(left=0)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    legend_below(figure, axes[0], len(PAIRS) + 1)
    return figure


def tell(record: Record) -> Told:
    claims, lines = [], []
    for pairing, name in PAIRS.items():
        claims += _claims(record, pairing, name)
    for source in sources(record):
        scores = [s for s in SCORES if source == PHANTOM or s in WITHOUT_TRUTH]
        rows = [["", NOISY, *(f"{mean(record, None, NOISY, s, source):.4f}" for s in scores)]]
        for pairing, name in PAIRS.items():
            for arm in names(record):
                cells = [mean(record, pairing, arm, score, source) for score in scores]
                shown = row_name(arm, record["size"])
                rows.append([name, shown, *("–" if c is None else f"{c:.4f}" for c in cells)])
        told = "The phantom" if source == PHANTOM else record["real_scan"]
        heads = ["pair", "arm", *(SCORES[s] for s in scores)]
        lines += [f"**{told}**", "", *table(heads, rows)]
    lines += [
        f"One factor at a time; a difference below {MARGIN:.0%} of the error is no help. The "
        "poster's figure shows no numbers, so there are none beside these.",
        "",
    ]
    return Told(claims, lines)


def _claims(record: Record, pairing: str, name: str) -> list[Claim]:
    """By the phantom's true error; what the real scan's R² says is told beside it."""
    error = {arm: mean(record, pairing, arm, "nrmse") or np.nan for arm in names(record)}
    base, noisy = error[BASE], mean(record, None, NOISY, "nrmse") or np.nan
    lost = "" if base < noisy else f" Worse than the noisy scan ({noisy:.4f})."
    claims = [
        Claim(
            f"Figure 6: {factor} helps ({name})",
            qualified(base < error[arm] * (1 - MARGIN), base < noisy),
            f"NRMSE {base:.4f} with it, {error[arm]:.4f} without ({arm}).{lost}"
            + _on_real(record, pairing, arm),
        )
        for arm, factor in FACTORS.items()
    ]
    control = min(error[SINGLE], error[CONTROL])
    iterating = Claim(
        f"Figure 6: iterating is better than a single pass ({name})",
        qualified(base < control * (1 - MARGIN), base < noisy),
        f"NRMSE {base:.4f} for Run-Walk to its end, {error[SINGLE]:.4f} for the same "
        f"network's single pass, {error[CONTROL]:.4f} for Noise2Noise at the same budget; "
        f"{noisy:.4f} for the noisy scan." + _on_real(record, pairing, SINGLE),
    )
    alone = AgainstNoisy("its single pass", "NRMSE", error[SINGLE], noisy)
    return [at_budget(claim, record["size"], alone) for claim in (*claims, iterating)]


def _on_real(record: Record, pairing: str, arm: str) -> str:
    """The real scan's R² against raw volumes, as a sentence; nothing where none was taken."""
    if REAL not in sources(record):
        return ""
    base, other = (mean(record, pairing, a, "r2_raw", REAL) for a in (BASE, arm))
    noisy = mean(record, None, NOISY, "r2_raw", REAL)
    return (
        f" On the real scan R² of the raw volumes is {base:.3f} and {other:.3f}, the noisy "
        f"scan's {noisy:.3f}."
    )


EXPERIMENT = Experiment("figure6", "Figure 6: the ablation", SETTINGS, measure, tell, draw)

if __name__ == "__main__":
    main(EXPERIMENT)
