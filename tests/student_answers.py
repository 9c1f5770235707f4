"""Answers as students write them, beyond the mistakes that the checks know by name.

WRONG: (exercise, words one of which the sentence must hold, function). RIGHT: (exercise, style, function).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import nn
from torch.nn import functional as F

WRONG: list[tuple[str, str, Callable]] = []
RIGHT: list[tuple[str, str, Callable]] = []


def wrong(exercise: str, words: str, function: Callable) -> None:
    WRONG.append((exercise, words, function))


def right(exercise: str, style: str, function: Callable) -> None:
    RIGHT.append((exercise, style, function))


# 00: nose_tip, slice_of_depth, volume_from_paper_order
wrong("nose_tip", "absolute", lambda p: int(np.abs(p[:, 2]).argmax()))
wrong("nose_tip", "point itself", lambda p: p[p[:, 2].argmax()])
wrong("nose_tip", "column 0", lambda p: p[:, 0].argmax())
wrong("nose_tip", "distance|length", lambda p: np.linalg.norm(p, axis=1).argmax())
wrong("nose_tip", "all rows|order|sorted", lambda p: np.argsort(-p[:, 2]))
wrong("nose_tip", "each column|every column", lambda p: np.argmax(p, axis=0))
wrong("slice_of_depth", "offset", lambda z, offset: 2 * z + round(offset))
wrong("slice_of_depth", "0.5|half", lambda z, offset: 2 * z + offset - 0.5)
wrong("slice_of_depth", "offset", lambda z, offset: 2 * z)
wrong("slice_of_depth", "z", lambda z, offset: z**2 + offset)
wrong("slice_of_depth", "offset", lambda z, offset: 2 * z + 99.5)
wrong("slice_of_depth", "first", lambda z, offset: 2 * z[0] + offset)
wrong("slice_of_depth", "order|sorted", lambda z, offset: np.sort(2 * z + offset))
wrong("volume_from_paper_order", "flipped|reversed|mirrored", lambda a: a.T[:, :, ::-1])
wrong("volume_from_paper_order", "turned", lambda a: np.rot90(a))
wrong("volume_from_paper_order", "flat|one axis", lambda a: a.transpose(2, 1, 0).ravel())
wrong("volume_from_paper_order", "bool|truth", lambda a: a.T.astype(float))
wrong("volume_from_paper_order", "swapped|order", lambda a: a.transpose(1, 2, 0))
wrong("volume_from_paper_order", "opposite|turned into|inverted", lambda a: ~a.T)
wrong("volume_from_paper_order", "order|swapped", lambda a: np.swapaxes(a, 1, 2))


# 01: decode_heatmap, crop_scale, crop_matrix, to_photo
def _mean_place(heatmap: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(heatmap.shape)
    return np.array([(columns * heatmap).sum(), (rows * heatmap).sum()])


def _printed(heatmap: np.ndarray) -> None:
    print(_mean_place(heatmap))


def _squared_weights(heatmap: np.ndarray) -> np.ndarray:
    return _mean_place(heatmap**2 / (heatmap**2).sum())


def _rows_and_columns_mixed(heatmap: np.ndarray) -> np.ndarray:
    rows, columns = heatmap.shape
    return np.array([(heatmap.sum(axis=0) * np.arange(rows)).sum(), (heatmap.sum(axis=1) * np.arange(columns)).sum()])


wrong("decode_heatmap", "0.5|half", lambda h: _mean_place(h) + 0.5)
wrong("decode_heatmap", "only|one of", lambda h: _mean_place(h)[1])
wrong("decode_heatmap", "squared", _squared_weights)
wrong("decode_heatmap", "divided|smaller", lambda h: _mean_place(h) / (np.array(h.shape[::-1]) - 1))
wrong("decode_heatmap", "ValueError", _rows_and_columns_mixed)
wrong("decode_heatmap", "2|two", lambda h: (*_mean_place(h), 1.0))
wrong("decode_heatmap", "print", _printed)
wrong("decode_heatmap", "reversed", lambda h: _mean_place(h[:, ::-1]))


def _box(landmarks: np.ndarray) -> np.ndarray:
    return np.ptp(landmarks, axis=0)


wrong("crop_scale", "sum", lambda p: 90 / math.sqrt(_box(p).sum()))
wrong("crop_scale", "square", lambda p: 90**2 / _box(p).prod())
wrong("crop_scale", "spread|deviation", lambda p: 90 / math.sqrt(p.std(axis=0).prod()))
wrong("crop_scale", "96|1.067", lambda p: 96 / math.sqrt(_box(p).prod()))
wrong("crop_scale", "x and y|both columns|axis", lambda p: 90 / np.ptp(p))
wrong("crop_scale", "rounded", lambda p: round(90 / math.sqrt(_box(p).prod()), 2))
wrong("crop_scale", "shorter", lambda p: 90 / _box(p).min())
wrong("crop_scale", "largest|corner", lambda p: 90 / math.sqrt(p.max(axis=0).prod()))


def _crop(landmarks: np.ndarray, middle: Any = None, target: float = 95.5) -> tuple[float, np.ndarray]:
    scale = 90 / math.sqrt(_box(landmarks).prod())
    middle = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2 if middle is None else middle
    return scale, target - scale * np.asarray(middle)


def _matrix(scale: float, shift: np.ndarray) -> np.ndarray:
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def _mirrored(landmarks: np.ndarray) -> np.ndarray:
    return _matrix(*_crop(landmarks)) * [[-1, 1, 1], [1, 1, 1]]


def _crossed(landmarks: np.ndarray) -> np.ndarray:
    scale, shift = _crop(landmarks)
    return np.array([[0, scale, shift[0]], [scale, 0, shift[1]]])


wrong("crop_matrix", "nose|landmark", lambda p: _matrix(*_crop(p, p[30])))
wrong("crop_matrix", "transposed", lambda p: _matrix(*_crop(p)).T)
wrong("crop_matrix", "sign", lambda p: _matrix(_crop(p)[0], -_crop(p)[1]))
wrong("crop_matrix", "flat|(6,)", lambda p: _matrix(*_crop(p)).ravel())
wrong("crop_matrix", "95|0.5|half", lambda p: _matrix(*_crop(p, target=95.0)))
wrong("crop_matrix", "swapped", _crossed)
wrong("crop_matrix", "rounded", lambda p: _matrix(_crop(p)[0], np.round(_crop(p)[1])))
wrong("crop_matrix", "sign", _mirrored)
wrong("crop_matrix", "results|matrix|scale", lambda p: _crop(p))

wrong("to_photo", "scale", lambda p, m: p - m[:, 2])
wrong("to_photo", "sign", lambda p, m: (m[:, 2] - p) / m[0, 0])
wrong("to_photo", "shift|y", lambda p, m: (p - m[0, 2]) / m[0, 0])
wrong("to_photo", "rounded", lambda p, m: np.rint((p - m[:, 2]) / m[0, 0]))
wrong("to_photo", "transposed", lambda p, m: ((p - m[:, 2]) / m[0, 0]).T)
wrong("to_photo", "shift", lambda p, m: p @ np.linalg.inv(m[:, :2]) + m[:, 2])
wrong("to_photo", "fixed|95.5|same", lambda p, m: (p - 95.5) / m[0, 0])
wrong("to_photo", "IndexError", lambda p, m: (p - m[2]) / m[0, 0])


# 01: gaussian_target, quarter_shift, suppress
def _bell(x, y, side, sigma, power=2, swapped=False, normalized=True):
    """A loop over the cells."""
    x, y = (y, x) if swapped else (x, y)
    out = [[math.exp(-(math.hypot(c - x, r - y) ** power) / (2 * sigma**2)) for c in range(side)] for r in range(side)]
    total = sum(map(sum, out)) if normalized else 1
    return [[value / total for value in row] for row in out]


def _two_bells(x, y, side, sigma):
    """The outer product of two bells."""
    across, down = (np.exp(-0.5 * ((np.arange(side) - at) / sigma) ** 2) for at in (x, y))
    bell = np.outer(down, across)
    return torch.from_numpy(bell / bell.sum())


wrong("gaussian_target", "swapped", lambda *a: _bell(*a, swapped=True))
wrong("gaussian_target", "sum to 1", lambda *a: _bell(*a, normalized=False))
wrong("gaussian_target", "not squared", lambda *a: _bell(*a, power=1))
wrong("gaussian_target", "rounded", lambda x, y, n, s: _bell(round(x), round(y), n, s))
wrong("gaussian_target", "0.5", lambda x, y, n, s: _bell(x - 0.5, y - 0.5, n, s))
wrong("gaussian_target", "flat|one axis", lambda *a: np.ravel(_bell(*a)))
wrong("gaussian_target", "reversed|flipped|upside", lambda *a: np.array(_bell(*a))[::-1])
right("gaussian_target", "a loop", _bell)
right("gaussian_target", "outer product, torch", _two_bells)


def _quarter(h, size=0.25, edge=True, official=0.0):
    """As torch code does it, with ifs."""
    h = torch.as_tensor(np.asarray(h))
    at = int(h.flatten().argmax())
    x, y = at % h.shape[1], at // h.shape[1]
    place = [float(x), float(y)]
    if not edge or (0 < x < h.shape[1] - 1 and 0 < y < h.shape[0] - 1):
        place[0] += size if h[y, (x + 1) % h.shape[1]] > h[y, x - 1] else -size
        place[1] += size if h[(y + 1) % h.shape[0], x] > h[y - 1, x] else -size
    return [value + official for value in place]


wrong("quarter_shift", "half", lambda h: _quarter(h, 0.5))
wrong("quarter_shift", "edge", lambda h: _quarter(h, edge=False))
wrong("quarter_shift", "official|0.5", lambda h: _quarter(h, official=-0.5))
wrong("quarter_shift", "away", lambda h: _quarter(h, -0.25))
wrong("quarter_shift", "swapped|reversed|order", lambda h: _quarter(h)[::-1])
wrong("quarter_shift", "largest cell itself", lambda h: _quarter(h, 0.0))
wrong("quarter_shift", "mean over all", lambda h: _mean_place(h))
right("quarter_shift", "torch and ifs", _quarter)
right("quarter_shift", "a tuple", lambda h: tuple(_quarter(h)))


def _box_overlap(a, b, one=1):
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + one for i in (0, 1))
    shared = max(0, width) * max(0, height)
    areas = [(c[2] - c[0] + one) * (c[3] - c[1] + one) for c in (a, b)]
    return shared / (sum(areas) - shared)


def _greedy(boxes, threshold, one=1, strict=False, dropped_too=False):
    """Box by box against those that stay, without arrays."""
    kept, seen = [], []
    for row in sorted(range(len(boxes)), key=lambda row: -boxes[row][4]):
        rivals = seen if dropped_too else kept
        overlaps = [_box_overlap(boxes[row], boxes[other], one) for other in rivals]
        if all(o <= threshold if strict else o < threshold for o in overlaps):
            kept.append(row)
        seen.append(row)
    return kept


def _recursive(boxes, threshold):
    """With a table of all overlaps."""
    table = np.array([[_box_overlap(a, b) for b in boxes] for a in boxes])
    alive, kept = np.ones(len(boxes), bool), []
    while alive.any():
        best = np.where(alive, boxes[:, 4], -1).argmax()
        kept.append(best)
        alive &= table[best] < threshold
    return np.array(kept)


wrong("suppress", "+ 1", lambda b, t: _greedy(b, t, one=0))
wrong("suppress", "exactly", lambda b, t: _greedy(b, t, strict=True))
wrong("suppress", "dropped boxes", lambda b, t: _greedy(b, t, dropped_too=True))
wrong("suppress", "own order", lambda b, t: sorted(_greedy(b, t)))
wrong("suppress", "themselves", lambda b, t: b[_greedy(b, t)])
wrong("suppress", "all boxes", lambda b, t: _greedy(b, 2))
wrong("suppress", "worst", lambda b, t: _greedy(b * [1, 1, 1, 1, -1], t))
right("suppress", "without arrays", _greedy)
right("suppress", "a table of overlaps", _recursive)

# 02: compose_pose, to_image_axes, fill_columns
wrong("compose_pose", "13|numbers", lambda s, r, t: np.concatenate([[s], r.ravel(), t]))
wrong("compose_pose", "divided|scale", lambda s, r, t: np.column_stack([r / s, t]).ravel())
wrong("compose_pose", "sign", lambda s, r, t: np.column_stack([s * r, -t]).ravel())
wrong("compose_pose", "whole|integer|cut", lambda s, r, t: np.column_stack([s * r, t]).ravel().astype(int))
wrong("compose_pose", "reversed|order", lambda s, r, t: np.column_stack([s * r[:, ::-1], t]).ravel())
wrong("compose_pose", "row", lambda s, r, t: np.vstack([s * r, t]).ravel())

wrong("to_image_axes", "swapped", lambda v, s, m: np.c_[m[1] - s * v[:, 1], m[0] + s * v[:, 0], s * v[:, 2]])
wrong("to_image_axes", "191", lambda v, s, m: np.c_[m[0] + s * v[:, 0], 191 - (m[1] + s * v[:, 1]), s * v[:, 2]])
wrong("to_image_axes", "middle", lambda v, s, m: np.c_[m[0] + s * v[:, 0], m[0] - s * v[:, 1], s * v[:, 2]])
wrong("to_image_axes", "1 / `scale`", lambda v, s, m: np.c_[m[0] + v[:, 0] / s, m[1] - v[:, 1] / s, v[:, 2] / s])
wrong(
    "to_image_axes",
    "transposed",
    lambda v, s, m: np.stack([m[0] + s * v[:, 0], m[1] - s * v[:, 1], s * v[:, 2]]),
)
wrong(
    "to_image_axes",
    "depth|column 2|third",
    lambda v, s, m: np.c_[m[0] + s * v[:, 0], m[1] - s * v[:, 1], s * (v[:, 2] - v[:, 2].min())],
)
wrong("to_image_axes", "scale", lambda v, s, m: np.c_[m[0] + v[:, 0], m[1] - v[:, 1], v[:, 2]])
wrong("to_image_axes", "2|two|column", lambda v, s, m: np.c_[m[0] + s * v[:, 0], m[1] - s * v[:, 1]])


def _columns(back: np.ndarray, front: np.ndarray, offset: float, depth: int) -> np.ndarray:
    volume = np.zeros((depth, *back.shape), dtype=bool)
    for y, x in np.argwhere(~np.isnan(back)):
        start, stop = math.ceil(2 * back[y, x] + offset), math.floor(2 * front[y, x] + offset)
        volume[start : stop + 1, y, x] = True
    return volume


def _no_care_for_nan(back: np.ndarray, front: np.ndarray, offset: float, depth: int) -> np.ndarray:
    volume = np.zeros((depth, *back.shape), dtype=bool)
    for y in range(back.shape[0]):
        for x in range(back.shape[1]):
            volume[int(2 * back[y, x] + offset) : int(2 * front[y, x] + offset) + 1, y, x] = True
    return volume


def _front_excluded(back: np.ndarray, front: np.ndarray, offset: float, depth: int) -> np.ndarray:
    volume = np.zeros((depth, *back.shape), dtype=bool)
    for y, x in np.argwhere(~np.isnan(back)):
        for k in range(math.ceil(2 * back[y, x] + offset), math.floor(2 * front[y, x] + offset)):
            volume[k, y, x] = True
    return volume


def _every_second(back: np.ndarray, front: np.ndarray, offset: float, depth: int) -> np.ndarray:
    return _columns(back, front, offset, depth) & (np.arange(depth) % 2 == 0)[:, None, None]


def _nan_is_solid(back: np.ndarray, front: np.ndarray, offset: float, depth: int) -> np.ndarray:
    k = np.arange(depth)[:, None, None]
    return ~(k < 2 * back + offset) & ~(k > 2 * front + offset)


wrong("denormalize", "way in|way back", lambda o, m, s: np.divide(np.subtract(o, m), s))
wrong("denormalize", "mean", lambda o, m, s: o * s + m.mean())
wrong("denormalize", "deviation", lambda o, m, s: o + m)
wrong("denormalize", "scaled too|multiply first", lambda o, m, s: (o + m) * s)
wrong("denormalize", "return", lambda o, m, s: print(o * s + m))
wrong("denormalize", "62|fit|fixed", lambda o, m, s: o * np.ones(62) * s + m)
wrong("denormalize", "first", lambda o, m, s: (o * s + m)[1:])


def _edges(d, c, *, nearer=True, both=True):
    """By the three edge functions, a loop over the pixels."""
    out = np.array(d, float)
    (ax, ay), (bx, by), (cx, cy) = c[:, :2]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    for y in range(d.shape[0]):
        for x in range(d.shape[1]):
            w = [
                (bx - x) * (cy - y) - (by - y) * (cx - x),
                (cx - x) * (ay - y) - (cy - y) * (ax - x),
                (ax - x) * (by - y) - (ay - y) * (bx - x),
            ]
            if both and area < 0:
                w = [-value for value in w]
            z = float(np.dot(w, c[:, 2]) / abs(area))
            if min(w) >= 0 and (z > out[y, x] or not nearer):
                out[y, x] = z
    return out


def _whole_corners(d, c):
    return _edges(d, np.column_stack([np.round(c[:, :2]), c[:, 2]]))


wrong("draw_triangle", "nearer|over", lambda d, c: _edges(d, c, nearer=False))
wrong("draw_triangle", "other way|this way|both orders", lambda d, c: _edges(d, c, both=False))
wrong("draw_triangle", "smaller", lambda d, c: -_edges(-d, c * [1, 1, -1]))
wrong("draw_triangle", "swapped", lambda d, c: _edges(d, c[:, [1, 0, 2]]))
wrong("draw_triangle", "half|corner", lambda d, c: _edges(d, c - [0.5, 0.5, 0]))
wrong("draw_triangle", "mean", lambda d, c: _edges(d, c * [1, 1, 0] + [0, 0, c[:, 2].mean()]))
wrong("draw_triangle", "mask|truth", lambda d, c: _edges(d, c) != d)
wrong("draw_triangle", "whole|rounded", _whole_corners)
wrong("draw_triangle", "unchanged", lambda d, c: d + 0)

wrong("fill_columns", "NaN", _no_care_for_nan)
wrong("fill_columns", "empty|swapped", lambda b, f, o, d: _columns(f, b, o, d))
wrong("fill_columns", "offset", lambda b, f, o, d: _columns(b + o / 2, f + o / 2, o, d))
wrong("fill_columns", "bool|truth", lambda b, f, o, d: _columns(b, f, o, d).astype(np.uint8))
wrong("fill_columns", "last|front|one", _front_excluded)
wrong("fill_columns", "voxels|missing", _every_second)
wrong("fill_columns", "NaN|without surface", _nan_is_solid)
wrong("fill_columns", "axis|shape|volume", lambda b, f, o, d: _columns(b, f, o, d).any(axis=0))
wrong("fill_columns", "flipped|upside down|reversed", lambda b, f, o, d: _columns(b, f, o, d)[:, ::-1])
wrong("fill_columns", "one|shifted", lambda b, f, o, d: _columns(b, f, o + 1, d))

# 03: convolution_parameters, ResidualBlock, voxel_probabilities
wrong("convolution_parameters", "input", lambda i, o, k: (i + o) * k * k + o)
wrong("convolution_parameters", "bias", lambda i, o, k: i * o * k * k + o * k)
wrong("convolution_parameters", "outputs|bias|two", lambda i, o, k: o * (i * k * k + 2))
wrong("convolution_parameters", "kernel|square", lambda i, o, k: o * (i * k**3 + 1))
wrong("convolution_parameters", "results|sum|add", lambda i, o, k: (i * o * k * k, o))
wrong("convolution_parameters", "bias", lambda i, o, k: o * (i + 1) * k * k)
wrong("convolution_parameters", "kernel|3", lambda i, o, k: o * (i * 9 + 1))


class Block(nn.Module):
    """The right block with parts that a wrong one exchanges."""

    activation: Callable[[], nn.Module] = nn.ReLU
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d
    kernels = (1, 3, 1)
    padded = True
    stride = 1

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*self.parts(inputs, outputs // 2, outputs))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def parts(self, inputs: int, middle: int, outputs: int) -> list[nn.Module]:
        widths, parts = (inputs, middle, middle, outputs), []
        for a, b, kernel in zip(widths, widths[1:], self.kernels, strict=False):
            padding, stride = kernel // 2 if self.padded else 0, self.stride if kernel == 3 else 1
            parts += [self.norm(a), self.activation(), nn.Conv2d(a, b, kernel, padding=padding, stride=stride)]
        return parts

    def forward(self, x):
        return self.shortcut(x) + self.layers(x)


def block(**changes: Any) -> type:
    return type("Block", (Block,), {k: staticmethod(v) if callable(v) else v for k, v in changes.items()})


class Multiplied(Block):
    def forward(self, x):
        return self.shortcut(x) * self.layers(x)


class Twice(Block):
    def forward(self, x):
        return 2 * self.shortcut(x) + self.layers(x)


class Joined(Block):
    def forward(self, x):
        return torch.cat([self.shortcut(x), self.layers(x)], dim=1)


class PlainList(Block):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.layers = None
        self.steps = self.parts(inputs, outputs // 2, outputs)

    def forward(self, x):
        y = x
        for step in self.steps:
            y = step(y)
        return y + self.shortcut(x)


class ActivatedSkip(Block):
    def forward(self, x):
        y = self.layers[1](self.layers[0](x))
        return self.shortcut(y) + self.layers[2:](y)


class NoForward(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layers = nn.Conv2d(inputs, outputs, 1)


class NothingReturned(Block):
    def forward(self, x):
        super().forward(x)


class LastNormMissing(Block):
    def parts(self, inputs, middle, outputs):
        parts = super().parts(inputs, middle, outputs)
        return parts[:6] + parts[7:]


class MadeInForward(Block):
    def forward(self, x):
        return self.shortcut(x) + nn.Conv2d(x.shape[1], self.layers[-1].out_channels, 1)(x)


wrong("ResidualBlock", "ReLU", block(activation=nn.Identity))
wrong("ResidualBlock", "ReLU", block(activation=nn.GELU))
wrong("ResidualBlock", "batch norm|BatchNorm", block(norm=lambda channels: nn.Identity()))
wrong("ResidualBlock", "batch norm|BatchNorm", LastNormMissing)
wrong("ResidualBlock", "padding", block(padded=False))
wrong("ResidualBlock", "stride", block(stride=2))
wrong("ResidualBlock", "3×3", block(kernels=(1, 1, 1)))
wrong("ResidualBlock", "3×3", block(kernels=(3, 3, 3)))
wrong("ResidualBlock", "multiplied", Multiplied)
wrong("ResidualBlock", "twice|2", Twice)
wrong("ResidualBlock", "channels|cat", Joined)
wrong("ResidualBlock", "list", PlainList)
wrong("ResidualBlock", "skip", ActivatedSkip)
wrong("ResidualBlock", "forward", NoForward)
wrong("ResidualBlock", "return", NothingReturned)
wrong("ResidualBlock", "call to call|forward", MadeInForward)
wrong("ResidualBlock", "batch", block(norm=lambda channels: nn.BatchNorm2d(channels, track_running_stats=False)))
wrong("ResidualBlock", "affine|parameters|scale", block(norm=lambda c: nn.BatchNorm2d(c, affine=False)))


class Glass(nn.Module):
    """The right hourglass with parts that a wrong one exchanges; bricks from the other half of this file."""

    steps = ("full", "down", "up", "last")
    less = 1

    def __init__(self, depth: int, features: int) -> None:
        super().__init__()
        self.bricks = nn.ModuleDict({name: Block(features, features) for name in self.steps})
        self.inside = self.inner(depth, features)

    def inner(self, depth: int, features: int) -> nn.Module:
        return type(self)(depth - self.less, features) if depth > 1 else Block(features, features)

    def low(self, x):
        y = self.bricks["down"](nn.MaxPool2d(2)(x))
        return nn.Upsample(scale_factor=2)(self.bricks["up"](self.inside(y)))

    def forward(self, x):
        return self.bricks["last"](self.bricks["full"](x) + self.low(x))


class GlassOfStrides(Glass):
    def low(self, x):
        return nn.Upsample(scale_factor=2)(self.bricks["up"](self.inside(self.bricks["down"](x[:, :, ::2, ::2]))))


class GlassWithoutDetail(Glass):
    def forward(self, x):
        return self.bricks["last"](self.low(x))


class GlassOfAverages(Glass):
    def low(self, x):
        y = self.bricks["down"](nn.AvgPool2d(2)(x))
        return nn.Upsample(scale_factor=2)(self.bricks["up"](self.inside(y)))


class GlassOfOneBrick(Glass):
    def __init__(self, depth: int, features: int) -> None:
        super().__init__(depth, features)
        self.bricks["up"] = self.bricks["down"]


class GlassNotEnlarged(Glass):
    def low(self, x):
        return self.bricks["up"](self.inside(self.bricks["down"](nn.MaxPool2d(2)(x))))


class GlassForEver(Glass):
    less = 0


class GlassOfRawSum(Glass):
    def forward(self, x):
        return self.bricks["full"](x) + self.low(x)


class GlassOfNothing(Glass):
    def forward(self, x):
        self.bricks["last"](self.bricks["full"](x) + self.low(x))


class GlassJoined(Glass):
    def forward(self, x):
        return torch.cat([self.bricks["full"](x), self.low(x)], dim=1)


wrong("HourglassModule", "response|maximum|largest", GlassOfStrides)
wrong("HourglassModule", "skip", GlassWithoutDetail)
wrong("HourglassModule", "averages", GlassOfAverages)
wrong("HourglassModule", "Residuals", GlassOfOneBrick)
wrong("HourglassModule", "enlarged", GlassNotEnlarged)
wrong("HourglassModule", "depth - 1", GlassForEver)
wrong("HourglassModule", "last", GlassOfRawSum)
wrong("HourglassModule", "shape|channels", GlassJoined)
wrong("HourglassModule", "return", GlassOfNothing)
wrong("HourglassModule", "nn.Module", lambda depth, features: lambda x: x)


class Head(nn.Module):
    """The right head with parts that a wrong one exchanges."""

    norm: Callable[[int], nn.Module] = nn.BatchNorm2d
    sizes = (1, 1)
    up: Callable[[], nn.Module] = staticmethod(lambda: nn.Upsample(scale_factor=4, mode="bilinear"))

    def __init__(self, features: int, slices: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, self.sizes[0], padding=self.sizes[0] // 2)
        self.normed = self.norm(features)
        self.second = nn.Conv2d(features, slices, self.sizes[1], padding=self.sizes[1] // 2)
        self.enlarge = self.up()

    def forward(self, x):
        return self.enlarge(self.second(torch.relu(self.normed(self.first(x)))))


class HeadTransposed(Head):
    def forward(self, x):
        return super().forward(x).permute(0, 2, 3, 1)


class HeadOfProbabilities(Head):
    def forward(self, x):
        return super().forward(x).sigmoid()


class HeadOfTheFirst(Head):
    def forward(self, x):
        return super().forward(x)[0]


class HeadInPlace(Head):
    def forward(self, x):
        return super().forward(x.mul_(2))


def head(**changes: Any) -> type:
    return type("Head", (Head,), {k: staticmethod(v) if callable(v) else v for k, v in changes.items()})


wrong("VolumeHead", "shape", HeadTransposed)
wrong("VolumeHead", "sigmoid", HeadOfProbabilities)
wrong("VolumeHead", "shape", HeadOfTheFirst)
wrong("VolumeHead", "in place|changes", HeadInPlace)
wrong("VolumeHead", "batch norm", head(norm=lambda channels: nn.Identity()))
wrong("VolumeHead", "parameters", head(sizes=(1, 3)))
wrong("VolumeHead", "nearest|repeated", head(up=lambda: nn.Upsample(scale_factor=4)))
wrong("VolumeHead", "corners", head(up=lambda: nn.UpsamplingBilinear2d(scale_factor=4)))

wrong("voxel_probabilities", "rounded|0 and 1|cut", lambda x: torch.sigmoid(x).round())
wrong("voxel_probabilities", "log", lambda x: F.logsigmoid(x))
wrong("voxel_probabilities", "half|halved|x / 2|tanh", lambda x: torch.sigmoid(x / 2))
wrong("voxel_probabilities", "0|relu|negative", lambda x: torch.relu(x))
wrong("voxel_probabilities", "smallest|largest|range", lambda x: (x - x.min()) / (x.max() - x.min()))
wrong("voxel_probabilities", "first", lambda x: torch.sigmoid(x)[0])
wrong("voxel_probabilities", "100|percent|factor", lambda x: 100 * torch.sigmoid(x))
wrong("voxel_probabilities", "AttributeError", lambda x: x.sigmoid().as_numpy())
wrong("voxel_probabilities", "height|dim=2|rows", lambda x: x.softmax(dim=2))


# 04: cross_entropy_from_logits, intersection_over_union, rmsprop_step
def _parts_of_loss(x, y):
    return x.clamp(min=0) - x * y, (-x.abs()).exp()


name = "cross_entropy_from_logits"
wrong(name, "mean|voxel", lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"))
wrong(name, "log", lambda x, y: _parts_of_loss(x, y)[0].mean())
wrong(name, "log", lambda x, y: (_parts_of_loss(x, y)[0] + _parts_of_loss(x, y)[1]).mean())
wrong(name, "infinity|overflow", lambda x, y: (_parts_of_loss(x, y)[0] + x.abs().exp().log1p()).mean())
wrong(name, "absolute|difference", lambda x, y: (x.sigmoid() - y).abs().mean())
wrong(name, "half|0.5|two", lambda x, y: F.binary_cross_entropy_with_logits(x, y) / 2)
wrong(name, "infinity|overflow|large", lambda x, y: ((1 + x.exp()).log() - x * y).mean())
wrong(name, "clamp|max", lambda x, y: (x.abs() - x * y + torch.log1p(torch.exp(-x.abs()))).mean())
wrong(name, "solid|target|1 - y|empty", lambda x, y: F.binary_cross_entropy_with_logits(x, 1 - y))
wrong(name, "sigmoid", lambda x, y: F.binary_cross_entropy_with_logits(x.sigmoid(), y))
wrong(name, "logits|squared", lambda x, y: ((x - y) ** 2).mean())

name = "intersection_over_union"


def _both(x, y):
    return (x > 0), (y > 0.5)


def _ratio(a, b):
    return (a & b).sum() / (a | b).sum()


wrong(name, "1 −|1 -|loss|distance", lambda x, y: 1 - _ratio(*_both(x, y)))
wrong(name, "divide|number|count", lambda x, y: (_both(x, y)[0] & _both(x, y)[1]).sum())
wrong(name, "100|percent", lambda x, y: 100 * _ratio(*_both(x, y)))
wrong(name, "whole|//", lambda x, y: (_both(x, y)[0] & _both(x, y)[1]).sum() // (_both(x, y)[0] | _both(x, y)[1]).sum())
wrong(name, "twice|intersection", lambda x, y: (_both(x, y)[0] & _both(x, y)[1]).sum() / (x > 0).sum().add(y.sum()))
wrong(name, "all voxels|volume", lambda x, y: (_both(x, y)[0] & _both(x, y)[1]).float().mean())
wrong(name, "empty|opposite|turned", lambda x, y: _ratio(x <= 0, y <= 0.5))
wrong(name, "turned over", lambda x, y: _ratio(x < 0, y > 0.5))
wrong(name, "0|cut|threshold", lambda x, y: _ratio(x.bool(), y.bool()))

name = "rmsprop_step"


def _memory(g, s, a):
    return a * s + (1 - a) * g**2


def _moved(w, g, s, r):
    return w - r * g / (s.sqrt() + 1e-8)


def _old_memory(w, g, s, r, a=0.99):
    return _moved(w, g, _memory(g, s, a), r), s


def _no_decay(w, g, s, r, a=0.99):
    s = s + (1 - a) * g**2
    return _moved(w, g, s, r), s


def _whole_square(w, g, s, r, a=0.99):
    s = a * s + g**2
    return _moved(w, g, s, r), s


def _step_only(w, g, s, r, a=0.99):
    s = _memory(g, s, a)
    return -r * g / (s.sqrt() + 1e-8), s


def _no_rate(w, g, s, r, a=0.99):
    return _moved(w, g, _memory(g, s, a), 1.0), _memory(g, s, a)


def _absolute(w, g, s, r, a=0.99):
    s = a * s + (1 - a) * g.abs()
    return _moved(w, g, s, r), s


def _root_stored(w, g, s, r, a=0.99):
    s = _memory(g, s, a)
    return _moved(w, g, s, r), s.sqrt()


wrong(name, "old|unchanged|square", _old_memory)
wrong(name, "alpha", _no_decay)
wrong(name, "1 − alpha|1 - alpha|alpha", _whole_square)
wrong(name, "step|weight", _step_only)
wrong(name, "rate", _no_rate)
wrong(name, "abs|squared", _absolute)
wrong(name, "root", _root_stored)
wrong(name, "None", lambda w, g, s, r, a=0.99: (_moved(w, g, _memory(g, s, a), r), None))


# 04: mirror_landmarks, paper_rate, training_step, train
wrong("mirror_landmarks", "order", lambda p, o, w: np.column_stack([w - 1 - p[:, 0], p[:, 1]]))
wrong("mirror_landmarks", "width", lambda p, o, w: np.c_[w - p[o][:, 0], p[o][:, 1]])
wrong("mirror_landmarks", "y was mirrored", lambda p, o, w: p[o] * [1, -1] + [0, w - 1])
wrong("mirror_landmarks", "x is not mirrored", lambda p, o, w: np.array([p[i] for i in o]))
wrong("mirror_landmarks", "192", lambda p, o, w: p[o] * [-1, 1] + [191, 0])
wrong("mirror_landmarks", "transposed", lambda p, o, w: np.stack([w - 1 - p[o, 0], p[o, 1]]))
wrong("mirror_landmarks", "x column", lambda p, o, w: np.c_[w - 1 - p[o][:, 0], p[:, 1]])
right("mirror_landmarks", "a loop", lambda p, o, w: [[w - 1 - p[i][0], p[i][1]] for i in o])
right("mirror_landmarks", "one product", lambda p, o, w: (p * [-1, 1] + [w - 1, 0])[o])

wrong("paper_rate", "epochs", lambda s, n: 0.0001 if s < 40 else 0.00001)
wrong("paper_rate", "<", lambda s, n: 1e-4 if s / n <= 40 else 1e-5)
wrong("paper_rate", "once|again", lambda s, n: 1e-4 * 0.1 ** (s // (40 * n)))
wrong("paper_rate", "never", lambda s, n: 1e-4)
wrong("paper_rate", "changed places", lambda s, n: 1e-4 if s >= 40 * n else 1e-5)
wrong("paper_rate", "hundredth", lambda s, n: [1e-4, 1e-6][s >= 40 * n])
wrong("paper_rate", "late", lambda s, n: 1e-4 if s // n <= 40 else 1e-5)
right("paper_rate", "whole epochs", lambda s, n: 1e-4 if s // n < 40 else 1e-5)
right("paper_rate", "a power", lambda s, n: 10.0 ** (-4 - (s >= 40 * n)))


def _a_step(network, optimizer, images, solids, *, scale=255.0, zero=True, step=True, training=True, loss="bce"):
    """By the formula, with a mean by hand."""
    network.train(training)
    if zero:
        for parameter in network.parameters():
            parameter.grad = None
    x, y = network(images / scale), solids * 1.0
    value = {"bce": F.softplus(x) - x * y, "l1": (torch.sigmoid(x) - y).abs(), "mse": (x - y) ** 2}[loss].mean()
    value.backward()
    if step:
        optimizer.step()
    return value


wrong("training_step", "zero_grad", lambda *a: _a_step(*a, zero=False))
wrong("training_step", "have not moved", lambda *a: _a_step(*a, step=False))
wrong("training_step", "evaluation mode", lambda *a: _a_step(*a, training=False))
wrong("training_step", "255", lambda *a: _a_step(*a, scale=1.0))
wrong("training_step", "squared", lambda *a: _a_step(*a, loss="mse"))
wrong("training_step", "return", lambda *a: print(_a_step(*a)))
wrong(
    "training_step", "for each pair", lambda n, o, x, y: float(np.mean([_a_step(n, o, *p).item() for p in _ones(x, y)]))
)
wrong("training_step", "floats first", lambda n, o, x, y: n(x))
right("training_step", "softplus, a tensor", _a_step)
right("training_step", "a number", lambda *a: _a_step(*a).item())


def _ones(images, solids):
    return [(images[i : i + 1], solids[i : i + 1]) for i in range(len(images))]


def _trained(n, o, batch_of, steps, c=None, *, first=None, memory=True, weights=True, cloned=True, until=None):
    """With clones in place of deepcopy, and a list in place of a dict."""
    done = 0
    if c is not None:
        if weights:
            n.load_state_dict(c[0])
        if memory:
            o.load_state_dict(c[1])
        done = c[2] if first is None else first
    for step in range(done, steps if until is None else done + steps):
        _a_step(n, o, *batch_of(step))
    saved = {key: value.clone() if cloned else value for key, value in n.state_dict().items()}
    memory_ = o.state_dict()
    state = {i: {k: v.clone() if cloned else v for k, v in s.items()} for i, s in memory_["state"].items()}
    return [saved, {**memory_, "state": state}, steps]


def _in_bytes(n, o, batch_of, steps, checkpoint=None):
    """Through torch.save, as into a file."""
    done = 0
    if checkpoint is not None:
        checkpoint.seek(0)
        n_state, o_state, done = torch.load(checkpoint, weights_only=True)
        n.load_state_dict(n_state)
        o.load_state_dict(o_state)
    while done < steps:
        _a_step(n, o, *batch_of(done))
        done += 1
    file = io.BytesIO()
    torch.save((n.state_dict(), o.state_dict(), done), file)
    return file


wrong("train", "copy", lambda *a: _trained(*a, cloned=False))
wrong("train", "memory", lambda *a: _trained(*a, memory=False))
wrong("train", "load_state_dict", lambda *a: _trained(*a, weights=False))
wrong("train", "begins at step 0", lambda *a: _trained(*a, first=0))
wrong("train", "in all", lambda *a: _trained(*a, until=1))
wrong("train", "KeyError", lambda n, o, b, s, c=None: {"steps": s} if c is None else {"step": c["step"]})
wrong("train", "return", lambda n, o, b, s, c=None: None)
wrong("train", "too small", lambda *a: [*_trained(*a)[:2], a[3] - 1])
right("train", "clones in a list", _trained)
right("train", "torch.save", _in_bytes)


# 05: to_crop_pixels, signed_volume, upright
def _pixels(p, o):
    return np.stack([p[:, 2], p[:, 1], 0.5 * (p[:, 0] - o)], axis=1)


wrong("to_crop_pixels", "twice|2|doubled", lambda p, o: np.c_[p[:, 2], p[:, 1], 2 * (p[:, 0] - o)])
wrong("to_crop_pixels", "whole|rounded|cut|floor", lambda p, o: np.c_[p[:, 2], p[:, 1], (p[:, 0] - o) // 2])
wrong("to_crop_pixels", "0.5|half", lambda p, o: _pixels(p, o) + 0.5)
wrong("to_crop_pixels", "rows", lambda p, o: _pixels(p, o)[::-1])
wrong("to_crop_pixels", "x|halved|only", lambda p, o: (p[:, ::-1] - [0, 0, o]) / 2)
wrong("to_crop_pixels", "99.5|offset", lambda p, o: _pixels(p, 99.5))
wrong("to_crop_pixels", "transposed", lambda p, o: [p[:, 2], p[:, 1], (p[:, 0] - o) / 2])
wrong("to_crop_pixels", "unchanged|as it came", lambda p, o: p)


def _volume(v, f):
    return np.linalg.det(v[f]).sum() / 6


wrong("signed_volume", "2|twice|sixth", lambda v, f: _volume(v, f) * 2)
wrong("signed_volume", "whole|cut", lambda v, f: int(_volume(v, f)))
wrong("signed_volume", "first", lambda v, f: np.linalg.det(v[f[0]]) / 6)
wrong("signed_volume", "box", lambda v, f: float(np.prod(np.ptp(v, axis=0))))
wrong("signed_volume", "root", lambda v, f: abs(_volume(v, f)) ** 0.5)
wrong("signed_volume", "last", lambda v, f: np.linalg.det(v[f[:-1]]).sum() / 6)
wrong("signed_volume", "cross|dot|vector", lambda v, f: np.cross(v[f[:, 1]], v[f[:, 2]]).sum() / 6)

wrong("upright", "x", lambda v, f: (v * [-1, 1, 1], f[:, ::-1]))
wrong("upright", "swapped|y and z", lambda v, f: (v[:, [0, 2, 1]], f[:, ::-1]))
wrong("upright", "inside out", lambda v, f: (v * [1, -1, 1], f[:, [1, 2, 0]]))
wrong("upright", "191", lambda v, f: (np.c_[v[:, 0], 191 - v[:, 1], v[:, 2]], f[:, ::-1]))
wrong("upright", "results|two|2", lambda v, f: (v * [1, -1, 1], f[:, ::-1], None))
wrong("upright", "z", lambda v, f: (v * [1, 1, -1], f[:, ::-1]))
wrong("upright", "absolute|sign", lambda v, f: (np.abs(v), f[:, ::-1]))
wrong("upright", "1|one", lambda v, f: (v * [1, -1, 1], f[:, ::-1] + 1))


# Right answers in other styles
right("nose_tip", "a loop", lambda p: [row for row in range(len(p)) if p[row][2] >= max(point[2] for point in p)][0])
right("nose_tip", "a 0-d tensor", lambda p: torch.as_tensor(p)[:, 2].argmax())
right("nose_tip", "a float", lambda p: float(np.argmax(p.T[2])))
right("slice_of_depth", "a list", lambda z, offset: [2 * value + offset for value in z])
right("slice_of_depth", "float32", lambda z, offset: (z + z + np.float32(offset)).astype(np.float32))
right("volume_from_paper_order", "einsum", lambda a: np.einsum("xyz->zyx", a))
right("volume_from_paper_order", "two swaps", lambda a: np.moveaxis(a, [0, 2], [2, 0]))
right("volume_from_paper_order", "a copy", lambda a: np.ascontiguousarray(a.T))


def _loop_over_cells(heatmap):
    x = y = 0.0
    for row in range(heatmap.shape[0]):
        for column in range(heatmap.shape[1]):
            x += column * heatmap[row, column]
            y += row * heatmap[row, column]
    return [x, y]


right("decode_heatmap", "loops, a list", _loop_over_cells)
right(
    "decode_heatmap",
    "matrix products",
    lambda h: (np.arange(h.shape[1]) @ h.T.sum(1), h.sum(1) @ np.arange(h.shape[0])),
)
right(
    "decode_heatmap",
    "torch",
    lambda h: torch.stack(
        [
            (torch.tensor(h).sum(0) * torch.arange(h.shape[1])).sum(),
            (torch.tensor(h).sum(1) * torch.arange(h.shape[0])).sum(),
        ]
    ),
)
right("decode_heatmap", "ndimage", lambda h: __import__("scipy.ndimage").ndimage.center_of_mass(h)[::-1])
right("crop_scale", "a power", lambda p: 90 * np.prod(p.max(0) - p.min(0)) ** -0.5)
right(
    "crop_scale",
    "Python's max and min",
    lambda p: 90 / ((max(p[:, 0]) - min(p[:, 0])) * (max(p[:, 1]) - min(p[:, 1]))) ** 0.5,
)
right("crop_scale", "an array of one", lambda p: np.array([90 / math.sqrt(_box(p).prod())]))
right("crop_matrix", "a list of lists", lambda p: [[_crop(p)[0], 0, _crop(p)[1][0]], [0, _crop(p)[0], _crop(p)[1][1]]])
right("crop_matrix", "torch", lambda p: torch.tensor(_matrix(*_crop(p))))


def _filled_in(landmarks):
    matrix = np.zeros((2, 3), dtype=np.float32)
    matrix[0, 0] = matrix[1, 1] = _crop(landmarks)[0]
    matrix[:, 2] = _crop(landmarks)[1]
    return matrix


right("crop_matrix", "filled in, float32", _filled_in)
right("to_photo", "a loop", lambda p, m: [[(x - m[0, 2]) / m[0, 0], (y - m[1, 2]) / m[1, 1]] for x, y in p])
right("to_photo", "OpenCV", lambda p, m: cv2.transform(p[:, None], cv2.invertAffineTransform(m))[:, 0])
right("to_photo", "solve", lambda p, m: np.linalg.solve(m[:, :2], (p - m[:, 2]).T).T)
right(
    "compose_pose",
    "a list",
    lambda s, r, t: [number for row, end in zip(r, t, strict=True) for number in (*(s * row), end)],
)
right("compose_pose", "torch", lambda s, r, t: torch.cat([s * torch.tensor(r), torch.tensor(t)[:, None]], 1).flatten())
right("to_image_axes", "a matrix", lambda v, s, m: v @ np.diag([s, -s, s]) + np.append(m, 0))


def _in_place(vertices, scale, middle):
    vertices *= scale
    vertices[:, 1] *= -1
    vertices[:, :2] += middle
    return vertices


right("to_image_axes", "in place", _in_place)
right(
    "to_image_axes",
    "a transposed stack",
    lambda v, s, m: np.array([m[0] + s * v[:, 0], m[1] - s * v[:, 1], s * v[:, 2]]).T,
)
right("fill_columns", "loops", _columns)
right(
    "fill_columns",
    "np.where",
    lambda b, f, o, d: np.where(
        np.isnan(b), False, (np.indices((d, *b.shape))[0] - o - 2 * b) * (np.indices((d, *b.shape))[0] - o - 2 * f) <= 0
    ),
)
right("convolution_parameters", "a NumPy integer", lambda i, o, k: np.prod([i, o, k, k]) + o)
right("convolution_parameters", "a tensor", lambda i, o, k: torch.tensor(o * i * k**2 + o))
right("ResidualBlock", "other names", Block)


class Steps(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(i), nn.BatchNorm2d(o // 2), nn.BatchNorm2d(o // 2)])
        self.last, self.first = nn.Conv2d(o // 2, o, kernel_size=1), nn.Conv2d(i, o // 2, kernel_size=1)
        self.second = nn.Conv2d(o // 2, o // 2, kernel_size=3, padding="same")
        if i != o:
            self.fit = nn.Conv2d(i, o, 1)

    def forward(self, x):
        kept = self.fit(x) if hasattr(self, "fit") else x
        for norm, layer in zip(self.norms, (self.first, self.second, self.last), strict=True):
            x = layer(torch.relu(norm(x)))
        x += kept
        return x


class FlatGlass(nn.Module):
    """The hourglass without recursion: all maps on the way down, then all on the way up."""

    def __init__(self, depth: int, features: int) -> None:
        super().__init__()
        self.depth = depth
        self.steps = nn.ModuleList([Steps(features, features) for _ in range(4 * depth + 1)])

    def forward(self, x):
        steps, kept = iter(self.steps), []
        for _ in range(self.depth):
            kept.append(next(steps)(x))
            x = next(steps)(F.adaptive_max_pool2d(x, (x.shape[2] // 2, x.shape[3] // 2)))
        x = next(steps)(x)
        for skip in reversed(kept):
            x = next(steps)(x).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            x = next(steps)(x + skip)
        return x


class EarlyHead(nn.Module):
    """Enlarges before the last convolution: the same numbers with sixteen times the work."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        self.a, self.n, self.b = nn.Conv2d(c, c, 1), nn.BatchNorm2d(c), nn.Conv2d(c, d, 1)

    def forward(self, x):
        x = F.relu(self.n(self.a(x)))
        return self.b(F.interpolate(x, size=(4 * x.shape[2], 4 * x.shape[3]), mode="bilinear"))


right("HourglassModule", "other bricks", Glass)
right("HourglassModule", "no recursion", FlatGlass)
right("VolumeHead", "layers one by one", Head)
right("VolumeHead", "enlarged earlier", EarlyHead)
right("ResidualBlock", "layers one by one", Steps)
right("denormalize", "NumPy's functions", lambda o, m, s: np.add(np.multiply(s, o), m).astype(np.float32))
right("denormalize", "a list", lambda o, m, s: [a * c + b for a, b, c in zip(o, m, s, strict=True)])


def _by_solving(depth, corners):
    """All pixels at once, by the inverse of a 3 × 3 matrix; in place on a copy."""
    out = depth.copy()
    y, x = np.indices(depth.shape)
    w = np.linalg.solve(np.c_[corners[:, :2], np.ones(3)].T, np.stack([x.ravel(), y.ravel(), np.ones(x.size)]))
    z = (corners[:, 2] @ w).reshape(depth.shape)
    seen = (w.min(axis=0) >= 0).reshape(depth.shape) & (z > out)
    out[seen] = z[seen]
    return out


right("draw_triangle", "a loop with edge functions", _edges)
right("draw_triangle", "a linear system", _by_solving)
right("draw_triangle", "float32", lambda d, c: _by_solving(d, c).astype(np.float32))
right("voxel_probabilities", "tanh", lambda x: 0.5 * (1 + torch.tanh(x / 2)))
right("voxel_probabilities", "NumPy", lambda x: 1 / (1 + np.exp(-x.numpy())))
right("voxel_probabilities", "exp over 1 + exp", lambda x: x.exp() / (1 + x.exp()))
right("cross_entropy_from_logits", "PyTorch's own", F.binary_cross_entropy_with_logits)
right(
    "cross_entropy_from_logits", "logaddexp", lambda x, y: torch.mean(torch.logaddexp(x, torch.zeros_like(x)) - x * y)
)
right(
    "cross_entropy_from_logits", "logsigmoid", lambda x, y: -(y * F.logsigmoid(x) + (1 - y) * F.logsigmoid(-x)).mean()
)
right("cross_entropy_from_logits", "float64", lambda x, y: F.binary_cross_entropy_with_logits(x.double(), y.double()))
right(
    "intersection_over_union",
    "NumPy",
    lambda x, y: np.logical_and(x.numpy() > 0, y.numpy()).sum() / np.logical_or(x.numpy() > 0, y.numpy()).sum(),
)
right(
    "intersection_over_union",
    "mean over mean",
    lambda x, y: ((x >= 0) * y).mean() / ((x > 0).float() + y).clamp(max=1).mean(),
)
right("rmsprop_step", "a list", lambda w, g, s, r, a=0.99: list((_moved(w, g, _memory(g, s, a), r), _memory(g, s, a))))
right(
    "rmsprop_step",
    "stacked",
    lambda w, g, s, r, a=0.99: torch.stack([_moved(w, g, _memory(g, s, a), r), _memory(g, s, a)]),
)


def _other_names(w, grad, v, lr, beta=0.99):
    v = beta * v + (1 - beta) * grad * grad
    return w - lr * grad / (v**0.5 + 1e-8), v


right("rmsprop_step", "other names", _other_names)
right("to_crop_pixels", "a matrix", lambda p, o: p @ np.array([[0, 0, 0.5], [0, 1, 0], [1, 0, 0]]) - [0, 0, o / 2])
right("to_crop_pixels", "a loop", lambda p, o: [(x, y, (z - o) / 2) for z, y, x in p])
right(
    "signed_volume",
    "the other triple product",
    lambda v, f: (np.cross(v[f][:, 0], v[f][:, 1]) * v[f][:, 2]).sum() / 6.0,
)
right("signed_volume", "from the mean", lambda v, f: _volume(v - v.mean(axis=0), f))
right("upright", "turned triangles", lambda v, f: (np.c_[v[:, 0], -v[:, 1], v[:, 2]], np.c_[f[:, 2], f[:, 1], f[:, 0]]))
right("upright", "a list, rows in another order", lambda v, f: [v @ np.diag([1.0, -1, 1]), f[::-1, [2, 1, 0]]])
right("upright", "torch", lambda v, f: (torch.tensor(v) * torch.tensor([1, -1, 1]), torch.tensor(f.copy()).flip(1)))


# 05: edge_vertices, sample_bilinear, vertex_normals
def _walk(field, level, fraction=lambda p, q, level: (level - p) / (q - p), steps=((1, 0, 0), (0, 1, 0), (0, 0, 1))):
    """Every voxel and its neighbours, in loops."""
    found = []
    for here in np.ndindex(field.shape):
        for step in steps:
            there = tuple(np.add(here, step))
            if any(a >= b for a, b in zip(there, field.shape, strict=True)):
                continue
            p, q = field[here], field[there]
            if (p > level) != (q > level):
                found.append(np.array(here) + fraction(p, q, level) * np.array(step))
    return np.array(found)


def _dense(field, level):
    """A point on every edge, crossed or not."""
    p, q = field[:-1], field[1:]
    points = np.argwhere(np.ones_like(p)).astype(float)
    points[:, 0] += ((level - p) / (q - p)).ravel()
    return points


wrong("edge_vertices", "middle", lambda f, level: _walk(f, level, lambda p, q, level: 0.5))
wrong("edge_vertices", "far end", lambda f, level: _walk(f, level, lambda p, q, level: (level - q) / (p - q)))
wrong("edge_vertices", "x are missing", lambda f, level: _walk(f, level, steps=((1, 0, 0), (0, 1, 0))))
wrong("edge_vertices", "indices|(z, y, x)|order", lambda f, level: np.flip(_walk(f, level), axis=1))
wrong("edge_vertices", "level", lambda f, level: _walk(f, 0.5))
wrong("edge_vertices", "first voxel", lambda f, level: _walk(f, level, lambda p, q, level: 0))
wrong("edge_vertices", "rows|points|shape", _dense)
wrong("edge_vertices", "half|0.5", lambda f, level: _walk(f, level) + 0.5)
wrong("edge_vertices", "one off|voxel too|1", lambda f, level: _walk(f, level) + 1)
wrong("edge_vertices", "axes|transposed|rows", lambda f, level: _walk(f, level).T)


def _four(image, points, nearest=False, turned=False):
    """By scipy; beyond the border the nearest pixel."""
    rows, columns = (points[:, 0], points[:, 1]) if turned else (points[:, 1], points[:, 0])
    order = 0 if nearest else 1
    channels = [
        ndimage.map_coordinates(image[..., c].astype(float), [rows, columns], order=order, mode="nearest")
        for c in range(3)
    ]
    return np.stack(channels, axis=1)


wrong("sample_bilinear", "nearest|four", lambda i, p: _four(i, p, nearest=True))
wrong("sample_bilinear", "swapped", lambda i, p: _four(i, p, turned=True))
wrong("sample_bilinear", "rounded|whole|cut", lambda i, p: _four(i, p).astype(np.uint8))
wrong("sample_bilinear", "255|0 to 1", lambda i, p: _four(i / 255, p))
wrong("sample_bilinear", "BGR", lambda i, p: _four(i, p)[:, ::-1])
wrong("sample_bilinear", "half", lambda i, p: _four(i, p - 0.5))
wrong("sample_bilinear", "IndexError|inside|bounds", lambda i, p: i[p[:, 1].astype(int) + 10**6, p[:, 0].astype(int)])
wrong("sample_bilinear", "grey|axis", lambda i, p: _four(i, p).mean(axis=1))


def _by_faces(v, f, weighted=True, outwards=True):
    """Face by face, in a loop."""
    normals = np.zeros((len(v), 3))
    for i, j, k in f:
        n = np.cross(v[j] - v[i], v[k] - v[i]) * (1 if outwards else -1)
        n = n if weighted else n / np.sqrt((n**2).sum())
        for corner in (i, j, k):
            normals[corner] += n
    return normals / np.sqrt((normals**2).sum(axis=1))[:, None]


wrong("vertex_normals", "other way|sign", lambda v, f: _by_faces(v, f, outwards=False))
wrong("vertex_normals", "same|large faces", lambda v, f: _by_faces(v, f, weighted=False))
wrong("vertex_normals", "length|one long|normalised", lambda v, f: _by_faces(v, f) * np.arange(1, len(v) + 1)[:, None])
wrong("vertex_normals", "per face|face", lambda v, f: np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]]))
wrong("vertex_normals", "middle|ball", lambda v, f: (v - v.mean(0)) / np.linalg.norm(v - v.mean(0), axis=1)[:, None])
wrong("vertex_normals", "absolute", lambda v, f: np.abs(_by_faces(v, f)))
wrong("vertex_normals", "None|return", lambda v, f: None)
wrong("vertex_normals", "order|reversed|swapped", lambda v, f: _by_faces(v, f)[:, ::-1])


def _torch_normals(v, f):
    v, f = torch.tensor(v), torch.tensor(np.ascontiguousarray(f), dtype=torch.long)
    n = torch.linalg.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
    total = torch.zeros_like(v)
    for corner in f.T:
        total.index_add_(0, corner, n)
    return F.normalize(total, dim=1)


right("edge_vertices", "loops", _walk)
right(
    "edge_vertices", "by slices, x first", lambda f, level: np.vstack([_slices(f, level, axis) for axis in (2, 0, 1)])
)
right("edge_vertices", "a list", lambda f, level: [tuple(point) for point in _walk(f, level)])
right("sample_bilinear", "scipy", _four)
right("sample_bilinear", "float32", lambda i, p: _four(i, p).astype(np.float32))
right("vertex_normals", "a loop", _by_faces)
right("vertex_normals", "torch", _torch_normals)


def _slices(f, level, axis):
    f = np.moveaxis(f, axis, 0)
    inside = f > level
    k, i, j = np.nonzero(inside[1:] ^ inside[:-1])
    t = (f[k, i, j] - level) / (f[k, i, j] - f[k + 1, i, j])
    return np.moveaxis(np.array([k + t, i, j]), 0, 1)[:, np.argsort(np.r_[axis, np.delete(np.arange(3), axis)])]


# 00: find_fault
def _by_flips(broken, right, names=(0, 1, 2), swapped=3, rest=4):
    """By the flips of NumPy, x first."""
    for name, axis in zip(names, (2, 1, 0), strict=True):
        if (np.flip(right, axis) == broken).all():
            return name
    return swapped if (np.swapaxes(right, 1, 2) == broken).all() else rest


def _by_overlap(broken, right):
    """The candidate that overlaps best; a shell has fewer voxels."""
    if broken.sum() < right.sum():
        return 4
    flips = [np.fliplr(right.transpose(1, 2, 0)).transpose(2, 0, 1), np.flip(right, 1), np.flip(right, 0)]
    return np.argmax([(one & broken).sum() for one in [*flips, np.transpose(right, (0, 2, 1))]])


wrong("find_fault", "exchanged", lambda b, r: _by_flips(b, r, (1, 0, 2)))
wrong("find_fault", "z is the first", lambda b, r: _by_flips(b, r, (2, 1, 0)))
wrong("find_fault", "from 1|begin at 0", lambda b, r: _by_flips(b, r) + 1)
wrong("find_fault", "transpose(0, 2, 1)", lambda b, r: _by_flips(b, r, swapped=4))
wrong("find_fault", "compare", lambda b, r: 4 if b.sum() < r.sum() else 0)
wrong("find_fault", "4", lambda b, r: _by_flips(b, r, rest=-1))
wrong("find_fault", "str", lambda b, r: ["x", "y", "z", "swap", "shell"][_by_flips(b, r)])
right("find_fault", "flips", _by_flips)
right("find_fault", "the best overlap", _by_overlap)


# 06: solid_iou, mean_error, best_motion, closest_points, percentile_interval
def _overlap(a, b):
    both, either = np.logical_and(a, b).sum(), np.logical_or(a, b).sum()
    return 1.0 if either == 0 else both / either


wrong("solid_iou", "empty", lambda a, b: (a * b).sum() / max(1, (a + b).sum()))
wrong("solid_iou", "Dice", lambda a, b: 2 * (a & b).sum() / (a.sum() + b.sum()) if a.any() else 1.0)
wrong("solid_iou", "agree", lambda a, b: 1 - (a ^ b).mean())
wrong("solid_iou", "first", lambda a, b: (a & b).sum() / a.sum() if a.any() else 1.0)
wrong("solid_iou", "per cent", lambda a, b: 100 * _overlap(a, b))
wrong("solid_iou", "distance|1 −", lambda a, b: 1 - _overlap(a, b))
right("solid_iou", "logical functions", _overlap)
right("solid_iou", "sums", lambda a, b: (a * b).sum() / (a + b).sum() if (a + b).any() else 1)

wrong("mean_error", "pixels|divide", lambda p, t, c: np.sqrt(((p - t) ** 2).sum(1)).mean())
wrong("mean_error", "depth", lambda p, t, c: np.linalg.norm((p - t)[:, :2], axis=1).mean() / math.dist(*c))
wrong("mean_error", "shrinks", lambda p, t, c: np.linalg.norm(p - t, axis=1).mean() / math.dist(*c[:, :2]))
wrong("mean_error", "mean square", lambda p, t, c: np.sqrt(np.mean(np.sum((p - t) ** 2, 1))) / math.dist(*c))
wrong("mean_error", "sum", lambda p, t, c: np.linalg.norm(p - t, axis=1).sum() / math.dist(*c))
wrong("mean_error", "largest", lambda p, t, c: np.linalg.norm(p - t, axis=1).max() / math.dist(*c))
right(
    "mean_error",
    "math.dist",
    lambda p, t, c: np.mean([math.dist(*pair) for pair in zip(p, t, strict=True)]) / math.dist(*c),
)
right(
    "mean_error", "squares", lambda p, t, c: np.sqrt(((p - t) ** 2).sum(1)).mean() / np.sqrt(((c[0] - c[1]) ** 2).sum())
)


def _by_scipy(source, target):
    found, _ = Rotation.align_vectors(target - target.mean(0), source - source.mean(0))
    return found.as_matrix(), target.mean(0) - found.apply(source.mean(0))


def _other_covariance(source, target):
    """H = sum x y^T, as many texts have it."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, _, vt = np.linalg.svd(a.T @ b)
    if np.linalg.det(vt.T @ u.T) < 0:
        vt[-1] *= -1
    rotation = vt.T @ u.T
    return rotation, target.mean(0) - rotation @ source.mean(0)


def _mirror(source, target):
    a, b = source - source.mean(0), target - target.mean(0)
    u, _, vt = np.linalg.svd(a.T @ b)
    return vt.T @ u.T, target.mean(0) - vt.T @ u.T @ source.mean(0)


wrong("best_motion", "guard", _mirror)
wrong("best_motion", "target to source", lambda s, t: _by_scipy(t, s))
wrong("best_motion", "turned", lambda s, t: (_by_scipy(s, t)[0], t.mean(0) - s.mean(0)))
wrong("best_motion", "sign", lambda s, t: (_by_scipy(s, t)[0], -_by_scipy(s, t)[1]))
wrong("best_motion", "middle", lambda s, t: (_by_scipy(s, t)[0], t.mean(0)))
wrong("best_motion", "2 results|both|all 2|first result", lambda s, t: _by_scipy(s, t)[0])
right("best_motion", "scipy", _by_scipy)
right("best_motion", "the other covariance", _other_covariance)


def _nearest(points, surface):
    """All pairs, without a tree."""
    return surface[((points[:, None] - surface[None]) ** 2).sum(2).argmin(1)]


def _icp(points, surface, iterations, again=True, turned=True):
    moved, partners = points.copy(), _nearest(points, surface)
    for _ in range(iterations):
        partners = _nearest(moved, surface) if again else partners
        rotation, shift = _other_covariance(moved, partners)
        moved = moved @ rotation.T + shift if turned else moved + (partners - moved).mean(0)
    return moved


def _icp_of_the_first_points(points, surface, iterations):
    """The same, as each round's best motion of the first points is the best motion of the moved ones."""
    rotation, shift = np.eye(3), np.zeros(3)
    for _ in range(iterations):
        rotation, shift = _by_scipy(points, _nearest(points @ rotation.T + shift, surface))
    return points @ rotation.T + shift


wrong("closest_points", "anew", lambda p, s, n: _icp(p, s, n, again=False))
wrong("closest_points", "turned", lambda p, s, n: _icp(p, s, n, turned=False))
wrong("closest_points", "anew|first round", lambda p, s, n: _icp(p, s, 1))
wrong("closest_points", "many", lambda p, s, n: _icp(p, s, n + 1))
wrong("closest_points", "unchanged", lambda p, s, n: p)
wrong("closest_points", "partners", lambda p, s, n: _nearest(_icp(p, s, n), s))
right("closest_points", "all pairs", _icp)
right("closest_points", "from the first points", _icp_of_the_first_points)

wrong("percentile_interval", "resampled means", lambda v, d: np.percentile(v, [2.5, 97.5]))
wrong("percentile_interval", "90", lambda v, d: np.percentile(v[d].mean(1), [5, 95]))
wrong("percentile_interval", "0 to 100", lambda v, d: np.percentile(v[d].mean(1), [0.025, 0.975]))
wrong("percentile_interval", "axis", lambda v, d: np.percentile(v[d].mean(0), [2.5, 97.5]))
wrong(
    "percentile_interval", "symmetric|deviations", lambda v, d: v.mean() + np.array([-1.96, 1.96]) * v[d].mean(1).std()
)
wrong("percentile_interval", "first", lambda v, d: np.percentile(v[d].mean(1), [97.5, 2.5]))
right("percentile_interval", "percentile", lambda v, d: np.percentile(v[d].mean(1), [2.5, 97.5]))
right(
    "percentile_interval",
    "a tuple of two",
    lambda v, d: tuple(np.quantile([v[r].mean() for r in d], q) for q in (0.025, 0.975)),
)
