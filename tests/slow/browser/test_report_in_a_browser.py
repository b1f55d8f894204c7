"""The report in a real browser: it loads, its sliders and toggles work, on a phone too."""

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
ui = pytest.importorskip("selenium.webdriver.support.ui")

from .conftest import HOSTILE, requested  # noqa: E402

pytestmark = pytest.mark.slow

PATIENCE = 300  # seconds; a machine with two busy cores draws WebGL in software
PIXELS = """
const canvas = document.querySelector(arguments[0]);
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let hash = 0, most = 0, least = 255;
for (let i = 0; i < data.length; i += 4) {
  hash = (31 * hash + data[i]) | 0;
  most = Math.max(most, data[i]);
  least = Math.min(least, data[i]);
}
return [hash, least, most];
"""


def pixels(page, selector: str) -> list[int]:
    return page.execute_script(PIXELS, selector)


def canvas(section: str, kind: str) -> str:
    return f"#{section} [data-kind={kind}] canvas"


def problems(page) -> list[str]:
    """Errors and warnings of the console, but for what reading pixels costs: these tests do it."""
    told = [m["message"] for m in page.get_log("browser") if m["level"] in ("SEVERE", "WARNING")]
    return [m for m in told if "GPU stall" not in m and "readback operations" not in m]


def start_viewer(page) -> None:
    page.find_element(By.ID, "viewer-start").click()
    shown(page, "(noisy)")


def shown(page, words: str) -> None:
    """Wait until the viewer says that it shows this."""
    status = page.find_element(By.ID, "viewer-shown")
    ui.WebDriverWait(page, PATIENCE).until(lambda _: words in status.text)


def test_it_loads_without_errors_and_asks_the_network_for_nothing(browser, report: Path) -> None:
    page = browser(report)
    assert problems(page) == []
    series = f"{report.parent.name}/{HOSTILE.removesuffix('.nii.gz')}"
    assert page.title.startswith(f"{series}: splitq, ")
    assert page.title.endswith(" – denoised by dwiser")
    assert page.find_element(By.TAG_NAME, "h1").text == HOSTILE
    assert page.execute_script("return window.broken") is None
    for section, kinds in (
        ("pictures", ("noisy", "denoised", "residual")),
        ("volumes", ("noisy0", "noisy1", "denoised2", "residual0")),
        ("fa", ("noisy", "denoised")),
        ("noise", ("sigma",)),
    ):
        for kind in kinds:
            _, least, most = pixels(page, canvas(section, kind))
            assert most - least > 50, (section, kind)
    start_viewer(page)
    assert requested(page) == {report.as_uri()}
    assert problems(page) == []


def test_the_sliders_move_the_pictures(browser, report: Path) -> None:
    page = browser(report)
    for section, slider, kind in (
        ("pictures", "pictures-slice", "noisy"),
        ("pictures", "pictures-slice", "residual"),
        ("fa", "fa-slice", "denoised"),
        ("noise", "noise-slice", "sigma"),
        ("volumes", "volume", "denoised1"),
    ):
        handle = page.find_element(By.ID, slider)
        before, told = pixels(page, canvas(section, kind)), handle.get_attribute("aria-valuetext")
        handle.send_keys(Keys.ARROW_RIGHT)
        assert pixels(page, canvas(section, kind)) != before, (section, kind)
        assert handle.get_attribute("aria-valuetext") != told
    text = page.find_element(By.ID, "volume").get_attribute("aria-valuetext")
    assert text.startswith("volume 1, b = ")


def test_image_plane_and_flip_change_the_pictures(browser, report: Path) -> None:
    page = browser(report)
    first, second = canvas("pictures", "noisy"), canvas("pictures", "denoised")
    seen = [pixels(page, first)]
    for radio in page.find_elements(By.NAME, "contrast")[1:]:
        radio.click()
        seen.append(pixels(page, first))
    ui.Select(page.find_element(By.CSS_SELECTOR, "#pictures .plane")).select_by_value("coronal")
    seen.append(pixels(page, first))
    assert len(set(map(tuple, seen))) == 5
    flip = page.find_element(By.CSS_SELECTOR, "#pictures .flip")
    noisy, denoised = pixels(page, first), pixels(page, second)
    assert noisy != denoised
    flip.click()
    assert flip.get_attribute("aria-pressed") == "true"
    assert pixels(page, first) == denoised
    assert "Denoised" in page.find_element(By.CSS_SELECTOR, first).get_attribute("aria-label")
    flip.click()
    assert pixels(page, first) == noisy


def test_a_voxel_shows_its_signal_in_all_volumes(browser, report: Path) -> None:
    page = browser(report)
    where = page.find_element(By.ID, "voxel-where")
    before = where.text
    picture = page.find_element(By.CSS_SELECTOR, canvas("volumes", "noisy0"))
    picture.click()
    dots = page.find_elements(By.CSS_SELECTOR, "#voxel circle")
    assert len(dots) == 2 * 41
    assert where.text == before  # the middle, as at first
    picture.send_keys(Keys.ARROW_RIGHT)
    assert where.text != before
    words = page.find_elements(By.CSS_SELECTOR, "#voxel circle title")
    assert words[3].get_attribute("textContent").startswith("volume 3, b = 1000 s/mm², along (")
    assert problems(page) == []


def drawn(page) -> np.ndarray:
    """What the viewer shows, (H, W) in 0 to 1."""
    png = page.find_element(By.ID, "viewer-canvas").screenshot_as_png
    return imread(io.BytesIO(png))[..., :3].mean(-1)


def test_the_viewer_draws_and_toggles(browser, report: Path) -> None:
    page = browser(report, height=1400)
    start_viewer(page)
    toggle = page.find_element(By.ID, "viewer-toggle")
    noisy = drawn(page)
    assert noisy.std() > 0.1
    toggle.click()
    shown(page, "(denoised)")
    denoised = drawn(page)
    assert np.abs(denoised - noisy).mean() > 1e-3
    toggle.click()
    shown(page, "(noisy)")
    assert np.abs(drawn(page) - noisy).mean() < 1e-4
    choice = ui.Select(page.find_element(By.ID, "viewer-image"))
    for name in ("colour FA", "σ, the noise's sd (scanner units)"):
        choice.select_by_visible_text(name)
        shown(page, name)
    assert not toggle.is_enabled()  # σ has no other side
    assert problems(page) == []


def test_without_webgl_the_pictures_do(browser, report: Path) -> None:
    page = browser(report, gl=False)
    note = page.find_element(By.ID, "viewer-note")
    assert "no WebGL" in note.text
    assert "pictures above" in note.text
    assert not page.find_element(By.ID, "viewer-start").is_displayed()
    before = pixels(page, canvas("pictures", "noisy"))
    assert before[2] > 100
    page.find_element(By.ID, "pictures-slice").send_keys(Keys.ARROW_LEFT)
    assert pixels(page, canvas("pictures", "noisy")) != before
    assert problems(page) == []


def test_a_phone_shows_it_without_scrolling_sideways(browser, report: Path) -> None:
    page = browser(report, 390, 844, phone=True)
    start_viewer(page)
    for details in page.find_elements(By.TAG_NAME, "details"):
        page.execute_script("arguments[0].open = true", details)
    width = page.execute_script("return document.documentElement.scrollWidth")
    assert width <= 390
    wide = page.execute_script(
        "return [...document.querySelectorAll('main canvas, main img, main button, main input')]"
        ".map(e => e.getBoundingClientRect()).filter(r => r.width && (r.right > 391 || r.left < 0))"
        ".length"
    )
    assert wide == 0
    low = page.execute_script(
        "return [...document.querySelectorAll('main button, main select, main input[type=range]')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 24).length"
    )
    assert low == 0  # WCAG 2.2, 2.5.8: a target of 24 CSS pixels


def test_a_screen_reader_finds_names(browser, report: Path) -> None:
    page = browser(report)
    start_viewer(page)
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    seen = [
        (n["role"]["value"], n.get("name", {}).get("value", ""))
        for n in nodes
        if not n.get("ignored") and "role" in n
    ]
    named = (
        "button",
        "slider",
        "radio",
        "combobox",
        "image",
        "img",
        "link",
        "Canvas",
        "table",
        "region",
    )
    unnamed = [
        role for role, name in seen if role in named and role != "table" and not name.strip()
    ]
    assert unnamed == []
    sliders = [name for role, name in seen if role == "slider"]
    assert len(sliders) == 4
    assert all(name.startswith(("Slice", "Volume")) for name in sliders)
    assert ("button", "Show denoised") in seen
    assert ("button", "First picture: show denoised") in seen
    images = [name for role, name in seen if role in ("image", "img")]
    assert any(name.startswith("Noisy: b0, axial slice") for name in images)
    assert any(
        name.startswith("Histogram of the standardised residual of b0: rms ") for name in images
    )
    assert {"main", "navigation", "banner", "contentinfo"} <= {role for role, _ in seen}
    regions = [name for role, name in seen if role == "region"]
    assert any(name.startswith("Verdict: ") for name in regions)


def test_without_javascript_there_is_a_picture(browser, report: Path, tmp_path: Path) -> None:
    page = browser(report)
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.get(report.as_uri())
    still = page.find_element(By.CSS_SELECTOR, "img.still")
    assert still.is_displayed()
    assert still.size["width"] > 400
