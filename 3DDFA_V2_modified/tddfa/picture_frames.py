"""The pictures of a folder, or those that a pattern names, as the frames of a video."""

from __future__ import annotations

import glob
import os
import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from .arrays import Image
from .console import Note
from .images import PhotoError, list_photos, read_photo
from .video import Closing, VideoError, check_range

__all__ = ["PictureFrames", "is_pattern"]

COUNTER = re.compile(r"%0?\d*d")


def is_pattern(source: str | os.PathLike[str]) -> bool:
    """Whether a name stands for many files: ``frame_%04d.png``, ``*.jpg``."""
    name = Path(source).name
    return bool(COUNTER.search(name)) or glob.has_magic(name)


class PictureFrames(Closing):
    """Pictures as frames (H, W, 3) uint8 RGB, each shown for as long as the others; iterate over it.

    They come in the order of the numbers in their names: 9 before 10. A picture that cannot be read is left out, and
    the one before it stays longer. The members are those of ``VideoReader``.

    Args:
        source: a folder, or a pattern in a folder.
        rate: pictures per second.
        start: first picture, counted from 0.
        end: last picture, itself included; None for all.

    Raises:
        VideoError: no picture there, or an impossible range; while iterating, pictures of different sizes.
    """

    def __init__(
        self, source: str | os.PathLike[str], *, rate: Fraction, start: int = 0, end: int | None = None
    ) -> None:
        check_range(start, end)
        if rate <= 0:
            raise VideoError(f"Expected more than 0 pictures per second, got {rate}.")
        self.path, self.rate, self.time_base = Path(source), rate, 1 / rate
        self.left_out: list[tuple[Path, str]] = []
        pictures = sorted(self._found(), key=_by_numbers)
        size = sum(path.stat().st_size for path in pictures)
        self.about = f"{self.name}, {len(pictures)} pictures of {size:,} bytes"
        if not pictures[start:]:
            raise VideoError(f"Expected pictures from number {start} on in {source}, found {len(pictures)}; check it.")
        self._start, self._pictures = start, pictures[start : None if end is None else end + 1]
        self.expected = len(self._pictures)
        self._times: list[int] = []

    @property
    def name(self) -> str:
        """Of the folder; of the pattern without its marks, when it has more of a name."""
        folder = self.path if self.path.is_dir() else self.path.parent
        words = re.sub(r"\[[^\]]*\]|[*?]", "", COUNTER.sub("", self.path.stem)).strip("_-. ")
        return words if words and not self.path.is_dir() else folder.resolve().name or "pictures"

    def _found(self) -> list[Path]:
        if self.path.is_dir():
            pictures, self.left_out = list_photos(self.path)
            return pictures
        counted = COUNTER.search(self.path.name)
        if counted is None:
            return [path for path in self.path.parent.glob(self.path.name) if path.is_file()]
        before, after = self.path.name[: counted.start()], self.path.name[counted.end() :]
        wanted = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
        folder = self.path.parent
        return [path for path in folder.iterdir() if wanted.fullmatch(path.name)] if folder.is_dir() else []

    def __iter__(self) -> Iterator[Image]:
        size = None
        for index, path in enumerate(self._pictures):
            try:
                image = read_photo(path)
            except PhotoError as error:
                warnings.warn(Note(f"left out: {error}"), stacklevel=2)
                continue
            if size is not None and image.shape != size:
                raise VideoError(
                    f"Expected pictures of {size[1]} x {size[0]} pixels as the first, {path} has {image.shape[1]} x "
                    f"{image.shape[0]}; scale it, or name the frames of one video with a pattern."
                )
            size = image.shape
            self._times.append(index)
            yield image

    def moment(self, index: int) -> tuple[int, int]:
        """When the frame that came as number ``index`` is shown, and for how long, in units of ``time_base``."""
        return self._times[index], 1

    def number(self, index: int) -> int:
        """Which picture of all came as number ``index``."""
        return self._start + self._times[index]


def _by_numbers(path: Path) -> list[tuple[int, int, str]]:
    """Numbers as numbers, so that 9 comes before 10."""
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", path.name)]
