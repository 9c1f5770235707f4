"""Detectors of answers whose container, kind of numbers or shape is wrong: (pairs) → a sentence or None.

A detector gets one result of the function in all cases and speaks only if its sentence holds in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product
from typing import Any

import numpy as np

from vrnlib.checks.answers import Array, Function, Pair, close

Detector = Callable[[list[Pair]], "str | None"]


def everywhere(pairs: list[Pair], relation: Function, *options: Any) -> bool:
    """Whether the answer is what relation(pair, *options) predicts, in all cases."""
    for pair in pairs:
        with np.errstate(all="ignore"):
            try:
                predicted = relation(pair, *options)
            except (ValueError, IndexError, TypeError, ArithmeticError):  # nothing of this kind exists here
                return False
        if predicted is None or not close(pair.got, np.asarray(predicted)):
            return False
    return True


def not_numbers(pairs: list[Pair]) -> str | None:
    """Text, dictionaries, sets, arrays of None, lists of parts that do not fit together."""
    if all(pair.got.dtype == object for pair in pairs):
        return "expected numbers, and the answer holds something else, or lists of different lengths."
    return None


def wrong_kind(pairs: list[Pair]) -> str | None:
    """Truth values and numbers taken for each other."""
    wanted, kinds = pairs[0].wanted.dtype, {pair.got.dtype for pair in pairs}
    if wanted.kind == "b" and np.dtype(bool) not in kinds and everywhere(pairs, lambda p: p.wanted.astype(p.got.dtype)):
        kind = ", ".join(sorted(str(kind) for kind in kinds))
        return f"the values are right, but they are {kind}; a solid holds truth values, dtype bool."
    if wanted.kind != "b" and kinds == {np.dtype(bool)}:
        return "expected numbers, got truth values (bool)."
    return None


def axes(pairs: list[Pair]) -> str | None:
    """The right numbers with the axes in another order, perhaps turned; 'transposed' for tables."""
    if len({pair.wanted.ndim for pair in pairs}) > 1:
        return None
    count = pairs[0].wanted.ndim
    orders = list(permutations(range(count)))[1:]
    for order in orders:
        if everywhere(pairs, lambda p, order: p.wanted.transpose(order), order):
            if count == 2:
                return "your answer is transposed; rows and columns are swapped."
            return f"your answer is the right one with its axes in the order {order}; they must be {(*range(count),)}."
    for order, axis in product(orders, range(count)):
        if everywhere(pairs, lambda p, order, axis: np.flip(p.wanted.transpose(order), axis), order, axis):
            return f"your answer is turned: its axes are in the order {order}, and axis {axis} is reversed after that."
    return None


def other_arrangement(pairs: list[Pair]) -> str | None:
    """All numbers right, and in the right order, in another shape."""
    if any(pair.got.shape == pair.wanted.shape for pair in pairs):
        return None
    if everywhere(pairs, lambda p: p.wanted.reshape(p.got.shape)):
        got, wanted = pairs[0].got.shape, pairs[0].wanted.shape
        if len(got) > len(wanted):
            return f"the numbers are right, but there is an axis too many: shape {got}, expected {wanted}."
        kind = "flat" if len(got) == 1 and len(wanted) > 1 else "in another shape"
        return f"the numbers are right, but {kind}: shape {got}, expected {wanted}."
    return None


def _cut(pair: Pair, axis: int, places: slice) -> Array:
    return pair.wanted[(slice(None),) * axis + (places,)]


def part_of_the_answer(pairs: list[Pair]) -> str | None:
    """The first or last item is missing, or only one item of the answer came back."""
    for axis in range(min(pair.wanted.ndim for pair in pairs)):
        along = _axis_name(pairs[0].wanted.ndim, axis)
        for places, missing in ((slice(None, -1), "last"), (slice(1, None), "first")):
            if everywhere(pairs, lambda p, a, s: _cut(p, a, s), axis, places):
                return f"the {missing} of the {along} is missing; the rest is right."
        length = min(pair.wanted.shape[axis] for pair in pairs)
        for index in (*range(min(length, 12)), -1):
            if everywhere(pairs, lambda p, a, i: p.wanted.take(i, axis=a), axis, index):
                which = {0: "the first", 1: "the second", -1: "the last"}.get(index, f"number {index} (from 0)")
                return f"that is only {which} of the {along}; return all of them."
    return None


def more_than_the_answer(pairs: list[Pair]) -> str | None:
    """The answer stands at the beginning of a larger array."""

    def beginning(pair: Pair) -> bool:
        if pair.got.ndim != pair.wanted.ndim or any(
            a < b for a, b in zip(pair.got.shape, pair.wanted.shape, strict=True)
        ):
            return False
        return close(pair.got[tuple(slice(side) for side in pair.wanted.shape)], pair.wanted)

    larger = all(pair.got.shape != pair.wanted.shape for pair in pairs)
    if larger and pairs[0].wanted.ndim and all(beginning(pair) for pair in pairs):
        got, wanted = pairs[0].got.shape, pairs[0].wanted.shape
        return f"the beginning is right, but there is more behind it: shape {got}, expected {wanted}."
    return None


def fixed_size(pairs: list[Pair]) -> str | None:
    """The same shape whatever the arguments are."""
    if all(pair.got.shape != pair.wanted.shape and pair.got.shape == pair.wanted.shape[::-1] for pair in pairs):
        return f"the axes are the wrong way round: shape {pairs[0].got.shape}, expected {pairs[0].wanted.shape}."
    if len({pair.got.ndim for pair in pairs} | {pair.wanted.ndim for pair in pairs}) == 1:
        for axis in range(pairs[0].wanted.ndim):
            got, wanted = ({getattr(p, w).shape[axis] for p in pairs} for w in ("got", "wanted"))
            if len(got) == 1 < len(wanted):
                return f"axis {axis} always has {got.pop()} places, whatever the arguments; take the size from them."
    shapes = {pair.got.shape for pair in pairs}
    if len(shapes) == 1 and len({pair.wanted.shape for pair in pairs}) > 1:
        shape, other = pairs[0].got.shape, next(p.wanted.shape for p in pairs if p.wanted.shape != p.got.shape)
        return f"the answer always has the shape {shape}, where {other} was expected; take sizes from the arguments."
    return None


def reductions(pairs: list[Pair]) -> Iterator[tuple[str, Function]]:
    yield "sum", lambda array, axis: array.sum(axis=axis)
    yield "mean", lambda array, axis: array.mean(axis=axis)
    yield "largest value", lambda array, axis: array.max(axis=axis)
    yield "smallest value", lambda array, axis: array.min(axis=axis)
    if pairs[0].wanted.dtype == bool:
        yield "any", lambda array, axis: array.any(axis=axis)


def reduced_too_far(pairs: list[Pair]) -> str | None:
    """A sum, mean or maximum over an axis that should have stayed."""
    for word, reduce in reductions(pairs):
        for axis in (None, *range(pairs[0].wanted.ndim)):
            if everywhere(pairs, lambda p, r, a: r(p.wanted, a), reduce, axis):
                over = "all numbers" if axis is None else f"axis {axis}"
                return f"that is the {word} over {over} of the right answer; keep the shape {pairs[0].wanted.shape}."
    return None


def not_reduced(pairs: list[Pair]) -> str | None:
    """The numbers before the last sum, mean or maximum."""
    if any(pair.got.ndim <= pair.wanted.ndim or pair.got.dtype == bool for pair in pairs):
        return None
    for word, reduce in reductions(pairs):
        for axis in (None, *range(min(pair.got.ndim for pair in pairs))):
            if all(close(np.asarray(reduce(pair.got, axis)), pair.wanted) for pair in pairs):
                over = "" if axis is None else f" over axis {axis}"
                return f"the last step is missing: take the {word}{over}; an array {pairs[0].got.shape} came back."
    return None


def _axis_name(count: int, axis: int) -> str:
    if count == 1:
        return "numbers"
    if count == 2:
        return ("rows", "columns")[axis]
    return f"places along axis {axis}"


#: From the specific to the general.
SHAPE_DETECTORS: list[Detector] = [
    not_numbers,
    wrong_kind,
    axes,
    other_arrangement,
    part_of_the_answer,
    not_reduced,
    reduced_too_far,
    fixed_size,
    more_than_the_answer,
]
