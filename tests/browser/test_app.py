"""The web page: asked by Gradio's own client as a browser asks it, and used in a real browser."""

from __future__ import annotations

import io
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from benchmarks.hostile import HOSTILE, encoded, hostile_photos
from PIL import Image
from skimage.data import astronaut

pytest.importorskip("gradio", reason="needs the package gradio (extra 'app')")
gradio_client = pytest.importorskip("gradio_client", reason="needs the package gradio (extra 'app')")

from vrnlib.commands.page import App, serving  # noqa: E402
from vrnlib.landmarks import Landmarks  # noqa: E402
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


def test_a_photo_becomes_a_face_with_its_files(client, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "me.png")
    choice, drawn = client.predict(gradio_client.handle_file(str(tmp_path / "me.png")), "open", api_name="/find")
    assert choice["value"] == "face 1"
    assert Path(drawn).stat().st_size > 10_000
    crop, model, files = client.predict("face 1", 0.5, api_name="/show")
    assert Image.open(crop).size == (192, 192)
    assert [Path(path).name for path in files] == ["face_1.glb", "face_1_obj.zip", "face_1.ply", "face_1.npz"]
    assert Path(files[0]).read_bytes() == Path(model).read_bytes()


def test_the_downloads_carry_the_photo_as_a_texture(client, tmp_path):
    """Of a photo twice as large as the astronaut's, the picture on the mesh is twice as large, too."""
    import trimesh

    photo = Image.fromarray(astronaut()).resize((1024, 1024))
    photo.save(tmp_path / "me.png")
    client.predict(gradio_client.handle_file(str(tmp_path / "me.png")), "open", api_name="/find")
    _, model, files = client.predict("face 1", 0.5, api_name="/show")
    with zipfile.ZipFile(files[1]) as archive:
        assert archive.namelist() == ["face_1.obj", "face_1.mtl", "face_1_texture.png"]
        archive.extractall(tmp_path / "taken")
    obj, glb = (trimesh.load(path, force="mesh", process=False) for path in (tmp_path / "taken/face_1.obj", model))
    pictures = [
        np.asarray(picture.convert("RGB"))
        for picture in (obj.visual.material.image, glb.visual.material.baseColorTexture)
    ]
    assert np.array_equal(*pictures)
    height, width = pictures[0].shape[:2]
    assert min(height, width) > 150, "the network sees the face with 90 pixels"
    whole = np.asarray(photo)
    assert any(
        (whole[y : y + height, x : x + width] == pictures[0]).all()
        for y in range(1025 - height)
        for x in range(1025 - width)
        if (whole[y, x] == pictures[0][0, 0]).all()
    )
    assert len(obj.vertices) == len(glb.vertices) == len(trimesh.load(files[2], process=False).vertices)


def test_the_threshold_moves_the_surface(client):
    import trimesh

    client.predict("open", api_name="/example")
    loose, tight = (
        trimesh.load(client.predict("face 1", level, api_name="/show")[1], force="mesh").volume for level in (0.1, 0.9)
    )
    assert loose > 1.02 * tight > 0


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return hostile_photos(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_photo_gets_a_sentence_without_the_servers_paths(client, served, hostile, kind):
    path = hostile[kind]
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


def uploaded(address: str, name: str, data: bytes) -> str:
    return httpx.post(f"{address}gradio_api/upload", files={"files": (name, data)}, timeout=300).json()[0]


def asked(address: str, path: str) -> str:
    photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
    call = f"{address}gradio_api/call/find"
    event = httpx.post(call, json={"data": [photo, "open"]}, timeout=300).json()["event_id"]
    return httpx.get(f"{call}/{event}", timeout=300).text


def test_two_visitors_may_have_the_same_photo(served):
    """To Gradio it is one file: the first answer does not take it from the second visitor, the second deletes it."""
    data = encoded(Image.fromarray(astronaut()), "JPEG")
    paths = [uploaded(served[0], "me.jpg", data) for _ in range(2)]
    assert paths[0] == paths[1]
    for path, there in zip(paths, (True, False), strict=True):
        assert "event: complete" in asked(served[0], path)
        assert Path(path).exists() == there


def test_an_upload_s_name_leads_nowhere_else(served):
    for name in ("../../../evil.png", "/tmp/evil.png", r"..\..\evil.png", "%2e%2e%2fevil.png"):
        path = Path(uploaded(served[0], name, b"no picture"))
        assert path.resolve().is_relative_to(served[1].resolve())
        assert "event: error" in asked(served[0], str(path))
        assert not path.exists()
    assert "event: error" in asked(served[0], __file__), "a file of the server's"
    assert Path(__file__).exists()


def made_up_face() -> Landmarks:
    return Landmarks.from_points(np.linspace([180, 80], [260, 170], 68))


def test_a_visit_that_ends_before_its_answer_leaves_nothing(monkeypatch, tmp_path):
    app = App(None, {"open": lambda photo: []}, tmp_path)
    request = SimpleNamespace(session_hash="one")

    def left_meanwhile(photo, detector):
        app.leave(request)
        return photo, [made_up_face()]

    monkeypatch.setattr("vrnlib.commands.page.upright", left_meanwhile)
    app._faces(astronaut(), "open", request)
    assert app.visits == {}


def test_only_the_latest_visits_are_in_memory(monkeypatch, tmp_path):
    app = App(None, {"open": None}, tmp_path)
    monkeypatch.setattr("vrnlib.commands.page.MAX_VISITS", 2)
    monkeypatch.setattr("vrnlib.commands.page.upright", lambda photo, detector: (photo, [made_up_face()]))
    for visit in ("one", "two", "one", "three"):
        app._faces(astronaut(), "open", SimpleNamespace(session_hash=visit))
    assert list(app.visits) == ["one", "three"]


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
