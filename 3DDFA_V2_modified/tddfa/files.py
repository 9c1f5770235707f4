"""Files that appear whole or not at all, and the names of results."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "result_names", "write_bytes"]


@contextmanager
def replacing(path: str | os.PathLike, *, what: str = "") -> Iterator[Path]:
    """A temporary name to write to inside the ``with`` block; it becomes ``path`` when the block ends well.

    Whatever happens, nothing half-written is left behind.

    Args:
        path: the file; an older one is replaced.
        what: the kind of file with a space after it, for the message.

    Raises:
        OSError: the folder is missing, not writable or full; one sentence.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            error.errno, f"Expected to write {what}{path}, got: {reason}; check the folder and free space."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike, data: bytes, *, what: str = "") -> Path:
    """Write a file whole or not at all; ``what`` and errors as in :func:`replacing`."""
    with replacing(path, what=what) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def result_names(sources: Sequence[Path], *, root: Path | None = None) -> list[str]:
    """A name for each source's results: the source's own, without its ending.

    Sources that differ only by their ending, or by capitals, keep the ending in the name, so that no two results are
    one file, on systems that do not tell capitals apart either.

    Args:
        sources: files.
        root: a folder above all of them; names then hold the way from there, with "/" between folders. Without it,
            names are those of the files alone.

    Example:
        >>> result_names([Path("ann.jpg"), Path("bob.jpg"), Path("bob.png")])
        ['ann', 'bob_jpg', 'bob_png']
    """
    stems = [path.stem if root is None else path.relative_to(root).with_suffix("").as_posix() for path in sources]
    counts = Counter(stem.casefold() for stem in stems)
    names: list[str] = []
    taken: set[str] = set()
    for path, stem in zip(sources, stems, strict=True):
        ending = f"_{path.suffix[1:].lower()}"
        name = stem + ending * (counts[stem.casefold()] > 1)
        while name.casefold() in taken:
            name += ending
        taken.add(name.casefold())
        names.append(name)
    return names
