"""What a reader is, how its errors are judged, and small whole files to begin with."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from .inputs import Files, changed_files

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        name: what it reads.
        seeds: whole folders of files; made once.
        read: what a command does with such a folder.
        made: a strategy for folders that are made up and no changed seeds, or None.
    """

    name: str
    seeds: Callable[[], list[Files]]
    read: Callable[[Path], object]
    made: Callable[[], st.SearchStrategy[Files]] | None = None

    def inputs(self) -> st.SearchStrategy[Files]:
        """Changed and made-up folders."""
        changed = changed_files(self.seeds())
        return changed if self.made is None else st.one_of(changed, self.made())


def only(folder: Path, *endings: str) -> Path:
    """The file of the folder with one of these endings, or the first one."""
    paths = sorted(folder.iterdir())
    return next((path for path in paths if path.name.endswith(endings)), paths[0])


def picture(height: int = 40, width: int = 48) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([5 * y % 256, 5 * x % 256, 3 * (x + y) % 256], axis=-1).astype(np.uint8)


def ball(shape: tuple[int, int, int] = (20, 24, 24)) -> np.ndarray:
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    middle = np.array(shape) / 2
    return (((z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2) < (min(shape) / 3) ** 2).astype(bool)


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def torch_bytes(content: Any) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def written(write: Callable[[Path], object], name: str) -> bytes:
    """The bytes of what a writer writes under a name."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def npz(content: dict[str, np.ndarray]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **content)
    return out.getvalue()


def yaml_bytes(tree: Any) -> bytes:
    import yaml

    return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "backslashreplace")


def told(error: BaseException) -> None:
    """AssertionError unless an error is one sentence of ours."""
    from tddfa.console import sentence

    text = sentence(error)
    ours = isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError | json.JSONDecodeError)
    readable = len(text.split()) >= 4 and len(text) < 1500 and "Traceback" not in text and "Errno" not in text
    assert ours and readable, f"{type(error).__name__}: {text[:300]}"
