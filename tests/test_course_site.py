"""The site's pages, made of the committed lectures: small, described, folded, and at home on their own."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from vrnlib import course

pytest.importorskip("latex2mathml", reason="needs latex2mathml (extra 'course')")
from vrnlib.course.site import body_of, page_of, with_mathml

SOURCES = course.source_files()
EACH = pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])


class Page(HTMLParser):
    """The pictures' alt texts, the links, what is loaded, and the folded code of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.alts: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.folded = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "img":
            self.alts.append(found.get("alt", ""))
        if tag == "a":
            self.links.append(found.get("href", ""))
        if tag in ("img", "script", "link", "iframe"):
            self.loaded.append(found.get("src", found.get("href", "")))
        self.folded += tag == "details" and found.get("class") == "solution"


@EACH
def test_a_page_is_small_and_whole(source: Path):
    lecture = nbformat.read(course.lecture_path(source), as_version=4)
    exercises = [cell for cell in lecture.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    text = page_of("A title", body_of(lecture), SOURCES, source.stem)
    page = Page(text)
    assert len(text.encode()) < 2e6
    assert page.alts and all(len(alt) > 20 for alt in page.alts)
    assert page.folded == len(exercises)
    assert not [place for place in page.loaded if place.startswith(("http", "//"))], "nothing from other machines"
    assert not [link for link in page.links if link.endswith(".ipynb") and "colab" not in link]
    menu = {f"{other.stem}.html" for other in SOURCES}
    assert menu <= set(page.links) and f'href="{source.stem}.html" aria-current="page"' in text
    assert "{{" not in text and "{%" not in text


def test_formulas_become_mathml_and_code_and_prices_stay():
    text = "Take $s = 90 / \\sqrt{w h}$, not `$HOME`; it costs 5$ or 6$.\n\n$$\\sum_i x_i$$\n\n```\na = $b$\n```"
    shown = with_mathml(text)
    assert shown.count("<math") == 2 and "<msqrt>" in shown and 'display="block"' in shown
    assert "`$HOME`" in shown and "5$ or 6$" in shown and "a = $b$" in shown
    assert "\n" not in re.search(r"<math.*?</math>", shown, re.DOTALL)[0]
