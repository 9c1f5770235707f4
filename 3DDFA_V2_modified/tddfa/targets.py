"""Volume targets: a folder of pictures becomes a folder of solids that a VRN learns from.

For every picture NAME.jpg the output folder gets NAME.npz: the exact solid (``tddfa.save_volume``) in the frame of the
192 x 192 crop, and, unless the pictures are crops already, the crop itself as NAME.png. Subfolders are mirrored.

One process does it all, so that the networks and the face model are loaded once and not per picture; ``workers`` share
the pictures among several, ``dask`` among machines. A run can be stopped at any time and started again:
files appear whole or not at all, the volume last, and a target whose picture, settings and crop are still the same is
left as it is. What could not be done is listed in ``failures.csv``. The input folder is only read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from .arrays import Floats, Image, Volume
from .console import sentence
from .contract import CROP_SIZE, VOLUME_SHAPE
from .crop import crop_matrix, transform_points, warp_similarity
from .files import beside, read_file, result_names, write_bytes
from .fitters import Fit, Fitter, FitterChoice, NoFaceError
from .model_files import combine
from .morphable import MorphableModel
from .shards import check_shards, write_pairs
from .target_folder import FAILURES, PAIR_COLUMNS, PAIRS, Summary, check_folders, fill_folder, write_table
from .volume_file import load_volume, save_volume
from .voxelizer import slice_extent, voxelize

__all__ = ["Summary", "make_target", "make_targets"]

LARGEST_SOURCE = 2**30
"""Bytes of a picture's file."""

Reader = Callable[[Path], Image]
"""Reads a picture as (H, W, 3) uint8 RGB; ValueError or OSError for what is none."""


@dataclass(frozen=True)
class _Task:
    """One picture. ``name`` is its target's path in the output folder, without ending."""

    picture: Path
    name: str


@dataclass(frozen=True)
class _Job:
    """What all pictures of a run have in common; picklable."""

    out: Path
    choice: FitterChoice
    read: Reader


def make_targets(
    pictures: Sequence[Path],
    out: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str],
    read: Reader,
    choice: FitterChoice | None = None,
    workers: int = 1,
    dask: str | None = None,
    keep_pairs: bool = False,
    shards: int | None = None,
    progress: bool = True,
) -> Summary:
    """Make the targets of many pictures.

    Args:
        pictures: files below ``root``.
        out: the output folder, made when missing.
        root: the folder of the pictures; neither folder may lie in the other.
        read: how a picture is read.
        choice: how its face is fitted; default: detect and fit.
        workers: processes. With several, ``read`` and ``choice`` must be picklable. The files do not depend on it.
        dask: address of a Dask scheduler, whose workers do it instead. They see all folders under the same names.
        keep_pairs: also write ``pairs.csv``: picture (the crop) and volume of every valid target, as paths from there.
        shards: also write all valid targets as shards of so many pairs into ``out/shards``, see `tddfa.shards`. The
            single files stay: a later run knows by them what is done, and packs the shards anew.
        progress: show a bar.

    Raises:
        ValueError: folders that lie in each other, an output folder with files of others, or a bad choice.
        OSError: a target cannot be written (a full disk, say), a worker died, no cluster answers. What was done stays.
    """
    root, out = Path(root), Path(out)
    check_folders(root, out)
    if shards is not None:
        check_shards(shards)
    tasks = _tasks(pictures, root)
    job = _Job(out, choice or FitterChoice(), read)
    fitter = job.choice.build()  # here, too, when others work: bad files are told at once, and ONNX exported only once
    alone = workers == 1 and dask is None
    attempt = partial(_attempt, job=job, fitter=fitter if alone else None)
    summary = Summary()

    def name(task: _Task) -> str:
        return task.picture.relative_to(root).as_posix()

    try:
        fill_folder(out, tasks, attempt, names=name, summary=summary, workers=workers, dask=dask, progress=progress)
    finally:
        there = {*summary.made, *summary.kept}
        pairs = _pairs([task for task in tasks if name(task) in there], out, fitter.cropped)
        if keep_pairs and (out / FAILURES).exists():
            write_table(out / PAIRS, PAIR_COLUMNS, pairs)
    if shards is not None:
        write_pairs([(out / picture, out / volume) for picture, volume in pairs], out / "shards", per_shard=shards)
    return summary


def make_target(picture: Path, target: Path, *, fitter: Fitter, read: Reader) -> bool:
    """Make one target, unless it is there and valid.

    Args:
        picture: the picture's file.
        target: the volume's path, ending in ``.npz``; the crop lies beside it.
        fitter: finds the vertices of the face.
        read: how the picture is read.

    Returns:
        Whether it had to be made.

    Raises:
        ValueError: the picture cannot be read, or has no face; one sentence. No target is there then.
        OSError: the target cannot be written; nothing half-written is left.
    """
    crop_file = None if fitter.cropped else target.with_suffix(".png")
    try:
        source = _digest(picture, *([] if fitter.companion is None else [beside(picture, fitter.companion)]))
    except OSError as error:
        reason = str(error.strerror or error).rstrip(".")
        raise ValueError(f"Expected to read {picture.name}, got: {reason}.") from error
    if _is_valid(target, crop_file, source=source, settings=fitter.settings):
        return False
    for stale in filter(None, (target, crop_file)):
        stale.unlink(missing_ok=True)
    try:
        image = read(picture)
        fit = fitter(image, picture)
    except OSError as error:
        raise ValueError(str(error)) from error
    matrix = np.eye(2, 3) if fitter.cropped else crop_matrix(fitter.model.landmarks(fit.vertices))
    placed = transform_points(fit.vertices, matrix)
    landmarks = fitter.model.landmarks(placed)
    vertices, triangles = fitter.model.close(placed)
    volume, offset = voxelize(vertices, triangles)
    if not volume.any():
        raise NoFaceError(f"Expected a solid in the crop of {picture.name}, got none; the fit lies outside of it.")
    meta = {
        "picture": picture.name,
        "source": source,
        "settings": fitter.settings,
        "matrix": matrix.tolist(),
        "extent": slice_extent(vertices, triangles, offset),
        "landmarks": landmarks.round(3).tolist(),
        "parameters": _parameters(fit, landmarks, fitter.model),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    if crop_file is not None:
        crop = warp_similarity(image, matrix, CROP_SIZE)
        png = cv2.imencode(".png", crop[:, :, ::-1])[1].tobytes()
        meta["crop"] = hashlib.sha256(png).hexdigest()
        write_bytes(crop_file, png)
    save_volume(target, volume, offset=offset, meta=meta)
    return True


def _parameters(fit: Fit, landmarks: Floats, model: MorphableModel) -> list[float]:
    """A 3 x 4 matrix (row by row, model axes to crop pixels) and the coefficients of shape and expression."""
    rows = model.keypoints  # the landmarks' rows only
    face = combine(model.u[rows], model.w_shp[rows], model.w_exp[rows], fit.shape, fit.expression).astype(np.float64)
    matrix = np.linalg.lstsq(np.column_stack([face, np.ones(len(face))]), landmarks.astype(np.float64), rcond=None)[0].T
    numbers = np.concatenate([matrix.ravel(), fit.shape, fit.expression]).astype(np.float32)
    return [float(str(number)) for number in numbers]  # the shortest that means this float32


def _is_valid(target: Path, crop_file: Path | None, *, source: str, settings: dict[str, str]) -> bool:
    """Whether the target is whole, and was made of this very picture, with these settings, and with this crop."""
    try:
        volume, _, meta = cast("tuple[Volume, float, object]", load_volume(target))
        crop = None if crop_file is None else _digest(crop_file)
    except (ValueError, OSError):
        return False
    if not isinstance(meta, dict):
        return False
    same = (meta.get("source"), meta.get("settings"), meta.get("crop")) == (source, settings, crop)
    return same and volume.shape == VOLUME_SHAPE and bool(volume.any())


def _digest(*paths: Path) -> str:
    """SHA-256 of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(read_file(path, largest=LARGEST_SOURCE, what="a picture or its .mat file"))
    return digest.hexdigest()


def _attempt(task: _Task, job: _Job, fitter: Fitter | None = None) -> str:
    """ "made", "kept", or the reason why there is no target. A worker process has no fitter yet."""
    fitter = fitter or _fitter_of(job.choice)
    try:
        made = make_target(task.picture, job.out / f"{task.name}.npz", fitter=fitter, read=job.read)
    except ValueError as error:
        return sentence(error)
    return "made" if made else "kept"


@lru_cache(maxsize=1)
def _fitter_of(choice: FitterChoice) -> Fitter:
    """A worker's own fitter, built for its first picture."""
    return choice.build()


def _tasks(pictures: Sequence[Path], root: Path) -> list[_Task]:
    """One task per picture."""
    pictures = sorted(pictures)
    return [_Task(path, name) for path, name in zip(pictures, result_names(pictures, root=root), strict=True)]


def _pairs(tasks: Sequence[_Task], out: Path, cropped: bool) -> list[tuple[str, str]]:
    """Picture and volume of each target, relative to the output folder; the picture is the crop."""
    rows = []
    for task in sorted(tasks, key=lambda task: task.name):
        crop = Path(os.path.relpath(task.picture, out)).as_posix() if cropped else f"{task.name}.png"
        rows.append((crop, f"{task.name}.npz"))
    return rows
