"""The web page: asked by Gradio's own client as a browser asks it, and used in a real browser."""

from __future__ import annotations

import io
import struct
import tempfile
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

pytest.importorskip("gradio", reason="needs the package gradio (extra 'app')")
gradio_client = pytest.importorskip("gradio_client", reason="needs the package gradio (extra 'app')")

from vrnlib.commands.page import serving  # noqa: E402
from vrnlib.landmarks.detectors import OpenDetector  # noqa: E402
from vrnlib.reconstruct import open_networks  # noqa: E402


@contextmanager
def page_of_our_own(place: Path, *, keep: int):
    """The page's address and the folder that it works in."""
    networks = open_networks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(place))
        with serving(networks, {"open": OpenDetector(networks.fan)}, keep=keep) as address:
            yield address, next(place.glob(".vrn-app-*"))
    assert not list(place.glob(".vrn-app-*")), "the server left files behind"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with page_of_our_own(tmp_path_factory.mktemp("server"), keep=600) as made:
        yield made


@pytest.fixture
def client(served, tmp_path):
    made = gradio_client.Client(served[0], verbose=False, download_files=str(tmp_path / "got"))
    yield made
    made.close()


def png_header(width: int, height: int) -> bytes:
    """A PNG of that size by its header, without the pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (head, body)
    )


def hostile(folder: Path) -> dict[str, Path]:
    """Files that are no photo of a face, by what they are."""
    photo = Image.fromarray(astronaut())
    photo.save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    grey = Image.fromarray(np.full((64, 64), 128, np.uint8))
    files = {
        "text": ("text.jpg", b"no picture at all"),
        "empty": ("empty.png", b""),
        "header": ("header.png", png_header(30_000, 30_000)),
        "svg": ("face.svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"),
        "cut": ("cut.jpg", whole[:400]),
        "name": ("..%2F..%2Fetc%2Fpasswd.jpg", b"root"),
    }
    made = {}
    for kind, (name, data) in files.items():
        (folder / name).write_bytes(data)
        made[kind] = folder / name
    grey.save(folder / "no_face.webp", save_all=True, append_images=[grey.rotate(9)])
    made["no face"] = folder / "no_face.webp"
    return made


def test_a_photo_becomes_a_face_with_its_files(client, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "me.png")
    choice, drawn = client.predict(gradio_client.handle_file(str(tmp_path / "me.png")), "open", api_name="/find")
    assert choice["value"] == "face 1"
    assert Path(drawn).stat().st_size > 10_000
    crop, model, files = client.predict("face 1", 0.5, api_name="/show")
    assert Image.open(crop).size == (192, 192)
    assert Path(model).read_bytes()[:4] == b"glTF"
    assert sorted(Path(path).suffix for path in files) == [".glb", ".npz", ".obj", ".ply"]


def test_the_threshold_moves_the_surface(client):
    import trimesh

    client.predict("open", api_name="/example")
    loose, tight = (
        trimesh.load(client.predict("face 1", level, api_name="/show")[1], force="mesh").volume for level in (0.1, 0.9)
    )
    assert loose > 1.02 * tight > 0


@pytest.mark.parametrize("kind", ["text", "empty", "header", "svg", "cut", "name", "no face"])
def test_what_is_no_photo_gets_a_sentence_without_the_servers_paths(client, served, tmp_path, kind):
    path = hostile(tmp_path)[kind]
    with pytest.raises(gradio_client.exceptions.AppError) as told:
        client.predict(gradio_client.handle_file(str(path)), "open", api_name="/find")
    message = str(told.value)
    assert message.endswith(".")
    assert str(served[1]) not in message
    assert "Traceback" not in message


def test_a_photo_is_not_kept(client, served, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "me.png")
    client.predict(gradio_client.handle_file(str(tmp_path / "me.png")), "open", api_name="/find")
    assert not list(served[1].rglob("me.png"))


def test_what_a_visit_made_is_deleted(tmp_path):
    with page_of_our_own(tmp_path, keep=3) as (address, folder):
        visitor = gradio_client.Client(address, verbose=False, download_files=False)
        visitor.predict("open", api_name="/example")
        visitor.predict("face 1", 0.5, api_name="/show")
        assert list((folder / "results").rglob("*.glb"))
        visitor.close()
        deadline = time.monotonic() + 60
        while any(path.is_file() for path in folder.rglob("*")) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_face_that_is_not_there_gets_a_sentence(client):
    with pytest.raises(gradio_client.exceptions.AppError, match="no face yet"):
        client.predict(None, 0.5, api_name="/show")


def test_in_a_browser_the_face_is_turned_and_the_threshold_moves_it(served, page, tmp_path):
    """Upload, result, slider, download; nothing is asked of other machines."""
    Image.fromarray(astronaut()).save(tmp_path / "me.png")
    page.set_viewport_size({"width": 1200, "height": 1500})
    page.goto(served[0])
    page.locator("input[type=file]").first.set_input_files(str(tmp_path / "me.png"))
    face = page.locator("canvas").first
    face.wait_for(timeout=120_000)
    page.get_by_label("face_1.glb").wait_for(timeout=120_000)
    page.wait_for_timeout(3000)
    before = face.screenshot(path=tmp_path / "front.png")
    box = face.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    page.wait_for_timeout(1000)
    turned = face.screenshot(path=tmp_path / "turned.png")
    assert changed(before, turned) > 0.02
    page.screenshot(path=tmp_path / "page.png")

    link = "a[download='face_1.ply']"
    address = page.locator(link).get_attribute("href")
    with page.expect_download() as download:
        page.locator(link).click()
    assert download.value.suggested_filename == "face_1.ply"
    first = page.request.get(address).body()
    assert first.startswith(b"ply")
    slider = page.locator("input[type=range]").bounding_box()
    page.mouse.click(slider["x"] + 0.9 * slider["width"], slider["y"] + slider["height"] / 2)
    page.wait_for_function(f"document.querySelector(`{link}`)?.href != '{address}'", timeout=120_000)
    page.locator(link).wait_for()
    assert len(page.request.get(page.locator(link).get_attribute("href")).body()) != len(first)
    assert page.outside == []
    assert page.problems == []


def changed(one: bytes, other: bytes) -> float:
    """The share of pixels of two screenshots that differ clearly."""
    first, second = (np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.int16) for data in (one, other))
    return float((np.abs(first - second) > 16).mean())
