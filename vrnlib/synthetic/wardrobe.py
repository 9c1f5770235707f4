"""What a head wears in a rendered picture: teeth, glasses, hats, hoods, clothes.

All are built for one person, from that person's landmarks or skull, in head axes (millimetres). They hide and shade
the face as real things do; they are never part of the true solid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tddfa import ibug
from tddfa.arrays import Floats
from vrnlib.synthetic.meshes import Material, Mesh, Skull, lattice_mesh, tube
from vrnlib.synthetic.textures import linear, smoothstep

PIVOT = np.array([0, -82, -72], np.float32)
"""Where the neck turns: the middle of its cross section below the jaw."""


class ToothRow(NamedTuple):
    """A row of teeth, from the biting edge to the gum: four lines of points."""

    heights: tuple[float, float, float, float]
    """mm from the biting edge."""
    shades: tuple[float, float, float, float]
    """Brightness; the lip shades the teeth, above and below."""


UPPER_TEETH = ToothRow(heights=(0, 3.5, 8.5, 12.5), shades=(0.95, 1.0, 0.8, 0.4))
LOWER_TEETH = ToothRow(heights=(0, 3.0, 7.0, 11.0), shades=(0.75, 0.7, 0.5, 0.3))


class HoodLine(NamedTuple):
    """A line around the face, from the hood's edge backwards."""

    widening: float
    """Against the opening around the face."""
    depth: float
    """z, mm, added to the edge's own; below -20 it replaces most of it."""
    hang: float
    """How far it hangs below the chin, mm."""


HOOD = (
    HoodLine(0.97, -6, 0),
    HoodLine(1.02, 3, 0),
    HoodLine(1.14, -8, 10),
    HoodLine(1.24, -40, 45),
    HoodLine(1.30, -85, 75),
    HoodLine(1.22, -130, 70),
    HoodLine(0.75, -168, 40),
    HoodLine(0.05, -176, 0),
)


class Ring(NamedTuple):
    """An ellipse around the neck or the body, mm from ``PIVOT``."""

    y: float
    half_width: float
    half_depth: float
    z: float = 0


NECK = (Ring(0, 44, 44), Ring(-25, 48, 46), Ring(-60, 54, 50), Ring(-110, 70, 60))
SHIRT = (
    Ring(-12, 57, 56, 0),
    Ring(-28, 66, 62, -2),
    Ring(-44, 96, 70, -6),
    Ring(-62, 145, 80, -9),
    Ring(-92, 182, 90, -10),
    Ring(-160, 198, 100, -8),
    Ring(-420, 200, 108, -5),
)
HATS = ("beanie", "cap", "brimmed hat")
COLLAR_ODDS, COLLAR_OR_SCARF_ODDS = 0.42, 0.5


def teeth(points: Floats, neutral: Floats, tone: Floats, rng: np.random.Generator) -> list[Mesh]:
    """Upper and lower rows behind the lips.

    Args:
        points: (68, 3) landmarks in head axes.
        neutral: (68, 3) the same without the expression.
        tone: (3,) of the teeth, linear light.
        rng: draws how much of them shows.
    """
    out = []
    right, left = ibug.MOUTH_CORNERS
    scale = (neutral[left, 0] - neutral[right, 0]) / 47.6
    front = min(neutral[ibug.MOUTH_TOP, 2], neutral[ibug.MOUTH_BOTTOM, 2]) - 3.0
    x = np.linspace(-21, 21, 29) * scale
    z = front - 0.026 * x**2 / scale
    gaps = np.abs(np.sin(np.pi * x / (6.2 * scale)))
    scallop = 0.35 * gaps
    dark = ((1 - 0.55 * smoothstep(9, 20, np.abs(x))) * (1 - 0.25 * (gaps < 0.2)))[:, None]
    gum = linear(168, 96, 92)
    for upper in (True, False):
        if upper:
            edge = neutral[ibug.MOUTH_TOP, 1] - rng.uniform(2.0, 5.5)
            rows = edge + np.array(UPPER_TEETH.heights)[:, None] - scallop * np.array([1, 0, 0, 0])[:, None]
            shade = np.array(UPPER_TEETH.shades)
            deep = 0.0
        else:
            low, lip = ibug.MOUTH_BOTTOM, ibug.LIP_BOTTOM
            drop = (points[low] + points[lip] - neutral[low] - neutral[lip]) / 2
            edge = neutral[ibug.MOUTH_BOTTOM, 1] + drop[1] - rng.uniform(0.5, 3.0)
            rows = edge - np.array(LOWER_TEETH.heights)[:, None] + 0 * scallop
            shade = np.array(LOWER_TEETH.shades)
            deep = -2.5 + min(drop[2], 0.0)
        lattice = np.stack(np.broadcast_arrays(x[None], rows, z[None] + deep), -1)
        color = np.broadcast_to(tone, (4, len(x), 3)) * dark[None] * shade[:, None, None]
        color[3] = gum * 0.4
        color[2] = 0.5 * color[2] + 0.5 * gum * 0.6
        out.append(lattice_mesh(lattice, color.reshape(-1, 3), Material.TOOTH, closed=False))
    return out


def glasses(points: Floats, rng: np.random.Generator) -> tuple[list[Mesh], list[Mesh]]:
    """Frame and lenses on the bridge of the nose.

    Args:
        points: (68, 3) landmarks in head axes.
        rng: draws form, tone and whether they are dark.
    """
    eyes = np.stack([points[ibug.RIGHT_EYE].mean(0), points[ibug.LEFT_EYE].mean(0)])
    half = (eyes[1, 0] - eyes[0, 0]) / 2 + rng.uniform(-0.5, 2.5)
    wide, tall = rng.uniform(20, min(27.0, half - 3.5)), rng.uniform(14, 22)
    power = rng.choice([2.0, rng.uniform(2.2, 4.5)])
    thick = rng.choice([rng.uniform(0.5, 1.0), rng.uniform(1.2, 2.6)])
    tone = rng.random(3) ** 2 * rng.choice([0.06, 0.3]) if rng.random() < 0.75 else linear(170, 150, 110)
    z = max(points[ibug.BRIDGE, 2] + rng.uniform(0, 4), eyes[:, 2].max() + 9)
    y = eyes[:, 1].mean() - rng.uniform(0, 5)
    a = np.linspace(0, 2 * np.pi, 26)
    frame, lenses = [], []
    sun = rng.random() < 0.35
    for s in (-1, 1):
        cx, cy = np.cos(a), np.sin(a)
        r = (np.abs(cx) ** power + np.abs(cy) ** power) ** (-1 / power)
        x = s * half + wide * r * cx
        drop = np.where(cy < 0, 1.0, 0.9) * tall * r * cy
        rim = np.stack([x, y + drop, z - 0.0045 * x**2 + 0 * x], 1)
        frame.append(tube(rim, thick, tone))
        corner = np.array([s * (half + wide), y + 0.35 * tall, z - 0.0045 * (half + wide) ** 2])
        end = points[ibug.JAW_ENDS[0 if s < 0 else 1], 0]
        ear = np.array([s * (abs(end) + 7), eyes[:, 1].mean() + 3, points[ibug.JAW_ENDS[0], 2] - 38])
        frame.append(tube(corner + (ear - corner) * np.linspace(0, 1, 6)[:, None], max(thick, 0.9), tone))
        lattice = np.stack([rim * 0 + rim.mean(0), rim], 0)
        lenses.append(
            lattice_mesh(
                lattice,
                rng.random(3) * 0.03 if sun else [0.5, 0.5, 0.5],
                Material.HARD,
                closed=False,
                opacity=rng.uniform(0.75, 0.99) if sun else rng.uniform(0.0, 0.14),
            )
        )
    t = np.linspace(-1, 1, 5)[:, None]
    bridge = np.hstack([t * (half - wide), y + 0.25 * tall + 2 * (1 - t**2), z + 1 - t**2])
    frame.append(tube(bridge, thick, tone))
    return frame, lenses


def hat(skull: Skull, rng: np.random.Generator) -> list[Mesh]:
    """A beanie, a cap with a visor, or a hat with a brim around."""
    kind = HATS[rng.integers(len(HATS))]
    tone = rng.random(3) ** 2 * rng.uniform(0.1, 0.8)
    tone = tone.mean() + (tone - tone.mean()) * rng.uniform(0.1, 1)
    phi = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    front = np.cos(phi)
    margin = rng.uniform(11, 17)
    radii = skull.radii + margin + np.array([0, rng.uniform(0, 25), 0], np.float32)
    base = np.deg2rad(np.interp(front, [-1, 1], [rng.uniform(-25, 5), rng.uniform(22, 36)]))
    t = np.linspace(0, 1, 9)[:, None]
    e = base + (np.pi / 2 - base) * t
    power = rng.uniform(0.7, 1.0)
    flat = np.maximum(np.cos(e), 0) ** power  # the cosine of a right angle may round below 0
    dome = np.stack([radii[0] * flat * np.sin(phi), radii[1] * np.sin(e), radii[2] * flat * front], -1) + skull.center
    color = np.repeat(tone[None], dome.shape[0] * dome.shape[1], 0).reshape(*dome.shape)
    if rng.random() < 0.4:
        color[: rng.integers(2, 4)] = rng.random(3) ** 2 * 0.5
    out = [lattice_mesh(dome, color.reshape(-1, 3), Material.CLOTH, closed=True)]
    if kind != "beanie":
        cap = kind == "cap"
        reach = rng.uniform(50, 78)
        grow = np.clip((front - 0.35) / 0.65, 0, 1) ** 0.5 if cap else np.full_like(front, rng.uniform(0.7, 1.1))
        s = np.linspace(0, 1, 4)[:, None]
        outward = np.stack([np.sin(phi) * 0.55 if cap else np.sin(phi), 0 * phi, front], -1)
        brim = dome[0] + s[..., None] * reach * grow[:, None] * outward
        brim[..., 1] -= s * reach * (rng.uniform(0.05, 0.35) + 0.35 * np.sin(phi) ** 2 * cap) * (grow > 0)
        out.append(lattice_mesh(brim, tone * rng.uniform(0.6, 1.1), Material.CLOTH, closed=True))
    return out


def hood(points: Floats, skull: Skull, rng: np.random.Generator) -> list[Mesh]:
    """A headscarf or hood: cloth around the face from the forehead to below the chin, over the back of the head.

    Args:
        points: (68, 3) landmarks in head axes.
        skull: which it keeps outside of.
        rng: draws size, folds and tone.
    """
    a = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    up, side = np.cos(a), np.sin(a)
    middle = np.array([0, points[ibug.BRIDGE, 1] - 14, 0], np.float32)
    top = rng.uniform(68, 84)
    chin = middle[1] - points[ibug.CHIN, 1] + rng.uniform(-4, 12)
    right, left = ibug.JAW_ENDS
    wide = (points[left, 0] - points[right, 0]) / 2 + rng.uniform(-4, 8)
    tall = np.where(up > 0, top, chin)
    z = np.where(up > 0, 24 - 42 * side**2, rng.uniform(8, 22) - 60 * side**2)
    below = np.maximum(-up, 0)
    fold = 1 + 0.03 * np.sin(5 * a + rng.uniform(0, 6)) + 0.02 * np.sin(11 * a + rng.uniform(0, 6))
    lattice = (
        np.stack(
            [
                np.stack(
                    [
                        wide * k * side * (fold if k > 1.1 else 1),
                        (tall * k + hang * below) * up * (fold if k > 1.1 else 1),
                        (z if depth > -20 else depth + 0.25 * z) + (depth if depth > -20 else 0),
                    ],
                    1,
                )
                for k, depth, hang in HOOD
            ]
        )
        + middle
    )
    lattice[2:] = skull.outside(lattice[2:], 9.0)
    tone = rng.random(3) ** 2 * rng.uniform(0.1, 0.9)
    tone = tone.mean() + (tone - tone.mean()) * rng.uniform(0.1, 0.9)
    return [lattice_mesh(lattice, tone, Material.CLOTH, closed=True)]


def neck(skin: Floats, *, turn: NDArray[np.float32]) -> Mesh:
    """The neck's lower part, which joins head and shoulders when one is turned against the other by ``turn`` (3, 3)."""
    a = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    y, half_width, half_depth, _ = np.array(NECK, float).T[..., None]
    lattice = np.stack([half_width * np.sin(a), y + 0 * a, half_depth * np.cos(a)], -1)
    return lattice_mesh((lattice @ turn.T + PIVOT).astype(np.float32), skin, Material.NECK, closed=True)


def clothes(rng: np.random.Generator, *, turn: NDArray[np.float32]) -> list[Mesh]:
    """Shoulders in a shirt, a collar or a scarf; ``turn`` (3, 3) turns them against the head."""
    tone = rng.random(3) ** 2 * rng.uniform(0.1, 0.9)
    tone = tone.mean() + (tone - tone.mean()) * rng.uniform(0.05, 0.7)
    a = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    wide = rng.uniform(0.82, 1.15)
    r = rng.random()
    open_neck = rng.uniform(-26, 6) if r > 0.5 else 0.0
    rings = np.array(SHIRT, float)
    rings[0, 0] += min(open_neck, 0)
    rings[1:3, 0] += min(open_neck, 0) * np.array([0.8, 0.4])
    front = np.cos(a)
    height, half_width, half_depth, z = rings.T[..., None]
    y = height - np.maximum(front, 0) * np.interp(height, [-60, -10], [0, rng.uniform(4, 24)])
    body = np.stack([wide * half_width * np.sin(a), y, half_depth * front + z], -1)
    out = [(body, tone)]
    if r < COLLAR_ODDS:
        t = np.linspace(0, 1, 4)[:, None]
        high = rng.uniform(8, 34)
        flare = rng.uniform(-3, 9)
        rad = 56 + flare * t
        dip = np.maximum(front, 0) ** 4 * rng.uniform(0, 26)
        collar = np.stack([rad * np.sin(a), -16 + high * t - dip * (0.3 + 0.7 * t), rad * front * 0.98], -1)
        out.append((collar, tone if rng.random() < 0.5 else rng.random(3) ** 2))
    elif r < COLLAR_OR_SCARF_ODDS:
        t = np.linspace(0, 2 * np.pi, 11)[:, None]
        fat, lift = rng.uniform(10, 22), rng.uniform(-14, 20)
        lump = 1 + 0.12 * np.sin(3 * a + t + rng.uniform(0, 6)) + 0.12 * np.sin(7 * a - 2 * t + rng.uniform(0, 6))
        rad = 60 + fat * (0.7 + np.cos(t)) * lump
        scarf = np.stack([rad * np.sin(a), -22 + lift + 1.2 * fat * np.sin(t) * lump, rad * front], -1)
        out.append((scarf, (tone.mean() + (rng.random(3) ** 2 - 0.4) * 0.35).clip(0.01, 0.8)))
    return [
        lattice_mesh((lattice @ turn.T + PIVOT).astype(np.float32), color, Material.CLOTH, closed=True)
        for lattice, color in out
    ]
