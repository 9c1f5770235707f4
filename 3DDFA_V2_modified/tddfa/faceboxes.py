"""FaceBoxes: where the faces of a photo are.

Source: S. Zhang et al., "FaceBoxes: A CPU Real-time Face Detector with High Accuracy", IJCB 2017; sizes, thresholds
and the tensors' names are 3DDFA_V2's. The network looks at a photo once. At every 32nd pixel it judges 21 prior boxes
(16 of 32 px side, 4 of 64 px, one of 128 px), at every 64th one of 256 px and at every 128th one of 512 px: is it a
face, and how must the box be moved and resized to fit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .arrays import Floats, Image
from .assets import AssetError, available, resolve
from .checkpoints import fill, read_checkpoint
from .images import checked_image
from .nms import nms
from .runtimes import make_runner

__all__ = ["FaceBoxes", "FaceBoxesNet", "decode", "encode", "prior_boxes"]

MEAN_BGR = (104.0, 117.0, 123.0)
"""Taken from every pixel."""

LARGEST = (720, 1080)
"""Height and width: larger photos are made smaller before the network sees them."""

STEPS = (32, 64, 128)
SIDES = ((32, 64, 128), (256,), (512,))
DENSITY = {32: 4, 64: 2}
"""Per level: pixels between cells, and the priors' sides. Small priors lie 4 x 4 or 2 x 2 to a cell (section 3.3)."""

CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
"""Units of the network's offsets."""

SCORE_FLOOR, BEFORE_NMS, AFTER_NMS, OVERLAP = 0.05, 5000, 750, 0.3
"""A prior below the floor is dropped; at most so many boxes before and after suppression; its overlap."""

LOGIT_FLOOR = math.log(SCORE_FLOOR / (1 - SCORE_FLOOR))
"""The floor as a difference of the two outputs, so that only what passes needs a softmax."""

OPEN_WEIGHTS = Path(__file__).parent / "data" / "faceboxes_open.safetensors"
OFFICIAL_WEIGHTS = "FaceBoxesProd.pth"


class Conv(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        return F.relu(self.bn(self.conv(x)))


class ConvCRelu(Conv):
    """The same with the negated channels beside the channels before ReLU, which halves the filters (section 3.1)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 2 * outputs, H / stride, W / stride)."""
        x = self.bn(self.conv(x))
        return F.relu(torch.cat([x, -x], dim=1))


class Inception(nn.Module):
    """Four branches of 32 channels with fields of view of 1, 3, 3 and 5 cells (section 3.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch1x1 = Conv(128, 32, 1)
        self.branch1x1_2 = Conv(128, 32, 1)
        self.branch3x3_reduce = Conv(128, 24, 1)
        self.branch3x3 = Conv(24, 32, 3)
        self.branch3x3_reduce_2 = Conv(128, 24, 1)
        self.branch3x3_2 = Conv(24, 32, 3)
        self.branch3x3_3 = Conv(32, 32, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 128, H, W) to the same shape."""
        branches = [
            self.branch1x1(x),
            self.branch1x1_2(F.avg_pool2d(x, 3, 1, 1)),
            self.branch3x3(self.branch3x3_reduce(x)),
            self.branch3x3_3(self.branch3x3_2(self.branch3x3_reduce_2(x))),
        ]
        return torch.cat(branches, dim=1)


class FaceBoxesNet(nn.Module):
    """The network. Its prior boxes are those of ``prior_boxes`` for the input's height and width."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvCRelu(3, 24, 7, stride=4)
        self.conv2 = ConvCRelu(48, 64, 5, stride=2)
        self.inception1 = Inception()
        self.inception2 = Inception()
        self.inception3 = Inception()
        self.conv3_1 = Conv(128, 128, 1)
        self.conv3_2 = Conv(128, 256, 3, stride=2)
        self.conv4_1 = Conv(256, 128, 1)
        self.conv4_2 = Conv(128, 256, 3, stride=2)
        levels = ((128, 21), (256, 1), (256, 1))  # channels and priors per cell
        self.loc = nn.ModuleList(nn.Conv2d(channels, 4 * priors, 3, 1, 1) for channels, priors in levels)
        self.conf = nn.ModuleList(nn.Conv2d(channels, 2 * priors, 3, 1, 1) for channels, priors in levels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From a photo (B, 3, H, W), BGR minus ``MEAN_BGR``: raw offsets (B, P, 4) and raw scores (B, P, 2).

        The offsets are what ``decode`` takes. The scores are before softmax: [0] background, [1] face.
        """
        x = F.max_pool2d(self.conv1(x), 3, 2, 1)
        x = F.max_pool2d(self.conv2(x), 3, 2, 1)
        every_32 = self.inception3(self.inception2(self.inception1(x)))
        every_64 = self.conv3_2(self.conv3_1(every_32))
        every_128 = self.conv4_2(self.conv4_1(every_64))
        levels = (every_32, every_64, every_128)
        offsets = [_per_prior(head(level), 4) for head, level in zip(self.loc, levels, strict=True)]
        scores = [_per_prior(head(level), 2) for head, level in zip(self.conf, levels, strict=True)]
        return torch.cat(offsets, dim=1), torch.cat(scores, dim=1)


def _per_prior(x: Tensor, numbers: int) -> Tensor:
    """(B, numbers * priors, H, W) as (B, H * W * priors, numbers)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, numbers)  # an export would keep len(x) as a number


@lru_cache(maxsize=4)  # a video and a training have one size, the looks at a large photo three
def prior_boxes(height: int, width: int) -> Tensor:
    """The prior boxes (P, 4) float32 of a photo: centre x, centre y, width, height as shares of the photo's sides.

    Those of the last sizes are kept and shared, so nobody may write to them.
    """
    photo = np.array([width, height], np.float64)
    parts = []
    for step, sides in zip(STEPS, SIDES, strict=True):
        y, x = np.mgrid[: -(-height // step), : -(-width // step)]
        cells = np.stack([x, y], axis=-1)[:, :, None, :]  # (rows, columns, 1, xy)
        of_level = []
        for side in sides:
            count = DENSITY.get(side, 1)
            inner = np.arange(count) / count if count > 1 else np.array([0.5])
            dy, dx = np.meshgrid(inner, inner, indexing="ij")
            centres = (cells + np.stack([dx.ravel(), dy.ravel()], axis=-1)) * step / photo
            of_level.append(np.concatenate([centres, np.broadcast_to(side / photo, centres.shape)], axis=-1))
        parts.append(np.concatenate(of_level, axis=2).reshape(-1, 4))
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))


def decode(offsets: Tensor, priors: Tensor) -> Tensor:
    """Boxes (..., P, 4) x0, y0, x1, y1 as shares of the photo's sides, from the network's offsets."""
    centre = priors[..., :2] + offsets[..., :2] * CENTRE_VARIANCE * priors[..., 2:]
    size = priors[..., 2:] * torch.exp(offsets[..., 2:] * SIZE_VARIANCE)
    low = centre - size / 2
    return torch.cat([low, low + size], dim=-1)


def encode(boxes: Tensor, priors: Tensor) -> Tensor:
    """The offsets (..., P, 4) that ``decode`` turns into these boxes (x0, y0, x1, y1 as shares, x0 < x1, y0 < y1)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    centre = ((low + high) / 2 - priors[..., :2]) / (CENTRE_VARIANCE * priors[..., 2:])
    size = torch.log((high - low) / priors[..., 2:]) / SIZE_VARIANCE
    return torch.cat([centre, size], dim=-1)


class FaceBoxes:
    """The detector: ``FaceBoxes()(photo)`` gives the faces' boxes.

    Args:
        weights: a .pth or .safetensors file. None: the official ones where they are at hand, else the open ones.
        runtime: "torch" or "onnx" (ONNX Runtime; the network is exported on first use, see ``tddfa.runtimes``).
        threads: threads of the network, or None for the runtime's own choice.
        min_score: boxes at or below this score (0 to 1) are left out.

    Raises:
        AssetError: weights that are missing, damaged or another network's.
        ValueError: an unknown runtime.
    """

    def __init__(
        self,
        weights: str | PathLike[str] | None = None,
        *,
        runtime: str = "torch",
        threads: int | None = None,
        min_score: float = 0.5,
    ) -> None:
        self.path = default_weights() if weights is None else Path(weights)
        self.min_score, self.runtime = min_score, runtime
        network = fill(FaceBoxesNet(), read_checkpoint(self.path), self.path.name)
        name = f"faceboxes_{self.path.stem}"
        self._run = make_runner(
            network, name=name, example=(3, 256, 256), runtime=runtime, threads=threads, any_size=True
        )

    def __repr__(self) -> str:
        return f"FaceBoxes({self.path.name}, {self.runtime})"

    def __call__(self, image: Image, *, largest: tuple[int, int] = LARGEST) -> Floats:
        """The faces of an (H, W, 3) uint8 RGB photo: (F, 5) float32, best first; (0, 5) when there is none.

        A row is x0, y0, x1, y1 in pixels of the photo, which may lie outside of it, and the score. ``largest`` is the
        height and width that the network looks at; a larger one shows it smaller faces and takes longer.
        """
        boxes = self.candidates(image, largest=largest)
        kept = boxes[nms(boxes, OVERLAP)][:AFTER_NMS]
        return kept[kept[:, 4] > self.min_score]

    def candidates(self, image: Image, *, largest: tuple[int, int] = LARGEST) -> Floats:
        """The boxes (N, 5) float32 before suppression, best first."""
        small, scale = shrink(checked_image(image), largest)
        height, width = small.shape[:2]
        offsets, scores = (torch.from_numpy(output[0]) for output in self._run(network_input(small)))
        rows = torch.nonzero(scores[:, 1] - scores[:, 0] > LOGIT_FLOOR)[:, 0]
        score = torch.softmax(scores[rows], dim=-1)[:, 1:]
        shares = decode(offsets[rows], prior_boxes(height, width)[rows])
        boxes = shares * torch.tensor([width, height, width, height], dtype=torch.float32) / scale
        found = torch.cat([boxes, score], dim=1).numpy()
        return found[found[:, 4].argsort()[::-1][:BEFORE_NMS]]


def shrink(image: Image, largest: tuple[int, int] = LARGEST) -> tuple[Image, float]:
    """The photo at no more than the largest height and width, and by how much its sides were multiplied."""
    height, width = image.shape[:2]
    scale = 1.0
    if height > largest[0]:
        scale = largest[0] / height
    if width * scale > largest[1]:
        scale *= largest[1] / (width * scale)
    if scale == 1.0:
        return image, scale
    size = max(1, int(scale * width)), max(1, int(scale * height))
    return np.asarray(cv2.resize(image, size), np.uint8), scale


def network_input(image: Image) -> Floats:
    """(1, 3, H, W) float32 BGR minus the mean; the channels stay last in memory, as the photo has them."""
    rows = cv2.cvtColor(image, cv2.COLOR_RGB2BGR).reshape(len(image), -1)
    means = np.tile(np.array(MEAN_BGR, np.float32), image.shape[1])  # long rows are fast
    centred = np.subtract(rows, means, dtype=np.float32)
    return centred.reshape(image.shape).transpose(2, 0, 1)[None]


def default_weights() -> Path:
    """The official weights where they are at hand, else the open ones."""
    if available(OFFICIAL_WEIGHTS):
        return resolve(OFFICIAL_WEIGHTS, download=False)
    if not OPEN_WEIGHTS.is_file():
        raise AssetError(
            f"Expected the open detector's weights at {OPEN_WEIGHTS}, found no such file; get the repository again, "
            f"or put {OFFICIAL_WEIGHTS} into $VRN_ASSETS."
        )
    return OPEN_WEIGHTS
