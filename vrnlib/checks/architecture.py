"""Checks for 03_vrn_architecture: parameters of a convolution, the Residual, probabilities of voxels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from vrnlib.checks import Exercise
from vrnlib.hourglass import Residual


def convolution_parameters(inputs: int, outputs: int, kernel: int) -> int:
    """Parameters of a kernel × kernel convolution with a bias."""
    return outputs * (inputs * kernel * kernel + 1)


def voxel_probabilities(logits: Tensor) -> Tensor:
    """(B, slices, H, W) logits → the probability of each voxel on its own."""
    return torch.sigmoid(logits)


class _NoSkip(Residual):
    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x)


class _ReluAtTheEnd(Residual):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.skip(x))


class _PostActivation(Residual):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        middle = outputs // 2
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, middle, 1),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 3, padding=1),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, outputs, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class _NoBottleneck(Residual):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.branch = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 1),
        )


class _AlwaysProjects(Residual):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1)


def fill_by_shape(module: nn.Module) -> nn.Module:
    """Fill all parameters and statistics by their shapes alone, whatever their names and order; evaluation mode."""
    for tensor in [*module.parameters(), *module.buffers()]:
        if not tensor.is_floating_point():
            continue
        seed = sum((position + 1) * side for position, side in enumerate(tensor.shape))
        values = np.random.default_rng(seed).uniform(0.2, 0.8, tuple(tensor.shape))
        if tensor.ndim > 1:
            values = (values - 0.5) * 2 / np.sqrt(tensor[0].numel())
        tensor.data.copy_(torch.from_numpy(values))
    return module.eval()


def _block_answer(block: Callable, inputs: int, outputs: int) -> tuple:
    module = fill_by_shape(block(inputs, outputs))
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(2, inputs, 6, 7)).astype(np.float32))
    with torch.no_grad():
        y = module(x)
    return y, sum(parameter.numel() for parameter in module.parameters())


def _logit_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(0)
    return [(3 * torch.randn(2, 5, 3, 4, generator=generator),), (torch.linspace(-6, 6, 24).reshape(1, 4, 2, 3),)]


CONVOLUTION_PARAMETERS = Exercise(
    name="convolution_parameters",
    solution=convolution_parameters,
    cases=lambda: [(3, 64, 7), (128, 64, 1), (64, 32, 3)],
    mistakes={
        "the biases are missing; each output channel has one.": lambda i, o, k: o * i * k * k,
        "the kernel has k × k places, not k.": lambda i, o, k: o * (i * k + 1),
        "there is one bias per output channel, not a single one.": lambda i, o, k: o * i * k * k + 1,
        "the input channels are missing; each output channel looks at all of them.": lambda i, o, k: o * (k * k + 1),
        "there is one bias per output channel, not per input channel.": lambda i, o, k: o * i * k * k + i,
    },
)
RESIDUAL = Exercise(
    name="ResidualBlock",
    solution=Residual,
    cases=lambda: [(12, 16), (16, 16)],
    answer=_block_answer,
    mistakes={
        "the input is not added; without the skip it is no residual block.": _NoSkip,
        "a ReLU follows the sum; in a pre-activation block the sum leaves as it is.": _ReluAtTheEnd,
        (
            "the convolution comes before batch norm and ReLU; pre-activation means BN, ReLU, then the convolution."
        ): _PostActivation,
        "the block is as wide as its output throughout; the bottleneck has half of the channels.": _NoBottleneck,
        "the skip has a 1×1 convolution even where the channels stay; use nn.Identity() there.": _AlwaysProjects,
    },
)
VOXEL_PROBABILITIES = Exercise(
    name="voxel_probabilities",
    solution=voxel_probabilities,
    cases=_logit_cases,
    mistakes={
        "a softmax over depth makes the slices of a column compete, so that a thick solid cannot be said; "
        "each voxel is a yes or no of its own.": lambda x: torch.softmax(x, dim=1),
        "a softmax over the batch makes the faces compete.": lambda x: torch.softmax(x, dim=0),
        "the logits came back unchanged.": lambda x: x,
        "the logits were cut at 0; that gives the solid, but no probability.": lambda x: (x > 0).float(),
        "that is the probability of being outside; the sign is wrong.": lambda x: torch.sigmoid(-x),
        "the sigmoid was taken twice.": lambda x: torch.sigmoid(torch.sigmoid(x)),
    },
)


def check_convolution_parameters(function: Callable) -> None:
    """(inputs, outputs, kernel) → number of parameters."""
    CONVOLUTION_PARAMETERS.judge(function)


def check_residual(block: Callable) -> None:
    """A class: block(inputs, outputs) is a module (B, inputs, H, W) → (B, outputs, H, W)."""
    RESIDUAL.judge(block)


def check_voxel_probabilities(function: Callable) -> None:
    """(logits (B, slices, H, W)) → probabilities of the same shape."""
    VOXEL_PROBABILITIES.judge(function)
