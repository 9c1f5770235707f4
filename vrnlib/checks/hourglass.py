"""Checks for 03_vrn_architecture: the hourglass and the head that answers with a volume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vrnlib.checks import Exercise
from vrnlib.checks.answers import Case
from vrnlib.checks.modules import block_answer, examine_module, parameters
from vrnlib.hourglass import Residual

#: What errors mean inside an hourglass or a head: (pattern, advice).
ADVICE = (
    (r"maximum recursion depth", "the inner hourglass has one level less, `depth - 1`, and depth 1 has none inside"),
    (r"size of tensor a .* at non-singleton dimension [23]", "the pooled branch must be enlarged ×2 before the sum"),
    (r"size of tensor a .* at non-singleton dimension 1", "both branches must have the same channels"),
)


class HourglassModule(nn.Module):
    """One level of an hourglass and the smaller hourglass inside it, one Residual per step; (B, C, H, W) → same."""

    def __init__(self, depth: int, features: int) -> None:
        super().__init__()
        self.skip = Residual(features, features)
        self.before = Residual(features, features)
        smaller = depth - 1
        self.inner = HourglassModule(smaller, features) if smaller else Residual(features, features)
        self.after = Residual(features, features)
        self.output = Residual(features, features)

    def forward(self, x: Tensor) -> Tensor:
        low = self.after(self.inner(self.before(F.max_pool2d(x, 2))))
        return self.output(self.skip(x) + F.interpolate(low, scale_factor=2, mode="nearest"))


class VolumeHead(nn.Module):
    """1×1 convolution, BN, ReLU, 1×1 convolution to the slices, bilinear ×4; (B, C, H, W) → (B, slices, 4H, 4W)."""

    def __init__(self, features: int, slices: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(features, features, 1),
            nn.BatchNorm2d(features),
            nn.ReLU(),
            nn.Conv2d(features, slices, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        small = self.layers(x)
        return F.interpolate(small, scale_factor=4, mode="bilinear", align_corners=False)


class _Level(nn.Module):
    """An hourglass in which one thing or another is done differently."""

    skip: nn.Module
    before: nn.Module
    after: nn.Module
    output: nn.Module
    bottom: nn.Module
    absent: tuple[str, ...] = ()
    pool: Callable[..., Any] = staticmethod(F.max_pool2d)
    mode = "nearest"
    nested = "pooled"
    joined = "sum"
    late = True

    def __init__(self, depth: int, features: int) -> None:
        super().__init__()
        for name in ("skip", "before", "after", "output", "bottom"):
            unused = name in self.absent or (name == "bottom" and depth > 1)
            setattr(self, name, nn.Identity() if unused else Residual(features, features))
        deeper = depth > 1 and "inner" not in self.absent
        self.inner: nn.Module = type(self)(depth - 1, features) if deeper else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        skip, low = self.skip(x), self.before(self.pool(x, 2))
        skip, low = (self.inner(skip), low) if self.nested == "skip" else (skip, self.inner(low))
        low = self.bottom(low)
        if self.late:
            low = self.enlarged(self.after(low))
        else:
            low = self.after(self.enlarged(low))
        joins = {"sum": skip + low, "product": skip * low, "low": low, "skip": skip, "difference": skip - low}
        joins |= {"mean": (skip + low) / 2, "input too": x + skip + low}
        return self.output(joins[self.joined])

    def enlarged(self, low: Tensor) -> Tensor:
        corners = {} if self.mode == "nearest" else {"align_corners": False}
        return F.interpolate(low, scale_factor=2, mode=self.mode, **corners)


class _BottomEverywhere(_Level):
    def __init__(self, depth: int, features: int) -> None:
        super().__init__(depth, features)
        self.bottom = Residual(features, features)


def _level(**changes: object) -> type:
    return type("Level", (_Level,), {k: staticmethod(v) if callable(v) else v for k, v in changes.items()})


class _Head(nn.Module):
    """A head in which one thing or another is done differently."""

    layers_in_order = "cbrd"
    kernel = 1
    scale = 4
    enlarge: dict[str, Any] = {"mode": "bilinear", "align_corners": False}
    ending: Callable[..., Any] = staticmethod(lambda x: x)

    def __init__(self, features: int, slices: int) -> None:
        super().__init__()
        pad = self.kernel // 2
        made = {
            "c": nn.Conv2d(features, features, self.kernel, padding=pad),
            "b": nn.BatchNorm2d(features),
            "r": nn.ReLU(),
            "d": nn.Conv2d(features, slices, 1),
        }
        self.layers = nn.Sequential(*[made[letter] for letter in self.layers_in_order])

    def forward(self, x: Tensor) -> Tensor:
        return self.ending(F.interpolate(self.layers(x), scale_factor=self.scale, **self.enlarge))


def _head(**changes: object) -> type:
    return type("Head", (_Head,), {k: staticmethod(v) if callable(v) else v for k, v in changes.items()})


def _count_of_residuals(module: nn.Module, case: Case) -> str | None:
    """A wrong number of parameters, said in Residuals where it is one."""
    depth, features, _ = case.arguments.values()
    one, wanted = parameters(Residual(features, features)), case.wanted[1]
    found = parameters(module)
    if found == wanted:
        return None
    if found % one == 0:
        return (
            f"the hourglass of depth {depth} has {found // one} Residuals, {wanted // one} were expected: four on each "
            "level (skip, before, after, output) and one at the bottom."
        )
    return f"the hourglass has {found:,} parameters, {wanted:,} were expected; it holds nothing but Residuals."


def _layers_of_head(module: nn.Module, case: Case) -> str | None:
    found, wanted = parameters(module), case.wanted[1]
    if found == wanted:
        return None
    features = case.arguments["features"]
    if found == wanted - 2 * features:
        return "the batch norm behind the first convolution is missing."
    return f"the head has {found:,} parameters, {wanted:,} were expected: two 1×1 convolutions and a batch norm."


def _hourglass_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """A single level and one with others inside, on maps that are not square."""
    cases = []
    for depth in (1, int(rng.integers(2, 4))):
        features, side = 2 * int(rng.integers(2, 5)), 2**depth
        shape = (2, features, side * 2, side * int(rng.integers(3, 5)))
        cases.append((depth, features, torch.from_numpy(rng.normal(size=shape).astype(np.float32))))
    return cases


def _head_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    cases = []
    for slices in (int(rng.integers(5, 12)), 200):
        features = int(rng.choice([6, 8, 12]))
        x = torch.from_numpy((2 * rng.normal(size=(2, features, 5, 6))).astype(np.float32))
        cases.append((features, slices, x))
    return cases


HOURGLASS_MODULE = Exercise(
    name="HourglassModule",
    solution=HourglassModule,
    cases=_hourglass_cases,
    answer=block_answer,
    examine=lambda kind, cases: examine_module(kind, cases, "HourglassModule", _count_of_residuals),
    advice=ADVICE,
    names=("depth", "features", "x"),
    tolerance=1e-4,
    mistakes={
        "the skip has no Residual; it is more than the input.": _level(absent=("skip",)),
        "the skip is not added; without it all detail finer than the pooled map is lost.": _level(joined="low"),
        "the pooled branch is not added; nothing coarse reaches the output.": _level(joined="skip"),
        "the map is halved by averages; the hourglass takes the largest of each 2×2, F.max_pool2d.": _level(
            pool=F.avg_pool2d
        ),
        "the map is enlarged bilinearly; the hourglass repeats each cell, mode='nearest'.": _level(mode="bilinear"),
        "no Residual follows the sum of both branches.": _level(absent=("output",)),
        "the Residual at the bottom is missing; depth 1 has one where deeper levels hold an hourglass.": _level(
            absent=("bottom",)
        ),
        "every level has the bottom's Residual; only depth 1 has one, in place of an inner hourglass.": (
            _BottomEverywhere
        ),
        "the inner hourglass works on the skip, as in the released network; the figure has it on the pooled map.": (
            _level(nested="skip")
        ),
        "`depth` is not used; where it is above 1, a smaller hourglass sits on the pooled branch.": _level(
            absent=("inner",)
        ),
        "the pooled branch has no Residual before the inner hourglass.": _level(absent=("before",)),
        "the pooled branch has no Residual after the inner hourglass.": _level(absent=("after",)),
        "the map is enlarged before the branch's last Residual; after it is a quarter of the work.": _level(late=False),
        "the branches are multiplied; add them.": _level(joined="product"),
        "the pooled branch is subtracted; add it.": _level(joined="difference"),
        "the sum of both branches is halved.": _level(joined="mean"),
        "the input is added as well; the skip has it already.": _level(joined="input too"),
    },
)
VOLUME_HEAD = Exercise(
    name="VolumeHead",
    solution=VolumeHead,
    cases=_head_cases,
    answer=block_answer,
    examine=lambda kind, cases: examine_module(kind, cases, "VolumeHead", _layers_of_head),
    advice=ADVICE,
    names=("features", "slices", "x"),
    tolerance=1e-4,
    mistakes={
        "the corners' centres are held fast (align_corners=True); then cell (i, j) is no longer at pixel 4i + 1.5.": (
            _head(enlarge={"mode": "bilinear", "align_corners": True})
        ),
        "each cell is repeated (nearest); bilinear makes the surface smooth.": _head(enlarge={"mode": "nearest"}),
        "the map is enlarged bicubically; the paper's network does it bilinearly.": _head(
            enlarge={"mode": "bicubic", "align_corners": False}
        ),
        "the answer went through a sigmoid; return logits, the loss wants them.": _head(ending=torch.sigmoid),
        "a softmax over depth makes the slices of a column compete; return logits.": _head(
            ending=lambda x: torch.softmax(x, dim=1)
        ),
        "a ReLU follows the last convolution; logits have both signs.": _head(ending=torch.relu),
        "the ReLU between both convolutions is missing; without it they are one.": _head(layers_in_order="cbd"),
        "the ReLU comes before the batch norm; here the order is convolution, BN, ReLU.": _head(layers_in_order="crbd"),
        "batch norm and ReLU come first, as in a Residual; the head's order is convolution, BN, ReLU.": _head(
            layers_in_order="brcd"
        ),
        "the batch norm has no effect on the response, or is missing; it follows the first convolution.": _head(
            layers_in_order="crd"
        ),
        "the first convolution is missing.": _head(layers_in_order="brd"),
        "there is only the last convolution.": _head(layers_in_order="d"),
        "the first convolution is 3×3; both are 1×1.": _head(kernel=3),
        "the map is not enlarged; a cell is four pixels wide.": _head(scale=1),
        "the map is enlarged ×2; a cell is four pixels wide.": _head(scale=2),
    },
)


def check_hourglass(kind: Callable[..., Any], seed: int | None = None) -> None:
    """A class: kind(depth, features) is a module (B, C, H, W) → (B, C, H, W)."""
    HOURGLASS_MODULE.judge(kind, seed)


def check_volume_head(kind: Callable[..., Any], seed: int | None = None) -> None:
    """A class: kind(features, slices) is a module (B, C, H, W) → (B, slices, 4H, 4W)."""
    VOLUME_HEAD.judge(kind, seed)
