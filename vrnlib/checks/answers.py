"""What a function returned, as arrays that can be compared: lists, tuples, tensors and scalars are all welcome."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Function = Callable[..., Any]
"""A student's function, or one of ours in its place; each exercise has other arguments."""


class Case(NamedTuple):
    """One call of a function: its arguments by name, what came back and what should have."""

    arguments: dict[str, Any]
    got: Any
    wanted: Any
    printed: str = ""
    written: tuple[str, ...] = ()


class Pair(NamedTuple):
    """One result of one call, as arrays."""

    got: Array
    wanted: Array
    arguments: dict[str, Any]


def as_array(value: Any) -> Array:
    """Any result as an array; what holds no numbers has the dtype object."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        return value.numpy() if hasattr(value, "numpy") else np.asarray(value, dtype=object)
    if isinstance(value, list | tuple):
        value = [as_array(part) for part in value]
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # parts of different shapes
        return np.empty((), dtype=object)
    return array if array.dtype.kind in "biufc" else np.empty(array.shape, dtype=object)


def results(got: Any, wanted: Any) -> list[Array]:
    """The results of a function as a list of arrays, as many as wanted where that is possible.

    >>> [part.shape for part in results([1.0, 2.0], np.zeros(2))]
    [(2,)]
    >>> [part.shape for part in results(np.zeros((2, 5)), (np.zeros(5), np.zeros(5)))]
    [(5,), (5,)]
    >>> [part.shape for part in results(np.array([30]), 30)]
    [()]
    """
    if isinstance(wanted, tuple):
        if isinstance(got, list | tuple):
            return [_fitted(part, as_array(right)) for part, right in zip(got, wanted, strict=False)] + [
                as_array(part) for part in got[len(wanted) :]
            ]
        stacked = as_array(got)
        if stacked.ndim and len(stacked) == len(wanted) and stacked.shape[1:] == as_array(wanted[0]).shape:
            return list(stacked)
        return [stacked]
    return [_fitted(got, as_array(wanted))]


def _fitted(got: Any, wanted: Array) -> Array:
    array = as_array(got)
    if wanted.ndim == 0 and array.size == 1 and not isinstance(got, list | tuple):
        return array.reshape(())
    return array


def close(got: Array, wanted: Array, tolerance: float = 1e-5) -> bool:
    """Same shape and, up to rounding, same numbers; truth values only equal truth values.

    >>> close(np.array([1.0, 2.0]), np.array([1.0, 2.00001])), close(np.array(1), np.array(True))
    (True, False)
    """
    if got.shape != wanted.shape or "O" in (got.dtype.kind, wanted.dtype.kind):
        return False
    if (got.dtype == bool) != (wanted.dtype == bool):
        return False
    if wanted.dtype == bool:
        return bool((got == wanted).all())
    got, wanted = _wide(got), _wide(wanted)
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = max(1e-12, float(finite.max(initial=0.0)))
    return bool(np.allclose(got, wanted, rtol=tolerance, atol=0.1 * tolerance * scale, equal_nan=True))


def _wide(array: Array) -> Array:
    return array if array.dtype.kind == "c" else array.astype(np.float64)


def same(got: Any, wanted: Any, tolerance: float = 1e-5) -> bool:
    """Whether all results are close to the wanted ones."""
    theirs, ours = results(got, wanted), results(wanted, wanted)
    if isinstance(got, list | tuple) and isinstance(wanted, tuple) and len(got) != len(wanted):
        return False
    return len(theirs) == len(ours) and all(close(a, b, tolerance) for a, b in zip(theirs, ours, strict=True))


def copied(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments anew, so that a function may write into them."""
    return tuple(copy.deepcopy(value) for value in arguments)


def changed(before: tuple[Any, ...], after: tuple[Any, ...], names: list[str]) -> tuple[str, ...]:
    """The names of the arguments that a function has written into."""
    pairs = zip(names, before, after, strict=False)
    return tuple(name for name, old, new in pairs if not same(as_array(new), as_array(old), 0.0))


def in_words(arguments: dict[str, Any]) -> str:
    """The arguments in a few words: arrays as shapes, numbers as numbers.

    >>> in_words({"points": np.zeros((7, 2)), "offset": 99.5})
    'points (7, 2), offset 99.5'
    """
    words = []
    for name, value in arguments.items():
        shape = getattr(value, "shape", None)
        words.append(f"{name} {tuple(shape)}" if shape is not None else f"{name} {value:.6g}")
    return ", ".join(words)


def pairs_of(cases: list[Case], part: int, canonical: Callable[[Any], Any] | None = None) -> list[Pair]:
    """One of the results, over all cases."""
    found = []
    for case in cases:
        got, wanted = (canonical(case.got), canonical(case.wanted)) if canonical else (case.got, case.wanted)
        found.append(Pair(results(got, wanted)[part], results(wanted, wanted)[part], case.arguments))
    return found
