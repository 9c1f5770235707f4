"""Video files in and out: their moments, turns, codecs and sound; folders of frames; cameras."""

from __future__ import annotations

import signal
import subprocess
import sys
import warnings
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut
from videos import film

from tddfa import pyav
from tddfa.camera import Camera
from tddfa.console import Note
from tddfa.files import temporary_name
from tddfa.picture_frames import PictureFrames, is_pattern
from tddfa.video import VideoError
from tddfa.video_reader import VideoReader, displayed
from tddfa.video_sound import Sound
from tddfa.video_writer import VideoWriter

av = pytest.importorskip("av", reason="the extra 'video' is not installed")

UNEVEN = [0, 40, 80, 200, 233, 266, 300, 900, 940, 980, 1500]
"""Milliseconds at which the frames of a phone's video may come."""


def views(count: int) -> list[np.ndarray]:
    """240 x 200 from scikit-image's astronaut, shifted by 4 pixels each."""
    return [astronaut()[:200, 100 + 4 * i : 340 + 4 * i] for i in range(count)]


def seconds(path: Path) -> list[float]:
    """When a file's frames are shown, and when the last one ends."""
    with VideoReader(path) as reader:
        moments = [reader.moment(index) for index, _ in enumerate(reader)]
    return [float(at * reader.time_base) for at, _ in moments] + [float(sum(moments[-1]) * reader.time_base)]


def copied(source: Path, target: Path, *, start: int = 0, end: int | None = None) -> Path:
    """As demo_video.py does it, without the drawing."""
    with VideoReader(source, start=start, end=end) as reader, closing(Sound(source, whole=not start)) as sound:
        about, rate, time_base = reader.about, reader.rate, reader.time_base
        with VideoWriter(target, rate=rate, time_base=time_base, about=about, sound=sound) as writer:
            for index, image in enumerate(reader):
                writer.write(image, reader.moment(index))
    return target


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """12 frames of 241 x 200."""
    path = tmp_path_factory.mktemp("clip") / "astronaut.mp4"
    with VideoWriter(path, rate=12.5) as writer:
        for i in range(12):
            writer.write(astronaut()[:200, 100 + 4 * i : 341 + 4 * i])
    return path


def test_written_frames_come_back(clip):
    with VideoReader(clip) as reader:
        frames = list(reader)
    assert reader.rate == 12.5 and reader.expected == len(frames) == 12
    for frame, view in zip(frames, views(12), strict=True):
        assert frame.shape == (200, 240, 3)  # the odd column is cut off
        # H.264 is lossy; a swap of red and blue or a wrong frame is far beyond it
        assert np.abs(frame.astype(float) - view).mean() < 8


def test_pure_colours_stay(tmp_path):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :32, 0] = image[:, 32:64, 1] = image[:, 64:, 2] = 255
    with VideoWriter(tmp_path / "colours.mp4", rate=25) as writer:
        writer.write(image)
    there = next(iter(VideoReader(tmp_path / "colours.mp4")))
    assert np.abs(there[32, [16, 48, 80]].astype(int) - image[32, [16, 48, 80]]).max() <= 6


def test_what_is_written_plays_everywhere(clip):
    """H.264 4:2:0 with even sides, said to be BT.601, and the index before the pictures."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert (stream.codec_context.name, frame.format.name) == ("h264", "yuv420p")
        assert (frame.width, frame.height) == (240, 200)
        assert (int(frame.colorspace), int(frame.color_range)) == (6, 1)
    data = clip.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("start, end, wanted", [(0, 3, [0, 1, 2, 3]), (5, 6, [5, 6]), (9, 50, [9, 10, 11])])
def test_ranges_include_their_end(clip, start, end, wanted):
    everything = list(VideoReader(clip))
    part = VideoReader(clip, start=start, end=end)
    assert part.expected == len(wanted)
    assert all(np.array_equal(frame, everything[i]) for frame, i in zip(part, wanted, strict=True))
    assert [part.number(i) for i in range(len(wanted))] == wanted


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_uneven_frames_keep_their_moments(tmp_path, ending):
    source = film(tmp_path / f"phone.{ending}", views(11), milliseconds=UNEVEN)
    result = copied(source, tmp_path / "result.mp4")
    assert seconds(result) == pytest.approx([*(at / 1000 for at in UNEVEN), 1.54], abs=0.001)
    with av.open(str(result)) as container:  # what a player shows as the length
        assert container.duration / 1e6 == pytest.approx(1.54, abs=0.002)
    result = copied(source, tmp_path / "part.mp4", start=3, end=7)
    assert seconds(result)[:5] == pytest.approx([0, 0.033, 0.066, 0.1, 0.7], abs=0.001)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60)])
def test_usual_rates_stay_exact(tmp_path, rate):
    for name in ("first.mp4", "second.mp4"):
        with VideoWriter(tmp_path / name, rate=rate) as writer:
            for view in views(5):
                writer.write(view)
    with VideoReader(copied(tmp_path / "first.mp4", tmp_path / "second.mp4.mp4")) as reader:
        assert reader.rate == rate and len(list(reader)) == 5


TURNS = {
    "quarter left": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "quarter right": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "half": ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
    "mirrored": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda image: image[::-1]),
    "transposed": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "transposed the other way": ((0, -1, -1, 0), lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
}


@pytest.mark.parametrize("matrix, turned", TURNS.values(), ids=TURNS)
def test_display_matrices_are_obeyed(tmp_path, matrix, turned):
    plain = film(tmp_path / "plain.mp4", views(2))
    a, b, c, d = (value << 16 for value in matrix)
    header = bytearray(plain.read_bytes())
    at = header.index(b"tkhd") + 44  # the matrix in a track's header, rows of three
    header[at : at + 36] = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    (tmp_path / "turned.mp4").write_bytes(header)
    frames = zip(VideoReader(tmp_path / "turned.mp4"), VideoReader(plain), strict=True)
    assert all(np.array_equal(there, turned(here)) for there, here in frames)


def test_a_turn_by_a_few_degrees_is_none():
    image = views(1)[0]
    cos, sin = int(0.99 * 65536), int(0.14 * 65536)
    assert np.array_equal(displayed(image, np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])), image)


def test_long_pixels_become_square(tmp_path):
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 240, 200, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(views(1)[0]), format="rgb24")))
        container.mux(stream.encode(None))
    assert next(iter(VideoReader(path))).shape == (200, 320, 3)


def test_two_recordings_in_one_stream_go_on(tmp_path):
    """Their clocks begin anew, and the second is of another size: it is shown in that of the first."""
    parts = [film(tmp_path / "1.ts", views(25)), film(tmp_path / "2.ts", [view[:100, :120] for view in views(5)])]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert {frame.shape for frame in VideoReader(both)} == {(200, 240, 3)}
    moments = seconds(both)
    assert len(moments) == 31 and np.diff(moments) == pytest.approx([0.04] * 30, abs=0.001)


KINDS = [("libx265", "mp4"), ("libvpx-vp9", "webm"), ("libsvtav1", "mp4"), ("libvpx", "webm"), ("mjpeg", "mkv")]


@pytest.mark.parametrize("codec, ending", KINDS)
def test_other_codecs_are_read(tmp_path, codec, ending):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec} to make a file with")
    source = film(tmp_path / f"video.{ending}", views(4), codec=codec)
    frames = list(VideoReader(source))
    assert len(frames) == 4
    assert all(np.abs(frame.astype(int) - view).mean() < 12 for frame, view in zip(frames, views(4), strict=True))
    assert seconds(source)[:4] == pytest.approx([0, 0.04, 0.08, 0.12], abs=0.002)


def test_unreadable_videos(clip, tmp_path):
    data = clip.read_bytes()
    pictures = data.index(b"mdat") + 4
    damaged = {
        "broken.mp4": data[:500],
        "unknown.mp4": data.replace(b"avc1", b"xyz9"),
        "noise.mp4": data[:pictures] + bytes(len(data) - pictures),
        "empty.mp4": b"",
        "list.mp4": f"ffconcat version 1.0\nfile {clip.name}\n".encode(),
    }
    for name, changed in damaged.items():
        (tmp_path / name).write_bytes(changed)
    (tmp_path / clip.name).write_bytes(data)
    problems = {
        "broken.mp4": "cannot be opened",
        "empty.mp4": "cannot be opened",
        "unknown.mp4": "of a kind that PyAV .* cannot decode; convert it to H.264",
        "noise.mp4": r"Not one frame of .*noise.mp4 \(h264\) can be decoded",
        "list.mp4": "cannot be opened",  # FFmpeg would read the file that it names
        "no.mp4": "check the path",
        ".": "check the path",
    }
    for name, words in problems.items():
        with pytest.raises(VideoError, match=words):
            list(VideoReader(tmp_path / name))
    with pytest.raises(VideoError, match="0 <= start <= end"):
        VideoReader(clip, start=5, end=4)
    with pytest.raises(VideoError, match="from number 40 on.* gives 12 frames"):
        list(VideoReader(clip, start=40))


def test_a_song_with_a_cover_is_no_video(tmp_path):
    path = tmp_path / "song.mka"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.int16), format="s16", layout="mono")
        piece.sample_rate = 44100
        container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="holds no video"):
        VideoReader(path)


def test_without_pyav_the_extra_is_named(clip, monkeypatch):
    monkeypatch.setattr(pyav, "av", None)
    for make in (lambda: VideoReader(clip), lambda: VideoWriter(clip, rate=25)):
        with pytest.raises(VideoError, match=r"vrn-workbook\[video\]"):
            make()


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


# --- writing ---------------------------------------------------------------------------------------------------------


def test_writer_keeps_what_was_done(tmp_path):
    path = tmp_path / "new" / "out.mp4"
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, rate=25) as writer:
        for _ in range(3):
            writer.write(np.full((64, 64, 3), 200, np.uint8))
        raise KeyboardInterrupt
    assert len(list(VideoReader(path))) == 3
    assert [file.name for file in path.parent.iterdir()] == ["out.mp4"]


def test_writer_without_frames_leaves_the_old_file(clip, tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(clip.read_bytes())
    with VideoWriter(path, rate=25):
        pass
    assert path.read_bytes() == clip.read_bytes()


def test_writer_errors(tmp_path):
    with pytest.raises(VideoError, match=".mp4"):
        VideoWriter(tmp_path / "out.avi", rate=25)
    with VideoWriter(tmp_path / "out.mp4", rate=25) as writer:
        with pytest.raises(VideoError, match="at least 2 x 2"):
            writer.write(np.zeros((64, 1, 3), np.uint8))
        writer.write(np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(VideoError, match="64 x 64, got 32 x 64"):
            writer.write(np.zeros((64, 32, 3), np.uint8))
        with pytest.raises(VideoError, match="uint8 RGB"):
            writer.write(np.zeros((64, 64), np.uint8))
    (tmp_path / "file").touch()
    with pytest.raises(VideoError, match="cannot be made"), VideoWriter(tmp_path / "file" / "out.mp4", rate=25) as bad:
        bad.write(np.zeros((64, 64, 3), np.uint8))


def test_the_writer_replaces_only_its_own_result_of_the_same_video(tmp_path):
    path, frame = tmp_path / "out.mp4", np.zeros((64, 64, 3), np.uint8)

    def write(about: str) -> bytes:
        with VideoWriter(path, rate=25, about=about) as writer:
            writer.write(frame)
        return path.read_bytes()

    first = write("x.mp4, 100 bytes")
    assert write("x.mp4, 100 bytes")
    with pytest.raises(VideoError, match=r"result of x.mp4, 99 bytes only, .*out.mp4 is of x.mp4, 100 bytes"):
        write("x.mp4, 99 bytes")
    assert path.read_bytes() == first
    for strange in (b"a diary, not a video", film(tmp_path / "strange.mp4", views(2)).read_bytes()):
        path.write_bytes(strange)
        with pytest.raises(VideoError, match="not of this program"):
            write("x.mp4, 100 bytes")
        assert path.read_bytes() == strange
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.mp4", "strange.mp4"]


CHILD = """
import os, signal, sys
import numpy as np
from tddfa.video_writer import VideoWriter
path, what = sys.argv[1:]
if what == "full":
    import resource
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with VideoWriter(path, rate=25) as writer:
    for i in range(60):
        writer.write(np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8))
        if what == "killed" and i == 50:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def child(path: Path, what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(path), what]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_full_disk_is_a_sentence(tmp_path):
    done = child(tmp_path / "out.mp4", "full")
    assert "cannot be written" in done.stderr and "free space" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_run_leaves_no_result_and_the_next_one_clears_up(tmp_path):
    path = tmp_path / "out.mp4"
    assert child(path, "killed").returncode == -signal.SIGKILL
    assert not path.exists() and len(list(tmp_path.iterdir())) == 1
    running = tmp_path / temporary_name("out.mp4")  # of a run that still writes, and of another video
    (half,) = tmp_path.iterdir()
    others = half.with_name(half.name.replace(".out", ".other.out", 1))
    for half in (running, others):
        half.touch()
    with VideoWriter(path, rate=25) as writer:
        writer.write(views(1)[0])
    assert sorted(tmp_path.iterdir()) == sorted([running, others, path])


# --- sound -----------------------------------------------------------------------------------------------------------


def heard(path: Path) -> tuple[float, float, int]:
    """When the tone begins, when the sound ends, in seconds, and how many channels there are."""
    with av.open(str(path)) as container:
        pieces, stream = [], container.streams.audio[0]
        assert stream.codec_context.codec.canonical_name == "aac"
        for frame in container.decode(stream):
            loud = np.abs(frame.to_ndarray().astype(float)).reshape(-1, frame.samples).max(axis=0)
            pieces.append((frame.time + np.arange(frame.samples) / frame.sample_rate, loud))
        times, loud = (np.concatenate(column) for column in zip(*pieces, strict=True))
        return times[np.argmax(loud > 0.05)], times[-1], stream.codec_context.layout.nb_channels


def audio_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_aac_is_copied_as_it_is(tmp_path, ending):
    source = film(tmp_path / f"talk.{ending}", views(30), sound="aac", onset=0.6)
    result = copied(source, tmp_path / "result.mp4")
    there, here = audio_packets(result), audio_packets(source)
    if ending == "ts":  # each packet begins with a header of its own
        here = [packet[7:] for packet in here]
    assert len(there) >= len(here) - 2 and there == here[: len(there)]
    begins, ends, channels = heard(result)
    assert begins == pytest.approx(0.6 + seconds(result)[0], abs=0.01) and channels == 2
    assert ends == pytest.approx(1.2, abs=0.05)


OTHERS = [("libopus", "webm", "stereo", 48000), ("pcm_s16le", "avi", "mono", 44100), ("flac", "mkv", "5.1", 96000)]


@pytest.mark.parametrize("codec, ending, channels, samples", OTHERS)
def test_other_sound_becomes_aac_and_keeps_its_time(tmp_path, codec, ending, channels, samples):
    pictures = "libvpx" if ending == "webm" else "mpeg4"
    source = tmp_path / f"talk.{ending}"
    film(source, views(30), codec=pictures, sound=codec, onset=0.6, channels=channels, samples=samples)
    begins, ends, count = heard(copied(source, tmp_path / "result.mp4"))
    assert begins == pytest.approx(0.6, abs=0.02) and ends == pytest.approx(1.2, abs=0.06)
    assert count == (1 if channels == "mono" else 2)


@pytest.mark.parametrize("sound", ["aac", "flac"])
def test_sound_is_cut_with_the_frames(tmp_path, sound):
    source = film(tmp_path / "talk.mkv", views(30), sound=sound, onset=0.6)
    result = copied(source, tmp_path / "part.mp4", start=10, end=19)  # from 0.4 to 0.8 s
    begins, ends, _ = heard(result)
    assert seconds(result)[0] == 0
    assert begins == pytest.approx(0.2, abs=0.02) and 0.3 < ends < 0.56  # FLAC's pieces are 0.1 s long


def test_damaged_sound_does_not_stop_the_frames(tmp_path):
    source = film(tmp_path / "talk.ts", views(30), sound="aac")
    data = bytearray(source.read_bytes())
    header = data.index(b"\xff\xf1", len(data) // 2)  # an AAC packet's
    data[header : header + 2] = bytes(2)
    source.write_bytes(data)
    assert len(seconds(copied(source, tmp_path / "result.mp4"))) == 31
    assert len(audio_packets(tmp_path / "result.mp4")) >= len(audio_packets(source)) - 3


def test_a_silent_video_stays_silent(clip, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = copied(clip, tmp_path / "result.mp4")
    with av.open(str(result)) as container:
        assert not container.streams.audio


def test_sound_that_cannot_be_read_is_told_and_the_frames_stay(tmp_path):
    source = film(tmp_path / "talk.mp4", views(5), sound="aac")
    source.write_bytes(source.read_bytes().replace(b"mp4a", b"xyz9").replace(b"esds", b"free"))
    with pytest.warns(Note, match=r"The sound of .*talk.mp4 could not be kept"):
        result = copied(source, tmp_path / "result.mp4")
    assert len(list(VideoReader(result))) == 5


# --- pictures, cameras -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    """Frames 8 to 11, whose names do not sort by themselves, and a text."""
    path = tmp_path / "frames"
    path.mkdir()
    for i, view in zip(range(8, 12), views(4), strict=True):
        cv2.imwrite(str(path / f"shot_{i}.png"), view[:, :, ::-1])
    (path / "notes.txt").write_text("of the shooting")
    return path


@pytest.mark.parametrize("pattern", ["", "shot_%d.png", "shot_%04d.png", "shot_*.png", "*", "shot_?[0-9]*.png"])
def test_pictures_come_in_the_order_of_their_numbers(folder, pattern):
    if pattern == "*":
        (folder / "notes.txt").unlink()
    reader = PictureFrames(folder / pattern, rate=Fraction(30))
    wanted = views(4)[2:] if "[" in pattern else views(4)
    assert all(np.array_equal(frame, view) for frame, view in zip(reader, wanted, strict=True))
    assert reader.rate == 30 and reader.moment(1) == (1, 1)
    assert reader.name == ("shot" if "shot" in pattern else "frames")
    assert [path.name for path, _ in reader.left_out] == ([] if pattern else ["notes.txt"])


def test_a_range_of_pictures(folder):
    reader = PictureFrames(folder, rate=Fraction(25), start=1, end=2)
    assert all(np.array_equal(frame, view) for frame, view in zip(reader, views(3)[1:], strict=True))
    assert reader.expected == 2 and reader.number(0) == 1


def test_a_damaged_picture_is_left_out_and_the_others_keep_their_time(folder):
    (folder / "shot_9.png").write_bytes(b"\x89PNG")
    reader = PictureFrames(folder, rate=Fraction(25))
    with pytest.warns(Note, match="shot_9.png"):
        assert len(list(reader)) == 3
    assert [reader.moment(i)[0] for i in range(3)] == [0, 2, 3] and reader.number(1) == 2


def test_pictures_that_are_no_frames(folder, tmp_path):
    cv2.imwrite(str(folder / "shot_12.png"), np.zeros((50, 60, 3), np.uint8))
    with pytest.raises(VideoError, match=r"240 x 200 pixels as the first, .*shot_12.png has 60 x 50"):
        list(PictureFrames(folder, rate=Fraction(25)))
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", folder / "%d.jpg", tmp_path / "missing" / "*.png"):
        with pytest.raises(VideoError, match="found 0"):
            PictureFrames(source, rate=Fraction(25))
    with pytest.raises(VideoError, match="more than 0"):
        PictureFrames(folder, rate=Fraction(0))


def test_an_address_of_a_video_is_to_be_downloaded_first():
    with pytest.raises(VideoError, match="an address; download it"):
        VideoReader("https://example.org/a.mp4")


def test_patterns_are_told_from_files():
    assert is_pattern("a/frame_%05d.png") and is_pattern("*.jpg") and not is_pattern("a*b/100%.mp4")


def test_a_camera_that_is_not_there():
    with pytest.raises(VideoError, match="camera 97 cannot be opened"):
        Camera(97)
