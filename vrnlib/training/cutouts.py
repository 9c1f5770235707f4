"""Rendered people without their backgrounds: kept in a cache, and pasted into pictures.

Each is blended by its own alpha, so that no seam gives a face away.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from vrnlib.synthetic.faces import FaceRenderer
from vrnlib.training.cache import Cache, Picture

CROP, CANVAS = 224, 336
"""Side of the renderer's crop, and of what is kept of the person around it, pixels."""


class Cutouts:
    """The first people of a stream, rendered when they are first asked for.

    Args:
        folder: of the cache; a longer one of the same stream is used in part.
        seed: the stream.
        count: people.
    """

    def __init__(self, folder: str | Path, *, seed: int, count: int) -> None:
        self.seed, self.count, self.renderer = seed, count, FaceRenderer()
        self.cache = Cache(Path(folder) / f"{seed}_cutouts", ".png")

    def __getitem__(self, index: int) -> tuple[Picture, NDArray[np.float32]]:
        """Person ``index``: image (336, 336, 4), colours times alpha, and landmarks (68, 3) in the same pixels."""
        if index not in self.cache:
            sample = self.renderer.sample(self.seed, index, size=CROP, canvas=CANVAS, augment_damage=False, cutout=True)
            self.cache.write(index, sample.image, {"landmarks": sample.landmarks.astype(float).round(3).tolist()})
        return self.cache.picture(index), np.array(self.cache.facts(index)["landmarks"], np.float32)


def paste(picture: Picture, image: Picture, matrix: Floats, *, light: float, fade: bool) -> Picture:
    """Draw a person into a picture, in place.

    Args:
        picture: (size, size, 3).
        image: a cutout (336, 336, 4).
        matrix: (2, 3), cutout pixels → picture pixels, a similarity, maybe mirrored.
        light: 0 ... 1, by which its colours are darkened.
        fade: whether the body fades away below; else it goes on to the end of the picture.

    Returns:
        The alpha that it had there, (size, size) uint8.
    """
    size, scale = len(picture), np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    reduction = max(1, int(1 / scale))
    if reduction > 1:  # reduced pictures must not alias
        side = CANVAS // reduction
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        factor = CANVAS / side
        matrix = np.column_stack([matrix[:, :2] * factor, matrix[:, 2] + matrix[:, :2] @ np.full(2, (factor - 1) / 2)])
    last = len(image) - 1
    ramp = np.clip((last - np.arange(last + 1)) / (0.1 * last), 0, 1).astype(np.float32)
    edge = np.minimum(ramp, ramp[::-1])[None] * (ramp[:, None] if fade else 1) * np.float32(light)
    edge = np.broadcast_to(edge, image.shape[:2])
    image = cv2.multiply(image, cv2.merge([edge, edge, edge, edge / np.float32(light)]), dtype=cv2.CV_8U)
    corners = np.array([[0, 0], [last, 0], [0, last if fade else 9 * last], [last, last if fade else 9 * last]])
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    x0, y0 = np.clip(np.floor(corners.min(0)), 0, size).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(0)) + 1, 0, size).astype(int)
    alpha = np.zeros((size, size), np.uint8)
    if x0 < x1 and y0 < y1:
        moved = np.column_stack([matrix[:, :2], matrix[:, 2] - [x0, y0]])
        shape = (int(x1 - x0), int(y1 - y0))
        layer = cv2.warpAffine(image, moved, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        *colors, alpha[y0:y1, x0:x1] = cv2.split(layer)
        blend(picture[y0:y1, x0:x1], cv2.merge(colors), alpha[y0:y1, x0:x1])
    return alpha


def blend(window: Picture, colors: Picture, alpha: Picture) -> None:
    """Lay colours (H, W, 3), times their alpha (H, W) already, over a window of a picture, in place."""
    window[:] = cv2.add(colors, cv2.multiply(window, cv2.merge([255 - alpha] * 3), scale=1 / 255))
