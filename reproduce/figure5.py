"""Figure 5: signals that DTI and CSD predict against measured ones, and R², in two regions.

``python -m reproduce.figure5 here [--data HARDI.nii.gz]``. Three folds; R² is the squared Pearson
correlation over the DWIs, its median over a region's voxels. The poster scores denoised against
denoised, which rewards blur: the raw volumes are the target first, theirs beside it. The figure
shows the real scan where there is one, in one voxel a region for all methods.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dwiser.evaluation.kfold import MODELS, VOXELS, kfold_prediction, r_squared
from dwiser.evaluation.snr import corpus_callosum
from dwiser.evaluation.tensor import fit_tensor
from dwiser.scan import Scan
from dwiser.seeds import stream
from reproduce.arms import ALL, BLUR, DIFUSION, NOISY, PREDICTED, SPLITQ, denoised
from reproduce.claims import (
    Claim,
    Told,
    at_budget,
    qualified,
    row_name,
    table,
)
from reproduce.data import made, nrmse
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main, on_gpu
from reproduce.regions import Callosum, centrum_semiovale, crossing
from reproduce.scores import PHANTOM, REAL, SOURCES, on_phantom, sources
from reproduce.style import canvas, dot, legend_below

METHODS = {name: ALL[name] for name in (NOISY, "MPPCA", "P2S", DIFUSION, PREDICTED, SPLITQ)} | BLUR
CALLOSUM, CENTRUM = "corpus callosum", "centrum semiovale"
TARGETS = {"raw": "against the raw volumes", "denoised": "against the denoised (the poster's)"}
ROOM = 0.05  # of the axis, around the points
SHOWN = NOISY, DIFUSION, PREDICTED, SPLITQ  # in the scatter plots
SMOKE = Setting((40, 48, 16), 24, 2, preset="smoke", iterations=2,
                more={"crop": None, "voxels": 8, "methods": (NOISY, DIFUSION)})  # fmt: skip
HERE = Setting(
    (40, 48, 16),
    24,
    4,
    iterations=200,
    seeds=1,
    more={"crop": (52, 16, 30), "voxels": 100, "methods": tuple(METHODS)},
)
SETTINGS = {
    "smoke": SMOKE,
    "here": HERE,
    "gpu": on_gpu(HERE),
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
        rows += [r | {"nrmse": error} for r in scored(run, PHANTOM, label, data, scan, regions)]
        run.say(f"phantom: {label}")
    callosum, name = Callosum.of(run)
    if callosum is not None:
        centrum = centrum_semiovale(callosum.maps, callosum.inside, callosum.scan.affine)
        places = {CALLOSUM: callosum.inside, CENTRUM: centrum}
        for label in run.setting["methods"]:
            data = denoised(METHODS[label], callosum.scan, run, run.seed).data
            rows += scored(run, REAL, label, data, callosum.scan, places)
            run.say(f"real scan: {label}")
    return {"real_scan": name, "rows": rows}


def scored(
    run: Run, source: str, label: str, data: np.ndarray, scan: Scan, regions: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """R² by model and region, and the points of one voxel: the same for all methods.

    It is the one whose raw signal has the region's median R², and its R² is given beside.
    """
    rows, table = [], scan.gradients
    dwis = ~table.is_b0
    for region, where in regions.items():
        places = np.argwhere(where)
        some = stream(run.seed, "figure 5").permutation(len(places))[: run.setting["voxels"]]
        at = tuple(places[np.sort(some)].T)
        own, raw = data[at], scan.data[at]
        for model, predict in MODELS.items():
            given = {"predict": predict, "seed": run.seed}
            guess = kfold_prediction(own, table, **given)
            r2 = {"raw": r_squared(guess, raw, table), "denoised": r_squared(guess, own, table)}
            plain = r_squared(kfold_prediction(raw, table, **given), raw, table)
            voxel = int(np.argsort(plain)[len(plain) // 2])
            row: dict[str, Any] = {"source": source, "method": label, "region": region}
            row |= {"model": model, "voxels": len(own)}
            row |= {f"r2_{k}": float(np.median(v)) for k, v in r2.items()}
            row |= {f"voxel_r2_{k}": float(v[voxel]) for k, v in r2.items()}
            points = {"predicted": guess, "measured": own, "raw": raw}
            rows.append(row | {k: v[voxel, dwis].tolist() for k, v in points.items()})
    return rows


def draw(record: Record) -> Figure:
    """A column a method, a row a region and model: both targets in one panel."""
    source = REAL if any(r["source"] == REAL for r in record["rows"]) else PHANTOM
    kinds = [(region, model) for region in (CALLOSUM, CENTRUM) for model in MODELS]
    shown = [m for m in SHOWN if _row(record, source, m, *kinds[0])]
    figure, axes = canvas(len(shown), len(kinds), panel=SMALL)
    for down, (region, model) in enumerate(kinds):
        mine = axes[down * len(shown) : (down + 1) * len(shown)]
        rows = [_row(record, source, method, region, model) for method in shown]
        signals = np.concatenate([r[k] for r in rows for k in ("raw", "measured", "predicted")])
        low, high = signals.min(), signals.max()
        room = ROOM * (high - low)
        for i, (ax, row) in enumerate(zip(mine, rows, strict=True)):
            for j, (target, values) in enumerate((("raw", "raw"), ("denoised", "measured"))):
                name = f"measured: {target}"
                ax.plot(row[values], row["predicted"], label=name, alpha=0.75, **dot(j) | FACES[j])
            ax.set(xlim=(low - room, high + room), ylim=(low - room, high + room))
            ax.axline((low, low), slope=1, color="0.7", linewidth=0.8, zorder=0)
            told = f"R² {row['voxel_r2_raw']:.2f} raw, {row['voxel_r2_denoised']:.2f} den."
            name = row_name(row["method"], record["size"])
            head = name.replace(", ", ",\n") + "\n" if down == 0 else ""
            ax.set_title(head + told, fontsize=8, loc="left")
            ax.set_xlabel("measured signal" if down == len(kinds) - 1 else "")
            ax.set_ylabel(f"{region},\n{model.upper()}: predicted" if i == 0 else "", fontsize=8)
            ax.set_yticklabels([]) if i else None
    figure.suptitle(f"{SOURCES[source]}: signals in the scanner's units", fontsize=9.5)
    legend_below(figure, axes[0], 2)
    return figure


FACES = {"markersize": 3.5}, {"markersize": 3.5, "markerfacecolor": "none"}
SMALL = 1.8  # inches: four panels side by side


def _row(
    record: Record, source: str, method: str, region: str, model: str
) -> dict[str, Any] | None:
    wanted = {"source": source, "method": method, "region": region, "model": model}
    return next((r for r in record["rows"] if wanted.items() <= r.items()), None)


def tell(record: Record) -> Told:
    lines, claims = [], []
    for source in sources(record):
        rows = [r for r in record["rows"] if r["source"] == source]
        cells, methods = [], list(dict.fromkeys(r["method"] for r in rows))
        keys = [(g, m, t) for g in (CALLOSUM, CENTRUM) for m in MODELS for t in TARGETS]
        for method in methods:
            fits = {(r["region"], r["model"]): r for r in rows if r["method"] == method}
            cells.append(
                [
                    row_name(method, record["size"]),
                    *(f"{fits[g, m][f'r2_{t}']:.3f}" for g, m, t in keys),
                ]
            )
        heads = [f"{g}, {m.upper()}, {t}" for g, m, t in keys]
        name = "The phantom" if source == PHANTOM else record["real_scan"]
        lines += [
            f"**{name}**: R², raw and denoised as the target",
            "",
            *table(["", *heads], cells),
        ]
        claims += _claims(record, rows, keys, source)
    lines += [
        "The plots show one voxel a region and model, the same for all methods: where the raw "
        "signal's own R² is the region's median. The table's R² is the median over the region.",
        "",
    ]
    return Told(claims, lines)


def _claims(
    record: Record, rows: list[dict[str, Any]], keys: list[tuple[str, str, str]], source: str
) -> list[Claim]:
    """A higher R² than the noisy scan's; in full only where the true error, if known, is less."""
    error = {r["method"]: r.get("nrmse") for r in rows}
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
            own, noisy, known = error[method], error[NOISY], ""
            if own is not None and noisy is not None:
                known = f"; true NRMSE {own:.4f}, the noisy scan's {noisy:.4f}"
            shown = row_name(method, record["size"])
            claim = Claim(
                f"Figure 5: a higher R² with Di-Fusion, {told} ({shown}, {SOURCES[source]})",
                qualified(better == len(gain), not known or own < noisy),
                f"Higher than the noisy scan's in {better} of {len(gain)} (region, model), by "
                f"{np.mean(gain):+.3f} on average{known}.",
            )
            claims.append(at_budget(claim, record["size"], on_phantom(record, method)))
    return claims


EXPERIMENT = Experiment(
    "figure5", "Figure 5: microstructure models, three folds", SETTINGS, measure, tell, draw
)

if __name__ == "__main__":
    main(EXPERIMENT)
