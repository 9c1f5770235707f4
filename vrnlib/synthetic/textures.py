"""Noise and tones that all painters share: linear light, a smooth step, and a tile of noise.

Colors of skin, cloth and lamps are linear light: the square of a picture's values / 255 (one gamma of 2 is used
throughout). Only backgrounds are in displayed values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from tddfa.arrays import Floats

TILE = 256
"""Side of the noise tile, a power of two."""

GRAIN, BLOTCH, STREAK, SKIN = range(4)
"""The tile's channels: fine grain, soft blotches, strands along the first axis, and skin (grain with blotches)."""

NOISE_FIELDS = 10
"""Noise fields over a head: five coarse, five fine."""


def linear(red: float, green: float, blue: float) -> NDArray[np.float32]:
    """Picture values 0-255 as linear light 0-1.

    >>> linear(0, 51, 255).tolist()
    [0.0, 0.04000000283122063, 1.0]
    """
    return (np.array([red, green, blue], np.float32) / np.float32(255.0)) ** 2


def displayed(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light as displayed values, bright ones compressed."""
    out = np.sqrt(np.maximum(light, 0))
    flat = out.reshape(-1)
    bright = np.flatnonzero(flat > 0.8)
    flat[bright] = 0.8 + 0.2 * np.tanh((flat[bright] - 0.8) * 3.5)
    return flat.reshape(light.shape)


def smoothstep(low: float, high: float, value: Floats) -> Floats:
    """0 at ``low``, 1 at ``high``, a smooth S between; ``high`` may be the smaller one.

    >>> smoothstep(0, 10, np.array([-1, 0, 5, 10, 11], np.float32)).tolist()
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    t = np.clip((value - np.float32(low)) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def noise_tile() -> NDArray[np.float32]:
    """(256, 256, 4) that tiles, each channel (``GRAIN``, ``BLOTCH``, ``STREAK``, ``SKIN``) of unit variance."""
    rng = np.random.default_rng(20)
    sigmas: tuple[float | tuple[float, float], ...] = (0.7, 2.6, (14.0, 0.7))
    white = rng.normal(0, 1, (len(sigmas), TILE, TILE)).astype(np.float32)
    out = np.stack([gaussian_filter(w, s, mode="wrap") for w, s in zip(white, sigmas, strict=True)], 2)
    out /= out.std((0, 1))
    skin = (out[..., :1] + out[..., 1:2]) / np.float32(np.sqrt(2))
    return np.concatenate([out, skin], 2)


def noise_at(channel: NDArray[np.float32], u: Floats, v: Floats) -> NDArray[np.float32]:
    """(n,) noise at texture coordinates, of which 256 repeat.

    Args:
        channel: one channel of the tile, flat (65536,).
        u: (n,) columns, not negative.
        v: (n,) rows, not negative.
    """
    column, row = u.astype(np.int32), v.astype(np.int32)
    column &= TILE - 1
    row &= TILE - 1
    row *= TILE
    row += column
    return channel.take(row)


def smooth_fields(points: Floats, scale: float, count: int, *, seed: int) -> NDArray[np.float32]:
    """(N, count) noise fields of unit variance at 3D points.

    Args:
        points: (N, 3), mm.
        scale: grain, mm.
        count: how many fields.
        seed: of the fields; they are the same for every render.
    """
    rng = np.random.default_rng(seed)
    fields = []
    for _ in range(count):
        grid = rng.normal(0, 1, (24, 24, 24)).astype(np.float32)
        fields.append(map_coordinates(grid, (points / scale + rng.uniform(0, 24, 3)).T % 24, order=1, mode="grid-wrap"))
    out = np.stack(fields, 1)
    return (out / out.std(0)).astype(np.float32)
