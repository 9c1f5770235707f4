"""Training of the open face detector: FaceBoxes' network on pictures of rendered faces.

Source: S. Zhang et al., "FaceBoxes", IJCB 2017, section 3.4, after SSD (W. Liu et al., ECCV 2016): every prior box that
overlaps a face by more than 0.35, and the best one of every face, is to say "face" and where it is; the other priors
are to say "background", and of these only the worst seven per face count.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from tddfa.checkpoints import fill, read_checkpoint
from tddfa.faceboxes import MEAN_BGR, OVERLAP, FaceBoxesNet, decode, encode, prior_boxes
from tddfa.nms import nms
from vrnlib.training.loop import Task
from vrnlib.weight_files import half_tensors, save_tensors

MATCH = 0.35
"""Least intersection over union of a prior box and the face that it is to find."""

NEGATIVES = 7
"""Background priors that count, for each face prior of a batch; at least so many for each picture too."""


def box_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union (..., N, M) of boxes (..., N, 4) and (..., M, 4), x0 y0 x1 y1."""
    low = torch.maximum(one[..., :, None, :2], other[..., None, :, :2])
    high = torch.minimum(one[..., :, None, 2:], other[..., None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (one, other)]
    return shared / (areas[0][..., :, None] + areas[1][..., None, :] - shared).clamp(min=1e-9)


def match(boxes: Tensor, known: Tensor, priors: Tensor) -> tuple[Tensor, Tensor]:
    """What each prior box is to say about one picture.

    Args:
        boxes: (F, 4) shares of the picture's sides. known: (F,) 1 face, -1 maybe, 0 no box.
        priors: (P, 4) centre and size, shares too.

    Returns:
        (offsets (P, 4), label (P,) int64): 1 face, 0 background, -1 does not count.
    """
    corners = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], dim=1)
    label, offsets = torch.zeros(len(priors), dtype=torch.int64), torch.zeros(len(priors), 4)
    maybe = boxes[known == -1]
    if len(maybe):
        label[(box_iou(maybe, corners) > 0.2).any(0)] = -1
    faces = boxes[known == 1]
    if len(faces):
        overlap = box_iou(faces, corners)
        best_prior = overlap.argmax(1)
        best, face = overlap.max(0)
        best[best_prior], face[best_prior] = 2.0, torch.arange(len(faces))
        label[best > MATCH] = 1
        offsets = encode(faces[face], priors)
    return offsets, label


def detection_loss(network: nn.Module, batch: list[Tensor]) -> Tensor:
    """Cross-entropy of the scores, worst background only, plus twice the offsets' smooth L1, per face prior."""
    image, boxes, known = batch
    offsets, scores = network(as_network_input(image))
    wanted, label = targets(boxes, known, image.shape[2:])
    face = label == 1
    count = face.sum().clamp(min=1)
    entropy = F.cross_entropy(scores.flatten(0, 1), label.clamp(min=0).flatten(), reduction="none").view(label.shape)
    background = entropy.detach().masked_fill(label != 0, -1.0)
    keep = min(background.numel(), int(NEGATIVES * max(count.item(), len(image))))
    threshold = background.flatten().topk(keep).values[-1]
    hard = (background >= threshold.clamp(min=0)) & (label == 0)
    place = F.smooth_l1_loss(offsets[face], wanted[face], reduction="sum")
    return (entropy[face].sum() + entropy[hard].sum() + 2 * place) / count


def targets(boxes: Tensor, known: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """`match` for a batch: boxes (B, F, 4) in pixels of pictures of (height, width); (B, P, 4) and (B, P)."""
    height, width = size
    priors, sides = prior_boxes(height, width), torch.tensor([width, height, width, height])
    pairs = [match(one / sides, which, priors) for one, which in zip(boxes, known, strict=True)]
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])


@torch.no_grad()
def detect(network: nn.Module, image: Tensor, *, min_score: float = 0.5) -> list[Tensor]:
    """The boxes (N, 5) with scores that the network finds in each picture of a batch (B, 3, H, W) uint8, in pixels."""
    offsets, scores = network(as_network_input(image))
    height, width = image.shape[2:]
    found = decode(offsets, prior_boxes(height, width)) * torch.tensor([width, height, width, height])
    score = scores.softmax(-1)[..., 1:]
    rows = torch.cat([found, score], dim=-1)
    picked = [one[one[:, 4] > min_score] for one in rows]
    return [one[nms(one.numpy(), OVERLAP)] for one in picked]


def count_hits(found: Tensor, boxes: Tensor, known: Tensor) -> tuple[int, int, int]:
    """(faces found, faces missed, false alarms) of one picture.

    A box finds the face that it overlaps most, by at least a half; what lies on a "maybe" is no false alarm.
    """
    faces, maybe = boxes[known == 1], boxes[known == -1]
    hit = torch.zeros(len(faces), dtype=torch.bool)
    false = 0
    for box in found[:, :4]:
        overlap = box_iou(box[None], faces)[0]
        if len(faces) and overlap.max() >= 0.5 and not hit[overlap.argmax()]:
            hit[overlap.argmax()] = True
        elif not len(maybe) or box_iou(box[None], maybe)[0].max() < 0.2:
            false += 1
    return int(hit.sum()), int((~hit).sum()), false


def detection_score(network: nn.Module, batch: list[Tensor]) -> Tensor:
    """F-score of each picture, (B,): 1 when every face is found and nothing else; IoU 0.5, score 0.5."""
    image, boxes, known = batch
    scores = []
    for found, one, which in zip(detect(network, image), boxes, known, strict=True):
        hits, missed, false = count_hits(found, one, which)
        scores.append(2 * hits / (2 * hits + missed + false) if hits + missed + false else 1.0)
    return torch.tensor(scores)


def as_network_input(image: Tensor) -> Tensor:
    """uint8 RGB (B, 3, H, W) → what FaceBoxes reads: BGR minus the mean."""
    mean = torch.tensor(MEAN_BGR)[:, None, None]
    return (image.flip(1).float() - mean).contiguous(memory_format=torch.channels_last)


def detector_task(train: Dataset, held_out: Dataset, *, init: str | Path | None = None, notes: dict) -> Task:
    """FaceBoxes' network with its loss, from random weights or from ``init``, a file that this task saved."""
    network = FaceBoxesNet() if init is None else load_detector(init)
    return Task(
        network,
        train,
        held_out,
        loss=detection_loss,
        score=detection_score,
        score_name="held_out_f_score",
        notes=notes,
        save=save_detector,
    )


def save_detector(path: str | Path, network: nn.Module, *, notes: dict) -> None:
    """Write the network (float16) and notes as `tddfa.FaceBoxes` reads them, whole or not."""
    save_tensors(path, half_tensors(network), "tddfa", {"architecture": "faceboxes", "notes": notes})


def load_detector(path: str | Path) -> FaceBoxesNet:
    """The network of a file that `save_detector` wrote. Raises ValueError when it holds something else."""
    return fill(FaceBoxesNet(), read_checkpoint(path), Path(path).name)


@torch.no_grad()
def recall_by(
    network: nn.Module, pictures: Dataset, *, size_edges: tuple[float, ...] = (18, 32, 64, 128, 256, 1000)
) -> dict:
    """Recall by face size (square root of the box's area, pixels) and false alarms per picture of held-out pictures."""
    network.eval()
    found_of, all_of, false = np.zeros(len(size_edges) - 1), np.zeros(len(size_edges) - 1), 0
    for index in range(len(pictures)):
        image, boxes, known = pictures[index]
        found = detect(network, image[None])[0]
        _, _, wrong = count_hits(found, boxes, known)
        false += wrong
        faces = boxes[known == 1]
        sides = (faces[:, 2:] - faces[:, :2]).prod(1).sqrt().numpy()
        seen = (box_iou(found[:, :4], faces).amax(0) >= 0.5).numpy() if len(found) else np.zeros(len(faces), bool)
        for row in range(len(all_of)):
            chosen = (sides >= size_edges[row]) & (sides < size_edges[row + 1])
            all_of[row] += chosen.sum()
            found_of[row] += seen[chosen].sum()
    names = [f"{low:g}-{high:g}" for low, high in zip(size_edges, size_edges[1:], strict=False)]
    recall = {name: float(a / b) for name, a, b in zip(names, found_of, all_of, strict=True) if b}
    return {
        "recall": float(found_of.sum() / all_of.sum()),
        "recall_by_size": recall,
        "false_alarms_per_picture": false / len(pictures),
    }
