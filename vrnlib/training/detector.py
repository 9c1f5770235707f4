"""Training of the open face detector: FaceBoxes' network on pictures of rendered faces.

Source: S. Zhang et al., "FaceBoxes", IJCB 2017, section 3.4, after SSD (W. Liu et al., ECCV 2016): every prior box that
overlaps a face by more than 0.35, and the best one of every face, is to say "face" and where it is; the other priors
are to say "background", and of these only the worst seven per face count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from tddfa.checkpoints import fill, read_checkpoint
from tddfa.faceboxes import MEAN_BGR, OVERLAP, FaceBoxesNet, decode, encode, prior_boxes
from tddfa.nms import nms
from vrnlib.training.batches import bgr_input
from vrnlib.training.composites import Composites
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


def match_priors(boxes: Tensor, known: Tensor, priors: Tensor) -> tuple[Tensor, Tensor]:
    """What each prior box is to say about one picture.

    Args:
        boxes: (F, 4) x0 y0 x1 y1, shares of the picture's sides.
        known: (F,) 1 face, -1 maybe, 0 no box.
        priors: (P, 4) centre and size, shares too.

    Returns:
        Offsets (P, 4), and labels (P,) int64: 1 face, 0 background, -1 does not count.
    """
    corners = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], dim=1)
    label = torch.zeros(len(priors), dtype=torch.int64, device=priors.device)
    offsets = torch.zeros(len(priors), 4, device=priors.device)
    maybe = boxes[known == -1]
    if len(maybe):
        label[(box_iou(maybe, corners) > 0.2).any(0)] = -1
    faces = boxes[known == 1]
    if len(faces):
        overlap = box_iou(faces, corners)
        best_prior = overlap.argmax(1)
        best, face = overlap.max(0)
        best[best_prior], face[best_prior] = 2.0, torch.arange(len(faces), device=faces.device)
        label[best > MATCH] = 1
        offsets = encode(faces[face], priors)
    return offsets, label


def detection_loss(network: nn.Module, batch: list[Tensor]) -> Tensor:
    """Cross-entropy of the scores, worst background only, plus twice the offsets' smooth L1, per face prior.

    Args:
        network: images (B, 3, H, W) as `network_input` gives them → offsets (B, P, 4) and scores (B, P, 2).
        batch: of `Composites`: images (B, 3, H, W), boxes (B, F, 4) and what is known of them (B, F).
    """
    image, boxes, known = batch
    offsets, scores = (part.float() for part in network(network_input(image)))
    wanted, label = prior_targets(boxes, known, size=(image.shape[2], image.shape[3]))
    face = label == 1
    count = face.sum().clamp(min=1)
    entropy = F.cross_entropy(scores.flatten(0, 1), label.clamp(min=0).flatten(), reduction="none").view(label.shape)
    background = entropy.detach().masked_fill(label != 0, -1.0)
    keep = min(background.numel(), int(NEGATIVES * max(count.item(), len(image))))
    threshold = background.flatten().topk(keep).values[-1]
    hard = (background >= threshold.clamp(min=0)) & (label == 0)
    place = F.smooth_l1_loss(offsets[face], wanted[face], reduction="sum")
    return (entropy[face].sum() + entropy[hard].sum() + 2 * place) / count


def prior_targets(boxes: Tensor, known: Tensor, *, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """`match_priors` for a batch.

    Args:
        boxes: (B, F, 4) x0 y0 x1 y1, pixels. known: (B, F).
        size: height and width of the pictures, pixels.

    Returns:
        Offsets (B, P, 4) and labels (B, P).
    """
    height, width = size
    priors, sides = prior_boxes(height, width).to(boxes.device), boxes.new_tensor([width, height, width, height])
    pairs = [match_priors(one / sides, which, priors) for one, which in zip(boxes, known, strict=True)]
    return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])


@torch.no_grad()
def find_faces(network: nn.Module, image: Tensor, *, min_score: float = 0.5) -> list[Tensor]:
    """The boxes that the network finds in each picture of a batch.

    Args:
        network: as for `detection_loss`.
        image: (B, 3, H, W) uint8 RGB.
        min_score: boxes with a lower score are left out.

    Returns:
        Per picture (N, 5): x0 y0 x1 y1 in pixels, and the score.
    """
    offsets, scores = (part.cpu() for part in network(network_input(image)))
    height, width = image.shape[2:]
    found = decode(offsets, prior_boxes(height, width)) * torch.tensor([width, height, width, height])
    score = scores.softmax(-1)[..., 1:]
    rows = torch.cat([found, score], dim=-1)
    picked = [one[one[:, 4] > min_score] for one in rows]
    return [one[nms(one.numpy(), OVERLAP)] for one in picked]


def count_hits(found: Tensor, boxes: Tensor, known: Tensor) -> tuple[int, int, int]:
    """Faces found, faces missed and false alarms of one picture.

    A box finds the face that it overlaps most, by at least a half; what lies on a "maybe" is no false alarm.

    Args:
        found: (N, 4+) boxes, the surest first. boxes: (F, 4) the true ones. known: (F,) 1 face, -1 maybe, 0 no box.
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
    for found, one, which in zip(find_faces(network, image), boxes.cpu(), known.cpu(), strict=True):
        hits, missed, false = count_hits(found, one, which)
        scores.append(2 * hits / (2 * hits + missed + false) if hits + missed + false else 1.0)
    return torch.tensor(scores)


def network_input(image: Tensor) -> Tensor:
    """uint8 RGB (B, 3, H, W) → what FaceBoxes reads: BGR minus the mean."""
    return bgr_input(image, mean=MEAN_BGR)


def detector_task(
    train: Dataset[Any], held_out: Dataset[Any], *, init: str | Path | None = None, notes: dict[str, Any] | None = None
) -> Task[nn.Module]:
    """FaceBoxes' network with its loss; what it saves is a weights file of `tddfa.FaceBoxes`.

    Args:
        train, held_out: `Composites` to train with, and others to judge it.
        init: a file that this task saved, to start from; else random weights.
        notes: for the header of the weights.

    Raises:
        ValueError: ``init`` holds something else.
    """
    network = FaceBoxesNet() if init is None else load_detector(init)
    return Task(
        network=network,
        train=train,
        held_out=held_out,
        loss=detection_loss,
        score=detection_score,
        score_name="held_out_f_score",
        notes=notes or {},
        save=save_detector,
    )


def save_detector(path: str | Path, network: nn.Module, *, notes: dict[str, Any]) -> None:
    """Write the network (float16) and notes as `tddfa.FaceBoxes` reads them, whole or not."""
    save_tensors(path, half_tensors(network), "tddfa", {"architecture": "faceboxes", "notes": notes})


def load_detector(path: str | Path) -> nn.Module:
    """The network of a file that `save_detector` wrote.

    Raises:
        ValueError: the file holds something else.
    """
    return fill(FaceBoxesNet(), read_checkpoint(path), Path(path).name)


@torch.no_grad()
def recall_by_size(
    network: nn.Module, pictures: Composites, *, size_edges: tuple[float, ...] = (18, 32, 64, 128, 256, 1000)
) -> dict[str, Any]:
    """How many faces of held-out pictures are found.

    Args:
        network: as for `detection_loss`.
        pictures: to find them in.
        size_edges: of the bins of the face's size (square root of its box's area, pixels).

    Returns:
        {"recall", "recall_by_size": by "LOW-HIGH", "false_alarms_per_picture"}.
    """
    network.eval()
    found_of, all_of, false = np.zeros(len(size_edges) - 1), np.zeros(len(size_edges) - 1), 0
    for index in range(len(pictures)):
        image, boxes, known = pictures[index]
        found = find_faces(network, image[None])[0]
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
