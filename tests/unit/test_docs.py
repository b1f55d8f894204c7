"""The documentation holds together: links lead somewhere, every page is in the index."""

import re
from pathlib import Path

import pytest

from scripts import contrasts_pages, series_page

HOME = Path(__file__).parents[2]
DOCS = HOME / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\(([^)#\s]+?)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", [*PAGES, HOME / "README.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_series_page_says_what_was_measured() -> None:
    page = series_page.PAGE.read_text()
    assert series_page.filled(page) == page, "run python -m scripts.series_page"
    row = {"apart": {"nrmse": 0.1}, "together": {"nrmse": 0.05}, "noisy": {"nrmse": 0.2}}
    assert [series_page._cell(row, "nrmse", arm) for arm in series_page.ARMS] == [
        "0.2000", "0.1000", "**0.0500**"
    ]  # fmt: skip


@pytest.mark.parametrize("name", contrasts_pages.PAGES)
def test_the_pages_on_contrasts_say_what_was_measured(name: str) -> None:
    page = contrasts_pages.FILES[name].read_text()
    assert contrasts_pages.filled(name) == page, "run python -m scripts.contrasts_pages"


def test_the_explained_code_is_where_it_is_said_to_be() -> None:
    """`prepare/pairs.py` is a file, and a `name` after it is in that file."""
    source = HOME / "src" / "dwiser"
    named = []
    for page in (DOCS / "explanation").glob("*.md"):
        named += re.findall(r"`(\w+/\w+\.py)`(?: `(\w+)`)?", page.read_text())
    assert len(named) > 15
    for path, name in named:
        assert (source / path).exists() or (HOME / path).exists(), path
        assert not name or f"def {name}(" in (source / path).read_text(), name


def test_the_index_names_every_page() -> None:
    index = DOCS / "index.md"
    named = {(DOCS / link).resolve() for link in LINK.findall(index.read_text()) if ":" not in link}
    decisions = {page for page in PAGES if page.parent.name == "decisions"}
    assert {page.resolve() for page in PAGES} - decisions - named == {index}


def test_the_site_shows_every_page() -> None:
    shown = re.findall(r"^ +- (\S+\.md)$", (HOME / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


def test_the_python_pages_name_every_module_of_their_packages() -> None:
    text = "\n".join(page.read_text() for page in (DOCS / "reference" / "api").glob("*.md"))
    named = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    assert len(named) == len(set(named)), "a module stands on one page"
    files = {name: HOME / "src" / name.replace(".", "/") for name in named}
    for name, folder in files.items():
        modules = {f"{name}.{p.stem}" for p in folder.glob("*.py") if p.stem != "__init__"}
        assert name == "dwiser" or modules <= set(named), name
        assert folder.is_dir() or folder.with_suffix(".py").exists(), name


def test_the_containers_take_what_is_there() -> None:
    """Every file that the recipes copy exists, and Docker's ignore file lets it through."""
    docker = (HOME / "containers" / "Dockerfile").read_text()
    taken = {
        w for line in re.findall(r"^COPY (.*) \S+$", docker, re.MULTILINE) for w in line.split()
    }
    apptainer = (HOME / "containers" / "dwiser.def").read_text()
    taken |= set(re.findall(r"^ {4}(\S+) /opt/dwiser/\S+$", apptainer, re.MULTILINE))
    let_through = set(re.findall(r"^!(\S+)$", (HOME / ".dockerignore").read_text(), re.MULTILINE))
    assert {"src", "pyproject.toml", "constraints.txt"} <= taken == let_through
    assert all((HOME / name).exists() for name in taken)
