"""What a face detector must not take for a face: bodies without heads, heads without features, blobs, hands.

Pictures are uint8 RGB; everything is drawn in place and follows from the generator.
"""

from __future__ import annotations

import cv2
import numpy as np

from tddfa.arrays import Floats
from tddfa.ibug import BRIDGE, JAW, NOSE_TIP
from vrnlib.synthetic.backgrounds import background, smooth_noise
from vrnlib.training.cache import Picture
from vrnlib.training.cutouts import CANVAS, blend


def without_face(image: Picture, points: Floats, rng: np.random.Generator) -> Picture:
    """A person whose face is gone: the body alone, the head with its features painted over, or one patch of it.

    Args:
        image: a cutout (336, 336, 4), which stays as it is.
        points: its landmarks (68, 2+).
        rng: says which.

    Returns:
        Another cutout.
    """
    kind, middle = rng.random(), points[:, :2].mean(0)
    radius = 0.75 * np.ptp(points[:, :2], axis=0).max()
    mask: Picture = np.zeros(image.shape[:2], np.uint8)
    if kind < 0.35:  # from the chin downwards
        mask[int(points[JAW, 1].max()) + 6 :] = 255
    elif kind < 0.7:  # where the features are
        cv2.circle(mask, (int(middle[0]), int(middle[1] - 0.15 * radius)), int(radius), 255, -1)
    else:  # a patch from somewhere: hair, ear, cheek, cloth
        centre = points[rng.integers(68), :2] + rng.normal(0, 0.9, 2) * radius
        cv2.circle(mask, (int(centre[0]), int(centre[1])), int(rng.uniform(0.15, 0.4) * radius), 255, -1)
    mask = cv2.blur(mask, (9, 9))
    if kind < 0.35 or kind >= 0.7:
        return cv2.multiply(image, cv2.merge([mask] * 4), scale=1 / 255)
    at = np.clip(points[[2, 14, NOSE_TIP, BRIDGE], :2].astype(int), 0, CANVAS - 1)
    tone = np.median(image[at[:, 1], at[:, 0], :3], axis=0) * rng.uniform(0.6, 1.1)
    rough = 1 + rng.uniform(0.02, 0.15) * smooth_noise(rng, CANVAS // 4, int(rng.integers(4, 40)))
    skin = cv2.resize(np.clip(tone * rough, 0, 255).astype(np.uint8), (CANVAS, CANVAS))
    *colors, alpha = cv2.split(image)
    mask = cv2.multiply(mask, alpha, scale=1 / 255)
    painted = cv2.merge(colors)
    blend(painted, cv2.multiply(skin, cv2.merge([mask] * 3), scale=1 / 255), mask)
    return cv2.merge([*cv2.split(painted), alpha])


def paint_blob(picture: Picture, rng: np.random.Generator) -> None:
    """A soft-edged shape with some texture, at most half as large as the picture, in place: clothes, fruit, shadows."""
    size = len(picture)
    side = int(np.exp(rng.uniform(np.log(16), np.log(0.5 * size))))
    x, y = rng.integers(0, size - side, 2)
    bumps = smooth_noise(rng, side, int(rng.integers(2, 5)))[..., 0] * rng.uniform(0.05, 0.4)
    grid = np.linspace(-1, 1, side, dtype=np.float32)
    inside = 0.9 - np.hypot(grid[None] * rng.uniform(1, 1.6), grid[:, None] * rng.uniform(1, 1.6)) + bumps
    alpha = np.clip(inside * rng.uniform(2, 20), 0, 1)[..., None]
    colors: Picture
    if rng.random() < 0.5:
        colors = cv2.resize(background(rng, 96), (side, side))
    else:  # folds and spots of one colour, or of skin
        tone = np.array([1.0, 0.72, 0.57]) * rng.uniform(0.2, 1) if rng.random() < 0.5 else rng.random(3)
        colors = np.full((side, side, 3), tone, np.float32)
        for cells in (3, 6, 14):
            colors *= 1 + np.float32(rng.uniform(0, 0.35)) * smooth_noise(rng, side, cells)
    colors = (np.clip(colors, 0, 1) * alpha * 255).astype(np.uint8)
    blend(picture[y : y + side, x : x + side], colors, (alpha[..., 0] * 255).astype(np.uint8))


def paint_hand(picture: Picture, rng: np.random.Generator) -> Picture:
    """A skin-coloured shape, maybe with fingers, in front of everything, in place; gives its alpha (size, size)."""
    size = len(picture)
    reach, start = float(np.exp(rng.uniform(np.log(8), np.log(0.2 * size)))), rng.uniform(0, 2 * np.pi)
    x, y = rng.uniform(0, size, 2)
    alpha = np.zeros((size, size), np.uint8)
    cv2.ellipse(alpha, ((x, y), (1.6 * reach, 1.2 * reach), float(np.degrees(start))), 255, -1, cv2.LINE_AA)
    for angle in start + np.linspace(-0.6, 0.6, rng.integers(0, 6)):
        tip = np.array([x, y]) + rng.uniform(1.3, 1.8) * reach * np.array([np.cos(angle), np.sin(angle)])
        wide = max(1, int(0.28 * reach))
        cv2.line(alpha, (int(x), int(y)), (int(tip[0]), int(tip[1])), 255, wide, cv2.LINE_AA)
    x0, y0 = (max(0, int(value - 2.2 * reach)) for value in (x, y))
    window = (slice(y0, int(y + 2.2 * reach) + 1), slice(x0, int(x + 2.2 * reach) + 1))
    mask = alpha[window]
    light = np.array([1.0, 0.72, 0.57]) * rng.uniform(60, 255) * rng.uniform(0.85, 1.15, 3)
    shade = cv2.blur(mask, (2 * int(0.2 * reach) + 3,) * 2).astype(np.float32)[..., None] / 255
    colors = np.clip(light.astype(np.float32) * (0.3 + 0.7 * shade), 0, 255).astype(np.uint8)
    blend(picture[window], cv2.multiply(colors, cv2.merge([mask] * 3), scale=1 / 255), mask)
    return alpha
