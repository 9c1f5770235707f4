"""One head with everything on it: hair, teeth, glasses, a hat or a hood, neck and clothes; all in head axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tddfa import raster
from tddfa.arrays import Floats
from tddfa.describe import short_repr
from tddfa.geometry import rotation_matrix
from tddfa.ibug import INNER_LIPS
from vrnlib.synthetic.appearance import Appearance
from vrnlib.synthetic.hair import HAIR_STYLES, Scalp, strands
from vrnlib.synthetic.head_maps import HeadMaps
from vrnlib.synthetic.meshes import Mesh, Skull
from vrnlib.synthetic.textures import smoothstep
from vrnlib.synthetic.wardrobe import clothes, glasses, hat, hood, neck, teeth

HAT, HAT_OR_HOOD, GLASSES = 0.11, 0.15, 0.2
"""The part of all heads that wears them."""

OPEN_MOUTH = 0.7
"""mm between the lips from which on there are teeth."""


@dataclass(frozen=True, repr=False)
class Head:
    """A person's bare head, mm in head axes."""

    vertices: NDArray[np.float32]
    """(Na, 3): face mesh, then scalp and neck."""
    points: NDArray[np.float32]
    """(68, 3) its landmarks."""
    neutral: NDArray[np.float32]
    """(68, 3) the same without the expression."""

    __repr__ = short_repr

    @property
    def mouth_opening(self) -> float:
        """Largest distance between the inner lips, mm; negative where they overlap."""
        lips = self.points[INNER_LIPS, 1]
        return float((lips[1:4] - lips[[7, 6, 5]]).max())


@dataclass(frozen=True, repr=False)
class DressedHead:
    """A head ready to be drawn."""

    appearance: Appearance
    """Under a hat the hair may be cut."""
    vertices: NDArray[np.float32]
    """(Na, 3) the head, raised by the thickness of its hair."""
    scalp: NDArray[np.float32]
    """(Na,) in [0, 1]: where hair grows."""
    worn: list[Mesh]
    lenses: list[Mesh]
    """Drawn over everything else, since light goes through them."""

    __repr__ = short_repr


def dress(head: Head, maps: HeadMaps, appearance: Appearance, angles: Floats, rng: np.random.Generator) -> DressedHead:
    """Puts hair and clothes on a head.

    Args:
        head: the person's.
        maps: of the face model.
        appearance: the person's.
        angles: (3,) yaw, pitch and roll of the head, degrees; the body turns less.
        rng: draws what is worn.
    """
    bald = appearance.style == "bald"
    scalp = np.zeros(len(head.vertices), np.float32) if bald else maps.scalp(appearance)
    skull = Skull.around(head.vertices[maps.upper])
    worn: list[Mesh] = []
    lenses: list[Mesh] = []
    if head.mouth_opening > OPEN_MOUTH:
        worn += teeth(head.points, head.neutral, appearance.teeth, rng)

    covered = rng.random()
    under_cover, under_hood = covered < HAT_OR_HOOD, HAT <= covered < HAT_OR_HOOD
    normals = raster.vertex_normals(head.vertices, maps.triangles, axes="model")
    thickness = HAIR_STYLES[appearance.style].thickness * rng.uniform(0.5, 1.5) * (0.3 if under_cover else 1.0)
    lift = thickness * smoothstep(0.3, 1.0, scalp) * (1 + 0.25 * (maps.fields @ appearance.mix[1]))
    raised = head.vertices + normals * lift[:, None]
    if under_cover:
        worn += hood(head.points, skull, rng) if under_hood else hat(skull, rng)
        if under_hood or not HAIR_STYLES[appearance.style].fits_under_a_hat:
            appearance = appearance.with_style("buzz")
        appearance = appearance.without_fringe()
    worn += strands(Scalp(raised, normals, scalp), maps, appearance, skull, rng)
    if rng.random() < GLASSES:
        frame, lenses = glasses(head.points, rng)
        worn += frame

    yaw, pitch, roll = (float(angle) for angle in angles)
    body = np.array([-rng.uniform(0, 0.8) * yaw, -0.7 * pitch, -rng.uniform(0.3, 1.0) * roll])
    worn.append(neck(appearance.skin, turn=_turned_back(0.5 * body)))
    worn += clothes(rng, turn=_turned_back(body))
    return DressedHead(appearance, raised.astype(np.float32), scalp, worn, lenses)


def _turned_back(angles: Floats) -> NDArray[np.float32]:
    """(3, 3) turn of the body against the head; it undoes a head's turn by ``-angles`` (yaw, pitch, roll; degrees)."""
    return np.ascontiguousarray(rotation_matrix(*(-angles)).T.astype(np.float32))
