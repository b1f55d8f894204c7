"""Fill the pages on methods, truth, memory and clusters with the tables of benchmarks/results/.

``python -m scripts.measured [--check]``: what lies between ``<!-- measured: NAME -->`` and
``<!-- end -->`` is written anew from NAME.json; ``--check`` writes nothing and ends with 1 if a
page is stale. No number of these tables is typed by hand.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from scripts.pages import DOCS, RESULTS, fill_blocks, table_lines, write_or_check
from scripts.textured_tables import textured
from scripts.walk_tables import walk

NAMES = (
    "explanation/splitq", "explanation/difusion", "explanation/truth", "how-to/memory",
    "how-to/cluster", "how-to/noise-maps", "how-to/when-not", "results/walk",
)  # fmt: skip
PAGES = tuple(DOCS / f"{name}.md" for name in NAMES)
Record = dict[str, Any]
SIZES = (
    "grid", "volumes", "voxels in the mask", "CPU s", "peak MiB", "float32 scan, MiB", "ratio"
)  # fmt: skip


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(table_lines(heads, rows)) + "\n"


def shells_of(row: Record) -> str:
    return ", ".join(f"{n} at b={b:.0f}" for b, n in row["shells"])


def coverage(record: Record) -> str:
    """DWIs within ±2 sd, a row a phantom; b0s and single-direction lesions beside them."""
    names = list(record["rows"][0]["dwi"])
    heads = ["b0 SNR", "directions", *names, "b0s", "lesions of one direction"]
    rows = []
    for r in record["rows"]:
        b0, single = r["b0"].values(), r["lesions_of_one_direction"]
        spans = [f"{min(x):.2f}–{max(x):.2f}" if x else "–" for x in (list(b0), single)]
        rows.append([f"{r['snr']:g}", shells_of(r), *(f"{r['dwi'][n]:.3f}" for n in names), *spans])
    return table(heads, rows)


def splits(record: Record) -> str:
    """RMS error over σ of the DWIs in white and grey matter, a row a phantom and choice."""
    heads = ["b0 SNR", "directions", "K", "splits", "voxels", "white", "grey", "CPU s"]
    rows = [
        [
            f"{r['snr']:g}", shells_of(r), r["rank"], r["folds"], r["learned_on"],
            f"{r['wm_rms_over_sigma']:.4f}", f"{r['gm_rms_over_sigma']:.4f}", r["cpu_s"],
        ]
        for r in record["rows"]
    ]  # fmt: skip
    return table(heads, rows)


def scaling(record: Record) -> str:
    both = [*record["voxels"], *record["volumes"]]
    text = table(SIZES, [_size(r) for r in both])
    return text + (
        f"\nCPU seconds grow with the voxels to the power {record['slope_against_voxels']:g}, with "
        f"the volumes to the power {record['slope_against_volumes']:g}.\n"
    )


def scaling_large(record: Record) -> str:
    return table(SIZES, [_size(record)])


def scaling_wide(record: Record) -> str:
    """On two threads, so that the wall time says something."""
    return table([*SIZES, "wall s"], [[*_size(record), record["wall_s"]]])


def large(record: Record) -> str:
    """A scan and parts of its slices, each once; with dwidenoise on the smallest."""
    rows = []
    for part in [*record["beside_dwidenoise"], *record["parts"]]:
        for name in ("splitq", "dwidenoise"):
            if name in part:
                own = part[name]
                rows.append([
                    "×".join(map(str, part["shape"])), part["volumes"], part["scan_mib"],
                    f"`{name}`", own["wall_s"], own["cpu_s"], own["resident_mib"],
                    own["rms_error_sigma"],
                ])  # fmt: skip
    heads = ["grid", "volumes", "float32 scan, MiB", "method", "wall s", "CPU s", "peak MiB"]
    slope = (
        "Between the two largest the wall's time grows with the size to the power "
        f"{record['slope']['wall_s']:g}."
    )
    return f"{record['threads']} threads.\n\n{table([*heads, 'rms error, σ'], rows)}\n{slope}\n"


def _size(r: Record) -> list[object]:
    grid = "×".join(map(str, r["shape"]))
    return [
        grid,
        r["volumes"],
        r["mask_voxels"],
        r["cpu_s"],
        r["peak_mib"],
        r["scan_mib"],
        r["times_scan"],
    ]


def memory_methods(record: Record) -> str:
    """What was measured beside scan and result, over the scan; what the method says."""
    heads = ["method", "mask", "beside scan and result", "where mapped"]
    keys = ("mask", "beside_scan_and_result", "where_mapped")
    return table(heads, [[f"`{m}`", *(r[k] for k in keys)] for m, r in record["rows"].items()])


def memory_large(record: Record) -> str:
    """Runs under the system's own limit, below the scan's size."""
    heads = ["method", "file", "peak, MiB of its own", "with pages of files", "CPU s", "refused"]
    rows = [
        [f"`{r['method']}`", r["file"], r["anonymous_mib"], r["resident_mib"], r["cpu_s"],
         r["said"] or None]
        for r in record["rows"]
    ]  # fmt: skip
    scan, limit = record["scan_gib"] * 1024, record["limit_gib"] * 1024
    return f"Scan {scan:.0f} MiB as float32, limit {limit:.0f} MiB.\n\n" + table(heads, rows)


def peers(record: Record) -> str:
    """Errors, times and memory, method by method, for each noise level."""
    text = ""
    for name, rows in record["phantoms"].items():
        named = dict.fromkeys(c for r in rows.values() for c in r)
        columns = [c for c in named if any(r.get(c) is not None for r in rows.values())]
        cells = ([f"`{m}`", *(_figure(r.get(c)) for c in columns)] for m, r in rows.items())
        text += f"\n{name}:\n\n" + table(["method", *columns], cells)
    return text.lstrip()


def _figure(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def real_peers(record: Record) -> str:
    """Excess of held-out raw volumes in σ²; by FA, ours against the best of the others."""
    heads = ["scan", "model", "method", "excess, σ²", "ours less it", "CPU s"]
    rows, bins = [], []
    for scan, part in record["scans"].items():
        ours = next(iter(part["rows"].values()))
        for model in [m for m in ours if isinstance(ours[m], dict)]:
            for method, r in part["rows"].items():
                # the work of a program or of worker processes is not in this process's CPU time
                cpu = None if method in ("raw", "dwidenoise", "mppca", "localpca") else r["cpu_s"]
                cell = r[model]["all"]
                less = _limits(cell.get("ours_less_it"))
                rows.append([scan, model, f"`{method}`", cell["excess"], less, cpu])
            for group in [g for g in ours[model] if g != "all"]:
                others = {m: r[model][group] for m, r in part["rows"].items()
                          if r is not ours and group in r[model]}  # fmt: skip
                best = min(others, key=lambda m: others[m]["excess"])
                own, cell = ours[model][group], others[best]
                bins.append([scan, model, group, own["voxels"], own["excess"], f"`{best}`",
                             cell["excess"], _limits(cell["ours_less_it"])])  # fmt: skip
    by_fa = ["scan", "model", "bin", "voxels", "`splitq`", "best other", "its", "ours less it"]
    return f"{table(heads, rows)}\nBy bins of the FA of the raw rest:\n\n{table(by_fa, bins)}"


def _limits(less: list[float] | None) -> str | None:
    return None if less is None else f"{less[0]:g} ({less[1]:g} … {less[2]:g})"


def repeats_accelerated(record: Record) -> str:
    """Root mean square error of each half against the raw others, in σ."""
    rows = record["rows"]
    keys = list(next(iter(rows.values()))["rmse"])
    cells = [[f"`{m}`", *(f"{r['rmse'][k]:.3f}" for k in keys)] for m, r in rows.items()]
    return table(["method", *keys], cells)


def truth_table(record: Record) -> str:
    """Errors on a head whose truth is known, a row a noise level and method."""
    every = [(part["b0_snr"], row) for part in record["table"] for row in part["rows"]]
    heads = ["b0 SNR", "method", *every[0][1]["shown"], "verdict", "CPU s"]
    return table(heads, (
        [f"{snr:g}", f"`{r['method']}`", *map(_figure, r["shown"].values()),
         r["verdict"]["level"], r["cpu_seconds"]]
        for snr, r in every
    ))  # fmt: skip


def repeats(record: Record) -> str:
    """Excess over the noise against the other half of a scanner's repeats, by shell."""
    text = ""
    for name in ("oil_phantom", "water_phantom"):
        rows = {m: r[name] for m, r in record["methods"].items()}
        keys = list(next(iter(rows.values()))["scores"])
        cells = (
            [f"`{m}`", *(f"{r['scores'][k]['excess']:.3f}" for k in keys),
             "/".join(v["level"] for v in r["verdicts"]), r["cpu_seconds"]]
            for m, r in rows.items()
        )  # fmt: skip
        text += f"\n{name}:\n\n" + table(["method", *keys, "verdict", "CPU s"], cells)
    return text.lstrip()


def recorrupted(record: Record) -> str:
    """Each volume's error against its own signal, by shell."""
    text = ""
    for name, rows in record["phantoms"].items():
        heads = ["method", *next(iter(rows.values()))]
        cells = ([f"`{m}`", *(f"{c['error']:.3f}" for c in r.values())] for m, r in rows.items())
        text += f"\n{name}:\n\n" + table(heads, cells)
    return text.lstrip()


def steps(record: Record) -> str:
    """Errors and sharpness against the number of evaluations from the same weights."""
    rows = record["rows"]
    scores = [k for k in rows[0] if k != "pairing"]
    arm = ("pairing", "fusion", "noise")
    lines = (
        [*(r.get(k) for k in (*arm, "evaluations")), *(f"{r[s]:.4g}" for s in scores)] for r in rows
    )
    text = table([*arm, "evaluations", *scores], lines)
    arms = list(dict.fromkeys(tuple(r[k] for k in arm) for r in rows if "evaluations" in r))
    walks = dict.fromkeys(r["evaluations"] for r in rows if "evaluations" in r)
    walks = [n for n in walks if n not in ("1", "as stopped")]
    changes = []
    for one in arms:
        own = {r["evaluations"]: r for r in rows if tuple(r.get(k) for k in arm) == one}
        if len(own) > 1:
            cells = [_change(own, n, s) for s in (scores[0], scores[-1]) for n in walks]
            changes.append([*one, *cells])
    heads = [f"{s}, {n}" for s in (scores[0], scores[-1]) for n in walks]
    return f"{text}\nAgainst one evaluation:\n\n{table([*arm, *heads], changes)}"


def _change(own: dict[str, Record], walk: str, score: str) -> str | None:
    """How much a score changes from one evaluation to a longer walk."""
    return f"{own[walk][score] / own['1'][score] - 1:+.1%}" if walk in own else None


def throughput(record: Record) -> str:
    """Scans a minute, a row a number of workers."""
    rows = ([r["workers"], r["scans_per_minute"], r["seconds_a_scan"]] for r in record["rows"])
    text = table(["workers", "scans a minute", "s a scan, on its worker"], rows)
    return (
        f"{record['scans']} scans of {record['scan']} by the default method, "
        f"{record['machine']['cores']} cores.\n\n{text}"
    )


def overhead(record: Record) -> str:
    """Seconds that a scan takes beside its method, by part."""
    parts = {
        "verdict": "verdict", "figure": "figure", "rest": "load, hash, write, names, pages",
        "beside_the_method": "**together**",
    }  # fmt: skip
    plain, more = (record[k]["cpu_seconds"] for k in ("without_report", "with_report"))
    rows = [[words, plain[part]] for part, words in parts.items()]
    rows.append(["the same, with `--report`", more["beside_the_method"]])
    text = table([f"beside the method, of {record['scan']}", "CPU s"], rows)
    return text + f"\nThe report is {record['report_megabytes']} MB.\n"


def simulated(record: Record) -> str:
    """A cohort whose work is to do nothing: a row for some of the thousands."""
    every = record["thousands"]
    rows = ([r["after"], r["seconds"], r["scheduler_mib"]] for r in (*every[:1], *every[4::5]))
    text = table(["scans done", "s for the last thousand", "scheduler, MiB"], rows)
    return text + (
        f"\nA thousand take {record['scheduler_cpu_seconds_per_thousand']} s of the scheduler's "
        f"processor and {record['client_cpu_seconds_per_thousand']} s of the command's. The "
        f"scheduler held {record['scheduler_mib_before']:.0f} MiB before the first, the command "
        f"{record['client_peak_mib']:.0f} at most. Planning {record['scans']} scans took "
        f"{record['plan_seconds']} s.\n"
    )


def budgets(record: Record) -> str:
    """Errors against CPU seconds, and where a method that trains passes one that does not."""
    rows, scores = record["rows"], {"nrmse": "NRMSE", "fa_rmse": "FA", "v1_degrees": "V1"}
    shown = {s: name for s, name in scores.items() if any(s in r for r in rows)}
    cells = (
        [f"`{r['method']}`", r["iterations"], r["cpu_s"], *(_figure(r.get(s)) for s in shown)]
        for r in rows
    )
    text = table(["method", "iterations", "CPU s", *shown.values()], cells)
    trained = dict.fromkeys(r["method"] for r in rows if r["budget_s"] is not None)
    return text + "".join(_passes(rows, method) for method in trained)


def _passes(rows: list[Record], method: str) -> str:
    """One line: from how many CPU seconds on the DWIs' error is below each point's."""
    own = sorted((r for r in rows if r["method"] == method), key=lambda r: r["cpu_s"])
    passed = []
    for point in (r for r in rows if r["budget_s"] is None):
        below = [r["cpu_s"] for r in own if r["nrmse"] < point["nrmse"]]
        when = f"from {below[0]:.0f} s on" if below else f"not in {own[-1]['cpu_s']:.0f} s"
        passed.append(f"`{point['method']}` {when}")
    return f"\n`{method}` has less error in the DWIs than {', '.join(passed)}.\n"


def sigma(record: Record) -> str:
    """Estimated σ over the known one, before and after, a row a phantom."""
    labels = list(dict.fromkeys(r["label"] for r in record["rows"]))
    by_case: dict[str, Record] = {}
    for r in record["rows"]:
        by_case.setdefault(r["case"], {})[r["label"]] = r
    heads = ["phantom", *(f"{label}: {what}" for label in labels for what in ("σ", "rms", "s"))]
    rows = [
        [case, *(cell for label in labels for cell in _sigma_cells(r.get(label)))]
        for case, r in by_case.items()
    ]
    bound = record["bound_over_noise_volumes"]
    text = table(heads, rows)
    if bound is not None:
        text += (
            f"\nThe bound over the noise volumes' σ: {_spread(bound)}; below 0.85 in "
            f"{bound['share_below_0.85']:.0%} of the voxels.\n"
        )
    return text


def _sigma_cells(row: Record | None) -> list[object]:
    if row is None:
        return [None] * 3
    return [_spread(row), f"{row['rms_error']:.3f}", f"{row['cpu_s']:.2f}"]


def _spread(row: Record) -> str:
    return " / ".join(f"{row[key]:.3f}" for key in ("p5", "median", "p95"))


def phase(record: Record) -> str:
    """Errors with and without the phase, a row a noise level and what was given."""
    heads = ["b0 SNR", "given", "NRMSE", "bias, σ", "RMSE where weak, σ", "bias where weak, σ",
             "imaginary over σ"]  # fmt: skip
    keys = ("nrmse", "bias_over_sigma", "weak_rmse_over_sigma", "weak_bias_over_sigma")
    digits = (4, 3, 3, 3)
    rows = []
    for r in record["rows"]:
        over = r.get("imaginary_over_sigma")
        spread = None if over is None else " / ".join(f"{n:.2f}" for n in over)
        cells = [f"{r[k]:.{d}f}" for k, d in zip(keys, digits, strict=True)]
        rows.append([f"{r['b0_snr']:g}", r["given"], *cells, spread])
    grid = " × ".join(map(str, record["shape"]))
    return f"{grid} voxels (8 slices of it), {shells_of(record)}.\n\n{table(heads, rows)}"


def samples_coverage(record: Record) -> str:
    """Share of the errors within two sd of the samples, a row a pair and walk."""
    heads = ["pair", "walk", "within ±2 sd", "rms error / sd", "rms error / σ"]
    rows = (
        [
            r["pair"], r["walk"], f"{r['within_two_sd']:.0%}", f"{r['rms_over_sd']:.1f}",
            f"{r['rms_over_sigma']:.2f}",
        ]
        for r in record["rows"]
    )  # fmt: skip
    return f"{record['samples']} samples, {record['passes']} passes.\n\n{table(heads, rows)}"


def order_of_steps(record: Record) -> str:
    """Errors by the order of steps, of registration, and what is said; seeds side by side."""
    cases = record["cases"]
    first = next(iter(cases.values()))

    def cells(part: str, row: str, *keys: str) -> list[object]:
        every = [c[part][row] for c in cases.values() if row in c.get(part, {})]
        return [" / ".join(_figure_or_list(r[k]) for r in every) for k in keys]

    scores = ("nrmse", "noise_part", "b0_nrmse", "fa_rmse", "fa_bias", "fa_bias_above_.45")
    heads = ["order", "DWIs", "its noise part", "b0s", "FA", "bias of FA", "above FA .45"]
    without = ([f"*without noise:* {o}", *cells("without_noise", o, *scores)]
               for o in first["without_noise"])  # fmt: skip
    text = table(heads, [*([o, *cells("orders", o, *scores)] for o in first["orders"]), *without])
    moves = [[o, *cells("registration", o, "median_mm", "worst_mm")] for o in first["registration"]]
    text += "\n" + table(["DWIs registered to the first b0", "median, mm", "worst, mm"], moves)
    still = " / ".join(_figure_or_list(next(iter(c["registration"].values()))["median_mm_without"])
                       for c in cases.values())  # fmt: skip
    text += f"\nWithout registration the median is {still} mm.\n\n"
    rows = []
    for scan in first["remarks"]:
        every = [c["remarks"][scan] for c in cases.values()]
        said = " / ".join(_told(r["sentences"]) for r in every)
        traces = [r["traces"] for r in every]
        rows.append([scan, said, *(
            " / ".join(_figure_or_list(t[key]) for t in traces)
            for key in ("neighbours", "edges", "components")
        )])  # fmt: skip
    heads = ["scan", "dwiser says", "correlation x, y, z", "edges of k-space", "weak components"]
    seeds = ", ".join(cases)
    return f"{seeds}; values of one after the other.\n\n{text}{table(heads, rows)}"


SCANS = {
    "summary_real": "real scans", "summary_rows": "simulated scans",
    "summary_moving": "heads that move and ring (TRXScan)",
}  # fmt: skip
STEPS_SEEN = ("denoised", "resampled", "zero-filled", "rounded")


def earlier_steps(record: Record) -> str:
    """How many scans each step is seen in, by what was done to them."""
    rows = []
    for part, name in SCANS.items():
        for version, counts in record[part].items():
            of = Counter[str]()
            for words, count in counts.items():
                of[next((s for s in STEPS_SEEN if s in words), "nothing")] += count
            cells = (of[step] for step in ("nothing", *STEPS_SEEN))
            rows.append([name, version, sum(of.values()), *cells])
    return table(["of", "after", "scans", "nothing said", *STEPS_SEEN], rows)


def _figure_or_list(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return " ".join(f"{v:.3f}" for v in values)


def _told(sentences: list[str]) -> str:
    """Which of the steps that can be seen a scan's remarks name."""
    words = ("denoised already", "resampled", "zero-filled")
    named = [word for word in words if any(word in sentence for sentence in sentences)]
    return ", ".join(named) or "nothing"


FILLED: dict[str, Callable[[Record], str]] = {
    "memory_methods": memory_methods, "memory_large": memory_large,
    "coverage": coverage, "splits": splits, "scaling_splitq": scaling,
    "scaling_splitq_large": scaling_large, "scaling_splitq_real": scaling_large,
    "scaling_splitq_wide": scaling_wide, "large": large,
    "peers_rician": peers, "peers_nc-chi": peers,
    "cohort_throughput": throughput, "cohort_overhead": overhead,
    "cohort_overhead_brain": overhead, "cohort_simulated": simulated,
    "truth_table": truth_table, "truth_table_splitq": truth_table,
    "repeats": repeats, "repeats_splitq": repeats,
    "real_peers": real_peers, "recorrupted": recorrupted,
    "repeats_accelerated": repeats_accelerated,
    "steps_phantom": steps, "steps_real": steps,
    "steps_phantom_splitnet": steps, "steps_real_splitnet": steps, "budgets": budgets,
    "sigma": sigma, "phase_splitq": phase, "order_of_steps": order_of_steps,
    "earlier_steps": earlier_steps,
    "walk_phantom_compact": walk, "walk_textured_compact": walk, "walk_real_compact": walk,
    "walk_noisy_compact": walk,
    "samples_coverage": samples_coverage, "textured": textured,
}  # fmt: skip


def block(name: str, results: Path = RESULTS) -> str:
    """What stands in a page for one file of results; a line in place of what is not there."""
    path = results / f"{name}.json"
    if not path.exists():
        return "*Not measured yet.*\n"
    record = json.loads(path.read_text())
    machine = record["machine"]
    about = f"dwiser {record['versions']['dwiser']}, {machine['cpu']}, {record['date']}."
    return f"{about}\n\n{FILLED[name](record)}"


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with every block written anew."""
    return fill_blocks(page, partial(block, results=results))


def main() -> int:
    return write_or_check(__doc__, {p: partial(_anew, p) for p in PAGES})


def _anew(page: Path) -> str:
    return filled(page.read_text())


if __name__ == "__main__":
    sys.exit(main())
