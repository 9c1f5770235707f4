"""Readers of folders that a command filled: pairs, shards, tables, cached renders."""

from __future__ import annotations

import io
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .inputs import Files, json_bytes
from .whole import Reader, ball, picture

# --- folders of pairs, shards and tables ------------------------------------------------------------------------------


def crop_and_volume() -> tuple[bytes, bytes]:
    from tddfa.volume_file import volume_bytes

    png = cv2.imencode(".png", picture(192, 192))[1].tobytes()
    return png, volume_bytes(ball((200, 192, 192)), offset=99.5, meta={"extent": [30.0, 170.0]})


def pair_seeds() -> list[Files]:
    png, volume = crop_and_volume()
    table = b"picture,volume\na.png,a.npz\n"
    return [{"a.png": png, "a.npz": volume, "pairs.csv": table}, {"a.png": png, "a.npz": volume}]


def read_pairs(folder: Path) -> object:
    from vrnlib.training.augment import Augmentation
    from vrnlib.training.pairs import FolderPairs, PairMaker

    return FolderPairs(folder, PairMaker(augmentation=Augmentation.none(), seed=0))[0]


def shard_seeds() -> list[Files]:
    png, volume = crop_and_volume()
    members = {"000000000.json": b'{"settings": {"how": "render", "seed": 1, "index": 0}}'}
    members |= {"000000000.npz": volume, "000000000.png": png}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return [{"000000.tar": out.getvalue()}]


def read_shard(folder: Path) -> object:
    from vrnlib.training.augment import Augmentation
    from vrnlib.training.pairs import PairMaker, ShardPairs
    from vrnlib.training.rendering import PairFolder, _is_there

    _is_there(folder / "000000.tar", PairFolder(out=folder, seed=1, ending=".png"), range(1))
    return ShardPairs(str(folder), PairMaker(augmentation=Augmentation.none(), seed=0))[0]


def table_seeds() -> list[Files]:
    failures = b'picture,reason\na/b.jpg,no face\n"c,d.png","x""y"\n'
    return [{"failures.csv": failures, "skipped.csv": b"photo,reason\na.jpg,no face\n"}]


def read_table(folder: Path) -> object:
    from tddfa.target_folder import claimed
    from vrnlib.commands.photos import check_listing

    check_listing(folder / "skipped.csv")
    return claimed(folder)


def cache_seeds() -> list[Files]:
    from vrnlib.training.cache import encoded

    rng = np.random.default_rng(4)
    facts: dict[str, Any]
    camera = {"angles": [5.0, 0.0, 3.0], "distance": 900.0, "center": [0.0, 0.0, 0.0], "scale": 0.9}
    facts = {"landmarks": rng.uniform(40, 150, (68, 3)).round(3).tolist(), "parameters": [0.5] * 62}
    facts["camera"] = {**camera, "shift": [96.0, 96.0]}
    jpg = encoded(picture(256, 256), ".jpg")
    return [{"00000000.jpg": jpg, "00000000.json": json_bytes(facts)}]


@cache
def rendered_faces() -> Any:
    from vrnlib.training.data import RenderedFaces

    return RenderedFaces(tempfile.mkdtemp(), seed=1, count=1)


def read_cache(folder: Path) -> object:
    from vrnlib.training.cache import Cache

    faces = rendered_faces()
    faces.cache = Cache(folder, ".jpg")
    (folder / "00000").mkdir(exist_ok=True)
    for path in list(folder.glob("0000000*.j*")):
        path.rename(folder / "00000" / path.name)
    if not (folder / "00000/00000000.json").exists():
        return None  # it would be rendered
    assert faces.landmarks(0).shape == (68, 3)
    assert faces.mesh(0).shape[1] == 3
    return faces.crop(0, np.eye(2, 3))


READERS = (
    Reader("pairs of a folder", pair_seeds, read_pairs),
    Reader("shards", shard_seeds, read_shard),
    Reader("tables", table_seeds, read_table),
    Reader("cached renders", cache_seeds, read_cache),
)
