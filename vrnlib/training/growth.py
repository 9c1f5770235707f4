"""A larger network that starts by saying exactly what a smaller one says, so that training goes on from there.

Source: T. Chen, I. Goodfellow and J. Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016. Their
function-preserving start is reached in a simpler way, which pre-activation Residuals allow: nothing old listens to
anything new.

* Wider: the old channels come first and are computed from the old ones only. The new channels are computed from all,
  by fresh random weights (so no two of them are alike), and nothing old reads them: those weights are zero.
* Deeper: the last convolution of a new Residual is zero, so it passes on what comes in.

Zero weights do not stay zero: their gradient is what the new channels have to say about the loss.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from vrnlib.hourglass import Residual
from vrnlib.network import FAN, VRN, VRNGuided, VRNMultitask

Grown = TypeVar("Grown", VRN, VRNGuided, VRNMultitask, FAN)


@torch.no_grad()
def grow(small: nn.Module, large: Grown) -> Grown:
    """Fill a network from a smaller one of the same family, so that both give the same output in evaluation mode.

    What may grow: ``stem``, ``features``, ``residuals``, and the channels of the input (`VRN` to `VRNGuided`; the 68
    new channels are not listened to yet). Of a `VRN` with two hourglasses, the second becomes both the hourglass of the
    volume and that of the landmarks in a `VRNMultitask`.

    Args:
        small: the trained network; stays as it is.
        large: a freshly made one; filled in place.

    Returns:
        ``large``, in evaluation mode.

    Raises:
        ValueError: ``large`` lacks a part of ``small``, or has it in a smaller size, or has a part that cannot start
            as nothing (another hourglass, a 1×1 convolution on a skip that had none).
    """
    old, new = small.state_dict(), large.state_dict()
    if isinstance(large, VRNMultitask) and isinstance(small, VRN) and small.config.hourglasses == 2:
        old = _for_two_tasks(old)
    fresh = {name for name in new if name not in old and not name.startswith("landmark_head.")}
    for name, module in large.named_modules():
        if isinstance(module, Residual) and f"{name}.branch.8.weight" in fresh:
            for parameter in module.branch[8].parameters():
                nn.init.zeros_(parameter)
            fresh -= {key for key in fresh if key.startswith(f"{name}.branch.")}
    smaller = {name for name in old if name not in new or any(map(int.__gt__, old[name].shape, new[name].shape))}
    if fresh or smaller:
        name = min(fresh | smaller)
        raise ValueError(f"{name} cannot grow to that shape; only stem, features, residuals and input channels can.")
    for name, tensor in old.items():
        target = new[name]  # shares its memory with the network
        if tensor.ndim == 4:
            target[: len(tensor), tensor.shape[1] :] = 0
        target[tuple(slice(size) for size in tensor.shape)] = tensor
    return large.eval()


def _for_two_tasks(old: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a VRN with two hourglasses under the names that they have in a `VRNMultitask`."""
    second = "trunk.hourglasses.1."
    kept = {name: tensor for name, tensor in old.items() if not name.startswith(second)}
    for task in ("volume_hourglass.", "landmark_hourglass."):
        kept |= {task + name.removeprefix(second): tensor for name, tensor in old.items() if name.startswith(second)}
    return kept
