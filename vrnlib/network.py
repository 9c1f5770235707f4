"""The networks, as in the papers' figures: VRN, VRN guided by landmarks, VRN multitask, and FAN.

Sources: A. Jackson et al., "Large Pose 3D Face Reconstruction from a Single Image via Direct Volumetric CNN
Regression", ICCV 2017 (VRN, section 3.2; Multitask, 3.3; Guided, 3.4; figure 3); A. Bulat and G. Tzimiropoulos, "How
far are we from solving the 2D & 3D Face Alignment problem?", ICCV 2017 (FAN). Their common parts are in
`vrnlib.hourglass`.

All networks take RGB in [0, 1], shape (B, 3, H, W).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tddfa.describe import short_repr
from vrnlib.hourglass import Trunk, TrunkConfig, check_input, convolution_1x1, hourglass_stage


@dataclass(frozen=True, kw_only=True)
class VRNConfig(TrunkConfig):
    """The shape of a VRN; the defaults are those of the open weights.

    Attributes:
        slices: depth of the volume, in slices.
        resize: side to which a crop is brought before the first convolution; None leaves it. 128 instead of 192 is
            a third of the work, for a volume whose columns are known every 6 pixels instead of every 4. Between
            columns that far apart the volume is interpolated bicubically: the paper's bilinear way cuts convex
            shapes off.

    >>> VRNConfig.open().resize, VRNConfig.reference().resize, VRNConfig.reference().stride
    (128, None, 64)
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


def volume_head(config: VRNConfig) -> nn.Sequential:
    """1×1 convolution, BN, ReLU, 1×1 convolution to one channel per slice (paper, figure 3)."""
    return nn.Sequential(
        convolution_1x1(config.features, config.features), nn.Conv2d(config.features, config.slices, 1)
    )


def reduced(image: Tensor, config: VRNConfig) -> Tensor:
    """The image (B, 3, H, W) at the side that the configuration's ``resize`` asks for."""
    if config.resize is None:
        return image
    side = (config.resize, config.resize)
    return F.interpolate(image, size=side, mode="bilinear", align_corners=False, antialias=True)


def at_every_voxel(lattice: Tensor, size: list[int], config: VRNConfig) -> Tensor:
    """Logits of the lattice (B, slices, h, w) for every pixel of a crop: (B, slices, *size)."""
    between = "bilinear" if config.resize is None else "bicubic"
    return F.interpolate(lattice, size=size, mode=between, align_corners=False)


class VRN(nn.Module):
    """Volumetric regression network (unguided): a face crop in, occupancy of a volume out.

    Args:
        config: default `VRNConfig.open`.
    """

    def __init__(self, config: VRNConfig | None = None) -> None:
        super().__init__()
        self.config = config or VRNConfig.open()
        self.trunk = Trunk(self.config)
        self.head = volume_head(self.config)

    def lattice_logits(self, image: Tensor) -> Tensor:
        """Logits on the feature map's own lattice, before upsampling.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], taken as it is; `forward` is what resizes it.

        Returns:
            (B, slices, H/4, W/4). Cell (i, j) lies at the image's pixel (4i + 1.5, 4j + 1.5), where
            ``voxelize(..., step=4)`` samples.

        Raises:
            ValueError: H or W is no multiple of the network's stride.
        """
        check_input(image, self.config.stride)
        return self.head(self.trunk(image))

    def forward(self, image: Tensor) -> Tensor:
        """Logits of every voxel. The loss takes logits (stable); ``torch.sigmoid`` makes them probabilities.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], for the weights of this package a crop of 192 × 192.

        Returns:
            (B, slices, H, W), indexed [z, y, x], z towards the camera.

        Raises:
            ValueError: H or W is no multiple of the network's stride, where nothing is resized.
        """
        lattice = self.lattice_logits(reduced(image, self.config))
        return at_every_voxel(lattice, list(image.shape[2:]), self.config)


def landmark_channels(landmarks: Tensor, size: tuple[int, int], *, sigma: float = 1.0) -> Tensor:
    """A picture per landmark with a Gaussian of height 1 at its place (paper, section 3.4).

    Args:
        landmarks: (B, P, 2 or 3) x, y in pixels of the picture; the third number is not looked at.
        size: height and width of the picture.
        sigma: of the Gaussian, pixels.

    Returns:
        (B, P, height, width) in [0, 1].

    >>> landmark_channels(torch.tensor([[[3.0, 1.0]]]), (4, 6))[0, 0, 1].round(decimals=2).tolist()
    [0.009999999776482582, 0.14000000059604645, 0.6100000143051147, 1.0, 0.6100000143051147, 0.14000000059604645]
    """
    height, width = size
    x = torch.arange(width, device=landmarks.device) - landmarks[..., 0, None]
    y = torch.arange(height, device=landmarks.device) - landmarks[..., 1, None]
    along_x, along_y = (torch.exp(-(distance**2) / (2 * sigma**2)) for distance in (x, y))
    return along_y[..., :, None] * along_x[..., None, :]  # far fewer exponentials than one for each pixel


class VRNGuided(nn.Module):
    """VRN guided by landmarks: RGB and 68 Gaussian channels in, occupancy of a volume out.

    Args:
        config: default `VRNConfig.open`.
    """

    POINTS = 68
    guided = True
    """Its `forward` wants landmarks, too."""

    def __init__(self, config: VRNConfig | None = None) -> None:
        super().__init__()
        self.config = config or VRNConfig.open()
        self.trunk = Trunk(self.config, inputs=3 + self.POINTS)
        self.head = volume_head(self.config)

    def lattice_logits(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """As `VRN.lattice_logits`; landmarks: (B, 68, 2 or 3) pixels of this image."""
        check_input(image, self.config.stride)
        if landmarks.ndim != 3 or landmarks.shape[:2] != (len(image), self.POINTS) or landmarks.shape[2] not in (2, 3):
            raise ValueError(
                f"expected landmarks of shape ({len(image)}, 68, 2 or 3), got {tuple(landmarks.shape)}; "
                "find them first (vrnlib.detect)"
            )
        channels = landmark_channels(landmarks, (image.shape[2], image.shape[3]))
        return self.head(self.trunk(torch.cat([image, channels.to(image.dtype)], dim=1)))

    def forward(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """Logits of every voxel.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].
            landmarks: (B, 68, 2 or 3) pixels of the image, iBUG order.

        Returns:
            (B, slices, H, W), as `VRN.forward`.

        Raises:
            ValueError: a wrong shape.
        """
        small = reduced(image, self.config)
        shrink = torch.tensor([small.shape[3] / image.shape[3], small.shape[2] / image.shape[2]], device=image.device)
        points = (landmarks[..., :2] + 0.5) * shrink - 0.5  # pixel centres lie at integers in both pictures
        return at_every_voxel(self.lattice_logits(small, points), list(image.shape[2:]), self.config)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)  # tensors have no plain ==
class VolumeAndMaps:
    """What a `VRNMultitask` says.

    Attributes:
        volume: (B, slices, H, W) logits of the voxels, as `VRN.forward`.
        heatmaps: (B, 68, H/4, W/4) logits of the landmarks' Gaussians, on the lattice of `VRN.lattice_logits`.
    """

    volume: Tensor
    heatmaps: Tensor

    __repr__ = short_repr


class VRNMultitask(nn.Module):
    """VRN that also finds the landmarks: one shared hourglass, then one for the 68 heat maps and one for the volume.

    Both answers are trained by the sigmoid cross-entropy with equal weights (paper, section 3.3). ``hourglasses`` of
    the configuration is not looked at: there are three.

    Args:
        config: default `VRNConfig.open`.
    """

    POINTS = 68
    RARE = -5.0
    """A Gaussian covers six of a map's thousand cells. From this logit, a probability of 0.7 %, training need not find
    that out first (T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, section 3.3)."""

    def __init__(self, config: VRNConfig | None = None) -> None:
        super().__init__()
        self.config = config or VRNConfig.open()
        features = self.config.features
        self.trunk = Trunk(replace(self.config, hourglasses=1))
        self.landmark_hourglass = hourglass_stage(self.config)
        last = nn.Conv2d(features, self.POINTS, 1)
        last.bias = nn.Parameter(torch.full((self.POINTS,), self.RARE))
        self.landmark_head = nn.Sequential(convolution_1x1(features, features), last)
        self.volume_hourglass = hourglass_stage(self.config)
        self.head = volume_head(self.config)

    def lattice_logits(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of volume (B, slices, H/4, W/4) and heat maps (B, 68, H/4, W/4), see `VRN.lattice_logits`."""
        check_input(image, self.config.stride)
        shared = self.trunk(image)
        heatmaps = self.landmark_head(shared + self.landmark_hourglass(shared))
        return self.head(shared + self.volume_hourglass(shared)), heatmaps

    def forward(self, image: Tensor) -> VolumeAndMaps:
        """Logits of every voxel and of the landmarks' maps; image as in `VRN.forward`.

        Raises:
            ValueError: H or W is no multiple of the network's stride, where nothing is resized.
        """
        lattice, heatmaps = self.lattice_logits(reduced(image, self.config))
        volume = at_every_voxel(lattice, list(image.shape[2:]), self.config)
        return VolumeAndMaps(volume=volume, heatmaps=heatmaps)


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

    Args:
        config: default `FANConfig.open`.
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
        """(B, 3, H, W) RGB in [0, 1] → `LandmarkMaps`, points in pixels of this input.

        Raises:
            ValueError: H or W is no multiple of the network's stride.
        """
        check_input(image, self.config.stride)
        maps = self.head(self.trunk(image))
        if maps.dtype == torch.bfloat16:  # places need more digits than it has
            maps = maps.float()
        logits, depth = maps.chunk(2, dim=1)
        _, _, rows, columns = logits.shape
        heatmaps = logits.flatten(2).softmax(2).view_as(logits)
        x = (heatmaps.sum(2) * (torch.arange(columns, device=image.device) * 4 + 1.5)).sum(2)
        y = (heatmaps.sum(3) * (torch.arange(rows, device=image.device) * 4 + 1.5)).sum(2)
        z = (heatmaps * depth).flatten(2).sum(2) * columns
        return LandmarkMaps(points=torch.stack([x, y, z], dim=2), heatmaps=heatmaps, logits=logits)


def count_parameters(network: nn.Module) -> int:
    """How many numbers a network learns; running means and variances do not count.

    >>> count_parameters(nn.Conv2d(3, 64, 7))
    9472
    """
    return sum(parameter.numel() for parameter in network.parameters())


def load_reference_state_dict(network: VRN, state: Mapping[str, Tensor]) -> VRN:
    """Fill the released network's twin from a state dict of the original's form.

    The original is one long ``nn.Sequential`` whose 1,917 keys are paths of numbers ("9.1.2.0.0.3.running_var"). Read
    in the order of these numbers they are, one by one, the tensors of ``VRN(VRNConfig.reference())``.

    Args:
        network: a `VRN` of `VRNConfig.reference`; filled in place and set to evaluation mode, as released.
        state: tensors by key, in any order; the prefix "module." is taken off.

    Returns:
        The network.

    Raises:
        ValueError: keys of another form, another number of tensors, another kind or shape at some place, or numbers
            that are not finite; nothing is filled then.
    """
    tensors = {key.removeprefix("module."): value for key, value in state.items()}
    strange = [key for key in tensors if not re.fullmatch(r"(\d+\.)+[a-z_]+", key)]
    if strange:
        raise ValueError(
            f"expected keys like 9.1.2.weight, as in the released VRN's state dict, got {strange[0]!r}; "
            "convert the released weights to a PyTorch state dict first"
        )
    wanted = network.state_dict()
    kinds = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]

    def place(key: str) -> tuple[list[int], int]:
        *numbers, kind = key.split(".")
        return [int(number) for number in numbers], kinds.index(kind) if kind in kinds else len(kinds)

    keys = sorted(tensors, key=place)
    if len(keys) != len(wanted):
        raise ValueError(
            f"expected the {len(wanted):,} tensors of the network, got {len(keys):,}; is the file complete, and is it "
            "VRN unguided for VRN(VRNConfig.reference())?"
        )
    for key, (name, own) in zip(keys, wanted.items(), strict=True):
        value = tensors[key]
        if key.rsplit(".", 1)[1] != name.rsplit(".", 1)[1] or value.shape != own.shape:
            raise ValueError(
                f"expected {name} of shape {tuple(own.shape)}, got {key} of shape {tuple(value.shape)}; "
                "these are the weights of another network"
            )
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"expected finite weights, got NaN or infinity in {key}; get the file again")
    network.load_state_dict({name: tensors[key] for key, name in zip(keys, wanted, strict=True)})
    return network.eval()
