"""What a camera and a file do to a picture: light ramp, color cast, blur, low resolution, noise, JPEG.

`damage` is for a whole photo, when it is rendered; `degrade` for the crop of a face, each time a training sees it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats, Image

Pixels = NDArray[Any]
"""A picture; OpenCV, which makes most of them, does not promise a type."""


def damage(image: Image, rng: np.random.Generator, *, grain: Floats) -> Image:
    """Camera and file: light ramp, color cast, gamma, contrast, grey, blur, low resolution, sharpening, noise, JPEG.

    Args:
        image: (H, H, 3), square.
        rng: draws what happens.
        grain: (S, S) float32 unit noise that tiles.
    """
    picture: Pixels = image
    size = len(picture)
    if rng.random() < 0.2:
        ramp, a = np.linspace(-0.5, 0.5, size, dtype=np.float32), rng.uniform(0, 2 * np.pi)
        t = float(np.cos(a)) * ramp[None] + float(np.sin(a)) * ramp[:, None] + rng.uniform(-0.25, 0.25)
        t = np.clip(t / rng.uniform(0.1, 0.8) + 0.5, 0, 1)
        gain = cv2.merge([1 - rng.uniform(0.2, 0.6) * (1 - t)] * 3)
        picture = cv2.multiply(picture, gain, dtype=cv2.CV_8U)
    picture = cv2.LUT(picture, _curve(rng))
    r = rng.random()
    if r < 0.15:
        picture = in_grey(picture)
    elif r < 0.45:
        k = rng.uniform(0.4, 1.4)
        picture = cv2.addWeighted(picture, k, in_grey(picture), 1 - k, 0)
    r = rng.random()
    if r < 0.22:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
    elif r < 0.40:
        small = int(size * rng.uniform(0.35, 0.85))
        picture = coarsen(picture, small, enlarge=[cv2.INTER_LINEAR, cv2.INTER_CUBIC][rng.integers(2)])
    elif r < 0.55:
        picture = sharpen(picture, rng.uniform(0.3, 1.4))
    if rng.random() < 0.5:
        strength = float(rng.choice([rng.uniform(0.8, 4), rng.uniform(1, 8)]))
        count = 3 if rng.random() < 0.6 else 1
        layers = [np.roll(grain, tuple(rng.integers(0, len(grain), 2)), (0, 1)) for _ in range(count)]
        if size > len(grain):
            layers = [np.tile(g, (1 + size // len(g),) * 2) for g in layers]
        layers = [g[:size, :size] for g in layers]
        picture = cv2.add(picture, cv2.merge([g * strength for g in (layers * 3)[:3]]), dtype=cv2.CV_8U)
    if rng.random() < 0.45:
        picture = through_jpeg(picture, int(rng.uniform(28, 95)))
    return np.ascontiguousarray(picture)


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """A face in a photo: few pixels, or sharpened; contrast, grey, noise, JPEG. Stronger than `damage`, and faster.

    Args:
        image: (S, S, 3), which stays as it is.
        rng: draws what happens.
    """
    picture: Pixels = image
    if rng.random() < 0.35:  # a small face, enlarged
        picture = coarsen(picture, int(np.exp(rng.uniform(np.log(24), np.log(len(image))))))
    elif rng.random() < 0.3:  # a large face, sharpened or aliased by the reduction
        picture = sharpen(picture, rng.uniform(0.3, 1.5))
    if rng.random() < 0.3:
        gain, middle = rng.uniform(0.5, 1.3), rng.uniform(60, 170)
        picture = np.clip((picture.astype(np.float32) - middle) * gain + middle, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        picture = in_grey(picture)
    if rng.random() < 0.3:
        noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(1, 14))
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        picture = through_jpeg(picture, int(rng.uniform(15, 90)))
    return np.ascontiguousarray(picture)


def coarsen(image: Pixels, side: int, *, enlarge: int = cv2.INTER_LINEAR) -> Image:
    """A square image as it looks when only ``side`` pixels of a photo show it, at its old size."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=enlarge).astype(np.uint8, copy=False)


def sharpen(image: Pixels, amount: float) -> Image:
    """An image with that much more of what a blur of one pixel takes away."""
    blurred = cv2.GaussianBlur(image, (0, 0), 1.0)
    return cv2.addWeighted(image, 1 + amount, blurred, -amount, 0).astype(np.uint8, copy=False)


def in_grey(image: Pixels) -> Image:
    """An image without its colors."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)


def through_jpeg(image: Pixels, quality: int) -> Image:
    """The image after a JPEG file of this quality."""
    _, code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
    if decoded is None:
        raise RuntimeError("Expected OpenCV to read the JPEG that it wrote, got nothing; install opencv-python anew.")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _curve(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(1, 256, 3) uint8 table: exposure, color cast, gamma, contrast."""
    t = np.linspace(0, 1, 256)[:, None] * np.exp(rng.normal(0, 0.07)) * np.exp(rng.normal(0, 0.04, 3))
    if rng.random() < 0.5:
        t = np.clip(t, 0, 1) ** np.exp(rng.normal(0, 0.16))
    if rng.random() < 0.3:
        middle = rng.uniform(0.3, 0.6)
        t = (t - middle) * rng.uniform(0.7, 1.25) + middle
    return (np.clip(t, 0, 1) * 255 + 0.5).astype(np.uint8)[None]
