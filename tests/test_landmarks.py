"""Faces are found, seen upright, deduplicated and rejected; each source gives points in this project's pixels."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from tddfa.ibug import CHIN, CHIN_LINE, EYES, MIRRORED, NOSE_TIP, OUTER_EYE_CORNERS
from tddfa.morphable import MorphableModel
from vrnlib.crop import crop_face, transform_points
from vrnlib.images import read_photo
from vrnlib.landmarks import LandmarkError, Landmarks
from vrnlib.landmarks.alignment import (
    align,
    box_squares,
    head_squares,
    head_tilts,
    on_grid,
    predict,
    square_matrix,
    square_picture,
)
from vrnlib.landmarks.detectors import DETECTORS, OpenDetector, TDDFADetector, detect, make_detector
from vrnlib.landmarks.onnx_fan import OnnxFAN
from vrnlib.network import FAN, FANConfig
from vrnlib.synthetic.faces import render_pair
from vrnlib.training.data import TEST_SEED
from vrnlib.weight_files import WEIGHTS, load_network

OPEN_FAN = WEIGHTS / "fan_open.safetensors"
needs_weights = pytest.mark.skipif(not OPEN_FAN.exists(), reason="the open FAN's weights are not in vrnlib/weights")
FOREHEAD = 0.19 / 0.81
"""What FaceBoxes' boxes have above the landmarks' box, as a part of the latter's height."""


def template() -> np.ndarray:
    """The mean face's 68 points in the unit square, with both halves alike; they touch all four sides."""
    model = MorphableModel.open()
    points = model.landmarks(model.reconstruct(np.zeros(40, np.float32), np.zeros(10, np.float32)))[:, :2] * [1, -1]
    points = (points + points[MIRRORED] * [-1, 1]) / 2
    return (points - points.min(axis=0)) / np.ptp(points, axis=0)


TEMPLATE = template()


class RedSquareFAN:
    """A stand-in FAN: its 'faces' are upright red squares, the landmarks a fixed pattern in them."""

    config = SimpleNamespace(size=128)

    def __call__(self, crops):
        images = crops.permute(0, 2, 3, 1).numpy()
        assert images.dtype == np.float32
        assert images.max() <= 1.0
        points, scores = [], []
        for image in images:
            red = np.clip(image[:, :, 0] - image[:, :, 2], 0, 1)
            if red.max() < 0.5:
                points.append(np.full((68, 3), 63.5, np.float32) + np.random.default_rng(0).normal(size=(68, 3)))
                scores.append(0.02)
                continue
            weight = red.sum()
            x = (red.sum(axis=0) * np.arange(128)).sum() / weight
            y = (red.sum(axis=1) * np.arange(128)).sum() / weight
            where = np.array([x, y]) + (TEMPLATE - 0.5) * np.sqrt(weight)
            points.append(np.column_stack([where, TEMPLATE[:, 1] * 10]).astype(np.float32))
            scores.append(0.9)
        return SimpleNamespace(
            points=torch.tensor(np.array(points, np.float32)), scores=torch.tensor(scores)[:, None].repeat(1, 68)
        )


def photo_with_squares(*squares: tuple[int, int, int], size=(400, 600)) -> np.ndarray:
    image = np.full((*size, 3), 60, np.uint8)
    for x, y, side in squares:
        image[y : y + side, x : x + side] = (255, 0, 0)
    return image


def boxes_of(*boxes):
    """A face detector that gives FaceBoxes' boxes for these boxes of landmarks (x0, y0, x1, y1[, score])."""
    rows = np.array(boxes, float).reshape(len(boxes), -1)
    rows[:, 1] -= FOREHEAD * (rows[:, 3] - rows[:, 1])
    return lambda _: rows


# --- predicting in squares --------------------------------------------------------------------------------------------


def test_points_come_back_in_photo_pixels_whatever_the_box():
    image = photo_with_squares((200, 120, 90))
    truth = np.array([199.5, 119.5]) + TEMPLATE * 90
    for box in [(200, 120, 290, 210), (190, 110, 305, 225), (203, 108, 290, 198)]:
        points, scores = predict(image, box_squares(box), RedSquareFAN())
        assert np.abs(points[0, :, :2] - truth).max() < 0.3
        assert scores[0] == pytest.approx(0.9)
        side = 1.4 * max(np.ptp(np.reshape(box, (2, 2)), 0))
        assert np.ptp(points[0, :, 2]) == pytest.approx(10 * side / 128, rel=0.006)  # the grid's squares
    assert [len(one) for one in predict(image, np.zeros((0, 4)), RedSquareFAN())] == [0, 0]


def test_a_mirrored_pass_gives_the_points_of_the_photo():
    image = photo_with_squares((200, 120, 90))
    squares = np.array([[240.0, 170, 150, 0], [250, 160, 170, 0]])
    plain, mirrored = (predict(image, squares, RedSquareFAN(), mirrored=how)[0] for how in (False, True))
    assert np.abs(plain - mirrored).max() < 0.2


@pytest.mark.parametrize("tilt", [-70, -45, -10, 0, 20, 45, 90])
def test_squares_of_tilted_heads(tilt):
    """The square's picture shows the head upright and in the middle; its points are found where they were painted."""
    turn = np.radians(tilt)
    turned = (TEMPLATE - 0.5) * [80, 100] @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (turned + [150, 140])[None]
    assert head_tilts(points)[0] == pytest.approx(tilt, abs=1e-6)
    square = head_squares(points)[0]
    assert square == pytest.approx([150, 140, 140, tilt], abs=1e-6)
    image = np.zeros((300, 300, 3), np.uint8)
    marked = [CHIN, *OUTER_EYE_CORNERS]
    for x, y in points[0][marked]:
        rows, columns = np.mgrid[:300, :300]
        spot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
        image = np.maximum(image, np.rint(spot)[..., None].astype(np.uint8))
    picture = square_picture(image, square, 256)
    seen = transform_points(points[0], square_matrix(square, 256))
    assert np.allclose(seen[CHIN, 0], 127.5, atol=0.01) and seen[CHIN, 1] > seen[OUTER_EYE_CORNERS[0], 1]
    for x, y in seen[marked]:
        part = picture[round(float(y)) - 9 : round(float(y)) + 10, round(float(x)) - 9 : round(float(x)) + 10, 0]
        moments = cv2.moments(part)
        found = np.array([moments["m10"], moments["m01"]]) / moments["m00"] - 9 + [round(float(x)), round(float(y))]
        assert np.abs(found - [x, y]).max() < 0.1


def test_squares_that_nearly_agree_become_one():
    """Random squares are hardly moved, and what differs by a computer's rounding is the same but near a few edges."""
    random = np.random.default_rng(0)
    squares = random.uniform([0, 0, 15, -90], [3000, 2000, 2000, 90], (1000, 4))
    placed, again = on_grid(squares), on_grid(squares * (1 + 1e-7 * random.normal(size=squares.shape)))
    moved = np.abs(placed - squares) / squares[:, 2:3]
    assert moved[:, :2].max() < 1 / 500 and moved[:, 2].max() < 1 / 180 and np.abs(placed - squares)[:, 3].max() <= 0.25
    np.testing.assert_array_equal(on_grid(placed), placed)
    assert (placed == again).all(axis=1).mean() > 0.98


@needs_weights
def test_rounding_in_the_fan_does_not_grow():
    """Processors differ by a hundred-thousandth of a pixel in the FAN's points; nearly every crop is the same still."""
    fan, same = OnnxFAN(load_network(OPEN_FAN)), 0
    random = np.random.default_rng(0)

    class Noisy:
        config = fan.config

        def __call__(self, image):
            found = fan(image)
            return found._replace(points=found.points + torch.from_numpy(random.normal(0, 1e-5, found.points.shape)))

    for index in range(8):
        sample = render_pair(TEST_SEED, index, canvas=256)
        low, high = sample.landmarks[:, :2].min(axis=0), sample.landmarks[:, :2].max(axis=0)
        box = boxes_of((*low, *high))(None)
        one, other = (crop_face(sample.image, align(sample.image, box, how)[0][0]) for how in (fan, Noisy()))
        same += np.array_equal(one.image, other.image)
    assert same >= 7  # one may lie at an edge of a grid


class TwoDotsFAN:
    """A stand-in FAN: red dot between the eyes, blue dot at the chin; remembers how far from upright they were."""

    config = SimpleNamespace(size=128)

    def __init__(self):
        self.tilts = []

    def __call__(self, crops):
        image = crops[0].permute(1, 2, 0).numpy()
        place = []
        for colour, other in ((0, 2), (2, 0)):
            weight = np.clip(image[..., colour] - image[..., other] - 0.3, 0, None)
            rows, columns = np.mgrid[:128, :128]
            place.append(np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum())
        down = place[1] - place[0]
        self.tilts.append(float(np.degrees(np.arctan2(-down[0], down[1]))))
        eyes, chin = TEMPLATE[EYES].mean(axis=0), TEMPLATE[CHIN_LINE].mean(axis=0)
        across = np.array([down[1], -down[0]])
        steps = (TEMPLATE - eyes) / (chin - eyes)[1]
        points = place[0] + steps[:, 1:] * down + steps[:, :1] * across
        points = torch.tensor(np.column_stack([points, np.zeros(68)]), dtype=torch.float32)[None]
        return SimpleNamespace(points=points, scores=torch.full((1, 68), 0.8))


@pytest.mark.parametrize("tilt", [-45, 0, 45])
def test_later_passes_see_the_head_upright(tilt):
    image = np.full((240, 240, 3), 90, np.uint8)
    direction = np.array([-np.sin(np.radians(tilt)), np.cos(np.radians(tilt))])
    for offset, colour in ((-20, (255, 0, 0)), (25, (0, 0, 255))):
        x, y = np.array([120, 118]) + offset * direction
        cv2.circle(image, (round(16 * x), round(16 * y)), 16 * 5, colour, -1, cv2.LINE_AA, 4)
    fan = TwoDotsFAN()
    points, scores = align(image, np.array([[75, 60, 165, 165, 0.45]]), fan)
    assert np.allclose(fan.tilts, [tilt, 0, 0], atol=1)
    assert head_tilts(points)[0] == pytest.approx(tilt, abs=1)
    assert scores[0] == pytest.approx(np.sqrt(0.45 * 0.8), abs=0.02)  # the face detector's score counts, too
    middle = points[0, EYES, :2].mean(axis=0)
    assert np.allclose(middle, [120, 118] - 20 * direction, atol=0.5)


@needs_weights
def test_the_exported_fan_equals_the_fan():
    fan = load_network("fan_open")
    before = dict(fan.named_modules())
    quick = OnnxFAN(fan)
    crops = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, got = fan(crops), quick(crops)
    assert (expected.points - got.points).abs().max() < 1e-2
    assert (expected.scores - got.scores).abs().max() < 1e-4
    assert dict(fan.named_modules()) == before and quick.config == fan.config


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VRN_CACHE", str(tmp_path / "file"))
    quick = OnnxFAN(FAN(FANConfig(stem=8, features=8, depth=1)))
    with pytest.raises(OSError, match=r"set \$VRN_CACHE") as caught:
        quick(torch.zeros(1, 3, 128, 128))
    assert "\n" not in str(caught.value)


# --- open -------------------------------------------------------------------------------------------------------------


def test_every_face_is_found_once_largest_first():
    image = photo_with_squares((40, 60, 40), (300, 100, 160), (150, 300, 60))
    boxes = [(35, 58, 80, 95), (310, 90, 450, 250), (300, 120, 470, 270), (155, 295, 215, 355), (500, 300, 560, 360)]
    faces = detect(image, OpenDetector(RedSquareFAN(), face_detector=boxes_of(*boxes)))
    assert [round(face.size) for face in faces] == [160, 60, 40]
    x0, y0, x1, y1 = faces[0].box
    assert np.allclose([x0, y0, x1, y1], [299.5, 99.5, 459.5, 259.5], atol=0.5)
    assert all(face.source == "open" and face.points.shape == (68, 3) for face in faces)
    assert all(face.points.dtype == np.float32 and 0 <= face.score <= 1 for face in faces)


def test_a_box_without_a_face_is_rejected():
    image = photo_with_squares()
    boxes = boxes_of((100, 100, 200, 200), (300, 50, 420, 170))
    assert OpenDetector(RedSquareFAN(), face_detector=boxes)(image) == []


def test_a_face_that_the_face_detector_doubts_is_rejected():
    image = photo_with_squares((200, 120, 90))
    for score, faces in ((0.1, 0), (0.5, 1)):
        boxes = boxes_of((200, 120, 290, 210, score))
        assert len(OpenDetector(RedSquareFAN(), face_detector=boxes)(image)) == faces
    boxes = boxes_of((200, 120, 290, 210, 0.1))
    assert len(OpenDetector(RedSquareFAN(), face_detector=boxes, min_score=0.2)(image)) == 1


def test_points_that_run_away_are_rejected():
    image = photo_with_squares((200, 120, 90))
    boxes = boxes_of((200, 120, 290, 210))
    assert len(OpenDetector(RedSquareFAN(), face_detector=boxes)(image)) == 1
    assert OpenDetector(RunawayFAN(), face_detector=boxes)(image) == []


class RunawayFAN(RedSquareFAN):
    """Always says that the face is a quarter to the right of the square's middle, and is sure of it."""

    def __call__(self, crops):
        points = np.column_stack([20 + 90 * TEMPLATE + [35, 0], np.zeros(68)]).astype(np.float32)
        return SimpleNamespace(
            points=torch.tensor(points)[None].repeat(len(crops), 1, 1), scores=torch.full((len(crops), 68), 0.9)
        )


@pytest.mark.parametrize("boxes", [np.zeros((0, 5), np.float32), np.zeros((0, 4)), []])
def test_no_box_needs_no_network(boxes):
    image = np.full((200, 200, 3), 128, np.uint8)
    assert OpenDetector(object(), face_detector=lambda _: boxes)(image) == []
    assert TDDFADetector(face_detector=lambda _: boxes, regressor=object())(image) == []


@needs_weights
def test_models_are_loaded_once(tmp_path):
    assert OpenDetector().face_detector is OpenDetector().face_detector
    assert TDDFADetector().face_detector is TDDFADetector().face_detector
    assert TDDFADetector().regressor is TDDFADetector().regressor
    assert OpenDetector().fan is OpenDetector("fan_open").fan is OpenDetector(str(OPEN_FAN)).fan
    copy = tmp_path / "fan.safetensors"
    copy.write_bytes(OPEN_FAN.read_bytes())
    first = OpenDetector(copy).fan
    assert OpenDetector(copy).fan is first
    copy.touch()  # trained anew
    assert OpenDetector(copy).fan is not first


def test_detection_leaves_torchs_threads_alone():
    image, before = np.full((200, 200, 3), 128, np.uint8), torch.get_num_threads()
    inside = []
    for made in (
        lambda boxes: OpenDetector(object(), face_detector=boxes),
        lambda boxes: TDDFADetector(face_detector=boxes, regressor=object()),
    ):
        assert detect(image, made(lambda _: inside.append(torch.get_num_threads()) or [])) == []
        with pytest.raises(ZeroDivisionError):
            detect(image, made(lambda _: 1 / 0))
        assert torch.get_num_threads() == before
    assert inside and set(inside) == {1}


ASTRONAUT = (178.8, 80.5, 273.0, 171.5)
"""The box of the official landmarks."""


@needs_weights
@pytest.mark.parametrize("detector", ["open", "tddfa"])
@pytest.mark.parametrize("angle", [-45, 0, 45])
def test_the_astronaut_also_turned(detector, angle):
    from skimage.data import astronaut

    turn = cv2.getRotationMatrix2D((226, 126), angle, 1.0)
    photo = cv2.warpAffine(astronaut(), turn, (512, 512), borderMode=cv2.BORDER_REFLECT)
    faces = make_detector(detector)(photo)
    middle = turn @ [226, 126, 1]
    away = [np.hypot(*(np.reshape(face.box, (2, 2)).mean(axis=0) - middle)) for face in faces]
    assert min(away) < 12
    if detector == "open":  # our FaceBoxes alone sees another face in the turned suit
        assert len(faces) == 1
    face = faces[np.argmin(away)]
    assert face.source == detector and face.points.shape == (68, 3) and face.points.dtype == np.float32
    assert head_tilts(face.points[None])[0] == pytest.approx(-angle, abs=12)
    assert np.argmax(face.points[:, 2]) in range(NOSE_TIP - 1, NOSE_TIP + 6)  # the nose is nearest to the camera
    if angle == 0:
        assert np.allclose(face.box, ASTRONAUT, atol=12)


@needs_weights
def test_the_faces_of_photographs(assets):
    """All of them, and nothing else; the numbers of faces are those of `reference`."""
    for name, count in (("emma", 3), ("trump_hillary", 2), ("JianzhuGuo", 1)):
        photo = read_photo(assets / "photos" / f"{name}.jpg")
        assert len(detect(photo)) == count
        assert len(TDDFADetector()(photo)) == count


@needs_weights
@pytest.mark.parametrize("name", ["coffee", "cat", "rocket"])
def test_photos_without_a_face(name):
    import skimage.data

    photo = getattr(skimage.data, name)()
    assert detect(photo) == detect(photo, TDDFADetector()) == []


def angles_of(renderer, index: int) -> np.ndarray:
    """Yaw, pitch and roll of a render, without drawing it."""
    rng = np.random.default_rng(np.random.SeedSequence((TEST_SEED, index)).spawn(2)[0])
    shape = np.asarray(renderer.model.sample_shape(rng), np.float32)
    return renderer.camera(renderer.model.reconstruct(shape, renderer.expression(rng)), rng, 128).angles


@needs_weights
def test_turned_and_tilted_renders_are_found():
    """Held-out faces in profile and tilted ones, which a detector of frontal faces cannot find."""
    from vrnlib.synthetic.faces import FaceRenderer

    renderer, found, tried = FaceRenderer(), 0, 0
    for index in range(40):
        yaw, pitch, roll = angles_of(renderer, index)
        if abs(yaw) < 60 and abs(roll) < 25:
            continue
        sample = renderer.sample(TEST_SEED, index, size=128, canvas=256, augment_damage=False)
        assert np.allclose(sample.pose, [yaw, pitch, roll], atol=1e-3)
        tried += 1
        for face in detect(sample.image):
            size = np.sqrt(np.prod(np.ptp(sample.landmarks[:, :2], axis=0)))
            found += np.linalg.norm(face.points[:, :2] - sample.landmarks[:, :2], axis=1).mean() < 0.12 * size
        if tried == 10:
            break
    assert tried == 10 and found >= 8


# --- tddfa ------------------------------------------------------------------------------------------------------------


class BoxRegressor:
    """A stand-in TDDFA: the template in the box, then always 2 pixels to the right of where it was shown."""

    def __call__(self, image, boxes, *, crop_policy="box"):
        if crop_policy == "landmark":
            return np.array([points + [2, 0, 0] for points in boxes]).reshape(-1, 68, 3), None
        rows = np.array([np.column_stack([b[:2] + TEMPLATE * (b[2:4] - b[:2]), TEMPLATE[:, 1]]) for b in boxes])
        return rows.reshape(-1, 68, 3), None

    def reconstruct(self, params, rois, *, dense):
        assert not dense
        return params


def test_tddfa_passes_three_times_and_drops_doubtful_boxes():
    boxes = [(40, 50, 100, 110, 0.9), (120, 40, 180, 100, 0.5), (-400, 10, -300, 90, 0.99), (150, 120, 154, 124, 0.99)]
    image = np.zeros((200, 200, 3), np.uint8)
    models = {"regressor": BoxRegressor(), "face_detector": lambda _: np.array(boxes)}
    (face,) = TDDFADetector(**models)(image)
    assert face.box == pytest.approx((41, 50, 101, 110))  # 2 to the right, then 2 to the right in the mirror image
    assert face.score == pytest.approx(np.sqrt(0.9 * (1 - 4 / 60 / 0.25)))
    assert len(TDDFADetector(**models, min_score=0.4)(image)) == 2


# --- any --------------------------------------------------------------------------------------------------------------


def test_unknown_detectors_are_sentences():
    with pytest.raises(LandmarkError, match=", ".join(DETECTORS)):
        make_detector("dlib")


def test_a_detector_of_ones_own():
    """Whatever is called with a photo and gives faces will do."""
    face = Landmarks.from_points(TEMPLATE * 40 + 20)
    assert detect(np.zeros((100, 100, 3), np.uint8), lambda image: [face]) == [face]


def test_short_reprs():
    detectors = [make_detector(name, points=TEMPLATE * 40) for name in ("open", "tddfa", "points")]
    assert [one.name for one in detectors] == ["open", "tddfa", "points"]
    for thing in [*detectors, *detectors[2](np.zeros((100, 100, 3), np.uint8))]:
        assert type(thing).__name__ in repr(thing) and len(repr(thing)) < 200 and "\n" not in repr(thing)
