"""FaceBoxes: its prior boxes and network, and photos that are hard to handle. Official numbers: test_parity.py."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import skimage.data
import torch

from tddfa import AssetError, FaceBoxes, faceboxes
from tddfa.faceboxes import OPEN_WEIGHTS, FaceBoxesNet, decode, encode, prior_boxes, shrink


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """A detector's file with random weights, whose score is near one half everywhere."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(FaceBoxesNet().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def random_detector(random_weights):
    return FaceBoxes(random_weights, threads=1)


def priors_one_by_one(height: int, width: int) -> list[list[float]]:
    rows = []
    for step, sides in ((32, (32, 64, 128)), (64, (256,)), (128, (512,))):
        for i, j in product(range(math.ceil(height / step)), range(math.ceil(width / step))):
            for side in sides:
                inner = {32: (0, 0.25, 0.5, 0.75), 64: (0, 0.5)}.get(side, (0.5,))
                for dy, dx in product(inner, inner):
                    rows.append([(j + dx) * step / width, (i + dy) * step / height, side / width, side / height])
    return rows


@pytest.mark.parametrize("size", [(1, 1), (32, 64), (33, 65), (607, 1080), (720, 500)])
def test_prior_boxes_equal_a_loop(size):
    np.testing.assert_array_equal(prior_boxes(*size).numpy(), np.array(priors_one_by_one(*size), np.float32))


@pytest.mark.parametrize("size", [(1, 1), (17, 200), (129, 65)])
def test_the_network_has_one_output_per_prior(size):
    with torch.no_grad():
        offsets, scores = FaceBoxesNet().eval()(torch.zeros(2, 3, *size))
    count = len(prior_boxes(*size))
    assert offsets.shape == (2, count, 4) and scores.shape == (2, count, 2)


def test_the_networks_size_and_names():
    names = FaceBoxesNet().state_dict()
    assert sum(parameter.numel() for parameter in FaceBoxesNet().parameters()) == 1_007_330
    assert names["conv1.conv.weight"].shape == (24, 3, 7, 7) and names["conv2.conv.weight"].shape == (64, 48, 5, 5)
    assert names["inception3.branch3x3_3.conv.weight"].shape == (32, 32, 3, 3)
    assert names["loc.0.weight"].shape == (84, 128, 3, 3) and names["conf.2.bias"].shape == (2,)


def test_encode_undoes_decode():
    priors = prior_boxes(64, 96)
    offsets = torch.randn(2, len(priors), 4, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(encode(decode(offsets, priors), priors), offsets, atol=1e-4, rtol=1e-4)
    corners = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], dim=1)
    torch.testing.assert_close(decode(torch.zeros(len(priors), 4), priors), corners)


def test_large_photos_are_made_smaller_like_the_original_does():
    for given, expected in (
        ((720, 1080), (720, 1080)),
        ((721, 300), (720, 299)),
        ((720, 1280), (607, 1080)),
        ((3000, 9000), (360, 1080)),
        ((1, 9000), (1, 1080)),
    ):
        small, scale = shrink(np.zeros((*given, 3), np.uint8))
        assert small.shape[:2] == expected
        assert scale == pytest.approx(min(1, 720 / given[0], 1080 / given[1]))


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (200, 33)])
def test_any_size_gives_boxes(random_detector, size):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    before = photo.copy()
    boxes = random_detector(photo)
    assert boxes.dtype == np.float32 and boxes.shape[1] == 5 and np.isfinite(boxes).all()
    assert (np.diff(boxes[:, 4]) <= 0).all()
    np.testing.assert_array_equal(photo, before)
    np.testing.assert_array_equal(random_detector(photo[:, ::-1][:, ::-1]), boxes)


def test_nothing_above_the_score_gives_an_empty_array(random_weights):
    strict = FaceBoxes(random_weights, min_score=1.0)
    assert strict(np.zeros((60, 60, 3), np.uint8)).shape == (0, 5)


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), "u1")]
)
def test_what_is_no_photo_is_refused(random_detector, image):
    with pytest.raises(ValueError, match=r"Expected an image of shape \(H, W, 3\) uint8 in RGB, got"):
        random_detector(image)


def test_wrong_arguments_and_weights(random_weights, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="torch or onnx, got 'tensorrt'"):
        FaceBoxes(random_weights, runtime="tensorrt")
    with pytest.raises(ValueError, match="at least one thread, got 0"):
        FaceBoxes(random_weights, threads=0)
    torch.save(torch.nn.Linear(3, 4).state_dict(), tmp_path / "linear.pth")
    with pytest.raises(AssetError, match="weights of FaceBoxesNet in linear.pth, got another architecture's"):
        FaceBoxes(tmp_path / "linear.pth")
    with pytest.raises(AssetError, match="found no such file"):
        FaceBoxes(tmp_path / "none.pth")
    monkeypatch.delenv("VRN_ASSETS", raising=False)
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    monkeypatch.setattr(faceboxes, "OPEN_WEIGHTS", tmp_path / "faceboxes_open.safetensors")
    with pytest.raises(AssetError, match=r"open detector's weights .* put FaceBoxesProd.pth into \$VRN_ASSETS"):
        FaceBoxes()


def test_both_runtimes_agree_and_export_once(random_weights, random_detector, tmp_path, monkeypatch):
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    photo = skimage.data.astronaut()[:200, 100:330]
    exported = FaceBoxes(random_weights, runtime="onnx", threads=1)
    files = list((tmp_path / "onnx").glob("*.onnx"))
    assert len(files) == 1 and files[0].name.startswith("faceboxes_random-")
    expected, got = random_detector.candidates(photo), exported.candidates(photo)
    assert got.shape == expected.shape
    order = [np.lexsort(np.round(boxes[:, :4], 1).T) for boxes in (expected, got)]
    np.testing.assert_allclose(got[order[1]], expected[order[0]], atol=1e-2)
    stamp = files[0].stat().st_mtime_ns
    FaceBoxes(random_weights, runtime="onnx")
    assert [file.stat().st_mtime_ns for file in (tmp_path / "onnx").glob("*.onnx")] == [stamp]


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: data[:-9] + bytes(9)])
def test_a_damaged_export_is_written_anew(random_weights, tmp_path, monkeypatch, damage):
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    photo = skimage.data.astronaut()[:200, 100:330]
    expected = FaceBoxes(random_weights, runtime="onnx", threads=1).candidates(photo)
    (file,) = (tmp_path / "onnx").glob("*.onnx")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    np.testing.assert_array_equal(FaceBoxes(random_weights, runtime="onnx", threads=1).candidates(photo), expected)
    assert file.stat().st_size == len(whole)


@pytest.fixture(scope="module", params=["open", "official"])
def detector(request):
    """The two families, each where its weights are at hand."""
    if request.param == "official":
        folder = request.getfixturevalue("assets")
        return FaceBoxes(folder / "official" / "weights" / "FaceBoxesProd.pth", threads=1)
    if not OPEN_WEIGHTS.is_file():
        pytest.skip("the open detector is not trained yet")
    return FaceBoxes(OPEN_WEIGHTS, threads=1)


def test_the_astronauts_face(detector):
    boxes = detector(skimage.data.astronaut())
    x0, y0, x1, y1, score = boxes[0]
    assert x0 < 200 and 250 < x1 < 320 and y0 < 110 and 160 < y1 < 240 and score > 0.9
    assert (boxes[1:, 4] < 0.7).all()  # the open detector has two doubtful ones, see its card


def test_a_face_at_the_border(detector):
    """The photo ends in the middle of the face: a box that leaves the photo, or none, but no error."""
    for part in (skimage.data.astronaut()[:, 225:], skimage.data.astronaut()[120:]):
        boxes = detector(part)
        assert boxes.shape[1] == 5 and np.isfinite(boxes).all()


@pytest.mark.parametrize("photo", [skimage.data.coffee, lambda: np.full((240, 320, 3), 128, np.uint8)])
def test_a_photo_without_a_face(detector, photo):
    boxes = detector(photo())
    assert boxes.shape == (0, 5) and boxes.dtype == np.float32
