"""Rendered faces as training data: rendered once into a cache, augmented anew every time they are seen.

The augmentations are those of the VRN paper (section 4.1): rotation in the image plane, translation, scale,
horizontal flip, and a gain per colour channel. A geometric augmentation moves the mesh and the image by the
same similarity, and the mesh is voxelised afterwards, so that an augmented target is as exact as any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from tddfa.arrays import Floats
from vrnlib.crop import CROP_SIZE
from vrnlib.synthetic.faces import FaceRenderer, render_pair

Picture = NDArray[Any]
"""uint8, (H, W, 3) RGB; OpenCV, which makes most of them, does not promise a type."""

CANVAS = 256
"""Side of the cached pictures, pixels: the crop with 32 pixels around it."""

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 500
"""Streams of faces that never mix."""

SUBPIXEL = 64
"""The cache keeps vertices in 1/64 pixel."""


def stored_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """The array of a .npy file, mapped into memory; a new one is all zeros.

    Args:
        path: of the file.
        shape: of the array; of a longer one the first rows are given.
        dtype: of its numbers.

    Raises:
        ValueError: the file holds another kind of array or fewer rows.
    """
    if not path.exists():
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    array = np.lib.format.open_memmap(path, mode="r+")
    if array.shape[1:] != shape[1:] or len(array) < shape[0] or array.dtype != dtype:
        raise ValueError(f"{path} holds {array.shape} {array.dtype}, not {shape}; delete the cache folder")
    return array[: shape[0]]


class RenderedFaces:
    """The first pairs of a stream, kept in a folder of memory-mapped arrays; rendering resumes.

    Args:
        folder: of the cache; one that holds more pairs is used in part.
        seed: the stream.
        count: pairs.

    Attributes:
        images: (count, 256, 256, 3) uint8, the crop with 32 pixels around it.
        vertices: (count, N, 3) int16 in 1/64 crop pixel, z towards the camera.
        landmarks: (count, 68, 3) float32 crop pixels.

    Raises:
        ValueError: the folder holds fewer pairs, or other arrays.
    """

    def __init__(self, folder: str | Path, *, seed: int, count: int) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.seed, self.count = seed, count
        self.renderer = FaceRenderer()
        self.model = self.renderer.model
        vertices = len(self.model.u) // 3
        self.images = stored_array(folder / f"{seed}_images.npy", (count, CANVAS, CANVAS, 3), np.uint8)
        self.vertices = stored_array(folder / f"{seed}_vertices.npy", (count, vertices, 3), np.int16)
        self.landmarks = stored_array(folder / f"{seed}_landmarks.npy", (count, 68, 3), np.float32)
        self.ready = stored_array(folder / f"{seed}_ready.npy", (count,), np.uint8)

    def render(self, index: int) -> None:
        """Render pair ``index`` unless the cache has it."""
        if self.ready[index]:
            return
        sample = render_pair(self.seed, index, model=self.renderer, canvas=CANVAS)
        offset = np.array([(CANVAS - CROP_SIZE) / 2, (CANVAS - CROP_SIZE) / 2, 0], np.float32)
        self.images[index] = sample.image
        self.vertices[index] = np.clip(np.round((sample.vertices - offset) * SUBPIXEL), -32768, 32767)
        self.landmarks[index] = sample.landmarks - offset
        self.ready[index] = 1

    def crop(self, index: int, matrix: Floats, *, size: int = CROP_SIZE) -> Picture:
        """Pair ``index``'s image (size, size, 3), moved by a (2, 3) matrix from crop pixels to pixels of the result."""
        inset = (CANVAS - CROP_SIZE) / 2
        matrix = matrix.copy()
        matrix[:, 2] -= matrix[:, :2] @ [inset, inset]
        image = self.images[index]
        reduction = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        if reduction < 0.75:  # reduced pictures must not alias
            image = cv2.GaussianBlur(image, (0, 0), 0.4 / reduction)
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)

    def mesh(self, index: int) -> NDArray[np.float32]:
        """Face vertices of pair ``index``, (N, 3) crop pixels."""
        return self.vertices[index].astype(np.float32) / SUBPIXEL
