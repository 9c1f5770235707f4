"""Detectors of wrong solids: columns of voxels that begin or end one too early, or stand where there are none."""

from __future__ import annotations

import numpy as np

from vrnlib.checks.answers import Array, Pair


def _ends(volume: Array) -> tuple[Array, Array, Array]:
    """Where the columns along the first axis begin, end, and whether they are in one piece."""
    filled = volume.any(axis=0)
    first = volume.argmax(axis=0)
    last = len(volume) - 1 - volume[::-1].argmax(axis=0)
    return (
        np.where(filled, first, -1),
        np.where(filled, last, -1),
        volume.sum(axis=0) == np.where(filled, last - first + 1, 0),
    )


def columns_of_voxels(pairs: list[Pair]) -> str | None:
    """Ends that are one voxel off, columns with gaps, columns that should be empty."""
    if any(pair.got.shape != pair.wanted.shape or pair.wanted.ndim != 3 for pair in pairs):
        return None
    if any(pair.wanted.dtype != bool or pair.got.dtype != bool for pair in pairs):
        return None
    begins, stops, extra, gaps = set(), set(), True, True
    for pair in pairs:
        first, last, _ = _ends(pair.wanted)
        begin, stop, whole = _ends(pair.got)
        solid, filled = pair.wanted.any(axis=0), pair.got.any(axis=0)
        extra &= bool((pair.got == pair.wanted)[:, solid].all() and (filled & ~solid).any())
        gaps &= bool((~whole).any() and not (pair.got & ~pair.wanted).any())
        if not whole.all() or (filled & ~solid).any():
            begins.add(99)
            continue
        both = solid & filled
        begins |= set((begin - first)[both].tolist())
        stops |= set((last - stop)[both].tolist())
    if extra:
        return "the columns with a surface are right, but columns without one (NaN) are filled too."
    if gaps:
        return "the columns have gaps; voxels between back and front are missing."
    if not (begins | stops) <= {-1, 0, 1}:
        return None
    words = [_end(begins, "begin", "early", "late"), _end(stops, "end", "late", "early")]
    said = " and ".join(word for word in words if word)
    return f"{said}; a slice k belongs to the solid where 2 back + offset ≤ k ≤ 2 front + offset." if said else None


def _end(differences: set[int], verb: str, low: str, high: str) -> str:
    moved = differences - {0}
    if not moved:
        return ""
    which = "some columns" if 0 in differences else "the columns"
    if len(moved) == 2:
        return f"some columns {verb} a voxel too early or too late"
    return f"{which} {verb} one voxel too {low if moved == {-1} else high}"
