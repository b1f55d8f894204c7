"""The page holds everything, asks for nothing, lets nothing out of its text, and can be read."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from dwiser.evaluation.angle_cells import AngleCells
from dwiser.reports.angle import angle_maps
from dwiser.reports.material import Material
from dwiser.reports.page import angle_charts, bundled, page
from dwiser.reports.words import listed

from .conftest import HOSTILE

VOID = {"meta", "link", "input", "img", "br"}
KINDS = ("pass", "warn", "fail")


class Tree(HTMLParser):
    """Tags with their attributes in order, and the text inside each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, tag: str) -> str:
        return " ".join(text for name, text in self.texts if name == tag)


@pytest.fixture(scope="module")
def tree(html: str) -> Tree:
    return Tree(html)


def test_hostile_text_stays_text(html: str, tree: Tree) -> None:
    assert tree.open == []
    assert "<script>alert" not in html
    assert not [a for _, a in tree.tags if "onerror" in a]
    assert html.count("<script") == len(tree.all("script"))
    assert HOSTILE.rpartition("/")[2] in tree.text("h1")
    assert HOSTILE in tree.text("dd")
    assert HOSTILE in tree.text("li")
    assert HOSTILE in tree.text("pre")  # the command
    assert json.dumps(HOSTILE)[1:-1] in tree.text("pre")  # the record


def test_what_scripts_read_cannot_close_them(html: str) -> None:
    spec = re.search(r'id="spec">(.*?)</script>', html, re.S).group(1)
    assert "<" not in spec
    assert json.loads(spec)["contrasts"][0]["label"] == "b0"


def test_the_page_asks_the_network_for_nothing(html: str, tree: Tree) -> None:
    policy = next(a["content"] for a in tree.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    for _, attributes in tree.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), value[:60]
    without_scripts = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert not re.findall(r"@import|url\((?!['\"]?data:)", without_scripts)


def test_every_promised_section_is_there(html: str, tree: Tree, material: Material) -> None:
    heads = tree.text("h2")
    for part in (
        "Verdict", "What ran", "Slice", "Volume", "Colour FA", "Noise", "removed", "Learning",
        "Dropouts", "Look around", "Cite and repeat",
    ):  # fmt: skip
        assert part in heads, part
    assert material.judged is not None
    for reason in material.judged.verdict.reasons:
        assert reason.words in tree.text("li")
    assert any(k in a.get("class", "").split() for a in tree.all("section") for k in KINDS)
    by_angle = 2 * len(material.judged.findings.angle)
    assert (
        len([a for a in tree.all("img") if a["src"].startswith("data:image/svg")])
        == 2 * 2 + 2 + by_angle
    )
    cells = tree.text("td")
    assert "0–39" in cells  # the shell table's volumes
    assert "40" in cells
    assert "no publication" in html
    assert "BSD 2-Clause License" in html


def test_a_screen_reader_finds_names(tree: Tree) -> None:
    labelled = {a["for"] for a in tree.all("label") if "for" in a}
    for attributes in tree.all("input"):
        if attributes["type"] == "range":
            assert attributes["id"] in labelled
    assert all(a.get("alt") for a in tree.all("img"))
    assert all(a.get("aria-label") for a in tree.all("canvas"))
    assert all(a.get("role") == "img" for a in tree.all("canvas") if not a.get("id"))
    assert tree.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in tree.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    ids = [a["id"] for _, a in tree.tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for a in tree.all("a")}
    assert targets <= set(ids)
    named = {a.get("aria-labelledby") for a in tree.all("section")}
    assert named <= set(ids)


def test_the_same_material_gives_the_same_page(material: Material, html: str) -> None:
    assert page(material) == html


def test_what_is_bundled_comes_with_its_licence() -> None:
    licences = bundled("LICENCES.txt")
    for name in ("@niivue/niivue 0.69.0", "fflate 0.8.3", "gl-matrix", "numcodecs", "Roboto"):
        assert name in licences
    assert "</script" not in bundled("fflate.umd.js")


def test_runs_of_volumes_are_drawn_together() -> None:
    assert listed([12, 4, 5, 6, 0]) == "0, 4–6, 12"


def by_angle(mean: np.ndarray) -> AngleCells:
    """A shell's cells with these means."""
    same = np.full((5, 5), 0.01)
    voxels, shares = np.full(5, 400), np.ones(5)
    return AngleCells("b1000", 1000.0, voxels, mean, same, same, mean / 2, same, shares, shares)


def test_the_residual_by_angle_is_drawn_beside_the_cross_fitted_one(material: Material) -> None:
    assert material.judged is not None
    mean = np.zeros((5, 5))
    mean[3, 0] = 0.21
    findings = replace(material.judged.findings, angle=(by_angle(mean),))
    shown = replace(material, judged=replace(material.judged, findings=findings))
    charts = angle_charts(shown)
    pictures = {img.get("src"): img.get("alt") for img in Tree(page(shown)).all("img")}
    assert [pictures[chart.source] for chart in charts] == [chart.alt for chart in charts]
    assert "+0.21 ± 0.01 σ at FA 0.60–0.80, |cos| 0.0–0.2" in charts[0].alt
    assert "+0.10 ± 0.01 σ at FA 0.60–0.80" in charts[1].alt


def test_where_there_is_no_angle_the_reason_stands(material: Material) -> None:
    assert material.judged is not None
    findings = replace(material.judged.findings, angle=(), angle_absent="no shell is complete")
    shown = replace(material, judged=replace(material.judged, findings=findings))
    assert "Not measured: no shell is complete." in Tree(page(shown)).text("p")
    assert "no cell holds enough voxels" in angle_maps(by_angle(np.full((5, 5), np.nan)))[0].alt
