"""From the table of a cohort to a scan's own report and back, in a real browser."""

from pathlib import Path

import pytest

from dwiser.cli import main

By = pytest.importorskip("selenium.webdriver.common.by").By

from .conftest import requested  # noqa: E402

pytestmark = pytest.mark.slow
QUICK = ("--method", "gaussian", "--threads", "1", "--skip-bids-validation", "-q")


@pytest.fixture(scope="module")
def out(bids, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one participant with reports, one of another without, and one that failed."""
    home = tmp_path_factory.mktemp("cohort")
    root = bids(home, "sub-01 run-1", "sub-01 run-2", "sub-02", "sub-03")
    (root / "sub-03/dwi/sub-03_dwi.bvec").unlink()
    words = ["bids", str(root), str(home / "out"), "participant", *QUICK]
    assert main([*words, "--participant-label", "01", "--report"]) == 0
    assert main(words) == 1
    return home / "out"


def test_each_row_leads_to_its_own_report_or_its_place_on_the_subjects_page(
    browser, out: Path
) -> None:
    page = browser(out / "cohort.html")
    rows = page.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert rows[0].find_element(By.TAG_NAME, "th").text == "sub-03"
    assert not rows[0].find_elements(By.TAG_NAME, "a")
    page.find_element(By.LINK_TEXT, "sub-01_run-2").click()
    assert page.find_element(By.TAG_NAME, "h1").text == "sub-01_run-2_dwi.nii.gz"
    page.back()
    page.find_element(By.LINK_TEXT, "sub-02").click()
    assert page.current_url.endswith("sub-02.html#sub-02")
    assert page.find_element(By.TAG_NAME, "img").get_property("naturalWidth") > 1000
    assert not page.find_elements(By.CSS_SELECTOR, "a.report")
    page.find_element(By.LINK_TEXT, "All scans of the cohort").click()
    page.get((out / "sub-01.html").as_uri())
    links = page.find_elements(By.CSS_SELECTOR, "a.report")
    assert len(links) == 2
    links[0].click()
    assert page.find_element(By.TAG_NAME, "h1").text == "sub-01_run-1_dwi.nii.gz"
    assert all(url.startswith("file:") for url in requested(page))
    assert [m for m in page.get_log("browser") if m["level"] == "SEVERE"] == []


@pytest.mark.parametrize("name", ["cohort.html", "sub-01.html"])
def test_a_phone_shows_the_pages_without_scrolling_sideways(browser, out: Path, name: str) -> None:
    page = browser(out / name, 390, 844, phone=True)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
