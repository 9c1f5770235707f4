"""PyAV, FFmpeg for Python, where it is installed, and how it opens a file of unknown origin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import av
except ImportError:  # the extra "video"
    av = None

from .video import VideoError

__all__ = ["av", "need_av", "opened"]


def need_av() -> None:
    """VideoError, one sentence, unless PyAV is installed."""
    if av is None:
        raise VideoError('Expected PyAV for videos, found none; pip install "vrn-workbook[video]".')


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A container of PyAV for reading.

    FFmpeg sees the file's bytes only: no name is taken for a pattern, and no playlist opens other files.

    Raises:
        av.FFmpegError: nothing that FFmpeg knows.
    """
    with open(path, "rb") as file:
        with av.open(file, metadata_errors="replace", options={"protocol_whitelist": "none"}) as container:
            yield container
