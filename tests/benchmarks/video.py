"""Times tracking on one core and prints a table: ``python tests/benchmarks/video.py [--frames 50] [--runtime onnx]``.

The loop that detects in every frame stands for the original design's photo demo run on each frame; the others follow
the face. Frames lie in memory, and nothing is drawn. Reading and writing are timed by themselves, beside OpenCV's. CPU
time is the figure to compare: on an idle machine it is the wall's time, on a busy one the wall's says little. With
``VRN_ASSETS`` set: obama.mp4 at 1280 x 720 and the official networks; without it the astronaut, moving, at 640 x 480
and the open ones.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import cv2
import numpy as np
import torch
from skimage.data import astronaut

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


def file_loops(frames: list[np.ndarray], folder: Path) -> dict[str, Callable[[], object]]:
    """OpenCV's way and ours; reading is of the same H.264 file."""
    ours = folder / "ours.mp4"
    write(ours, frames)
    return {
        "read by OpenCV": lambda: opencv_read(ours),
        "read": lambda: list(VideoReader(ours)),
        "written by OpenCV, MPEG-4": lambda: opencv_write(folder / "opencv.mp4", frames),
        "written, H.264": lambda: write(folder / "new.mp4", frames),
    }


def tracking_loops(frames: list[np.ndarray], detector: FaceBoxes, tddfa: TDDFA) -> dict[str, Callable[[], object]]:
    """The first is the one that the others are compared with."""
    list(track(frames[:2], detector, tddfa))  # warm
    return {
        "detection in every frame": lambda: detect_every_frame(frames, detector, tddfa),
        "tracking": lambda: list(track(frames, detector, tddfa)),
        "tracking, no checks by the detector": lambda: list(track(frames, detector, tddfa, check_every=0)),
        "tracking, smoothed": lambda: list(track(frames, detector, tddfa, smooth=(1, 1))),
        "tracking, smoothed, dense": lambda: list(track(frames, detector, tddfa, dense=True, smooth=(1, 1))),
    }


def print_table(count: int, loops: dict[str, Callable[[], object]]) -> None:
    """One line per loop over so many frames; the ratio is the first line's CPU time over the line's."""
    print(f"{'':<44}{'CPU ms a frame':>15}{'per second':>12}{'wall ms':>10}{'ratio':>8}")
    first = None
    for label, loop in loops.items():
        wall, cpu = time.perf_counter(), time.process_time()
        loop()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        first = first or cpu
        each = 1e3 / count
        print(
            f"{label:<44}{cpu * each:>15.1f}{count / cpu:>12.1f}{wall * each:>10.1f}{first / cpu:>7.1f}x",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=50, help="frames of the video (default 50)")
    parser.add_argument("--runtime", default="both", choices=("torch", "onnx", "both"))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for runtime in ("torch", "onnx") if arguments.runtime == "both" else (arguments.runtime,):
        name, frames, detector, tddfa = material(arguments.frames, runtime)
        height, width = frames[0].shape[:2]
        print(f"{name}, {runtime}: {len(frames)} frames of {width} x {height}, 1 thread")
        print_table(len(frames), tracking_loops(frames, detector, tddfa))
    print("files, the same frames:")
    with tempfile.TemporaryDirectory() as folder:
        print_table(len(frames), file_loops(frames, Path(folder)))


if __name__ == "__main__":
    main()
