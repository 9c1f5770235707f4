"""What the fine mesh carries besides its shape: region labels, texture coordinates, ambient occlusion."""

from __future__ import annotations

import cv2
import numpy as np
import scipy.sparse as sp

from ..mesh import summed_normals
from ..raster import rasterize
from .cage import Cage
from .source import Head

__all__ = ["ambient_occlusion", "cylinder_coordinates", "painted", "region_labels"]

LIPS, EYELID, EAR = 1, 4, 5
CHIN_HEIGHT = -72.0
"""The lips' mask is used above this height in mm only."""

DIRECTIONS = 96
PICTURE = 300
TOLERANCE = 2.5
"""Ambient occlusion: view directions, side of each depth picture in pixels, tolerance of its test in pixels."""


def painted(head: Head, cage: Cage, operator: sp.csr_matrix, name: str) -> np.ndarray:
    """One of MakeHuman's masks ("lips", "eyelids", "ears") at the fine vertices, (N,) in 0..1."""
    mask = head.mask(name)
    height, width = mask.shape
    texture = operator @ (cage.operator @ head.texture)
    x = (texture[:, 0] * width - 0.5).astype(np.float32)
    y = ((1 - texture[:, 1]) * height - 0.5).astype(np.float32)
    return cv2.remap(mask, x[:, None], y[:, None], cv2.INTER_LINEAR).ravel()


def region_labels(head: Head, cage: Cage, operator: sp.csr_matrix, vertices: np.ndarray) -> np.ndarray:
    """Labels (N,) uint8: 0 skin, 1 lips, 2 eye, 3 mouth interior, 4 eyelid, 5 ear."""
    weights = np.zeros((len(cage.label), 4))
    weights[np.arange(len(cage.label)), cage.label] = 1.0
    label = (operator @ weights).argmax(axis=1)
    skin = label == 0
    label[skin & (painted(head, cage, operator, "lips") > 0.5) & (vertices[:, 1] > CHIN_HEIGHT)] = LIPS
    label[skin & (painted(head, cage, operator, "eyelids") > 0.5)] = EYELID
    label[skin & (painted(head, cage, operator, "ears") > 0.5)] = EAR
    return label.astype(np.uint8)


def cylinder_coordinates(vertices: np.ndarray) -> np.ndarray:
    """Texture coordinates (N, 2) in 0..1: angle about a vertical axis 75 mm behind the mean's origin, and height."""
    angle = np.arctan2(vertices[:, 0], vertices[:, 2] + 75.0) / (2.0 * np.pi) + 0.5
    height = (vertices[:, 1] - vertices[:, 1].min()) / np.ptp(vertices[:, 1])
    return np.stack([angle, height], axis=1)


def ambient_occlusion(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Share (N,) of the sky, weighted by the cosine, that each vertex sees; from depth pictures all around."""
    normal = summed_normals(vertices, triangles)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    step = np.arange(DIRECTIONS) + 0.5
    polar, turn = np.arccos(1 - 2 * step / DIRECTIONS), 4 * np.pi * step / (1 + 5**0.5)
    seen, possible = np.zeros(len(vertices)), np.zeros(len(vertices))
    indices = np.ascontiguousarray(triangles, dtype=np.int32)
    for direction in np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1):
        right = np.cross(direction, [0.3, 1.0, 0.1])
        right /= np.linalg.norm(right)
        view = vertices @ np.stack([right, np.cross(direction, right), direction], axis=1)
        view *= 0.95 * PICTURE / np.ptp(view[:, :2], axis=0).max()
        view[:, :2] += 5.0 - view[:, :2].min(axis=0)
        depth = rasterize(np.ascontiguousarray(view, np.float32), indices, PICTURE, PICTURE).depth
        x, y = np.clip(np.round(view[:, :2]).astype(int), 0, PICTURE - 1).T
        facing = np.clip(normal @ direction, 0, 1)
        seen += facing * (view[:, 2] > depth[y, x] - TOLERANCE)
        possible += facing
    return seen / np.maximum(possible, 1e-6)
