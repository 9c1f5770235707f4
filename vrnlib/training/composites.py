"""Pictures with several rendered faces, for the training of a face detector, and the boxes of these faces.

People are rendered once, without a background, into a cache. Every picture is put together anew: a background, then
faces of all sizes and tilts from far to near, each blended by its own alpha, so that no seam gives a face away. Between
them lie things that are no faces: textured blobs, bodies without heads, heads without features, hands, pieces of skin,
hair and cloth.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from tddfa.arrays import Floats
from tddfa.boxes import box_sizes
from tddfa.ibug import MIRRORED
from vrnlib.crop import transform_points
from vrnlib.landmarks.ibug import face_box
from vrnlib.synthetic.backgrounds import background
from vrnlib.synthetic.damage import damage
from vrnlib.synthetic.textures import noise_tile
from vrnlib.training.augment import similarity_matrix
from vrnlib.training.cache import Picture
from vrnlib.training.cutouts import Cutouts, paste
from vrnlib.training.distractors import paint_blob, paint_hand, without_face

SMALLEST = 18.0
"""A face below this size (square root of the box's area, pixels) is nobody's fault: neither face nor background."""

MOST = 16
"""At most so many boxes to a picture."""


class Composites(Dataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    """Pictures for the training of a face detector; each follows from (seed, epoch, index).

    An item is (picture (3, size, size) uint8 RGB, boxes (16, 4) float32 x0 y0 x1 y1 in pixels, known (16,) int8): 1 a
    face to be found, -1 a face that may be found or not (tiny, covered, or cut off), 0 no box.

    Args:
        cutouts: the people.
        seed: of the pictures.
        size: side of a picture in pixels.
        length: pictures in all; default: as many as people.
    """

    def __init__(self, cutouts: Cutouts, *, seed: int, size: int = 384, length: int | None = None) -> None:
        self.cutouts, self.seed, self.size = cutouts, seed, size
        self.length = cutouts.count if length is None else length
        self.grain = np.ascontiguousarray(noise_tile()[..., 0])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        picture, points, known = self.compose(np.random.default_rng([self.seed, epoch, index]), index)
        boxes = [face_box(face) for face in points]
        all_boxes, all_known = np.zeros((MOST, 4), np.float32), np.zeros(MOST, np.int8)
        if boxes:
            all_boxes[: len(boxes)], all_known[: len(known)] = boxes, known
        channels = torch.from_numpy(picture.transpose(2, 0, 1).copy())
        return channels, torch.from_numpy(all_boxes), torch.from_numpy(all_known)

    def compose(self, rng: np.random.Generator, index: int) -> tuple[Picture, NDArray[np.float64], NDArray[np.int8]]:
        """One picture and its faces, of which there are at most 16.

        Args:
            rng: says everything but who the first person is.
            index: the first person.

        Returns:
            The picture (size, size, 3), the faces' landmarks (F, 68, 3) in its pixels, and what is known of them (F,),
            see above.
        """
        size, frame = self.size, np.array([0, 0, self.size, self.size])
        picture = np.clip(background(rng, size) * 255, 0, 255).astype(np.uint8)
        for _ in range(rng.integers(0, 5)):
            paint_blob(picture, rng)
        faces, boxes, known = np.zeros((0, 68, 3)), np.zeros((0, 4)), np.zeros(0, np.int8)
        layers = [(side, True) for side in face_sizes(rng, size)]
        layers += [(side, False) for side in face_sizes(rng, size)[:2] if rng.random() < 0.5]
        people = [index % self.cutouts.count, *rng.integers(0, self.cutouts.count, len(layers))]
        for person, (side, is_face) in zip(people, sorted(layers), strict=False):  # far ones first
            image, points = self.cutouts[int(person)]
            if not is_face:
                image = without_face(image, points, rng)
            matrix = place(points, side, size, boxes, rng)
            alpha = paste(picture, image, matrix, light=rng.uniform(0.75, 1.0), fade=rng.random() < 0.6)
            known = np.where(covered(alpha, boxes) > 0.4, -1, known).astype(np.int8)
            points = transform_points(points if np.linalg.det(matrix[:, :2]) > 0 else points[MIRRORED], matrix)
            box = face_box(points)
            if is_face and (inside := (shared_areas(box, frame[None]) / shared_areas(box, box[None]))[0]) > 0.2:
                small = box_sizes(box) < SMALLEST
                faces, boxes = np.concatenate([faces, points[None]]), np.concatenate([boxes, box[None]])
                known = np.append(known, np.int8(-1 if small or inside < 0.65 else 1))
        for _ in range(rng.integers(0, 3)):
            alpha = paint_hand(picture, rng)
            known = np.where(covered(alpha, boxes) > 0.35, -1, known).astype(np.int8)
        if rng.random() < 0.8:
            picture = damage(picture, rng, grain=self.grain)
        return picture, faces[:MOST], known[:MOST]


def face_sizes(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """How large the faces of a picture are (square root of the box's area, pixels): none, one, a few or a crowd."""
    kind = rng.random()
    if kind < 0.1:
        return np.zeros(0)
    if kind < 0.55:
        return np.exp(rng.uniform(np.log(24), np.log(1.05 * size), 1))
    if kind < 0.9:
        return np.exp(rng.uniform(np.log(20), np.log(0.5 * size), rng.integers(2, 5)))
    return np.exp(rng.uniform(np.log(16), np.log(0.2 * size), rng.integers(5, 11)))


def place(points: Floats, side: float, size: int, boxes: Floats, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where to put a person into a picture, turned and maybe mirrored, away from other faces.

    Args:
        points: the person's landmarks (68, 2+).
        side: the face's size (square root of its box's area) in the picture, pixels.
        size: the picture's.
        boxes: (F, 4) of the faces that are there, picture pixels.
        rng: says the rest.

    Returns:
        The similarity (2, 3) from the landmarks' pixels to the picture's.
    """
    angle = rng.uniform(-45, 45) if rng.random() < 0.25 else np.clip(rng.normal(0, 12), -45, 45)
    linear = similarity_matrix(angle, mirrored=rng.choice([-1.0, 1.0]) < 0)[:, :2]
    box = face_box(points[:, :2] @ linear.T)
    scale = side / box_sizes(box)
    half = scale * (box[2:] - box[:2]) / 2
    loose = 0.8 if rng.random() < 0.15 else 0.1  # how far it may leave the picture, as a part of half its size
    low = np.minimum(half * (1 - loose), size / 2)
    middles = rng.uniform(low, size - low, (6, 2))
    shared = [shared_areas(np.concatenate([middle - half, middle + half]), boxes).sum() for middle in middles]
    return np.column_stack([scale * linear, middles[np.argmin(shared)] - scale * (box[:2] + box[2:]) / 2])


def covered(alpha: Picture, boxes: Floats) -> NDArray[np.float64]:
    """The part of each box (F, 4) that a layer's alpha (size, size) hides: (F,) in 0..1."""
    shares = np.zeros(len(boxes))
    for row, (x0, y0, x1, y1) in enumerate(np.clip(boxes, 0, len(alpha)).astype(int)):
        if x0 < x1 and y0 < y1:
            shares[row] = cv2.mean(alpha[y0:y1, x0:x1])[0] / 255
    return shares


def shared_areas(box: Floats, boxes: Floats) -> Floats:
    """The areas (F,), pixels squared, that a box (4,) shares with other boxes (F, 4).

    >>> shared_areas(np.array([0, 0, 4, 2]), np.array([[0, 0, 4, 2], [3, 0, 9, 9], [5, 5, 6, 6]])).tolist()
    [8, 2, 0]
    """
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return np.prod(np.maximum(sides, 0), axis=1)
