"""The page "Which denoiser should I use?" says what was measured, and nothing else."""

import json

from scripts import choose_page


def row(method: str, nrmse: float | None, md: float | None = None, **more: object) -> dict:
    return {"method": method, "verdict": "PASS", "nrmse": nrmse, "md_rmse": md, **more}


ROWS = [
    row("noisy", 0.1, 3e-5),
    row("mppca", 0.03, 2e-5, seconds=190.0, peak_mib=900.0),
    row("difusion", 0.04, 4e-5, seconds=200.0, peak_mib=1000.0),
    row("ddm2", 0.15, 2e-4),
    row("ascm", None, error="it was killed"),
]


def test_the_page_is_what_the_recorded_results_say() -> None:
    page = choose_page.PAGE.read_text()
    assert choose_page.filled(page) == page, "run python -m scripts.choose_page"


def test_the_best_is_bold_ours_are_placed_and_losers_named() -> None:
    text = "\n".join(choose_page.measured(ROWS))
    assert "| `mppca` | **0.0300** | **0.0200** | 190 | 900 | PASS |" in text
    assert "| `ascm` | – | – | – | – | PASS |" in text
    assert "`ascm` failed: it was killed" in text
    in_dwis, in_md = (line for line in text.splitlines() if line.startswith("- "))
    assert "best are `mppca` 0.0300, `difusion` 0.0400, `noisy` 0.1000" in in_dwis
    assert "`difusion` is number 2 of 4 (0.0400)" in in_dwis
    assert in_dwis.endswith("Worse than the noisy scan: `ddm2`.")
    assert in_md.endswith("Worse than the noisy scan: `difusion`, `ddm2`.")


def test_what_was_not_measured_is_said_to_be_so(tmp_path) -> None:
    page = "a\n<!-- measured: phantom -->\nold 0.1\n<!-- end -->\nb\n"
    text = choose_page.filled(page, tmp_path)
    assert "Not measured yet" in text
    assert "old" not in text
    record = {
        "scan": {"name": "phantom"}, "preset": "laptop", "date": "2030-01-01", "rows": ROWS,
        "machine": {"threads": 1, "cpu": "some"}, "versions": {"dwiser": "0"},
    }  # fmt: skip
    (tmp_path / "all_methods_phantom.json").write_text(json.dumps(record))
    assert "`mppca` | **0.0300**" in choose_page.filled(text, tmp_path)
    assert choose_page.filled(text, tmp_path).startswith("a\n<!-- measured")


def test_the_peers_stand_with_both_targets_and_the_absent_with_what_they_need(
    tmp_path,
) -> None:
    page = "<!-- measured: peers_small -->\nold\n<!-- end -->\n"
    assert "Not measured yet: `python -m benchmarks.peers --case small`" in choose_page.filled(
        page, tmp_path
    )
    record = {
        "shape": [40, 40, 20], "threads": 1, "machine": {"cpu": "some"}, "date": "2030-01-01",
        "versions": {"dwiser": "0"}, "others": {"mppca:a=1": "x 1.2", "mppca": "x 1.2"},
        "absent": {"dwidenoise2": "a program"},
        "phantoms": {"b0 SNR 20": {
            "noisy": {"NRMSE": 0.1, "NRMSE, mean": 0.2, "verdict": "WARN"},
            "mppca": {"NRMSE": 0.05, "NRMSE, mean": 0.3, "cpu_s": 7.2, "verdict": "PASS"},
        }},
    }  # fmt: skip
    (tmp_path / "peers_small.json").write_text(json.dumps(record))
    text = choose_page.filled(page, tmp_path)
    assert "| b0 SNR 20 | `noisy` | 0.1000 | **0.2000** |" in text
    assert "| b0 SNR 20 | `mppca` | **0.0500** | 0.3000 | – | – | – | 7 | – | PASS |" in text
    assert "`dwidenoise2` is not measured: it needs a program." in text
    assert "2030-01-01; x 1.2." in text
