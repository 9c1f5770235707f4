"""Training of the volumetric regression network: crops and their solids, the loss over voxels, and the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from tddfa.voxelizer import voxelize
from vrnlib.crop import CROP_SIZE, transform_points
from vrnlib.network import VolumeAndMaps, VRNGuided, landmark_channels
from vrnlib.training.augment import Augmentation, moved_landmarks, to_picture
from vrnlib.training.batches import as_item, rgb_input
from vrnlib.training.data import RenderedFaces
from vrnlib.training.loop import Task
from vrnlib.weight_files import AnyVRN


class VolumePairs(Dataset[tuple[Tensor, ...]]):
    """Crops and their solids for VRN; each pair follows from (seed, epoch, index).

    An item is (image (3, size, size) uint8 RGB, solid (200, size / step, size / step) bool, indexed [z, y, x]), and
    with landmarks also (68, 2) float32, in pixels of the image.

    Args:
        faces: the renders.
        augmentation: how each of them is changed.
        seed: of the augmentations.
        step: 1 gives the solid at every voxel of a 192-pixel crop. 4 gives it on the lattice of the network's own
            feature map (`VRN.lattice_logits`): a sixteenth of the voxels, the same truth, so a CPU trains faster.
        size: smaller crops (128) are the same picture at a coarser scale, for a quick start of a training.
        landmarks: how wrong an item's landmarks are, see `vrnlib.training.augment.moved_landmarks`; None: it has none.
    """

    def __init__(
        self,
        faces: RenderedFaces,
        *,
        augmentation: Augmentation,
        seed: int,
        step: int = 4,
        size: int = CROP_SIZE,
        landmarks: float | None = None,
    ) -> None:
        self.faces, self.augmentation, self.seed = faces, augmentation, seed
        self.step, self.size, self.landmarks = step, size, landmarks

    def __len__(self) -> int:
        return self.faces.count

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, ...]:
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        rng = np.random.default_rng([self.seed, epoch, index])
        matrix = self.augmentation.similarity(rng)
        picture = to_picture(matrix, self.size)
        image = self.augmentation.recolor(self.faces.crop(index, picture, size=self.size), rng)
        vertices, triangles = self.faces.model.close(transform_points(self.faces.mesh(index), matrix))
        solid, _ = voxelize(vertices, triangles, step=round(self.step * CROP_SIZE / self.size))
        if self.landmarks is None:
            return as_item(image, solid)
        return as_item(image, solid, moved_landmarks(self.faces.landmarks(index), picture, rng, noise=self.landmarks))


def voxel_loss(logits: Tensor, solid: Tensor) -> Tensor:
    """Mean sigmoid cross-entropy over voxels, from logits (VRN paper, equation 1).

    Args:
        logits: (B, D, H, W). solid: of the same shape, bool, 0 and 1, or between.

    >>> round(voxel_loss(torch.zeros(1, 2, 1, 1), torch.ones(1, 2, 1, 1)).item(), 3)  # log 2: as good as tossing a coin
    0.693
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # bfloat16 is not enough for a mean
    return F.binary_cross_entropy_with_logits(logits, solid.to(logits.dtype))


def volume_iou(logits: Tensor, solid: Tensor) -> Tensor:
    """Intersection over union of {logit > 0} and the solid, per item of the batch.

    Args:
        logits: (B, D, H, W). solid: of the same shape, bool or 0 and 1.

    Returns:
        (B,).
    """
    predicted, solid = (logits > 0).flatten(1), solid.bool().flatten(1)
    return (predicted & solid).sum(1) / (predicted | solid).sum(1)


def vrn_task(
    network: AnyVRN, train: Dataset[Any], held_out: Dataset[Any], *, step: int, notes: dict[str, Any] | None = None
) -> Task[AnyVRN]:
    """A VRN with its loss and its score.

    The loss is `voxel_loss`; a multitask VRN's is that of the volume plus that of the landmarks' Gaussians, with equal
    weights (paper, section 3.3).

    Args:
        network: to be trained.
        train, held_out: `VolumePairs` of this step, with landmarks unless the network is a plain VRN.
        step: 4 judges it on its own lattice, 1 at every voxel.
        notes: for the header of the weights.
    """

    def answers(network: AnyVRN, batch: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits of the volume, and of the heat maps where the network has them."""
        inputs = [rgb_input(batch[0])]
        if isinstance(network, VRNGuided):
            inputs.append(batch[2])
        answer = network.lattice_logits(*inputs) if step == 4 else network(*inputs)
        if isinstance(answer, VolumeAndMaps):
            return answer.volume, answer.heatmaps
        return answer if isinstance(answer, tuple) else (answer, None)

    def loss(network: AnyVRN, batch: list[Tensor]) -> Tensor:
        logits, maps = answers(network, batch)
        if maps is None:
            return voxel_loss(logits, batch[1])
        cells = (batch[2] - 1.5) / 4  # where they lie on the maps, see `VRN.lattice_logits`
        return voxel_loss(logits, batch[1]) + voxel_loss(maps, landmark_channels(cells, (maps.shape[2], maps.shape[3])))

    return Task(
        network=network,
        train=train,
        held_out=held_out,
        loss=loss,
        score=lambda net, batch: volume_iou(answers(net, batch)[0], batch[1]),
        score_name="held_out_iou",
        notes=notes or {},
    )
