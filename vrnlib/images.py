"""Photos from files, and the photos of a folder.

What a camera, a scanner or a browser wrote becomes one (H, W, 3) uint8 RGB array, upright, by `tddfa.images`: the
volume targets are made from photos, too, so the reader lives there.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tddfa.images import MAX_PIXELS, MIN_SIDE, PHOTO_SUFFIXES, PhotoError, as_photo, read_photo

__all__ = ["MAX_PIXELS", "MIN_SIDE", "PHOTO_SUFFIXES", "PhotoError", "as_photo", "list_photos", "read_photo"]


def list_photos(folder: str | PathLike[str]) -> list[Path]:
    """The photos of a folder (not of its subfolders) in alphabetical order, known by their file endings.

    Pictures that `vrnlib.export.save` put there (a .npz and a .json lie beside them) are left out.
    """
    found = []
    for path in sorted(Path(folder).iterdir()):
        if not path.is_file() or path.suffix.lower() not in PHOTO_SUFFIXES or path.name.startswith("."):
            continue
        if path.with_suffix(".npz").exists() and path.with_suffix(".json").exists():
            continue
        found.append(path)
    return found
