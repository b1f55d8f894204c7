"""The tables of `benchmarks/walk.py`'s records: walks, single evaluations, FA by bins."""

from collections.abc import Callable, Iterable
from statistics import mean, stdev
from typing import Any

from scripts.pages import table_lines

Row = dict[str, Any]
Record = dict[str, Any]
SCORES = {"nrmse": "NRMSE", "held_out": "held-out excess"}
STATES = {"posterior": "posterior", "fused": "fused again"}
NOISES = {"mean": "η = 0", "posterior": "with σz", "held": "ξ held", "drawn": "ξ drawn anew"}


def score_of(record: Record) -> str:
    """Which error the record is about."""
    return next(s for s in SCORES if s in record["rows"][0])


def pairs_of(record: Record) -> list[str]:
    return [p for p in dict.fromkeys(r["pair"] for r in record["rows"]) if p != "noisy"]


def chosen(record: Record, **is_: Any) -> list[Row]:
    """The rows whose fields are these."""
    return [r for r in record["rows"] if all(r.get(k) == v for k, v in is_.items())]


def figures(value: float, score: str) -> str:
    return f"{value:.4f}" if score == "nrmse" else f"{value:.0f}"


def over_seeds(rows: list[Row], score: str) -> str | None:
    """Mean over seeds, ± their sd; None where nothing was measured."""
    values = [r[score] for r in rows]
    if not values:
        return None
    spread = f" ± {figures(stdev(values), score)}" if len(values) > 1 else ""
    return figures(mean(values), score) + spread


def kinds_of(record: Record) -> list[tuple[str, str]]:
    return list(
        dict.fromkeys((r["state"], r["state_noise"]) for r in record["rows"] if "state" in r)
    )


def walks(record: Record) -> str:
    """The error after so many evaluations: a row a pair and kind of walk."""
    score = score_of(record)
    counts = sorted({r["evaluations"] for r in record["rows"] if "state" in r})
    rows: list[list[Any]] = [
        ["noisy scan", None, None, over_seeds(chosen(record, pair="noisy"), score)]
        + [None] * (len(counts) - 1)
    ]
    for pair in pairs_of(record):
        for state, noise in kinds_of(record):
            cells = (
                over_seeds(
                    chosen(record, pair=pair, state=state, state_noise=noise, evaluations=n), score
                )
                for n in counts
            )
            rows.append([pair, STATES[state], NOISES[noise], *cells])
    return tabled([f"pair ({SCORES[score]})", "image", "noise", *map(str, counts)], rows)


def singles(record: Record) -> str:
    """The error of one evaluation at step t, where the input holds 1/(t + 1) of x."""
    score = score_of(record)
    starts = sorted({r["start"] for r in record["rows"] if "start" in r}, reverse=True)
    rows = (
        [
            pair,
            *(over_seeds(_single(record, pair, start), score) for start in starts),
        ]
        for pair in pairs_of(record)
    )
    return tabled(["one evaluation at t =", *map(str, starts)], rows)


def _single(record: Record, pair: str, start: int) -> list[Row]:
    first = {"state": "posterior", "state_noise": "mean"} if start == 300 else {}
    return chosen(record, pair=pair, start=start, evaluations=1, **first)


def bins(record: Record) -> str:
    """FA by bins, of some of the rows: RMSE and bias on a phantom, held-out excess on a scan."""
    score = score_of(record)
    by = "by_drawn_fa" if score == "nrmse" else "by_training_fa"
    ways: dict[str, Callable[[str], list[Row]]] = {
        "one, at 300": lambda pair: _single(record, pair, 300),
        "one, at 50": lambda pair: _single(record, pair, 50),
        "one, at 16": lambda pair: _single(record, pair, 16),
        "one, at 8": lambda pair: _single(record, pair, 8),
        "26, fused again": lambda pair: _walk(record, pair, "fused", 26),
        "60, fused again": lambda pair: _walk(record, pair, "fused", 60),
        "26, posterior": lambda pair: _walk(record, pair, "posterior", 26),
        "76, posterior": lambda pair: _walk(record, pair, "posterior", 76),
    }
    noisy = chosen(record, pair="noisy")
    names = list(noisy[0][by])
    rows = [["noisy scan", None, *(_bin(noisy, by, name) for name in names)]]
    for pair in pairs_of(record):
        for words, find in ways.items():
            rows.append([pair, words, *(_bin(find(pair), by, name) for name in names)])
    return tabled(["pair", "evaluations", *names], rows)


def _walk(record: Record, pair: str, state: str, evaluations: int) -> list[Row]:
    noise = "drawn" if state == "fused" else "mean"
    return chosen(record, pair=pair, state=state, state_noise=noise, evaluations=evaluations)


def _bin(rows: list[Row], by: str, name: str) -> str | None:
    values = [r[by][name] for r in rows if name in r[by]]
    if not values:
        return None
    if isinstance(values[0], list):
        rmse, bias = (mean(v[i] for v in values) for i in (0, 1))
        return f"{rmse:.3f} ({bias:+.3f})"
    return f"{mean(values):.0f}"


def tabled(heads: list[str], rows: Iterable[list[Any]]) -> str:
    return "\n".join(table_lines(heads, rows)) + "\n"


def seeds_of(trained: list[Row]) -> str:
    """How many seeds there are; of each pair, where some pairs have fewer."""
    by_pair = {
        pair: len({r["seed"] for r in trained if r["pair"] == pair})
        for pair in dict.fromkeys(r["pair"] for r in trained)
    }
    most = max(by_pair.values())
    text = f"{most} seed{'s' * (most > 1)}"
    if set(by_pair.values()) == {most}:
        return text
    return f"{text} ({', '.join(f'{pair} {count}' for pair, count in by_pair.items())})"


def walk(record: Record) -> str:
    """All of a record's tables, with what was trained before them."""
    trained = [r for r in record["rows"] if "iterations" in r]
    iterations = sorted({r["iterations"] for r in trained})
    about = (
        f"{record['asked_passes']:g} passes over the scan ({iterations[0]} iterations), "
        f"the {record['network']} network, {seeds_of(trained)}."
    )
    return "\n".join([about, "", walks(record), singles(record), bins(record)])
