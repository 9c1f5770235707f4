"""Meshes that a head wears in a rendered picture: hair strands, teeth, glasses, hats, clothes.

All are built in the head's own axes (millimetres, x viewer's right, y up, z to the viewer, nose tip near
(0, -13, 55)), for one person, from that person's vertices. They hide and shade the face as real things do; they are
never part of the true solid.
"""

from dataclasses import dataclass

import numpy as np

from .appearance import HeadMaps, Look, linear, smoothstep

HEAD, STRAND, CLOTH, HARD, TOOTH = range(5)


@dataclass
class Part:
    """A mesh with a colour per vertex. ``kind`` says how its pixels are finished; ``coordinates`` (N, 2) are in mm."""

    vertices: np.ndarray
    triangles: np.ndarray
    colour: np.ndarray
    kind: int
    coordinates: np.ndarray
    normals: np.ndarray | None = None
    alpha: float = 1.0


@dataclass
class Skull:
    """The ellipsoid that fits a head above the ears: hair and hats keep outside it."""

    centre: np.ndarray
    radii: np.ndarray

    @classmethod
    def of(cls, head: np.ndarray, maps: HeadMaps) -> "Skull":
        upper = head[(maps.mean[:, 1] > 45) & (maps.ear < 0.5)]
        low, high = upper.min(0), upper.max(0)
        centre = np.float32([0, 42, (low[2] + high[2]) / 2 - 3])
        return cls(centre, np.float32([(high[0] - low[0]) / 2, high[1] - 42, (high[2] - low[2]) / 2 + 2]))

    def outside(self, points: np.ndarray, gap: float | np.ndarray) -> np.ndarray:
        """The points, those nearer than ``gap`` mm (about) pushed out."""
        d = points - self.centre
        rho = np.sqrt(((d / (self.radii + np.asarray(gap, np.float32)[..., None])) ** 2).sum(-1, keepdims=True)) + 1e-6
        return self.centre + d / np.minimum(rho, 1.0)


def _grid(rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """Triangles of a rows x columns lattice of vertices; ``closed`` joins the last column to the first."""
    r = np.arange(rows - 1)[:, None]
    c = np.arange(columns if closed else columns - 1)[None]
    a, b = r * columns + c, r * columns + (c + 1) % columns
    quads = np.stack([a, b, b + columns, a + columns], -1).reshape(-1, 4)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def _part(lattice: np.ndarray, colour, kind: int, *, closed: bool, alpha: float = 1.0) -> Part:
    rows, columns, _ = lattice.shape
    along = np.concatenate([[0], np.linalg.norm(np.diff(lattice, axis=0), axis=2).mean(1).cumsum()])
    around = np.linalg.norm(np.diff(lattice, axis=1), axis=2).mean() * np.arange(columns)
    where = np.stack(np.broadcast_arrays(around[None], along[:, None]), -1).reshape(-1, 2)
    colour = np.broadcast_to(np.asarray(colour, np.float32), (rows * columns, 3))
    return Part(lattice.reshape(-1, 3).astype(np.float32), _grid(rows, columns, closed=closed), colour, kind,
                where.astype(np.float32), alpha=alpha)


def tube(path: np.ndarray, radius: float | np.ndarray, colour, kind: int = HARD, *, sides: int = 5) -> Part:
    """A round rod along a path (n, 3)."""
    d = np.gradient(path, axis=0)
    d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-9
    u = np.cross(d, np.where(np.abs(d[:, 1:2]) > 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    u /= np.linalg.norm(u, axis=1, keepdims=True) + 1e-9
    v = np.cross(d, u)
    a = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    r = np.broadcast_to(np.asarray(radius, np.float32), len(path))[:, None, None]
    return _part(path[:, None] + r * (u[:, None] * np.cos(a)[:, None] + v[:, None] * np.sin(a)[:, None]), colour, kind,
                 closed=True)


def teeth(points: np.ndarray, neutral: np.ndarray, look: Look, rng: np.random.Generator) -> list[Part]:
    """Upper and lower rows behind the lips. ``points``, ``neutral`` (68, 3): with and without the expression."""
    out = []
    scale = (neutral[54, 0] - neutral[48, 0]) / 47.6
    front = min(neutral[62, 2], neutral[66, 2]) - 3.0
    x = np.linspace(-21, 21, 29) * scale
    z = front - 0.026 * x**2 / scale
    scallop = 0.35 * np.abs(np.sin(np.pi * x / (6.2 * scale)))
    dark = (1 - 0.55 * smoothstep(9, 20, np.abs(x)))[:, None] * (1 - 0.25 * (np.abs(np.sin(np.pi * x / (6.2 * scale))) < 0.2))[:, None]
    gum = linear(168, 96, 92)
    for upper in (True, False):
        if upper:
            edge = neutral[62, 1] - rng.uniform(1.0, 3.2)
            rows = edge + np.array([0, 3.5, 8.5, 12.5])[:, None] - scallop * np.array([1, 0, 0, 0])[:, None]
            shade = np.array([0.95, 1.0, 0.8, 0.4])
            deep = 0.0
        else:
            drop = (points[66] + points[57] - neutral[66] - neutral[57]) / 2
            edge = neutral[66, 1] + drop[1] - rng.uniform(0.5, 3.0)
            rows = edge - np.array([0, 3.0, 7.0, 11.0])[:, None] + 0 * scallop
            shade = np.array([0.75, 0.7, 0.5, 0.3])
            deep = -2.5 + min(drop[2], 0.0)
        lattice = np.stack(np.broadcast_arrays(x[None], rows, z[None] + deep), -1)
        colour = np.broadcast_to(look.teeth, (4, len(x), 3)) * dark[None] * shade[:, None, None]
        colour[3] = gum * 0.4
        colour[2] = 0.5 * colour[2] + 0.5 * gum * 0.6
        out.append(_part(lattice, colour.reshape(-1, 3), TOOTH, closed=False))
    return out


def strands(head: np.ndarray, normals: np.ndarray, maps: HeadMaps, look: Look, scalp: np.ndarray, skull: Skull,
            rng: np.random.Generator) -> list[Part]:
    """Hair as tapered ribbons that grow from the scalp, are combed and fall. Empty for bald and buzz cut.

    Args:
        head: (Na, 3) this person's head; normals: (Na, 3); scalp: (Na,) from :meth:`HeadMaps.scalp`.
    """
    style = look.style
    if style in ("bald", "buzz"):
        return []
    count = {"short": 360, "side": 340, "medium": 340, "long": 380, "tied": 330, "curly": 460}[style]
    steps = {"short": 5, "side": 7, "medium": 9, "long": 12, "tied": 9, "curly": 6}[style]
    low, high = {"short": (10, 32), "side": (35, 75), "medium": (70, 150), "long": (170, 330), "tied": (60, 120),
                 "curly": (18, 55)}[style]
    length = rng.uniform(low, high)
    weight = maps.area * scalp**2
    roots = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(count)).clip(0, len(head) - 1)
    p, n = head[roots].astype(np.float32), normals[roots]
    mean = maps.mean[roots]
    lengths = (length * rng.uniform(0.6, 1.15, count)).astype(np.float32)
    side = np.sign(p[:, 0] - look.parting + rng.normal(0, 4, count))
    front = smoothstep(0, 35, mean[:, 2]) * smoothstep(60, 85, mean[:, 1])
    comb = np.zeros((count, 3), np.float32)
    lift, gravity, stiff, gap = 0.5, 0.1, 0.55, rng.uniform(1.0, 4.0)
    if style == "short":
        back = rng.uniform(-0.9, 0.9)
        comb += np.float32([0.3 * np.sign(look.parting or 1), 0, 0])
        comb[:, 2] -= back
        comb[:, 1] -= 0.8 * (mean[:, 1] < 60)
        lift = rng.uniform(0.3, 1.0)
    elif style == "side":
        comb[:, 0] = side
        comb[:, 2] = rng.uniform(-0.9, 0.3)
        comb[:, 1] = 0.35
        gravity, lift = 0.25, rng.uniform(0.2, 0.6)
    elif style in ("medium", "long"):
        comb[:, 0], comb[:, 1], comb[:, 2] = 0.9 * side, -0.25, rng.uniform(-0.75, -0.1)
        gravity, lift, gap, stiff = rng.uniform(0.45, 0.7), rng.uniform(0.1, 0.5), rng.uniform(3, 12), 0.5
    elif style == "tied":
        comb[:, 2], comb[:, 1], lift, gravity = -1.0, rng.uniform(-0.1, 0.3), 0.05, 0.05
    if style == "curly":
        lift, gravity, stiff = 1.0, 0.12, 0.3
    if look.fringe and style not in ("tied", "curly"):
        k = (front > 0.3) & (rng.random(count) < 0.85)
        comb[k] = np.float32([rng.normal(0, 0.25), -0.7, 0.9]) + rng.normal(0, 0.12, (k.sum(), 3))
        lengths[k] = rng.uniform(32, 62) * rng.uniform(0.8, 1.1, k.sum())
    jitter = rng.normal(0, 0.16 if style not in ("curly", "short") else 0.3, (count, 3)).astype(np.float32)
    d = lift * n + 0.6 * comb + jitter
    d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-6
    bend = 0.9 if style == "curly" else rng.uniform(0.0, 0.25)
    wobble = rng.normal(0, bend, (steps, count, 3)).astype(np.float32)
    step = (lengths / (steps - 1))[:, None]
    layer = rng.uniform(0, 1, count).astype(np.float32) * (6 if style in ("medium", "long", "side") else 3) + gap
    path = [p]
    for k in range(steps - 1):
        q = skull.outside(path[-1] + step * d, layer)
        new = q - path[-1]
        new /= np.linalg.norm(new, axis=1, keepdims=True) + 1e-6
        path.append(path[-1] + step * new)
        pull = comb * (0.5 if k < steps // 2 else 0.1) + np.float32([0, -gravity * (1 + k), 0]) + wobble[k]
        d = stiff * new + (1 - stiff) * pull
        d /= np.linalg.norm(d, axis=1, keepdims=True) + 1e-6
    path = np.stack(path, 0)
    out = [_ribbons(path, look, skull, rng, width=rng.uniform(2.6, 4.2) * (1.5 if style == "long" else 1.0))]
    if style == "tied" and rng.random() < 0.6:
        a = rng.uniform(0, 2 * np.pi, 90)
        r = rng.uniform(4, 16, 90)
        t = np.linspace(0, 1, 8)[:, None]
        height, tail = rng.uniform(20, 110), rng.uniform(60, 220)
        base = skull.outside(np.float32([[0, height, -260]]), 4)[0]
        base = skull.centre + (base - skull.centre) / max(1e-6, np.linalg.norm((base - skull.centre) / (skull.radii + 4)))
        body = np.stack([np.cos(a) * r * (0.4 + 1.1 * t), -tail * t**1.4 + 12 * np.sin(3 * t) + 0 * a,
                         np.sin(a) * r * (0.4 + t) - 30 * np.sqrt(t)], -1)
        out.append(_ribbons((base + body).astype(np.float32), look, skull, rng, width=4.0))
    return out


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
    half = width * rng.uniform(0.6, 1.3, (1, count, 1)) * (1.0 - 0.85 * smoothstep(0.45, 1.0, t))
    vertices = np.stack([path - half * across, path + half * across], 2)
    normal = out - 0.75 * (out * tangent).sum(2, keepdims=True) * tangent + rng.normal(0, 0.22, (1, count, 3))
    normal /= np.linalg.norm(normal, axis=2, keepdims=True) + 1e-6
    shade = np.exp(rng.normal(0, 0.22, (1, count, 1))) * (0.62 + 0.55 * smoothstep(0.0, 0.35, t))
    warm = 1 + rng.normal(0, 0.05, (1, count, 3))
    colour = np.repeat((look.hair * shade * warm)[:, :, None], 2, 2)
    along = t[..., 0] * np.linalg.norm(np.diff(path, axis=0), axis=2).sum(0)
    u = rng.uniform(0, 200, (1, count, 1)) + np.stack([-half[..., 0], half[..., 0]], 2)
    where = np.stack([u, np.repeat((along + rng.uniform(0, 400, (1, count)))[:, :, None], 2, 2)], -1)
    base = 2 * (np.arange(steps - 1)[:, None] * count + np.arange(count)).ravel()
    a, b, c, d = base, base + 1, base + 2 * count, base + 2 * count + 1
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return Part(vertices.reshape(-1, 3).astype(np.float32), faces.astype(np.int32),
                np.clip(colour, 0.002, 0.9).reshape(-1, 3).astype(np.float32), STRAND,
                where.reshape(-1, 2).astype(np.float32), np.repeat(normal[:, :, None], 2, 2).reshape(-1, 3).astype(np.float32))


def glasses(points: np.ndarray, rng: np.random.Generator) -> tuple[list[Part], list[Part]]:
    """(frame, lenses) on the nose bridge; ``points`` (68, 3) landmarks in head axes."""
    eyes = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
    half = (eyes[1, 0] - eyes[0, 0]) / 2 + rng.uniform(-0.5, 2.5)
    wide, tall = rng.uniform(20, min(27.0, half - 3.5)), rng.uniform(14, 22)
    power = rng.choice([2.0, rng.uniform(2.2, 4.5)])
    thick = rng.choice([rng.uniform(0.5, 1.0), rng.uniform(1.2, 2.6)])
    tone = rng.random(3) ** 2 * rng.choice([0.06, 0.3]) if rng.random() < 0.75 else linear(170, 150, 110)
    z = max(points[27, 2] + rng.uniform(0, 4), eyes[:, 2].max() + 9)
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
        ear = np.array([s * (abs(points[0 if s < 0 else 16, 0]) + 7), eyes[:, 1].mean() + 3, points[0, 2] - 38])
        frame.append(tube(corner + (ear - corner) * np.linspace(0, 1, 6)[:, None], max(thick, 0.9), tone))
        lattice = np.stack([rim * 0 + rim.mean(0), rim], 0)
        lenses.append(_part(lattice, rng.random(3) * 0.03 if sun else [0.5, 0.5, 0.5], HARD, closed=False,
                            alpha=rng.uniform(0.75, 0.99) if sun else rng.uniform(0.0, 0.14)))
    t = np.linspace(-1, 1, 5)[:, None]
    frame.append(tube(np.hstack([t * (half - wide), y + 0.25 * tall + 2 * (1 - t**2), z + 1 * (1 - t**2)]), thick, tone))
    return frame, lenses


def hat(skull: Skull, rng: np.random.Generator) -> list[Part]:
    """A beanie, a cap with a visor, or a hat with a brim around."""
    kind = rng.integers(3)
    tone = rng.random(3) ** 2 * rng.uniform(0.1, 0.8)
    tone = tone.mean() + (tone - tone.mean()) * rng.uniform(0.1, 1)
    phi = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    front = np.cos(phi)
    margin = rng.uniform(7, 14)
    radii = skull.radii + margin + np.float32([0, rng.uniform(0, 25), 0])
    base = np.deg2rad(np.interp(front, [-1, 1], [rng.uniform(-25, 5), rng.uniform(22, 36)]))
    t = np.linspace(0, 1, 9)[:, None]
    e = base + (np.pi / 2 - base) * t
    power = rng.uniform(0.7, 1.0)
    flat = np.cos(e) ** power
    dome = np.stack([radii[0] * flat * np.sin(phi), radii[1] * np.sin(e), radii[2] * flat * front], -1) + skull.centre
    colour = np.repeat(tone[None], dome.shape[0] * dome.shape[1], 0).reshape(*dome.shape)
    if rng.random() < 0.4:
        colour[: rng.integers(2, 4)] = rng.random(3) ** 2 * 0.5
    out = [_part(dome, colour.reshape(-1, 3), CLOTH, closed=True)]
    if kind > 0:
        reach = rng.uniform(50, 78)
        grow = np.clip((front - 0.35) / 0.65, 0, 1) ** 0.5 if kind == 1 else np.full_like(front, rng.uniform(0.7, 1.1))
        s = np.linspace(0, 1, 4)[:, None]
        outward = np.stack([np.sin(phi) * 0.55 if kind == 1 else np.sin(phi), 0 * phi, front], -1)
        brim = dome[0] + s[..., None] * reach * grow[:, None] * outward
        brim[..., 1] -= s * reach * (rng.uniform(0.05, 0.35) + 0.35 * np.sin(phi) ** 2 * (kind == 1)) * (grow > 0)
        out.append(_part(brim, tone * rng.uniform(0.6, 1.1), CLOTH, closed=True))
    return out


def clothes(head: np.ndarray, neck: np.ndarray, rng: np.random.Generator, *, turn: np.ndarray) -> list[Part]:
    """Shoulders in a shirt, a collar or a scarf. ``turn`` (3, 3) turns the body against the head; ``neck`` (3,) is its
    pivot."""
    tone = rng.random(3) ** 2 * rng.uniform(0.1, 0.9)
    tone = tone.mean() + (tone - tone.mean()) * rng.uniform(0.05, 0.9)
    a = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    wide = rng.uniform(0.82, 1.15)
    open_neck = rng.uniform(-26, 6)
    rings = np.array([(-12, 57, 56, 0), (-28, 66, 62, -2), (-44, 96, 70, -6), (-62, 145, 80, -9), (-92, 182, 90, -10),
                      (-160, 198, 100, -8), (-420, 200, 108, -5)], float)
    rings[0, 0] += min(open_neck, 0)
    rings[1:3, 0] += min(open_neck, 0) * np.array([0.8, 0.4])
    front = np.cos(a)
    y = rings[:, :1] - np.maximum(front, 0) * np.interp(rings[:, :1], [-60, -10], [0, rng.uniform(4, 24)])
    body = np.stack([wide * rings[:, 1:2] * np.sin(a), y, rings[:, 2:3] * front + rings[:, 3:]], -1)
    colour = np.repeat(tone[None], body.shape[0] * body.shape[1], 0)
    out = [(body, colour)]
    r = rng.random()
    if r < 0.45:
        t = np.linspace(0, 1, 4)[:, None]
        high = rng.uniform(8, 34)
        flare = rng.uniform(-3, 9)
        rad = 58 + flare * t
        dip = np.maximum(front, 0) ** 4 * rng.uniform(0, 26)
        collar = np.stack([rad * np.sin(a), -16 + high * t - dip * (0.3 + 0.7 * t), rad * front * 0.98], -1)
        out.append((collar, np.repeat((tone if rng.random() < 0.5 else rng.random(3) ** 2)[None], collar.shape[0] * 36, 0)))
    elif r < 0.57:
        t = np.linspace(0, 2 * np.pi, 11)[:, None]
        fat, lift = rng.uniform(16, 30), rng.uniform(-12, 22)
        lump = 1 + 0.12 * np.sin(3 * a + rng.uniform(0, 6)) + 0.08 * np.sin(7 * a + rng.uniform(0, 6))
        rad = 60 + fat * (0.7 + np.cos(t)) * lump
        scarf = np.stack([rad * np.sin(a), -22 + lift + 1.2 * fat * np.sin(t) * lump, rad * front], -1)
        out.append((scarf, np.repeat((rng.random(3) ** 2 * 0.8)[None], scarf.shape[0] * 36, 0)))
    parts = []
    for lattice, colour in out:
        parts.append(_part((lattice @ turn.T + neck).astype(np.float32), colour, CLOTH, closed=True))
    return parts
