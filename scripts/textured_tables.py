"""The table of `benchmarks/textured.py`'s record: errors on textured phantoms, FA by its truth."""

from typing import Any

from scripts.pages import table_lines

WHOLE = {"nrmse": "NRMSE", "b0_nrmse": "NRMSE, b0s", "fa_rmse": "FA", "md_rmse": "MD, 10⁻³"}
BOUND = "Bayes bound, library 1"  # the second library only tells how exact the first is


def fa_by_bin(row: dict[str, Any]) -> list[str]:
    """RMSE and bias of FA in each bin of the true FA."""
    return [f"{b['fa.rmse']:.3f} ({b['fa.bias']:+.3f})" for b in row["by_true_fa"].values()]


def textured(record: dict[str, Any]) -> str:
    """A table a phantom: errors in the mask, then RMSE (bias) of FA by bins of the true FA."""
    text = ""
    for label, case in record["cases"].items():
        rows = {m: r for m, r in case["methods"].items() if "nrmse" in r and "library 2" not in m}
        bins = [name.removeprefix("FA ") for name in next(iter(rows.values()))["by_true_fa"]]
        cells = [
            [
                m if m == BOUND else f"`{m}`",
                *(f"{r[k] * (1e3 if k == 'md_rmse' else 1):.4f}" for k in WHOLE),
                *fa_by_bin(r),
            ]
            for m, r in rows.items()
        ]
        lines = table_lines(["method", *WHOLE.values(), *bins], cells)
        text += f"\n{label}:\n\n" + "\n".join(lines) + "\n"
    return text.lstrip()
