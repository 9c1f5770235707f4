"""A video's frame on one core: following the face beside detecting it in every frame; files beside OpenCV's.

    python tests/benchmarks/video.py [--frames 50] [--runs 3]

The loop that detects in every frame stands for 3DDFA_V2's photo demo run on each frame. Frames lie in memory, and
nothing is drawn. The times are the processor's, not the clock's. With ``VRN_ASSETS`` set: obama.mp4 at 1280 x 720 and
the official networks; without it the astronaut, moving, at 640 x 480 and the open ones.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import cv2
import numpy as np
import torch
from skimage.data import astronaut
from timing import Row, Times, measured, run

from tddfa import TDDFA, FaceBoxes, MorphableModel
from tddfa.video import track
from tddfa.video_reader import VideoReader
from tddfa.video_writer import VideoWriter


def moving_astronaut(count: int) -> list[np.ndarray]:
    """Frames (480, 640, 3) with the face swinging to and fro."""
    wide = np.pad(astronaut()[:480], ((0, 0), (150, 150), (0, 0)), mode="edge")
    left = np.rint(86 + 60 * np.sin(np.arange(count) / 8)).astype(int)
    return [np.ascontiguousarray(wide[:, x : x + 640]) for x in left]


def material(count: int, runtime: str) -> tuple[str, list[np.ndarray], FaceBoxes, TDDFA]:
    """A name, frames, detector and regressor."""
    assets = os.environ.get("VRN_ASSETS")
    if not assets:
        frames, weights, model, name = moving_astronaut(count), "open", None, "astronaut, open weights"
    else:
        with VideoReader(Path(assets, "photos/obama.mp4"), end=count - 1) as reader:
            frames = list(reader)
        standin = Path(assets, "official/configs/bfm_noneck_v3.standin.pkl")
        model = MorphableModel.load(standin) if standin.is_file() else None
        weights, name = "mb05", "obama.mp4, mb05"
    tddfa = TDDFA(weights, model=model, runtime=runtime, threads=1)
    return name, frames, FaceBoxes(runtime=runtime, threads=1), tddfa


def detect_every_frame(frames: Iterable[np.ndarray], detector: FaceBoxes, tddfa: TDDFA) -> list[np.ndarray]:
    """The best face's landmarks of each frame, from its own detection."""
    found = []
    for image in frames:
        boxes = detector(image)[:1]
        found.append(tddfa.reconstruct(*tddfa(image, boxes), dense=False))
    return found


def opencv_write(path: Path, frames: list[np.ndarray]) -> None:
    """MPEG-4 part 2, as 3DDFA_V2's users had it from OpenCV."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (width, height))
    for image in frames:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()


def opencv_read(path: Path) -> list[np.ndarray]:
    """All frames, RGB."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    return frames


def write(path: Path, frames: list[np.ndarray]) -> None:
    """H.264, as demo_video.py does it."""
    with VideoWriter(path, rate=25) as writer:
        for image in frames:
            writer.write(image)


def per_frame(loop: Callable[[], object], frames: int, runs: int) -> Times:
    """Milliseconds of the processor a frame."""
    return Times(*(time_ / frames for time_ in measured(loop, runs, time.process_time)))


def rows(frames: int, runs: int) -> Iterator[Row]:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for words, runtime in (("PyTorch", "torch"), ("ONNX Runtime", "onnx")):
        name, pictures, detector, tddfa = material(frames, runtime)
        height, width = pictures[0].shape[:2]
        peer = "detection in every frame"
        theirs = per_frame(lambda p=pictures, d=detector, t=tddfa: detect_every_frame(p, d, t), frames, runs)
        for label, how in {
            "follow a face": {},
            "no checks by the detector": {"check_every": 0},
            "smoothed": {"smooth": (1, 1)},
            "smoothed, dense": {"smooth": (1, 1), "dense": True},
        }.items():
            ours = per_frame(lambda p=pictures, d=detector, t=tddfa, h=how: list(track(p, d, t, **h)), frames, runs)
            job = f"{label}, {name}, {width} x {height}, {words}" if not how else f"the same, {label}"
            yield Row(job=job, here=ours, peer=peer, theirs=theirs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "new.mp4")
        ours = per_frame(lambda: write(path, pictures), frames, runs)
        theirs = per_frame(lambda: opencv_write(Path(folder, "opencv.mp4"), pictures), frames, runs)
        yield Row(job="write a frame, H.264", here=ours, peer="OpenCV, MPEG-4 part 2", theirs=theirs)
        ours = per_frame(lambda: list(VideoReader(path)), frames, runs)
        theirs = per_frame(lambda: opencv_read(path), frames, runs)
        yield Row(job="read a frame of this file", here=ours, peer="OpenCV", theirs=theirs)


if __name__ == "__main__":
    run(__doc__, rows, frames=50, runs=3)
