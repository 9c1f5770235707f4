"""MATLAB's ``.mat`` files of version 5 (``save -v6`` and ``-v7``): the arrays of numbers in them, and nothing else.

SciPy's reader trusts the sizes that a file names, and a single wrong byte can end the whole process. This one is small
and checks every size against the bytes that are there. A file is a header of 128 bytes and a row of elements, each a
type, a number of bytes and these bytes, filled up to a multiple of eight. An array is an element of elements (flags,
dimensions, name, numbers, perhaps imaginary parts), or such a one compressed by zlib.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .files import read_file

__all__ = ["read_arrays"]

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of elements that hold numbers; MATLAB stores an array in the smallest that holds its values."""

CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""What an array is for MATLAB, by the number in its flags; texts, cells and structures are left out."""

MATRIX, COMPRESSED = 14, 15
"""Types of elements that hold an array."""

LARGEST = 2**26
"""Bytes of a file, and of all that its compressed arrays may become; the data sets' files have a hundred kilobytes."""

COMPLEX, LOGICAL = 8, 2
"""Bits of the flags."""


def read_arrays(path: str | PathLike[str], names: Collection[str]) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of these names that the file has and that are of real numbers, with MATLAB's dimensions.

    Args:
        path: the file.
        names: which arrays; others are passed over unread.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, one that is no ``.mat`` file, or one of another version.
    """
    path = Path(path)
    data = read_file(path, largest=LARGEST, what="a .mat file")
    if data.startswith(b"\x89HDF") or data[512:516] == b"\x89HDF" or data.startswith(b"MATLAB 7.3"):
        raise ValueError(
            f"Expected a .mat file of version 5, {path} is of version 7.3; save it again with -v7 in MATLAB."
        )
    if len(data) < 128 or data[126:128] not in (b"IM", b"MI"):
        raise ValueError(f"Expected a .mat file of version 5, {path} is damaged or another file; get it again.")
    order = "<" if data[126:128] == b"IM" else ">"
    found: dict[str, np.ndarray[Any, Any]] = {}
    left = LARGEST
    try:
        for kind, content in _elements(memoryview(data)[128:], order):
            if kind == COMPRESSED:
                plain = _inflated(content, left)
                left -= len(plain)
                kind, content = next(_elements(memoryview(plain), order), (0, content))
            if kind == MATRIX:
                name, array = _array(content, order, names)
                if array is not None:
                    found[name] = array
    except (ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"Expected a readable .mat file, {path} is damaged ({error}); get it again.") from None
    return found


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """(type, content) of the elements one after the other; those of up to four bytes have a shorter head."""
    at = 0
    while at < len(data):
        (word,) = struct.unpack_from(f"{order}I", data, at)
        if word >> 16:
            kind, size, start, end = word & 0xFFFF, word >> 16, at + 4, at + 8
            if size > 4:
                raise ValueError(f"{size} bytes in an element of four")
        else:
            kind, size = struct.unpack_from(f"{order}II", data, at)
            start = at + 8
            end = start + size + (0 if kind == COMPRESSED else -size % 8)
        if start + size > len(data):
            raise ValueError(f"an element of {size:,} bytes where {max(len(data) - start, 0):,} are left")
        yield kind, data[start : start + size]
        at = end


def _inflated(content: memoryview, largest: int) -> bytes:
    """What zlib packed, whole and not too large."""
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(content, largest + 1)
    if not unpacker.eof or len(plain) > largest:
        raise ValueError(f"a compressed array that is cut off, or more than {LARGEST:,} bytes of them")
    return plain


def _array(content: memoryview, order: str, names: Collection[str]) -> tuple[str, np.ndarray[Any, Any] | None]:
    """Name and numbers of an array; None for one of another name or kind."""
    parts = _elements(content, order)
    try:
        (_, flags), (_, sides), (_, label) = next(parts), next(parts), next(parts)
    except StopIteration:
        raise ValueError("an array without flags, dimensions and name") from None
    name = bytes(label).decode("latin1")
    (word,) = struct.unpack_from(f"{order}I", flags)
    if name not in names or word & 0xFF not in CLASSES or word >> 8 & COMPLEX:
        return name, None
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides)
    kind, raw = next(parts, (0, content[:0]))
    if kind not in NUMBERS:
        raise ValueError(f"{name} holds no numbers")
    numbers = np.frombuffer(raw, order + NUMBERS[kind]) if len(raw) else np.zeros(0, NUMBERS[kind])
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) != len(numbers):
        raise ValueError(f"{len(numbers)} numbers in {name} for the dimensions {shape}")
    final = np.dtype("?" if word >> 8 & LOGICAL else CLASSES[word & 0xFF])
    if final.kind != "f" and not np.isfinite(numbers).all():
        raise ValueError(f"NaN or infinity among the whole numbers of {name}")
    return name, numbers.astype(final).reshape(shape, order="F")
