"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "write_bytes"]


@contextmanager
def replacing(path: str | os.PathLike, *, what: str = "") -> Iterator[Path]:
    """A temporary name to write to inside the ``with`` block; it becomes ``path`` when the block ends well.

    what: the kind of file with a space after it, for the message. Raises OSError (one sentence) when the folder is
    missing, not writable or full; whatever happens, nothing half-written is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            error.errno, f"expected to write {what}{path}, got: {reason}; check the folder and free space"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike, data: bytes, *, what: str = "") -> Path:
    """Write a file whole or not at all; ``what`` and errors as in :func:`replacing`."""
    with replacing(path, what=what) as temporary:
        temporary.write_bytes(data)
    return Path(path)
