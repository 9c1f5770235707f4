"""Tracking and smoothing with made-up faces, and with the real networks."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import astronaut
from videos import FakeDetector, FakeFitter, moving, picture

from tddfa.video import MAX_JUMP, TrackedFrame, smoothed, track


def left_edges(frames) -> list[float | None]:
    return [None if frame.landmarks is None else float(frame.landmarks[:, 0].min()) for frame in frames]


def test_follows_a_face_and_detects_once():
    detector, fitter = FakeDetector(), FakeFitter()
    frames = list(track(moving(20), detector, fitter, check_every=0))
    assert left_edges(frames) == pytest.approx([40 + 3 * i for i in range(20)], abs=1)
    assert [frame.detected for frame in frames] == [True] + [False] * 19
    assert [frame.index for frame in frames] == list(range(20))
    assert detector.asked == [(240, 320)]
    # the first frame twice: in the detected box, then by its own landmarks
    assert fitter.policies == ["box"] + ["landmark"] * 20


def test_frames_pass_unchanged_and_one_by_one():
    taken = []

    def source():
        for image in moving(5):
            taken.append(image)
            yield image

    stream = track(source(), FakeDetector(), FakeFitter())
    assert taken == []
    first = next(stream)
    assert first.image is taken[0] and len(taken) == 1
    assert np.array_equal(first.image, moving(1)[0])
    assert first.vertices is None


def test_dense_faces():
    frame = next(track(moving(1), FakeDetector(), FakeFitter(), dense=True))
    assert frame.landmarks.shape == (68, 3) and frame.vertices.shape == (136, 3)
    assert frame.params.shape == (62,) and frame.roi.shape == (4,)


def test_no_face_then_one():
    empty = [picture(None)] * 3
    frames = list(track([*empty, *moving(2)], FakeDetector(), FakeFitter()))
    assert [frame.landmarks is None for frame in frames] == [True] * 3 + [False] * 2
    assert [frame.detected for frame in frames] == [False] * 3 + [True, False]


def test_a_face_that_leaves_is_noticed_by_the_check_and_found_again():
    """The fitter goes on giving a face at the same place; only the detector's look can tell."""
    stays = [picture((40, 60, 100, 120))]
    frames = list(track(stays * 4 + [picture(None)] * 12 + stays * 2, FakeDetector(), FakeFitter(), check_every=5))
    found = [frame.landmarks is not None for frame in frames]
    assert found == [True] * 5 + [False] * 11 + [True] * 2
    assert frames[16].detected


def test_the_check_sees_only_the_surroundings():
    detector = FakeDetector()
    frames = list(track(moving(12), detector, FakeFitter(), check_every=5))
    assert sum(frame.detected for frame in frames) == 1
    assert detector.asked[0] == (240, 320) and len(detector.asked) == 3
    assert all(max(size) < 200 for size in detector.asked[1:])


def test_a_jump_is_another_face():
    here, there = picture((40, 60, 100, 120)), picture((75, 60, 135, 120))
    frames = list(track([here, there], FakeDetector(), FakeFitter(), check_every=0))
    assert [frame.detected for frame in frames] == [True, True]
    assert left_edges(frames) == pytest.approx([40, 75], abs=1)


def test_a_small_face_is_detected_again():
    """A crop below 2020 px²: side 45, so a face below 32 px."""
    small, large = [[picture((50, 50, 50 + side, 50 + side))] * 3 for side in (28, 40)]
    assert all(frame.detected for frame in track(small, FakeDetector(), FakeFitter()))
    assert [frame.detected for frame in track(large, FakeDetector(), FakeFitter())] == [True, False, False]


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_fit_of_nan_is_no_face(call):
    """Calls 1 and 2 fit the first frame: it stays without a face. Call 3 is the second: detected again."""
    frames = list(track(moving(3), FakeDetector(), FakeFitter(nan_at=call), check_every=0))
    assert [frame.detected for frame in frames] == ([False, True, False] if call < 3 else [True, True, False])
    assert (frames[0].landmarks is None) == (call < 3)


@pytest.mark.parametrize("factor", [0.2, 3])
def test_a_face_of_another_size_than_its_crop_is_no_face(factor):
    class Resizing(FakeFitter):
        def reconstruct(self, params, rois, *, dense):
            face = super().reconstruct(params, rois, dense=dense)
            middle = face.mean(axis=1, keepdims=True)
            return (face - middle) * factor + middle

    assert next(track(moving(1), FakeDetector(), Resizing())).landmarks is None


def at(index: int, x: float | None) -> TrackedFrame:
    """A frame with a face 100 px wide at x."""
    if x is None:
        return TrackedFrame(index, picture(None))
    face = np.linspace([x, 0, 0], [x + 100, 100, 10], 68).astype(np.float32)
    return TrackedFrame(index, picture(None), face, face[::2], detected=index == 0)


def the_originals_window(values: list[float], before: int, after: int) -> list[float]:
    padded = [values[0]] * before + values + [values[-1]] * after
    return [float(np.mean(padded[i : i + before + after + 1])) for i in range(len(values))]


@pytest.mark.parametrize("before, after", [(0, 0), (1, 1), (2, 0), (0, 3), (4, 2)])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_smoothing_is_the_moving_average_with_repeated_ends(before, after, count):
    places = np.random.default_rng(0).uniform(0, 20, count).round(2).tolist()
    frames = list(smoothed([at(i, x) for i, x in enumerate(places)], before=before, after=after))
    assert left_edges(frames) == pytest.approx(the_originals_window(places, before, after), abs=1e-4)
    assert all(np.allclose(frame.vertices, frame.landmarks[::2]) for frame in frames)
    assert [frame.index for frame in frames] == list(range(count))
    assert frames[0].detected and frames[0].landmarks.dtype == np.float32


def test_smoothing_never_mixes_two_faces():
    far = 100 * MAX_JUMP + 1
    places = [0, 6, None, 9, 3, 3 + far, far]
    frames = list(smoothed([at(i, x) for i, x in enumerate(places)], before=1, after=1))
    assert left_edges(frames) == pytest.approx([2, 4, None, 7, 5, far + 2, far + 1])


def test_smoothing_reads_no_further_than_it_must():
    taken = []
    stream = smoothed((taken.append(i) or at(i, i) for i in range(9)), before=1, after=2)
    next(stream)
    assert taken == [0, 1, 2]


def test_wrong_numbers_of_frames_are_told_at_once():
    with pytest.raises(ValueError, match="check_every"):
        track([], FakeDetector(), FakeFitter(), check_every=-1)
    with pytest.raises(ValueError, match="-2 before"):
        track([], FakeDetector(), FakeFitter(), smooth=(-2, 1))


# --- the real networks -----------------------------------------------------------------------------------------------


def test_tracking_equals_the_originals_loop(assets):
    """8 frames of obama.mp4: detect, fit twice, then fit by the landmarks of the frame before."""
    pytest.importorskip("av", reason="the extra 'video' is not installed")
    from tddfa import TDDFA, FaceBoxes, MorphableModel
    from tddfa.video_reader import VideoReader

    model = MorphableModel.load(assets / "official/configs/bfm_noneck_v3.standin.pkl")
    detector, tddfa = FaceBoxes(threads=1), TDDFA("mb05", model=model, threads=1)
    with VideoReader(assets / "photos/obama.mp4", end=7) as reader:
        frames = list(track(reader, detector, tddfa, dense=True, check_every=4))
    assert [frame.detected for frame in frames] == [True] + [False] * 7
    params, rois = tddfa(frames[0].image, detector(frames[0].image)[:1])
    for frame in frames:
        before = tddfa.reconstruct(params, rois, dense=False)
        params, rois = tddfa(frame.image, before, crop_policy="landmark")
        assert np.array_equal(frame.landmarks, tddfa.reconstruct(params, rois, dense=False)[0])
        assert np.allclose(model.landmarks(frame.vertices), frame.landmarks, atol=0.01)


def test_open_models_follow_the_astronaut():
    from tddfa import TDDFA, FaceBoxes, faceboxes, regressor

    if not (faceboxes.OPEN_WEIGHTS.is_file() and regressor.OPEN_WEIGHTS.is_file()):
        pytest.skip("the open weights are not in this checkout yet")
    detector, tddfa = FaceBoxes(faceboxes.OPEN_WEIGHTS, threads=1), TDDFA("open", threads=1)
    frames = list(track([astronaut()[:200, 100 + 4 * i : 340 + 4 * i] for i in range(12)], detector, tddfa))
    assert all(frame.landmarks is not None for frame in frames)
    for frame in frames:  # the face is about 95 pixels wide and moves by 4 to the left
        middle = frame.landmarks[:, :2].mean(axis=0)
        assert np.linalg.norm(middle - (126 - 4 * frame.index, 122)) < 30, (frame.index, middle)
