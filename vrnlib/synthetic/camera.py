"""Where a rendered head is and how the camera sees it: random angles, perspective, and the scene that they make.

Angles are ``tddfa.geometry``'s: degrees, R = Rz(roll) Rx(pitch) Ry(yaw) in model axes, positive yaw turns the nose to
the viewer's right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from tddfa.contract import ANGLE_LIMITS
from tddfa.describe import short_repr


@dataclass(frozen=True, repr=False)
class Camera:
    """A real (perspective) camera in front of a turned head."""

    rotation: Floats
    """(3, 3) the head's turn, model axes."""
    angles: NDArray[np.float64]
    """(3,) yaw, pitch, roll of it, degrees."""
    distance: float
    """From the camera to the head's middle, mm."""
    center: NDArray[np.float64]
    """(3,) the head's middle, model mm."""
    scale: float
    """Crop pixels per mm at the head's middle."""
    shift: NDArray[np.float64]
    """(2,) crop pixel at which the head's middle appears."""

    __repr__ = short_repr

    def project(self, vertices: Floats) -> Floats:
        """Model mm to crop px, both (N, 3): x, y as the camera sees them, z affine (scale of the head's middle)."""
        q = (vertices - self.center.astype(np.float32)) @ (self.rotation.T * [1, -1, 1]).astype(np.float32)
        near = np.float32(self.scale * self.distance) / np.maximum(self.distance - q[:, 2], 0.3 * self.distance)
        q[:, 0] = q[:, 0] * near + np.float32(self.shift[0])
        q[:, 1] = q[:, 1] * near + np.float32(self.shift[1])
        q[:, 2] *= np.float32(self.scale)
        return q

    def turned(self, directions: Floats) -> Floats:
        """Directions (N, 3) of the head's axes as the camera sees them, in image axes."""
        turn = (self.rotation * [[1.0], [-1.0], [1.0]]).astype(np.float32)
        return directions @ turn.T


@dataclass(frozen=True, repr=False)
class Scene:
    """A face in front of a camera: what is true of a picture before anything is drawn."""

    face: NDArray[np.float32]
    """(N, 3) the face mesh, model mm."""
    shape: NDArray[np.float32]
    expression: NDArray[np.float32]
    """The model's coefficients that made it."""
    camera: Camera
    size: int
    """Side of the crop, px."""
    canvas: int
    """Side of the picture, px; the crop is its middle."""

    __repr__ = short_repr

    @property
    def margin(self) -> int:
        """Pixels of the canvas on each side of the crop."""
        return (self.canvas - self.size) // 2

    @cached_property
    def vertices(self) -> NDArray[np.float32]:
        """(N, 3) the face mesh in canvas px."""
        shift = np.array([self.margin, self.margin, 0], np.float32)
        return (self.camera.project(self.face) + shift).astype(np.float32)


def random_angles(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) yaw, pitch, roll in degrees: near-frontal and far-turned heads are both frequent."""
    r = rng.random()
    if r < 0.30:
        yaw = rng.normal(0, 12)
    elif r < 0.62:
        yaw = rng.uniform(-90, 90)
    else:
        yaw = rng.choice([-1, 1]) * rng.uniform(35, 90)
    pitch = rng.uniform(-40, 40) if rng.random() < 0.2 else rng.normal(0, 13)
    roll = rng.uniform(-45, 45) if rng.random() < 0.12 else rng.normal(0, 11)
    limits = np.array(ANGLE_LIMITS)
    return np.clip([yaw, pitch, roll], -limits, limits)


def middle(points: Floats) -> NDArray[np.float64]:
    """(3,) mean of points (N, 3); a matrix product is ten times as fast as ``mean`` here."""
    return np.full(len(points), 1.0 / len(points)) @ points.astype(np.float64)
