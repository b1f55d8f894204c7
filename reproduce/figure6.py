"""Figure 6: the ablation, one factor at a time, with the single pass as the control.

``python -m reproduce.figure6 here``. The base is Di-Fusion without a stop rule, so that every
slice takes all of its steps: with the program's threshold most slices stop at their first
evaluation, and nothing of the sampling would be left to compare. Noise2Noise with the same pair,
network and budget is the control beside Di-Fusion's own single pass.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dwiser.methods.registry import build
from dwiser.run import denoise
from reproduce.claims import Claim, Told, qualified, table
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main
from reproduce.scores import PAIRS, Bench
from reproduce.style import canvas, dot, legend_below, titled

BASE, SINGLE, CONTROL, NOISY = "Di-Fusion (base)", "single pass", "Noise2Noise", "noisy scan"
TRAININGS: dict[str, dict[str, Any]] = {  # each differs from the base in one factor
    BASE: {},
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
PANELS = {"nrmse": "NRMSE of the DWIs", "fa_rmse": "RMSE of FA",
          "r2": "R², DTI (the poster's)", "r2_raw": "R², DTI, raw"}  # fmt: skip
MARGIN = 0.01  # of the error: less is a tie
SMOKE = Setting((16, 20, 3), 15, 4, 20.0, "smoke", 3, 1)
SETTINGS = {
    "smoke": SMOKE,
    "here": Setting((28, 34, 3), 20, 4, iterations=200, seeds=1),
    "full": FULL,
}


def measure(run: Run) -> Record:
    rows: list[dict[str, Any]] = []
    for seed in range(run.seed, run.seed + run.setting.seeds):
        bench = Bench.of(run, seed)
        rows.append({"arm": NOISY, "seed": seed, **bench.scores(bench.made.scan.data)})
        for pairing in PAIRS:
            for arm, result, evaluations in arms(bench, pairing):
                row = {"arm": arm, "pairing": pairing, "seed": seed, "evaluations": evaluations}
                rows.append(row | bench.scores(result))
                run.say(f"seed {seed}, {pairing}: {arm}")
    return {"rows": rows}


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
    yield CONTROL, denoise(bench.made.scan, control, threads=bench.run.threads,
                           seed=bench.seed).data, 1  # fmt: skip


def mean(record: Record, pairing: str | None, arm: str, score: str) -> float | None:
    """A score's mean over the seeds; None where it could not be had."""
    chosen = [r for r in record["rows"] if r["arm"] == arm and r.get("pairing") == pairing]
    found = [r[score] for r in chosen if score in r]
    return float(np.mean(found)) if found else None


def names(record: Record) -> list[str]:
    return [a for a in dict.fromkeys(r["arm"] for r in record["rows"]) if a != NOISY]


def draw(record: Record) -> Figure:
    figure, axes = canvas(len(PANELS), panel=3.0)
    arms = names(record)
    places = np.arange(len(arms))[::-1]
    for ax, (score, title) in zip(axes, PANELS.items(), strict=True):
        for i, (pairing, name) in enumerate(PAIRS.items()):
            found = [mean(record, pairing, arm, score) for arm in arms]
            ax.plot(found, places - 0.12 + 0.24 * i, label=name, **dot(i))
        level = mean(record, None, NOISY, score)
        ax.axvline(level, color="0.5", linestyle=(0, (1, 1)), label=NOISY)
        titled(ax, title, "", "")
        ax.set_yticks(places, arms if ax is axes[0] else [], fontsize=8)
        ax.grid(axis="y", color="0.9", linewidth=0.6)
        ax.set_xlim(left=0)
    legend_below(figure, axes[-1], len(PAIRS) + 1)
    return figure


def tell(record: Record) -> Told:
    claims, rows = [], []
    for pairing, name in PAIRS.items():
        error = {arm: mean(record, pairing, arm, "nrmse") for arm in names(record)}
        for arm in names(record):
            cells = [mean(record, pairing, arm, score) for score in PANELS]
            rows.append([name, arm, *("–" if c is None else f"{c:.4f}" for c in cells)])
        base, noisy = error[BASE], mean(record, None, NOISY, "nrmse")
        lost = "" if base < noisy else f" Worse than the noisy scan ({noisy:.4f})."
        for arm, factor in FACTORS.items():
            claims.append(
                Claim(
                    f"Figure 6: {factor} helps ({name})",
                    qualified(base < error[arm] * (1 - MARGIN), base < noisy),
                    f"NRMSE {base:.4f} with it, {error[arm]:.4f} without ({arm}).{lost}",
                )
            )
        control = min(error[SINGLE], error[CONTROL])
        claims.append(
            Claim(
                f"Figure 6: iterating is better than a single pass ({name})",
                qualified(base < control * (1 - MARGIN), base < noisy),
                f"NRMSE {base:.4f} for Run-Walk to its end, {error[SINGLE]:.4f} for the same "
                f"network's single pass, {error[CONTROL]:.4f} for Noise2Noise at the same budget; "
                f"{noisy:.4f} for the noisy scan.",
            )
        )
    quiet = [["", NOISY, *(f"{mean(record, None, NOISY, s):.4f}" for s in PANELS)]]
    lines = [
        *table(["pair", "arm", *PANELS.values()], quiet + rows),
        f"One factor at a time; a difference below {MARGIN:.0%} of the error is no help. The "
        "poster's figure shows no numbers, so there are none beside these.",
        "",
    ]
    return Told(claims, lines)


EXPERIMENT = Experiment("figure6", "Figure 6: the ablation", SETTINGS, measure, tell, draw)

if __name__ == "__main__":
    main(EXPERIMENT)
