"""Changes that training adds to a picture and its target: the paper's augmentations, and what hides a face.

What a camera and a file do to a picture is in `vrnlib.synthetic.damage`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tddfa.arrays import Floats
from tddfa.ibug import MIRRORED
from vrnlib.crop import CROP_SIZE, transform_points
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


LANDMARK_NOISE = 2.0
"""How wrong the landmarks are that guide a training: were they true, a VRN would believe too much of what a FAN says,
whose error is 2.4 % of a face, two to three crop pixels."""


def moved_landmarks(
    points: Floats, matrix: Floats, rng: np.random.Generator, *, noise: float = 0.0
) -> NDArray[np.float32]:
    """Landmarks after a similarity, and wrong.

    Args:
        points: (68, 2|3) crop pixels.
        matrix: (2, 3), from crop pixels to the picture's; it may mirror them.
        rng: says in which way they are wrong.
        noise: standard deviation of the error along x and y, crop pixels.

    Returns:
        (68, 2) pixels of the picture.
    """
    moved = transform_points(points[:, :2] + rng.normal(0, noise, (len(points), 2)), matrix)
    return (moved[MIRRORED] if np.linalg.det(matrix[:, :2]) < 0 else moved).astype(np.float32)


def hide(image: Picture, rng: np.random.Generator) -> Picture:
    """An image with a plain thing in front, or with the photo's edge through it: seldom either.

    Args:
        image: (S, S, 3), which stays as it is.
        rng: says what happens, and where.
    """
    size = len(image)
    if rng.random() < 0.15:  # something in front
        width, height = rng.integers(12, 50, 2)
        x, y = rng.integers(0, size - width), rng.integers(0, size - height)
        image = image.copy()
        image[y : y + height, x : x + width] = rng.integers(0, 256, 3)
    if rng.random() < 0.15:  # the photo ends here
        image = np.rot90(image, side := int(rng.integers(4))).copy()
        image[: int(rng.uniform(0.03, 0.3) * size)] = 0
        image = np.ascontiguousarray(np.rot90(image, -side))
    return image


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
