"""What else is kept of a video's faces: their numbers in one .npz file, and a mesh per frame."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from .arrays import Floats, Integers
from .contract import PARAMETER_COUNT
from .export import save_obj, save_ply
from .files import write_bytes
from .outputs import check_arrays_target, from_zero
from .video import TrackedFrame

__all__ = ["FrameArrays", "FrameMeshes"]

ARRAYS = ("time", "found", "detected", "roi", "params", "sparse", "pose_deg")
"""Names of what :class:`FrameArrays` writes."""


OURS = re.compile(r"\d{6,}(\.ply|\.obj|\.mtl|_texture\.png)")
"""What the files of a folder of meshes are named."""


class FrameArrays:
    """The numbers of T frames, named and shaped as in ``demo.py --arrays``, one row per frame.

    They are time (T,) in seconds, found and detected (T,) bool, roi (T, 4), params (T, 62), sparse (T, 3, 68) and
    pose_deg (T, 3). A frame without a face has NaN. ``sparse`` is as it was drawn, smoothed or not; ``params`` and
    ``pose_deg`` are of each frame's own fit.

    Args:
        path: the file, which ends in .npz.
        pose: parameters (F, 62) to angles (F, 3), as ``TDDFA.pose``.
        source: the video's file, which is never replaced.

    Raises:
        ValueError: another ending, or a file there that was not written by this.
    """

    def __init__(self, path: str | PathLike[str], pose: Callable[[Floats], Floats], *, source: Path) -> None:
        self._path = check_arrays_target(path, source=source, names=ARRAYS)
        self._pose = pose
        self._rows: list[tuple[float, bool, bool, Floats, Floats, Floats]] = []

    def add(self, frame: TrackedFrame, seconds: float) -> None:
        """Takes a frame's numbers; ``seconds`` is when it is shown."""
        if frame.landmarks is None or frame.params is None or frame.roi is None:
            none = np.full(4, np.nan), np.full(PARAMETER_COUNT, np.nan), np.full((3, 68), np.nan)
            self._rows.append((seconds, False, False, *none))
            return
        sparse = from_zero(frame.landmarks[None])[0].T
        self._rows.append((seconds, True, frame.detected, frame.roi, frame.params, sparse))

    def save(self) -> Path:
        """Writes the file, whole or not at all; a missing folder is made."""
        time, found, detected, roi, params, sparse = (np.array(column) for column in zip(*self._rows, strict=True))
        pose = np.full((len(time), 3), np.nan)
        if found.any():
            pose[found] = self._pose(params[found].astype(np.float32))
        memory = io.BytesIO()
        np.savez_compressed(
            memory,
            time=time,
            found=found,
            detected=detected,
            roi=roi,
            params=params.astype(np.float32),
            sparse=sparse.astype(np.float32),
            pose_deg=pose,
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return write_bytes(self._path, memory.getvalue())


class FrameMeshes:
    """A mesh per frame, in a folder of its own: 000000.ply is the video's first frame.

    A .ply has the frame's colours, an .obj the frame as its texture.

    Args:
        folder: new, empty, or with the meshes of an earlier run, which go.
        kind: "ply" or "obj".
        triangles: (M, 3) of the face model.

    Raises:
        ValueError: the folder holds other files.
    """

    def __init__(self, folder: Path, kind: str, triangles: Integers) -> None:
        self.folder, self._kind, self._triangles = folder, kind, triangles
        self._save = {"ply": save_ply, "obj": save_obj}[kind]
        older = list(folder.iterdir()) if folder.is_dir() else []
        strange = next((path for path in older if not OURS.fullmatch(path.name)), None)
        if strange is not None:
            raise ValueError(f"Expected a folder of meshes only, {folder} holds {strange.name}; move it away.")
        for path in older:
            path.unlink()

    def add(self, frame: TrackedFrame, number: int) -> None:
        """Writes the face of a frame, where there is one."""
        if frame.vertices is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._save(self.folder / f"{number:06d}.{self._kind}", frame.image, frame.vertices, self._triangles)
