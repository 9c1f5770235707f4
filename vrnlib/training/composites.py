"""Pictures with several rendered faces, for the training of a face detector, and the boxes of these faces.

People are rendered once, without a background, into a cache. Every picture is put together anew: a background, then
faces of all sizes and tilts from far to near, each blended by its own alpha, so that no seam gives a face away. Between
them lie things that are no faces: textured blobs, bodies without heads, heads without features, hands, pieces of skin,
hair and cloth.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from vrnlib.crop import transform_points
from vrnlib.landmarks.ibug import MIRRORED, face_box
from vrnlib.synthetic.backgrounds import background, smooth_noise
from vrnlib.synthetic.damage import damage
from vrnlib.synthetic.faces import FaceRenderer
from vrnlib.synthetic.textures import noise_tile
from vrnlib.training.data import stored_array

CROP, CANVAS = 224, 336
"""Side of the renderer's crop, and of what is kept of the person around it, pixels."""

SMALLEST = 18.0
"""A face below this size (square root of the box's area, pixels) is nobody's fault: neither face nor background."""

MOST = 16
"""At most so many boxes to a picture."""


class Cutouts:
    """The first ``count`` people of a stream without their backgrounds, rendered when they are first asked for.

    images (count, 336, 336, 4) uint8, colours times alpha; landmarks (count, 68, 3) float32 in the same pixels.
    """

    def __init__(self, folder: str | Path, *, seed: int, count: int) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.seed, self.count, self.renderer = seed, count, FaceRenderer()
        self.images = stored_array(folder / f"{seed}_cutouts.npy", (count, CANVAS, CANVAS, 4), np.uint8)
        self.landmarks = stored_array(folder / f"{seed}_cutout_landmarks.npy", (count, 68, 3), np.float32)
        self.ready = stored_array(folder / f"{seed}_cutouts_ready.npy", (count,), np.uint8)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Person ``index``: image (336, 336, 4) and landmarks (68, 3)."""
        if not self.ready[index]:
            sample = self.renderer.sample(self.seed, index, size=CROP, canvas=CANVAS, augment_damage=False, cutout=True)
            self.images[index], self.landmarks[index] = sample.image, sample.landmarks
            self.ready[index] = 1
        return self.images[index], self.landmarks[index]


class Composites(Dataset):
    """(picture (3, size, size) uint8 RGB, boxes (16, 4) float32 pixels, known (16,) int8).

    known: 1 a face to be found, -1 a face that may be found or not (tiny, covered, or cut off), 0 no box.
    A picture follows from (seed, epoch, index). length: pictures in all; as many as people without.
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
        picture = torch.from_numpy(picture.transpose(2, 0, 1).copy())
        return picture, torch.from_numpy(all_boxes), torch.from_numpy(all_known)

    def compose(self, rng: np.random.Generator, index: int) -> tuple[NDArray[np.uint8], NDArray, NDArray]:
        """One picture (size, size, 3), its faces' landmarks (F, 68, 3) and what is known of them (F,), see above.

        The first person is ``index``; F is at most 16.
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
                image = spoil(image, points, rng)
            matrix = place(points, side, size, boxes, rng)
            alpha = paste(picture, image, matrix, light=rng.uniform(0.75, 1.0), fade=rng.random() < 0.6)
            known = np.where(covered(alpha, boxes) > 0.4, -1, known).astype(np.int8)
            points = transform_points(points if np.linalg.det(matrix[:, :2]) > 0 else points[MIRRORED], matrix)
            box = face_box(points)
            if is_face and (inside := overlap(box, frame[None])[0] / area(box)) > 0.2:
                small = np.sqrt(area(box)) < SMALLEST
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


def place(points: NDArray, side: float, size: int, boxes: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
    """The (2, 3) matrix that puts a person into a picture, turned and maybe mirrored, away from other faces."""
    angle = rng.uniform(-45, 45) if rng.random() < 0.25 else np.clip(rng.normal(0, 12), -45, 45)
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([rng.choice([-1.0, 1.0]), 1.0])
    box = face_box(points[:, :2] @ linear.T)
    scale = side / np.sqrt(area(box))
    half = scale * (box[2:] - box[:2]) / 2
    loose = 0.8 if rng.random() < 0.15 else 0.1  # how far it may leave the picture, as a part of half its size
    low = np.minimum(half * (1 - loose), size / 2)
    middles = rng.uniform(low, size - low, (6, 2))
    shared = [overlap(np.concatenate([middle - half, middle + half]), boxes).sum() for middle in middles]
    return np.column_stack([scale * linear, middles[np.argmin(shared)] - scale * (box[:2] + box[2:]) / 2])


def paste(
    picture: NDArray[np.uint8], image: NDArray[np.uint8], matrix: NDArray, *, light: float, fade: bool
) -> NDArray[np.uint8]:
    """Draw a cutout (336, 336, 4) into a picture, in place; gives the alpha that it had there, (size, size).

    light: 0..1. fade: the body fades away below; else it goes on to the end of the picture.
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
        *colours, alpha[y0:y1, x0:x1] = cv2.split(layer)
        blend(picture[y0:y1, x0:x1], cv2.merge(colours), alpha[y0:y1, x0:x1])
    return alpha


def blend(window: NDArray[np.uint8], colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> None:
    """Lay colours (H, W, 3), times their alpha (H, W) already, over a window of a picture, in place."""
    window[:] = cv2.add(colours, cv2.multiply(window, cv2.merge([255 - alpha] * 3), scale=1 / 255))


def spoil(image: NDArray[np.uint8], points: NDArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same person without a face: the body alone, the head with its features painted over, or one patch of it."""
    kind, middle = rng.random(), points[:, :2].mean(0)
    radius = 0.75 * np.ptp(points[:, :2], axis=0).max()
    mask = np.zeros(image.shape[:2], np.uint8)
    if kind < 0.35:  # from the chin downwards
        mask[int(points[:17, 1].max()) + 6 :] = 255
    elif kind < 0.7:  # where the features are
        cv2.circle(mask, (int(middle[0]), int(middle[1] - 0.15 * radius)), int(radius), 255, -1)
    else:  # a patch from somewhere: hair, ear, cheek, cloth
        centre = points[rng.integers(68), :2] + rng.normal(0, 0.9, 2) * radius
        cv2.circle(mask, (int(centre[0]), int(centre[1])), int(rng.uniform(0.15, 0.4) * radius), 255, -1)
    mask = cv2.blur(mask, (9, 9))
    if kind < 0.35 or kind >= 0.7:
        return cv2.multiply(image, cv2.merge([mask] * 4), scale=1 / 255)
    at = np.clip(points[[2, 14, 30, 27], :2].astype(int), 0, CANVAS - 1)
    tone = np.median(image[at[:, 1], at[:, 0], :3], axis=0) * rng.uniform(0.6, 1.1)
    rough = 1 + rng.uniform(0.02, 0.15) * smooth_noise(rng, CANVAS // 4, int(rng.integers(4, 40)))
    skin = cv2.resize(np.clip(tone * rough, 0, 255).astype(np.uint8), (CANVAS, CANVAS))
    *colours, alpha = cv2.split(image)
    mask = cv2.multiply(mask, alpha, scale=1 / 255)
    spoiled = cv2.merge(colours)
    blend(spoiled, cv2.multiply(skin, cv2.merge([mask] * 3), scale=1 / 255), mask)
    return cv2.merge([*cv2.split(spoiled), alpha])


def paint_blob(picture: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """A soft-edged shape with some texture, at most half as large as the picture, in place: clothes, fruit, shadows."""
    size = len(picture)
    side = int(np.exp(rng.uniform(np.log(16), np.log(0.5 * size))))
    x, y = rng.integers(0, size - side, 2)
    bumps = smooth_noise(rng, side, int(rng.integers(2, 5)))[..., 0] * rng.uniform(0.05, 0.4)
    grid = np.linspace(-1, 1, side, dtype=np.float32)
    inside = 0.9 - np.hypot(grid[None] * rng.uniform(1, 1.6), grid[:, None] * rng.uniform(1, 1.6)) + bumps
    alpha = np.clip(inside * rng.uniform(2, 20), 0, 1)[..., None]
    if rng.random() < 0.5:
        colours = cv2.resize(background(rng, 96), (side, side))
    else:  # folds and spots of one colour, or of skin
        tone = np.array([1.0, 0.72, 0.57]) * rng.uniform(0.2, 1) if rng.random() < 0.5 else rng.random(3)
        colours = np.full((side, side, 3), tone, np.float32)
        for cells in (3, 6, 14):
            colours *= 1 + np.float32(rng.uniform(0, 0.35)) * smooth_noise(rng, side, cells)
    colours = (np.clip(colours, 0, 1) * alpha * 255).astype(np.uint8)
    blend(picture[y : y + side, x : x + side], colours, (alpha[..., 0] * 255).astype(np.uint8))


def paint_hand(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
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
    colours = np.clip(light.astype(np.float32) * (0.3 + 0.7 * shade), 0, 255).astype(np.uint8)
    blend(picture[window], cv2.multiply(colours, cv2.merge([mask] * 3), scale=1 / 255), mask)
    return alpha


def covered(alpha: NDArray[np.uint8], boxes: NDArray) -> NDArray[np.float64]:
    """The part of each box (F, 4) that a layer's alpha (size, size) hides: (F,) in 0..1."""
    shares = np.zeros(len(boxes))
    for row, (x0, y0, x1, y1) in enumerate(np.clip(boxes, 0, len(alpha)).astype(int)):
        if x0 < x1 and y0 < y1:
            shares[row] = cv2.mean(alpha[y0:y1, x0:x1])[0] / 255
    return shares


def overlap(box: NDArray, boxes: NDArray) -> NDArray[np.float64]:
    """The areas (F,), pixels squared, that a box shares with other boxes (F, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return np.prod(np.maximum(sides, 0), axis=1)


def area(box: NDArray) -> float:
    """The area of a box (x0, y0, x1, y1), pixels squared."""
    return float((box[2] - box[0]) * (box[3] - box[1]))
