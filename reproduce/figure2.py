"""Figure 2's claims: drift, diversity, control by the threshold, Run-Walk's saving.

``python -m reproduce.figure2 here``. (a) At every step the error x_out − x is regressed on
x' − x, all noiseless but x_out: slope 1 is the partner's contrast, 0 no drift; and on the noise of
x itself, which the fusion puts into the input. (b) sd over trainings, latter steps against all.
(c) Eq. 13's threshold swept. (d) 301 evaluations against Run-Walk's 76.
"""

from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dwiser.evaluation.snr import repeatability
from dwiser.methods.base import Weights
from dwiser.methods.difusion.method import Difusion
from reproduce.claims import AgainstNoisy, Claim, Told, at_budget, table, verdict
from reproduce.drift import watched
from reproduce.poster import poster
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main, on_gpu
from reproduce.scores import PAIRS, Known
from reproduce.style import canvas, legend, line, titled

FUSIONS = {"target": "with Fusion", "neighbour": "x' only"}
ALL_STEPS = 999
THRESHOLDS = 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24
PROGRAM = 0.04  # the released program's threshold
LESS = 0.02  # of slope: a smaller difference is none
SLACK = 0.01  # of the error: Run-Walk may err by this share more and still be called as good
SMOKE = Setting((16, 20, 3), 12, 4, 20.0, "smoke", 3, 2, {"thresholds": (0.04, 0.24)})
HERE = Setting((28, 34, 3), 20, 4, iterations=200, more={"thresholds": THRESHOLDS})
SETTINGS = {
    "smoke": SMOKE,
    "here": HERE,
    "gpu": on_gpu(HERE),
    "full": replace(FULL, more={"thresholds": THRESHOLDS}),
}


def measure(run: Run) -> Record:
    bench = Known.of(run, run.seed)
    noisy = bench.errors(bench.made.scan.data)["nrmse"]
    record: Record = {"noisy_nrmse": noisy, "drift": drift(bench), "diversity": []}
    record |= {"thresholds": [], "paces": []}
    for pairing in PAIRS:
        method = bench.method(pairing=pairing, stop="never")
        trained = [bench.fit(method, seed) for seed in range(run.setting.seeds)]
        record["diversity"] += diversity(bench, method, trained)
        run.say(f"{pairing}: diversity done")
        record["thresholds"] += swept(bench, method, trained[0])
        record["paces"] += paces(bench, method, trained[0])
        run.say(f"{pairing}: done")
    return record


def drift(bench: Known) -> list[dict[str, Any]]:
    """Slopes of the error at every step, with Fusion and with x' in both places."""
    rows = []
    for fusion in FUSIONS:
        method = bench.method(pairing="adjacent", fusion=fusion, stop="never")
        seen = watched(method, bench.made)
        bench.apply(seen, bench.fit(method))
        rows.append({"fusion": fusion, "step": list(method.steps), **seen.slopes.by_name()})
    return rows


def diversity(bench: Known, method: Difusion, trained: list[Weights]) -> list[dict[str, Any]]:
    """The sd of results over trainings, over the truth's RMS: latter steps, then all."""
    rows, dwis = [], ~bench.made.scan.gradients.is_b0
    everything = replace(method, latter=ALL_STEPS)
    again = [bench.fit(everything, seed) for seed in range(len(trained))]
    for chosen, weights in ((method, trained), (everything, again)):
        results = [bench.apply(chosen, w, i).data[..., dwis] for i, w in enumerate(weights)]
        scale = float(np.sqrt((bench.made.truth[bench.made.mask][:, dwis] ** 2).mean()))
        sd = repeatability(results, bench.made.mask).sd / scale
        rows.append({"pairing": method.pairing, "latter": chosen.latter, "sd": sd})
    return rows


def swept(bench: Known, method: Difusion, weights: Weights) -> list[dict[str, Any]]:
    """Eq. 13's threshold: mean evaluations, share stopped at the first, true error."""
    rows = []
    for threshold in bench.run.setting["thresholds"]:
        result = bench.apply(replace(method, stop="adaptive", threshold=threshold), weights)
        told = result.record["sampling"]
        kept = {k: told[k] for k in ("mean_evaluations", "first_stop_share")}
        row = {"pairing": method.pairing, "threshold": threshold, **kept}
        rows.append(row | {"nrmse": bench.errors(result.data)["nrmse"]})
    return rows


def paces(bench: Known, method: Difusion, weights: Weights) -> list[dict[str, Any]]:
    """Walking every step, Run-Walk, and a single pass: processor's seconds and error."""
    turn = poster()["difusion"]["latter"]
    ways = {"walk": {"turn": turn}, "Run-Walk": {}, "single pass": {"evaluations": 1}}
    rows = []
    for way, settings in ways.items():
        chosen = replace(method, **settings)
        began = process_time()
        data = bench.apply(chosen, weights).data
        row = {"pairing": method.pairing, "way": way, "evaluations": len(chosen.steps)}
        row |= {"cpu_seconds": process_time() - began}
        rows.append(row | {"nrmse": bench.errors(data)["nrmse"]})
    return rows


def draw(record: Record) -> Figure:
    figure, axes = canvas(2, 2)
    for i, row in enumerate(record["drift"]):
        name = FUSIONS[row["fusion"]]
        axes[0].plot(row["step"], row["partner"], label=name, **line(i, marks=False))
        axes[1].plot(row["step"], row["own noise"], label=name, **line(i, marks=False))
    for ax in axes[:2]:
        ax.axhline(0, color="0.7", linewidth=0.8)
        ax.invert_xaxis()
    titled(axes[0], "drift: slope of the error on x' − x", "step t (sampling →)", "slope")
    titled(axes[1], "x's own noise in x_out", "step t (sampling →)", "slope")
    for i, (pairing, name) in enumerate(PAIRS.items()):
        rows = [r for r in record["thresholds"] if r["pairing"] == pairing]
        at = [r["threshold"] for r in rows]
        axes[2].plot(at, [r["mean_evaluations"] for r in rows], label=name, **line(i))
        axes[3].plot(at, [r["nrmse"] for r in rows], label=name, **line(i))
    axes[3].axhline(record["noisy_nrmse"], color="0.5", linestyle=(0, (1, 1)), label="noisy scan")
    titled(axes[2], "control: how far slices go", "threshold (Eq. 13)", "mean evaluations")
    titled(axes[3], "control: what it costs", "threshold (Eq. 13)", "NRMSE of the DWIs")
    for ax in axes:
        ax.axvline(PROGRAM, color="0.85", linewidth=0.8, zorder=0) if ax in axes[2:] else None
        legend(ax)
    axes[3].set_ylim(bottom=0)
    return figure


def tell(record: Record) -> Told:
    at_end = {r["fusion"]: r["partner"][-1] for r in record["drift"]}
    noise = {r["fusion"]: r["own noise"][-1] for r in record["drift"]}
    mean = {r["fusion"]: float(np.mean(r["partner"])) for r in record["drift"]}
    claims = [
        Claim(
            "Figure 2a: Fusion avoids drift",
            verdict(abs(at_end["target"]) < abs(at_end["neighbour"]) - LESS),
            f"Slope towards the partner's contrast at the last step: {at_end['target']:.3f} with "
            f"Fusion, {at_end['neighbour']:.3f} without (over all steps {mean['target']:.3f} and "
            f"{mean['neighbour']:.3f}; less than {LESS} apart counts as none). What Fusion leaves "
            f"of x's own noise at the last step: {noise['target']:.3f}, without it "
            f"{noise['neighbour']:.3f}.",
        )
    ]
    claims = [at_budget(claim, record["size"], alone(record, "adjacent")) for claim in claims]
    for pairing, name in PAIRS.items():
        claims += [
            at_budget(claim, record["size"], alone(record, pairing))
            for claim in _of_pair(record, pairing, name)
        ]
    rows = [
        [PAIRS[r["pairing"]], f"{r['threshold']:g}", f"{r['mean_evaluations']:.1f}",
         f"{r['first_stop_share']:.0%}", f"{r['nrmse']:.4f}"]
        for r in record["thresholds"]
    ]  # fmt: skip
    heads = ["pair", "threshold", "mean evaluations", "stopped at the first", "NRMSE"]
    return Told(claims, [*table(heads, rows), f"The noisy scan: {record['noisy_nrmse']:.4f}.", ""])


def alone(record: Record, pairing: str) -> AgainstNoisy:
    """The single pass of a pair's network, against the noisy scan."""
    rows = (r for r in record["paces"] if r["pairing"] == pairing)
    own = next((r["nrmse"] for r in rows if r["way"] == "single pass"), None)
    return AgainstNoisy("its single pass", "NRMSE", own, record["noisy_nrmse"])


def _of_pair(record: Record, pairing: str, name: str) -> list[Claim]:
    latter, everything = (r["sd"] for r in record["diversity"] if r["pairing"] == pairing)
    rows = [r for r in record["thresholds"] if r["pairing"] == pairing]
    far = [r["mean_evaluations"] for r in rows]
    best = min(rows, key=lambda r: r["nrmse"])
    program = next(r for r in rows if r["threshold"] == PROGRAM)
    pace = {r["way"]: r for r in record["paces"] if r["pairing"] == pairing}
    slow, fast, single = (pace[w] for w in ("walk", "Run-Walk", "single pass"))
    return [
        Claim(
            f"Figure 2b: training the latter steps restricts diversity ({name})",
            verdict(latter < everything),
            f"sd over {record['size']['seeds']} trainings, of the signal's RMS: {latter:.4f} with "
            f"the latter steps, {everything:.4f} with all.",
        ),
        Claim(
            f"Figure 3: adaptive and controllable by the threshold ({name})",
            verdict(far == sorted(far) and far[-1] > far[0]),
            f"Mean evaluations go from {far[0]:.1f} to {far[-1]:.1f} over the thresholds; at the "
            f"program's {PROGRAM} {program['first_stop_share']:.0%} of the slices stop at their "
            f"first evaluation. The true error is least ({best['nrmse']:.4f}) at "
            f"{best['threshold']:g}, where slices take {best['mean_evaluations']:.1f}; a single "
            f"pass has {single['nrmse']:.4f}.",
        ),
        Claim(
            f"Figure 2c: Run-Walk accelerates ({name})",
            verdict(
                fast["cpu_seconds"] < slow["cpu_seconds"]
                and fast["nrmse"] <= slow["nrmse"] * (1 + SLACK)
            ),
            f"{slow['evaluations']} evaluations in {slow['cpu_seconds']:.1f} s against "
            f"{fast['evaluations']} in {fast['cpu_seconds']:.1f} s; NRMSE {slow['nrmse']:.4f} and "
            f"{fast['nrmse']:.4f}. A single pass takes {single['cpu_seconds']:.1f} s and has "
            f"{single['nrmse']:.4f}.",
        ),
    ]


EXPERIMENT = Experiment(
    "figure2", "Figure 2: drift, diversity, control, Run-Walk", SETTINGS, measure, tell, draw
)

if __name__ == "__main__":
    main(EXPERIMENT)
