"""Detectors of wrong use of an argument: your answer is the right one for other arguments than those given."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import torch

from vrnlib.checks.answers import Case, Function, copied, same

#: What a wrong function does to a number or an array before it uses it: (words, change); {name} is the argument.
OF_ANY: list[tuple[str, Callable[[Any], Any]]] = [
    ("`{name}` = 0: it is not used", lambda x: x * 0),
    ("`{name}` = 1: it is not used", lambda x: x * 0 + 1),
    ("`{name}` with its sign turned", lambda x: -x),
    ("twice `{name}`", lambda x: 2 * x),
    ("half of `{name}`", lambda x: x / 2),
    ("the square of `{name}`", lambda x: x * x),
    ("the absolute value of `{name}`", abs),
    ("the square root of `{name}`", lambda x: x**0.5),
    ("1 − `{name}`", lambda x: 1 - x),
    ("1 / `{name}`", lambda x: 1 / x),
    ("`{name}` rounded to whole numbers", lambda x: np.round(x)),
    ("`{name}` cut to whole numbers", lambda x: np.trunc(x)),
    ("`{name}` + 1", lambda x: x + 1),
    ("`{name}` − 1", lambda x: x - 1),
    ("`{name}` + 0.5", lambda x: x + 0.5),
    ("`{name}` − 0.5", lambda x: x - 0.5),
    ("`{name}` in degrees, where it is in radians", np.degrees),
    ("`{name}` in radians, where it is in degrees", np.radians),
    ("1 / (1 + exp(−`{name}`)), its sigmoid", lambda x: 1 / (1 + np.exp(-x))),
]
OF_ARRAYS: list[tuple[str, Callable[[Any], Any]]] = [
    ("`{name}` with its first axis reversed", lambda x: x[::-1]),
    ("`{name}` with its last axis reversed", lambda x: x[..., ::-1]),
    ("`{name}` transposed", lambda x: x.T if x.ndim == 2 and x.shape[0] == x.shape[1] else None),
    ("`{name}` without its first row", lambda x: x[1:]),
    ("`{name}` without its last row", lambda x: x[:-1]),
    ("the first row of `{name}` alone", lambda x: x[:1]),
    ("the mean of `{name}` in place of each of its numbers", lambda x: np.full_like(x, x.mean())),
    ("`{name}` divided by its sum", lambda x: x / x.sum()),
    ("the truth values of `{name}`, false where it is 0", lambda x: (x != 0).astype(x.dtype)),
]


def _changed(value: Any, change: Function) -> Any:
    """The changed argument, of the kind that it was."""
    if isinstance(value, torch.Tensor):
        changed = change(value.numpy().copy())
        return None if changed is None else torch.from_numpy(np.ascontiguousarray(changed)).to(value.dtype)
    if isinstance(value, np.ndarray):
        changed = change(value.copy())
        return changed if changed is None or value.dtype.kind != "i" else changed.astype(value.dtype)
    return type(value)(change(value))


def alterations(cases: list[Case]) -> Iterator[tuple[str, Callable[..., dict[str, Any]]]]:
    """What may have been done to the arguments: (words, arguments → other arguments)."""
    given = cases[0].arguments
    for one, other in combinations(given, 2):
        swap = {one: other, other: one}
        yield f"`{one}` and `{other}` swapped", lambda a, s=swap: {n: a[s.get(n, n)] for n in a}
    for name, value in given.items():
        changes = OF_ANY + (OF_ARRAYS if hasattr(value, "shape") else [])
        for words, change in changes:
            yield words.format(name=name), lambda a, n=name, c=change: {**a, n: _changed(a[n], c)}
        if not hasattr(value, "shape"):
            for fixed in dict.fromkeys(case.arguments[name] for case in cases):
                words = f"`{name}` = {fixed:.6g} in every case; use the argument, not a number"
                yield words, lambda a, n=name, v=fixed: {**a, n: v}


def altered_arguments(solution: Function, cases: list[Case], tolerance: float) -> str | None:
    """Whether some other arguments would make the answer right in all cases."""
    wrong_first = sorted(cases, key=lambda case: same(case.got, case.wanted, tolerance))
    for words, alter in alterations(wrong_first):
        with contextlib.suppress(Exception), np.errstate(all="ignore"):  # some alterations make no sense here
            if all(_explains(solution, alter, case, tolerance) for case in wrong_first):
                return f"that would be the right answer for {words}."
    return None


def _explains(solution: Function, alter: Function, case: Case, tolerance: float) -> bool:
    names = list(case.arguments)
    other = alter(dict(zip(names, copied(tuple(case.arguments.values())), strict=True)))
    if any(value is None for value in other.values()):
        return False
    return same(case.got, solution(*other.values()), tolerance)
