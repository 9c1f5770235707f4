"""Hair of a rendered head: tapered ribbons that grow from the scalp, are combed, and fall around the skull."""

import numpy as np

from vrnlib.synthetic.appearance import HeadMaps, Look, smoothstep
from vrnlib.synthetic.meshes import STRAND, Part, Skull

STRANDS = {
    # style: number, points, shortest and longest length (mm), ribbon half width (mm)
    "short": (440, 5, 12, 30, 3.3),
    "side": (340, 7, 38, 75, 4.7),
    "medium": (320, 8, 75, 150, 6.0),
    "long": (300, 10, 180, 330, 7.6),
    "tied": (280, 7, 60, 110, 5.8),
    "curly": (480, 5, 14, 45, 4.4),
}


def strands(
    head: np.ndarray,
    normals: np.ndarray,
    maps: HeadMaps,
    look: Look,
    scalp: np.ndarray,
    skull: Skull,
    rng: np.random.Generator,
) -> list[Part]:
    """Hair as tapered ribbons that grow from the scalp, are combed and fall. Empty for bald and buzz cut.

    Args:
        head: (Na, 3) this person's head; normals: (Na, 3); scalp: (Na,) from :meth:`HeadMaps.scalp`.
    """
    style = look.style
    if style not in STRANDS:
        return []
    count, steps, low, high, width = STRANDS[style]
    length = rng.uniform(low, high)
    weight = maps.area * scalp**2
    roots = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(count)).clip(0, len(head) - 1)
    p, n, mean = head[roots].astype(np.float32), normals[roots], maps.mean[roots]
    lengths = (length * rng.uniform(0.7, 1.1, count)).astype(np.float32)
    side = np.sign(p[:, 0] - look.parting + rng.normal(0, 4, count))
    front = smoothstep(0, 35, mean[:, 2]) * smoothstep(60, 85, mean[:, 1])
    top = smoothstep(75, 115, mean[:, 1])
    comb = np.zeros((count, 3), np.float32)
    lift, gravity, stiff, gap, fluff = 0.2, 0.15, 0.5, rng.uniform(0.5, 3.0), 0.10
    if style == "short":
        comb[:, 0] = 0.5 * rng.choice([-1, 1]) * top + rng.normal(0, 0.15, count)
        comb[:, 1] = -0.9 * (1 - top)
        comb[:, 2] = rng.uniform(-0.8, 0.9) * top - 0.25 * (1 - top)
        lift = rng.uniform(0.15, 1.1) * top + 0.12
        lengths *= 0.55 + 0.45 * top
        fluff = rng.uniform(0.1, 0.3)
    elif style == "side":
        comb[:, 0], comb[:, 2] = side, rng.uniform(-0.8, 0.2)
        comb[:, 1] = 0.25 * top - 0.7 * (1 - top)
        lift = rng.uniform(0.15, 0.6) * top + 0.08
        lengths *= 0.45 + 0.55 * top
        gravity = 0.3
    elif style in ("medium", "long"):
        comb[:, 0], comb[:, 1], comb[:, 2] = 0.9 * side, -0.3, rng.uniform(-0.7, -0.1)
        gravity, lift, gap = rng.uniform(0.45, 0.7), rng.uniform(0.1, 0.4), rng.uniform(2, 9)
        fluff = rng.choice([0.04, 0.12, 0.35], p=[0.5, 0.3, 0.2])
    elif style == "tied":
        comb[:, 2], comb[:, 1], lift, gravity, fluff = -1.0, rng.uniform(-0.1, 0.3), 0.03, 0.05, 0.03
        lengths *= 0.5 + 0.5 * smoothstep(-90, 0, mean[:, 2])
    else:
        lift, gravity, stiff, fluff = 0.9, 0.1, 0.35, 0.8
    if look.fringe and style not in ("tied", "curly"):
        k = (front > 0.25) & (rng.random(count) < 0.9)
        comb[k] = np.float32([rng.normal(0, 0.35), -0.8, 0.7]) + rng.normal(0, 0.08, (k.sum(), 3))
        lengths[k] = rng.uniform(30, 60) * rng.uniform(0.85, 1.08, k.sum())
    lift = np.broadcast_to(lift, count)[:, None]
    d = (lift * n + 0.6 * comb + rng.normal(0, 0.12 if style != "curly" else 0.5, (count, 3))).astype(np.float32)
    d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-6
    locks = rng.normal(0, fluff, (steps, 24, 3))[:, rng.integers(0, 24, count)]
    wobble = (locks + rng.normal(0, 0.5 * fluff, (steps, count, 3))).astype(np.float32)
    step = (lengths / (steps - 1))[:, None]
    layer = rng.uniform(0, 1, count).astype(np.float32) * (7 if style in ("medium", "long", "side") else 2.5) + gap
    path = [p]
    for k in range(steps - 1):
        new = skull.outside(path[-1] + step * d, layer) - path[-1]
        new /= np.linalg.norm(new, axis=1, keepdims=True) + 1e-6
        path.append(path[-1] + step * new)
        pull = comb * (0.6 if k < steps // 2 else 0.15) + np.float32([0, -gravity * (1 + k), 0]) + wobble[k]
        d = stiff * new + (1 - stiff) * pull
        d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-6
    out = [_ribbons(np.stack(path, 0), look, skull, rng, width=width * rng.uniform(0.8, 1.2))]
    if style == "tied" and rng.random() < 0.7:
        out.append(_ponytail(look, skull, rng))
    return out


def _ponytail(look: Look, skull: Skull, rng: np.random.Generator) -> Part:
    a, r = rng.uniform(0, 2 * np.pi, 110), rng.uniform(3, 15, 110)
    t = np.linspace(0, 1, 8)[:, None]
    tail = rng.uniform(60, 200)
    toward = np.array([0, rng.uniform(-0.2, 0.9), -1.0])
    base = skull.centre + toward / np.linalg.norm(toward / (skull.radii + 4))
    body = np.stack(
        [
            np.cos(a) * r * (0.4 + 1.1 * t),
            -tail * t**1.4 + 12 * np.sin(3 * t) + 0 * a,
            np.sin(a) * r * (0.4 + t) - 30 * np.sqrt(t),
        ],
        -1,
    )
    return _ribbons((base + body).astype(np.float32), look, skull, rng, width=4.5)


def _ribbons(path: np.ndarray, look: Look, skull: Skull, rng: np.random.Generator, *, width: float) -> Part:
    """(steps, count, 3) paths to one mesh of tapered ribbons, lit like a bundle of hairs."""
    steps, count, _ = path.shape
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=2, keepdims=True) + 1e-6
    out = path - skull.centre
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
    colour = np.repeat((look.hair * shade * warm)[:, :, None], 2, 2)
    along = t[..., 0] * np.linalg.norm(np.diff(path, axis=0), axis=2).sum(0)
    u = rng.uniform(0, 200, (1, count, 1)) + np.stack([-half[..., 0], half[..., 0]], 2)
    where = np.stack([u, np.repeat((along + rng.uniform(0, 400, (1, count)))[:, :, None], 2, 2)], -1)
    base = 2 * (np.arange(steps - 1)[:, None] * count + np.arange(count)).ravel()
    a, b, c, d = base, base + 1, base + 2 * count, base + 2 * count + 1
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return Part(
        vertices.reshape(-1, 3).astype(np.float32),
        faces.astype(np.int32),
        np.clip(colour, 0.002, 0.9).reshape(-1, 3).astype(np.float32),
        STRAND,
        where.reshape(-1, 2).astype(np.float32),
        np.repeat(normal[:, :, None], 2, 2).reshape(-1, 3).astype(np.float32),
    )
