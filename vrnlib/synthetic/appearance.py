"""What one person looks like: tones of skin, hair, eyes and lips, brows, beard and hair style, drawn at random.

Tones are linear light (see ``textures``); lengths are millimetres of the mean head (head axes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from tddfa.describe import short_repr
from vrnlib.synthetic.textures import NOISE_FIELDS, TILE, linear


def _tones(*colors: tuple[int, int, int]) -> NDArray[np.float32]:
    """(n, 3) linear light of picture values."""
    return np.stack([linear(*color) for color in colors])


SKIN_TONES = _tones(
    (240, 203, 184),
    (232, 190, 166),
    (222, 172, 143),
    (205, 151, 118),
    (176, 121, 88),
    (138, 91, 64),
    (98, 64, 46),
    (70, 46, 35),
)
"""From light to dark; a person's lies between two of them."""
FAIR_SKIN = SKIN_TONES[1]
"""The skin over which the tones of lips were read."""
HAIR_TONES = _tones(
    (22, 19, 18),
    (38, 28, 22),
    (62, 43, 30),
    (92, 66, 44),
    (135, 100, 64),
    (186, 152, 104),
    (215, 188, 140),
    (122, 60, 34),
    (150, 147, 144),
    (205, 203, 200),
)
"""Black, browns, blonds, red, grey, white."""
DARK_HAIR, ANY_HAIR = (0, 0, 0, 0, 1, 1, 1, 1, 2, 8), (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 7, 8, 9)
"""Rows of ``HAIR_TONES`` by how often they are drawn, for dark skin and for other skin."""
IRIS_TONES = _tones((46, 28, 17), (70, 46, 26), (98, 68, 38), (96, 100, 62), (88, 112, 130), (104, 124, 132))
LIP_TONES = _tones((186, 110, 104), (176, 92, 88), (160, 88, 80), (150, 60, 66))
MAKE_UP = _tones((170, 30, 50), (190, 60, 90), (120, 30, 50), (205, 90, 80))
TOOTH_WHITE = (232, 222, 200)
"""Picture values of the whitest teeth."""

HAIR_STYLE_ODDS = {
    "bald": (0.14, 0.02),
    "buzz": (0.16, 0.02),
    "short": (0.30, 0.07),
    "side": (0.16, 0.12),
    "medium": (0.06, 0.22),
    "long": (0.03, 0.30),
    "tied": (0.03, 0.16),
    "curly": (0.12, 0.09),
}
"""How often each of ``hair.HAIR_STYLES`` is drawn, for heads with and without a beard's chance."""
BEARD_STYLES = ("full", "jaw and moustache", "goatee", "moustache", "thin on the jaw")
"""Where a beard grows: the columns of ``HeadMaps.beards``."""


@dataclass(frozen=True, repr=False)
class Appearance:
    """One person's colors and choices, drawn by :func:`random_appearance`. Tones are (3,) float32 linear light."""

    skin: Floats
    darkness: float
    """Of the skin, from 0 (the first of ``SKIN_TONES``) to 1 (the last)."""
    hair: Floats
    brow: Floats
    iris: Floats
    lips: Floats
    lip_strength: float
    """How much of the lips' own tone covers the skin, 0 to 1."""
    beard: float
    """Density from 0 (none) to 1."""
    beard_style: int
    """Which of ``BEARD_STYLES``."""
    style: str
    """Which of ``hair.HAIR_STYLES``."""
    hairline: float
    """Where hair begins, mm on ``HeadMaps.height``."""
    recession: float
    """How far the hairline draws back at the temples, mm."""
    parting: float
    """x of the parting, mm."""
    fringe: float
    """1 for hair combed over the forehead, else 0."""
    brow_width: float
    """Half the width of a brow, mm."""
    brow_strength: float
    brow_shift: float
    """How far the brows lie above the usual place, mm."""
    lash: float
    """Darkness of the lashes, 0 to 1."""
    gaze: Floats
    """(2,) shift of the irises right and up, mm."""
    shine: float
    """Strength of the skin's highlights."""
    gloss: float
    """Sharpness of the skin's highlights."""
    blotch: float
    texture: float
    flush: float
    """Uneven tone, roughness and redness of the skin."""
    age: float
    """From 0 to 1: shades about the eyes and folds beside the mouth."""
    offset: Floats
    """(4,) where in the noise tile this person's patterns begin."""
    teeth: Floats
    mix: Floats
    """(4, 10) this person's weights of ``HeadMaps.fields``; row 0 bends the hairline, row 1 the hair's thickness."""

    __repr__ = short_repr

    def with_style(self, style: str) -> Appearance:
        """The same person with another hair style."""
        return replace(self, style=style)

    def without_fringe(self) -> Appearance:
        """The same person with a free forehead."""
        return replace(self, fringe=0.0)


def random_appearance(rng: np.random.Generator) -> Appearance:
    """Draws a person's colors, hair, beard, brows and eyes."""
    t = float(np.clip(rng.beta(0.85, 1.15), 0, 1)) * (len(SKIN_TONES) - 1)
    i = min(int(t), len(SKIN_TONES) - 2)
    skin = SKIN_TONES[i] * (1 - t + i) + SKIN_TONES[i + 1] * (t - i)
    warm = rng.normal(0, 0.045)
    cast = np.array([1 + 0.4 * warm, 1 - 0.3 * warm, 1 - 1.2 * warm], np.float32)
    skin = skin * cast * np.float32(rng.uniform(0.92, 1.06))
    darkness = t / (len(SKIN_TONES) - 1)
    male = rng.random() < 0.5
    tones = DARK_HAIR if darkness > 0.55 else ANY_HAIR
    hair = HAIR_TONES[tones[rng.integers(len(tones))]] * np.float32(rng.uniform(0.75, 1.2))
    brow = np.minimum(hair * np.float32(rng.uniform(0.45, 0.95)), 0.75 * skin)
    iris = IRIS_TONES[rng.integers(6) if darkness < 0.4 else rng.integers(2)] * np.float32(rng.uniform(0.8, 1.25))
    lips = LIP_TONES[rng.integers(len(LIP_TONES))] * (0.35 + 0.65 * skin / FAIR_SKIN)
    lip_strength = rng.uniform(0.3, 0.75)
    if not male and rng.random() < 0.3:
        lips = MAKE_UP[rng.integers(len(MAKE_UP))] * (0.5 + 0.5 * skin / FAIR_SKIN)
        lip_strength = rng.uniform(0.5, 0.9)
    odds = [odds[0 if male else 1] for odds in HAIR_STYLE_ODDS.values()]
    style = list(HAIR_STYLE_ODDS)[rng.choice(len(odds), p=odds)]
    beard = 0.0
    if male:
        beard = float(rng.choice([0.0, rng.uniform(0.08, 0.35), rng.uniform(0.45, 0.95)], p=[0.42, 0.28, 0.30]))
    age = float(rng.beta(1.1, 1.6))
    return Appearance(  # the order of the fields is the order of the draws
        skin=skin.astype(np.float32),
        darkness=darkness,
        hair=hair,
        brow=brow.astype(np.float32),
        iris=iris,
        lips=lips.astype(np.float32),
        lip_strength=float(lip_strength),
        beard=beard,
        beard_style=int(rng.integers(len(BEARD_STYLES))),
        style=style,
        hairline=float(rng.normal(60, 7)),
        recession=float(rng.uniform(0, 22) if male else rng.uniform(-2, 6)),
        parting=float(rng.choice([0.0, rng.uniform(-38, 38)])),
        fringe=float(rng.random() < (0.15 if male else 0.3)),
        brow_width=float(rng.uniform(1.9, 3.4) * (1.2 if male else 0.9)),
        brow_strength=float(rng.uniform(0.5, 0.95)),
        brow_shift=float(rng.normal(0.3, 1.0)),
        lash=float(rng.uniform(0.35, 0.7) if male else rng.uniform(0.55, 0.95)),
        gaze=rng.normal(0, [2.2, 0.8]).astype(np.float32),
        shine=float(rng.uniform(0.02, 0.16)),
        gloss=float(rng.uniform(6, 26)),
        blotch=float(rng.uniform(0.015, 0.05)),
        texture=float(rng.uniform(0.02, 0.08)),
        flush=float(rng.uniform(0.4, 1.3)),
        age=age,
        offset=rng.uniform(0, TILE, 4).astype(np.float32),
        teeth=linear(*(np.array(TOOTH_WHITE) * rng.uniform(0.78, 1.0) + [0, -4, rng.uniform(-26, 4)])),
        mix=rng.normal(0, 1, (4, NOISE_FIELDS)).astype(np.float32) / np.float32(np.sqrt(NOISE_FIELDS)),
    )
