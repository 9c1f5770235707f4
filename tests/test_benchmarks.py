"""`python -m tests.benchmarks`: the page of benchmarks. Nothing here looks at a time."""

from __future__ import annotations

import importlib
import io
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from benchmarks.page import draw, machine, page, section
from benchmarks.timing import Row, Times, measured, number, read_rows
from PIL import Image

FOLDER = Path(__file__).parent / "benchmarks"
ROOT = FOLDER.parent.parent


def test_a_ratio_is_how_many_times_as_much_the_peer_takes():
    row = Row(job="fill", here=Times(1, 2), peer="trimesh", theirs=Times(5, 9))
    assert row.ratio == 4.5
    assert Row(job="fill", here=Times(1, 2)).ratio is None


def test_rows_come_back_from_their_file(tmp_path):
    row = Row(job="fill", axis="side", at=96, here=Times(1, 2), peer="trimesh", theirs=Times(5, 9), unit="MB")
    (tmp_path / "rows.json").write_text(json.dumps([asdict(row), asdict(Row(job="alone"))]), encoding="utf-8")
    assert read_rows(tmp_path / "rows.json") == [row, Row(job="alone")]


def test_the_median_is_of_warm_runs():
    times = iter([0, 5, 5, 6, 6, 9])  # seconds at the beginning and the end of each run
    calls = []
    assert measured(lambda: calls.append(1), 3, lambda: next(times)) == Times(1000, 3000)
    assert len(calls) == 4, "the first call is not timed"


@pytest.mark.parametrize(
    ("value", "text"), [(0.05678, "0.0568"), (2.345, "2.35"), (45.67, "45.7"), (99.96, "100"), (1234.5, "1,234")]
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_a_section_has_a_line_for_each_row_and_says_why_a_peer_is_missing():
    rows = [
        Row(job="surface", axis="side, voxels", at=96, here=Times(1, 2), peer="scikit-image", theirs=Times(5, 9)),
        Row(job="surface", axis="side, voxels", at=96, here=Times(1, 2), peer="Open3D", reason="no wheel."),
        Row(job="alone", here=Times(3, 1234)),
    ]
    text = section(
        "volumes", "python volumes.py", "What it is.\n\n    usage\n\nWhat must\nbe known.\n\nAnd more.\n", rows
    )
    assert "| surface; side: 96 | 2 | 9 | 4.5× | scikit-image |" in text
    assert "| surface; side: 96 | 2 |  |  | could not be had here: no wheel. |" in text
    assert "| alone | 1,234 |  |  |  |" in text
    assert "What it is.\n" in text and "What must be known. And more." in text and "usage" not in text
    assert "| here, MB |" in section("memory", "", "A.", [Row(job="all", here=Times(1, 1), unit="MB")])


def test_the_page_warns_of_a_quick_run_and_shows_the_figure():
    quick, whole = (page(["## core\n"], machine(), "curves.png", 2, quick=quick) for quick in (True, False))
    assert "mean nothing" in quick and "mean nothing" not in whole
    assert "](curves.png)" in whole and "- Machine: " in whole and "numpy " in whole and "; commit " in whole
    assert "How cost grows" not in page([], [], "", 2, quick=False)


def test_rows_on_an_axis_become_curves():
    rows = [
        Row(job="fill", axis=axis, at=at, here=Times(at, at), peer="other, 7 found", theirs=Times(2 * at, 3 * at))
        for axis in ("side", "workers")
        for at in (1, 2, 4)
    ]
    picture = Image.open(io.BytesIO(draw(rows)))
    assert picture.format == "PNG" and picture.width > 1.5 * picture.height, "two panels beside each other"
    assert draw([Row(job="fill", here=Times(1, 2))]) == b""


def test_every_script_is_called_with_options_that_it_has():
    from benchmarks.__main__ import SCRIPTS

    for name, ways in SCRIPTS.items():
        text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        call = text[text.rindex("run(__doc__, rows") :]
        options = {word[2:] for way in ways for word in way.split() if word.startswith("--")}
        assert not {option for option in options if f"{option}=" not in call}, name
        assert text.split("\n\n")[1].strip().startswith(f"python tests/benchmarks/{name}.py"), "the usage comes second"


@pytest.mark.slow
def test_a_quick_run_writes_its_page(tmp_path):
    out = tmp_path / "new" / "page.md"
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--only", "renders", "-o", str(out)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1].startswith(f"{out} has 3 rows")
    text = out.read_text(encoding="utf-8")
    assert "`python tests/benchmarks/renders.py --pairs 3`" in text
    assert [line.split(" | ")[0] for line in text.splitlines() if "render: " in line] == [
        "| render: picture",
        "| render: volume",
        "| render: pair",
    ]


def test_a_peer_that_pip_cannot_install_is_a_reason_and_no_error(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))  # the scripts import each other by their plain names
    peers = importlib.import_module("peers")
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setitem(peers.PEERS, "Nobody", ("vrn-workbook-peer-of-nobody",))
    said = peers.peer_times("Nobody", [1.0], 1)
    assert said["peer"] == "Nobody" and "theirs" not in said
    assert "pip could not install it here: No matching distribution found" in said["reason"]
    assert [path.name for path in (tmp_path / "peers").iterdir()] == ["nobody"]
