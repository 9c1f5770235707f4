"""The course's site in a browser: a page is readable, its 3D view lives, and nothing is asked of other machines."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vrnlib.course import source_files


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A site of the first notebook."""
    pytest.importorskip("latex2mathml", reason="needs the extra 'course'")
    from vrnlib.course.site import write_site

    folder = tmp_path_factory.mktemp("site") / "site"
    write_site(folder, source_files(["00"]))
    return folder


def test_the_first_lecture_shows_a_face_that_turns(page, site: Path):
    page.goto((site / "00_start_here.html").as_uri())
    view = page.frame_locator("iframe.view").first
    view.locator("canvas").first.wait_for(timeout=60_000)
    page.wait_for_timeout(4000)
    frame = page.locator("iframe.view").first
    before = np.asarray(Image.open(io.BytesIO(frame.screenshot())).convert("RGB"), float)
    assert 0.1 < (before.min(axis=2) < 240).mean() < 0.7, "the face is there, and not all over the view"
    top, bottom = before[2:8, 100:-300], before[-8:-2, 100:-300]
    assert min(top.min(), bottom.min()) > 240, "the face is not cut off"
    box = frame.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 420, box["y"] + 300, steps=6)
    page.mouse.up()
    page.wait_for_timeout(1500)
    after = np.asarray(Image.open(io.BytesIO(frame.screenshot())).convert("RGB"), float)
    assert np.abs(after - before).mean() > 2, "the mouse turned nothing"
    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window, "the page runs off the window"
    assert page.outside == [] and page.problems == []


@pytest.mark.parametrize("width", [1200, 420])
def test_the_index_leads_to_the_lecture(page, site: Path, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((site / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert all(page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth > 0 && one.alt.length > 10)"))
    page.click("main a:has-text('Start here')")
    assert page.title() == "0 · Start here"
    assert page.outside == [] and page.problems == []
