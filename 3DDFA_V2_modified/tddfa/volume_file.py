"""Volume files: a solid of 200 x 192 x 192 voxels in tens of kilobytes.

A file is an ordinary compressed ``.npz`` (zip of ``.npy`` arrays, no pickles) with the entries

- ``shape``: (3,) int64, depth, height, width;
- ``box``: (3, 2) int64, first and end of the solid along z, y and x; outside of it all is empty;
- ``voxels``: (slices of the box, bytes) uint8, in each row what changes from one slice to the next (exclusive or; the
  first follows an empty one), eight voxels to a byte, [y, x] in C order (``np.packbits``);
- ``offset``: float64, the slice of z = 0 (k = 2 z + offset);
- ``meta``: uint8, UTF-8 text of a JSON object;
- ``format``: int64, 2.

The readers at the end are for two older formats. Both say which axis is which, because a solid read in the wrong order
is still a solid, and no shape tells.
"""

import io
import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .archives import Archive, read_npy
from .arrays import Integers, Volume
from .contract import VOLUME_SHAPE
from .files import check_file, write_bytes

FORMAT = 2
ENTRIES = ("voxels", "box", "shape", "offset", "meta", "format")
LARGEST = 2**28
"""Voxels of a volume that is read, and bytes of its entries: 36 times the usual ones."""

COMPRESSION = 1
"""zlib's level: a solid's slices change so little that higher ones save few bytes for much time."""

SMALLEST = 1024
"""Bytes from which an entry is compressed at all."""


def save_volume(
    path: str | os.PathLike[str], volume: Volume, *, offset: float, meta: dict[str, Any] | None = None
) -> Path:
    """Writes a volume file, whole or not at all.

    Args:
        path: where to; it should end in ``.npz``. An older file there is replaced only once the new one is complete.
        volume, offset, meta: as for :func:`volume_bytes`.

    Raises:
        ValueError: as there.
        OSError: the folder is missing, not writable or full; nothing is left behind.
    """
    return write_bytes(path, volume_bytes(volume, offset=offset, meta=meta), what="the volume file ")


def volume_bytes(volume: Volume, *, offset: float, meta: dict[str, Any] | None = None) -> bytes:
    """The bytes of a volume file.

    Args:
        volume: (depth, height, width) bool, [z, y, x]; numbers are accepted when they are all 0 or 1.
        offset: the slice of z = 0, as :func:`tddfa.voxelize` returns it.
        meta: anything that JSON can hold, e.g. the photo's name.

    Raises:
        ValueError: another shape, values besides 0 and 1, an offset that is not finite, or meta that JSON cannot hold.
    """
    volume = np.asarray(volume)
    if volume.ndim != 3:
        raise ValueError(f"Expected a volume of shape (depth, height, width), got {volume.shape}; index it [z, y, x].")
    if volume.dtype != bool:
        bits = volume.astype(bool)
        if not np.array_equal(bits, volume):
            raise ValueError("Expected a volume of 0 and 1, got other values; compare probabilities with 0.5 first.")
        volume = bits
    if not math.isfinite(offset):
        raise ValueError(f"Expected a finite depth offset, got {offset}; pass what voxelize returned.")
    try:
        text = json.dumps({} if meta is None else meta)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected meta that JSON can hold, got: {error}; use text, numbers, lists, dicts.") from None
    box = _box(volume)
    inner = volume[tuple(slice(*ends) for ends in box)]
    slices = np.packbits(inner.reshape(len(inner), math.prod(inner.shape[1:])), axis=1)
    return _zipped(
        voxels=_changes(slices),
        box=box,
        shape=np.array(volume.shape, np.int64),
        offset=np.array(offset, np.float64),
        meta=np.frombuffer(text.encode(), np.uint8),
        format=np.array(FORMAT, np.int64),
    )


def load_volume(path: str | os.PathLike[str], *, data: bytes | None = None) -> tuple[Volume, float, dict[str, Any]]:
    """Reads a volume file: ``(volume, offset, meta)`` exactly as they were saved.

    Args:
        path: of the file.
        data: its bytes, when they came another way (out of a tar file); the path is only their name then.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a truncated or damaged file, or one that is no volume file.
    """
    path = Path(path)
    with Archive(path, largest=LARGEST, what="a volume file written by save_volume", data=data) as archive:
        for name in ENTRIES:
            if name not in archive.names:
                raise _foreign(path, f"no entry {name!r}")
        voxels, box, shape, offset, meta, version = (archive[name] for name in ENTRIES)
    if version.shape != () or int(version) != FORMAT:
        raise _foreign(path, f"format {version}")
    if shape.shape != (3,) or shape.dtype.kind not in "iu" or (shape < 0).any():
        raise _foreign(path, f"the shape {shape.tolist()}")
    if math.prod(shape.tolist()) > LARGEST or box.shape != (3, 2) or box.dtype.kind not in "iu":
        raise _foreign(path, f"the shape {shape.tolist()} and the box {box.tolist()}")
    if not ((box[:, 0] >= 0) & (box[:, 0] <= box[:, 1]) & (box[:, 1] <= shape)).all():
        raise _foreign(path, f"the box {box.tolist()} in a volume of {shape.tolist()}")
    depth, height, width = (box[:, 1] - box[:, 0]).tolist()
    if voxels.dtype != np.uint8 or voxels.shape != (depth, (height * width + 7) // 8):
        raise _foreign(path, f"{voxels.size} bytes for {depth} x {height} x {width} voxels")
    if offset.shape != () or offset.dtype.kind != "f" or not np.isfinite(offset) or meta.dtype != np.uint8:
        raise _foreign(path, "a wrong offset or meta entry")
    for k in range(1, depth):
        voxels[k] ^= voxels[k - 1]
    volume = np.zeros(shape.tolist(), bool)
    inner = np.unpackbits(voxels, axis=1, count=height * width).view(bool).reshape(depth, height, width)
    volume[tuple(slice(*ends) for ends in box.tolist())] = inner
    try:
        return volume, float(offset), json.loads(meta.tobytes().decode())
    except (ValueError, RecursionError) as error:
        raise _foreign(path, f"meta that is no JSON ({error})") from None


def read_vrn_npy(path: str | os.PathLike[str], *, shape: tuple[int, int, int] = VOLUME_SHAPE[::-1]) -> Volume:
    """Reads the original project's target: a ``.npy`` array indexed [x, y, z].

    Returns:
        (200, 192, 192) bool, [z, y, x]. That format has no depth offset.

    Raises:
        ValueError: another shape than ``shape``, or values besides 0 and 1.
    """
    array = read_npy(path)
    if array.shape != shape:
        raise ValueError(
            f"Expected an [x, y, z] array of shape {shape} in {path}, got {array.shape}; load_volume reads ours."
        )
    volume = array.astype(bool)
    if not np.array_equal(volume, array):
        raise ValueError(f"Expected 0 and 1 in {path}, got other values; is it a picture or a probability?")
    return np.ascontiguousarray(volume.transpose(2, 1, 0))


def read_vrn_raw(path: str | os.PathLike[str], *, shape: tuple[int, int, int] = VOLUME_SHAPE) -> NDArray[np.uint8]:
    """Reads VRN's raw dump: one unsigned byte a voxel, [z, y, x], no header; 255 stands for probability 1.

    Returns:
        (200, 192, 192) uint8. Compare with 128 (or divide by 255) yourself. Read as signed bytes, everything from 128
        on would turn negative: the inside of the face would become the emptiest part.

    Raises:
        ValueError: the file's size is not that of ``shape``.
    """
    expected = math.prod(shape)
    size = check_file(path, largest=LARGEST, what="VRN's raw dump").stat().st_size
    if size != expected:
        raise ValueError(f"Expected {expected} bytes {shape} in {path}, got {size}; is it VRN's raw dump?")
    return np.fromfile(path, np.uint8).reshape(shape)


def _box(volume: Volume) -> Integers:
    """(3, 2) int64, first and end along each axis of what is solid; zeros where nothing is."""
    column = np.any(volume, axis=0)
    filled = (np.flatnonzero(flags) for flags in (volume.any(axis=(1, 2)), column.any(axis=1), column.any(axis=0)))
    return np.array([(at[0], at[-1] + 1) if len(at) else (0, 0) for at in filled], np.int64)


def _changes(slices: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each slice's bits, exclusive or those of the slice before it."""
    changes = slices.copy()
    changes[1:] ^= slices[:-1]
    return changes


def _zipped(**arrays: np.ndarray) -> bytes:
    """What ``np.savez_compressed`` writes, with our level of compression; in memory, zip's many seeks cost nothing."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.asarray(array), allow_pickle=False)
            method = zipfile.ZIP_STORED if data.tell() < SMALLEST else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getbuffer(), method, COMPRESSION)
    return file.getvalue()


def _foreign(path: Path, what: str) -> ValueError:
    return ValueError(f"Expected a volume file written by save_volume, got {what} in {path}; check which file this is.")
