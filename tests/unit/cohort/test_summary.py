"""The summary puts first what a person should look at, and says nothing that HTML would run."""

import json
from pathlib import Path

import pytest

from dwiser.cohort import pages, summary
from dwiser.cohort.costs import BASE_MIB, rate
from dwiser.cohort.job import Job
from dwiser.cohort.outcome import Outcome
from dwiser.cohort.run_record import RunRecord, read_run_record
from dwiser.io.bids import BidsScan


def job(out: Path, number: int, sigma: float, level: str = "PASS", words: str = "x") -> Job:
    name = f"sub-{number:02d}"
    job_done = Job(BidsScan(Path(f"{name}_dwi.nii.gz"), Path(name) / "dwi", name), out.parent, out)
    job_done.image.parent.mkdir(parents=True)
    job_done.image.touch()
    record = {
        "Method": "splitq", "Preset": "laptop", "Seed": 0, "Shape": [10, 10, 10, 10],
        "SigmaMedian": sigma, "SNR": [{"bval": 0, "snr": 20 + number % 3}],
        "WallTimeSeconds": 5 + number % 4 / 10, "PeakMemoryMiB": 500.0,
        "Verdict": {"Level": level, "Reasons": [{"Level": level, "Words": words}], "Notes": []},
    }  # fmt: skip
    job_done.sidecar.write_text(json.dumps(record))
    return job_done


@pytest.fixture
def cohort(tmp_path: Path) -> list[Job]:
    out = tmp_path / "out"
    some = [job(out, n, 30.0 + n % 5) for n in range(10)]
    return [*some, job(out, 10, 90.0), job(out, 11, 31.0, "FAIL"), job(out, 12, 31.0, "WARN")]


def test_failed_ones_come_first_then_what_stands_apart_then_the_rest(cohort: list[Job]) -> None:
    failed = {"sub-05": Outcome("sub-05", "failed", "its b-values are missing")}
    rows = summary.rows(cohort, failed)
    names = [row.job.name for row in rows]
    assert names[:4] == ["sub-05", "sub-10", "sub-11", "sub-12"]
    assert rows[1].apart == ("sigma high",)
    assert rows[0].reason == "its b-values are missing"
    assert all(not row.apart for row in rows[2:])


def test_the_table_for_programs_has_a_line_a_scan(cohort: list[Job]) -> None:
    lines = summary.tsv(summary.rows(cohort, {})).splitlines()
    assert len(lines) == 1 + len(cohort)
    head, first = lines[0].split("\t"), lines[1].split("\t")
    cells = dict(zip(head, first, strict=True))
    assert cells["participant_id"] == "sub-10"
    assert cells["session_id"] == "n/a"
    assert (cells["sigma"], cells["verdict"], cells["stands_apart"]) == ("90", "PASS", "sigma high")


def test_the_page_counts_links_and_escapes(cohort: list[Job], tmp_path: Path) -> None:
    evil = job(tmp_path / "out", 20, 31.0, "WARN", "<script>alert(1)</script>")
    failed = {"sub-05": Outcome("sub-05", "failed", "<b>no</b>")}
    rows = summary.rows([*cohort, evil], failed)
    pages.write_summary(tmp_path / "out", rows, "<i>study</i>")
    text = (tmp_path / "out" / "cohort.html").read_text()
    assert "14 scans:" in text
    assert "1 failed" in text
    assert 'href="sub-10.html#sub-10"' in text
    assert "<script>" not in text
    assert "<b>no</b>" not in text
    assert "<i>study</i>" not in text
    assert text.index("sub-05") < text.index("sub-10") < text.index("sub-00")
    pages.write_subject(evil)
    page = (tmp_path / "out" / "sub-20.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert list((tmp_path / "out").glob(".*")) == []


def test_what_another_run_did_in_the_folder_is_listed_too(cohort: list[Job]) -> None:
    assert len(summary.rows(cohort[:2], {})) == len(cohort)


def test_robust_z_is_that_of_a_normal_sample_and_silent_for_few() -> None:
    values = [float(v) for v in range(-50, 51)]
    z = summary.robust_z(values)
    assert z[50] == 0
    assert z[75] == pytest.approx(0.6745)
    assert summary.robust_z([1.0, 2.0, 99.0]) == [0, 0, 0]
    assert summary.robust_z([1.0] * 20) == [0] * 20


def read(folder: Path, fields: object) -> RunRecord | None:
    path = folder / "x.json"
    path.write_text(json.dumps(fields))
    return read_run_record(path)


def test_the_cost_of_a_scan_is_that_of_the_ones_done_else_of_the_benchmark(tmp_path: Path) -> None:
    done = {"Method": "splitq", "Shape": [100, 100, 10, 10], "WallTimeSeconds": 3.0}
    both = [done | {"PeakMemoryMiB": BASE_MIB + 50}, {"Method": "mppca"}]
    records = [record for fields in both if (record := read(tmp_path, fields)) is not None]
    cost = rate("splitq", records).of(2_000_000)
    assert (cost.seconds, cost.mib) == (6.0, BASE_MIB + 100)
    assert "1 done" in cost.source
    bench = rate("splitq", []).of(65 * 78 * 66 * 70)
    assert bench.seconds == pytest.approx(16, rel=0.02)
    assert bench.mib == pytest.approx(1030, rel=0.02)
    assert rate("difusion", []).of(10).seconds is None
    assert rate("splitq", []).of(None).mib is None


def test_a_sidecar_that_somebody_edited_reads_as_one_that_lacks_the_field(tmp_path: Path) -> None:
    odd = {"Method": 3, "Shape": "x", "WallTimeSeconds": "1 s", "SNR": [7], "Verdict": "PASS"}
    record = read(tmp_path, odd | {"GeneratedBy": 7, "InputFiles": [1]})
    assert record is not None
    assert (record.method, record.shape, record.voxels, record.seconds) == (None,) * 4
    assert (record.snr_b0, record.verdict, record.reasons, record.inputs) == (None, None, (), {})
    assert record.decides["Version"] is None
    assert read(tmp_path, [1, 2]) is None
    assert read_run_record(tmp_path / "missing.json") is None
