"""Landmarks or a 3D face drawn on every frame of a video file or a webcam.

python3 demo_video.py -f VIDEO.mp4 -o 3d --smooth
python3 demo_video.py --webcam --onnx

Models are chosen as in demo.py. A frame without a face is passed on as it is.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from demo import open_models
from tddfa.console import FAILED, INTERRUPTED, run_command, sentence
from tddfa.draw import draw_dense, draw_landmarks, draw_mesh
from tddfa.files import check_target
from tddfa.video import TrackedFrame, track
from tddfa.video_files import VideoReader, VideoWriter, check_display

RESULTS = Path("examples/results/videos")


def main(argv: Sequence[str] | None = None) -> int:
    """Gives the exit code: 0; 1 after one sentence on stderr; 130 after Ctrl-C."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    window = [arguments.n_pre, arguments.n_next]
    if not arguments.smooth and window != [None, None]:
        parser.error("-n_pre and -n_next need --smooth; add it.")
    arguments.smooth = tuple(1 if n is None else n for n in window) if arguments.smooth else None
    # What OpenCV and FFmpeg have to say of a bad file comes as our own sentence.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return run_command("demo_video", lambda: _webcam(arguments) if arguments.video_fp is None else _file(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Draws a face's landmarks or mesh on every frame of a video.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", "--video_fp", type=Path, metavar="FILE", help="a video file")
    source.add_argument("--webcam", type=int, nargs="?", const=0, metavar="INDEX", help="a camera; q or Esc ends it")
    parser.add_argument("-o", "--opt", default="2d_sparse", choices=("2d_sparse", "2d_dense", "3d"))
    parser.add_argument("-c", "--config", type=Path, metavar="YML", help="model, such as configs/mb05_120x120.yml")
    parser.add_argument("--bfm", type=Path, metavar="FILE", help="a face model instead of the configuration's")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights instead of the configuration's")
    parser.add_argument("--onnx", action="store_true", help="run the networks with ONNX Runtime")
    parser.add_argument("--smooth", action="store_true", help="average over the frames around each frame")
    parser.add_argument("-n_pre", type=int, metavar="N", help="frames before, for --smooth (default 1)")
    parser.add_argument("-n_next", type=int, metavar="N", help="frames after, for --smooth (default 1)")
    parser.add_argument("-s", "--start", type=int, default=-1, metavar="N", help="first frame of a file, from 0")
    parser.add_argument("-e", "--end", type=int, default=-1, metavar="N", help="last frame of a file, itself included")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help=f"default: {RESULTS}")
    return parser


def _file(arguments: argparse.Namespace) -> int:
    """Reads, tracks, draws and writes one video; whatever happens, the frames that were done are kept."""
    smooth = "_smooth" if arguments.smooth else ""
    output = arguments.out / f"{arguments.video_fp.stem}_{arguments.opt}{smooth}.mp4"
    check_target(output, source=arguments.video_fp)
    end = None if arguments.end < 0 else arguments.end
    code, without_face = 0, 0
    with VideoReader(arguments.video_fp, start=max(arguments.start, 0), end=end) as reader:
        frames, draw = _tracked(reader, arguments)
        began = time.perf_counter()
        with VideoWriter(output, rate=reader.rate) as writer:
            try:
                for frame in tqdm(frames, total=reader.expected, unit="frame"):
                    writer.write(draw(frame))
                    without_face += frame.landmarks is None
            except KeyboardInterrupt:
                code = INTERRUPTED
            except (ValueError, OSError) as error:
                if not writer.frames:
                    raise
                print(f"demo_video: {sentence(error)}", file=sys.stderr)
                code = FAILED
    seconds = time.perf_counter() - began
    if code == INTERRUPTED:
        print("Stopped by Ctrl-C.")
    elif code == 0 and reader.expected and writer.frames < reader.expected:
        print(
            f"The video ended after {writer.frames} of the {reader.expected} frames that its header promises; "
            "it is cut off, damaged, or trimmed by an edit list."
        )
    if writer.frames:
        print(f"{writer.frames} frames, {without_face} without a face, {writer.frames / seconds:.1f} per second.")
        print(f"Save the result to {output}")
    return code


def _webcam(arguments: argparse.Namespace) -> int:
    """Shows a camera's frames with the drawing until q, Esc, Ctrl-C or the camera's end."""
    check_display()
    shown = 0
    with VideoReader(arguments.webcam) as reader:
        frames, draw = _tracked(reader, arguments)
        try:
            for frame in tqdm(frames, unit="frame"):
                cv2.imshow("3DDFA_V2", cv2.cvtColor(draw(frame), cv2.COLOR_RGB2BGR))
                shown += 1
                if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
                    break
        except KeyboardInterrupt:
            pass
        finally:
            cv2.destroyAllWindows()
    print(f"{shown} frames shown.")
    return 0


def _tracked(
    reader: VideoReader, arguments: argparse.Namespace
) -> tuple[Iterator[TrackedFrame], Callable[[TrackedFrame], np.ndarray]]:
    """The reader's frames with the face in each, and what draws it; frames without a face are left as they are."""
    detector, tddfa = open_models(arguments)
    draw_face = {
        "2d_sparse": lambda frame: draw_landmarks(frame.image, frame.landmarks),
        "2d_dense": lambda frame: draw_dense(frame.image, frame.vertices),
        "3d": lambda frame: draw_mesh(frame.image, frame.vertices, tddfa.model.tri),
    }[arguments.opt]
    frames = track(reader, detector, tddfa, dense=arguments.opt != "2d_sparse", smooth=arguments.smooth)
    return frames, lambda frame: frame.image if frame.landmarks is None else draw_face(frame)


if __name__ == "__main__":
    raise SystemExit(main())
