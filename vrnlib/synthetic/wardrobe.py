"""What a head wears in a rendered picture: teeth, glasses, hats, hoods, clothes.

All are built for one person, from that person's landmarks or skull, in head axes (see ``parts``). They hide and shade
the face as real things do; they are never part of the true solid.
"""

import numpy as np

from vrnlib.synthetic.appearance import Look, linear, smoothstep
from vrnlib.synthetic.meshes import CLOTH, HARD, NECK, TOOTH, Part, Skull, lattice_part, tube

PIVOT = np.float32([0, -82, -72])
"""Where the neck turns: the middle of its cross section below the jaw."""


def teeth(points: np.ndarray, neutral: np.ndarray, look: Look, rng: np.random.Generator) -> list[Part]:
    """Upper and lower rows behind the lips. ``points``, ``neutral`` (68, 3): with and without the expression."""
    out = []
    scale = (neutral[54, 0] - neutral[48, 0]) / 47.6
    front = min(neutral[62, 2], neutral[66, 2]) - 3.0
    x = np.linspace(-21, 21, 29) * scale
    z = front - 0.026 * x**2 / scale
    gaps = np.abs(np.sin(np.pi * x / (6.2 * scale)))
    scallop = 0.35 * gaps
    dark = ((1 - 0.55 * smoothstep(9, 20, np.abs(x))) * (1 - 0.25 * (gaps < 0.2)))[:, None]
    gum = linear(168, 96, 92)
    for upper in (True, False):
        if upper:
            edge = neutral[62, 1] - rng.uniform(2.0, 5.5)
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
        out.append(lattice_part(lattice, colour.reshape(-1, 3), TOOTH, closed=False))
    return out


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
        lenses.append(
            lattice_part(
                lattice,
                rng.random(3) * 0.03 if sun else [0.5, 0.5, 0.5],
                HARD,
                closed=False,
                alpha=rng.uniform(0.75, 0.99) if sun else rng.uniform(0.0, 0.14),
            )
        )
    t = np.linspace(-1, 1, 5)[:, None]
    bridge = np.hstack([t * (half - wide), y + 0.25 * tall + 2 * (1 - t**2), z + 1 - t**2])
    frame.append(tube(bridge, thick, tone))
    return frame, lenses


def hat(skull: Skull, rng: np.random.Generator) -> list[Part]:
    """A beanie, a cap with a visor, or a hat with a brim around."""
    kind = rng.integers(3)
    tone = rng.random(3) ** 2 * rng.uniform(0.1, 0.8)
    tone = tone.mean() + (tone - tone.mean()) * rng.uniform(0.1, 1)
    phi = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    front = np.cos(phi)
    margin = rng.uniform(11, 17)
    radii = skull.radii + margin + np.float32([0, rng.uniform(0, 25), 0])
    base = np.deg2rad(np.interp(front, [-1, 1], [rng.uniform(-25, 5), rng.uniform(22, 36)]))
    t = np.linspace(0, 1, 9)[:, None]
    e = base + (np.pi / 2 - base) * t
    power = rng.uniform(0.7, 1.0)
    flat = np.maximum(np.cos(e), 0) ** power  # the cosine of a right angle may round below 0
    dome = np.stack([radii[0] * flat * np.sin(phi), radii[1] * np.sin(e), radii[2] * flat * front], -1) + skull.centre
    colour = np.repeat(tone[None], dome.shape[0] * dome.shape[1], 0).reshape(*dome.shape)
    if rng.random() < 0.4:
        colour[: rng.integers(2, 4)] = rng.random(3) ** 2 * 0.5
    out = [lattice_part(dome, colour.reshape(-1, 3), CLOTH, closed=True)]
    if kind > 0:
        reach = rng.uniform(50, 78)
        grow = np.clip((front - 0.35) / 0.65, 0, 1) ** 0.5 if kind == 1 else np.full_like(front, rng.uniform(0.7, 1.1))
        s = np.linspace(0, 1, 4)[:, None]
        outward = np.stack([np.sin(phi) * 0.55 if kind == 1 else np.sin(phi), 0 * phi, front], -1)
        brim = dome[0] + s[..., None] * reach * grow[:, None] * outward
        brim[..., 1] -= s * reach * (rng.uniform(0.05, 0.35) + 0.35 * np.sin(phi) ** 2 * (kind == 1)) * (grow > 0)
        out.append(lattice_part(brim, tone * rng.uniform(0.6, 1.1), CLOTH, closed=True))
    return out


def hood(points: np.ndarray, skull: Skull, rng: np.random.Generator) -> list[Part]:
    """A headscarf or hood: cloth around the face from the forehead to below the chin, over the back of the head."""
    a = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    up, side = np.cos(a), np.sin(a)
    middle = np.float32([0, points[27, 1] - 14, 0])
    top = rng.uniform(68, 84)
    chin = middle[1] - points[8, 1] + rng.uniform(-4, 12)
    wide = (points[16, 0] - points[0, 0]) / 2 + rng.uniform(-4, 8)
    tall = np.where(up > 0, top, chin)
    z = np.where(up > 0, 24 - 42 * side**2, rng.uniform(8, 22) - 60 * side**2)
    below = np.maximum(-up, 0)
    rows = [
        (0.97, -6, 0),
        (1.02, 3, 0),
        (1.14, -8, 10),
        (1.24, -40, 45),
        (1.30, -85, 75),
        (1.22, -130, 70),
        (0.75, -168, 40),
        (0.05, -176, 0),
    ]  # widening, depth, how far it hangs below the chin
    fold = 1 + 0.03 * np.sin(5 * a + rng.uniform(0, 6)) + 0.02 * np.sin(11 * a + rng.uniform(0, 6))
    lattice = (
        np.stack(
            [
                np.stack(
                    [
                        wide * k * side * (fold if k > 1.1 else 1),
                        (tall * k + drop * below) * up * (fold if k > 1.1 else 1),
                        (z if depth > -20 else depth + 0.25 * z) + (depth if depth > -20 else 0),
                    ],
                    1,
                )
                for k, depth, drop in rows
            ]
        )
        + middle
    )
    lattice[2:] = skull.outside(lattice[2:], 9.0)
    tone = rng.random(3) ** 2 * rng.uniform(0.1, 0.9)
    tone = tone.mean() + (tone - tone.mean()) * rng.uniform(0.1, 0.9)
    return [lattice_part(lattice, tone, CLOTH, closed=True)]


def neck(skin: np.ndarray, *, turn: np.ndarray) -> Part:
    """The neck's lower part, which joins head and shoulders when one is turned against the other by ``turn`` (3, 3)."""
    a = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    rings = np.array([(0, 44, 44), (-25, 48, 46), (-60, 54, 50), (-110, 70, 60)], float)
    lattice = np.stack([rings[:, 1:2] * np.sin(a), rings[:, :1] + 0 * a, rings[:, 2:] * np.cos(a)], -1)
    return lattice_part((lattice @ turn.T + PIVOT).astype(np.float32), skin, NECK, closed=True)


def clothes(rng: np.random.Generator, *, turn: np.ndarray) -> list[Part]:
    """Shoulders in a shirt, a collar or a scarf; ``turn`` (3, 3) turns them against the head."""
    tone = rng.random(3) ** 2 * rng.uniform(0.1, 0.9)
    tone = tone.mean() + (tone - tone.mean()) * rng.uniform(0.05, 0.7)
    a = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    wide = rng.uniform(0.82, 1.15)
    r = rng.random()
    open_neck = rng.uniform(-26, 6) if r > 0.5 else 0.0
    rings = np.array(
        [
            (-12, 57, 56, 0),
            (-28, 66, 62, -2),
            (-44, 96, 70, -6),
            (-62, 145, 80, -9),
            (-92, 182, 90, -10),
            (-160, 198, 100, -8),
            (-420, 200, 108, -5),
        ],
        float,
    )
    rings[0, 0] += min(open_neck, 0)
    rings[1:3, 0] += min(open_neck, 0) * np.array([0.8, 0.4])
    front = np.cos(a)
    y = rings[:, :1] - np.maximum(front, 0) * np.interp(rings[:, :1], [-60, -10], [0, rng.uniform(4, 24)])
    body = np.stack([wide * rings[:, 1:2] * np.sin(a), y, rings[:, 2:3] * front + rings[:, 3:]], -1)
    out = [(body, tone)]
    if r < 0.42:
        t = np.linspace(0, 1, 4)[:, None]
        high = rng.uniform(8, 34)
        flare = rng.uniform(-3, 9)
        rad = 56 + flare * t
        dip = np.maximum(front, 0) ** 4 * rng.uniform(0, 26)
        collar = np.stack([rad * np.sin(a), -16 + high * t - dip * (0.3 + 0.7 * t), rad * front * 0.98], -1)
        out.append((collar, tone if rng.random() < 0.5 else rng.random(3) ** 2))
    elif r < 0.5:
        t = np.linspace(0, 2 * np.pi, 11)[:, None]
        fat, lift = rng.uniform(10, 22), rng.uniform(-14, 20)
        lump = 1 + 0.12 * np.sin(3 * a + t + rng.uniform(0, 6)) + 0.12 * np.sin(7 * a - 2 * t + rng.uniform(0, 6))
        rad = 60 + fat * (0.7 + np.cos(t)) * lump
        scarf = np.stack([rad * np.sin(a), -22 + lift + 1.2 * fat * np.sin(t) * lump, rad * front], -1)
        out.append((scarf, (tone.mean() + (rng.random(3) ** 2 - 0.4) * 0.35).clip(0.01, 0.8)))
    parts = []
    for lattice, colour in out:
        parts.append(lattice_part((lattice @ turn.T + PIVOT).astype(np.float32), colour, CLOTH, closed=True))
    return parts
