"""``dwiser denoise --report``: one file beside the result, or a sentence why not."""

import json
from pathlib import Path

QUICK = ("--method", "gaussian", "--threads", "1")


def test_the_report_comes_with_the_result(files: Path, dwiser) -> None:
    hostile = files / "<b onclick=x>&'.nii.gz"
    for ending in (".nii.gz", ".bval", ".bvec"):
        (files / f"dwi{ending}").rename(files / f"{hostile.name.removesuffix('.nii.gz')}{ending}")
    page = files / "out.html"
    done = dwiser("denoise", hostile, files / "out.nii.gz", *QUICK, "--report", page)
    assert done.returncode == 0, done.stderr
    html = page.read_text(encoding="utf-8")
    assert "<b onclick" not in html
    assert "&lt;b onclick=x&gt;&amp;&#39;.nii.gz" in html
    sidecar = json.loads((files / "out.json").read_text())
    assert sidecar["Verdict"]["Level"] in ("PASS", "WARN", "FAIL")
    assert f"Verdict: {sidecar['Verdict']['Level']}" in html
    assert f"--report {page}" in html
    again = dwiser("denoise", hostile, files / "new.nii.gz", *QUICK, "--report", page)
    assert again.returncode == 2
    assert "out.html: it exists already" in again.stderr
    assert not (files / "new.nii.gz").exists()


def test_a_report_that_is_no_page_is_refused_before_the_work(files: Path, dwiser) -> None:
    done = dwiser(
        "denoise", files / "dwi.nii.gz", files / "out.nii.gz", "--report", files / "out.pdf"
    )
    assert done.returncode == 2
    assert "out.pdf: a report is a web page: end its name in .html." in done.stderr
    assert not list(files.glob("out*"))
