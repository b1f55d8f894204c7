"""The tables on splitq's and Di-Fusion's pages are those of the recorded results."""

from scripts import measured, walk_figure
from scripts.budgets_figure import PICTURE, digest, drawn_from, figure, recorded
from scripts.pages import BLOCK
from scripts.textured_tables import textured
from scripts.walk_tables import walk


def test_the_pages_are_what_the_recorded_results_say() -> None:
    for page in measured.PAGES:
        text = page.read_text()
        assert "<!-- measured:" in text
        assert measured.filled(text) == text, "run python -m scripts.measured"


def test_every_named_table_can_be_made() -> None:
    named = {m[2] for page in measured.PAGES for m in BLOCK.finditer(page.read_text())}
    assert named <= set(measured.FILLED)


def test_what_was_not_measured_is_said_to_be_so(tmp_path) -> None:
    page = "a\n<!-- measured: coverage -->\nold\n<!-- end -->\nb\n"
    assert measured.filled(page, tmp_path) == (
        "a\n<!-- measured: coverage -->\n*Not measured yet.*\n<!-- end -->\nb\n"
    )


def test_the_picture_of_budgets_is_of_the_recorded_rows() -> None:
    assert drawn_from(PICTURE) == digest(recorded()), "run python -m scripts.budgets_figure"


def test_the_picture_draws_a_line_for_what_trains_and_a_point_for_what_does_not() -> None:
    def row(method: str, seconds: float, error: float) -> dict:
        return {"method": method, "cpu_s": seconds, "nrmse": error, "fa_rmse": error}

    rows = [row("noisy", 0, 0.1), row("peer", 9, 0.04), row("net", 60, 0.03), row("net", 30, 0.05)]
    for panel in figure(rows).axes:
        peer, net, noisy = panel.lines
        assert (list(peer.get_xdata()), peer.get_linestyle()) == ([9], "None")
        assert (list(net.get_xdata()), list(net.get_ydata())) == ([30, 60], [0.05, 0.03])
        assert set(noisy.get_ydata()) == {0.1}
        assert panel.get_xscale() == "log"


def test_it_is_said_from_how_much_work_on_a_network_passes_a_peer() -> None:
    rows = [
        {"method": "peer", "budget_s": None, "iterations": None, "cpu_s": 9.0, "nrmse": 0.04},
        {"method": "ours", "budget_s": None, "iterations": None, "cpu_s": 8.0, "nrmse": 0.02},
        {"method": "net", "budget_s": 30.0, "iterations": 10, "cpu_s": 31.0, "nrmse": 0.05},
        {"method": "net", "budget_s": 60.0, "iterations": 20, "cpu_s": 62.0, "nrmse": 0.03},
    ]
    said = measured.budgets({"rows": rows}).splitlines()[-1]
    assert said == "`net` has less error in the DWIs than `peer` from 62 s on, `ours` not in 62 s."


def test_it_is_said_what_a_longer_walk_changes() -> None:
    arm = {"pairing": "p", "fusion": "f", "noise": "n"}
    rows = [
        {"pairing": "noisy", "nrmse": 0.1, "edge_mm": 0.0},
        {**arm, "evaluations": "1", "nrmse": 0.04, "edge_mm": 2.0},
        {**arm, "evaluations": "all", "nrmse": 0.05, "edge_mm": 1.9},
        {**arm, "evaluations": "as stopped", "nrmse": 0.04, "edge_mm": 2.0},
        {**arm, "noise": "no", "evaluations": "1", "nrmse": 0.03, "edge_mm": 2.0},
    ]
    said = measured.steps({"rows": rows}).split("Against one evaluation:\n\n")[1]
    assert said.splitlines() == [
        "| pairing | fusion | noise | nrmse, all | edge_mm, all |",
        "|---|---|---|---|---|",
        "| p | f | n | +25.0% | -5.0% |",
    ]


def test_the_picture_of_walks_is_of_the_recorded_rows() -> None:
    mark = digest([walk_figure.records()])
    assert drawn_from(walk_figure.PICTURE) == mark, "run python -m scripts.walk_figure"


def walked(seed: int, **more: object) -> dict:
    return {"pair": "adjacent", "seed": seed, "iterations": 5, "start": 300, **more}


def test_the_tables_of_walks_are_means_over_seeds() -> None:
    fa = {"by_drawn_fa": {"FA 0.00-0.10": [0.1, 0.02]}}
    kind = {"state": "posterior", "state_noise": "mean"}
    rows = [
        {"pair": "noisy", "seed": seed, "nrmse": 0.5, "by_drawn_fa": {"FA 0.00-0.10": [0.3, 0.2]}}
        for seed in (0, 1)
    ]
    rows += [walked(s, **kind, evaluations=1, nrmse=0.2 + 0.2 * s, **fa) for s in (0, 1)]
    rows += [walked(s, evaluations=1, nrmse=0.7, **fa) | {"start": 16} for s in (0, 1)]
    text = walk({"asked_passes": 3, "network": "compact", "rows": rows})
    assert "3 passes over the scan (5 iterations), the compact network, 2 seeds." in text
    alone = [{**rows[0], **walked(0, **kind, evaluations=1, nrmse=0.2, **fa), "pair": "angular"}]
    told = walk({"asked_passes": 3, "network": "compact", "rows": rows + alone})
    assert "2 seeds (adjacent 2, angular 1)." in told
    assert "| adjacent | posterior | η = 0 | 0.3000 ± 0.1414 |" in text
    assert "| adjacent | 0.3000 ± 0.1414 | 0.7000 ± 0.0000 |" in text
    assert "| adjacent | one, at 16 | 0.100 (+0.020) |" in text
    assert "| noisy scan | – | 0.300 (+0.200) |" in text


def test_a_panel_of_walks_shows_each_kind_at_the_step_it_has_reached() -> None:
    rows = [{"pair": "noisy", "seed": 0, "nrmse": 0.5}]
    for state, noise in walk_figure.WALKS.values():
        kind = {"state": state, "state_noise": noise}
        rows += [walked(0, **kind, evaluations=n, nrmse=0.1 * n) for n in (1, 2)]
    rows.append(walked(0, evaluations=1, nrmse=0.25) | {"start": 16})
    (panel,) = walk_figure.figure({"phantom": {"rows": rows}}).axes
    *walks, alone, noisy = panel.lines
    for drawn in walks:
        assert (list(drawn.get_xdata()), list(drawn.get_ydata())) == ([301, 291], [0.2, 0.4])
    assert (list(alone.get_xdata()), list(alone.get_ydata())) == ([17], [0.5])
    assert set(noisy.get_ydata()) == {1}


def test_the_table_of_textured_phantoms_has_fa_by_its_truth() -> None:
    row = {"nrmse": 0.1, "b0_nrmse": 0.02, "fa_rmse": 0.03, "md_rmse": 4e-5}
    row["by_true_fa"] = {"FA 0.00-0.10": {"fa.rmse": 0.05, "fa.bias": -0.01}}
    bound = {f"Bayes bound, library {n}": row for n in (1, 2)}
    direct = {"posterior mean of FA": {k: v for k, v in row.items() if k != "nrmse"}}
    text = textured({"cases": {"SNR 8": {"methods": {"splitq": row, **bound, **direct}}}})
    figures = "0.1000 | 0.0200 | 0.0300 | 0.0400 | 0.050 (-0.010) |"
    assert text.splitlines() == [
        "SNR 8:", "",
        "| method | NRMSE | NRMSE, b0s | FA | MD, 10⁻³ | 0.00-0.10 |", "|---|---|---|---|---|---|",
        f"| `splitq` | {figures}", f"| Bayes bound, library 1 | {figures}",
    ]  # fmt: skip
