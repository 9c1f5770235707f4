"""The command line of demo_video.py with made-up faces."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from videos import FakeDetector, FakeFitter, film, moving, picture

from tddfa.video import VideoError
from tddfa.video_reader import VideoReader

pytest.importorskip("av", reason="the extra 'video' is not installed")

FOLDER = Path(__file__).parents[1] / "3DDFA_V2_modified"


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
    return film(tmp_path / "white.box.mp4", [*moving(4), *[picture(None)] * 2, *moving(4)])


@pytest.fixture
def late(tmp_path) -> Path:
    """A video in which the white box comes with the third of eight frames."""
    return film(tmp_path / "late.mp4", [*[picture(None)] * 2, *moving(6)])


def test_draws_and_writes(script, models, white, tmp_path, capsys):
    assert script.main(["-f", str(white), "--out", str(tmp_path / "out")]) == 0
    with VideoReader(tmp_path / "out" / "white.box_2d_sparse.mp4") as reader:
        drawn = list(reader)
    assert reader.rate == 25 and len(drawn) == 10
    plain = list(VideoReader(white))
    assert np.abs(drawn[2].astype(float) - plain[2]).max() > 100  # dots and lines on the white box
    assert "10 frames, " in capsys.readouterr().out


def test_smooths_a_range(script, models, white, tmp_path, capsys):
    options = ["-s", "1", "-e", "3", "--smooth", "-n_pre", "2", "-n_next", "0"]
    assert script.main(["-f", str(white), "--out", str(tmp_path), *options]) == 0
    assert len(list(VideoReader(tmp_path / "white.box_2d_sparse_smooth.mp4"))) == 3
    with pytest.raises(SystemExit):
        script.main(["-f", str(white), "-n_pre", "2"])
    assert "--smooth" in capsys.readouterr().err


def test_moments_and_sound_stay(script, models, tmp_path):
    """Smoothing reads ahead; each frame must have its own moment all the same."""
    uneven = [0, 40, 80, 300, 333, 366, 400, 900]
    source = film(tmp_path / "phone.mkv", moving(8), milliseconds=uneven, sound="aac", onset=0.5)
    assert script.main(["-f", str(source), "--out", str(tmp_path), "--smooth", "-n_next", "3"]) == 0
    with VideoReader(tmp_path / "phone_mkv_2d_sparse_smooth.mp4") as reader:
        moments = [float(reader.moment(i)[0] * reader.time_base) for i, _ in enumerate(reader)]
    assert np.subtract(moments, moments[0]) == pytest.approx(np.array(uneven) / 1000, abs=0.001)
    import av

    with av.open(str(tmp_path / "phone_mkv_2d_sparse_smooth.mp4")) as container:
        assert container.streams.audio


def test_frames_without_a_face_are_passed_on(script, models, tmp_path, capsys):
    path = film(tmp_path / "empty.mp4", [np.full((64, 96, 3), (20, 90, 60), np.uint8)] * 3)
    assert script.main(["-f", str(path), "--out", str(tmp_path)]) == 0
    assert "3 frames, 3 without a face" in capsys.readouterr().out
    frames = list(VideoReader(tmp_path / "empty_2d_sparse.mp4"))
    assert len(frames) == 3 and np.abs(frames[1].astype(int) - (20, 90, 60)).max() <= 6


class Interrupted(FakeFitter):
    """Something happens in the middle of the fourth fit, which is the third frame's."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def __call__(self, image, boxes, *, crop_policy):
        if len(self.policies) == 3:
            self.what()
        return super().__call__(image, boxes, crop_policy=crop_policy)


def not_ignored(number: signal.Signals, request):
    """A signal's handler, once it is not to be ignored: by nohup or in the background, where tests may run."""
    ignored = signal.getsignal(number) is signal.SIG_IGN
    standard = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = standard if ignored else signal.getsignal(number)
    signal.signal(number, before)
    request.addfinalizer(lambda: signal.signal(number, signal.SIG_IGN if ignored else before))
    return before


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stop_finishes_the_frame_and_the_file(script, white, tmp_path, monkeypatch, capsys, request, name):
    if not hasattr(signal, name) or sys.platform == "win32":
        pytest.skip("Windows has no such signal for another process")
    number = getattr(signal, name)
    before = not_ignored(number, request)
    fitter = Interrupted(lambda: os.kill(os.getpid(), number))
    monkeypatch.setattr(script, "open_models", lambda arguments: (FakeDetector(), fitter))
    options = ["--arrays", str(tmp_path / "faces.npz"), "--meshes", "ply"]
    assert script.main(["-f", str(white), "--out", str(tmp_path), *options]) == 130
    assert len(list(VideoReader(tmp_path / "white.box_2d_sparse.mp4"))) == 3
    with np.load(tmp_path / "faces.npz") as arrays:
        assert len(arrays["time"]) == 3
    assert len(list((tmp_path / "white.box_2d_sparse_meshes").iterdir())) == 3
    captured = capsys.readouterr()
    assert "Stopped" in captured.out and "3 frames" in captured.out
    assert not list(tmp_path.glob(".*")) and signal.getsignal(number) is before


def raising(error: BaseException):
    def raises():
        raise error

    return raises


@pytest.mark.parametrize("error, code, words", [(KeyboardInterrupt(), 130, "Stopped"), (ValueError("odd"), 1, "odd")])
def test_frames_before_an_error_are_kept(script, white, tmp_path, monkeypatch, capsys, error, code, words):
    monkeypatch.setattr(script, "open_models", lambda arguments: (FakeDetector(), Interrupted(raising(error))))
    assert script.main(["-f", str(white), "--out", str(tmp_path)]) == code
    assert len(list(VideoReader(tmp_path / "white.box_2d_sparse.mp4"))) == 2
    captured = capsys.readouterr()
    assert words in captured.out + captured.err and "2 frames" in captured.out
    assert not list(tmp_path.glob(".*"))


def test_a_second_stop_does_not_wait(script, white, tmp_path, monkeypatch, request):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    if sys.platform == "win32":
        pytest.skip("Windows has no such signal for another process")
    not_ignored(signal.SIGINT, request)
    monkeypatch.setattr(script, "open_models", lambda arguments: (FakeDetector(), Interrupted(twice)))
    assert script.main(["-f", str(white), "--out", str(tmp_path)]) == 130
    assert len(list(VideoReader(tmp_path / "white.box_2d_sparse.mp4"))) == 2


def test_a_video_that_ended_early_is_told(script, models, white, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(VideoReader, "_count", lambda self: 158)
    assert script.main(["-f", str(white), "--out", str(tmp_path)]) == 0
    assert "ended after 10 of the 158 frames" in capsys.readouterr().out


def test_nothing_to_read(script, models, tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    for name, words in (("text.mp4", "cannot be opened"), ("missing.mp4", "check the path"), ("*.png", "found 0")):
        assert script.main(["-f", str(tmp_path / name), "--out", str(tmp_path)]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and words in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["text.mp4"]


def test_two_videos_never_become_one_result(script, models, tmp_path, capsys):
    results = tmp_path / "results"

    def run(source: Path) -> int:
        return script.main(["-f", str(source), "--out", str(results)])

    first = film(tmp_path / "x.mp4", moving(3))
    assert run(first) == run(film(tmp_path / "x.mkv", moving(4))) == 0
    assert sorted(path.name for path in results.iterdir()) == ["x_2d_sparse.mp4", "x_mkv_2d_sparse.mp4"]
    (tmp_path / "other").mkdir()
    assert run(film(tmp_path / "other" / "x.mp4", moving(5))) == 1
    assert "Expected to replace a result of x.mp4" in capsys.readouterr().err
    assert run(first) == 0  # the same once more
    assert len(list(VideoReader(results / "x_2d_sparse.mp4"))) == 3


def test_a_folder_of_frames(script, models, tmp_path, capsys):
    folder = tmp_path / "frames"
    folder.mkdir()
    for i, image in enumerate(moving(12)):
        cv2.imwrite(str(folder / f"{i}.png"), image)
    (folder / "notes.txt").write_text("of the shooting")
    assert script.main(["-f", str(folder), "--rate", "30000/1001", "--out", str(tmp_path)]) == 0
    assert "notes.txt: no picture" in capsys.readouterr().out
    with VideoReader(tmp_path / "frames_2d_sparse.mp4") as reader:
        frames = list(reader)
    assert len(frames) == 12 and float(reader.rate) == pytest.approx(29.97, abs=0.001)
    last = np.nonzero(frames[11][90] > 127)[0].max()  # the box moves to the right; 9 comes before 10
    assert last == pytest.approx(40 + 3 * 11 + 60, abs=6)
    film(tmp_path / "video.mp4", moving(2))
    assert script.main(["-f", str(tmp_path / "video.mp4"), "--rate", "30"]) == 1
    assert "--rate" in capsys.readouterr().err


def test_arrays_of_every_frame(script, models, late, tmp_path, capsys):
    path = tmp_path / "new" / "faces.npz"
    options = ["--out", str(tmp_path), "--arrays", str(path), "-s", "1"]
    assert script.main(["-f", str(late), *options]) == 0
    with np.load(path) as file:
        arrays = dict(file)
    shapes = {"time": (7,), "found": (7,), "detected": (7,), "roi": (7, 4), "params": (7, 62)}
    assert {name: array.shape for name, array in arrays.items()} == shapes | {"sparse": (7, 3, 68), "pose_deg": (7, 3)}
    assert arrays["time"] == pytest.approx(np.arange(1, 8) * 0.04)
    assert arrays["found"].tolist() == [False] + [True] * 6
    assert arrays["detected"].tolist() == [False, True] + [False] * 5
    for name in ("roi", "params", "sparse", "pose_deg"):
        assert np.isfinite(arrays[name]).all(axis=tuple(range(1, arrays[name].ndim))).tolist() == [False] + [True] * 6
    assert arrays["sparse"][1:, 0, 0] == pytest.approx(40 + 3 * np.arange(6), abs=2)
    assert script.main(["-f", str(late), *options]) == 0  # its own arrays are replaced, others are not
    np.savez(path, diary=np.zeros(3))
    assert script.main(["-f", str(late), *options]) == 1
    assert "holds others" in capsys.readouterr().err


@pytest.mark.parametrize("kind, endings", [("ply", [".ply"]), ("obj", [".mtl", ".obj", "_texture.png"])])
def test_a_mesh_of_every_frame(script, models, late, tmp_path, capsys, kind, endings):
    import trimesh

    folder = tmp_path / "late_2d_sparse_meshes"
    options = ["--out", str(tmp_path), "--meshes", kind]

    def made() -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    assert script.main(["-f", str(late), *options]) == 0
    assert made() == [f"{i:06d}{ending}" for i in range(2, 8) for ending in endings]
    mesh = trimesh.load(folder / f"000003.{kind}", process=False)
    assert mesh.vertices[:, 0].min() == pytest.approx(43, abs=2)
    assert script.main(["-f", str(late), *options, "-s", "6"]) == 0  # those of the longer run go
    assert made() == [f"{i:06d}{ending}" for i in (6, 7) for ending in endings]
    (folder / "diary.txt").touch()
    assert script.main(["-f", str(late), *options]) == 1
    assert "holds diary.txt" in capsys.readouterr().err and "diary.txt" in made()


def test_the_source_is_never_replaced(script, models, tmp_path, capsys):
    source = film(tmp_path / "x_2d_sparse.mp4", moving(2))
    data = source.read_bytes()
    (tmp_path / "x.mp4").symlink_to(source)
    assert script.main(["-f", str(tmp_path / "x.mp4"), "--out", str(tmp_path)]) == 1
    assert "another name for the result" in capsys.readouterr().err and source.read_bytes() == data


def test_webcam_without_a_display(script, models, monkeypatch, capsys):
    """OpenCV would end the whole process here."""
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    if sys.platform != "linux":
        pytest.skip("elsewhere a window needs no DISPLAY")
    assert script.main(["--webcam"]) == 1
    assert "window" in capsys.readouterr().err


class FakeCapture:
    """What OpenCV gives for a camera: ten pictures of a dark red, blue first."""

    def __init__(self, number: int):
        self.pictures = [np.full((240, 320, 3), (10, 20, 90), np.uint8)] * 10
        self.number = number

    def isOpened(self) -> bool:
        return self.number == 1

    def read(self):
        return (True, self.pictures.pop()) if self.pictures else (False, None)

    def release(self) -> None:
        pass


def test_webcam_shows_frames_until_q(script, models, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(script, "check_display", lambda: None)
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: ord("q") if len(shown) == 3 else -1)
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
    assert script.main(["--webcam", "1"]) == 0
    assert len(shown) == 3 and "3 frames" in capsys.readouterr().out
    assert (shown[0] == (10, 20, 90)).all()
    with pytest.raises(SystemExit):
        script.main(["--webcam", "1", "--meshes", "ply"])
    assert script.main(["--webcam", "2"]) == 1
    assert "camera 2 cannot be opened" in capsys.readouterr().err


def test_a_camera_that_gives_nothing(monkeypatch):
    from tddfa.camera import Camera

    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with Camera(1) as camera:
        assert len(list(camera)) == 10
        with pytest.raises(VideoError, match="camera 1 gives no picture"):
            next(iter(camera))
