"""The course's site: the executed lectures as plain pages with living 3D views, and an index.

nbconvert makes the pages; formulas become MathML and 3D views become pages of their own beside them, so that the site
needs no server, no kernel and nothing from other machines.
"""

from __future__ import annotations

import html
import os
import re
import shutil
from pathlib import Path

from nbformat import NotebookNode

from vrnlib.course.copies import executed, without_details
from vrnlib.course.sources import NOTEBOOKS, badge, source_files, title_of

TEMPLATE = """\
{%- extends 'basic/index.html.j2' -%}
{%- block input -%}
{%- if cell.metadata.get('jupyter', {}).get('source_hidden') -%}
<details class="solution"><summary>Solution: {{ cell.id }}</summary>{{ super() }}</details>
{%- else -%}{{ super() }}{%- endif -%}
{%- endblock input -%}
"""

#: Code, a formula on lines of its own, a formula within a line.
FORMULA = re.compile(
    r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|(?<![\\\w$])\$(?P<inline>[^\s$](?:[^$\n]*[^\s$])?)\$(?!\w)",
    re.DOTALL,
)

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<nav aria-label="Notebooks"><a href="index.html">VRN workbook</a><ol start="0">{menu}</ol></nav>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """\
:root { --ink: #1c2733; --pale: #f4f6f8; --line: #d5dce3; --link: #0b5cad; }
* { box-sizing: border-box; }
body { margin: 0; display: flex; color: var(--ink); font: 17px/1.6 Georgia, 'Noto Serif', serif; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; flex: 0 0 15rem; padding: 1.5rem 1rem;
  background: var(--pale); border-right: 1px solid var(--line); font: 15px/1.5 system-ui, sans-serif; }
nav > a { font-weight: 600; } nav ol { padding-left: 1.4rem; } nav li { margin: .4rem 0; }
nav a[aria-current] { color: inherit; font-weight: 600; text-decoration: none; }
main { flex: 1 1 auto; min-width: 0; max-width: 62rem; padding: 1rem 2.5rem 5rem; }
h1, h2, h3 { font-family: system-ui, sans-serif; line-height: 1.25; margin: 2rem 0 .6rem; }
a { color: var(--link); } a.anchor-link { display: none; }
pre, code { font: 14px/1.5 ui-monospace, 'DejaVu Sans Mono', monospace; }
code { background: var(--pale); padding: .1em .25em; border-radius: 3px; } pre code { background: none; padding: 0; }
.highlight, .input_area { background: var(--pale); border-radius: 5px; }
.highlight pre { margin: 0; padding: .7rem 1rem; overflow: auto; }
.prompt, .input_prompt, .output_prompt { display: none; }
.output_area { margin: .5rem 0; } .output_area pre { margin: 0; padding: .2rem 1rem; overflow: auto;
  border-left: 3px solid var(--line); }
img { max-width: 100%; height: auto; } figcaption { font-size: 15px; margin: .2rem 0 1rem; }
iframe.view { width: 100%; aspect-ratio: 3 / 2; border: 1px solid var(--line); border-radius: 5px; }
details { margin: .6rem 0; padding: .4rem .8rem; border: 1px solid var(--line); border-radius: 5px; }
summary { cursor: pointer; font-family: system-ui, sans-serif; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 15px; }
td, th { border: 1px solid var(--line); padding: .3rem .6rem; vertical-align: top; text-align: left; }
.cards { list-style: none; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); }
.cards li { border: 1px solid var(--line); border-radius: 5px; padding: .4rem 1rem; }
.cards h2 { margin: .5rem 0; font-size: 1.15rem; } .cards small { font-family: system-ui, sans-serif; }
@media (max-width: 800px) {
  body { display: block; } nav { position: static; height: auto; border: 0; } main { padding: 1rem; }
}
"""


def write_site(folder: Path, sources: list[Path] | None = None) -> None:
    """Execute the lectures; write ``index.html``, a page for each, ``teaching.html``, and the 3D views in ``views/``.

    Args:
        folder: does not exist, or is empty.
        sources: the notebooks; none means all.
    """
    from pygments.formatters import HtmlFormatter

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "views").mkdir()
    os.environ["VRN_VIEW_PAGES"] = str((folder / "views").absolute())
    files = sources or source_files()
    cards = []
    try:
        for source in files:
            notebook = executed(source)
            page = folder / f"{source.stem}.html"
            page.write_text(page_of(title_of(source), body_of(notebook), files, source.stem), encoding="utf-8")
            cards.append(_card(source, notebook))
            print(f"{page.name}: {page.stat().st_size / 1e6:.2f} MB")
    finally:
        del os.environ["VRN_VIEW_PAGES"]
    shutil.copy(NOTEBOOKS / "pictures" / "astronaut.png", folder / "astronaut.png")
    teaching = _from_markdown((NOTEBOOKS / "TEACHING.md").read_text(encoding="utf-8"))
    (folder / "teaching.html").write_text(page_of("Teaching", teaching, files, "teaching"), encoding="utf-8")
    (folder / "index.html").write_text(page_of("VRN workbook", _index(cards), files, "index"), encoding="utf-8")
    (folder / "style.css").write_text(STYLE + HtmlFormatter(style="default").get_style_defs(".highlight") + "\n")
    print(f"open {folder / 'index.html'}")


def body_of(notebook: NotebookNode) -> str:
    """An executed lecture as HTML: formulas as MathML, solutions folded, links to pages in place of notebooks."""
    from nbconvert import HTMLExporter

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
    body, _ = HTMLExporter(raw_template=TEMPLATE).from_notebook_node(notebook)
    return _to_pages(body)


def with_mathml(text: str) -> str:
    """A text in Markdown with its formulas, $…$ and $$…$$, as MathML; code is left alone.

    >>> with_mathml("costs `$5`, or $x^2$").startswith("costs `$5`, or <math")
    True
    """
    from latex2mathml.converter import convert

    def formula(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        display = "block" if found["block"] else "inline"
        return " ".join(convert(found["block"] or found["inline"], display=display).split())

    return FORMULA.sub(formula, text)


def page_of(title: str, body: str, files: list[Path], current: str) -> str:
    """A whole page with the menu of all notebooks; ``current`` is the page's own name."""
    names = [(file.stem, re.sub(r"^\d+ · ", "", title_of(file))) for file in files]
    items = []
    for name, words in names:
        here = ' aria-current="page"' if name == current else ""
        items.append(f'<li><a href="{name}.html"{here}>{html.escape(words)}</a></li>')
    return PAGE.format(title=html.escape(title), menu="".join(items), body=body)


def _card(source: Path, notebook: NotebookNode) -> str:
    """A notebook on the index: title, claim, costs, badges."""
    text = without_details(notebook.cells[0].source).split("\n\n")
    claim = _from_markdown(text[-1])
    minutes = notebook.metadata.workbook.minutes_cpu
    student = _from_markdown(badge(f"student/{source.stem}")).replace("Open in Colab", "Exercises in Colab")
    link = f'<h2><a href="{source.stem}.html">{html.escape(title_of(source))}</a></h2>'
    return f"<li>{link}{claim}<small>{minutes} minutes on a CPU</small>{student}</li>"


def _index(cards: list[str]) -> str:
    alt = "A photo, the crop, and the face from several sides, coloured and grey."
    intro = (
        "<h1>From one photo to a 3D face</h1><p>A photo goes in, a 3D face comes out, and you have written every step "
        "between: a volumetric regression network, its targets, its training and its evaluation. These are the "
        "lectures, executed, with their solutions folded; the exercises are notebooks of their own.</p>"
    )
    picture = f'<img src="astronaut.png" alt="{alt}">'
    teaching = '<p>Giving a course? <a href="teaching.html">Teaching with the workbook</a>.</p>'
    return f'{intro}{picture}<ul class="cards">{"".join(cards)}</ul>{teaching}'


def _from_markdown(text: str) -> str:
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    return _to_pages(markdown2html_mistune(with_mathml(text)))


def _to_pages(text: str) -> str:
    """Links to notebooks lead to pages, and a badge is words: the site asks nothing of other machines."""
    text = re.sub(r"<img[^>]*colab-badge\.svg[^>]*>", "Open in Colab", text)
    return re.sub(r'href="(\d\d_\w+)\.ipynb"', r'href="\1.html"', text)
