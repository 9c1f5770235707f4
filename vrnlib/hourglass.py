"""What all networks are built of: the Residual, the hourglass, and the trunk of a stem and stacked hourglasses.

Sources: A. Newell et al., "Stacked Hourglass Networks", ECCV 2016; A. Jackson et al., "Large Pose 3D Face
Reconstruction from a Single Image via Direct Volumetric CNN Regression", ICCV 2017 (section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


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


def hourglass_stage(config: TrunkConfig) -> nn.Sequential:
    """An hourglass and two 1×1 convolutions; the result is added to what came in."""
    return nn.Sequential(
        Hourglass(config.depth, config.features, config.residuals, config.nesting),
        convolution_1x1(config.features, config.features),
        convolution_1x1(config.features, config.features),
    )


class Trunk(nn.Module):
    """The part that all networks share: stem and stacked hourglasses; (B, inputs, H, W) → (B, features, H/4, W/4)."""

    def __init__(self, config: TrunkConfig, *, inputs: int = 3) -> None:
        super().__init__()
        half, full = config.features // 2, config.features
        self.stem = nn.Sequential(
            nn.Conv2d(inputs, config.stem, 7, stride=2, padding=3),
            nn.BatchNorm2d(config.stem),
            nn.ReLU(),
            Residual(config.stem, half),
            nn.MaxPool2d(2),
            Residual(half, half),
            Residual(half, full),
        )
        self.hourglasses = nn.ModuleList([hourglass_stage(config) for _ in range(config.hourglasses)])

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
