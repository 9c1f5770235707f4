"""Rendered pairs on a disk: crops and their exact volumes, in the form of ``vrn targets``, or in shards.

Pair number i of a stream is always the same, so a folder is filled by any number of processes or machines, in any
order, and a run that was stopped goes on. A volume file's notes hold the landmarks, the 62 parameters, and the camera.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tddfa.console import sentence
from tddfa.files import file_sha256, write_bytes
from tddfa.shards import check_shards, shard_path, write_shard
from tddfa.target_folder import Summary, fill_folder
from tddfa.volume_file import load_volume, volume_bytes
from tddfa.voxelizer import slice_extent, voxelize
from vrnlib.synthetic.faces import FaceRenderer, facts_of, render_pair
from vrnlib.training.cache import encoded


@dataclass(frozen=True, kw_only=True)
class PairFolder:
    """Where pairs go, and which.

    Attributes:
        out: the folder; every machine that renders sees it under this name.
        seed: of the stream.
        ending: of the pictures: ``.jpg``, 97 of 100 and all colours kept, or ``.png``, exact.
    """

    out: Path
    seed: int
    ending: str = ".jpg"

    def volume(self, index: int) -> Path:
        """The volume file of a pair; its picture lies beside it. A thousand pairs share a folder."""
        return self.out / f"{index // 1000:06d}" / f"{index:09d}.npz"

    def settings(self, index: int) -> dict[str, Any]:
        """What a pair follows from."""
        return {"how": "render", "seed": self.seed, "index": index}


def render_folder(
    folder: PairFolder,
    count: int,
    *,
    shards: int | None = None,
    workers: int = 1,
    dask: str | None = None,
    progress: bool = True,
) -> Summary:
    """Render the first pairs of a stream.

    Args:
        folder: where to.
        count: pairs.
        shards: write shards of so many pairs, 000000.tar and so on, in place of single files.
        workers, dask: who does it, see `tddfa.workers.outcomes`.
        progress: show a bar, of pairs or shards.

    Raises:
        ValueError: numbers out of range, or a folder with files of others.
        OSError: a file cannot be written, a worker died, or no cluster answers. What was done stays.
    """
    if count < 1:
        raise ValueError(f"Expected to render at least one pair, got {count}.")
    if shards is not None:
        check_shards(shards)
    starts = range(0, count, shards or 1)
    attempt = partial(_attempt, folder=folder, count=count, shards=shards)

    def name(start: int) -> str:
        return f"{start:09d}" if shards is None else shard_path(Path(), start // shards).name

    summary = Summary()
    share: Any = {"workers": workers, "dask": dask, "batch": 8 if shards is None else 1}
    fill_folder(folder.out, starts, attempt, names=name, summary=summary, progress=progress, **share)
    return summary


def _attempt(start: int, folder: PairFolder, count: int, shards: int | None) -> str:
    """Make a pair, or the shard that begins with it; "made", "kept", or the reason why it is not there."""
    try:
        if shards is None:
            made = _make_pair(folder, start)
        else:
            indices = range(start, min(start + shards, count))
            made = _make_shard(shard_path(folder.out, start // shards), folder, indices)
    except ValueError as error:
        return sentence(error)
    return "made" if made else "kept"


def _make_pair(folder: PairFolder, index: int) -> bool:
    """Write a pair, the volume last; False when it is there."""
    path = folder.volume(index)
    try:
        meta = load_volume(path)[2]
        if not isinstance(meta, dict):
            raise ValueError("another program's notes")
        crop = file_sha256(path.with_suffix(folder.ending))
        if (meta.get("settings"), meta.get("crop")) == (folder.settings(index), crop):
            return False
    except (OSError, ValueError):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    picture, volume, _ = _pair(folder, index)
    write_bytes(path.with_suffix(folder.ending), picture)
    write_bytes(path, volume)
    return True


def _make_shard(path: Path, folder: PairFolder, indices: range) -> bool:
    """Write a shard; False when it is there: shards appear whole, so its first sample tells what it holds."""
    if _is_there(path, folder, indices):
        return False
    ending = folder.ending[1:]

    def sample(index: int) -> dict[str, bytes | str]:
        picture, volume, meta = _pair(folder, index)
        return {"__key__": f"{index:09d}", ending: picture, "npz": volume, "json": json.dumps(meta).encode()}

    write_shard(path, map(sample, indices))
    return True


def _is_there(path: Path, folder: PairFolder, indices: range) -> bool:
    """Whether a shard holds just these pairs of this stream."""
    if not path.is_file():
        return False
    names = [f"{index:09d}.{one}" for index in indices for one in sorted((folder.ending[1:], "json", "npz"))]
    try:
        with tarfile.open(path) as tar:
            member = tar.extractfile(f"{indices[0]:09d}.json") if tar.getnames() == names else None
            settings = json.load(member)["settings"] if member else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError, EOFError, tarfile.TarError):
        return False  # none there, a damaged one, or one of another program
    return bool(settings == folder.settings(indices[0]))


def _pair(folder: PairFolder, index: int) -> tuple[bytes, bytes, dict[str, Any]]:
    """Picture file, volume file and its notes."""
    sample = render_pair(folder.seed, index, model=_renderer())
    picture = encoded(sample.image, folder.ending)
    vertices, triangles = sample.model.close(sample.vertices)
    volume, offset = voxelize(vertices, triangles)
    meta = {"settings": folder.settings(index), "crop": hashlib.sha256(picture).hexdigest(), **facts_of(sample)}
    meta["extent"] = slice_extent(vertices, triangles, offset)
    return picture, volume_bytes(volume, offset=offset, meta=meta), meta


@lru_cache(maxsize=1)
def _renderer() -> FaceRenderer:
    """This process's own, built for its first pair."""
    return FaceRenderer()
