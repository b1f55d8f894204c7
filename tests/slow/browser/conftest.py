"""Debian's headless Chromium, driven by Selenium: skipped, with the reason, where it is missing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest

from dwiser.io.sample import sample_paths
from dwiser.run.denoising import denoise_file
from dwiser.run.request import Request

BROWSERS, DRIVERS = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)
SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # no GPU is needed
NO_GL = ("--disable-3d-apis",)
HOSTILE = "<img src=x onerror=window.broken=1>\"'&.nii.gz"

Open = Callable[..., "object"]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the packaged scan, denoised by splitq; its file has a hostile name."""
    folder = tmp_path_factory.mktemp("report")
    sample = sample_paths()
    dwi, page = folder / HOSTILE, folder / "report.html"
    dwi.write_bytes(Path(sample.dwi).read_bytes())
    denoise_file(
        Request(dwi, folder / "out.nii.gz", sample.bval, sample.bvec, threads=1, report=page)
    )
    return page


@pytest.fixture
def browser() -> Iterator[Open]:
    """Opens a page: ``browser(path, width, gl=True, phone=False)``; closed after the test."""
    program = next(filter(None, map(which, BROWSERS)), None)
    driver = next(filter(None, map(which, DRIVERS)), None)
    if program is None or driver is None:
        pytest.skip("Chromium or its driver is missing: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    opened = []

    def open_(path: Path, width: int = 1280, height: int = 900, *, gl: bool = True, phone=False):
        options = webdriver.ChromeOptions()
        options.binary_location = program
        options.page_load_strategy = "normal"
        for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
            options.add_argument(word)
        for word in SOFTWARE_GL if gl else NO_GL:
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        page = webdriver.Chrome(options, Service(driver))
        opened.append(page)
        page.set_page_load_timeout(300)
        page.set_script_timeout(300)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        page.get(path.as_uri())
        return page

    yield open_
    for page in opened:
        page.quit()


def requested(page) -> set[str]:
    """Every address that the page asked for, data: and blob: left out."""
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    }
    return {url for url in asked if not url.startswith(("data:", "blob:"))}
