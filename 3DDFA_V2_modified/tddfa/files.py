"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["write_bytes"]


def write_bytes(path: str | os.PathLike, data: bytes) -> Path:
    """Write a file under a temporary name and rename it, so that no half-written file is ever seen.

    Raises OSError (one sentence) when the folder is missing, not writable or full; nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            error.errno, f"expected to write {path}, got: {reason}; check the folder and free space"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path
