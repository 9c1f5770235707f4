"""Hair of a rendered head: tapered ribbons that grow from the scalp, are combed, and fall around the skull.

``HAIR_STYLES`` says for each style how the scalp looks, how many ribbons grow how long, and who combs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from tddfa.describe import short_repr
from vrnlib.synthetic.appearance import Appearance
from vrnlib.synthetic.head_maps import HeadMaps
from vrnlib.synthetic.meshes import Material, Mesh, Skull
from vrnlib.synthetic.textures import smoothstep

LOCKS = 24
"""Ribbons wobble in so many groups."""


@dataclass(frozen=True, repr=False)
class Scalp:
    """Where hair grows from; one row per vertex of the head, head axes."""

    vertices: Floats
    normals: Floats
    density: NDArray[np.float32]
    """(Na,) in [0, 1], from :meth:`HeadMaps.scalp`."""

    __repr__ = short_repr


@dataclass(frozen=True, repr=False)
class Roots:
    """Where on the head each of n ribbons begins."""

    side: Floats
    """(n,) -1 or 1: on which side of the parting."""
    top: Floats
    """(n,) from 0 at the side of the head to 1 at the top."""
    depth: Floats
    """(n,) z on the mean head, mm: towards the face."""

    __repr__ = short_repr


@dataclass(repr=False)
class Combing:
    """How n ribbons are combed; each style's comb changes what is different there."""

    direction: NDArray[np.float32]
    """(n, 3) where the comb goes, head axes."""
    gap: float
    """mm that all hair keeps from the skull."""
    length: float | Floats = 1.0
    """Factor of the lengths."""
    lift: float | Floats = 0.2
    """How much hair stands off at its root."""
    gravity: float = 0.15
    stiffness: float = 0.5
    """How much of its direction hair keeps from step to step."""
    fluff: float = 0.10
    """How much locks go their own ways."""
    stray: float = 0.12
    """The same of single ribbons at their roots."""

    __repr__ = short_repr


def _comb_short(roots: Roots, combing: Combing, rng: np.random.Generator) -> None:
    top, comb = roots.top, combing.direction
    comb[:, 0] = 0.5 * rng.choice([-1, 1]) * top + rng.normal(0, 0.15, len(top))
    comb[:, 1] = -0.9 * (1 - top)
    comb[:, 2] = rng.uniform(-0.8, 0.9) * top - 0.25 * (1 - top)
    combing.lift = rng.uniform(0.15, 1.1) * top + 0.12
    combing.length = 0.55 + 0.45 * top
    combing.fluff = rng.uniform(0.1, 0.3)


def _comb_aside(roots: Roots, combing: Combing, rng: np.random.Generator) -> None:
    top, comb = roots.top, combing.direction
    comb[:, 0], comb[:, 2] = roots.side, rng.uniform(-0.8, 0.2)
    comb[:, 1] = 0.25 * top - 0.7 * (1 - top)
    combing.lift = rng.uniform(0.15, 0.6) * top + 0.08
    combing.length = 0.45 + 0.55 * top
    combing.gravity = 0.3


def _comb_down(roots: Roots, combing: Combing, rng: np.random.Generator) -> None:
    comb = combing.direction
    comb[:, 0], comb[:, 1], comb[:, 2] = 0.9 * roots.side, -0.3, rng.uniform(-0.7, -0.1)
    combing.gravity, combing.lift, combing.gap = rng.uniform(0.45, 0.7), rng.uniform(0.1, 0.4), rng.uniform(2, 9)
    combing.fluff = rng.choice([0.04, 0.12, 0.35], p=[0.5, 0.3, 0.2])


def _comb_back(roots: Roots, combing: Combing, rng: np.random.Generator) -> None:
    combing.direction[:, 2], combing.direction[:, 1] = -1.0, rng.uniform(-0.1, 0.3)
    combing.lift, combing.gravity, combing.fluff = 0.03, 0.05, 0.03
    combing.length = 0.5 + 0.5 * smoothstep(-90, 0, roots.depth)


def _leave_curled(roots: Roots, combing: Combing, rng: np.random.Generator) -> None:
    combing.lift, combing.gravity, combing.stiffness, combing.fluff, combing.stray = 0.9, 0.1, 0.35, 0.8, 0.5


@dataclass(frozen=True)
class Ribbons:
    """What grows from the scalp."""

    count: int
    points: int
    """Of each ribbon's path."""
    length: tuple[float, float]
    """Shortest and longest, mm."""
    width: float
    """Half of a ribbon's, mm."""
    comb: Callable[[Roots, Combing, np.random.Generator], None]
    layers: float = 2.5
    """mm through which the ribbons' distances from the skull are spread."""
    fringe: bool = True
    """Whether there may be one."""


@dataclass(frozen=True)
class HairStyle:
    """One row of ``HAIR_STYLES``."""

    thickness: float
    """How far hair raises the scalp, mm."""
    ribbons: Ribbons | None = None
    cover: float = 0.97
    """How much of the scalp's skin is hidden where hair is densest."""
    grainy: bool = False
    """The scalp shows grain instead of streaks."""
    fits_under_a_hat: bool = True
    """Other styles are cut short there."""


HAIR_STYLES = {
    "bald": HairStyle(0),
    "buzz": HairStyle(1, cover=0.72, grainy=True),
    "short": HairStyle(4, Ribbons(440, 5, (12, 30), 3.3, _comb_short), fits_under_a_hat=False),
    "side": HairStyle(5, Ribbons(340, 7, (38, 75), 4.7, _comb_aside, layers=7), fits_under_a_hat=False),
    "medium": HairStyle(6, Ribbons(320, 8, (75, 150), 6.0, _comb_down, layers=7)),
    "long": HairStyle(5, Ribbons(300, 10, (180, 330), 7.6, _comb_down, layers=7)),
    "tied": HairStyle(3, Ribbons(280, 7, (60, 110), 5.8, _comb_back, fringe=False)),
    "curly": HairStyle(
        10, Ribbons(480, 5, (14, 45), 4.4, _leave_curled, fringe=False), grainy=True, fits_under_a_hat=False
    ),
}


def strands(scalp: Scalp, maps: HeadMaps, appearance: Appearance, skull: Skull, rng: np.random.Generator) -> list[Mesh]:
    """Hair as tapered ribbons that grow from the scalp, are combed and fall. Empty for bald and buzz cut.

    Args:
        scalp: this person's.
        maps: of the face model.
        appearance: whose style and tone the hair has.
        skull: which hair keeps outside of.
        rng: draws roots, lengths and directions.
    """
    ribbons = HAIR_STYLES[appearance.style].ribbons
    if ribbons is None:
        return []
    count, steps = ribbons.count, ribbons.points
    length = rng.uniform(*ribbons.length)
    weight = maps.area * scalp.density**2
    rows = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(count)).clip(0, len(scalp.vertices) - 1)
    start, normal, mean = scalp.vertices[rows].astype(np.float32), scalp.normals[rows], maps.mean[rows]
    lengths = (length * rng.uniform(0.7, 1.1, count)).astype(np.float32)
    roots = Roots(
        side=np.sign(start[:, 0] - appearance.parting + rng.normal(0, 4, count)),
        top=smoothstep(75, 115, mean[:, 1]),
        depth=mean[:, 2],
    )
    combing = Combing(np.zeros((count, 3), np.float32), gap=rng.uniform(0.5, 3.0))
    ribbons.comb(roots, combing, rng)
    comb = combing.direction
    lengths *= combing.length
    if appearance.fringe and ribbons.fringe:
        front = smoothstep(0, 35, mean[:, 2]) * smoothstep(60, 85, mean[:, 1])
        above_forehead = (front > 0.25) & (rng.random(count) < 0.9)
        forward = np.array([rng.normal(0, 0.35), -0.8, 0.7], np.float32)
        number = above_forehead.sum()
        comb[above_forehead] = forward + rng.normal(0, 0.08, (number, 3))
        lengths[above_forehead] = rng.uniform(30, 60) * rng.uniform(0.85, 1.08, number)

    lift = np.broadcast_to(combing.lift, count)[:, None]
    d = (lift * normal + 0.6 * comb + rng.normal(0, combing.stray, (count, 3))).astype(np.float32)
    d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-6
    locks = rng.normal(0, combing.fluff, (steps, LOCKS, 3))[:, rng.integers(0, LOCKS, count)]
    wobble = (locks + rng.normal(0, 0.5 * combing.fluff, (steps, count, 3))).astype(np.float32)
    step = (lengths / (steps - 1))[:, None]
    layer = rng.uniform(0, 1, count).astype(np.float32) * ribbons.layers + combing.gap
    path = [start]
    for k in range(steps - 1):
        new = skull.outside(path[-1] + step * d, layer) - path[-1]
        new /= np.linalg.norm(new, axis=1, keepdims=True) + 1e-6
        path.append(path[-1] + step * new)
        fall = np.array([0, -combing.gravity * (1 + k), 0], np.float32)
        pull = comb * (0.6 if k < steps // 2 else 0.15) + fall + wobble[k]
        d = combing.stiffness * new + (1 - combing.stiffness) * pull
        d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-6
    width = ribbons.width * rng.uniform(0.8, 1.2)
    out = [_ribbon_mesh(np.stack(path, 0), appearance.hair, skull, rng, width=width)]
    if appearance.style == "tied" and rng.random() < 0.7:
        out.append(_ponytail(appearance.hair, skull, rng))
    return out


def _ponytail(tone: Floats, skull: Skull, rng: np.random.Generator) -> Mesh:
    a, r = rng.uniform(0, 2 * np.pi, 110), rng.uniform(3, 15, 110)
    t = np.linspace(0, 1, 8)[:, None]
    tail = rng.uniform(60, 200)
    toward = np.array([0, rng.uniform(-0.2, 0.9), -1.0])
    base = skull.center + toward / np.linalg.norm(toward / (skull.radii + 4))
    body = np.stack(
        [
            np.cos(a) * r * (0.4 + 1.1 * t),
            -tail * t**1.4 + 12 * np.sin(3 * t) + 0 * a,
            np.sin(a) * r * (0.4 + t) - 30 * np.sqrt(t),
        ],
        -1,
    )
    return _ribbon_mesh((base + body).astype(np.float32), tone, skull, rng, width=4.5)


def _ribbon_mesh(path: Floats, tone: Floats, skull: Skull, rng: np.random.Generator, *, width: float) -> Mesh:
    """(steps, count, 3) paths to one mesh of tapered ribbons, lit like a bundle of hairs."""
    steps, count, _ = path.shape
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=2, keepdims=True) + 1e-6
    out = path - skull.center
    out /= np.linalg.norm(out, axis=2, keepdims=True) + 1e-6
    across = np.cross(tangent, out)
    across /= np.linalg.norm(across, axis=2, keepdims=True) + 1e-6
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None, None]
    half = width * rng.uniform(0.6, 1.3, (1, count, 1)) * (1.0 - 0.8 * smoothstep(0.6, 1.0, t))
    vertices = np.stack([path - half * across, path + half * across], 2)
    normal = out - 0.75 * (out * tangent).sum(2, keepdims=True) * tangent + rng.normal(0, 0.22, (1, count, 3))
    normal /= np.linalg.norm(normal, axis=2, keepdims=True) + 1e-6
    shade = np.exp(rng.normal(0, 0.15, (1, count, 1))) * (0.7 + 0.4 * smoothstep(0.0, 0.35, t))
    warm = 1 + rng.normal(0, 0.025, (1, count, 3))
    color = np.repeat((tone * shade * warm)[:, :, None], 2, 2)
    along = t[..., 0] * np.linalg.norm(np.diff(path, axis=0), axis=2).sum(0)
    u = rng.uniform(0, 200, (1, count, 1)) + np.stack([-half[..., 0], half[..., 0]], 2)
    where = np.stack([u, np.repeat((along + rng.uniform(0, 400, (1, count)))[:, :, None], 2, 2)], -1)
    base = 2 * (np.arange(steps - 1)[:, None] * count + np.arange(count)).ravel()
    a, b, c, d = base, base + 1, base + 2 * count, base + 2 * count + 1
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return Mesh(
        vertices=vertices.reshape(-1, 3).astype(np.float32),
        triangles=faces.astype(np.int32),
        color=np.clip(color, 0.002, 0.9).reshape(-1, 3).astype(np.float32),
        material=Material.HAIR,
        coordinates=where.reshape(-1, 2).astype(np.float32),
        normals=np.repeat(normal[:, :, None], 2, 2).reshape(-1, 3).astype(np.float32),
    )
