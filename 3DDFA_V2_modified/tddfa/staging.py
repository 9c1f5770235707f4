"""Several files that appear together: made in a hidden folder, then moved; a later run ends what a killed one began.

A hidden folder with the list `MOVES` in it is complete. Whoever finds one whose process is gone moves the rest of it,
so that a set of results is never half old and half new for longer than until the next run.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .files import clear_killed, left_by_killed, temporary_name, write_bytes

__all__ = ["finish_killed", "move_all", "new_stage"]

MOVES, OLD = "moves", "old"
"""In a hidden folder: names of results that go when its files come, and where old ones wait for the end of the move."""


def new_stage(folder: Path) -> Path:
    """A new hidden folder in a folder."""
    stage = folder / temporary_name("vrn")
    stage.mkdir()
    return stage


def move_all(stage: Path, folder: Path, *, stale: Sequence[Path]) -> list[Path]:
    """Move every staged file into the folder, and stale ones away; if one fails, put everything back as it was."""
    sources, old = _staged(stage), stage / OLD
    old.mkdir()
    write_bytes(stage / MOVES, json.dumps([path.name for path in stale]).encode())
    moved: list[Path] = []
    try:
        for path in stale:
            os.replace(path, old / path.name)
        for source in sources:
            target = folder / source.name
            if target.exists():
                os.replace(target, old / target.name)
            os.replace(source, target)
            moved.append(target)
    except BaseException:  # Ctrl-C between two files, too
        for target in moved:
            os.replace(target, stage / target.name)
        for kept in old.iterdir():
            os.replace(kept, folder / kept.name)
        (stage / MOVES).unlink()
        raise
    return moved


def finish_killed(folder: Path) -> bool:
    """End what killed runs began in a folder and below, and clear what they left; whether there was a hidden folder."""
    found = False
    for place, below, _ in os.walk(folder):
        for name in [name for name in below if left_by_killed(name)]:
            below.remove(name)
            _finish(Path(place, name))
            found = True
    clear_killed(folder)
    return found


def _finish(stage: Path) -> None:
    """Move the rest of a complete hidden folder, then delete it; one that this module did not write stays as it is."""
    if (stage / MOVES).is_file():
        try:
            stale = json.loads((stage / MOVES).read_text(encoding="utf-8"))
        except ValueError:
            return
        if not isinstance(stale, list) or not all(isinstance(name, str) and Path(name).name == name for name in stale):
            return  # a list from elsewhere must not delete files outside of the folder
        for name in stale:
            (stage.parent / name).unlink(missing_ok=True)
        for source in _staged(stage):
            os.replace(source, stage.parent / source.name)
    shutil.rmtree(stage, ignore_errors=True)


def _staged(stage: Path) -> list[Path]:
    """The files of a hidden folder that are results."""
    return sorted(path for path in stage.iterdir() if path.is_file() and path.name != MOVES)
