"""The last detector before bare numbers: say back which simple formula the answer follows, and which it should."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from vrnlib.checks.answers import Array, Pair, as_array

#: No more than this many numbers of each case are looked at while formulas are searched.
ROWS = 24


def formula(pairs: list[Pair]) -> str | None:
    """A sum of at most three terms, each an argument, a product or a quotient of two, times a simple number."""
    if any(pair.got.shape != pair.wanted.shape or pair.got.ndim not in (0, 1, 2) for pair in pairs):
        return None
    if any("b" in pair.got.dtype.kind + pair.wanted.dtype.kind for pair in pairs):
        return None
    width = pairs[0].wanted.shape[1] if pairs[0].wanted.ndim == 2 else 1
    if width > 4 or any(pair.wanted.ndim == 2 and pair.wanted.shape[1] != width for pair in pairs):
        return None
    said = []
    for at in range(width):
        got, wanted = (_column([getattr(pair, which) for pair in pairs], at) for which in ("got", "wanted"))
        if not np.isfinite(got).all() or np.allclose(got, wanted, rtol=1e-5, atol=1e-5):
            continue
        terms = _terms(pairs)
        yours, right = (_as_sum(values, terms) for values in (got, wanted))
        if yours is None or right is None:
            return None
        said.append(f"{f'column {at}' if width > 1 else 'your answer'} is {yours}; it should be {right}")
    return "; ".join(said) + "." if said else None


def _column(arrays: list[Array], at: int) -> Array:
    columns = [array[:, at] if array.ndim == 2 else np.atleast_1d(array) for array in arrays]
    return np.concatenate([column[:ROWS].astype(float) for column in columns])


def _terms(pairs: list[Pair]) -> dict[str, Array]:
    """Named values for each row of the answer: columns of arguments, numbers, their products and quotients."""
    columns: dict[str, Array] = {}
    scalars: dict[str, Array] = {}
    for name, value in pairs[0].arguments.items():
        if all(_fits(pair, name) for pair in pairs):
            many = as_array(value).ndim == 2
            for at in range(as_array(value).shape[1] if many else 1):
                words = f"{name}[:, {at}]" if many else name
                columns[words] = _column([as_array(pair.arguments[name]) for pair in pairs], at)
        else:
            scalars |= _scalars(pairs, name)
    terms = {**columns, **scalars}
    with np.errstate(all="ignore"):
        for word, value in scalars.items():
            for other, values in columns.items():
                terms[f"{word} · {other}"], terms[f"{other} / {word}"] = value * values, values / value
        for one, other in combinations(scalars, 2):
            terms[f"{one} · {other}"] = scalars[one] * scalars[other]
            terms[f"{one} / {other}"], terms[f"{other} / {one}"] = (
                scalars[one] / scalars[other],
                scalars[other] / scalars[one],
            )
    terms[""] = np.ones(sum(map(_rows, pairs)))
    return {words: values for words, values in terms.items() if np.isfinite(values).all()}


def _fits(pair: Pair, name: str) -> bool:
    array = as_array(pair.arguments[name])
    return array.ndim in (1, 2) and pair.wanted.ndim > 0 and len(array) == len(pair.wanted)


def _scalars(pairs: list[Pair], name: str) -> dict[str, Array]:
    """The argument's entries, if it is small, without zeros and without those that repeat."""
    arrays = [as_array(pair.arguments[name]).astype(float) for pair in pairs]
    if arrays[0].size > 6 or any(array.shape != arrays[0].shape for array in arrays):
        return {}
    found: dict[str, Array] = {}
    for place in np.ndindex(arrays[0].shape):
        words = name + (f"[{', '.join(map(str, place))}]" if place else "")
        values = np.concatenate([np.full(_rows(pair), array[place]) for pair, array in zip(pairs, arrays, strict=True)])
        if values.any() and not any(np.array_equal(values, other) for other in found.values()):
            found[words] = values
    return found


def _rows(pair: Pair) -> int:
    return min(ROWS, len(pair.wanted)) if pair.wanted.ndim else 1


def _as_sum(values: Array, terms: dict[str, Array]) -> str | None:
    """The shortest sum of terms that gives all values, with simple factors; None where there is none."""
    size = np.abs(values).max(initial=0.0)
    for count in (1, 2, 3):
        if count == 3 and len(terms) > 40 or len(values) < 3 * count:
            return None
        for names in combinations(terms, count):
            matrix = np.stack([terms[name] for name in names], axis=1)
            factors = np.linalg.lstsq(matrix[: 4 * count], values[: 4 * count], rcond=None)[0]
            if not np.allclose(matrix[: 4 * count] @ factors, values[: 4 * count], rtol=1e-5, atol=1e-6 * size):
                continue
            factors = np.linalg.lstsq(matrix, values, rcond=None)[0]
            if all(map(_simple, factors)) and np.allclose(matrix @ factors, values, rtol=1e-5, atol=1e-6 * size):
                return _said(names, factors)
    return None


def _simple(factor: Any) -> bool:
    return abs(factor) > 1e-3 and abs(4 * factor - round(4 * factor)) < 1e-3


def _said(names: tuple[str, ...], factors: Array) -> str:
    words = ""
    for name, factor in zip(names, factors, strict=True):
        number = f"{abs(round(4 * factor) / 4):g}"
        term = name if name and number == "1" else f"{number} · {name}" if name else number
        sign = ("−" if factor < 0 else "") if not words else (" − " if factor < 0 else " + ")
        words += f"{sign}{term}"
    return words
