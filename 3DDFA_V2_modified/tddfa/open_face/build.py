"""All of the building, in order, written to one file.

The file holds the cage (means and components) and the sparse operators that expand it: a tenth of the expanded
model's size. It is written deterministically: the same versions of the packages give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..contract import EXPRESSION_COUNT, SHAPE_COUNT
from ..files import replacing
from .back import close_back
from .cage import Cage, build_cage, fine_mesh
from .context import context_cage, context_mesh, context_regions, shoulder_rings
from .expressions import UNUSED_ACTION, action_shapes, expression_components, sample_actions
from .identities import align, fix_signs, sample_parameters, shape_components
from .landmarks import landmark_vertices
from .source import Head, open_head
from .surface import ambient_occlusion, cylinder_coordinates, region_labels

__all__ = ["build_arrays", "derived_arrays", "sample_identities", "write_model"]

IDENTITIES, BANK = 1500, 4000
IDENTITY_SEED, EXPRESSION_SEED = 0, 1
BATCH = 50
FORMAT = 1


def sample_identities(
    head: Head, cage: Cage, ring: np.ndarray, *, count: int, seed: int = IDENTITY_SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Cages (count, V, 3) and context cages (count, C, 3) of random identities, in mm, not aligned yet."""
    phenotypes, changes = sample_parameters(head, count, np.random.default_rng(seed))
    cages, contexts = [], []
    for start in range(0, count, BATCH):
        heads = head.vertices(phenotypes[start : start + BATCH], changes[start : start + BATCH])
        cages.append(cage.vertices(heads))
        contexts.append(heads[:, ring])
    return np.concatenate(cages), np.concatenate(contexts)


def _stored(name: str, matrix: sp.spmatrix) -> dict[str, np.ndarray]:
    """A sparse matrix as three arrays."""
    matrix = sp.csr_matrix(matrix)
    matrix.sum_duplicates()
    matrix.sort_indices()
    return {
        f"{name}_indptr": matrix.indptr.astype(np.int32),
        f"{name}_indices": matrix.indices.astype(np.uint16),
        f"{name}_data": matrix.data.astype(np.float32),
    }


def _bytes(values: np.ndarray) -> np.ndarray:
    """Shares 0..1 as uint8."""
    return np.round(255.0 * values).astype(np.uint8)


def derived_arrays(
    operator: sp.csr_matrix,
    cage_mean: np.ndarray,
    triangles: np.ndarray,
    context_operator: sp.csr_matrix,
    context_mean: np.ndarray,
    context_triangles: np.ndarray,
) -> dict[str, np.ndarray]:
    """Every stored array that follows from the mean's geometry alone, without the head mesh.

    Args:
        operator: (N, V) sparse, from the face's cage to its fine mesh.
        cage_mean: (V, 3) mm, the mean face's cage.
        triangles: (M, 3) of the face's fine mesh.
        context_operator: (Nc, C) sparse, the same for the context.
        context_mean: (C, 3) mm.
        context_triangles: (Mc, 3).
    """
    operator, landmarks = landmark_vertices(operator, cage_mean, triangles)
    face, around = operator @ cage_mean, context_operator @ context_mean
    back, closed = close_back(face, triangles)
    together = np.concatenate([face, around])
    ambient = ambient_occlusion(together, np.concatenate([triangles, context_triangles + len(face)]))
    rings, shift, shoulder_triangles = shoulder_rings(around, context_triangles)
    # The context overlaps the rim, so the face alone is a second witness: the darker one counts.
    ambient[: len(face)] = np.minimum(ambient[: len(face)], ambient_occlusion(face, triangles))
    return {
        **_stored("subdivision", operator),
        "keypoints": (3 * landmarks[:, None] + np.arange(3)).ravel().astype(np.int32),
        "tri": triangles.astype(np.uint16),
        **_stored("back", back),
        "closed_tri": closed.astype(np.uint16),
        "uv": cylinder_coordinates(face).astype(np.float16),
        "ambient": _bytes(ambient[: len(face)]),
        **_stored("context_subdivision", context_operator),
        "context_tri": context_triangles.astype(np.uint16),
        "context_ambient": _bytes(ambient[len(face) :]),
        "context_region": context_regions(around),
        **_stored("shoulder", rings),
        "shoulder_shift": shift.astype(np.float32),
        "shoulder_tri": shoulder_triangles.astype(np.uint16),
    }


def build_arrays(
    *,
    identities: int = IDENTITIES,
    bank: int = BANK,
    like: dict[str, np.ndarray] | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, np.ndarray]:
    """Build the whole model with ``anny``.

    Args:
        identities: number of random people.
        bank: number of scripted expressions.
        like: arrays of an earlier file; its components' signs are kept, so that stored coefficients stay valid.
        say: where progress goes.
    """
    head = open_head()
    cage = build_cage(head)
    operator, triangles = fine_mesh(cage, head.rest)
    ring, ring_quads = context_cage(head)
    context_operator, context_triangles = context_mesh(head.rest[ring], ring_quads)
    say(f"cage of {operator.shape[1]} vertices, fine mesh of {operator.shape[0]}, {len(triangles)} triangles")

    aligned = align(*sample_identities(head, cage, ring, count=identities), operator)
    shape, context_shape, explained = shape_components(aligned, operator, SHAPE_COUNT)
    signs = fix_signs(shape, None if like is None else like["cage_shape"])
    say(f"{identities} identities; {SHAPE_COUNT} components explain {explained[-1]:.1%}")

    actions = tuple(name for name in head.action_labels if name != UNUSED_ACTION)
    moved = action_shapes(head, actions)
    expression = expression_components(
        np.stack([cage.operator @ one for one in moved], axis=-1),
        moved[:, ring].transpose(1, 2, 0),
        sample_actions(actions, bank, np.random.default_rng(EXPRESSION_SEED)),
        operator,
        EXPRESSION_COUNT,
    )
    turns = fix_signs(expression.basis, None if like is None else like["cage_expression"])
    say(f"{bank} expressions; {EXPRESSION_COUNT} components explain {expression.explained[-1]:.1%}")

    derived = derived_arrays(
        operator, aligned.mean, triangles, context_operator, aligned.context_mean, context_triangles
    )
    return {
        "format": np.int32(FORMAT),
        "cage_mean": aligned.mean.astype(np.float32),
        "cage_shape": (shape * signs).astype(np.float16),
        "cage_expression": (expression.basis * turns).astype(np.float16),
        "context_cage_mean": aligned.context_mean.astype(np.float32),
        "context_cage_shape": (context_shape * signs).astype(np.float16),
        "context_cage_expression": (expression.context * turns).astype(np.float16),
        "expression_bank": (expression.bank * turns).astype(np.float16),
        "shape_explained": explained.astype(np.float32),
        "expression_explained": expression.explained.astype(np.float32),
        "region": region_labels(head, cage, operator, operator @ aligned.mean),
        **derived,
    }


def write_model(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays as a compressed .npz, whole or not at all."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        named: Any = {key: arrays[key] for key in sorted(arrays)}
        np.savez_compressed(file, **named)
