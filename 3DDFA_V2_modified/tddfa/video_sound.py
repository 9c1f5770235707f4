"""The sound of a video file, put beside the frames that are made of it."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from .console import Note, sentence
from .pyav import av, opened

__all__ = ["Sound"]

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Samples per second that AAC knows; sound with any other number gets the last one."""

BIT_RATE = 160_000

DISK = (errno.ENOSPC, errno.EFBIG, errno.EIO)
"""Not the sound's faults: the frames cannot be written either."""


class Sound:
    """The sound of a video file on its way into an mp4 file, as AAC, which browsers and phones play.

    AAC is copied as it is; anything else is encoded anew, in one channel or two. Sound that fails does not stop the
    frames: a :class:`~tddfa.console.Note` tells.

    Args:
        source: the video file; ``VideoReader`` has opened it before.
        whole: sound from before the first frame is kept.
    """

    def __init__(self, source: str | os.PathLike[str], *, whole: bool = True) -> None:
        self._source, self._whole = Path(source), whole
        self._opened = ExitStack()
        self._container = self._opened.enter_context(opened(self._source))
        self._stream = self._container.streams.best("audio")
        self._copied = False
        self._target: Any = None
        self._out: Any = None
        self._pieces: Iterator[tuple[Fraction, list[Any]]] = iter(())
        self._next: tuple[Fraction, list[Any]] | None = None

    def begin(self, target: Any, first: int, time_base: Fraction) -> int:
        """Adds the sound to an mp4 file that is being opened.

        Args:
            target: the file, a container of PyAV.
            first: when the first frame is shown, in units of ``time_base``.
            time_base: in seconds.

        Returns:
            What becomes time zero, in units of ``time_base``: the first frame's, or the sound's when that is earlier.
        """
        if self._stream is None:
            return first
        try:
            if self._stream.codec_context is None:
                raise ValueError("FFmpeg cannot decode it")
            self._copied = self._stream.codec_context.codec.canonical_name == "aac"
            if self._copied:
                self._out = target.add_stream_from_template(self._stream)
            else:
                rate = self._stream.rate if self._stream.rate in RATES else RATES[-1]
                layout = "mono" if self._stream.layout.nb_channels == 1 else "stereo"
                self._out = target.add_stream("aac", rate=rate, layout=layout, bit_rate=BIT_RATE)
        except (av.FFmpegError, ValueError) as error:
            self._give_up(error)
            return first
        start = first
        if self._whole and self._stream.start_time is not None:
            start = min(first, int(self._stream.start_time * self._stream.time_base / time_base))
        self._target, self._pieces = target, self._packets(start * time_base)
        return start

    def _packets(self, start: Fraction) -> Iterator[tuple[Fraction, list[Any]]]:
        """From when on something sounds, in seconds of the source, and the packets of it, in those of the mp4 file."""
        latest = None
        for packet in self._container.demux(self._stream):
            if not self._copied:
                with suppress(av.FFmpegError):  # a damaged piece
                    for frame in packet.decode():
                        at = frame.pts * frame.time_base
                        if at + Fraction(frame.samples, frame.sample_rate) > start:
                            frame.pts -= round(start / frame.time_base)
                            yield at, self._out.encode(frame)
                continue
            if packet.pts is None or packet.dts is None or (latest is not None and packet.dts <= latest):
                continue
            latest = packet.dts
            at, length = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
            if at + 2 * length > start:  # AAC is decoded with the packet before, which the file's edit list hides
                shift = round(start / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, self._out
                yield at, [packet]

    def write_until(self, end: Fraction) -> None:
        """Writes what begins to sound before the moment ``end``, in seconds of the source."""
        while self._target is not None:
            try:
                self._next = self._next or next(self._pieces, None)
            except (av.FFmpegError, ValueError) as error:
                self._give_up(error)
                return
            if self._next is None or self._next[0] >= end:
                return
            try:
                self._target.mux(self._next[1])
            except av.FFmpegError as error:
                if error.errno in DISK:
                    raise
            self._next = None  # a damaged piece is left out

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        if self._target is not None and not self._copied:
            self._target.mux(self._out.encode(None))

    def _give_up(self, error: Exception) -> None:
        self._target = None
        reason = getattr(error, "strerror", None) or sentence(error).rstrip(".")
        warnings.warn(Note(f"The sound of {self._source} could not be kept ({reason})."), stacklevel=2)

    def close(self) -> None:
        """Gives the file back."""
        self._opened.close()
