"""Checks for 03_vrn_architecture: parameters of a convolution, the Residual, probabilities of voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function
from vrnlib.checks.modules import BLOCK_ADVICE, block_answer, examine_block
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


def _layer_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    return [(*map(int, rng.permutation(np.arange(2, 12))[:2]), 3), (3, 64, 7), (int(64 * rng.integers(2, 5)), 64, 1)]


def _block_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """One block that changes the channels and one that keeps them, with a batch for each."""
    widths = [(int(inputs), 16) for inputs in (rng.choice([6, 10, 12, 20]), 16)]
    return [(*pair, torch.from_numpy(rng.normal(size=(2, pair[0], 6, 7)).astype(np.float32))) for pair in widths]


def _logit_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    shapes = [(2, *map(int, rng.permutation([3, 4, 5]))), (2, 200, 24, 24)]
    return [(torch.from_numpy((4 * rng.normal(size=shape)).astype(np.float32)),) for shape in shapes]


CONVOLUTION_PARAMETERS = Exercise(
    name="convolution_parameters",
    solution=convolution_parameters,
    cases=_layer_cases,
    tolerance=1e-9,
    mistakes={
        "the biases are missing; each output channel has one.": lambda i, o, k: o * i * k * k,
        "the kernel has k × k places, not k.": lambda i, o, k: o * (i * k + 1),
        "there is one bias per output channel, not a single one.": lambda i, o, k: o * i * k * k + 1,
        "the input channels are missing; each output channel looks at all of them.": lambda i, o, k: o * (k * k + 1),
        "there is one bias per output channel, not per input channel.": lambda i, o, k: o * i * k * k + i,
        "the bias was counted at every place of the kernel's weights; each output channel has one.": lambda i, o, k: (
            o * i * (k * k + 1)
        ),
        "the bias was counted once for every place of the kernel; each output channel has one.": lambda i, o, k: (
            o * (i + 1) * k * k
        ),
        "the bias was counted once for every row of the kernel; each output channel has one.": lambda i, o, k: (
            o * i * k * k + o * k
        ),
        "the output channels are missing; each of them has its own kernels and bias.": lambda i, o, k: i * k * k + 1,
        "input and output channels were added; every output looks at every input, so multiply.": lambda i, o, k: (
            (i + o) * k * k + o
        ),
        "two numbers per output channel were added; a convolution has one bias, a batch norm would have two.": (
            lambda i, o, k: o * (i * k * k + 2)
        ),
        "the kernel has k × k places, not 2 k.": lambda i, o, k: o * (i * 2 * k + 1),
        "those are the pairs of channels alone; each pair has k × k weights, each output a bias.": lambda i, o, k: (
            i * o
        ),
        "the kernel is k × k, not k × k × k; the network has no 3D layer.": lambda i, o, k: o * (i * k**3 + 1),
        "weights and biases came back apart; return their sum.": lambda i, o, k: (o * i * k * k, o),
    },
)
RESIDUAL = Exercise(
    name="ResidualBlock",
    solution=Residual,
    cases=_block_cases,
    answer=block_answer,
    examine=examine_block,
    advice=BLOCK_ADVICE,
    names=("inputs", "outputs", "x"),
    tolerance=1e-4,
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
        "a softmax over the rows makes the pixels compete; each voxel is a yes or no of its own.": lambda x: (
            torch.softmax(x, dim=2)
        ),
        "a softmax over the columns makes the pixels compete; each voxel is a yes or no of its own.": lambda x: (
            torch.softmax(x, dim=3)
        ),
        "a softmax over all voxels makes them compete for a sum of 1; each is a yes or no of its own.": lambda x: (
            torch.softmax(x.flatten(1), dim=1).reshape(x.shape)
        ),
        "a softmax over the whole batch makes all voxels compete.": lambda x: torch.softmax(x.ravel(), 0).reshape(
            x.shape
        ),
        "the logits were divided by their sum; that is no probability.": lambda x: x / x.sum(),
        "the mean over the batch was taken; each face keeps its own voxels.": lambda x: torch.sigmoid(x.mean(dim=0)),
        "the logits were clamped to [0, 1]; the sigmoid bends them there smoothly.": lambda x: x.clamp(0, 1),
        "that is (1 + tanh(x)) / 2 = sigmoid(2 x), twice as steep as the sigmoid.": lambda x: torch.sigmoid(2 * x),
        "that is tanh, from −1 to 1; a probability is in [0, 1].": torch.tanh,
        "that is exp(x), the odds; the probability is exp(x) / (1 + exp(x)).": torch.exp,
        "that is exp(−x); the probability is 1 / (1 + exp(−x)).": lambda x: torch.exp(-x),
        "a ReLU cuts what is below 0 and leaves the rest above 1; a probability is in [0, 1].": torch.relu,
        "the logits were stretched from their smallest to their largest; that is no probability.": lambda x: (
            (x - x.min()) / (x.max() - x.min())
        ),
        "the mean over depth was taken; each voxel keeps its own probability.": lambda x: torch.sigmoid(x).mean(dim=1),
        "that is the logarithm of the probability.": torch.nn.functional.logsigmoid,
        "the logits came back unchanged.": lambda x: x,
        "the logits were cut at 0; that gives the solid, but no probability.": lambda x: (x > 0).float(),
        "that is the probability of being outside; the sign is wrong.": lambda x: torch.sigmoid(-x),
        "the sigmoid was taken twice.": lambda x: torch.sigmoid(torch.sigmoid(x)),
    },
)


def check_convolution_parameters(function: Function, seed: int | None = None) -> None:
    """(inputs, outputs, kernel) → number of parameters."""
    CONVOLUTION_PARAMETERS.judge(function, seed)


def check_residual(block: Function, seed: int | None = None) -> None:
    """A class: block(inputs, outputs) is a module (B, inputs, H, W) → (B, outputs, H, W)."""
    RESIDUAL.judge(block, seed)


def check_voxel_probabilities(function: Function, seed: int | None = None) -> None:
    """(logits (B, slices, H, W)) → probabilities of the same shape."""
    VOXEL_PROBABILITIES.judge(function, seed)
