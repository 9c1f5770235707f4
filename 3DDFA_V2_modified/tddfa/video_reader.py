"""Frames from a video file, one at a time, each with its moment: a phone's frames come when they can."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .arrays import Image
from .files import is_address
from .pyav import av, need_av, opened
from .video import Closing, VideoError, check_range

__all__ = ["USUAL_RATE", "VideoReader", "displayed"]

USUAL_RATE = Fraction(25)
"""Frames per second where a file names none that can be true."""

FASTEST_RATE = 1000

LARGEST_ASPECT = 4
"""A file that calls its pixels longer than this in one direction is not believed."""

LARGEST_STEP_BACK = 0.5
"""Frames that are earlier than the one before by more than these seconds begin a new count."""

ATTACHED_PICTURE = 0x400
"""FFmpeg's mark of a stream that is a song's cover."""


class VideoReader(Closing):
    """Frames (H, W, 3) uint8 RGB of a video file, in order, as a player shows them; iterate over it once.

    They are turned and mirrored as the file's display matrix says, and pixels that are not square are made so. A stream
    that ends early, damaged or not, just ends: compare the frames that came with ``expected``. Single damaged frames
    are left out.

    Args:
        source: a file.
        start: first frame, counted from 0.
        end: last frame, itself included, as in 3DDFA_V2; None for all.

    Attributes:
        name: for results: the file's, with its ending unless that is .mp4.
        about: tells this video from others.
        rate: frames per second, on average.
        time_base: seconds in a unit of the frames' times.
        expected: frames from ``start`` to ``end`` by the file's header, which may be wrong (a cut file, an edit list),
            or None.

    Raises:
        VideoError: no such file, no video in it or one that FFmpeg cannot decode, or an impossible range; while
            iterating, when not a single frame can be read.
    """

    def __init__(self, source: str | os.PathLike[str], *, start: int = 0, end: int | None = None) -> None:
        check_range(start, end)
        need_av()
        self.path, self.name = Path(source), Path(source).stem
        if not self.path.is_file():
            what = "an address; download it and name the file" if is_address(self.path) else "none; check the path"
            raise VideoError(f"Expected a video file, got {self.path}, which is {what}.")
        if self.path.suffix.lower() != ".mp4":
            self.name += f"_{self.path.suffix[1:].lower()}"
        self.about = f"{self.path.name}, {self.path.stat().st_size:,} bytes"
        self._start, self._end = start, end
        with ExitStack() as stack:
            try:
                self._container = stack.enter_context(opened(self.path))
            except PermissionError:
                raise
            except (av.FFmpegError, OSError):  # an empty one is "Invalid argument" to Python
                raise VideoError(
                    f"{self.path} cannot be opened as a video; it may be cut off or damaged, get it again or convert "
                    "it to mp4."
                ) from None
            self._stream = self._video_stream()
            self._opened = stack.pop_all()
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate: Fraction = rate if rate and 0 < rate <= FASTEST_RATE else USUAL_RATE
        self.time_base: Fraction = self._stream.time_base or 1 / self.rate
        self.expected = self._count()
        self._times: list[tuple[int, int]] = []
        self._shift = 0
        self._size: tuple[int, int] | None = None

    def _video_stream(self) -> Any:
        """The stream with the moving picture; a song's cover is none."""
        pictures = [one for one in self._container.streams.video if not one.disposition.value & ATTACHED_PICTURE]
        if not pictures:
            raise VideoError(f"{self.path} holds no video; name another file.")
        best = self._container.streams.best("video")
        stream = best if best in pictures else pictures[0]
        if stream.codec_context is None:
            raise VideoError(
                f"{self.path} holds video of a kind that PyAV {av.__version__} (FFmpeg {av.ffmpeg_version_info}) "
                "cannot decode; convert it to H.264."
            )
        stream.thread_type = "AUTO"
        return stream

    def _count(self) -> int | None:
        total = self._stream.frames
        if 0 < total < 1e9:
            stop = total if self._end is None else min(total, self._end + 1)
            return max(stop - self._start, 0)
        return None if self._end is None else self._end + 1 - self._start

    def __iter__(self) -> Iterator[Image]:
        index = 0
        for frame in self._decoded():
            if self._end is not None and index > self._end:
                break
            if index >= self._start:
                self._times.append(self._moment(frame))
                yield self._image(frame)
            index += 1
        if not index:
            raise VideoError(
                f"Not one frame of {self.path} ({self._stream.codec_context.name}) can be decoded; it may be cut off "
                "or damaged, get it again or convert it to H.264."
            )
        if index <= self._start:
            raise VideoError(
                f"Expected frames from number {self._start} on, {self.path} gives {index} frames that can be read; "
                "start earlier."
            )

    def _decoded(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:  # the file ends in the middle
                packet = None
            if packet is None:
                return
            with suppress(av.FFmpegError):  # a damaged frame
                yield from packet.decode()

    def _moment(self, frame: Any) -> tuple[int, int]:
        """When a frame is shown and for how long, both in ``time_base``; made up where the file does not tell."""
        usual = max(round(1 / (self.rate * self.time_base)), 1)
        if not self._times:
            return frame.pts or 0, frame.duration or usual
        before, length = self._times[-1]
        at = before + length if frame.pts is None else frame.pts + self._shift
        if (before - at) * self.time_base > LARGEST_STEP_BACK:  # two recordings, one after the other
            self._shift += before + length - at
            at = before + length
        return max(at, before + 1), frame.duration or usual

    def _image(self, frame: Any) -> Image:
        """As it is shown; should the size change on the way, the first one's is kept."""
        if self._size is None:
            aspect = self._stream.sample_aspect_ratio or Fraction(1)
            believed = Fraction(1, LARGEST_ASPECT) <= aspect <= LARGEST_ASPECT
            self._size = max(round(frame.width * (aspect if believed else 1)), 1), frame.height
        image = frame.to_ndarray(format="rgb24", width=self._size[0], height=self._size[1])
        matrix = next((one for one in frame.side_data if one.type.name == "DISPLAYMATRIX"), None)
        return image if matrix is None else displayed(image, np.frombuffer(bytes(matrix), np.int32).reshape(3, 3))

    def moment(self, index: int) -> tuple[int, int]:
        """When the frame that came as number ``index`` is shown, and for how long, in units of ``time_base``."""
        return self._times[index]

    def number(self, index: int) -> int:
        """Which frame of the file came as number ``index``."""
        return self._start + index

    def close(self) -> None:
        """Gives the file back."""
        self._opened.close()


def displayed(image: Image, matrix: np.ndarray[Any, Any]) -> Image:
    """The image turned by quarters and mirrored as a display matrix says.

    Args:
        image: (H, W, 3) as it is stored.
        matrix: (3, 3), of which the four numbers top left count: x' = a x + c y and y' = b x + d y.
    """
    (a, b), (c, d) = matrix[:2, :2]
    if abs(int(a)) + abs(int(d)) < abs(int(b)) + abs(int(c)):
        image, a, d = np.asarray(cv2.transpose(image), np.uint8), c, b  # x' from y, y' from x
    flip = {(True, False): 1, (False, True): 0, (True, True): -1}.get((a < 0, d < 0))
    return np.asarray(image if flip is None else cv2.flip(image, flip), np.uint8)
