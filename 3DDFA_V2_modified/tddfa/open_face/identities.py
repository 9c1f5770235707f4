"""Random identities, their similarity alignment, and the shape components.

Faces of random heads are brought onto their mean by similarity transforms (generalised Procrustes analysis, Gower
1975), and the principal components of what differs become the shape basis, scaled so that the coefficients have
unit variance. Distances are those of the fine mesh; they are computed on the cage through the operator's Gram
matrix, which is exact and small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..describe import short_repr
from ..geometry import best_rotation
from .source import Head

__all__ = ["Aligned", "align", "fix_signs", "sample_parameters", "shape_components"]

SIGMA = 0.22
"""Spread of a local change; 0.38 gives caricatures."""

LOCAL_PREFIXES = ("cheek", "chin", "ear-", "eyebrows", "eye-", "forehead", "head-", "mouth", "nose")

SPREAD = {
    "head-trans-out": 0.05, "head-trans-up": 0.0, "head-trans-forward": 0.0, "head-angle-out": 0.05,
    "nose-trans-out": 0.12, "mouth-trans-out": 0.12, "neck-double-incr": 0.15, "head-back-scale-depth-incr": 0.1,
    "mouth-dimples-out": 0.12, "mouth-laugh-lines-out": 0.2, "eye-push1-out": 0.12, "eye-push2-out": 0.12,
    "head-age-incr": 0.25, "mouth-angles-up": 0.15, "head-scale-vert-incr": 0.12, "head-scale-depth-incr": 0.12,
    "head-scale-horiz-incr": 0.12, "chin-jaw-drop-incr": 0.12, "chin-height-incr": 0.15,
    "forehead-scale-vert-incr": 0.13, "forehead-trans-forward": 0.15, "forehead-nubian-incr": 0.15,
    "forehead-temple-incr": 0.18, "chin-width-incr": 0.18, "chin-prognathism-incr": 0.15, "nose-base-up": 0.18,
    "nose-trans-up": 0.15, "mouth-trans-up": 0.15, "mouth-trans-forward": 0.15, "nose-trans-forward": 0.15,
    "ear-wing-incr": 0.3,
}  # fmt: skip
"""Changes with a spread of their own: those that move much of the face, or look odd at full strength."""


def _without_side(label: str) -> str:
    """The label of a change without its "l-" or "r-"."""
    return label[2:] if label[:2] in ("l-", "r-") else label


def sample_parameters(head: Head, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Phenotypes (count, P) and local changes (count, L) of random people.

    Women and men, young and old (one in eight younger), mixtures of MakeHuman's three ancestries, faces nearly
    but not exactly symmetric.
    """
    phenotypes = np.full((count, len(head.phenotype_labels)), 0.5, np.float32)
    column = {label: i for i, label in enumerate(head.phenotype_labels)}
    phenotypes[:, column["gender"]] = rng.beta(0.6, 0.6, count)
    young = rng.random(count) < 0.12
    ages = rng.uniform(0.33, 0.6, count), rng.uniform(0.58, 1.0, count)
    phenotypes[:, column["age"]] = np.clip(np.where(young, *ages), 0, 1)
    for label, spread in (("muscle", 0.2), ("weight", 0.22), ("height", 0.2), ("proportions", 0.2)):
        phenotypes[:, column[label]] = np.clip(rng.normal(0.5, spread, count), 0, 1)
    ancestry = rng.dirichlet([0.5, 0.5, 0.5], count)
    phenotypes[:, [column[label] for label in ("african", "asian", "caucasian")]] = ancestry

    changes = np.zeros((count, len(head.local_labels)), np.float32)
    shared: dict[str, np.ndarray] = {}
    for i, label in enumerate(head.local_labels):
        name = _without_side(label)
        if not name.startswith(LOCAL_PREFIXES) and name != "neck-double-incr":
            continue
        if name not in shared:
            shared[name] = rng.normal(0, 1, count)
        strength = shared[name]
        if name != label:
            strength = 0.93 * strength + 0.37 * 0.6 * rng.normal(0, 1, count)
        changes[:, i] = np.clip(SPREAD.get(name, SIGMA) * strength, -1, 1)
    return phenotypes, changes


@dataclass(frozen=True, repr=False)
class Aligned:
    """Identities on their mean: ``cages`` (B, V, 3) and ``contexts`` (B, C, 3) mm, centred, and their means."""

    cages: np.ndarray
    contexts: np.ndarray
    mean: np.ndarray
    context_mean: np.ndarray

    __repr__ = short_repr


def align(cages: np.ndarray, contexts: np.ndarray, operator: sp.csr_matrix, *, rounds: int = 4) -> Aligned:
    """Similarity alignment of (B, V, 3) cages by their fine meshes; (B, C, 3) contexts move along.

    The mean keeps the population's mean size; its fine vertices are centred at the origin.
    """
    gram = (operator.T @ operator).tocsr()
    share = np.asarray(operator.sum(axis=0)).ravel() / operator.shape[0]
    reference = cages.mean(axis=0)
    moved, moved_contexts = np.empty_like(cages), np.empty_like(contexts)
    for _ in range(rounds):
        middle = share @ reference
        weighted = gram @ (reference - middle)
        size = np.sqrt(((reference - middle) * weighted).sum())
        for i, cage in enumerate(cages):
            own = share @ cage
            centred = cage - own
            rotation, singular = best_rotation(weighted.T @ centred)
            transform = singular.sum() / (centred * (gram @ centred)).sum() * rotation.T
            moved[i] = centred @ transform + middle
            moved_contexts[i] = (contexts[i] - own) @ transform + middle
        mean = moved.mean(axis=0)
        mean = mean - share @ mean
        reference = mean * (size / np.sqrt((mean * (gram @ mean)).sum()))
    mean = moved.mean(axis=0)
    centre = share @ mean
    moved, moved_contexts = moved - centre, moved_contexts - centre
    return Aligned(moved, moved_contexts, mean - centre, moved_contexts.mean(axis=0))


def shape_components(
    aligned: Aligned, operator: sp.csr_matrix, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of the identities, in the metric of the fine mesh.

    Returns:
        (basis (V, 3, count), context basis (C, 3, count), explained (count,)): a unit coefficient is one standard
        deviation; ``explained`` is the cumulative share of the variance.
    """
    people = len(aligned.cages)
    deviation = aligned.cages - aligned.mean
    gram = operator.T @ operator
    flat = deviation.transpose(1, 0, 2).reshape(len(aligned.mean), -1)
    weighted = (gram @ flat).reshape(len(aligned.mean), people, 3).transpose(1, 0, 2)
    products = deviation.reshape(people, -1) @ weighted.reshape(people, -1).T
    variance, directions = np.linalg.eigh((products + products.T) / 2)
    order = np.argsort(variance)[::-1]
    variance, directions = variance[order], directions[:, order[:count]]
    basis = np.einsum("nvc,nk->vck", deviation, directions, optimize=True) / np.sqrt(people)
    around = aligned.contexts - aligned.context_mean
    context_basis = np.einsum("nvc,nk->vck", around, directions, optimize=True) / np.sqrt(people)
    explained = np.cumsum(variance) / variance.sum()
    return basis, context_basis, explained[:count]


def fix_signs(basis: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Signs (K,) that make a basis (V, 3, K) definite.

    Without ``like`` the entry of largest magnitude becomes positive. With an earlier basis each component points the
    way it did there, so that coefficients stored by others stay valid.
    """
    flat = basis.reshape(-1, basis.shape[-1])
    if like is None:
        leading = flat[np.abs(flat).argmax(axis=0), np.arange(flat.shape[1])]
    else:
        leading = (flat * like.reshape(flat.shape).astype(np.float64)).sum(axis=0)
    return np.where(leading < 0, -1.0, 1.0)
