"""Tracking and smoothing with made-up faces, video files, and the command line of demo_video.py."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from tddfa.geometry import crop_roi, roi_from_box, roi_from_landmarks
from tddfa.video import MAX_JUMP, TrackedFrame, smoothed, track
from tddfa.video_files import VideoError, VideoReader, VideoWriter

FOLDER = Path(__file__).parents[1] / "3DDFA_V2_modified"


def picture(box: tuple[int, int, int, int] | None, *, height: int = 240, width: int = 320) -> np.ndarray:
    """A black picture; the face is a white box x0, y0, x1, y1."""
    image = np.zeros((height, width, 3), np.uint8)
    if box is not None:
        x0, y0, x1, y1 = box
        image[y0:y1, x0:x1] = 255
    return image


def white_box(image: np.ndarray) -> np.ndarray | None:
    ys, xs = np.nonzero(image[..., 0] > 127)
    return np.array([xs.min(), ys.min(), xs.max(), ys.max()], float) if len(xs) > 20 else None


class FakeDetector:
    """Finds the white box; ``asked`` holds the sizes of the pictures it saw."""

    def __init__(self):
        self.asked: list[tuple[int, int]] = []

    def __call__(self, image):
        self.asked.append(image.shape[:2])
        box = white_box(image)
        return np.zeros((0, 5), np.float32) if box is None else np.append(box, 0.9)[None].astype(np.float32)


class FakeFitter:
    """Like a network: whatever the crop shows, it gives a face; on the white box if there is one."""

    def __init__(self, nan_at: int | None = None):
        self.policies: list[str] = []
        self.nan_at = nan_at

    def __call__(self, image, boxes, *, crop_policy):
        self.policies.append(crop_policy)
        roi = roi_from_box(boxes[0]) if crop_policy == "box" else roi_from_landmarks(boxes[0])
        box = white_box(crop_roi(image, roi))
        side = roi[2] - roi[0]
        box = np.array([0.15, 0.15, 0.85, 0.85]) * side if box is None else box
        params = np.zeros((1, 62), np.float32)
        params[0, :4] = box + np.round(roi[:2] * 2)
        if self.nan_at == len(self.policies):
            params[:] = np.nan
        return params, np.array([roi])

    def reconstruct(self, params, rois, *, dense):
        if not np.isfinite(params).all():
            raise ValueError("Expected finite parameters")  # as the real one
        x0, y0, x1, y1 = params[0, :4]
        steps = np.linspace(0, 1, 136 if dense else 68)
        # the dense face runs along the same diagonal, twice as fine
        return np.stack([x0 + steps * (x1 - x0), y0 + steps * (y1 - y0), steps], axis=1)[None].astype(np.float32)


def moving(count: int, *, step: int = 3, side: int = 60) -> list[np.ndarray]:
    return [picture((40 + step * i, 60, 40 + step * i + side, 60 + side)) for i in range(count)]


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


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """12 frames of 241 x 200 from scikit-image's astronaut, shifted by 4 pixels each."""
    path = tmp_path_factory.mktemp("clip") / "astronaut.mp4"
    with VideoWriter(path, rate=12.5) as writer:
        for i in range(12):
            writer.write(astronaut()[:200, 100 + 4 * i : 341 + 4 * i])
    return path


def test_written_frames_come_back(clip):
    with VideoReader(clip) as reader:
        frames = list(reader)
    assert reader.rate == 12.5 and reader.expected == len(frames) == 12
    for i, frame in enumerate(frames):
        assert frame.shape == (200, 240, 3)  # the odd column is cut off
        # MPEG-4 is lossy; a swap of red and blue or a wrong frame is far beyond it
        difference = np.abs(frame.astype(float) - astronaut()[:200, 100 + 4 * i : 340 + 4 * i]).mean()
        assert difference < 8, (i, difference)


@pytest.mark.parametrize("start, end, wanted", [(0, 3, [0, 1, 2, 3]), (5, 6, [5, 6]), (9, 50, [9, 10, 11])])
def test_ranges_include_their_end(clip, start, end, wanted):
    everything = list(VideoReader(clip))
    part = VideoReader(clip, start=start, end=end)
    assert part.expected == len(wanted)
    assert all(np.array_equal(frame, everything[i]) for frame, i in zip(part, wanted, strict=True))


def test_unreadable_videos(clip, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:2000])
    for path, words in ((broken, "cannot be opened"), (tmp_path / "no.mp4", "check the path"), (tmp_path, "check")):
        with pytest.raises(VideoError, match=words):
            VideoReader(path)
    with pytest.raises(VideoError, match="0 <= start <= end"):
        VideoReader(clip, start=5, end=4)
    with pytest.raises(VideoError, match="from number 40 on.* gives 12 frames"):
        list(VideoReader(clip, start=40))


def test_a_stream_that_is_cut_just_ends(tmp_path):
    """An AVI keeps its header in front, so a cut one still opens and promises all its frames."""
    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for i in range(20):
        writer.write(np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with VideoReader(cut) as reader:
        assert reader.expected == 20 and 5 <= len(list(reader)) <= 15


def test_writer_keeps_what_was_done(tmp_path):
    path = tmp_path / "new" / "out.mp4"
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, rate=25) as writer:
        for _ in range(3):
            writer.write(np.full((64, 64, 3), 200, np.uint8))
        raise KeyboardInterrupt
    assert len(list(VideoReader(path))) == 3
    assert [file.name for file in path.parent.iterdir()] == ["out.mp4"]


def test_writer_without_frames_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"older")
    with VideoWriter(path, rate=25):
        pass
    assert path.read_bytes() == b"older"


def test_writer_errors(tmp_path):
    with pytest.raises(VideoError, match=".mp4"):
        VideoWriter(tmp_path / "out.avi", rate=25)
    with VideoWriter(tmp_path / "out.mp4", rate=25) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(VideoError, match="64 x 64, got 32 x 64"):
            writer.write(np.zeros((64, 32, 3), np.uint8))
        with pytest.raises(VideoError, match="uint8 RGB"):
            writer.write(np.zeros((64, 64), np.uint8))
    (tmp_path / "file").touch()
    with pytest.raises(VideoError, match="cannot be made"), VideoWriter(tmp_path / "file" / "out.mp4", rate=25) as bad:
        bad.write(np.zeros((64, 64, 3), np.uint8))


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """demo_video.py as a module; it imports demo.py beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        return importlib.import_module("demo_video")


@pytest.fixture
def models(script, monkeypatch) -> tuple[FakeDetector, FakeFitter]:
    detector, fitter = FakeDetector(), FakeFitter()
    monkeypatch.setattr(script, "open_models", lambda arguments: (detector, fitter))
    return detector, fitter


@pytest.fixture
def white(tmp_path) -> Path:
    """A video of a white box: 4 frames with it, 2 without, 4 with it again."""
    path = tmp_path / "white.box.mp4"
    with VideoWriter(path, rate=10) as writer:
        for image in [*moving(4), *[picture(None)] * 2, *moving(4)]:
            writer.write(image)
    return path


def test_command_draws_and_writes(script, models, white, tmp_path, capsys):
    assert script.main(["-f", str(white), "--out", str(tmp_path / "out")]) == 0
    with VideoReader(tmp_path / "out" / "white.box_2d_sparse.mp4") as reader:
        drawn = list(reader)
    assert reader.rate == 10 and len(drawn) == 10
    plain = list(VideoReader(white))
    assert np.abs(drawn[2].astype(float) - plain[2]).max() > 100  # dots and lines on the white box
    assert "10 frames, " in capsys.readouterr().out


def test_command_smooths_a_range(script, models, white, tmp_path, capsys):
    options = ["-s", "1", "-e", "3", "--smooth", "-n_pre", "2", "-n_next", "0"]
    assert script.main(["-f", str(white), "--out", str(tmp_path), *options]) == 0
    assert len(list(VideoReader(tmp_path / "white.box_2d_sparse_smooth.mp4"))) == 3
    with pytest.raises(SystemExit):
        script.main(["-f", str(white), "-n_pre", "2"])
    assert "--smooth" in capsys.readouterr().err


def test_command_passes_frames_without_a_face_on(script, models, tmp_path, capsys):
    path = tmp_path / "empty.mp4"
    with VideoWriter(path, rate=10) as writer:
        for _ in range(3):
            writer.write(np.full((64, 96, 3), (20, 90, 60), np.uint8))
    assert script.main(["-f", str(path), "--out", str(tmp_path)]) == 0
    assert "3 frames, 3 without a face" in capsys.readouterr().out
    frames = list(VideoReader(tmp_path / "empty_2d_sparse.mp4"))
    assert len(frames) == 3 and np.abs(frames[1].astype(int) - (20, 90, 60)).max() <= 6


@pytest.mark.parametrize("error, code, words", [(KeyboardInterrupt, 130, "Stopped"), (ValueError("odd"), 1, "odd")])
def test_command_keeps_the_frames_before_an_error(
    script, models, white, tmp_path, monkeypatch, capsys, error, code, words
):
    detector = FakeDetector()

    class Stops(FakeFitter):
        def __call__(self, image, boxes, *, crop_policy):
            if len(self.policies) == 4:
                raise error
            return super().__call__(image, boxes, crop_policy=crop_policy)

    monkeypatch.setattr(script, "open_models", lambda arguments: (detector, Stops()))
    assert script.main(["-f", str(white), "--out", str(tmp_path)]) == code
    assert len(list(VideoReader(tmp_path / "white.box_2d_sparse.mp4"))) == 3
    captured = capsys.readouterr()
    assert words in captured.out + captured.err and "3 frames" in captured.out
    assert not list(tmp_path.glob(".*"))


def test_command_says_that_a_video_ended_early(script, models, white, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(VideoReader, "_count", lambda self: 158)
    assert script.main(["-f", str(white), "--out", str(tmp_path)]) == 0
    assert "ended after 10 of the 158 frames" in capsys.readouterr().out


def test_command_with_nothing_to_read(script, models, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    for name, words in (("text.mp4", "cannot be opened"), ("missing.mp4", "check the path")):
        assert script.main(["-f", str(tmp_path / name), "--out", str(tmp_path)]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and words in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


def test_webcam_without_a_display(script, models, monkeypatch, capsys):
    """OpenCV would end the whole process here."""
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    if sys.platform != "linux":
        pytest.skip("elsewhere a window needs no DISPLAY")
    assert script.main(["--webcam"]) == 1
    assert "window" in capsys.readouterr().err


def test_webcam_shows_frames_until_q(script, models, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(script, "check_display", lambda: None)
    monkeypatch.setattr(script, "VideoReader", lambda index: FakeCamera())
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: ord("q") if len(shown) == 3 else -1)
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
    assert script.main(["--webcam", "1"]) == 0
    assert len(shown) == 3 and "3 frames" in capsys.readouterr().out


class FakeCamera:
    """Ten frames of a moving white box."""

    def __enter__(self):
        return iter(moving(10))

    def __exit__(self, *error):
        pass


def test_webcam_that_is_not_there():
    with pytest.raises(VideoError, match="camera 97 cannot be opened"):
        VideoReader(97)


# --- the real networks -----------------------------------------------------------------------------------------------


def test_tracking_equals_the_originals_loop(assets):
    """8 frames of obama.mp4: detect, fit twice, then fit by the landmarks of the frame before."""
    from tddfa import TDDFA, FaceBoxes, MorphableModel

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


def test_open_models_follow_the_astronaut(clip):
    from tddfa import TDDFA, FaceBoxes, faceboxes, regressor

    if not (faceboxes.OPEN_WEIGHTS.is_file() and regressor.OPEN_WEIGHTS.is_file()):
        pytest.skip("the open weights are not in this checkout yet")
    detector, tddfa = FaceBoxes(faceboxes.OPEN_WEIGHTS, threads=1), TDDFA("open", threads=1)
    frames = list(track(VideoReader(clip), detector, tddfa))
    assert all(frame.landmarks is not None for frame in frames)
    for frame in frames:  # the face is about 95 pixels wide and moves by 4 to the left
        middle = frame.landmarks[:, :2].mean(axis=0)
        assert np.linalg.norm(middle - (126 - 4 * frame.index, 122)) < 30, (frame.index, middle)


def test_the_writer_replaces_no_file_of_another_kind(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"a diary, not a video")
    with pytest.raises(VideoError, match="an mp4 file only"), VideoWriter(tmp_path / "out.mp4", rate=25) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    assert (tmp_path / "out.mp4").read_bytes() == b"a diary, not a video"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
