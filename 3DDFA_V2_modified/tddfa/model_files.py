"""Face model files and what they hold: our ``open_face.npz`` and the official ``bfm_noneck_v3.pkl``.

The open file stores a coarse cage and sparse operators; here they are expanded to the fine mesh in BFM's layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .arrays import Floats, Integers
from .contract import LANDMARK_COUNT
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
    """The sparse matrix stored as ``prefix_indptr``, ``prefix_indices``, ``prefix_data``.

    Raises:
        ValueError: rows that do not follow one another, or columns that are not there: SciPy would not notice.
    """
    starts = _whole_numbers(arrays, f"{prefix}_indptr", below=2**40)
    indices = _whole_numbers(arrays, f"{prefix}_indices", below=columns)
    data = arrays[f"{prefix}_data"].astype(np.float64)
    fits = starts.ndim == indices.ndim == data.ndim == 1 and len(starts) > 0 and len(indices) == len(data)
    if not fits or starts[0] != 0 or starts[-1] != len(data) or (np.diff(starts) < 0).any():
        raise ValueError(f"rows of {prefix} that do not fit its {data.size} numbers")
    return sp.csr_matrix((data, indices, starts), shape=(len(starts) - 1, columns))


def _whole_numbers(arrays: dict[str, np.ndarray], name: str, *, below: int) -> NDArray[np.int64]:
    """An array of indices from 0 to ``below`` - 1 as int64, or a ValueError."""
    values = arrays[name]
    if values.dtype.kind not in "iu" or (values.size and not 0 <= int(values.min()) <= int(values.max()) < below):
        raise ValueError(f"{name} beyond 0 to {below - 1}")
    return values.astype(np.int64)


def _of_shape(arrays: dict[str, np.ndarray], name: str, *shape: int | None) -> np.ndarray:
    """An array of finite numbers of this shape (None for any number of them), or a ValueError."""
    values = arrays[name]
    fits = len(values.shape) == len(shape) and all(
        want in (None, have) for want, have in zip(shape, values.shape, strict=False)
    )
    if not fits or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise ValueError(f"{name} of {values.dtype} {values.shape} or not finite")
    return values


def expand(operator: sp.csr_matrix, cage: Floats) -> Floats:
    """A cage basis (V, 3, K), or mean (V, 3), on the fine mesh: rows x0, y0, z0, x1, ... (3N, K) float32."""
    flat = cage.astype(np.float64).reshape(len(cage), -1)
    return np.asfortranarray((operator @ flat).reshape(3 * operator.shape[0], -1).astype(np.float32))


def fields_from_open_file(arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """The fields of a model from the arrays of ``open_face.npz`` (cage and subdivision operators).

    Raises:
        ValueError: arrays are missing or do not fit together.
    """
    try:
        return _open_fields(arrays, name)
    except KeyError as error:
        raise ValueError(f"Expected an open face model with {error} in {name}, it lacks that; rebuild it.") from None
    except (ValueError, IndexError, TypeError) as error:
        raise ValueError(f"Expected an open face model, {name} is damaged: {error}; rebuild it.") from None


def _open_fields(arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """The same, with errors that are half sentences."""
    cage, context_cage = len(arrays["cage_mean"]), len(arrays["context_cage_mean"])
    for part, count in (("cage", cage), ("context_cage", context_cage)):
        _of_shape(arrays, f"{part}_mean", count, 3)
        _of_shape(arrays, f"{part}_shape", count, 3, arrays["cage_shape"].shape[-1])
        _of_shape(arrays, f"{part}_expression", count, 3, arrays["cage_expression"].shape[-1])
    operator = sparse_from(arrays, "subdivision", cage)
    context_operator = sparse_from(arrays, "context_subdivision", context_cage)
    vertices, around = operator.shape[0], context_operator.shape[0]
    context = Context(
        u=expand(context_operator, arrays["context_cage_mean"]),
        w_shp=expand(context_operator, arrays["context_cage_shape"]),
        w_exp=expand(context_operator, arrays["context_cage_expression"]),
        tri=_triangles(arrays, "context_tri", around),
        ambient=_of_shape(arrays, "context_ambient", around).astype(np.float32) / 255.0,
        region=_of_shape(arrays, "context_region", around),
    )
    rings = sparse_from(arrays, "shoulder", around)
    count = rings.shape[0]
    hang = [expand(rings, part.reshape(around, -1)) for part in (context.u, context.w_shp, context.w_exp)]
    shoulders = Context(
        u=hang[0] + _of_shape(arrays, "shoulder_shift", count, 3).reshape(-1, 1),
        w_shp=hang[1],
        w_exp=hang[2],
        tri=_triangles(arrays, "shoulder_tri", count),
        ambient=np.ones(count, np.float32),
        region=np.full(count, CONTEXT_REGION_NAMES.index("shoulders"), np.uint8),
    )
    back = sparse_from(arrays, "back", vertices).astype(np.float32)
    components = arrays["cage_expression"].shape[-1]
    _of_shape(arrays, "keypoints", 3 * LANDMARK_COUNT)
    keypoints = _whole_numbers(arrays, "keypoints", below=3 * vertices)
    return dict(
        u=expand(operator, arrays["cage_mean"]),
        w_shp=expand(operator, arrays["cage_shape"]),
        w_exp=expand(operator, arrays["cage_expression"]),
        keypoints=keypoints.astype(np.int32),
        tri=_triangles(arrays, "tri", vertices),
        uv=_of_shape(arrays, "uv", vertices, 2).astype(np.float32),
        region=_of_shape(arrays, "region", vertices),
        region_names=REGION_NAMES,
        ambient=_of_shape(arrays, "ambient", vertices).astype(np.float32) / 255.0,
        context=context,
        shoulders=shoulders,
        expression_bank=_of_shape(arrays, "expression_bank", None, components).astype(np.float32),
        name="open" if name == "open_face.npz" else name,
        _back=(back, _triangles(arrays, "closed_tri", vertices + back.shape[0])),
    )


def _triangles(arrays: dict[str, np.ndarray], name: str, vertices: int) -> NDArray[np.int32]:
    """Triangles (M, 3) int32 over so many vertices."""
    _of_shape(arrays, name, None, 3)
    return _whole_numbers(arrays, name, below=vertices).astype(np.int32)


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
    if not all(isinstance(content[key], np.ndarray) and content[key].dtype.kind in "fiu" for key in needed):
        raise ValueError(f"Expected arrays of numbers in {name}, got other things; fetch or make it again.")
    u = np.asarray(content["u"], dtype=np.float32).reshape(-1, 1)
    tri = content["tri"]
    tri = check_triangles(tri.T if tri.ndim == 2 and tri.shape[0] == 3 and tri.shape[1] != 3 else tri)
    count, largest = len(u) // 3, int(tri.max(initial=-1))
    shapes = content["w_shp"].shape, content["w_exp"].shape
    if (
        {len(shape) for shape in shapes} != {2}
        or {shape[0] for shape in shapes} != {len(u)}
        or not 0 <= largest < count
    ):
        raise ValueError(
            f"Expected u, w_shp and w_exp with the same 3N rows and triangles below N in {name}, "
            f"got {len(u)} rows, {shapes[0]} and {shapes[1]} and a largest index of {largest}."
        )
    w_shp, w_exp = (np.asfortranarray(content[key], dtype=np.float32) for key in ("w_shp", "w_exp"))
    keypoints = content["keypoints"].astype(np.int64).ravel()
    if len(u) % 3 or keypoints.size % 3 or not ((keypoints >= 0) & (keypoints < len(u))).all():
        raise ValueError(f"Expected three rows a vertex and keypoints below {len(u)} in {name}; get the file again.")
    if not all(np.isfinite(array).all() for array in (u, w_shp, w_exp)):
        raise ValueError(f"Expected finite numbers in {name}, got NaN or infinity; get the file again.")
    keypoints = keypoints.astype(np.int32)
    # The solid's triangles must enclose their inside: turn them when the official list runs the other way.
    vertices = u.reshape(-1, 3).astype(np.float64)
    if boundary_loops(tri) and signed_volume(vertices, tri) < 0:
        tri = tri[:, ::-1]
    return dict(u=u, w_shp=w_shp, w_exp=w_exp, keypoints=keypoints, tri=np.ascontiguousarray(tri, np.int32), name=name)
