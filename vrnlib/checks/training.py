"""Checks for 04_training: the loss from logits, intersection over union, one step of RMSProp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Function


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


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _clamped(logits: Tensor, solid: Tensor, least: float) -> Tensor:
    p = torch.sigmoid(logits).clamp(least, 1 - least)
    return -(solid * torch.log(p) + (1 - solid) * torch.log(1 - p)).mean()


def _loss_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Ordinary logits of a small batch, and four that are sure, two of them rightly."""
    shape = (2, *map(int, rng.permutation([3, 4, 6])))
    ordinary = _tensor(2 * rng.normal(size=shape)), _tensor(rng.random(shape) > 0.6)
    extreme = _tensor(rng.uniform(120, 250, 4) * [1, -1, 1, -1])
    return [ordinary, (extreme, torch.tensor([1.0, 0.0, 0.0, 1.0]))]


def _volume_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Solids that are smaller, and larger, than what the logits say."""
    cases: list[tuple[Any, ...]] = []
    for shape, cut in [((3, 4, 5), 0.6), ((6, 7, 8), -0.6), ((200, 24, 24), 0.6)]:
        noise = rng.normal(size=shape)
        logits = noise + 0.05 * np.sign(noise)  # no logit is so near to 0 that rounding decides
        cases.append((_tensor(logits), _tensor(2.5 * logits + rng.normal(size=shape) > cut)))
    return cases


def _step_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Weights without a memory, one of them without a gradient, and weights with both."""
    small, large = (_tensor(rng.normal(size=(2, count))) for count in (5, 1000))
    small[1, 2] = 0
    memory = large[1].abs() + 0.2
    return [
        (small[0], small[1], torch.zeros(5), float(rng.uniform(0.05, 0.2))),
        (large[0], large[1], memory, float(rng.uniform(0.01, 0.02)), float(rng.uniform(0.8, 0.95))),
    ]


def _with_memory(w: Tensor, g: Tensor, s: Tensor, r: float, old: float, new: Tensor | float) -> tuple[Tensor, Tensor]:
    """A step with the memory old · square + new."""
    square = old * s + new
    return w - r * g / (square.sqrt() + 1e-8), square


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
        "the sums of the items were averaged over the batch; take the mean over all voxels.": lambda x, y: (
            cross_entropy_from_logits(x, y) * x[0].numel()
        ),
        (
            "the probability was clamped before the logarithm; a sure mistake then costs too little. Use the logits."
        ): lambda x, y: _clamped(x, y, 1e-7),
        "the logarithms were cut off at −100, as F.binary_cross_entropy does; use the formula with the logits.": (
            lambda x, y: torch.nn.functional.binary_cross_entropy(torch.sigmoid(x), y)
        ),
        "the clamp keeps the negative logits; max(x, 0) is clamp(min=0).": lambda x, y: (
            cross_entropy_from_logits(x, y) + (x.clamp(max=0) - x.clamp(min=0)).mean()
        ),
        "x · y was added; the formula subtracts it.": lambda x, y: cross_entropy_from_logits(x, -y),
        "max(x, 0) is missing.": lambda x, y: cross_entropy_from_logits(x, y) - x.clamp(min=0).mean(),
        "|x| stands where max(x, 0) belongs.": lambda x, y: cross_entropy_from_logits(x, y) + (-x).clamp(min=0).mean(),
        "x stands where max(x, 0) belongs.": lambda x, y: cross_entropy_from_logits(x, y) - (-x).clamp(min=0).mean(),
        "the term log(1 + e^(−|x|)) is missing.": lambda x, y: (x.clamp(min=0) - x * y).mean(),
        "the logarithm is missing around 1 + e^(−|x|).": lambda x, y: (
            x.clamp(min=0) - x * y + torch.exp(-x.abs())
        ).mean(),
        "the 1 is counted twice; torch.log1p(e) is log(1 + e) already.": lambda x, y: (
            x.clamp(min=0) - x * y + torch.log1p(1 + torch.exp(-x.abs()))
        ).mean(),
        "that is the mean squared error of the probabilities, not the cross-entropy.": lambda x, y: (
            (torch.sigmoid(x) - y) ** 2
        ).mean(),
        "that is the mean squared difference of logits and solid, not the cross-entropy.": lambda x, y: (
            (x - y) ** 2
        ).mean(),
        "that is the mean absolute error of the probabilities, not the cross-entropy.": lambda x, y: (
            (torch.sigmoid(x) - y).abs().mean()
        ),
        "the logarithm has the base 2; take the natural one.": lambda x, y: (
            cross_entropy_from_logits(x, y) / math.log(2)
        ),
        "the sigmoid was taken twice; the logits go in as they are.": lambda x, y: cross_entropy_from_logits(
            torch.sigmoid(x), y
        ),
        "solid and empty are exchanged.": lambda x, y: cross_entropy_from_logits(x, 1 - y),
        "the solid voxels' term is missing.": lambda x, y: ((1 - y) * torch.nn.functional.softplus(x)).mean(),
        "there is one number per voxel; take the mean over all of them.": lambda x, y: (
            torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none")
        ),
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
        "the logits were cut at 1; a probability of 0.5 is a logit of 0.": lambda x, y: intersection_over_union(
            x - 1, y
        ),
        "the intersection is divided by the larger of both solids; divide it by their union.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() / max((x > 0).sum(), (y > 0.5).sum())
        ),
        "the intersection is divided by the smaller of both solids; divide it by their union.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() / min((x > 0).sum(), (y > 0.5).sum())
        ),
        "the intersection is divided by the true solid alone; that is recall.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() / (y > 0.5).sum()
        ),
        "the intersection is divided by the predicted solid alone; that is precision.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() / (x > 0).sum()
        ),
        "that is union over intersection.": lambda x, y: 1 / intersection_over_union(x, y),
        "the probabilities were used as they are, a soft overlap; cut the logits at 0 first.": lambda x, y: (
            (torch.sigmoid(x) * y).sum() / (torch.sigmoid(x) + y - torch.sigmoid(x) * y).sum()
        ),
        "the union holds only the voxels of one of both (xor); `|` holds those of both too.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() / ((x > 0) ^ (y > 0.5)).sum()
        ),
        "the mean of the slices' own IoU was taken; count over the whole volume, then divide once.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum((1, 2)) / ((x > 0) | (y > 0.5)).sum((1, 2))
        ).mean(),
        "the union counts the intersection twice; it is a + b − both.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() / ((x > 0).sum() + (y > 0.5).sum())
        ),
        "that is 1 − IoU, a distance.": lambda x, y: 1 - intersection_over_union(x, y),
        "that is the IoU in percent; return a number in [0, 1].": lambda x, y: 100 * intersection_over_union(x, y),
        "the intersection is not divided by anything.": lambda x, y: ((x > 0) & (y > 0.5)).sum(),
        "that is the union alone; the intersection is divided by it.": lambda x, y: ((x > 0) | (y > 0.5)).sum(),
        "the intersection is divided by the number of all voxels; divide it by the union.": lambda x, y: (
            ((x > 0) & (y > 0.5)).float().mean()
        ),
        "the quotient was cut to a whole number; divide with `/`, not `//`.": lambda x, y: (
            ((x > 0) & (y > 0.5)).sum() // ((x > 0) | (y > 0.5)).sum()
        ),
        "that is the IoU of the empty voxels; count the solid ones.": lambda x, y: intersection_over_union(-x, 1 - y),
        "the predicted solid is turned over; it is where the logit is above 0.": lambda x, y: intersection_over_union(
            -x, y
        ),
        "every logit that is not 0 counts as solid; the solid is where it is above 0.": lambda x, y: (
            intersection_over_union(x.abs(), y)
        ),
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
        "the gradient is not squared in the running mean.": lambda w, g, s, r, a=0.99: _with_memory(
            w, g, s, r, a, (1 - a) * g
        ),
        "the gradient is not squared in the running mean, only made positive.": lambda w, g, s, r, a=0.99: (
            w - r * g / ((a * s + (1 - a) * g).abs().sqrt() + 1e-8),
            a * s + (1 - a) * g,
        ),
        "the gradient's absolute value is in the running mean; it must be squared.": lambda w, g, s, r, a=0.99: (
            _with_memory(w, g, s, r, a, (1 - a) * g.abs())
        ),
        "alpha is always 0.99; use the argument.": lambda w, g, s, r, a=0.99: rmsprop_step(w, g, s, r, 0.99),
        "only the gradient's sign is used; divide by the root of the running mean.": lambda w, g, s, r, a=0.99: (
            w - r * g.sign(),
            a * s + (1 - a) * g**2,
        ),
        "one mean over all weights was taken; each weight has a memory of its own.": lambda w, g, s, r, a=0.99: (
            _with_memory(w, g, s, r, a, (1 - a) * (g**2).mean())
        ),
        "the old mean square came back; return the new one.": lambda w, g, s, r, a=0.99: (
            rmsprop_step(w, g, s, r, a)[0],
            s,
        ),
        "alpha is missing before the old mean; it would never forget.": lambda w, g, s, r, a=0.99: _with_memory(
            w, g, s, r, 1, (1 - a) * g**2
        ),
        "1 − alpha is missing before the new square.": lambda w, g, s, r, a=0.99: _with_memory(w, g, s, r, a, g**2),
        "the memory holds only the new square; alpha of the old one stays.": lambda w, g, s, r, a=0.99: _with_memory(
            w, g, s, r, 0, g**2
        ),
        "the step came back in place of the weight; subtract it from the weight.": lambda w, g, s, r, a=0.99: (
            rmsprop_step(0 * w, g, s, r, a)[0],
            rmsprop_step(w, g, s, r, a)[1],
        ),
        "the rate is missing.": lambda w, g, s, r, a=0.99: rmsprop_step(w, g, s, 1.0, a),
        "the root of the memory came back; keep the mean of squares itself.": lambda w, g, s, r, a=0.99: (
            rmsprop_step(w, g, s, r, a)[0],
            rmsprop_step(w, g, s, r, a)[1].sqrt(),
        ),
        "1e-8 is missing in the divisor; a weight without gradient or memory is NaN.": lambda w, g, s, r, a=0.99: (
            w - r * g / rmsprop_step(w, g, s, r, a)[1].sqrt(),
            rmsprop_step(w, g, s, r, a)[1],
        ),
        "the gradient is multiplied by the root; divide by it.": lambda w, g, s, r, a=0.99: (
            w - r * g * rmsprop_step(w, g, s, r, a)[1].sqrt(),
            rmsprop_step(w, g, s, r, a)[1],
        ),
    },
)


def check_cross_entropy(function: Function, seed: int | None = None) -> None:
    """(logits, solid of 0 and 1) → mean loss."""
    CROSS_ENTROPY.judge(function, seed)


def check_intersection_over_union(function: Function, seed: int | None = None) -> None:
    """(logits, solid of 0 and 1) → number in [0, 1]."""
    INTERSECTION.judge(function, seed)


def check_rmsprop_step(function: Function, seed: int | None = None) -> None:
    """(weight, gradient, square, rate, alpha) → (weight, square)."""
    RMSPROP.judge(function, seed)
