"""Times tracking on one core and prints a table: ``python tests/benchmarks/video.py [--frames 50] [--runtime onnx]``.

The loop that detects in every frame stands for the original design's photo demo run on each frame; the others follow
the face. Frames lie in memory, and nothing is drawn or written. CPU time is the figure to compare: on an idle machine
it is the wall's time, on a busy one the wall's says little. With ``VRN_ASSETS`` set: obama.mp4 at 1280 x 720 and the
official networks; without it the astronaut, moving, at 640 x 480 and the open ones.
"""

import argparse
import os
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


def print_table(frames: list[np.ndarray], detector: FaceBoxes, tddfa: TDDFA) -> None:
    """One line per loop; the ratio is the first line's CPU time over the line's."""
    loops: dict[str, Callable[[], object]] = {
        "detection in every frame": lambda: detect_every_frame(frames, detector, tddfa),
        "tracking": lambda: list(track(frames, detector, tddfa)),
        "tracking, no checks by the detector": lambda: list(track(frames, detector, tddfa, check_every=0)),
        "tracking, smoothed": lambda: list(track(frames, detector, tddfa, smooth=(1, 1))),
        "tracking, smoothed, dense": lambda: list(track(frames, detector, tddfa, dense=True, smooth=(1, 1))),
    }
    list(track(frames[:2], detector, tddfa))  # warm
    print(f"{'':<44}{'CPU ms a frame':>15}{'per second':>12}{'wall ms':>10}{'ratio':>8}")
    first = None
    for label, loop in loops.items():
        wall, cpu = time.perf_counter(), time.process_time()
        loop()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        first = first or cpu
        each = 1e3 / len(frames)
        print(
            f"{label:<44}{cpu * each:>15.1f}{len(frames) / cpu:>12.1f}{wall * each:>10.1f}{first / cpu:>7.1f}x",
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
        print_table(frames, detector, tddfa)


if __name__ == "__main__":
    main()
