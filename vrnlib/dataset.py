"""Rendered faces as training data: rendered once into a cache, augmented anew every time they are seen.

The augmentations are those of the VRN paper (section 4.1): rotation in the image plane, translation, scale,
horizontal flip, and a gain per colour channel. A geometric augmentation moves the mesh and the image by the
same similarity, and the mesh is voxelised afterwards, so that an augmented target is as exact as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from tddfa.voxelizer import voxelize
from vrnlib.crop import CROP_SIZE, transform_points
from vrnlib.landmark_files import MIRRORED
from vrnlib.synthetic import FaceRenderer, render_pair

CANVAS = 256
TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 500  # streams of faces that never mix
SUBPIXEL = 64  # the cache keeps vertices in 1/64 pixel


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


def stored_array(path: Path, shape: tuple[int, ...], dtype) -> np.memmap:
    """The array of a file, mapped into memory; a new one is all zeros. Of a longer array the first rows are given.

    Raises ValueError when the file holds another kind of array or fewer rows.
    """
    if not path.exists():
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    array = np.lib.format.open_memmap(path, mode="r+")
    if array.shape[1:] != shape[1:] or len(array) < shape[0] or array.dtype != dtype:
        raise ValueError(f"{path} holds {array.shape} {array.dtype}, not {shape}; delete the cache folder")
    return array[: shape[0]]


class RenderedFaces:
    """The first ``count`` pairs of a stream, kept in a folder of memory-mapped arrays; rendering resumes.

    A folder that holds more pairs is used in part.

    images (count, 256, 256, 3) uint8, the crop with 32 pixels around it; vertices (count, N, 3) in 1/64 crop
    pixel; landmarks (count, 68, 3) float32 crop pixels.
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
        offset = np.float32([(CANVAS - CROP_SIZE) / 2, (CANVAS - CROP_SIZE) / 2, 0])
        self.images[index] = sample.image
        self.vertices[index] = np.clip(np.round((sample.vertices - offset) * SUBPIXEL), -32768, 32767)
        self.landmarks[index] = sample.landmarks - offset
        self.ready[index] = 1

    def crop(self, index: int, matrix: NDArray, *, size: int = CROP_SIZE) -> NDArray[np.uint8]:
        """Pair ``index``'s image, moved by a (2, 3) matrix from crop pixels to pixels of a size × size result."""
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


class VolumePairs(Dataset):
    """(image (3, size, size) uint8, solid (200, size/4, size/4) bool or the full volume) for VRN.

    step: 1 gives the solid at every voxel of a 192-pixel crop. 4 gives it on the lattice of the network's own
    feature map (`VRN.lattice_logits`): a sixteenth of the voxels, the same truth, so a CPU trains faster.
    size: smaller crops (128) are the same picture at a coarser scale, for a quick start of a training.
    """

    def __init__(
        self, faces: RenderedFaces, *, augmentation: Augmentation, seed: int, step: int = 4, size: int = CROP_SIZE
    ) -> None:
        self.faces, self.augmentation, self.seed = faces, augmentation, seed
        self.step, self.size = step, size

    def __len__(self) -> int:
        return self.faces.count

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        self.faces.render(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        matrix = self.augmentation.similarity(rng)
        reduce = self.size / CROP_SIZE  # the middle of both pictures is the same point
        to_size = np.array([[reduce, 0, (reduce - 1) / 2], [0, reduce, (reduce - 1) / 2]])
        picture = to_size @ np.vstack([matrix, [0, 0, 1]])
        image = self.augmentation.recolour(self.faces.crop(index, picture, size=self.size), rng)
        vertices, triangles = self.faces.model.close(transform_points(self.faces.mesh(index), matrix))
        solid, _ = voxelize(vertices, triangles, step=round(self.step / reduce))
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(solid)


class LandmarkPairs(Dataset):
    """(image (3, size, size) uint8, landmarks (68, 3) input pixels, is_face) for FAN.

    A square about the landmarks' box, 1.4 times its larger side, jittered as a face finder would be wrong, leaning as
    heads in photos do. One in four is as coarse as a small face of a photo, one in four is covered in part. One in ten
    is no face (a piece of background or of a head, far off or far too large), so that a network learns to give flat
    heat maps where it finds nothing.
    """

    def __init__(self, faces: RenderedFaces, *, seed: int, size: int = 128, augment: bool = True) -> None:
        self.faces, self.seed, self.size, self.augment = faces, seed, size, augment

    def __len__(self) -> int:
        return self.faces.count

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor, bool]:
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        self.faces.render(index)
        rng = np.random.default_rng([self.seed, epoch, index])
        points = np.asarray(self.faces.landmarks[index])
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        middle, side, angle, mirror, is_face = (low + high) / 2, 1.4 * (high - low).max(), 0.0, False, True
        if self.augment:
            angle = np.deg2rad(rng.uniform(-50, 50) if rng.random() < 0.2 else np.clip(rng.normal(0, 15), -45, 45))
            mirror, is_face = rng.random() < 0.5, rng.random() > 0.1
            if is_face:
                middle = middle + rng.uniform(-0.14, 0.14, 2) * side
                side *= np.exp(rng.uniform(np.log(0.75), np.log(1.33)))
            elif rng.random() < 0.7:
                direction = rng.normal(size=2)
                middle = middle + direction / np.linalg.norm(direction) * side * rng.uniform(0.65, 1.1)
                side *= rng.uniform(0.5, 1.0)
            else:
                middle, side = middle + rng.uniform(-0.3, 0.3, 2) * side, side * rng.uniform(0.15, 0.35)
        scale = self.size / side
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1.0 if mirror else 1.0, 1.0])
        matrix = np.column_stack([linear, (self.size - 1) / 2 - linear @ middle])
        image = self.faces.crop(index, matrix, size=self.size)
        if self.augment:
            image = Augmentation(colour=(0.7, 1.3)).recolour(image, rng)
            if is_face and rng.random() < 0.25:
                other = self.faces.images[int(rng.integers(self.faces.count))]
                image = cover(image, other, rng)
            if rng.random() < 0.25:
                image = coarsen(image, round(np.exp(rng.uniform(np.log(28), np.log(self.size)))))
        target = transform_points(points, matrix)
        if mirror:
            target = target[MIRRORED]
        target[:, 2] -= target[:, 2].mean()
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(target), is_face


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
