"""Frames from a video file or a camera, and frames into an mp4 file, one at a time.

OpenCV reads and writes; its BGR stays in here. Sound is not copied.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from .arrays import Image

__all__ = ["VideoError", "VideoReader", "VideoWriter", "check_display"]

USUAL_RATE = 25.0
"""Frames per second where a file or camera names none that can be true."""

FASTEST_RATE = 1000.0


class VideoError(ValueError):
    """A video that cannot be read, written or shown; the message is one sentence for the user."""


class VideoReader:
    """Frames (H, W, 3) uint8 RGB of a video file or camera, in order; iterate over it once.

    A stream that ends early, damaged or not, just ends: compare the frames that came with ``expected``.

    Args:
        source: a file, or the number of a camera.
        start: first frame, counted from 0.
        end: last frame, itself included, as in 3DDFA_V2; None for all.

    Attributes:
        rate: frames per second.
        expected: frames from ``start`` to ``end`` by the file's header, which may be wrong (a cut file, an edit list),
            or None.

    Raises:
        VideoError: no such file or camera, no video in it, or an impossible range; while iterating, when not a single
            frame can be read.
    """

    def __init__(self, source: str | os.PathLike[str] | int, *, start: int = 0, end: int | None = None) -> None:
        if start < 0 or (end is not None and end < start):
            raise VideoError(f"Expected a range with 0 <= start <= end, got frames {start} to {end}.")
        if isinstance(source, int):
            self.name, capture = f"camera {source}", cv2.VideoCapture(source)
            problem = "cannot be opened; check that it is plugged in, free, and try another number"
        else:
            self.name, path = str(source), Path(source)
            if not path.is_file():
                raise VideoError(f"Expected a video file, got {self.name}, which is none; check the path.")
            capture = cv2.VideoCapture(str(path))
            problem = "cannot be opened as a video; it may be cut off or damaged, get it again or convert it to mp4"
        if not capture.isOpened():
            capture.release()
            raise VideoError(f"{self.name} {problem}.")
        self._capture, self._start, self._end = capture, start, end
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= FASTEST_RATE else USUAL_RATE
        self.expected = self._count()

    def _count(self) -> int | None:
        total = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if 0 < total < 1e9:
            stop = int(total) if self._end is None else min(int(total), self._end + 1)
            return max(stop - self._start, 0)
        return None if self._end is None else self._end + 1 - self._start

    def __iter__(self) -> Iterator[Image]:
        index = 0
        while index < self._start and self._capture.grab():
            index += 1
        while self._end is None or index <= self._end:
            there, bgr = self._capture.read() if index >= self._start else (False, None)
            if not there or bgr is None:
                break
            index += 1
            yield np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        if index <= self._start:
            raise VideoError(
                f"Expected frames from number {self._start} on, {self.name} gives {index} frames that can be read; "
                "start earlier or get the file again."
            )

    def close(self) -> None:
        """Gives the file or camera back."""
        self._capture.release()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class VideoWriter:
    """An mp4 file (MPEG-4 part 2) of RGB frames; use it in a ``with`` statement.

    Frames go to a temporary file beside it, which takes the name at the end, also when the ``with`` block was left by
    an error or Ctrl-C: what was written until then is kept. Without a single frame no file is made, and an older one
    stays. An odd last row or column is cut off by the format.

    Args:
        path: ends in .mp4; missing folders are made.
        rate: frames per second.

    Attributes:
        frames: how many were written so far.

    Raises:
        VideoError: another ending, a file there that is no mp4, a folder that cannot be written, frames of different
            sizes, a full disk.
    """

    def __init__(self, path: str | os.PathLike[str], *, rate: float) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise VideoError(f"Expected an output file that ends in .mp4, got {self.path}.")
        self.frames, self._rate = 0, rate
        self._temporary = self.path.with_name(f".{self.path.stem}.{os.getpid()}-{secrets.token_hex(4)}.part.mp4")
        self._size = (0, 0)
        self._writer: cv2.VideoWriter | None = None

    def write(self, image: Image) -> None:
        """Appends a frame (H, W, 3) uint8 RGB; the first one fixes the size."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise VideoError(f"Expected a frame (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}.")
        size = image.shape[1], image.shape[0]
        if self._writer is None:
            self._writer, self._size = self._opened(size), size
        if size != self._size:
            raise VideoError(f"Expected frames of {self._size[0]} x {self._size[1]}, got {size[0]} x {size[1]}.")
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def _opened(self, size: tuple[int, int]) -> cv2.VideoWriter:
        if self.path.is_file() and self.path.stat().st_size:
            with open(self.path, "rb") as older:
                if older.read(8)[4:] != b"ftyp":
                    raise VideoError(f"Expected to replace an mp4 file only, {self.path} is none; move it away.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise VideoError(f"The folder {self.path.parent} cannot be made ({reason}); name another.") from None
        writer = cv2.VideoWriter(str(self._temporary), cv2.VideoWriter.fourcc(*"mp4v"), self._rate, size)
        if not writer.isOpened():
            self._temporary.unlink(missing_ok=True)
            raise VideoError(f"{self.path} cannot be written; check the folder, its permissions and the free space.")
        return writer

    def close(self) -> None:
        """Ends the file and gives it its name."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        try:
            with VideoReader(self._temporary) as written:
                next(iter(written))
            os.replace(self._temporary, self.path)
        except (VideoError, OSError):
            raise VideoError(f"{self.path} could not be completed; check the free space and permissions.") from None
        finally:
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def check_display() -> None:
    """Makes sure that a window can be opened.

    OpenCV ends the whole process when it finds no display, so another process tries it.

    Raises:
        VideoError: no window can be opened.
    """
    trial = "import cv2; cv2.namedWindow('trial'); cv2.destroyAllWindows()"
    try:
        done = subprocess.run([sys.executable, "-c", trial], capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        raise VideoError(
            "A webcam's picture is shown in a window, and none can be opened here (a server, a container, ssh without "
            "-X, or an OpenCV without windows); run it on a desktop, or record a file first."
        )
