"""Rendered faces as training data: rendered once into a cache, augmented anew every time they are seen.

The augmentations are those of the VRN paper (section 4.1): rotation in the image plane, translation, scale,
horizontal flip, and a gain per colour channel. A geometric augmentation moves the mesh and the image by the
same similarity, and the mesh is voxelised afterwards, so that an augmented target is as exact as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from vrnlib.crop import CROP_SIZE
from vrnlib.synthetic.faces import FaceRenderer, facts_of, render_pair, vertices_of
from vrnlib.training.augment import moved_picture
from vrnlib.training.cache import Cache, Picture, damaged

CANVAS = 256
"""Side of the cached pictures, pixels: the crop with 32 pixels around it."""

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 500
"""Streams of faces that never mix."""


class RenderedFaces:
    """The first pairs of a stream, kept in a folder: 30 kB each, rendered when they are first asked for.

    What is kept is the picture, the parameters and the camera; meshes and solids are made from these again.

    Args:
        folder: of the cache; several processes may share it.
        seed: the stream.
        count: pairs.
    """

    def __init__(self, folder: str | Path, *, seed: int, count: int) -> None:
        self.seed, self.count = seed, count
        self.cache = Cache(Path(folder) / f"{seed}", ".jpg")
        self.renderer = FaceRenderer()
        self.model = self.renderer.model

    def render(self, index: int) -> None:
        """Render pair ``index`` unless the cache has it."""
        if index not in self.cache:
            sample = render_pair(self.seed, index, model=self.renderer, canvas=CANVAS)
            self.cache.write(index, sample.image, facts_of(sample.crop()))

    def image(self, index: int) -> Picture:
        """Pair ``index``'s picture (256, 256, 3): the crop with 32 pixels around it."""
        self.render(index)
        return self.cache.picture(index)

    def landmarks(self, index: int) -> NDArray[np.float32]:
        """Pair ``index``'s landmarks (68, 3), crop pixels."""
        return self._from_facts(index, lambda facts: np.array(facts["landmarks"], np.float32).reshape(68, 3))

    def mesh(self, index: int) -> NDArray[np.float32]:
        """Face vertices of pair ``index``, (N, 3) crop pixels, z towards the camera."""
        return self._from_facts(index, lambda facts: vertices_of(facts, self.model))

    def _from_facts(self, index: int, read: Callable[[dict[str, Any]], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Numbers worked out from pair ``index``'s facts; ValueError, one sentence, for facts of another kind."""
        self.render(index)
        facts = self.cache.facts(index)
        try:
            numbers = read(facts)
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise damaged(self.cache.path(index), f"{type(error).__name__}: {error}") from None
        if not np.isfinite(numbers).all():
            raise damaged(self.cache.path(index), "NaN or infinity")
        return numbers

    def crop(self, index: int, matrix: Floats, *, size: int = CROP_SIZE) -> Picture:
        """Pair ``index``'s image (size, size, 3), moved by a (2, 3) matrix from crop pixels to pixels of the result."""
        inset = (CANVAS - CROP_SIZE) / 2
        matrix = matrix.copy()
        matrix[:, 2] -= matrix[:, :2] @ [inset, inset]
        return moved_picture(self.image(index), matrix, size)
