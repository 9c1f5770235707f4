"""The regressors' networks: MobileNetV1 of any width, and ResNet-22.

Sources: A. Howard et al., "MobileNets", 2017, table 1; K. He et al., "Deep Residual Learning", CVPR 2016, figure 5;
J. Guo et al., "Towards Fast, Accurate and Stable 3D Dense Face Alignment", ECCV 2020. The tensors' names are
3DDFA_V2's, so its checkpoints load as they are. Input (B, 3, 120, 120): BGR, (value - 127.5) / 128. Output (B, 62).
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .assets import AssetError
from .checkpoints import fill, read_checkpoint
from .contract import PARAMETER_COUNT

__all__ = ["MobileNetV1", "ResNet22", "build_backbone", "load_backbone"]

WIDEST = 4096
"""Channels of a layer, at most; of MobileNetV1 x1 the first has 32."""


class Separable(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution over channels (MobileNets, figure 3)."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        self.bn_dw = nn.BatchNorm2d(inputs)
        self.conv_sep = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        x = F.relu(self.bn_dw(self.conv_dw(x)))
        return F.relu(self.bn_sep(self.conv_sep(x)))


class MobileNetV1(nn.Module):
    """MobileNetV1; ``width`` multiplies all its channels, ``parameters`` is the length of the output."""

    # name, outputs at width 1, stride
    LAYERS = (
        ("dw2_1", 64, 1), ("dw2_2", 128, 2),
        ("dw3_1", 128, 1), ("dw3_2", 256, 2),
        ("dw4_1", 256, 1), ("dw4_2", 512, 2),
        ("dw5_1", 512, 1), ("dw5_2", 512, 1), ("dw5_3", 512, 1), ("dw5_4", 512, 1), ("dw5_5", 512, 1),
        ("dw5_6", 1024, 2),
        ("dw6", 1024, 1),
    )  # fmt: skip

    def __init__(self, *, width: float = 1.0, parameters: int = PARAMETER_COUNT) -> None:
        super().__init__()
        channels = int(32 * width)
        self.conv1 = nn.Conv2d(3, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for name, at_width_one, stride in self.LAYERS:
            outputs = int(at_width_one * width)
            self.add_module(name, Separable(channels, outputs, stride=stride))
            channels = outputs
        self.fc = nn.Linear(channels, parameters)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, parameters), in standard deviations."""
        x = F.relu(self.bn1(self.conv1(x)))
        for name, _, _ in self.LAYERS:
            x = getattr(self, name)(x)
        return self.fc(x.mean(dim=(2, 3)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a skip, projected by a 1x1 convolution where size or channels change."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        skip = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + skip)


class ResNet22(nn.Module):
    """3DDFA_V2's ResNet-22: a stem of two convolutions, then 3, 4 and 3 basic blocks; no pooling but the last."""

    def __init__(self, *, parameters: int = PARAMETER_COUNT) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 5, 2, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.layer1 = _stage(64, 128, blocks=3)
        self.layer2 = _stage(128, 256, blocks=4)
        self.layer3 = _stage(256, 512, blocks=3)
        self.conv_param = nn.Conv2d(512, parameters, 1)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, parameters), in standard deviations."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.conv_param(x).mean(dim=(2, 3))


def _stage(inputs: int, outputs: int, *, blocks: int) -> nn.Sequential:
    """Basic blocks; the first halves the size."""
    rest = [BasicBlock(outputs, outputs) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(inputs, outputs, stride=2), *rest)


def _initialise(network: nn.Module) -> None:
    """Normal weights that keep the variance through ReLU (He et al., ICCV 2015), counted over the outputs."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build_backbone(tensors: dict[str, Tensor], name: str) -> nn.Module:
    """The network that these tensors belong to, filled with them, in evaluation mode.

    Architecture, width and output length are read from the tensors. The second head of 3DDFA_V2's MobileNets, which
    it does not use either (``fc_lm``), is left out.

    Raises:
        AssetError: the tensors of some other network; ``name`` says whose in the message.
    """
    renamed = {key.replace("fc_param.", "fc."): value for key, value in tensors.items() if not key.startswith("fc_lm.")}
    first, last = (_rows(renamed, key) for key in ("conv1.weight", "fc.weight"))
    if first and last and "dw6.conv_sep.weight" in renamed:
        with torch.device("meta"):  # no memory until ``fill`` has compared all sizes
            network: nn.Module = MobileNetV1(width=first / 32, parameters=last)
    elif first and "layer3.0.conv1.weight" in renamed and _rows(renamed, "conv_param.weight"):
        with torch.device("meta"):
            network = ResNet22(parameters=_rows(renamed, "conv_param.weight"))
    else:
        raise AssetError(
            f"Expected the weights of a MobileNetV1 or a ResNet-22 of 3DDFA_V2 in {name}, got tensors such as "
            f"{next(iter(tensors), 'none')}; name a regressor's checkpoint."
        )
    return fill(network, renamed, name)


def _rows(tensors: dict[str, Tensor], name: str) -> int:
    """Rows of a tensor; 0 for one that is missing, empty or wider than any network."""
    shape = tensors[name].shape if name in tensors else ()
    return shape[0] if shape and 0 < shape[0] <= WIDEST else 0


def load_backbone(path: str | PathLike[str]) -> nn.Module:
    """The network of a checkpoint file, .pth or .safetensors, in evaluation mode.

    Raises:
        AssetError: no such file, damaged, or another architecture's.
    """
    tensors = read_checkpoint(path)
    tensors = {key: value for key, value in tensors.items() if not key.startswith("parameter_")}
    with torch.no_grad():
        return build_backbone(tensors, Path(path).name)
