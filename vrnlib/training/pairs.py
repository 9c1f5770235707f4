"""Pairs of crop and volume from files: folders that ``vrn targets`` or ``vrn render`` filled, and shards of them.

A volume in a file has no mesh any more. What an augmentation does to it is done to its voxels: each point of the
target's lattice looks up where it comes from. Shards are read by WebDataset, one after the other, from a disk or from
far away; their members are decoded here, by their endings, and nothing is ever unpickled.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from tddfa.arrays import Floats, Volume
from tddfa.crop import checked_points
from tddfa.images import read_photo
from tddfa.shards import PICTURES, need_webdataset
from tddfa.target_folder import find_pairs
from tddfa.volume_file import load_volume
from vrnlib.crop import CROP_SIZE
from vrnlib.training.augment import Augmentation, moved_landmarks, moved_picture, to_picture
from vrnlib.training.batches import as_item
from vrnlib.training.cache import Picture, decoded

SCHEMES = ("", "file", "http", "https", "gs", "hf")
"""Where shards may lie. WebDataset also knows "pipe", which runs any command; a list of data must not."""

SHUFFLED = 200
"""Pairs of a stream among which the next one is chosen."""


def moved_volume(volume: Volume, matrix: Floats, *, step: int = 1, extent: tuple[float, float] | None = None) -> Volume:
    """A solid after a similarity of its crop, as `tddfa.voxelize` would make it of the moved mesh, to half a voxel.

    Args:
        volume: (200, 192, 192), [z, y, x].
        matrix: (2, 3) similarity, crop pixels → crop pixels, maybe mirrored. Depth is scaled like the picture.
        step: distance of the result's columns, pixels; see `tddfa.voxelize`.
        extent: slices from which to which the mesh reached, which may be more than the volume has; default: what is
            solid. Where the back was cut off and comes into view, its last slice is repeated.

    Returns:
        (200, 192 / step, 192 / step).
    """
    depth, size = volume.shape[:2]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if extent is None:
        filled = np.flatnonzero(volume.any(axis=(1, 2)))
        extent = (filled[0] - 0.5, filled[-1] + 0.5) if len(filled) else (0, depth - 1)
    back, front = extent
    fixed, stays = (back + front) / 2, (depth - 1) / 2  # solids are centred, too deep ones touch the last slice
    if scale * (front - back) > depth:
        fixed, stays = front, depth - 0.5
    slices = np.rint((np.arange(depth) - stays) / scale + fixed).astype(int)
    inside = (slices >= back) & (slices < depth)

    place = (np.arange(size // step) + 0.5) * step - 0.5
    moved = np.stack(np.meshgrid(place, place), axis=-1) - matrix[:, 2]
    x, y = np.moveaxis(moved @ np.linalg.inv(matrix[:, :2]).T, -1, 0)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    share = np.zeros((depth, *x.shape), np.float32)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = top + i, left + j
        weight = (1 - np.abs(y - row)) * (1 - np.abs(x - column))
        weight *= (row >= 0) & (row < size) & (column >= 0) & (column < size)  # nothing is solid outside
        at = row.clip(0, size - 1) * size + column.clip(0, size - 1)
        share += volume.reshape(depth, -1)[:, at] * weight.astype(np.float32)
    return (share >= 0.5)[slices.clip(0, depth - 1)] & inside[:, None, None]


class PairMaker:
    """From a crop and its volume to what VRN is trained with; `VolumePairs` says what an item is.

    Args:
        augmentation: how each pair is changed.
        seed, step, size, landmarks: as for `VolumePairs`.
    """

    def __init__(
        self,
        *,
        augmentation: Augmentation,
        seed: int,
        step: int = 4,
        size: int = CROP_SIZE,
        landmarks: float | None = None,
    ) -> None:
        self.augmentation, self.seed, self.step, self.size = augmentation, seed, step, size
        self.landmarks = landmarks

    def __call__(self, image: Picture, volume: Volume, notes: Any, key: tuple[int, int]) -> tuple[Tensor, ...]:
        """The item of this (index, epoch); ``notes`` are the volume file's.

        Raises:
            ValueError: no crop, or no landmarks among the notes where they are wanted.
        """
        if image.shape != (CROP_SIZE, CROP_SIZE, 3) or volume.shape[1:] != (CROP_SIZE, CROP_SIZE):
            raise ValueError(
                f"Expected a crop of {CROP_SIZE} pixels and its volume, got {image.shape}, {volume.shape}."
            )
        rng = np.random.default_rng([self.seed, key[1], key[0]])
        matrix = self.augmentation.similarity(rng)
        place = to_picture(matrix, self.size)
        picture = moved_picture(image, place, self.size)
        picture = self.augmentation.recolor(picture, rng)
        step = round(self.step * CROP_SIZE / self.size)
        solid = moved_volume(volume, matrix, step=step, extent=noted_extent(notes))
        if self.landmarks is None:
            return as_item(picture, solid)
        return as_item(picture, solid, moved_landmarks(noted_landmarks(notes), place, rng, noise=self.landmarks))


def noted_landmarks(notes: Any) -> Floats:
    """The landmarks (68, 3) in crop pixels of a volume file's notes. Raises ValueError where there are none."""
    try:
        return checked_points(notes["landmarks"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "Expected the 68 landmarks of each pair in its volume file, got none; make the targets anew, or train the "
            "unguided VRN."
        ) from error


def noted_extent(notes: Any) -> tuple[float, float] | None:
    """What a volume file's notes say of how deep its mesh is; None where they say nothing that makes sense.

    >>> noted_extent({"extent": [-3.5, 199.5]}), noted_extent({"extent": ["deep"]}), noted_extent([])
    ((-3.5, 199.5), None, None)
    """
    extent = notes.get("extent") if isinstance(notes, dict) else None
    if not isinstance(extent, list) or len(extent) != 2 or not all(isinstance(one, int | float) for one in extent):
        return None
    return (extent[0], extent[1]) if -1e4 < extent[0] < extent[1] < 1e4 else None


class FolderPairs(Dataset[tuple[Tensor, ...]]):
    """The pairs of a folder, see `tddfa.target_folder.find_pairs`.

    Args:
        folder: of ``vrn targets`` or ``vrn render``.
        make: what becomes of a pair.

    Raises:
        ValueError: there are none.
    """

    def __init__(self, folder: str | Path, make: PairMaker) -> None:
        self.pairs, self.make = find_pairs(folder), make

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, ...]:
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        picture, volume = self.pairs[index]
        solid, _, notes = load_volume(volume)
        return self.make(read_photo(picture), solid, notes, (index, epoch))


class ShardPairs(Dataset[tuple[Tensor, ...]]):
    """An endless stream out of shards: each loader process draws shards at random, and pairs among a few hundred.

    An item's key says how it is augmented, not which pair it is: that is whatever comes next. So a training on shards
    that is resumed sees other pairs than one that was not stopped.

    Args:
        source: a folder of shards, one of them, several by WebDataset's braces (``{000000..000099}.tar``), or a URL.
        make: what becomes of a pair.

    Raises:
        ValueError: no shards there, a kind of URL that is not read, or WebDataset is not installed.
    """

    def __init__(self, source: str, make: PairMaker) -> None:
        self.urls, self.make = shard_urls(source), make
        self.stream: Iterator[dict[str, Any]] | None = None

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, ...]:
        self.stream = self.stream or self.samples()
        try:
            sample = next(self.stream)
        except (tarfile.TarError, EOFError) as error:
            raise ValueError(f"Expected whole tar files, got one that is damaged ({error}).") from error
        where = f"{sample['__url__']}: {sample['__key__']}"
        picture = next((sample[ending[1:]] for ending in PICTURES if ending[1:] in sample), None)
        if picture is None or "npz" not in sample:
            raise ValueError(f"Expected a picture (PNG, JPEG) and a volume (npz) in {where}, got {sorted(sample)}.")
        volume, _, notes = load_volume(where, data=sample["npz"])
        return self.make(decoded(picture), volume, notes, key if isinstance(key, tuple) else (key, 0))

    def samples(self) -> Iterator[dict[str, Any]]:
        """This process's own stream of members' bytes by ending."""
        import webdataset

        worker = get_worker_info()
        own = [self.make.seed, int(os.environ.get("RANK", "0")), worker.id if worker else 0]
        number = int(np.random.SeedSequence(own).generate_state(1)[0])
        shards = webdataset.ResampledShards(self.urls, seed=number, worker_seed=lambda: 0, deterministic=True)
        return iter(
            webdataset.DataPipeline(shards, webdataset.tarfile_to_samples(), webdataset.shuffle(SHUFFLED, seed=number))
        )


def shard_urls(source: str) -> list[str]:
    """The shards that `ShardPairs` reads for a source. Raises ValueError as that does."""
    need_webdataset()
    from webdataset.shardlists import expand_urls

    scheme = urlsplit(source).scheme
    if len(scheme) > 1 and scheme not in SCHEMES:  # one letter is a drive
        raise ValueError(f"Expected shards in files or at {', '.join(SCHEMES[2:])}, got {scheme}: of {source}.")
    folder = Path(source)
    urls = [str(path) for path in sorted(folder.glob("*.tar"))] if folder.is_dir() else list(expand_urls(source))
    missing = [url for url in urls if "://" not in url and not Path(url).is_file()]
    if missing or not urls:
        raise ValueError(f"Expected shards (.tar) at {source}, found no {missing[0] if missing else 'file'}.")
    return urls


class Mixture(Dataset[tuple[Tensor, ...]]):
    """Several data sets as one: each item comes from one of them, drawn by weight.

    Args:
        sources: with items (index, epoch); those without a length are streams.
        weights: of each, above 0.
        count: items of an epoch.
        seed: of the choice.
    """

    def __init__(self, sources: Sequence[Dataset[Any]], weights: Sequence[float], *, count: int, seed: int) -> None:
        self.sources, self.count, self.seed = sources, count, seed
        self.shares = np.asarray(weights, float) / sum(weights)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, ...]:
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        rng = np.random.default_rng([self.seed, epoch, index, len(self.sources)])
        source = self.sources[rng.choice(len(self.sources), p=self.shares)]
        if isinstance(source, ShardPairs):
            return source[index, epoch]
        return source[int(rng.integers(len(source))), epoch]  # type: ignore[arg-type]  # it has a length


def split_weight(source: str) -> tuple[str, float]:
    """A source and its weight: "folder=0.3"; 1 where none is given.

    Raises:
        ValueError: a weight that is not above 0.

    >>> split_weight("targets=0.25"), split_weight("renders")
    (('targets', 0.25), ('renders', 1.0))
    """
    name, _, text = source.rpartition("=")
    try:
        weight = float(text)
    except ValueError:
        return source, 1.0
    if not name or not 0 < weight < float("inf"):
        raise ValueError(f"Expected data as SOURCE=WEIGHT with a weight above 0, got {source}.")
    return name, weight
