"""Changes of a picture that training adds: the paper's augmentations, and what happens to a face in a photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vrnlib.crop import CROP_SIZE


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of the random changes; the defaults are the paper's.

    rotation: degrees to either side. translation: crop pixels to either side. scale: smallest and largest
    factor. flip: probability. colour: smallest and largest gain of a channel.
    """

    rotation: float = 45.0
    translation: float = 15.0
    scale: tuple[float, float] = (0.85, 1.15)
    flip: float = 0.2
    colour: tuple[float, float] = (0.6, 1.4)

    @classmethod
    def none(cls) -> Augmentation:
        return cls(rotation=0.0, translation=0.0, scale=(1.0, 1.0), flip=0.0, colour=(1.0, 1.0))

    def similarity(self, rng: np.random.Generator, *, size: int = CROP_SIZE) -> NDArray[np.float64]:
        """A random (2, 3) matrix, crop pixels → crop pixels, about the crop's middle; maybe mirrored."""
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        scale = rng.uniform(*self.scale)
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[cosine, -sine], [sine, cosine]])
        if rng.random() < self.flip:
            linear = linear @ np.diag([-1.0, 1.0])
        middle = np.full(2, (size - 1) / 2)
        shift = middle + rng.uniform(-self.translation, self.translation, 2) - linear @ middle
        return np.column_stack([linear, shift])

    def recolour(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        gains = rng.uniform(*self.colour, 3)
        return np.clip(image * gains.astype(np.float32), 0, 255).astype(np.uint8)


def cover(image: NDArray[np.uint8], other: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An image (H, W, 3), an ellipse of it hidden by a piece of another, larger one: a hand, a scarf, a microphone."""
    height, width = image.shape[:2]
    y, x = (int(rng.integers(most + 1)) for most in (other.shape[0] - height, other.shape[1] - width))
    mask = np.zeros((height, width), np.uint8)
    middle, axes = rng.uniform(0, width, 2), rng.uniform(0.1, 0.5, 2) * width
    cv2.ellipse(mask, (tuple(middle), tuple(axes), rng.uniform(0, 180)), 255, -1)
    part = cv2.blur(mask, (3, 3))[..., None] / np.float32(255)
    return np.round(image + part * (other[y : y + height, x : x + width].astype(np.float32) - image)).astype(np.uint8)


def coarsen(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A square image as it looks when only ``side`` pixels of a photo show it, at its old size."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def degrade(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What happens to a face in a photo: few pixels, blur, noise, JPEG, the photo's edge, something in front of it."""
    size = len(image)
    if rng.random() < 0.35:  # a small face, enlarged
        small = int(np.exp(rng.uniform(np.log(24), np.log(size))))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    elif rng.random() < 0.3:  # a large face, sharpened or aliased by the reduction
        k = rng.uniform(0.3, 1.5)
        image = cv2.addWeighted(image, 1 + k, cv2.GaussianBlur(image, (0, 0), 1.0), -k, 0)
    if rng.random() < 0.3:
        gain, middle = rng.uniform(0.5, 1.3), rng.uniform(60, 170)
        image = np.clip((image.astype(np.float32) - middle) * gain + middle, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.15:  # something in front
        width, height = rng.integers(12, 50, 2)
        x, y = rng.integers(0, size - width), rng.integers(0, size - height)
        image = image.copy()
        image[y : y + height, x : x + width] = rng.integers(0, 256, 3)
    if rng.random() < 0.3:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(1, 14))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(15, 90))])[1]
        image = cv2.imdecode(code, cv2.IMREAD_COLOR)
    if rng.random() < 0.15:  # the photo ends here
        image = np.rot90(image, side := int(rng.integers(4))).copy()
        image[: int(rng.uniform(0.03, 0.3) * size)] = 0
        image = np.ascontiguousarray(np.rot90(image, -side))
    return image
