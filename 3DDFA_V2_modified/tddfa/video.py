"""A face followed through the frames of a video: fitted from the frame before, found again when lost, smoothed.

3DDFA_V2's ``demo_video.py`` crops each frame by the landmarks of the frame before and runs its detector only when the
crop has become too small. It cannot tell a face from a wall, so a face that leaves the picture stays "tracked". Here
a fit must look like the face before it, and the detector looks into the crop now and then. Smoothing is the moving
average with look-ahead of ``demo_video_smooth.py``.

Frames go in and come out one by one; a video never lies in memory as a whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from .arrays import Floats, Image
from .boxes import box_around, box_middles, box_overlaps, crop_roi, roi_from_landmarks
from .describe import short_repr
from .interfaces import Detector, Regressor

__all__ = ["Closing", "TrackedFrame", "VideoError", "check_range", "smoothed", "track"]

MIN_ROI_AREA = 2020.0
"""A tracked crop below this many square pixels is given up and the detector asked, as in 3DDFA_V2."""

MAX_JUMP = 0.2
"""Landmarks that move by more than this share of the face's side from one frame to the next are another face.

A head that turns while it speaks moves by 0.02 to 0.11 at 25 frames per second; the fit by 0.26 to 0.37 when the
picture under it changes to a wall or another scene. A wrong guess costs one detection.
"""

SIDE_RANGE = (0.25, 1.15)
"""Side of plausible landmarks in sides of the crop: 0.71 when a face is followed, a little less from a box."""

MIN_BOX_SIDE = 8.0
"""A detected box that is smaller, in pixels, shows no features to fit."""

CHECK_MARGIN = 2.0
"""Side of the picture that the detector checks, in sides of the tracked crop."""

MIN_OVERLAP = 0.25
"""IoU of the landmarks' box and a detected one above which they are the same face."""


class VideoError(ValueError):
    """A video that cannot be read, written or shown; the message is one sentence for the user."""


Itself = TypeVar("Itself", bound="Closing")


class Closing:
    """What a ``with`` block closes at its end."""

    def close(self) -> None:
        """Gives back what is held open; here nothing."""

    def __enter__(self: Itself) -> Itself:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True, repr=False)
class TrackedFrame:
    """One frame and the face in it.

    Attributes:
        index: 0 for the first frame that was tracked.
        image: (H, W, 3) uint8 RGB, unchanged.
        landmarks: (68, 3) float32 image pixels, or None where no face was found.
        vertices: (N, 3) float32 the dense face with the same zero of z, or None (no face, or not asked for).
        detected: the face comes from the detector, not from the frame before.
        params: (62,) float32 of this frame's own fit, never averaged, or None.
        roi: (4,) float64 square that the network saw, or None.
    """

    index: int
    image: Image
    landmarks: Floats | None = None
    vertices: Floats | None = None
    detected: bool = False
    params: Floats | None = None
    roi: Floats | None = None

    __repr__ = short_repr


def check_range(start: int, end: int | None) -> None:
    """VideoError, one sentence, unless there can be frames from number ``start`` to ``end``."""
    if start < 0 or (end is not None and end < start):
        raise VideoError(f"Expected a range with 0 <= start <= end, got frames {start} to {end}.")


def track(
    frames: Iterable[Image],
    detector: Detector,
    tddfa: Regressor,
    *,
    dense: bool = False,
    check_every: int = 10,
    smooth: tuple[int, int] | None = None,
) -> Iterator[TrackedFrame]:
    """Follows the face with the best score through a video.

    A face is detected, fitted, and fitted again in the crop of its own landmarks. Each further frame is fitted in the
    crop of the landmarks before. The detector is asked again when the crop is too small (``MIN_ROI_AREA``), when the
    fit is not plausible, or when a check finds no face there. A frame without a face comes out with landmarks None,
    and the next one is tried.

    Args:
        frames: (H, W, 3) uint8 RGB each.
        detector: see ``Detector``.
        tddfa: see ``Regressor``.
        dense: the whole face too, not only its 68 landmarks.
        check_every: frames from one look of the detector to the next; 0 for none, as in 3DDFA_V2.
        smooth: (before, after) frames to average over, see :func:`smoothed`; None for none.

    Returns:
        One ``TrackedFrame`` per frame, in order. With ``smooth``, ``after`` frames are read ahead.

    Raises:
        ValueError: a negative number of frames.
    """
    if check_every < 0:
        raise ValueError(f"Expected check_every of 0 (never) or more frames, got {check_every}.")
    followed = _follow(frames, detector, tddfa, dense, check_every)
    return followed if smooth is None else smoothed(followed, before=smooth[0], after=smooth[1])


def smoothed(frames: Iterable[TrackedFrame], *, before: int = 1, after: int = 1) -> Iterator[TrackedFrame]:
    """Averages landmarks and vertices over a window of frames, ``before`` back and ``after`` ahead.

    At both ends of the video the first and last face count as often as frames are missing there, as in 3DDFA_V2. The
    same holds where the face is lost or another one follows: two faces are never mixed. ``before + after + 1`` frames
    are held in memory.

    Raises:
        ValueError: a negative number of frames.
    """
    if before < 0 or after < 0:
        raise ValueError(f"Expected 0 or more frames to average over, got {before} before and {after} after.")
    return _averages(frames, before, after)


def _averages(frames: Iterable[TrackedFrame], before: int, after: int) -> Iterator[TrackedFrame]:
    past: deque[TrackedFrame] = deque(maxlen=before)
    ahead: deque[TrackedFrame] = deque()  # its first one is the frame whose turn it is

    def oldest() -> TrackedFrame:
        current = ahead.popleft()
        window = [*_run(current, reversed(past), before), current, *_run(current, ahead, after)]
        past.append(current)
        if current.landmarks is None:
            return current
        vertices = None if current.vertices is None else _mean(each.vertices for each in window)
        return replace(current, landmarks=_mean(each.landmarks for each in window), vertices=vertices)

    for frame in frames:
        ahead.append(frame)
        if len(ahead) > after:
            yield oldest()
    while ahead:
        yield oldest()


def _mean(faces: Iterable[Floats | None]) -> Floats:
    """The mean of faces that are all there."""
    return np.mean([face for face in faces if face is not None], axis=0)


def _run(current: TrackedFrame, neighbours: Iterable[TrackedFrame], count: int) -> list[TrackedFrame]:
    """The next ``count`` neighbours of the same face; the last one again where the face ends."""
    run: list[TrackedFrame] = []
    last = current
    for frame in neighbours:
        if len(run) == count or frame.landmarks is None or last.landmarks is None:
            break
        if _jump(last.landmarks, frame.landmarks) > MAX_JUMP:
            break
        run.append(frame)
        last = frame
    return run + [last] * (count - len(run))


def _follow(
    frames: Iterable[Image], detector: Detector, tddfa: Regressor, dense: bool, check_every: int
) -> Iterator[TrackedFrame]:
    last: Floats | None = None  # the landmarks of the frame before
    unchecked = 0  # frames since the detector saw the face
    for index, image in enumerate(frames):
        fit, detected = None, False
        if last is not None and _area(roi_from_landmarks(last)) >= MIN_ROI_AREA:
            fit = _fit(tddfa, image, last, "landmark")
            unchecked += 1
            if fit is not None and _jump(last, fit[0]) > MAX_JUMP:
                fit = None
            elif fit is not None and check_every and unchecked >= check_every:
                fit, unchecked = (fit if _face_at(fit[0], image, detector) else None), 0
        if fit is None:
            fit, unchecked = _detect(tddfa, image, detector), 0
            detected = fit is not None
        if fit is None:
            last = None
            yield TrackedFrame(index, image)
            continue
        last, params, rois = fit
        vertices = tddfa.reconstruct(params, rois, dense=True)[0] if dense else None
        yield TrackedFrame(index, image, last, vertices, detected, params[0], rois[0])


_Fit = tuple[Floats, Floats, Floats]
"""Landmarks (68, 3), parameters (1, 62), rois (1, 4)."""


def _detect(tddfa: Regressor, image: Image, detector: Detector) -> _Fit | None:
    """The best detected face, fitted in its box and once more by its landmarks; None when there is none."""
    for box in detector(image):
        middle, side = _middle_and_side(box[:4].reshape(2, 2))
        if side >= MIN_BOX_SIDE and _within(middle, image):
            first = _fit(tddfa, image, box, "box")
            return None if first is None else _fit(tddfa, image, first[0], "landmark")
    return None


def _fit(tddfa: Regressor, image: Image, where: Floats, crop_policy: str) -> _Fit | None:
    """One face fitted; None when the landmarks cannot be a face in that crop."""
    params, rois = tddfa(image, [where], crop_policy=crop_policy)
    if not np.isfinite(params).all():
        return None
    landmarks = tddfa.reconstruct(params, rois, dense=False)[0]
    middle, side = _middle_and_side(landmarks)
    left, top, right, bottom = rois[0]
    low, high = (share * (right - left) for share in SIDE_RANGE)
    plausible = low < side < high and left < middle[0] < right and top < middle[1] < bottom
    return (landmarks, params, rois) if plausible and _within(middle, image) else None


def _face_at(landmarks: Floats, image: Image, detector: Detector) -> bool:
    """Whether the detector finds a face where the landmarks are; it sees only their surroundings."""
    middle, _ = _middle_and_side(landmarks)
    left, top, right, bottom = roi_from_landmarks(landmarks)
    half = CHECK_MARGIN * (right - left) / 2
    around = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    corner = np.array([round(float(value)) for value in around[:2]] * 2, np.float64)
    found = np.asarray(detector(crop_roi(image, around))).reshape(-1, 5)[:, :4] + corner
    return bool((box_overlaps(box_around(landmarks), found) >= MIN_OVERLAP).any())


def _area(box: Floats | tuple[float, float, float, float]) -> float:
    return abs(float((box[2] - box[0]) * (box[3] - box[1])))


def _within(point: Floats, image: Image) -> bool:
    """Whether a point (2,) x, y lies in the picture."""
    height, width = image.shape[:2]
    return bool(0 <= point[0] < width and 0 <= point[1] < height)


def _middle_and_side(points: Floats) -> tuple[Floats, float]:
    """Middle (2,) and longer side of the box around points (P, 2) or (P, 3), in pixels."""
    box = box_around(points)
    return box_middles(box), float((box[2:] - box[:2]).max())


def _jump(before: Floats, after: Floats) -> float:
    """How far the landmarks moved in the picture (root mean square), in sides of the face."""
    moved = np.square(after[:, :2] - before[:, :2]).sum(axis=1).mean()
    return float(np.sqrt(moved)) / max(_middle_and_side(before)[1], 1e-9)
