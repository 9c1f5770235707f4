"""The morphable face model: a mean face, 40 shape and 10 expression components, landmarks, a closed back.

Two sources, one interface. ``MorphableModel.open()`` is the open model of this repository, baked from CC0
MakeHuman data. ``MorphableModel.load(path)`` also reads the official ``bfm_noneck_v3.pkl`` (Basel Face Model 2009,
academic use only) for whoever has it.

Layout as in 3DDFA_V2 (Guo et al., ECCV 2020): ``u`` (3N, 1), ``w_shp`` (3N, 40), ``w_exp`` (3N, 10), rows
x0, y0, z0, x1, ...; a face is ``(u + w_shp @ a + w_exp @ b).reshape(3, -1, order="F").T``. Frame: x to the viewer's
right, y up, z towards the viewer; millimetres for the open model, micrometres for BFM as in its files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .safe_pickle import load_pickle
from .topology import boundary_loops, check_triangles, fill_loops

__all__ = ["Context", "MorphableModel"]

REGION_NAMES = ("skin", "lips", "eye", "mouth interior", "eyelid", "ear")
"""Names of the region labels 0 to 5 of the open model."""

CONTEXT_REGION_NAMES = ("scalp", "neck", "shoulders")
"""Names of the context's region labels 0 to 2."""


@dataclass(frozen=True)
class Context:
    """What surrounds the open face in a picture: scalp, neck and shoulders; never part of a volume.

    Attributes:
        u: (3Nc, 1), w_shp (3Nc, 40), w_exp (3Nc, 10) float32, the same layout and coefficients as the face.
        tri: (Mc, 3) int32, oriented outwards.
        ambient: (Nc,) float32 in 0..1, share of the sky that a point of the mean sees.
        region: (Nc,) uint8, index into ``region_names``.
    """

    u: np.ndarray
    w_shp: np.ndarray
    w_exp: np.ndarray
    tri: np.ndarray
    ambient: np.ndarray
    region: np.ndarray
    region_names: tuple[str, ...] = CONTEXT_REGION_NAMES

    @property
    def mean(self) -> np.ndarray:
        """Vertices (Nc, 3) of the mean head in mm."""
        return self.u.reshape(-1, 3)


@dataclass(frozen=True)
class MorphableModel:
    """A linear 3D face model.

    Attributes:
        u: (3N, 1) float32 mean. w_shp: (3N, ns) and w_exp: (3N, ne) float32 components; in the open model their
            coefficients have unit variance. keypoints: (204,) int32 rows of the 68 landmarks (x, y, z of each).
        tri: (M, 3) int32, counter-clockwise from outside.
        uv: (N, 2) float32 in 0..1 or None. region: (N,) uint8 labels into ``region_names`` or None.
        ambient: (N,) float32 in 0..1 or None. context: ``Context`` or None.
        expression_bank: (B, ne) float32 plausible expression coefficients or None.
        name: "open" or the file's name.
    """

    u: np.ndarray
    w_shp: np.ndarray
    w_exp: np.ndarray
    keypoints: np.ndarray
    tri: np.ndarray
    uv: np.ndarray | None = None
    region: np.ndarray | None = None
    region_names: tuple[str, ...] = ()
    ambient: np.ndarray | None = None
    context: Context | None = None
    expression_bank: np.ndarray | None = None
    name: str = "open"
    _back: tuple[sp.csr_matrix, np.ndarray] | None = field(default=None, repr=False)

    @classmethod
    def open(cls) -> MorphableModel:
        """The open face model that this package carries."""
        source = resources.files("tddfa") / "data" / "open_face.npz"
        with resources.as_file(source) as path:
            return cls.load(path)

    @classmethod
    def load(cls, path: str | Path) -> MorphableModel:
        """Read an open model (.npz) or the official BFM file (.pkl, triangles in it or in tri.pkl beside it).

        Raises:
            FileNotFoundError: no such file.
            ValueError: unknown layout, or the pickle holds anything but arrays and plain containers.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"Expected a face model at {path}, found no such file; check the path.")
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return _from_open_file({key: file[key] for key in file.files}, path.name)
        content = load_pickle(path)
        if isinstance(content, dict) and "tri" not in content and (path.parent / "tri.pkl").is_file():
            content = {**content, "tri": load_pickle(path.parent / "tri.pkl")}
        return _from_official(content, path.name)

    @property
    def mean(self) -> np.ndarray:
        """Vertices (N, 3) float32 of the mean face."""
        return self.u.reshape(-1, 3)

    @property
    def vertex_count(self) -> int:
        """N."""
        return len(self.u) // 3

    @property
    def landmark_vertices(self) -> np.ndarray:
        """Vertex indices (68,) of the landmarks in iBUG order."""
        return self.keypoints.reshape(-1, 3)[:, 0] // 3

    def reconstruct(self, shape: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Vertices (N, 3) float32 of the face with these coefficients.

        Fewer coefficients than components are allowed: the missing ones are zero.

        Raises:
            ValueError: not one-dimensional, or more coefficients than components.
        """
        return _combine(self.u, self.w_shp, self.w_exp, shape, expression)

    def reconstruct_context(self, shape: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Vertices (Nc, 3) float32 of scalp, neck and shoulders for the same coefficients.

        Raises:
            ValueError: the model has no context (BFM), or wrong coefficients.
        """
        if self.context is None:
            raise ValueError(f"Expected a model with scalp and neck, {self.name} has none; use the open model.")
        return _combine(self.context.u, self.context.w_shp, self.context.w_exp, shape, expression)

    @property
    def context_tri(self) -> np.ndarray | None:
        """Triangles (Mc, 3) of the context, or None."""
        return None if self.context is None else self.context.tri

    def landmarks(self, vertices: np.ndarray) -> np.ndarray:
        """The 68 landmark rows (68, 3) of (N, 3) vertices in any frame; closed (N + B, 3) vertices are fine."""
        return np.asarray(vertices)[self.landmark_vertices]

    @property
    def closed_tri(self) -> np.ndarray:
        """Triangles (M2, 3) int32 of the closed solid over N + B vertices; fixed for a model."""
        return self._closing()[1]

    def close(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The solid's watertight mesh.

        Args:
            vertices: (N, 3) in any affine frame (model, image, crop); the new vertices are fixed affine
                combinations of these.

        Returns:
            ((N + B, 3) vertices of the same dtype, (M2, 3) int32 triangles oriented like ``tri``). In the open
            model the solid ends in front of the ears: vertices behind its back are in no triangle.

        Raises:
            ValueError: wrong number of vertices.
        """
        vertices = np.asarray(vertices)
        if vertices.shape != (self.vertex_count, 3):
            raise ValueError(f"Expected vertices ({self.vertex_count}, 3) of {self.name}, got {vertices.shape}.")
        if vertices.dtype.kind != "f":
            vertices = vertices.astype(np.float32)
        weights, triangles = self._closing()
        return np.concatenate([vertices, (weights @ vertices).astype(vertices.dtype)]), triangles

    def _closing(self) -> tuple[sp.csr_matrix, np.ndarray]:
        """(weights (B, N), closed triangles); worked out once for models that bring none."""
        if self._back is None:
            weights, triangles = fill_loops(self.tri, self.vertex_count)
            back = weights.astype(np.float32), np.ascontiguousarray(triangles, dtype=np.int32)
            object.__setattr__(self, "_back", back)
        return self._back

    def sample_shape(self, rng: np.random.Generator, *, limit: float = 2.5) -> np.ndarray:
        """Random shape coefficients (ns,) float32: standard normal, clipped at ``limit``."""
        return np.clip(rng.standard_normal(self.w_shp.shape[1]), -limit, limit).astype(np.float32)

    def sample_expression(self, rng: np.random.Generator) -> np.ndarray:
        """Random expression coefficients (ne,) float32 from the bank.

        Raises:
            ValueError: the model has no bank (BFM).
        """
        if self.expression_bank is None:
            raise ValueError(f"Expected a model with an expression bank, {self.name} has none; use the open one.")
        return self.expression_bank[rng.integers(len(self.expression_bank))].copy()

    def with_components(self, *, shape: int, expression: int) -> MorphableModel:
        """The same model with only the first components; the bank is shortened alike."""
        context, bank = self.context, self.expression_bank
        if context is not None:
            context = replace(context, w_shp=context.w_shp[:, :shape], w_exp=context.w_exp[:, :expression])
        return replace(
            self,
            w_shp=np.ascontiguousarray(self.w_shp[:, :shape]),
            w_exp=np.ascontiguousarray(self.w_exp[:, :expression]),
            expression_bank=None if bank is None else bank[:, :expression],
            context=context,
        )


def _combine(
    u: np.ndarray, w_shp: np.ndarray, w_exp: np.ndarray, shape: np.ndarray, expression: np.ndarray
) -> np.ndarray:
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


def expand(operator: sp.csr_matrix, cage: np.ndarray) -> np.ndarray:
    """A cage basis (V, 3, K), or mean (V, 3), on the fine mesh: rows x0, y0, z0, x1, ... (3N, K) float32."""
    flat = cage.astype(np.float64).reshape(len(cage), -1)
    return np.ascontiguousarray((operator @ flat).reshape(3 * operator.shape[0], -1).astype(np.float32))


def _from_open_file(arrays: dict[str, np.ndarray], name: str) -> MorphableModel:
    """Expand the arrays of ``open_face.npz`` (cage and subdivision operators) into a model."""
    needed = {"cage_mean", "cage_shape", "cage_expression", "tri", "keypoints", "closed_tri"}
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
    back = sparse_from(arrays, "back", operator.shape[0]).astype(np.float32)
    return MorphableModel(
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
        expression_bank=arrays["expression_bank"].astype(np.float32),
        name="open" if name == "open_face.npz" else name,
        _back=(back, arrays["closed_tri"].astype(np.int32)),
    )


def _from_official(content: object, name: str) -> MorphableModel:
    """A model from the dictionary of the official pickle (u, w_shp, w_exp, keypoints, tri)."""
    needed = ("u", "w_shp", "w_exp", "keypoints", "tri")
    if not isinstance(content, dict) or not set(needed) <= content.keys():
        have = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"Expected the arrays {', '.join(needed)} in {name} (tri may lie in tri.pkl beside it), got {have}."
        )
    u = np.asarray(content["u"], dtype=np.float32).reshape(-1, 1)
    w_shp, w_exp = (np.ascontiguousarray(content[key][:, :], dtype=np.float32) for key in ("w_shp", "w_exp"))
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
    if boundary_loops(tri) and _volume(vertices, tri) < 0:
        tri = tri[:, ::-1]
    return MorphableModel(
        u=u, w_shp=w_shp, w_exp=w_exp, keypoints=keypoints, tri=np.ascontiguousarray(tri, np.int32), name=name
    )


def _volume(vertices: np.ndarray, triangles: np.ndarray) -> float:
    """Signed volume of a mesh closed through its vertices' mean: positive for counter-clockwise from outside."""
    corner = (vertices - vertices.mean(axis=0))[triangles]
    return float(np.einsum("ij,ij->", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])) / 6.0)
