"""Test-time augmentation: what a network that sees a reduced picture loses between its columns comes back.

A VRN whose crop is brought to 128 pixels knows a column of the volume every 6 pixels, and steps show on the surface.
Shown again half a column further, the face falls differently on the columns. The mean over four such crops, two of
them mirrored, has no steps and is more exact (measured in the card of the weights). The shifts go to either side, so
that none is longer than those of the training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vrnlib.network import VRN


class FlipShiftEnsemble(nn.Module):
    """A VRN that sees its crop four times, shifted half a column along x, y and both, twice mirrored."""

    def __init__(self, vrn: VRN) -> None:
        super().__init__()
        self.vrn = vrn

    def forward(self, image: Tensor) -> Tensor:
        """Mean logits over the four crops; shapes as in `VRN.forward`."""
        total = torch.zeros(())
        looks = views(half_column(self.vrn, image.shape[-1]))
        for dx, dy, mirrored in looks:
            crop = shifted(image, dx, dy)
            logits = self.vrn(crop.flip(3)).flip(3) if mirrored else self.vrn(crop)
            total = total + shifted(logits, -dx, -dy)
        return total / len(looks)


def views(half: int) -> list[tuple[int, int, bool]]:
    """The four crops: by how many pixels each is shifted along x and y, and whether it is mirrored then.

    Args:
        half: see `half_column`.
    """
    back, on = -(half // 2), half - half // 2
    return [(back, back, False), (on, on, False), (on, back, True), (back, on, True)]


def half_column(vrn: Any, size: int) -> int:
    """Half the distance of the known columns of a VRN's volume, in pixels of a crop of this size."""
    return round(2 * size / (vrn.config.resize or size))


def shifted(picture: Tensor, dx: int, dy: int) -> Tensor:
    """A picture (B, C, H, W), moved by whole pixels to the right and down; its border is repeated.

    >>> shifted(torch.tensor([[[[1, 2, 3]]]]), 1, 0).tolist()
    [[[[1, 1, 2]]]]
    """
    height, width = picture.shape[2:]
    reach = max(abs(dx), abs(dy))
    wide = F.pad(picture, (reach,) * 4, mode="replicate")
    return wide[:, :, reach - dy : reach - dy + height, reach - dx : reach - dx + width]
