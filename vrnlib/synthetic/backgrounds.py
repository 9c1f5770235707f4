"""What is behind a rendered face: pieces of pictures, walls, blurred rooms, clouds of color.

Pictures here are (H, W, 3) float32 RGB in [0, 1], as displayed (not linear light).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray

from tddfa.arrays import Image
from vrnlib.images import read_photo

PICTURES = (
    "coffee.png",
    "chelsea.png",
    "camera.png",
    "clock_motion.png",
    "gravel.png",
    "brick.png",
    "grass.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "rocket.jpg",
    "coins.png",
    "hubble_deep_field.jpg",
    "moon.png",
    "text.png",
    "page.png",
    "ihc.png",
    "retina.jpg",
)
"""Files of scikit-image's wheel. Its photo of a face, our test photo, must never be among them."""


@lru_cache(maxsize=1)
def pictures() -> tuple[Image, ...]:
    """The background pictures that this scikit-image has, uint8 RGB, at most 640 pixels long."""
    folder, out = Path(skimage.__file__).parent / "data", []
    for name in PICTURES:
        if (folder / name).exists():
            picture = read_photo(folder / name)
            k = 640 / max(picture.shape[:2])
            if k < 1:
                small = cv2.resize(picture, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
                picture = small.astype(np.uint8, copy=False)
            out.append(picture)
    return tuple(out)


def smooth_noise(rng: np.random.Generator, size: int, cells: int, channels: int = 1) -> NDArray[np.float32]:
    """(size, size, channels) float32 noise with about ``cells`` bumps along a side."""
    small = rng.standard_normal((cells, cells, channels), dtype=np.float32)
    out = np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
    return out.reshape(size, size, channels)


def background(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Draws a background: a piece of a picture, a wall with a gradient, a blurred room, cloudy colors."""
    kind, shelf = rng.random(), pictures()
    half = (size + 1) // 2
    if kind < 0.5 and shelf:
        out = _piece(rng, shelf[rng.integers(len(shelf))], size)
    elif kind < 0.74:
        out = _wall(rng, half)
    elif kind < 0.95:
        out = _room(rng, half)
    else:
        out = np.full((half, half, 3), rng.random(3), np.float32)
        for cells, amount in ((3, 0.18), (9, 0.1), (40, 0.05)):
            out += np.float32(amount * rng.uniform(0.3, 1)) * smooth_noise(rng, half, cells, 3)
    if len(out) != size:
        out = np.asarray(cv2.resize(out, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
    colorful = rng.beta(1.2, 2.2)
    mix = np.full((3, 3), (1 - colorful) / 3) + np.eye(3) * colorful
    return np.asarray(cv2.transform(np.ascontiguousarray(out, np.float32), mix), np.float32)


def _piece(rng: np.random.Generator, picture: Image, size: int) -> NDArray[np.float32]:
    height, width = picture.shape[:2]
    side = int(rng.uniform(0.3, 1.0) * min(height, width))
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    out: np.ndarray = picture[y : y + side, x : x + side]
    if rng.random() < 0.5:
        out = out[:, ::-1]
    if rng.random() < 0.25:
        out = np.rot90(out, int(rng.integers(1, 4)))
    out = cv2.resize(np.ascontiguousarray(out), (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        out = out[..., rng.permutation(3)]
    if rng.random() < 0.5:
        k = int(rng.integers(1, 5))
        small = cv2.resize(out, None, fx=1 / k, fy=1 / k, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.6, 1.5))
        out = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    cast = rng.uniform(0.45, 1.05) * rng.uniform(0.85, 1.1, 3) / 255
    return out.astype(np.float32) * cast.astype(np.float32)


def _wall(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    a = rng.uniform(0, 2 * np.pi)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    t = (float(np.cos(a)) * ramp[None] + float(np.sin(a)) * ramp[:, None])[..., None] * 0.5 + 0.5
    if rng.random() < 0.4:
        across, down = (ramp - rng.uniform(-0.7, 0.7)) ** 2, (ramp - rng.uniform(-0.7, 0.7)) ** 2
        t = across[None, :, None] + down[:, None, None]
    tone = rng.random(3)
    other = np.clip(tone * rng.uniform(0.4, 1.5) + rng.normal(0, 0.08, 3), 0, 1)
    out = tone.astype(np.float32) * (1 - t) + other.astype(np.float32) * t
    return out + np.float32(rng.uniform(0, 0.03)) * smooth_noise(rng, size, int(rng.integers(6, 90)))


def _room(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    out = np.ascontiguousarray(_wall(rng, size))
    for _ in range(rng.integers(3, 14)):
        x, y = rng.integers(-60, size, 2)
        w, h = rng.integers(8, size, 2)
        tone = tuple(float(v) for v in rng.random(3) * rng.uniform(0.2, 1.1))
        if rng.random() < 0.7:
            cv2.rectangle(out, (int(x), int(y)), (int(x + w), int(y + h)), tone, -1)
        else:
            cv2.circle(out, (int(x), int(y)), int(w // 4), tone, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 3.5)), np.float32)
