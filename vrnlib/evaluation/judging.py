"""Every method on every face, by several processes: numbers per face, from which `vrnlib.evaluation.report` is made."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tddfa.arrays import Floats
from tddfa.describe import short_repr
from tddfa.workers import worker_pool
from vrnlib.crop import crop_face
from vrnlib.evaluation import methods
from vrnlib.evaluation.cases import Case, Cases, Truth
from vrnlib.evaluation.crops import nearest_face
from vrnlib.evaluation.distances import Options, surface_errors
from vrnlib.evaluation.methods import Method, MethodChoice, Prediction
from vrnlib.landmarks.detectors import OpenDetector
from vrnlib.metrics import front_depth_error, iou
from vrnlib.surface import SurfaceError

BATCH = 4
"""Faces that a worker takes at once."""

METRICS = {"volumes": ("iou", "depth"), "surfaces": ("nme", "nme_icp", "landmarks", "chamfer", "normals")}
"""What is measured, by what is judged."""

MISSED = {"iou": 0.0}
"""What a missed face counts where there is a worst value; elsewhere it is NaN, see `vrnlib.evaluation.intervals`."""

Errors = dict[str, dict[str, float]]
"""Method → metric → number."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done; picklable and hashable.

    Attributes:
        cases: the faces.
        choice: the methods.
        what: "volumes" or "surfaces".
        options: of the surfaces' errors.
        found: whether faces are found and cropped by our detector, instead of cropped at the true landmarks.
        mean_solid: file of the mean solid.
    """

    cases: Cases
    choice: MethodChoice
    what: str
    options: Options = Options()
    found: bool = False
    mean_solid: Path | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Verdict:
    """Numbers of N faces.

    Attributes:
        names: of the faces. yaws: (N,) degrees, NaN where nobody knows.
        errors: method → metric → (N,), NaN for missed faces without a worst value.
        missed: (N,), the faces that the detector did not find.
    """

    names: list[str]
    yaws: NDArray[np.float64]
    errors: dict[str, dict[str, NDArray[np.float64]]]
    missed: NDArray[np.bool_]

    __repr__ = short_repr


@dataclass(frozen=True)
class _Row:
    index: int
    name: str
    yaw: float
    missed: bool
    errors: Errors


def judge(job: Job, *, workers: int = 1, progress: bool = True) -> Verdict:
    """Every method on every face.

    Args:
        job: what is to be done.
        workers: processes; the numbers do not depend on it.
        progress: whether a bar is shown.

    Raises:
        ValueError: weights or faces that are of no use, or --found for crops that are no photos.
        OSError: missing files.
    """
    if job.found and job.cases[0].cropped:
        raise ValueError("Expected photos in which faces can be found, got crops; leave --found out.")
    job.choice.build()  # here, too, when others work: bad files are told at once
    with tempfile.TemporaryDirectory() as folder:
        job = replace(job, mean_solid=Path(folder, "mean_solid.npy"))
        rows = list(_alone(job, progress) if workers == 1 else _together(job, workers, progress))
    rows.sort(key=lambda row: row.index)
    errors = {
        method: {
            metric: np.array([row.errors[method][metric] for row in rows], np.float64) for metric in METRICS[job.what]
        }
        for method in job.choice.names()
    }
    return Verdict(
        names=[row.name for row in rows],
        yaws=np.array([row.yaw for row in rows], np.float64),
        errors=errors,
        missed=np.array([row.missed for row in rows], bool),
    )


def _alone(job: Job, progress: bool) -> Iterator[_Row]:
    total = methods.solids_sum(tqdm(range(methods.MEAN_SOLIDS), desc="mean solid", disable=not progress))
    _keep_mean(total, job)
    for index in tqdm(range(len(job.cases)), desc=job.what, unit="face", disable=not progress):
        yield _row(index, job)


def _together(job: Job, workers: int, progress: bool) -> Iterator[_Row]:
    """The same by several processes, in any order."""
    pool = worker_pool(workers)
    try:
        parts = [range(part, methods.MEAN_SOLIDS, 4 * workers) for part in range(4 * workers)]
        sums = pool.map(methods.solids_sum, parts)
        total = sum(tqdm(sums, desc="mean solid", total=len(parts), disable=not progress), start=np.uint16(0))
        _keep_mean(np.asarray(total), job)
        batches = [range(first, min(first + BATCH, len(job.cases))) for first in range(0, len(job.cases), BATCH)]
        futures = [pool.submit(_batch, batch, job) for batch in batches]
        with tqdm(total=len(job.cases), desc=job.what, unit="face", disable=not progress) as bar:
            for future in as_completed(futures):
                rows = future.result()
                bar.update(len(rows))
                yield from rows
    finally:
        pool.shutdown(cancel_futures=True)


def _keep_mean(total: NDArray[np.integer], job: Job) -> None:
    np.save(job.mean_solid or "", (total / methods.MEAN_SOLIDS).astype(np.float32))


def _batch(indices: range, job: Job) -> list[_Row]:
    """In a worker process."""
    return [_row(index, job) for index in indices]


def _row(index: int, job: Job) -> _Row:
    """All methods on one face."""
    case = job.cases[index]
    seen = look(case, _detector() if job.found else None)
    if seen is None:
        nothing = {metric: MISSED.get(metric, np.nan) for metric in METRICS[job.what]}
        return _Row(index, case.name, case.yaw, True, dict.fromkeys(job.choice.names(), nothing))
    image, matrix, found = seen
    truth = case.truth(matrix)
    measured = {
        name: errors_of(method(image, found), truth, job.what, job.options) for name, method in _methods(job).items()
    }
    return _Row(index, case.name, case.yaw, False, measured)


def look(case: Case, detector: OpenDetector | None = None) -> tuple[NDArray[np.uint8], Floats, Floats | None] | None:
    """The crop that a VRN sees of a face.

    Args:
        case: the face.
        detector: finds it; without one the crop is that of the true landmarks.

    Returns:
        (crop (192, 192, 3), its matrix (2, 3), the found landmarks (68, 3) in its pixels or None), or None for a face
        that was not found: none lies near enough to it, see `vrnlib.evaluation.crops.nearest_face`.
    """
    if detector is None:
        if case.cropped:
            return case.photo, np.eye(2, 3), None
        crop = crop_face(case.photo, case.landmarks)
        return crop.image, crop.matrix, None
    truth = case.landmarks[None, :, :2]
    near = [face for face in detector(case.photo) if nearest_face(face.points, truth) is not None]
    if not near:
        return None
    crop = crop_face(case.photo, near[0])
    return crop.image, crop.matrix, crop.landmarks


def errors_of(prediction: Prediction, truth: Truth, what: str, options: Options) -> dict[str, float]:
    """The numbers of one prediction; a prediction without a surface counts as missed."""
    if what == "volumes":
        volume = prediction.volume
        return {"iou": iou(volume, truth.volume), "depth": front_depth_error(volume, truth.volume)}
    try:
        shape = prediction.shape
    except SurfaceError:
        return dict.fromkeys(METRICS[what], float("nan"))
    return surface_errors(shape, truth.shape, truth.landmarks, options=options)


@lru_cache(maxsize=1)
def _methods(job: Job) -> dict[str, Method]:
    """A process's own methods."""
    return job.choice.build(job.mean_solid)


@lru_cache(maxsize=1)
def _detector() -> OpenDetector:
    return OpenDetector()
