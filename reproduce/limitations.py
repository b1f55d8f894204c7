"""The three limitations that the poster names, each answered by measurement.

``python -m reproduce.limitations here``. (i) Time. (ii) Hallucination: what is left of lesions,
what is made of an object without structure, and whether the spread over trainings covers the
error. (iii) Noise that depends on the signal: the bias at the noise floor (Rician, nc-χ), and
faults of one volume: kept, removed, or smeared into others.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from dwiser.prepare.coils import FEWEST
from dwiser.simulation import Simulation
from reproduce.arms import ALL, DIFUSION, PREDICTED, SPLITQ, Result, denoised
from reproduce.artefacts import KINDS, corrupted, pure_noise, slope
from reproduce.claims import (
    AgainstNoisy,
    Claim,
    Told,
    at_budget,
    qualified,
    row_name,
    table,
    verdict,
)
from reproduce.data import made
from reproduce.floor import FLOOR_SNR, FLOORS, MASKED, WEAK, asked, at_floor, background, bias
from reproduce.lesions import View, drawn, lesion_scores
from reproduce.protocol import FULL, Experiment, Record, Run, Setting, main, on_gpu
from reproduce.style import WIDTH, dot, plain, titled

METHODS = "Noisy", "MPPCA", "P2S", DIFUSION, PREDICTED, SPLITQ
UNSURE = DIFUSION, PREDICTED, SPLITQ  # whose uncertainty is compared with the error
TOLD = {SPLITQ: "splitq:uncertainty=true"}
SPOT = 1.0  # voxels, sd: a false lesion is a few voxels wide
COVERED = 2.0  # sd of the spread over trainings
NEW, LOST, SMEARED, BIASED = 1.05, 0.5, 0.02, 0.1  # ratio, share kept, slope, σ: what counts
SMOKE = Setting((26, 30, 5), 10, 2, 20.0, "smoke", 2, 2, {"methods": (DIFUSION, SPLITQ)})
HERE = Setting((32, 40, 5), 20, 4, iterations=200, more={"methods": METHODS})
SETTINGS = {
    "smoke": SMOKE,
    "here": HERE,
    "gpu": on_gpu(HERE),
    "full": replace(FULL, more={"methods": METHODS}),
}


def measure(run: Run) -> Record:
    phantom = made(run, run.seed, lesions=True)
    floors, view = at_floor(run), View.of(phantom)
    rows = []
    for label in run.setting["methods"]:
        row: dict[str, Any] = {"method": label}
        base = denoised(TOLD.get(label, ALL[label]), phantom.scan, run, run.seed)
        row |= {"cpu_seconds": base.cpu_seconds, **lesion_scores(base.data, phantom)}
        row["picture"] = view.of_data(base.data)
        row |= structure(label, phantom, run) | faults(label, base.data, phantom, run)
        for name, low in floors.items():
            for told, scan in asked(low).items():
                data = denoised(ALL[label], scan, run, run.seed).data
                row[f"bias, {name}{told}"] = bias(data, low)
        if label in UNSURE:
            row |= uncertainty(label, base, phantom, run)
        rows.append(row)
        run.say(label)
    around = {name: background(low) for name, low in floors.items()}
    return {"rows": rows, "lesions": int(phantom.lesions.max()), "background": around,
            "view": view.told(phantom)}  # fmt: skip


def structure(label: str, phantom: Simulation, run: Run) -> dict[str, float]:
    """What a method makes of an object without structure.

    The strongest spot of the mean DWI, out over in: above 1 it shows what was not there.
    """
    scan, sigma = pure_noise(phantom, run.seed)
    out = denoised(ALL[label], scan, run, run.seed).data
    dwis = ~scan.gradients.is_b0
    spots = []
    for data in (scan.data, out):
        mean = data[..., dwis].mean(-1, dtype=float)
        spots.append(float(np.abs(gaussian_filter(mean - mean.mean(), SPOT)).max()))
    left = float((out[..., dwis] - out[..., dwis].mean()).std() / sigma.mean())
    return {"spot_ratio": spots[1] / spots[0], "noise_left": left}


def faults(label: str, base: np.ndarray, phantom: Simulation, run: Run) -> dict[str, float]:
    """How much of one volume's fault stays in it, and how much gets into each other volume."""
    dwis = np.flatnonzero(~phantom.scan.gradients.is_b0)
    volume, row = int(dwis[len(dwis) // 2]), {}
    others = dwis[dwis != volume]
    for kind in KINDS:
        scan, fault = corrupted(phantom, kind, volume)
        change = denoised(ALL[label], scan, run, run.seed).data - base
        smeared = [slope(change[..., v], fault, phantom.mask) for v in others]
        row[f"{kind}_kept"] = slope(change[..., volume], fault, phantom.mask)
        row[f"{kind}_smeared"] = float(np.sqrt(np.mean(np.square(smeared))))
    return row


def uncertainty(label: str, first: Result, phantom: Simulation, run: Run) -> dict[str, float]:
    """Coverage of ±2 sd and the correlation with the error, voxel by voxel of the DWIs.

    The sd is the method's own map, or the spread over trainings where there is none.
    """
    dwis, mask = ~phantom.scan.gradients.is_b0, phantom.mask
    if first.uncertainty is not None:
        mean, sd = first.data[..., dwis], first.uncertainty[mask][:, None]
    else:
        more = range(run.seed + 1, run.seed + run.setting.seeds)
        again = [denoised(ALL[label], phantom.scan, run, seed).data for seed in more]
        draws = np.stack([first.data, *again])[..., dwis]
        mean, sd = draws.mean(0), draws.std(0, ddof=1)[mask]
    error = np.abs(mean - phantom.truth[..., dwis])[mask]
    by_voxel = np.sqrt((sd**2).mean(1)), np.sqrt((error**2).mean(1))
    return {
        "coverage": float((error <= COVERED * sd).mean()),
        "sd_over_error": float(np.sqrt((sd**2).mean() / (error**2).mean())),
        "correlation": float(np.corrcoef(*by_voxel)[0, 1]),
    }


PANELS = {
    "kept_mean": "lesions:\ncontrast kept",
    "spot_ratio": "no structure in: strongest\nspot, out over in",
    "motion_kept": "a moved volume:\nkept in it",
    "motion_smeared": "a moved volume:\nsmeared into others",
    "bias, Rician": "bias at the floor,\nRician, in σ",
    f"bias, nc-χ, 4 coils{MASKED}": f"bias at the floor,\nnc-χ{MASKED}, in σ",
}
IDEAL = {"kept_mean": 1.0, "motion_smeared": 0.0}
MOST_SPOT = 1.0
PICTURES, PANELS_HIGH = 1.6, 3.8  # inches: a row of slices, two of panels


def draw(record: Record) -> Figure:
    shown = [r | {"method": row_name(r["method"], record["size"])} for r in record["rows"]]
    record = record | {"rows": shown}
    figure = Figure((WIDTH, PICTURES + PANELS_HIGH), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(PICTURES, PANELS_HIGH))
    drawn(record, above)
    rows, axes = record["rows"], below.subplots(2, 3).flat
    places = np.arange(len(rows))[::-1]
    for number, (ax, (key, title)) in enumerate(zip(axes, PANELS.items(), strict=True)):
        for i, (row, place) in enumerate(zip(rows, places, strict=True)):
            ax.plot(row[key], place, **dot(i))
        ideal = 0.0 if key.startswith("bias") else IDEAL.get(key)
        ideal = MOST_SPOT if key == "spot_ratio" else ideal
        if ideal is not None:
            ax.axvline(ideal, color="0.6", linewidth=0.9, linestyle="--")
        plain(ax)
        titled(ax, title, "", "")
        ax.title.set_fontsize(8.5)
        ax.set_yticks(places, [r["method"] for r in rows] if number % 3 == 0 else [], fontsize=8)
        ax.grid(axis="y", color="0.9", linewidth=0.6)
        ax.set_ylim(-0.5, len(rows) - 0.5)
        ax.margins(x=0.2)
    return figure


TABLES = {
    "Time and error": {
        "cpu_seconds": ("CPU s, training too", 1), "nrmse": ("NRMSE of the DWIs", 4),
    },
    "Hallucination: lesions, an object without structure, the reported sd": {
        "kept_mean": ("lesions kept", 2), "kept_least": ("the least kept", 2),
        "spot_ratio": ("spot, out over in", 2), "noise_left": ("noise left, σ", 3),
        "sd_over_error": ("sd over error", 2), "coverage": ("±2 sd cover", 2),
        "correlation": ("sd with error, r", 2),
    },
    "One volume's fault: kept in it, smeared into the others": {
        "motion_kept": ("moved: kept", 2), "motion_smeared": ("moved: smeared", 3),
        "ghost_kept": ("ghost: kept", 2), "ghost_smeared": ("ghost: smeared", 3),
    },
    "Noise that depends on the signal: the bias that is left at the floor, in σ": {
        f"bias, {name}{told}": (f"{name}{told}", 2) for name in FLOORS for told in ("", MASKED)
    },
}  # fmt: skip


def tell(record: Record) -> Told:
    rows = {row["method"]: row for row in record["rows"]}
    lines = []
    for title, columns in TABLES.items():
        cells = [
            [row_name(name, record["size"]),
             *("–" if row.get(k) is None else f"{row[k]:.{d}f}" for k, (_, d) in columns.items())]
            for name, row in rows.items()
        ]  # fmt: skip
        heads = ["", *(head for head, _ in columns.values())]
        lines += [f"**{title}**", "", *table(heads, cells)]
    around = [
        f"{name}: {found['']['voxels']} voxels of background outside the mask that is found, "
        f"{found[MASKED]['voxels']} outside the object's own, which tell "
        f"{found['']['channels']:g} and {found[MASKED]['channels']:g} channels"
        for name, found in record["background"].items()
    ]
    lines += [
        f"{record['lesions']} lesions, {record['view']['rare']} of which one direction alone "
        "shows: the picture is of such a direction. Kept: 1 all of it, 0 none. Smeared: RMS over "
        "the other DWIs of the slope on the fault. The sd is `splitq`'s own map, for Di-Fusion "
        f"the spread over {record['size']['seeds']} trainings; 95 % of the errors should lie "
        f"within ±2 sd. Bias: mean error where the true DWI is below {WEAK:g} σ, at b0 SNR "
        f"{FLOOR_SNR:g}. The channels of a magnitude are read off the background ({FEWEST} "
        f"voxels of it or more). {'; '.join(around)}.",
        "",
    ]
    claims = []
    for name in (n for n in (DIFUSION, PREDICTED) if n in rows):
        claims += _claims(
            name, record["size"], rows[name], rows.get(SPLITQ, rows[name]), rows.get("Noisy")
        )
    return Told(claims, lines)


def _claims(
    method: str,
    size: Record,
    row: dict[str, Any],
    ours: dict[str, Any],
    noisy: dict[str, Any] | None,
) -> list[Claim]:
    """A limitation is confirmed where the measurement shows it."""
    name = row_name(method, size)
    alone = AgainstNoisy(
        "its result", "NRMSE", row["nrmse"], None if noisy is None else noisy["nrmse"]
    )
    biases = [row[f"bias, {f}"] for f in FLOORS if row[f"bias, {f}"] is not None]
    mixed = row["motion_smeared"] > SMEARED or row["ghost_smeared"] > SMEARED
    biased = bool(biases) and max(abs(b) for b in biases) > BIASED
    told = ", ".join(f"{b:+.2f}" for b in biases)
    conflated = qualified(mixed or biased, mixed and biased)
    time, *others = [
        Claim(
            f"Limitation (i): long inference ({name})",
            verdict(row["cpu_seconds"] > ours["cpu_seconds"]),
            f"{row['cpu_seconds']:.1f} s of one core with training, at NRMSE {row['nrmse']:.4f}; "
            f"`splitq` {ours['cpu_seconds']:.1f} s at {ours['nrmse']:.4f}.",
        ),
        Claim(
            f"Limitation (ii): possible hallucinations ({name})",
            verdict(row["spot_ratio"] > NEW or row["kept_least"] < 0),
            f"Without structure in, the strongest spot out is {row['spot_ratio']:.2f} of the one "
            f"in (above {NEW} counts as invented). The worst kept lesion has "
            f"{row['kept_least']:.2f} of its contrast (below 0 it is turned round, which counts "
            f"as invented too). The sd over trainings is {row['sd_over_error']:.2f} of the error, "
            f"±2 sd cover {row['coverage']:.0%} of it (95 % would be right), correlation "
            f"{row['correlation']:.2f}.",
        ),
        Claim(
            f"Beside the poster: lesions survive ({name})",
            verdict(row["kept_least"] >= LOST),
            f"They keep {row['kept_mean']:.2f} of their contrast on average, the worst "
            f"{row['kept_least']:.2f} (below {LOST} counts as lost); with `splitq` "
            f"{ours['kept_mean']:.2f} and {ours['kept_least']:.2f}.",
        ),
        Claim(
            f"Limitation (iii): noise and artefact are conflated ({name})",
            conflated,
            f"Of a moved volume {row['motion_kept']:.2f} is kept and {row['motion_smeared']:.3f} "
            f"smeared into each other one, of a ghost {row['ghost_kept']:.2f} and "
            f"{row['ghost_smeared']:.3f}; at the floor the bias is {told} σ "
            f"({' and '.join(FLOORS)}).",
        ),
    ]
    return [time, *(at_budget(claim, size, alone) for claim in others)]


EXPERIMENT = Experiment(
    "limitations", "The three limitations, measured", SETTINGS, measure, tell, draw
)

if __name__ == "__main__":
    main(EXPERIMENT)
