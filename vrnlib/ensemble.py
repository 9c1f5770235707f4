"""How a VRN is run: a reduced crop is seen four times, and ONNX Runtime does the work.

A VRN whose crop is brought to 128 pixels knows a column of the volume every 6 pixels, and steps show on the surface.
Shown again half a column further, the face falls differently on the columns. The mean over four such crops, two of
them mirrored, has no steps and is more exact (measured in the card of the weights). The shifts go to either side, so
that none is longer than those of the training. `FlipShiftEnsemble` says so in torch.

Half of the time of a small VRN in torch goes into enlarging 200 slices from the lattice of the feature map to every
voxel, four times. All of that is linear: a row of the volume is a weighted sum of rows of the lattice, shifted,
mirrored or not. `OnnxVRN` puts the weights of the four crops side by side, so that one product along x and one along y
give the mean of all: the same numbers, up to rounding, in a quarter of the time.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tddfa.ibug import MIRRORED
from tddfa.runtimes import Runner, make_runner
from vrnlib.network import VRN, VRNGuided, VRNMultitask, landmark_channels, reduced


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


class OnnxVRN:
    """A VRN, VRNGuided or VRNMultitask from a crop to logits; it is exported when it is first used.

    A network that reduces its crop sees it four times, as `FlipShiftEnsemble` does.

    Args:
        network: in evaluation mode.
        threads: of ONNX Runtime; None for its own choice.
        ensemble: False shows the crop once, whatever the network.
    """

    def __init__(
        self, network: VRN | VRNGuided | VRNMultitask, *, threads: int | None = None, ensemble: bool = True
    ) -> None:
        self.ensemble = ensemble and network.config.resize is not None
        self.config, self.guided = network.config, isinstance(network, VRNGuided)
        channels = 3 + network.POINTS if isinstance(network, VRNGuided) else 3
        lattice = _Lattice(network)

        @cache
        def runner(side: int) -> Runner:
            example = (channels, side, side)
            return make_runner(lattice, name="vrn", example=example, runtime="onnx", threads=threads)

        self._runner = runner

    def __repr__(self) -> str:
        return f"OnnxVRN({self.config})"

    def __call__(self, image: Tensor, landmarks: Tensor | None = None) -> Tensor:
        """Logits (1, slices, S, S) of a crop (1, 3, S, S) float32 RGB in [0, 1].

        Args:
            image: one crop.
            landmarks: (1, 68, 2 or 3) crop pixels; a `VRNGuided` needs them, the others do not look at them.

        Raises:
            ValueError: another shape, or landmarks that are missing.
            OSError: the user's cache cannot keep the export; one sentence.
        """
        if image.ndim != 4 or image.shape[:2] != (1, 3) or image.shape[2] != image.shape[3]:
            raise ValueError(f"Expected one square crop (1, 3, S, S), got {tuple(image.shape)}.")
        if self.guided and (landmarks is None or landmarks.shape[:2] != (1, VRNGuided.POINTS)):
            raise ValueError("Expected the 68 landmarks that guide this network, got none; find them first.")
        size = image.shape[-1]
        looks = views(half_column(self, size)) if self.ensemble else [(0, 0, False)]
        crops = [self._input(image, landmarks, *look) for look in looks]
        lattice = self._runner(crops[0].shape[-1])(np.concatenate(crops))[0]
        rows, columns = [], []
        for one, (dx, dy, mirrored) in zip(lattice, looks, strict=True):
            along_x = _enlargement(one.shape[-1], size, self.config.resize is not None)
            along_y = _enlargement(one.shape[-2], size, self.config.resize is not None)
            along_x = along_x[::-1] if mirrored else along_x
            rows.append(along_y[_moved(size, dy)] / len(looks))
            columns.append(one @ along_x[_moved(size, dx)].T)
        return torch.from_numpy(np.concatenate(rows, axis=1) @ np.concatenate(columns, axis=1))[None]

    def _input(self, image: Tensor, landmarks: Tensor | None, dx: int, dy: int, mirrored: bool) -> NDArray[np.float32]:
        """What the network sees of a crop that is shifted, and then mirrored or not: (1, 3 or 71, s, s)."""
        crop = shifted(image, dx, dy)
        small = reduced(crop.flip(3) if mirrored else crop, self.config)
        if not self.guided or landmarks is None:
            return small.numpy()
        points = landmarks[..., :2] + torch.tensor([float(dx), float(dy)])
        if mirrored:
            points = points[:, torch.from_numpy(MIRRORED.copy())] * torch.tensor([-1.0, 1.0])
            points = points + torch.tensor([image.shape[-1] - 1.0, 0.0])
        points = (points + 0.5) * (small.shape[-1] / image.shape[-1]) - 0.5
        return torch.cat([small, landmark_channels(points, (small.shape[2], small.shape[3]))], dim=1).numpy()


class _Lattice(nn.Module):
    """From the input, its landmarks' channels included, to the volume's logits on the feature map's lattice."""

    def __init__(self, network: VRN | VRNGuided | VRNMultitask) -> None:
        super().__init__()
        self.network = network

    def forward(self, channels: Tensor) -> Tensor:
        if isinstance(self.network, VRNMultitask):
            return self.network.lattice_logits(channels)[0]
        return self.network.head(self.network.trunk(channels))


@cache
def _enlargement(cells: int, size: int, cubic: bool) -> NDArray[np.float32]:
    """(size, cells) weights with which torch's interpolation makes a row of voxels of a row of cells."""
    mode = "bicubic" if cubic else "bilinear"
    return F.interpolate(torch.eye(cells)[None, None], size=(size, cells), mode=mode, align_corners=False)[0, 0].numpy()


def _moved(size: int, step: int) -> NDArray[np.int64]:
    """(size,) which voxel stands in each place after logits were moved back by so many, the border repeated."""
    return np.clip(np.arange(size) + step, 0, size - 1)
