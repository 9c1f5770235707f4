"""From an image to a full set of files, with a stand-in network whose answer is known."""

import errno
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from tddfa import load_volume, staging
from tddfa.ibug import NOSE_TIP
from tddfa.images import list_photos
from vrnlib import export as module
from vrnlib.export import ENDINGS, SaveError, save
from vrnlib.landmarks.files import GivenPoints
from vrnlib.reconstruct import Networks, open_networks, predict_volume, reconstruct
from vrnlib.surface import SurfaceError
from vrnlib.weight_files import WEIGHTS


class BlockVRN:
    """Answers every crop with the same block; remembers what it was shown."""

    def __call__(self, crops):
        self.seen = crops
        logits = torch.full((1, 200, 192, 192), -6.0)
        logits[0, 80:120, 50:140, 60:130] = 6.0
        logits[0, 120:140, 90:110, 90:100] = 6.0
        logits[0, 3:6, 3:6, 3:6] = 6.0  # a speck
        return logits


def points_at(x, y, size) -> np.ndarray:
    points = np.random.default_rng(3).uniform([x, y, -9], [x + size, y + size, 9], (68, 3)).astype(np.float32)
    points[0, :2], points[1, :2] = (x, y), (x + size, y + size)
    return points


@pytest.fixture
def found():
    image = np.full((300, 400, 3), (200, 30, 10), np.uint8)
    points = np.stack([points_at(100, 80, 120), points_at(250, 100, 60)])
    networks = Networks(BlockVRN(), weights={"vrn": {"name": "block", "sha256": "0" * 64}})
    return reconstruct(image, networks=networks, detector=GivenPoints(points))


def test_the_network_sees_rgb_between_0_and_1():
    vrn = BlockVRN()
    crop = np.zeros((192, 192, 3), np.uint8)
    crop[...] = (255, 51, 0)
    predict_volume(vrn, crop)
    assert vrn.seen.shape == (1, 3, 192, 192)
    assert torch.allclose(vrn.seen[0, :, 10, 20], torch.tensor([1.0, 0.2, 0.0]))


def test_a_network_with_swapped_axes_is_refused():
    with pytest.raises(ValueError, match="200, 192, 192"):
        predict_volume(lambda crops: torch.zeros(1, 192, 192, 200), np.zeros((192, 192, 3), np.uint8))


def test_every_face_becomes_a_surface(found):
    assert len(found) == 2
    one = found[0]
    assert one.probability.shape == (200, 192, 192)
    assert one.volume.sum() == 40 * 90 * 70 + 20 * 20 * 10
    assert np.allclose(one.surface.vertices.min(axis=0), [59.5, 49.5, -10], atol=0.01)
    assert np.allclose(one.surface.vertices.max(axis=0), [129.5, 139.5, 20], atol=0.01)
    assert (one.surface.colors == [200, 30, 10]).all()
    assert one.surface.volume > 0
    in_photo = one.vertices_in_photo()
    middle = (in_photo.min(axis=0) + in_photo.max(axis=0)) / 2
    assert np.allclose(middle[:2], [160 - 1 / 0.75, 140 - 1 / 0.75], atol=1e-3)


def test_short_reprs(found):
    assert repr(found[0].crop).startswith("Crop(192 x 192, scale 0.7")
    assert repr(Networks(None)) == "Networks(of unknown weights)"
    assert "probability=float32 (200, 192, 192)" in repr(found[0]) and len(repr(found[0])) < 300


def test_no_face_is_an_empty_list():
    assert reconstruct(np.full((200, 200, 3), 90, np.uint8), networks=Networks(None)) == []


def test_an_empty_volume_is_a_sentence():
    networks = Networks(lambda crops: torch.full((1, 200, 192, 192), -5.0))
    with pytest.raises(SurfaceError):
        reconstruct(np.zeros((99, 99, 3), np.uint8), networks=networks, detector=GivenPoints(points_at(9, 9, 50)))


def test_all_files_are_written_and_agree(found, tmp_path):
    folder = tmp_path / "new" / "out"
    paths = save(found, folder, "emma", photo_name="emma.jpg")
    assert {path.name for path in paths} == {f"emma_{number}{ending}" for number in (0, 1) for ending in ENDINGS}
    assert sorted(folder.iterdir()) == sorted(paths)

    volume, offset, meta = load_volume(folder / "emma_0.npz")
    assert np.array_equal(volume, found[0].volume)
    assert offset == 99.5
    assert meta["photo"] == "emma.jpg"
    assert (folder / "emma_0.npz").stat().st_size < 100_000

    about = json.loads((folder / "emma_0.json").read_text())
    assert about["box"] == pytest.approx([100, 80, 220, 200])
    assert np.allclose(about["landmarks"], found[0].landmarks.points, atol=1e-3)
    assert np.allclose(about["crop_matrix"], found[0].crop.matrix)
    assert about["weights"]["vrn"]["sha256"] == "0" * 64
    assert (about["photo"], about["photo_size"], about["face"]) == ("emma.jpg", [400, 300], 0)

    ply = trimesh.load(folder / "emma_0.ply", force="mesh", process=False)
    glb = trimesh.load(folder / "emma_0.glb", force="mesh", process=False)
    obj = trimesh.load(folder / "emma_0.obj", force="mesh", process=False)
    assert np.allclose(ply.vertices * [1, -1, 1] + [95.5, 95.5, 0], found[0].surface.vertices)
    assert np.allclose(glb.vertices, ply.vertices, atol=1e-4)
    assert np.allclose(obj.vertices, glb.vertices, atol=1e-4)
    assert (ply.visual.vertex_colors[:, :3] == [200, 30, 10]).all()
    for textured in (obj.visual, glb.visual):
        assert (textured.to_color().vertex_colors[:, :3] == [200, 30, 10]).all()
    assert list_photos(folder)[0] == []  # textures are no photos
    with Image.open(folder / "emma_0.png") as picture:
        assert min(picture.size) > 400
    assert "<html" in (folder / "emma_0.html").read_text(encoding="utf-8").lower()


def test_saving_again_replaces_our_own_files(found, tmp_path):
    save(found[0], tmp_path, "a")
    before = (tmp_path / "a_0.json").read_text()
    save(found[1], tmp_path, "a")
    assert (tmp_path / "a_0.json").read_text() != before
    assert len(list(tmp_path.iterdir())) == len(ENDINGS)


def test_a_full_disk_leaves_nothing(found, tmp_path, monkeypatch):
    real, calls = module.write_bytes, []

    def fills_up(path, data):
        calls.append(path)
        if path.suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, data)

    monkeypatch.setattr(module, "write_bytes", fills_up)
    with pytest.raises(SaveError, match="No space left on device") as caught:
        save(found[0], tmp_path / "made" / "here", "a")
    assert "\n" not in str(caught.value)
    assert calls
    assert list(tmp_path.iterdir()) == []


def test_a_failing_rename_restores_the_old_set(found, tmp_path, monkeypatch):
    save(found[0], tmp_path, "a")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = staging.os.replace

    def fails_late(source, target):
        if str(target) == str(tmp_path / "a_0.ply") and "old" not in str(source):
            raise OSError(errno.EIO, "Input/output error")
        return real(source, target)

    monkeypatch.setattr(staging.os, "replace", fails_late)
    with pytest.raises(SaveError):
        save(found[1], tmp_path, "a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_of_somebody_else_is_not_replaced(found, tmp_path):
    (tmp_path / "a_0.png").write_bytes(b"holiday")
    with pytest.raises(SaveError, match="another output folder"):
        save(found[0], tmp_path, "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a_0.png"]
    assert (tmp_path / "a_0.png").read_bytes() == b"holiday"


def test_networks_know_their_weights(tmp_path):
    from vrnlib.network import FAN, FANConfig
    from vrnlib.weight_files import save_network

    save_network(tmp_path / "f.safetensors", FAN(FANConfig(stem=8, features=8)))
    networks = open_networks(vrn=SimpleNamespace(), fan=tmp_path / "f.safetensors")
    expected = hashlib.sha256((tmp_path / "f.safetensors").read_bytes()).hexdigest()
    assert networks.weights["fan"] == {"name": "f", "sha256": expected}
    assert networks.fan.config.features == 8
    with pytest.raises(ValueError, match="VRN"):
        open_networks(vrn=tmp_path / "f.safetensors", fan=None)
    with pytest.raises(FileNotFoundError):
        open_networks(vrn=tmp_path / "none.safetensors", fan=None)


@pytest.mark.skipif(
    not all((WEIGHTS / f"{name}.safetensors").exists() for name in ("vrn_open", "fan_open")),
    reason="the open weights are not in vrnlib/weights",
)
def test_the_astronaut_from_end_to_end(tmp_path):
    from skimage.data import astronaut

    (one,) = reconstruct(astronaut())
    x0, y0, x1, y1 = one.landmarks.box
    assert np.allclose([x0, y0, x1, y1], [178.8, 80.5, 273.0, 171.5], atol=12)  # official landmarks' box
    filled = one.volume.mean()
    assert 0.04 < filled < 0.25  # a solid, not a splatted shell of 0.3 %
    nose = one.surface.vertices[np.argmax(one.surface.vertices[:, 2])]
    assert np.linalg.norm(nose[:2] - one.crop.landmarks[NOSE_TIP, :2]) < 15
    assert len(save(one, tmp_path, "astronaut")) == len(ENDINGS)
