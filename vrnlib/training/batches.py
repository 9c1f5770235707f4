"""Batches as tensors: what the networks read of uint8 pictures, and how far landmarks lie from the true ones."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tddfa.arrays import Volume
from vrnlib.training.cache import Picture


def as_item(picture: Picture, solid: Volume, points: NDArray[np.float32] | None = None) -> tuple[Tensor, ...]:
    """A pair for VRN as tensors: image (3, H, W), solid, and the landmarks where it has them."""
    item = torch.from_numpy(picture.transpose(2, 0, 1).copy()), torch.from_numpy(solid)
    return item if points is None else (*item, torch.from_numpy(points))


def rgb_input(image: Tensor) -> Tensor:
    """What VRN and FAN read: RGB in [0, 1].

    Args:
        image: (B, 3, H, W) uint8 RGB.

    Returns:
        float32 of the same shape, in the memory order in which convolutions run fastest.
    """
    return (image.float() / 255).contiguous(memory_format=torch.channels_last)


def bgr_input(image: Tensor, *, mean: float | tuple[float, float, float], scale: float = 1.0) -> Tensor:
    """What 3DDFA_V2's networks read: BGR, (value - mean) / scale.

    Args:
        image: (B, 3, H, W) uint8 RGB.
        mean: one number, or one for each of blue, green and red, 0 ... 255.
        scale: the divisor.

    Returns:
        As for `rgb_input`.

    >>> bgr_input(torch.tensor([0, 100, 255], dtype=torch.uint8).view(1, 3, 1, 1), mean=(10, 0, 0)).flatten().tolist()
    [245.0, 100.0, 0.0]
    """
    centre = torch.tensor(mean, dtype=torch.float32, device=image.device).view(-1, 1, 1)
    return ((image.flip(1).float() - centre) / scale).contiguous(memory_format=torch.channels_last)


def landmark_error_percents(points: Tensor, truth: Tensor) -> Tensor:
    """`vrnlib.metrics.landmark_error_percent` for a batch: mean distance in the picture / sqrt(w h), in per cent.

    Args:
        points: (B, P, 2) or (B, P, 3) pixels.
        truth: of the same shape; the box of its x and y is w x h.

    Returns:
        (B,).
    """
    points, truth = points[..., :2], truth[..., :2]
    box = truth.amax(1) - truth.amin(1)
    return 100 * (points - truth).norm(dim=2).mean(1) / box.prod(1).sqrt()


def bfloat16(device: torch.device, *, enabled: bool) -> AbstractContextManager[object]:
    """A context that computes in bfloat16 what tolerates it, or nothing, also within another such context."""
    if not torch.amp.is_autocast_available(device.type):  # "meta", where tests look at shapes and devices
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
