"""Changes that training adds to a picture: the paper's augmentations, and what happens to a face in a photo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tddfa.arrays import Floats
from vrnlib.crop import CROP_SIZE
from vrnlib.training.cache import Picture


def similarity_matrix(
    angle: float,
    *,
    scale: float = 1.0,
    mirrored: bool = False,
    source: ArrayLike = (0.0, 0.0),
    target: ArrayLike = (0.0, 0.0),
) -> NDArray[np.float64]:
    """The (2, 3) similarity that turns, scales, maybe mirrors, and brings one point to another.

    Args:
        angle: degrees; x turns towards y, so clockwise in a picture whose y runs down.
        scale: factor.
        mirrored: whether left and right are swapped first.
        source: x, y of the point; target: where it comes to.

    >>> similarity_matrix(90, source=(10, 0), target=(5, 5)).round(6) + 0.0
    array([[ 0., -1.,  5.],
           [ 1.,  0., -5.]])
    """
    radians = np.deg2rad(angle)
    cosine, sine = scale * np.cos(radians), scale * np.sin(radians)
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    return np.column_stack([linear, np.asarray(target) - linear @ source])


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of the random changes; the defaults are the paper's.

    Attributes:
        rotation: degrees to either side.
        translation: crop pixels to either side.
        scale: smallest and largest factor.
        flip: probability.
        color: smallest and largest gain of a channel.
    """

    rotation: float = 45.0
    translation: float = 15.0
    scale: tuple[float, float] = (0.85, 1.15)
    flip: float = 0.2
    color: tuple[float, float] = (0.6, 1.4)

    @classmethod
    def none(cls) -> Augmentation:
        """No change at all, for validation."""
        return cls(rotation=0.0, translation=0.0, scale=(1.0, 1.0), flip=0.0, color=(1.0, 1.0))

    def similarity(self, rng: np.random.Generator, *, size: int = CROP_SIZE) -> NDArray[np.float64]:
        """A random (2, 3) matrix, crop pixels → crop pixels, about the crop's middle; maybe mirrored."""
        angle, scale = rng.uniform(-self.rotation, self.rotation), rng.uniform(*self.scale)
        mirrored, middle = rng.random() < self.flip, np.full(2, (size - 1) / 2)
        target = middle + rng.uniform(-self.translation, self.translation, 2)
        return similarity_matrix(angle, scale=scale, mirrored=mirrored, source=middle, target=target)

    def recolor(self, image: Picture, rng: np.random.Generator) -> Picture:
        """A picture (H, W, 3) with a random gain per channel."""
        gains = rng.uniform(*self.color, 3)
        return np.clip(image * gains.astype(np.float32), 0, 255).astype(np.uint8)


def to_picture(matrix: Floats, size: int) -> NDArray[np.float64]:
    """A (2, 3) matrix from crop pixels to crop pixels, followed by the crop's change to another size."""
    reduce = size / CROP_SIZE  # the middle of both pictures is the same point
    to_size = np.array([[reduce, 0, (reduce - 1) / 2], [0, reduce, (reduce - 1) / 2]])
    return to_size @ np.vstack([matrix, [0, 0, 1]])


def moved_picture(image: Picture, matrix: Floats, size: int) -> Picture:
    """A picture moved by a (2, 3) matrix into a square of that size; reflected where it ends."""
    reduction = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if reduction < 0.75:  # reduced pictures must not alias
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / reduction)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def cover(image: Picture, other: Picture, rng: np.random.Generator) -> Picture:
    """An image, an ellipse of it hidden by a piece of another one: a hand, a scarf, a microphone.

    Args:
        image: (S, S, 3), which stays as it is.
        other: at least as large.
        rng: says where.
    """
    height, width = image.shape[:2]
    y, x = (int(rng.integers(most + 1)) for most in (other.shape[0] - height, other.shape[1] - width))
    mask = np.zeros((height, width), np.uint8)
    middle, axes = rng.uniform(0, width, 2), rng.uniform(0.1, 0.5, 2) * width
    cv2.ellipse(mask, (tuple(middle), tuple(axes), rng.uniform(0, 180)), 255, -1)
    part = cv2.blur(mask, (3, 3))[..., None] / np.float32(255)
    return np.round(image + part * (other[y : y + height, x : x + width].astype(np.float32) - image)).astype(np.uint8)


def coarsen(image: Picture, side: int) -> Picture:
    """A square image as it looks when only ``side`` pixels of a photo show it, at its old size."""
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def sharpen(image: Picture, amount: float) -> Picture:
    """An image with that much more of what a blur of one pixel takes away."""
    return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), 1.0), -amount, 0)


def degrade(image: Picture, rng: np.random.Generator) -> Picture:
    """What happens to a face in a photo: few pixels, blur, noise, JPEG, the photo's edge, something in front of it.

    `vrnlib.synthetic.damage.damage` is what happens to the whole photo.

    Args:
        image: (S, S, 3), which stays as it is.
        rng: says what happens, and how much of it.
    """
    size = len(image)
    if rng.random() < 0.35:  # a small face, enlarged
        image = coarsen(image, int(np.exp(rng.uniform(np.log(24), np.log(size)))))
    elif rng.random() < 0.3:  # a large face, sharpened or aliased by the reduction
        image = sharpen(image, rng.uniform(0.3, 1.5))
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
        image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))
    if rng.random() < 0.15:  # the photo ends here
        image = np.rot90(image, side := int(rng.integers(4))).copy()
        image[: int(rng.uniform(0.03, 0.3) * size)] = 0
        image = np.ascontiguousarray(np.rot90(image, -side))
    return image
