"""A folder that remembers what is slow to render: per entry a compressed picture and a few numbers as JSON.

An entry is two ordinary files, NUMBER.jpg (or .png) and NUMBER.json, a thousand to a folder. Each appears whole or not
at all, the JSON last, so processes that share a cache do not disturb each other: at worst two render the same entry,
and both write the same. A full disk is an error in one sentence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tddfa.files import read_file, write_bytes

Picture = NDArray[Any]
"""uint8, (H, W, 3) RGB; OpenCV, which makes most of them, does not promise a type."""

LARGEST = 2**28
"""Bytes of a file of the cache."""

JPEG = (
    (cv2.IMWRITE_JPEG_QUALITY, 97),
    (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)
"""On 100 renders of 256 x 256 pixels: 26 kB, 0.9 grey levels rms wrong; PNG 87 kB; WebP 95 13 kB and 1.6."""


def encoded(picture: Picture, ending: str) -> bytes:
    """An RGB or RGBA picture as a file's bytes: ``.jpg`` (all colours kept, quality 97) or ``.png`` (exact)."""
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    options = [number for pair in JPEG for number in pair] if ending == ".jpg" else []
    return cv2.imencode(ending, cv2.cvtColor(picture, order), options)[1].tobytes()


def decoded(data: bytes) -> Picture:
    """A picture from a file's bytes, (H, W, 3) RGB or (H, W, 4) RGBA; ValueError for what is none."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if picture is None or picture.ndim != 3:
        raise ValueError("Expected a JPEG or PNG picture in color, got something else; make it again.")
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def damaged(path: Path, why: object) -> ValueError:
    """The error of an entry that somebody must delete."""
    return ValueError(f"{path} is damaged ({why}); delete it, it will be made again.")


class Cache:
    """Entries by number.

    Args:
        folder: made with the first entry.
        ending: of the pictures, ``.jpg`` or ``.png``.
    """

    def __init__(self, folder: str | Path, ending: str) -> None:
        self.folder, self.ending = Path(folder), ending

    def path(self, index: int) -> Path:
        """Of an entry's JSON; its picture lies beside it."""
        return self.folder / f"{index // 1000:05d}" / f"{index:08d}.json"

    def __contains__(self, index: int) -> bool:
        return self.path(index).exists()

    def write(self, index: int, picture: Picture, facts: dict[str, Any]) -> None:
        """Keep an entry.

        Raises:
            OSError: the disk is full, say; one sentence.
        """
        path = self.path(index)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (
                f"Expected to make the folder {path.parent}, got: {error.strerror}; check its place and free space."
            )
            raise OSError(error.errno, reason) from error
        write_bytes(path.with_suffix(self.ending), encoded(picture, self.ending))
        write_bytes(path, json.dumps(facts, separators=(",", ":")).encode())

    def picture(self, index: int) -> Picture:
        """An entry's picture. Raises ValueError when it is damaged, with the file's name."""
        path = self.path(index).with_suffix(self.ending)
        try:
            return decoded(read_file(path, largest=LARGEST, what="a cached picture"))
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}) Delete it and its .json.") from None

    def facts(self, index: int) -> dict[str, Any]:
        """An entry's numbers. Raises ValueError when they are damaged, with the file's name."""
        path = self.path(index)
        try:
            facts = json.loads(read_file(path, largest=LARGEST, what="numbers of a cached picture"))
        except (ValueError, RecursionError) as error:
            raise damaged(path, error) from None
        if not isinstance(facts, dict):
            raise damaged(path, "no numbers by name")
        return facts
