"""Landmarks or a 3D face drawn on every frame of a video, of a folder of frames, or of a webcam.

python3 demo_video.py -f VIDEO.mp4 -o 3d --smooth
python3 demo_video.py -f FRAMES/frame_%04d.png --rate 30 --arrays faces.npz --meshes ply
python3 demo_video.py --webcam --onnx

Models are chosen as in demo.py. A frame without a face is passed on as it is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from demo import open_models
from tddfa.camera import Camera, check_display
from tddfa.console import FAILED, INTERRUPTED, run_command, sentence, stop_noted
from tddfa.draw import draw_dense, draw_landmarks, draw_mesh
from tddfa.files import check_target
from tddfa.interfaces import Detector, Regressor
from tddfa.picture_frames import PictureFrames, is_pattern
from tddfa.video import TrackedFrame, VideoError, track
from tddfa.video_reader import USUAL_RATE, VideoReader
from tddfa.video_results import FrameArrays, FrameMeshes
from tddfa.video_sound import Sound
from tddfa.video_writer import VideoWriter

RESULTS = Path("examples/results/videos")


def main(argv: Sequence[str] | None = None) -> int:
    """Gives the exit code: 0; 1 after one sentence on stderr; 130 after Ctrl-C."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    window = [arguments.n_pre, arguments.n_next]
    if not arguments.smooth and window != [None, None]:
        parser.error("-n_pre and -n_next need --smooth; add it.")
    if arguments.video_fp is None and (arguments.arrays or arguments.meshes):
        parser.error("--arrays and --meshes are for files; record the camera first.")
    arguments.smooth = tuple(1 if n is None else n for n in window) if arguments.smooth else None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # of a camera that is not there we tell
    return run_command("demo_video", lambda: _webcam(arguments) if arguments.video_fp is None else _file(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Draws a face's landmarks or mesh on every frame of a video.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "-f", "--video_fp", type=Path, metavar="FILE", help="a video, a folder of frames, or a pattern (%%04d.png)"
    )
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
    parser.add_argument(
        "--rate", type=Fraction, metavar="N", help=f"frames per second of a folder or pattern (default {USUAL_RATE})"
    )
    parser.add_argument("--arrays", type=Path, metavar="FILE.npz", help="save landmarks, parameters, poses")
    parser.add_argument("--meshes", choices=("ply", "obj"), help="save a mesh per frame, in a folder beside the result")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help=f"default: {RESULTS}")
    return parser


def _open(arguments: argparse.Namespace) -> VideoReader | PictureFrames:
    source, start = arguments.video_fp, max(arguments.start, 0)
    end = None if arguments.end < 0 else arguments.end
    if source.is_dir() or (is_pattern(source) and not source.exists()):
        reader = PictureFrames(source, rate=arguments.rate or USUAL_RATE, start=start, end=end)
        for path, reason in reader.left_out:
            print(f"left out: {path}: {reason}")
        return reader
    if arguments.rate is not None:
        raise VideoError("Expected --rate with a folder or pattern of frames only, a video has its own; drop it.")
    return VideoReader(source, start=start, end=end)


def _file(arguments: argparse.Namespace) -> int:
    """Reads, tracks, draws and writes one video; whatever happens, the frames that were done are kept."""
    code, without_face = 0, 0
    with ExitStack() as stack:
        reader = stack.enter_context(_open(arguments))
        name = f"{reader.name}_{arguments.opt}{'_smooth' if arguments.smooth else ''}"
        output = check_target(arguments.out / f"{name}.mp4", source=arguments.video_fp)
        sound = None
        if isinstance(reader, VideoReader):
            sound = stack.enter_context(closing(Sound(reader.path, whole=arguments.start <= 0)))
        writer = VideoWriter(output, rate=reader.rate, time_base=reader.time_base, about=reader.about, sound=sound)
        detector, tddfa = open_models(arguments)
        arrays = arguments.arrays and FrameArrays(arguments.arrays, tddfa.pose, source=arguments.video_fp)
        meshes = arguments.meshes and FrameMeshes(arguments.out / f"{name}_meshes", arguments.meshes, tddfa.model.tri)
        frames, draw = _tracked(reader, detector, tddfa, arguments)
        began = time.perf_counter()
        with writer, stop_noted() as stop:
            try:
                for frame in tqdm(frames, total=reader.expected, unit="frame"):
                    at, length = reader.moment(frame.index)
                    if meshes:
                        meshes.add(frame, reader.number(frame.index))
                    writer.write(draw(frame), (at, length))
                    if arrays:
                        arrays.add(frame, float(at * reader.time_base))
                    without_face += frame.landmarks is None
                    if stop():
                        code = INTERRUPTED
                        break
            except KeyboardInterrupt:
                code = INTERRUPTED
            except (ValueError, OSError) as error:
                if not writer.frames:
                    raise
                print(f"demo_video: {sentence(error)}", file=sys.stderr)
                code = FAILED
    seconds = time.perf_counter() - began
    if code == INTERRUPTED:
        print("Stopped; what was finished is kept.")
    elif code == 0 and reader.expected and writer.frames < reader.expected:
        print(
            f"The video ended after {writer.frames} of the {reader.expected} frames that its header promises; "
            "it is cut off, damaged, or trimmed by an edit list."
        )
    if writer.frames:
        print(f"{writer.frames} frames, {without_face} without a face, {writer.frames / seconds:.1f} per second.")
        print(f"Save the result to {output}")
        if arrays:
            print(f"Save the arrays to {arrays.save()}")
        if meshes:
            print(f"Save the meshes to {meshes.folder}")
    return code


def _webcam(arguments: argparse.Namespace) -> int:
    """Shows a camera's frames with the drawing until q, Esc, Ctrl-C or the camera's end."""
    check_display()
    shown = 0
    with Camera(arguments.webcam) as camera:
        frames, draw = _tracked(camera, *open_models(arguments), arguments)
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
    images: Iterable[np.ndarray], detector: Detector, tddfa: Regressor, arguments: argparse.Namespace
) -> tuple[Iterator[TrackedFrame], Callable[[TrackedFrame], np.ndarray]]:
    """The images with the face in each, and what draws it; frames without a face are left as they are."""
    draw_face = {
        "2d_sparse": lambda frame: draw_landmarks(frame.image, frame.landmarks),
        "2d_dense": lambda frame: draw_dense(frame.image, frame.vertices),
        "3d": lambda frame: draw_mesh(frame.image, frame.vertices, tddfa.model.tri),
    }[arguments.opt]
    dense = arguments.opt != "2d_sparse" or arguments.meshes is not None
    frames = track(images, detector, tddfa, dense=dense, smooth=arguments.smooth)
    return frames, lambda frame: frame.image if frame.landmarks is None else draw_face(frame)


if __name__ == "__main__":
    raise SystemExit(main())
