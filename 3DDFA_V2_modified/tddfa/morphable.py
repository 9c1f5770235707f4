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

from .archives import Archive
from .arrays import Floats, Integers
from .describe import short_repr
from .files import check_file
from .model_files import Context, combine, fields_from_official, fields_from_open_file
from .safe_pickle import load_pickle
from .topology import fill_loops

__all__ = ["Context", "MorphableModel"]

LARGEST_FILE = 2**30
"""Bytes of a face model's file, unpacked; BFM with all its components has half as many."""


@dataclass(frozen=True, repr=False)
class MorphableModel:
    """A linear 3D face model.

    Attributes:
        u: (3N, 1) float32 mean.
        w_shp: (3N, ns) float32 shape components, column after column in memory (three times as fast to multiply as row
            after row); in the open model their coefficients have unit variance.
        w_exp: (3N, ne) float32 expression components, likewise.
        keypoints: (204,) int32 rows of the 68 landmarks (x, y, z of each).
        tri: (M, 3) int32, counter-clockwise from outside.
        uv: (N, 2) float32 in 0..1 or None.
        region: (N,) uint8 labels into ``region_names`` or None.
        ambient: (N,) float32 in 0..1 or None.
        context: scalp and neck, a ``Context``, or None.
        shoulders: a ``Context`` that hangs on the neck's lower edge, or None; pictures may use clothes instead.
        expression_bank: (B, ne) float32 plausible expression coefficients or None.
        name: "open" or the file's name.
    """

    u: Floats
    w_shp: Floats
    w_exp: Floats
    keypoints: Integers
    tri: Integers
    uv: Floats | None = None
    region: Integers | None = None
    region_names: tuple[str, ...] = ()
    ambient: Floats | None = None
    context: Context | None = None
    shoulders: Context | None = None
    expression_bank: Floats | None = None
    name: str = "open"
    _back: tuple[sp.csr_matrix, Integers] | None = field(default=None, repr=False)

    __repr__ = short_repr

    @classmethod
    def open(cls) -> MorphableModel:
        """The open face model that this package carries."""
        source = resources.files("tddfa") / "data" / "open_face.npz"
        with resources.as_file(source) as path:
            return cls.load(path)

    @classmethod
    def load(cls, path: str | Path) -> MorphableModel:
        """Read an open model (.npz) or the official BFM file (.pkl, triangles in it or in tri.pkl beside it).

        As in 3DDFA_V2, triangles come from tri.pkl when the file has none or is named bfm_noneck_v3.pkl.

        Raises:
            FileNotFoundError: no such file.
            ValueError: unknown layout, or the pickle holds anything but arrays and plain containers.
        """
        path = check_file(path, largest=LARGEST_FILE, what="a face model")
        if path.suffix.lower() == ".npz":
            with Archive(path, largest=LARGEST_FILE, what="a face model") as file:
                return cls(**fields_from_open_file({name: file[name] for name in file.names}, path.name))
        content = load_pickle(path)
        tri_is_apart = path.name == "bfm_noneck_v3.pkl" or (isinstance(content, dict) and "tri" not in content)
        if isinstance(content, dict) and tri_is_apart and (path.parent / "tri.pkl").is_file():
            content = {**content, "tri": load_pickle(path.parent / "tri.pkl")}
        return cls(**fields_from_official(content, path.name))

    @property
    def mean(self) -> Floats:
        """Vertices (N, 3) float32 of the mean face."""
        return self.u.reshape(-1, 3)

    @property
    def vertex_count(self) -> int:
        """N."""
        return len(self.u) // 3

    @property
    def landmark_vertices(self) -> Integers:
        """Vertex indices (68,) of the landmarks in iBUG order."""
        return self.keypoints.reshape(-1, 3)[:, 0] // 3

    def reconstruct(self, shape: Floats, expression: Floats) -> Floats:
        """Vertices (N, 3) float32 of the face with these coefficients.

        Fewer coefficients than components are allowed: the missing ones are zero.

        Raises:
            ValueError: not one-dimensional, or more coefficients than components.

        Example:
            >>> model = MorphableModel.open()
            >>> model.reconstruct(np.zeros(40), np.zeros(10)).shape
            (13012, 3)
        """
        return combine(self.u, self.w_shp, self.w_exp, shape, expression)

    def landmarks(self, vertices: Floats) -> Floats:
        """The 68 landmark rows (68, 3) of (N, 3) vertices in any frame; closed (N + B, 3) vertices are fine."""
        return np.asarray(vertices)[self.landmark_vertices]

    @property
    def closed_tri(self) -> Integers:
        """Triangles (M2, 3) int32 of the closed solid over N + B vertices; fixed for a model."""
        return self._closing()[1]

    def close(self, vertices: Floats) -> tuple[Floats, Integers]:
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

    def _closing(self) -> tuple[sp.csr_matrix, Integers]:
        """(weights (B, N), closed triangles); worked out once for models that bring none."""
        if self._back is None:
            weights, triangles = fill_loops(self.tri, self.vertex_count)
            back = weights.astype(np.float32), np.ascontiguousarray(triangles, dtype=np.int32)
            object.__setattr__(self, "_back", back)
            return back
        return self._back

    def sample_shape(self, rng: np.random.Generator, *, limit: float = 2.5) -> Floats:
        """Random shape coefficients (ns,) float32: standard normal, clipped at ``limit``."""
        return np.clip(rng.standard_normal(self.w_shp.shape[1]), -limit, limit).astype(np.float32)

    def sample_expression(self, rng: np.random.Generator) -> Floats:
        """Random expression coefficients (ne,) float32 from the bank.

        Raises:
            ValueError: the model has no bank (BFM).
        """
        if self.expression_bank is None:
            raise ValueError(f"Expected a model with an expression bank, {self.name} has none; use the open one.")
        return self.expression_bank[rng.integers(len(self.expression_bank))].copy()

    def with_components(self, *, shape: int, expression: int) -> MorphableModel:
        """The same model with only the first components; the bank is shortened alike."""
        bank = self.expression_bank
        around = [
            part and replace(part, w_shp=part.w_shp[:, :shape], w_exp=part.w_exp[:, :expression])
            for part in (self.context, self.shoulders)
        ]
        return replace(
            self,
            w_shp=self.w_shp[:, :shape],
            w_exp=self.w_exp[:, :expression],
            expression_bank=None if bank is None else bank[:, :expression],
            context=around[0],
            shoulders=around[1],
        )
