"""Files that are read whole and within bounds, that appear whole or not at all, and the names of results."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "beside",
    "check_file",
    "check_target",
    "clear_killed",
    "file_sha256",
    "is_address",
    "left_by_killed",
    "read_file",
    "replacing",
    "result_names",
    "temporary_name",
    "write_bytes",
]


def check_file(path: str | os.PathLike[str], *, largest: int, what: str) -> Path:
    """The path, when a regular file of a sensible size is there: devices and pipes never end.

    Args:
        path: the file.
        largest: the most bytes that it may have.
        what: the kind of file with its article, for the message.

    Raises:
        FileNotFoundError: nothing there, or an address, which is to be downloaded first.
        ValueError: no regular file, or too large a one.
    """
    path = Path(path)
    if not path.is_file():
        if path.exists():
            raise ValueError(f"Expected {what}, {path} is a folder, a device or a pipe; name a file.")
        if is_address(path):
            raise FileNotFoundError(f"Expected {what}, {path} is an address; download it and name the file.")
        raise FileNotFoundError(f"Expected {what} at {path}, found no such file; check the path.")
    if path.stat().st_size > largest:
        raise ValueError(
            f"Expected {what} of up to {largest:,} bytes, {path} has {path.stat().st_size:,}; is it another file?"
        )
    return path


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether a path that is not there is an address of the net; ``Path`` has made one slash of two.

    >>> is_address("https://example.org/face.jpg"), is_address(Path("s3://faces/a.jpg")), is_address("c:/faces/a.jpg")
    (True, True, False)
    """
    return bool(re.match(r"[a-z][a-z0-9+.-]+:(/|.*;base64,)", str(path), re.IGNORECASE))  # one letter is a drive


def read_file(path: str | os.PathLike[str], *, largest: int, what: str) -> bytes:
    """The bytes of a regular file; arguments and errors as in :func:`check_file`."""
    return check_file(path, largest=largest, what=what).read_bytes()


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def check_target(
    path: str | os.PathLike[str], begins: bytes | tuple[bytes, ...] | None = None, *, source: Path | None = None
) -> Path:
    """The path, when writing there loses nothing that somebody else made.

    Args:
        path: the file to write; an older one is replaced only when it is of the kind that is written.
        begins: what a file of this kind begins with, or may begin with; None when any file may be replaced.
        source: what was read, which is never replaced.

    Raises:
        ValueError: there is a file of another kind, the source, or no file at all but something else.
    """
    path = Path(path)
    if not path.exists() and not path.is_symlink():
        return path
    if source is not None and source.exists() and path.exists() and path.samefile(source):
        raise ValueError(f"Expected another name for the result than {path}, which was read; name another folder.")
    if not path.is_file():
        raise ValueError(f"Expected to write the file {path}, there is something else; name another one.")
    if begins is not None and path.stat().st_size:
        with open(path, "rb") as file:
            if not file.read(256).startswith(begins):
                raise ValueError(
                    f"Expected to replace a file of an earlier run only, {path} is of another kind; "
                    "name another one or move it away."
                )
    return path


def beside(path: Path, suffix: str) -> Path:
    """The file with the same name and another ending, which may be in capitals: the one that is there, if any."""
    capitals = path.with_suffix(suffix.upper())
    return capitals if capitals.is_file() and not path.with_suffix(suffix).is_file() else path.with_suffix(suffix)


@contextmanager
def replacing(path: str | os.PathLike[str], *, what: str = "") -> Iterator[Path]:
    """A temporary name to write to inside the ``with`` block; it becomes ``path`` when the block ends well.

    Whatever happens, nothing half-written is left behind.

    Args:
        path: the file; an older one is replaced.
        what: the kind of file with a space after it, for the message.

    Raises:
        OSError: the folder is missing, not writable or full; one sentence.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name(path.name))
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


def temporary_name(name: str) -> str:
    """A hidden name for what becomes NAME, with this process and machine in it, for :func:`left_by_killed`."""
    return f".{name}.{os.getpid()}-{_machine()}{secrets.token_hex(2)}.part"


def left_by_killed(name: str) -> bool:
    """Whether a file or folder of this name was left by a process of this machine that is no more.

    Always False on Windows, which has no harmless way to ask for a process.
    """
    found = re.search(r"^\..*\.([0-9]{1,9})-([0-9a-f]{4})[0-9a-f]{4}\.part$", name, re.DOTALL)
    if found is None or found[2] != _machine() or os.name != "posix":
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        return False
    return False


def clear_killed(folder: str | os.PathLike[str]) -> None:
    """Delete the half-written files that killed processes left in a folder and below."""
    for place, _, names in os.walk(folder):
        for name in names:
            if left_by_killed(name):
                with suppress(OSError):
                    Path(place, name).unlink(missing_ok=True)


def _machine() -> str:
    """Four hexadecimal digits of this machine's name: processes of others cannot be asked for."""
    return f"{zlib.crc32(platform.node().encode()) & 0xFFFF:04x}"


def write_bytes(path: str | os.PathLike[str], data: bytes, *, what: str = "") -> Path:
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
