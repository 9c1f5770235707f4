"""Made-up faces, detectors and video files for the tests of tracking and of video files."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tddfa.geometry import crop_roi, roi_from_box, roi_from_landmarks


def picture(box: tuple[int, int, int, int] | None, *, height: int = 240, width: int = 320) -> np.ndarray:
    """A black picture; the face is a white box x0, y0, x1, y1."""
    image = np.zeros((height, width, 3), np.uint8)
    if box is not None:
        x0, y0, x1, y1 = box
        image[y0:y1, x0:x1] = 255
    return image


def moving(count: int, *, step: int = 3, side: int = 60) -> list[np.ndarray]:
    return [picture((40 + step * i, 60, 40 + step * i + side, 60 + side)) for i in range(count)]


def white_box(image: np.ndarray) -> np.ndarray | None:
    ys, xs = np.nonzero(image[..., 0] > 127)
    return np.array([xs.min(), ys.min(), xs.max(), ys.max()], float) if len(xs) > 20 else None


class FakeDetector:
    """Finds the white box; ``asked`` holds the sizes of the pictures it saw."""

    def __init__(self):
        self.asked: list[tuple[int, int]] = []

    def __call__(self, image):
        self.asked.append(image.shape[:2])
        box = white_box(image)
        return np.zeros((0, 5), np.float32) if box is None else np.append(box, 0.9)[None].astype(np.float32)


class FakeFitter:
    """Like a network: whatever the crop shows, it gives a face; on the white box if there is one."""

    def __init__(self, nan_at: int | None = None):
        self.policies: list[str] = []
        self.nan_at = nan_at
        self.model = SimpleNamespace(tri=np.array([[0, 1, 2], [2, 1, 135]], np.int32))

    def __call__(self, image, boxes, *, crop_policy):
        self.policies.append(crop_policy)
        roi = roi_from_box(boxes[0]) if crop_policy == "box" else roi_from_landmarks(boxes[0])
        box = white_box(crop_roi(image, roi))
        side = roi[2] - roi[0]
        box = np.array([0.15, 0.15, 0.85, 0.85]) * side if box is None else box
        params = np.zeros((1, 62), np.float32)
        params[0, :4] = box + np.round(roi[:2] * 2)
        if self.nan_at == len(self.policies):
            params[:] = np.nan
        return params, np.array([roi])

    def reconstruct(self, params, rois, *, dense):
        if not np.isfinite(params).all():
            raise ValueError("Expected finite parameters")  # as the real one
        x0, y0, x1, y1 = params[0, :4]
        steps = np.linspace(0, 1, 136 if dense else 68)
        # the dense face runs along the same diagonal, twice as fine
        return np.stack([x0 + steps * (x1 - x0), y0 + steps * (y1 - y0), steps], axis=1)[None].astype(np.float32)

    def pose(self, params):
        return params[:, :3].astype(float)


def film(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    milliseconds: Sequence[int] | None = None,
    sound: str | None = None,
    onset: float = 0.0,
    channels: str = "stereo",
    samples: int = 44100,
) -> Path:
    """A video file by PyAV alone: frames at the given moments (default every 40 ms), and a tone from ``onset`` on."""
    import av

    moments = range(0, 40 * len(images), 40) if milliseconds is None else milliseconds
    with av.open(str(path), "w") as container:
        options = {"bf": "0"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        audio = sound and container.add_stream(sound, rate=samples, layout=channels)
        for image, at in zip(images, moments, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio:
            count = int((moments[-1] + 40) / 1000 * samples)
            time = np.arange(count) / samples
            tone = (np.sin(2 * np.pi * 440 * time) * 8000 * (time >= onset)).astype(np.int16)
            width = {"mono": 1, "stereo": 2, "5.1": 6}[channels]
            piece = av.AudioFrame.from_ndarray(np.repeat(tone, width)[None], format="s16", layout=channels)
            piece.sample_rate, piece.pts, piece.time_base = samples, 0, Fraction(1, samples)
            container.mux(audio.encode(piece))
            container.mux(audio.encode(None))
    return path
