"""Shards: many pairs of picture and volume in one tar file, as WebDataset reads them, from a disk or from far away.

A sample is three members with one number as their name: ``png`` or ``jpg``, the crop; ``npz``, its volume file; and
``json``, the volume file's notes (landmarks, and what else is known), for readers that do not look into the volume.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2

from .files import replacing
from .images import read_photo
from .volume_file import load_volume

__all__ = ["PICTURES", "check_shards", "need_webdataset", "pair_files", "shard_path", "write_pairs", "write_shard"]

PICTURES = (".png", ".jpg", ".jpeg")
"""Endings of a pair's picture."""


def shard_path(folder: Path, number: int) -> Path:
    """Of a shard: 000000.tar is the first."""
    return folder / f"{number:06d}.tar"


def check_shards(per_shard: int) -> None:
    """ValueError, one sentence, unless shards of so many pairs can be written."""
    if per_shard < 1:
        raise ValueError(f"Expected at least one pair to a shard, got {per_shard}; 1000 is usual.")
    need_webdataset()


def need_webdataset() -> None:
    """ValueError, one sentence, unless WebDataset is installed."""
    try:
        import webdataset  # noqa: F401
    except ImportError as error:
        raise ValueError('Expected WebDataset for shards, found none; pip install "vrn-workbook[train]".') from error


def write_shard(path: Path, samples: Iterable[dict[str, bytes | str]]) -> Path:
    """Write one tar file, whole or not at all; the same samples give the same bytes.

    Args:
        path: of the file.
        samples: each a ``__key__`` without dots, and the members' bytes by ending.

    Raises:
        OSError: it cannot be written; one sentence.
    """
    from webdataset import TarWriter

    with replacing(path, what="the shard ") as temporary, open(temporary, "wb") as file:
        with TarWriter(file, encoder=False, mtime=0) as tar:
            for sample in samples:
                tar.write(sample)
    return path


def pair_files(picture: Path, volume: Path, *, key: str) -> dict[str, bytes | str]:
    """A pair's files as a sample.

    Raises:
        ValueError: the volume is damaged. OSError: a file cannot be read.
    """
    data = volume.read_bytes()
    notes = load_volume(volume, data=data)[2]
    if picture.suffix.lower() in PICTURES:
        ending, image = picture.suffix[1:].lower(), picture.read_bytes()
    else:
        ending, image = "png", cv2.imencode(".png", read_photo(picture)[:, :, ::-1])[1].tobytes()
    return {"__key__": key, ending: image, "npz": data, "json": json.dumps(notes).encode()}


def write_pairs(pairs: Sequence[tuple[Path, Path]], folder: Path, *, per_shard: int) -> list[Path]:
    """Write pairs as shards into a folder, which holds these shards and no others afterwards.

    Args:
        pairs: picture and volume file of each.
        folder: made when missing.
        per_shard: pairs in each shard, the last one perhaps less.

    Returns:
        The shards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = []
    for number, start in enumerate(range(0, len(pairs), per_shard)):
        some = enumerate(pairs[start : start + per_shard], start=start)
        samples = (pair_files(picture, volume, key=f"{key:09d}") for key, (picture, volume) in some)
        shards.append(write_shard(shard_path(folder, number), samples))
    for old in {*folder.glob("[0-9]" * 6 + ".tar")} - {*shards}:
        old.unlink()
    return shards
