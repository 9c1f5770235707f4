"""The networks: Residual, Hourglass, VRN and FAN, top to bottom as in the papers' figures.

Sources: A. Jackson et al., "Large Pose 3D Face Reconstruction from a Single Image via Direct Volumetric CNN
Regression", ICCV 2017 (VRN unguided, section 3 and figure 2); A. Newell et al., "Stacked Hourglass Networks",
ECCV 2016; A. Bulat and G. Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?",
ICCV 2017 (FAN).

All networks take RGB in [0, 1], shape (B, 3, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tddfa.describe import short_repr


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """The shape of what VRN and FAN have in common.

    Attributes:
        stem: channels after the first 7×7 convolution.
        features: channels of the hourglasses' feature map, a quarter of the picture's size.
        hourglasses: how many hourglasses follow each other.
        depth: how many times an hourglass halves its feature map.
        residuals: Residual modules per step of an hourglass.
        nesting: where the inner hourglass sits. "pooled": on the pooled branch, as in the hourglass paper's figure.
            "skip": on the full-resolution branch, as in the network that VRN's authors released; the same
            parameters, 2.6 times the work.
    """

    stem: int = 24
    features: int = 80
    hourglasses: int = 2
    depth: int = 4
    residuals: int = 1
    nesting: str = "pooled"

    @property
    def stride(self) -> int:
        """The picture's sides must be multiples of this: two halvings in the stem, ``depth`` in an hourglass."""
        return 4 * 2**self.depth


@dataclass(frozen=True, kw_only=True)
class VRNConfig(TrunkConfig):
    """The shape of a VRN; the defaults are those of the open weights.

    Attributes:
        slices: depth of the volume, in slices.
        resize: side to which a crop is brought before the first convolution; None leaves it. 128 instead of 192 is
            a third of the work, for columns of the volume every 6 pixels instead of every 4. Between columns that far
            apart it is interpolated bicubically: the paper's bilinear way cuts convex shapes off.
    """

    slices: int = 200
    resize: int | None = 128

    @classmethod
    def open(cls) -> VRNConfig:
        """The VRN of this repository's weights, "vrn_open": 810,928 parameters."""
        return cls()

    @classmethod
    def reference(cls) -> VRNConfig:
        """The released VRN unguided: 19,184,968 parameters."""
        return cls(stem=64, features=256, residuals=3, nesting="skip", resize=None)


@dataclass(frozen=True, kw_only=True)
class FANConfig(TrunkConfig):
    """The shape of a face-alignment network; the defaults are those of the open weights.

    Attributes:
        points: how many landmarks; each has a heat map and a depth map at a quarter of the input's size.
        size: side of the square input that the weights were trained for, in pixels.
    """

    features: int = 64
    hourglasses: int = 1
    points: int = 68
    size: int = 128

    @classmethod
    def open(cls) -> FANConfig:
        """The FAN of this repository's weights, "fan_open": 293,544 parameters."""
        return cls()


class Residual(nn.Module):
    """Pre-activation bottleneck: BN-ReLU-1×1, BN-ReLU-3×3, BN-ReLU-1×1, plus the input.

    (B, inputs, H, W) → (B, outputs, H, W). Where the channels change, a 1×1 convolution is on the skip.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // 2
        self.branch = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, middle, 1),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, padding=1),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, outputs, 1),
        )
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + self.skip(x)


def residuals(count: int, features: int) -> nn.Sequential:
    """``count`` Residuals, one after the other, that keep the number of channels."""
    return nn.Sequential(*[Residual(features, features) for _ in range(count)])


class Hourglass(nn.Module):
    """One level of an hourglass with the smaller hourglass inside it; (B, C, H, W) → (B, C, H, W).

    The skip branch has residuals at full resolution; the pooled one max-pool, residuals before and after, and
    nearest-neighbour ×2. Their sum goes through one more Residual.

    Args:
        depth: levels, this one and those inside it; H and W are multiples of 2**depth.
        features: channels C.
        count: residuals per step.
        nesting: on which of both branches the inner level is, "pooled" or "skip"; see `TrunkConfig`.

    Raises:
        ValueError: another nesting.
    """

    def __init__(self, depth: int, features: int, count: int, nesting: str) -> None:
        super().__init__()
        if nesting not in ("pooled", "skip"):
            raise ValueError(f'nesting must be "pooled" or "skip", got {nesting!r}')
        self.nesting = nesting
        self.skip = residuals(count, features)
        self.inner = Hourglass(depth - 1, features, count, nesting) if depth > 1 else None
        self.before = residuals(count, features)
        self.deepest = residuals(count, features) if depth == 1 else nn.Identity()
        self.after = residuals(count, features)
        self.output = Residual(features, features)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip(x)
        low = self.deepest(self.before(F.max_pool2d(x, 2)))
        if self.inner is not None:
            if self.nesting == "skip":
                skip = self.inner(skip)
            else:
                low = self.inner(low)
        low = self.after(low)
        return self.output(skip + F.interpolate(low, scale_factor=2, mode="nearest"))


def convolution_1x1(inputs: int, outputs: int) -> nn.Sequential:
    """1×1 convolution, BN, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.ReLU())


class Trunk(nn.Module):
    """The part that VRN and FAN share: stem and stacked hourglasses; (B, 3, H, W) → (B, features, H/4, W/4)."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        half, full = config.features // 2, config.features
        self.stem = nn.Sequential(
            nn.Conv2d(3, config.stem, 7, stride=2, padding=3),
            nn.BatchNorm2d(config.stem),
            nn.ReLU(),
            Residual(config.stem, half),
            nn.MaxPool2d(2),
            Residual(half, half),
            Residual(half, full),
        )
        self.hourglasses = nn.ModuleList()
        for _ in range(config.hourglasses):
            stage: list[nn.Module] = [Hourglass(config.depth, full, config.residuals, config.nesting)]
            stage += [convolution_1x1(full, full), convolution_1x1(full, full)]
            self.hourglasses.append(nn.Sequential(*stage))

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        for stage in self.hourglasses:
            x = x + stage(x)
        return x


def check_input(image: Tensor, stride: int) -> None:
    """Raises ValueError, one sentence, for images that are not (B, 3, H, W) with multiples of the stride."""
    if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % stride or image.shape[3] % stride:
        raise ValueError(
            f"expected images of shape (B, 3, H, W) with H and W multiples of {stride}, got {tuple(image.shape)}; "
            "crop them first (vrnlib.crop.crop_face)"
        )


class VRN(nn.Module):
    """Volumetric regression network (unguided): a face crop in, occupancy of a volume out."""

    def __init__(self, config: VRNConfig | None = None) -> None:
        super().__init__()
        self.config = config or VRNConfig.open()
        self.trunk = Trunk(self.config)
        features = self.config.features
        self.head = nn.Sequential(convolution_1x1(features, features), nn.Conv2d(features, self.config.slices, 1))

    def lattice_logits(self, image: Tensor) -> Tensor:
        """Logits on the feature map's own lattice, before upsampling.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], taken as it is; `forward` is what resizes it.

        Returns:
            (B, slices, H/4, W/4). Cell (i, j) lies at pixel (4i + 1.5, 4j + 1.5), where ``voxelize(step=4)`` samples.
        """
        check_input(image, self.config.stride)
        return self.head(self.trunk(image))

    def forward(self, image: Tensor) -> Tensor:
        """Logits of every voxel. The loss takes logits (stable); ``torch.sigmoid`` makes them probabilities.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], for the open weights a crop of 192 × 192.

        Returns:
            (B, slices, H, W), indexed [z, y, x], z towards the camera.

        Raises:
            ValueError: where nothing is resized: H or W is no multiple of the network's stride.
        """
        size, between = list(image.shape[2:]), "bilinear"
        if self.config.resize is not None:
            side, between = (self.config.resize, self.config.resize), "bicubic"
            image = F.interpolate(image, size=side, mode="bilinear", align_corners=False, antialias=True)
        return F.interpolate(self.lattice_logits(image), size=size, mode=between, align_corners=False)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)  # tensors have no plain ==
class LandmarkMaps:
    """What a FAN says about an image: B faces, P points, maps of h × w cells.

    Attributes:
        points: (B, P, 3) input pixels, z towards the camera with 0 at the face's mean depth.
        heatmaps: (B, P, h, w) probabilities, each map sums to 1.
        logits: (B, P, h, w) before the softmax.
    """

    points: Tensor
    heatmaps: Tensor
    logits: Tensor

    __repr__ = short_repr

    @property
    def scores(self) -> Tensor:
        """(B, P): the probability within one cell of each map's maximum: near 1 sharp, near 0 nothing found."""
        return F.avg_pool2d(self.heatmaps, 3, stride=1, padding=1).flatten(2).amax(2) * 9


class FAN(nn.Module):
    """Face-alignment network: a face in, one heat map and one depth map per landmark out.

    Points are decoded by the heat map's expectation (soft-argmax), so they are sub-pixel and differentiable.
    """

    def __init__(self, config: FANConfig | None = None) -> None:
        super().__init__()
        self.config = config or FANConfig.open()
        self.trunk = Trunk(self.config)
        features = self.config.features
        self.head = nn.Sequential(
            convolution_1x1(features, 2 * features), nn.Conv2d(2 * features, 2 * self.config.points, 1)
        )

    def forward(self, image: Tensor) -> LandmarkMaps:
        """(B, 3, H, W) RGB in [0, 1] → `LandmarkMaps` in its pixels; sides are multiples of the stride."""
        check_input(image, self.config.stride)
        logits, depth = self.head(self.trunk(image)).chunk(2, dim=1)
        _, _, rows, columns = logits.shape
        heatmaps = logits.flatten(2).softmax(2).view_as(logits)
        x = (heatmaps.sum(2) * (torch.arange(columns, device=image.device) * 4 + 1.5)).sum(2)
        y = (heatmaps.sum(3) * (torch.arange(rows, device=image.device) * 4 + 1.5)).sum(2)
        z = (heatmaps * depth).flatten(2).sum(2) * columns
        return LandmarkMaps(points=torch.stack([x, y, z], dim=2), heatmaps=heatmaps, logits=logits)


def count_parameters(network: nn.Module) -> int:
    """How many numbers a network learns; running means and variances do not count."""
    return sum(parameter.numel() for parameter in network.parameters())
