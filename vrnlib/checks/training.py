"""Checks for 04_training: the loss from logits, intersection over union, one step of RMSProp."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vrnlib.checks import Exercise


def cross_entropy_from_logits(logits: Tensor, solid: Tensor) -> Tensor:
    """Mean sigmoid cross-entropy; finite for any logit."""
    return (logits.clamp(min=0) - logits * solid + torch.log1p(torch.exp(-logits.abs()))).mean()


def intersection_over_union(logits: Tensor, solid: Tensor) -> Tensor:
    """IoU of {logit > 0} and the solid, one number."""
    predicted, solid = logits > 0, solid > 0.5
    return (predicted & solid).sum() / (predicted | solid).sum()


def rmsprop_step(
    weight: Tensor, gradient: Tensor, square: Tensor, rate: float, alpha: float = 0.99
) -> tuple[Tensor, Tensor]:
    """The weight and the running mean of squared gradients after one step."""
    square = alpha * square + (1 - alpha) * gradient**2
    return weight - rate * gradient / (square.sqrt() + 1e-8), square


def _naive(logits: Tensor, solid: Tensor) -> Tensor:
    p = torch.sigmoid(logits)
    return -(solid * torch.log(p) + (1 - solid) * torch.log(1 - p)).mean()


def _loss_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(0)
    ordinary = 2 * torch.randn(2, 3, 4, 4, generator=generator)
    solid = (torch.rand(2, 3, 4, 4, generator=generator) > 0.6).float()
    extreme = torch.tensor([200.0, -200.0, 150.0, -150.0])
    return [(ordinary, solid), (extreme, torch.tensor([1.0, 0.0, 0.0, 1.0]))]


def _volume_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(1)
    cases = []
    for _ in range(3):
        logits = torch.randn(6, 7, 8, generator=generator) * 0.4
        cases.append((logits, (logits + torch.randn(6, 7, 8, generator=generator) > 0.2).float()))
    return cases


def _step_cases() -> list[tuple]:
    generator = torch.Generator().manual_seed(2)
    weight, gradient = torch.randn(2, 5, generator=generator)
    return [(weight, gradient, torch.zeros(5), 0.1), (weight, gradient, gradient.abs() + 0.2, 0.01, 0.9)]


def _confusion(logits: Tensor, solid: Tensor) -> tuple[Tensor, Tensor]:
    return logits > 0, solid > 0.5


CROSS_ENTROPY = Exercise(
    name="cross_entropy_from_logits",
    solution=cross_entropy_from_logits,
    cases=_loss_cases,
    mistakes={
        "the loss is summed; take the mean, or the learning rate would depend on the volume's size.": lambda x, y: (
            cross_entropy_from_logits(x, y) * x.numel()
        ),
        "the empty voxels' term is missing; most voxels are empty.": lambda x, y: (
            y * torch.nn.functional.softplus(-x)
        ).mean(),
        "the sign is wrong; a loss falls when the answer gets better.": lambda x, y: -cross_entropy_from_logits(x, y),
        (
            "the logits of 200 gave infinity or NaN; log(sigmoid(x)) loses them. Use max(x, 0) − x y + "
            "log(1 + e^(−|x|))."
        ): _naive,
        "logits were taken for probabilities; the loss must hold the sigmoid.": lambda x, y: (
            -(y * torch.log(x) + (1 - y) * torch.log(1 - x)).mean()
        ),
        "targets and logits changed places.": lambda x, y: cross_entropy_from_logits(y, x),
    },
)
INTERSECTION = Exercise(
    name="intersection_over_union",
    solution=intersection_over_union,
    cases=_volume_cases,
    mistakes={
        "that is the Dice coefficient, twice the intersection over the sum of both.": lambda x, y: (
            2 * ((x > 0) & (y > 0.5)).sum() / ((x > 0).sum() + (y > 0.5).sum())
        ),
        "that is the accuracy; empty voxels that are right do not count in IoU.": lambda x, y: (
            ((x > 0) == (y > 0.5)).float().mean()
        ),
        "the logits were cut at 0.5; a probability of 0.5 is a logit of 0.": lambda x, y: intersection_over_union(
            x - 0.5, y
        ),
        "the intersection is divided by the true solid alone; that is recall.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() / (y > 0.5).sum()
        ),
        "the intersection is divided by the predicted solid alone; that is precision.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() / (x > 0).sum()
        ),
        "that is union over intersection.": lambda x, y: 1 / intersection_over_union(x, y),
    },
)
RMSPROP = Exercise(
    name="rmsprop_step",
    solution=rmsprop_step,
    cases=_step_cases,
    mistakes={
        "the root is missing; the step is divided by the root of the mean square.": lambda w, g, s, r, a=0.99: (
            w - r * g / (a * s + (1 - a) * g**2 + 1e-8),
            a * s + (1 - a) * g**2,
        ),
        "alpha and 1 − alpha changed places; the mean would forget at once.": lambda w, g, s, r, a=0.99: rmsprop_step(
            w, g, s, r, 1 - a
        ),
        "the weight goes uphill; subtract the step.": lambda w, g, s, r, a=0.99: (
            2 * w - rmsprop_step(w, g, s, r, a)[0],
            rmsprop_step(w, g, s, r, a)[1],
        ),
        "the step was taken with the old mean square; update it first.": lambda w, g, s, r, a=0.99: (
            w - r * g / (s.sqrt() + 1e-8),
            a * s + (1 - a) * g**2,
        ),
        "that is plain gradient descent; the gradient is not divided by anything.": lambda w, g, s, r, a=0.99: (
            w - r * g,
            a * s + (1 - a) * g**2,
        ),
    },
)


def check_cross_entropy(function: Callable) -> None:
    """(logits, solid of 0 and 1) → mean loss."""
    CROSS_ENTROPY.judge(function)


def check_intersection_over_union(function: Callable) -> None:
    """(logits, solid of 0 and 1) → number in [0, 1]."""
    INTERSECTION.judge(function)


def check_rmsprop_step(function: Callable) -> None:
    """(weight, gradient, square, rate, alpha) → (weight, square)."""
    RMSPROP.judge(function)
