"""Face model files and what they hold: our ``open_face.npz`` and the official ``bfm_noneck_v3.pkl``.

The open file stores a coarse cage and sparse operators; here they are expanded to the fine mesh in BFM's layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from .arrays import Floats, Integers
from .describe import short_repr
from .mesh import signed_volume
from .topology import boundary_loops, check_triangles

__all__ = ["Context", "combine", "expand", "fields_from_official", "fields_from_open_file", "sparse_from"]

REGION_NAMES = ("skin", "lips", "eye", "mouth interior", "eyelid", "ear")
"""Names of the region labels 0 to 5 of the open model."""

CONTEXT_REGION_NAMES = ("scalp", "neck", "shoulders")
"""Names of the context's region labels 0 to 2."""


@dataclass(frozen=True, repr=False)
class Context:
    """What surrounds the open face in a picture (scalp and neck, or the shoulders); never part of a volume.

    Attributes:
        u: (3Nc, 1), w_shp (3Nc, 40), w_exp (3Nc, 10) float32, the same layout and coefficients as the face.
        tri: (Mc, 3) int32, oriented outwards.
        ambient: (Nc,) float32 in 0..1, share of the sky that a point of the mean sees.
        region: (Nc,) uint8, index into ``region_names``.
    """

    u: Floats
    w_shp: Floats
    w_exp: Floats
    tri: Integers
    ambient: Floats
    region: Integers
    region_names: tuple[str, ...] = CONTEXT_REGION_NAMES

    __repr__ = short_repr

    @property
    def mean(self) -> Floats:
        """Vertices (Nc, 3) of the mean head in mm."""
        return self.u.reshape(-1, 3)

    def reconstruct(self, shape: Floats, expression: Floats) -> Floats:
        """Vertices (Nc, 3) float32 for the face's coefficients; as ``MorphableModel.reconstruct``."""
        return combine(self.u, self.w_shp, self.w_exp, shape, expression)


def combine(u: Floats, w_shp: Floats, w_exp: Floats, shape: Floats, expression: Floats) -> Floats:
    """Mean plus weighted components as (N, 3) float32."""
    total = u[:, 0].copy()
    for label, basis, given in (("shape", w_shp, shape), ("expression", w_exp, expression)):
        given = np.asarray(given, dtype=np.float32)
        if given.ndim != 1 or len(given) > basis.shape[1]:
            raise ValueError(
                f"Expected up to {basis.shape[1]} {label} coefficients in one row, got shape {given.shape}."
            )
        total += basis[:, : len(given)] @ given
    return total.reshape(-1, 3)


def sparse_from(arrays: dict[str, np.ndarray], prefix: str, columns: int) -> sp.csr_matrix:
    """The sparse matrix stored as ``prefix_indptr``, ``prefix_indices``, ``prefix_data``."""
    indptr = arrays[f"{prefix}_indptr"].astype(np.int64)
    parts = (arrays[f"{prefix}_data"].astype(np.float64), arrays[f"{prefix}_indices"].astype(np.int64), indptr)
    return sp.csr_matrix(parts, shape=(len(indptr) - 1, columns))


def expand(operator: sp.csr_matrix, cage: Floats) -> Floats:
    """A cage basis (V, 3, K), or mean (V, 3), on the fine mesh: rows x0, y0, z0, x1, ... (3N, K) float32."""
    flat = cage.astype(np.float64).reshape(len(cage), -1)
    return np.asfortranarray((operator @ flat).reshape(3 * operator.shape[0], -1).astype(np.float32))


def fields_from_open_file(arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """The fields of a model from the arrays of ``open_face.npz`` (cage and subdivision operators).

    Raises:
        ValueError: arrays are missing.
    """
    needed = {"cage_mean", "cage_shape", "cage_expression", "tri", "keypoints", "closed_tri", "shoulder_tri"}
    if not needed <= arrays.keys():
        raise ValueError(f"Expected an open face model with {sorted(needed)}, {name} lacks some; rebuild it.")
    operator = sparse_from(arrays, "subdivision", len(arrays["cage_mean"]))
    context_operator = sparse_from(arrays, "context_subdivision", len(arrays["context_cage_mean"]))
    context = Context(
        u=expand(context_operator, arrays["context_cage_mean"]),
        w_shp=expand(context_operator, arrays["context_cage_shape"]),
        w_exp=expand(context_operator, arrays["context_cage_expression"]),
        tri=arrays["context_tri"].astype(np.int32),
        ambient=arrays["context_ambient"].astype(np.float32) / 255.0,
        region=arrays["context_region"],
    )
    rings = sparse_from(arrays, "shoulder", len(context.mean))
    count = rings.shape[0]
    hang = [expand(rings, part.reshape(len(context.mean), -1)) for part in (context.u, context.w_shp, context.w_exp)]
    shoulders = Context(
        u=hang[0] + arrays["shoulder_shift"].reshape(-1, 1),
        w_shp=hang[1],
        w_exp=hang[2],
        tri=arrays["shoulder_tri"].astype(np.int32),
        ambient=np.ones(count, np.float32),
        region=np.full(count, CONTEXT_REGION_NAMES.index("shoulders"), np.uint8),
    )
    back = sparse_from(arrays, "back", operator.shape[0]).astype(np.float32)
    return dict(
        u=expand(operator, arrays["cage_mean"]),
        w_shp=expand(operator, arrays["cage_shape"]),
        w_exp=expand(operator, arrays["cage_expression"]),
        keypoints=arrays["keypoints"].astype(np.int32),
        tri=arrays["tri"].astype(np.int32),
        uv=arrays["uv"].astype(np.float32),
        region=arrays["region"],
        region_names=REGION_NAMES,
        ambient=arrays["ambient"].astype(np.float32) / 255.0,
        context=context,
        shoulders=shoulders,
        expression_bank=arrays["expression_bank"].astype(np.float32),
        name="open" if name == "open_face.npz" else name,
        _back=(back, arrays["closed_tri"].astype(np.int32)),
    )


def fields_from_official(content: object, name: str) -> dict[str, Any]:
    """The fields of a model from the official pickle's dictionary (u, w_shp, w_exp, keypoints, tri).

    Raises:
        ValueError: arrays are missing or do not fit together.
    """
    needed = ("u", "w_shp", "w_exp", "keypoints", "tri")
    if not isinstance(content, dict) or not set(needed) <= content.keys():
        have = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"Expected the arrays {', '.join(needed)} in {name} (tri may lie in tri.pkl beside it), got {have}."
        )
    u = np.asarray(content["u"], dtype=np.float32).reshape(-1, 1)
    w_shp, w_exp = (np.asfortranarray(content[key][:, :], dtype=np.float32) for key in ("w_shp", "w_exp"))
    tri = np.asarray(content["tri"])
    tri = check_triangles(tri.T if tri.shape[0] == 3 and tri.shape[1] != 3 else tri)
    count = len(u) // 3
    if len(w_shp) != len(u) or len(w_exp) != len(u) or len(u) % 3 or tri.max() >= count:
        raise ValueError(
            f"Expected u, w_shp and w_exp with the same 3N rows and triangles below N in {name}, "
            f"got {len(u)}, {len(w_shp)}, {len(w_exp)} rows and a largest index of {tri.max()}."
        )
    keypoints = np.asarray(content["keypoints"]).astype(np.int32).ravel()
    # The solid's triangles must enclose their inside: turn them when the official list runs the other way.
    vertices = u.reshape(-1, 3).astype(np.float64)
    if boundary_loops(tri) and signed_volume(vertices, tri) < 0:
        tri = tri[:, ::-1]
    return dict(u=u, w_shp=w_shp, w_exp=w_exp, keypoints=keypoints, tri=np.ascontiguousarray(tri, np.int32), name=name)
