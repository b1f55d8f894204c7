"""The documentation site: it builds without a warning, and every link inside it leads somewhere."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

HOME = Path(__file__).parents[2]
DOCS = HOME / "docs"
LOADED = {"script": "src", "img": "src", "link": "href"}  # what a browser fetches by itself

pytestmark = pytest.mark.slow


@dataclass
class Page(HTMLParser):
    """What one page of HTML links to, what it loads, its anchors and its text."""

    links: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)
    anchors: set[str] = field(default_factory=set)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[key] for key in ("id", "name") if key in values}
        if tag in LOADED and LOADED[tag] in values and values.get("rel") != "canonical":
            self.loaded.add(values[LOADED[tag]])
        elif "href" in values:
            self.links.add(values["href"])

    def handle_data(self, data: str) -> None:
        self.text += data

    @classmethod
    def of(cls, text: str) -> "Page":
        page = cls()
        page.feed(text)
        return page


def broken(pages: dict[Path, Page], site: Path) -> list[str]:
    """Links to a file or an anchor that is not there; addresses of other hosts are left out."""
    missing = []
    for path, page in pages.items():
        for link in page.links | page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            base = site if parts.path.startswith("/") else path.parent  # 404.html: from the root
            target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            known = pages[target].anchors if target in pages else set()
            if not target.is_file() or (anchor and target in pages and anchor not in known):
                missing.append(f"{path.relative_to(site)}: {link}")
    return missing


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of the build fails the test."""
    folder = tmp_path_factory.mktemp("site").resolve()
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=HOME, capture_output=True, text=True, check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page.of(path.read_text()) for path in site.rglob("*.html")}


def test_a_missing_file_and_a_missing_anchor_are_seen(tmp_path: Path) -> None:
    text = '<a id="here" href="#here"><a href="#gone"><a href="gone.html"><img src="b.png">'
    (tmp_path / "a.html").write_text(text)
    seen = broken({tmp_path / "a.html": Page.of(text)}, tmp_path)
    assert sorted(seen) == ["a.html: #gone", "a.html: b.png", "a.html: gone.html"]


def test_every_link_inside_the_site_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) > len(list(DOCS.rglob("*.md")))
    assert broken(pages, site) == []


def test_every_page_is_built_where_its_source_is(site: Path) -> None:
    for source in DOCS.rglob("*.md"):
        assert (site / source.relative_to(DOCS)).with_suffix(".html").exists()


def test_no_page_loads_anything_from_another_host(pages: dict[Path, Page]) -> None:
    assert not {link for page in pages.values() for link in page.loaded if urlsplit(link).netloc}


def test_the_python_pages_come_from_the_docstrings(site: Path, pages: dict[Path, Page]) -> None:
    page = pages[site / "reference" / "api" / "dwiser.html"]
    for name in ("denoise", "as_scan", "load", "save", "report", "evaluate", "simulate"):
        assert f"dwiser.{name}" in page.anchors
    assert "as in FSL's files; or" in " ".join(page.text.split()), "a description in one piece"
