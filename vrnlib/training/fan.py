"""Training of the face-alignment network: faces and their 68 landmarks, the loss over heat maps, and the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tddfa.ibug import MIRRORED
from vrnlib.crop import transform_points
from vrnlib.landmarks.alignment import FAN_MARGIN
from vrnlib.network import FAN
from vrnlib.synthetic.damage import coarsen
from vrnlib.training.augment import Augmentation, cover, similarity_matrix
from vrnlib.training.batches import landmark_error_percents, rgb_input
from vrnlib.training.data import RenderedFaces
from vrnlib.training.loop import Task


class LandmarkPairs(Dataset[tuple[Tensor, Tensor, bool]]):
    """Faces and their landmarks for FAN; each follows from (seed, epoch, index).

    An item is (image (3, size, size) uint8 RGB, landmarks (68, 3) float32 in its pixels, z with a mean of 0, is_face).

    A square about the landmarks' box, 1.4 times its larger side, jittered as a face detector would be wrong, leaning as
    heads in photos do. One in four is as coarse as a small face of a photo, one in four is covered in part. One in ten
    is no face (a piece of background or of a head, far off or far too large), so that a network learns to give flat
    heat maps where it finds nothing.

    Args:
        faces: the renders.
        seed: of the changes.
        size: side of the image in pixels.
        augment: False gives the square itself, for validation.
    """

    def __init__(self, faces: RenderedFaces, *, seed: int, size: int = 128, augment: bool = True) -> None:
        self.faces, self.seed, self.size, self.augment = faces, seed, size, augment

    def __len__(self) -> int:
        return self.faces.count

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, bool]:
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        rng = np.random.default_rng([self.seed, epoch, index])
        points = self.faces.landmarks(index)
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        middle, side, angle, mirror, is_face = (low + high) / 2, FAN_MARGIN * (high - low).max(), 0.0, False, True
        if self.augment:
            angle = rng.uniform(-50, 50) if rng.random() < 0.2 else np.clip(rng.normal(0, 15), -45, 45)
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
        target = np.full(2, (self.size - 1) / 2)
        matrix = similarity_matrix(angle, scale=self.size / side, mirrored=mirror, source=middle, target=target)
        image = self.faces.crop(index, matrix, size=self.size)
        if self.augment:
            image = Augmentation(color=(0.7, 1.3)).recolor(image, rng)
            if is_face and rng.random() < 0.25:
                other = self.faces.image(int(rng.integers(self.faces.count)))
                image = cover(image, other, rng)
            if rng.random() < 0.25:
                image = coarsen(image, round(np.exp(rng.uniform(np.log(28), np.log(self.size)))))
        landmarks = transform_points(points, matrix)
        if mirror:
            landmarks = landmarks[MIRRORED]
        landmarks[:, 2] -= landmarks[:, 2].mean()
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(landmarks), is_face


def landmark_loss(network: FAN, batch: list[Tensor]) -> Tensor:
    """Cross-entropy of each heat map with a Gaussian (sigma one cell), plus the distance of the decoded points.

    Where the picture shows no face the target is a flat map, so that the score tells faces from the rest.

    Args:
        network: to be trained.
        batch: of `LandmarkPairs`: images (B, 3, S, S), landmarks (B, P, 3), is_face (B,).
    """
    image, target, is_face = batch
    maps = network(rgb_input(image))
    _, _, rows, columns = maps.logits.shape
    log_probability = maps.logits.flatten(2).log_softmax(2)
    centre = (target[..., :2] - 1.5) / 4  # input pixels → cells
    x = torch.arange(columns, device=image.device) - centre[..., :1]
    y = torch.arange(rows, device=image.device) - centre[..., 1:]
    gaussian = torch.exp(-(x[..., None, :] ** 2 + y[..., :, None] ** 2) / 2).flatten(2) + 1e-8
    gaussian = gaussian / gaussian.sum(2, keepdim=True)
    flat = torch.full_like(gaussian, 1 / (rows * columns))
    wanted = torch.where(is_face[:, None, None], gaussian, flat)
    entropy = -(wanted * log_probability).sum(2).mean()
    inside = ((target[..., :2] > 0) & (target[..., :2] < image.shape[-1] - 1)).all(2) & is_face[:, None]
    error = (maps.points - target).abs() * torch.tensor([1.0, 1.0, 0.5], device=image.device) / image.shape[-1]
    return 0.1 * entropy + 10 * (error * inside[..., None]).sum() / inside.sum().clamp(min=1) / 3


def landmark_score(network: FAN, batch: list[Tensor]) -> Tensor:
    """Error of the landmarks in per cent, per face of a batch of `LandmarkPairs`: (B,)."""
    image, target, _ = batch
    return landmark_error_percents(network(rgb_input(image)).points, target)


def fan_task(
    network: FAN, train: Dataset[Any], held_out: Dataset[Any], *, notes: dict[str, Any] | None = None
) -> Task[FAN]:
    """A FAN with its loss and its score; `LandmarkPairs` to train and to judge it, notes for the weights' header."""
    return Task(
        network=network,
        train=train,
        held_out=held_out,
        loss=landmark_loss,
        score=landmark_score,
        score_name="held_out_error_percent",
        notes=notes or {},
    )
