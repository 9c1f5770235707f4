"""Arrays from ``.npy`` and ``.npz`` files of unknown origin: every size is compared before room is made for it."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np

from .console import sentence
from .files import check_file

__all__ = ["Archive", "array_from", "read_npy"]

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError, MemoryError)
"""What a damaged zip file ends in."""


class Archive:
    """The arrays of an ``.npz`` file by name; use it in a ``with`` statement.

    Args:
        path: the file.
        largest: the most bytes that all its arrays may have together, unpacked.
        what: the kind of file with its article, for the messages.
        data: the file's bytes, when they came another way; the path is only their name then.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no regular file, damaged, or too large.
    """

    def __init__(self, path: str | PathLike[str], *, largest: int, what: str, data: bytes | None = None) -> None:
        self._path = check_file(path, largest=largest, what=what) if data is None else Path(path)
        self._what = what
        try:
            self._zip = zipfile.ZipFile(self._path if data is None else io.BytesIO(data))
        except BROKEN as error:
            raise self._damaged(error) from None
        total = sum(entry.file_size for entry in self._zip.infolist())
        if total > largest:
            self._zip.close()
            raise ValueError(
                f"Expected {what} of up to {largest:,} bytes, {path} unpacks to {total:,}; is it another file?"
            )

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    @property
    def names(self) -> set[str]:
        """Of the arrays."""
        return {name.removesuffix(".npy") for name in self._zip.namelist() if name.endswith(".npy")}

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        try:
            return array_from(self._zip.read(f"{name}.npy"))  # all of it, so that the zip's checksum is compared
        except BROKEN as error:
            raise self._damaged(error) from None

    def _damaged(self, error: BaseException) -> ValueError:
        reason = sentence(error)  # also of the system, which an offset of the zip may lead astray
        return ValueError(
            f"Expected {self._what}, got damaged or other data in {self._path} ({reason}); make or get the file again."
        )


def read_npy(path: str | PathLike[str], *, largest: int = 2**30) -> np.ndarray[Any, Any]:
    """The array of an ``.npy`` file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, another file, one of objects, or one of more than ``largest`` bytes.
    """
    with open(check_file(path, largest=largest, what="an .npy file"), "rb") as file:
        try:
            return _array(file, Path(path).stat().st_size)
        except (ValueError, EOFError, MemoryError) as error:
            raise ValueError(
                f"Expected an .npy array in {path}, got damaged or other data ({error}); make or get the file again."
            ) from None


def array_from(data: bytes) -> np.ndarray[Any, Any]:
    """The array of an ``.npy`` file's bytes; ValueError when its header promises another number of bytes."""
    return _array(io.BytesIO(data), len(data))


def _array(file: IO[bytes], size: int) -> np.ndarray[Any, Any]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of version {version}")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read_header(file)
    except Exception as error:  # NumPy reads it as Python's own notation, which fails in many ways
        raise ValueError(f"a damaged header ({type(error).__name__})") from None
    promised = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or dtype.hasobject or promised != size - file.tell():
        raise ValueError(f"{size - file.tell():,} bytes for an array {dtype} {shape}")
    file.seek(0)
    return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
