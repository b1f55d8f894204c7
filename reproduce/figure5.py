"""Figure 5: signals that DTI and CSD predict against measured ones, and R², in two regions.

``python -m reproduce.figure5 here [--data HARDI.nii.gz]``. Three folds; R² is the squared Pearson
correlation over the DWIs, its median over a region's voxels. The poster scores denoised against
denoised, which rewards blur: the raw volumes are the target first, theirs beside it.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dwiser.evaluate.kfold import MODELS, VOXELS, kfold_prediction, r_squared
from dwiser.evaluate.snr import corpus_callosum
from dwiser.evaluate.tensor import fit_tensor
from dwiser.scan import Scan
from dwiser.seeds import stream
from reproduce.arms import ALL, BLUR, DIFUSION, NOISY, PREDICTED, SPLITQ, denoised
from reproduce.claims import Claim, Told, qualified, table
from reproduce.data import made, nrmse, real
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main
from reproduce.regions import centrum_semiovale, crossing
from reproduce.style import canvas, dot, legend, titled

METHODS = {name: ALL[name] for name in (NOISY, "MPPCA", "P2S", DIFUSION, PREDICTED, SPLITQ)} | BLUR
CALLOSUM, CENTRUM = "corpus callosum", "centrum semiovale"
TARGETS = {"raw": "against the raw volumes", "denoised": "against the denoised (the poster's)"}
ROOM = 0.45  # of the axis, over the points
SHOWN = NOISY, DIFUSION, PREDICTED, SPLITQ  # in the scatter plots
SMOKE = Setting((40, 48, 16), 24, 2, preset="smoke", iterations=2,
                more={"crop": None, "voxels": 8, "methods": (NOISY, DIFUSION)})  # fmt: skip
SETTINGS = {
    "smoke": SMOKE,
    "here": Setting((40, 48, 16), 24, 4, iterations=200, seeds=1,
                    more={"crop": None, "voxels": 100, "methods": tuple(METHODS)}),
    "full": replace(FULL, seeds=1, more={"crop": (0, 0, 0), "voxels": VOXELS,
                                         "methods": tuple(METHODS)}),
}  # fmt: skip


def measure(run: Run) -> Record:
    phantom = made(run, run.seed)
    scan, mask = phantom.scan, phantom.mask
    truth = fit_tensor(phantom.truth, scan.gradients, mask)
    regions = {
        CALLOSUM: corpus_callosum(truth, mask, scan.affine),
        CENTRUM: crossing(phantom),
    }
    dwis, rows = ~scan.gradients.is_b0, []
    for label in run.setting["methods"]:
        data = denoised(METHODS[label], scan, run, run.seed).data
        error = nrmse(data, phantom.truth, mask, dwis)
        rows += [r | {"nrmse": error} for r in scored(run, "phantom", label, data, scan, regions)]
        run.say(label)
    found, name = real(run)
    if found is not None:
        maps = fit_tensor(found.data, found.gradients, np.ones(found.shape[:3], bool))
        whole = maps.fa > 0
        callosum = corpus_callosum(maps, whole, found.affine)
        places = {CALLOSUM: callosum,
                  CENTRUM: centrum_semiovale(maps, callosum, found.affine)}  # fmt: skip
        for label in run.setting["methods"]:
            data = denoised(METHODS[label], found, run, run.seed).data
            rows += scored(run, "real", label, data, found, places)
    return {"real_scan": name, "rows": rows}


def scored(
    run: Run, source: str, label: str, data: np.ndarray, scan: Scan, regions: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """R² by model and region, and the points of the voxel nearest the region's median."""
    rows, table = [], scan.gradients
    dwis = ~table.is_b0
    for region, where in regions.items():
        places = np.argwhere(where)
        some = stream(run.seed, "figure 5").permutation(len(places))[: run.setting["voxels"]]
        at = tuple(places[np.sort(some)].T)
        own, raw = data[at], scan.data[at]
        for model, predict in MODELS.items():
            guess = kfold_prediction(own, table, predict=predict, seed=run.seed)
            r2 = {"raw": r_squared(guess, raw, table), "denoised": r_squared(guess, own, table)}
            voxel = int(np.argsort(r2["denoised"])[len(r2["denoised"]) // 2])
            row: dict[str, Any] = {"source": source, "method": label, "region": region}
            row |= {"model": model, "voxels": len(own)}
            row |= {f"r2_{k}": float(np.median(v)) for k, v in r2.items()}
            points = {"predicted": guess, "measured": own, "raw": raw}
            rows.append(row | {k: v[voxel, dwis].tolist() for k, v in points.items()})
    return rows


def draw(record: Record) -> Figure:
    kinds = [(region, model) for region in (CALLOSUM, CENTRUM) for model in MODELS]
    figure, axes = canvas(len(kinds), 2, panel=3.0)
    for column, (region, model) in enumerate(kinds):
        for down, (target, values) in enumerate((("raw", "raw"), ("denoised", "measured"))):
            ax = axes[down * len(kinds) + column]
            for i, method in enumerate(SHOWN):
                row = _row(record, method, region, model)
                if row is None:
                    continue
                name = f"{method}: R² {row[f'r2_{target}']:.2f}"
                ax.plot(row[values], row["predicted"], label=name, alpha=0.75, **dot(i))
            low, high = (f(*ax.get_xlim(), *ax.get_ylim()) for f in (min, max))
            high += ROOM * (high - low)  # for the legend
            ax.set(xlim=(low, high), ylim=(low, high))
            ax.axline((low, low), slope=1, color="0.7", linewidth=0.8, zorder=0)
            titled(ax, f"{region}, {model.upper()}", f"measured, {target}", "predicted")
            legend(ax, loc="upper left")
    return figure


def _row(record: Record, method: str, region: str, model: str) -> dict[str, Any] | None:
    wanted = {"source": "phantom", "method": method, "region": region, "model": model}
    return next((r for r in record["rows"] if wanted.items() <= r.items()), None)


def tell(record: Record) -> Told:
    lines, claims = [], []
    for source in dict.fromkeys(r["source"] for r in record["rows"]):
        rows = [r for r in record["rows"] if r["source"] == source]
        cells, methods = [], list(dict.fromkeys(r["method"] for r in rows))
        keys = [(g, m, t) for g in (CALLOSUM, CENTRUM) for m in MODELS for t in TARGETS]
        for method in methods:
            found = {(r["region"], r["model"]): r for r in rows if r["method"] == method}
            cells.append([method, *(f"{found[g, m][f'r2_{t}']:.3f}" for g, m, t in keys)])
        heads = [f"{g}, {m.upper()}, {t}" for g, m, t in keys]
        name = "The phantom" if source == "phantom" else record["real_scan"]
        lines += [
            f"**{name}**: R², raw and denoised as the target",
            "",
            *table(["", *heads], cells),
        ]
        if source == "phantom":
            claims = _claims(rows, keys)
    lines += [
        "The plots show the voxel whose R² (the poster's) is the region's median, chosen for each "
        "method on its own; the R² in the legends is the region's.",
        "",
    ]
    return Told(claims, lines)


def _claims(rows: list[dict[str, Any]], keys: list[tuple[str, str, str]]) -> list[Claim]:
    error = {r["method"]: r["nrmse"] for r in rows}
    claims = []
    for method in (m for m in (DIFUSION, PREDICTED) if m in error):
        for target, told in TARGETS.items():
            at = [(g, m) for g, m, t in keys if t == target]
            gain = []
            for region, model in at:
                r2 = {r["method"]: r[f"r2_{target}"] for r in rows
                      if (r["region"], r["model"]) == (region, model)}  # fmt: skip
                gain.append(r2[method] - r2[NOISY])
            better = sum(g > 0 for g in gain)
            claims.append(
                Claim(
                    f"Figure 5: a higher R² with Di-Fusion, {told} ({method})",
                    qualified(better == len(gain), error[method] < error[NOISY]),
                    f"Higher than the noisy scan's in {better} of {len(gain)} (region, model), by "
                    f"{np.mean(gain):+.3f} on average; true NRMSE {error[method]:.4f}, the noisy "
                    f"scan's {error[NOISY]:.4f}.",
                )
            )
    return claims


EXPERIMENT = Experiment(
    "figure5", "Figure 5: microstructure models, three folds", SETTINGS, measure, tell, draw
)

if __name__ == "__main__":
    main(EXPERIMENT)
