"""Frames into an mp4 file that browsers and phones play, one at a time: H.264, and the sound as AAC."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .arrays import Image
from .files import check_target, left_by_killed, temporary_name
from .pyav import av, need_av, opened
from .video import Closing, VideoError
from .video_sound import Sound

__all__ = ["VideoWriter"]

X264 = {"preset": "ultrafast", "crf": "22", "bf": "0"}
"""Hardly slower than OpenCV's MPEG-4 and as large, at half its error. Frames that wait for later ones (bf) would spoil
the length of the last one."""

FRAME_DURATION = 1 << 8
"""FFmpeg's flag of an encoder that keeps how long each frame is shown, which tells when the last one ends."""

BT601, BT709, LIMITED = 6, 1, 1
"""FFmpeg's numbers of a matrix to YUV, of the primaries and curve of sRGB's kind, and of the range 16 to 235."""


class VideoWriter(Closing):
    """An mp4 file (H.264, yuv420p, its index in front) of RGB frames; use it in a ``with`` statement.

    Frames go to a temporary file beside it, which takes the name at the end, also when the ``with`` block was left by
    an error or Ctrl-C: what was written until then is kept. Without a single frame no file is made, and an older one
    stays. An odd last row or column is cut off, as the format has none.

    Args:
        path: ends in .mp4; missing folders are made.
        rate: frames per second, on average.
        time_base: seconds in a unit of the frames' times; default a frame's length.
        about: what the video is of; it is kept in the file, and only a file with the same words is replaced.
        sound: is copied beside the frames, as far as they go.

    Attributes:
        frames: how many were written so far.

    Raises:
        VideoError: another ending, a file there that was not made by this or is about another video, a folder that
            cannot be written, frames of different sizes, a full disk.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: float | Fraction,
        time_base: Fraction | None = None,
        about: str = "",
        sound: Sound | None = None,
    ) -> None:
        need_av()
        if "libx264" not in av.codecs_available:
            raise VideoError("Expected a PyAV that writes H.264, this one does not; install the one of PyPI.")
        self.path, self._about = Path(path), f"tddfa {about}".strip()
        if self.path.suffix.lower() != ".mp4":
            raise VideoError(f"Expected an output file that ends in .mp4, got {self.path}.")
        self._check_target()
        self.frames, self._sound = 0, sound
        self._rate = Fraction(rate).limit_denominator(100_000)
        self._time_base = time_base or 1 / self._rate
        self._temporary = self.path.with_name(temporary_name(self.path.name))
        self._size, self._start = (0, 0), 0
        self._container: Any = None
        self._stream: Any = None

    def _check_target(self) -> None:
        if not check_target(self.path).is_file() or not self.path.stat().st_size:
            return
        try:
            with opened(self.path) as older:
                about = older.metadata.get("comment", "") if "mp4" in older.format.name else ""
        except av.FFmpegError:
            about = ""
        if about != self._about:
            of = f"of {about[6:]}" if about.startswith("tddfa ") else "not of this program"
            raise VideoError(
                f"Expected to replace a result of {self._about[6:]} only, {self.path} is {of}; name "
                "another folder or move it away."
            )

    def write(self, image: Image, moment: tuple[int, int] | None = None) -> None:
        """Appends a frame; the first one fixes the size.

        Args:
            image: (H, W, 3) uint8 RGB.
            moment: when it is shown and for how long, in units of ``time_base``; default: right after the frame before.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise VideoError(f"Expected a frame (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}.")
        size = image.shape[1], image.shape[0]
        at, length = (self.frames, 1) if moment is None else moment
        if self._container is None:
            self._open(size, at)
        if size != self._size:
            raise VideoError(f"Expected frames of {self._size[0]} x {self._size[1]}, got {size[0]} x {size[1]}.")
        height, width = (side - side % 2 for side in image.shape[:2])
        # OpenCV's conversion takes a third of FFmpeg's time; it is BT.601, and the stream says so.
        planes = cv2.cvtColor(np.ascontiguousarray(image[:height, :width]), cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(np.asarray(planes, np.uint8), format="yuv420p")
        frame.pts, frame.time_base, frame.duration = at - self._start, self._time_base, length
        try:
            self._container.mux(self._stream.encode(frame))
            if self._sound is not None:
                self._sound.write_until((at + length) * self._time_base)
        except av.FFmpegError as error:
            raise self._not_written(error) from None
        self.frames += 1

    def _open(self, size: tuple[int, int], start: int) -> None:
        if min(size) < 2:
            raise VideoError(f"Expected frames of at least 2 x 2 pixels, got {size[0]} x {size[1]}.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise VideoError(f"The folder {self.path.parent} cannot be made ({reason}); name another.") from None
        self._clear_killed()
        self._size, self._start = size, start
        try:
            self._container = av.open(str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"})
            self._container.metadata["comment"] = self._about
            self._stream = self._container.add_stream("libx264", rate=self._rate, options=X264)
            context = self._stream.codec_context
            context.width, context.height, context.pix_fmt = size[0] - size[0] % 2, size[1] - size[1] % 2, "yuv420p"
            context.time_base, self._stream.time_base = self._time_base, self._time_base
            context.color_range, context.colorspace = LIMITED, BT601
            context.color_primaries, context.color_trc = BT709, BT709
            context.flags |= FRAME_DURATION
            if self._sound is not None:
                self._start = self._sound.begin(self._container, start, self._time_base)
            self._container.start_encoding()
        except (av.FFmpegError, OSError) as error:
            self._discard()
            raise self._not_written(error) from None

    def _clear_killed(self) -> None:
        """Half files of earlier runs that were killed go; those of runs that still write stay."""
        for half in self.path.parent.glob(".*.part"):
            begun = half.name.rpartition(".")[0].rpartition(".")[0] == f".{self.path.name}"
            if begun and (os.name == "nt" or left_by_killed(half.name)):
                with suppress(OSError):  # Windows keeps what is open
                    half.unlink()

    def _not_written(self, error: OSError | ValueError) -> VideoError:
        reason = getattr(error, "strerror", None) or error
        return VideoError(f"{self.path} cannot be written ({reason}); check the folder, permissions and free space.")

    def close(self) -> None:
        """Ends the file and gives it its name."""
        if self._container is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.finish()
            self._container.close()
            os.replace(self._temporary, self.path)
        except (av.FFmpegError, OSError) as error:
            raise self._not_written(error) from None
        finally:
            self._discard()

    def _discard(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            with suppress(av.FFmpegError):
                container.close()
        self._temporary.unlink(missing_ok=True)
