"""What a reader of the notebooks can move: sliders, and a photo of one's own; no browser is needed here."""

from __future__ import annotations

import base64
import datetime
import io
import re
from typing import Any

import IPython.display
import ipywidgets
import numpy as np
import PIL.Image
import pytest

from tddfa.images import png_bytes
from vrnlib import notebook
from vrnlib.show import plot_surface
from vrnlib.surface import extract_surface


@pytest.fixture
def shown(monkeypatch) -> list[Any]:
    """What a cell would display."""
    things: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", things.append)
    return things


def grey(level: int, size: int = 6) -> np.ndarray:
    return np.full((size, size, 3), level, np.uint8)


def pictured(widget: ipywidgets.HTML) -> np.ndarray:
    """The picture in an <img> of an HTML widget."""
    data = re.search(r'src="data:image/png;base64,([^"]+)" alt="([^"]+)"', widget.value)
    assert data, widget.value
    return np.array(PIL.Image.open(io.BytesIO(base64.b64decode(data[1]))))


def test_a_slider_redraws_and_the_sheet_stays(shown):
    notebook.sliders(
        lambda k, share: grey(int(k * share), 64),
        {"k": (0, 199, 1), "share": (0.0, 1.0, 0.5)},
        start={"k": 100, "share": 1.0},
        sheet={"dark": {"k": 10, "share": 1.0}, "light": {"k": 190, "share": 1.0}},
        alt="Two grey squares, a dark one and a light one.",
    )
    box, sheet = shown
    k, share, image = box.children
    assert isinstance(k, ipywidgets.IntSlider) and isinstance(share, ipywidgets.FloatSlider)
    assert (pictured(image) == 100).all()
    k.value, share.value = 150, 0.5
    assert (pictured(image) == 75).all() and "k 150, share 0.5" in image.value
    assert isinstance(sheet, notebook.Picture) and "dark" in sheet.alt


def test_a_plot_of_several_things_becomes_a_page_of_the_site(tmp_path, monkeypatch):
    """A surface, arrows and a time series: the same bytes each time, in a frame above the stored picture."""
    import k3d

    things: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", lambda thing, **_: things.append(thing))
    monkeypatch.setenv("VRN_VIEW_PAGES", str(tmp_path))
    z, y, x = np.mgrid[0:40, 0:32, 0:32]
    ball = extract_surface(((x - 16) ** 2 + (y - 16) ** 2 + (z - 20) ** 2 < 90).astype(np.float32))
    for _ in range(2):
        plot = plot_surface(ball)
        mesh = plot.objects[0]
        mesh.vertices = {"1": np.asarray(mesh.vertices), "2": np.asarray(mesh.vertices) + np.float32(1)}
        plot += k3d.vectors([[0, 0, 0]], [[9, 0, 0]], labels=["x"])
        notebook.view_plot(plot, grey(100, 64), alt="A ball with an arrow, at two times.")
    frame, still, again, _ = things
    assert frame == again and isinstance(still, notebook.Picture)
    (page,) = tmp_path.iterdir()
    assert f'src="views/{page.name}" title="A ball with an arrow, at two times."' in frame["text/html"]
    assert page.read_text(encoding="utf-8").lstrip().startswith("<!doctype html>")


def test_a_photo_comes_by_upload_or_camera_and_errors_are_sentences(shown):
    def use(photo: np.ndarray) -> np.ndarray:
        if photo.max() < 20:
            raise ValueError("No face was found <here>.")
        return photo[:2] + 1

    notebook.own_photo(use, alt="The first rows of your photo.")
    upload, camera, image = shown[0].children
    photo = {"name": "a.png", "type": "image/png", "size": 1, "content": memoryview(png_bytes(grey(80, 64)))}
    upload.value = ({**photo, "last_modified": datetime.datetime(2026, 1, 1)},)
    assert pictured(image).shape == (2, 64, 3) and (pictured(image) == 81).all()
    camera.frame = "data:image/png;base64," + base64.b64encode(png_bytes(grey(40, 64))).decode()
    assert (pictured(image) == 41).all()
    camera.frame = "data:image/png;base64," + base64.b64encode(png_bytes(grey(9, 64))).decode()
    assert image.value == "<p>No face was found &lt;here&gt;.</p>"
    camera.frame = "data:image/png;base64,AAAA"
    assert image.value.startswith("<p>") and "img" not in image.value
