"""What an exercise is judged by: ``check_…(your_function)`` for each exercise of the notebooks.

A check calls the function on a few cases. A wrong answer is compared with the answers of typical mistakes, so that
the message can name the mistake. Checks raise `Mistake`, an AssertionError, which nbgrader counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

#: The modules with exercises, in the order of the notebooks.
MODULES = ("start", "cropping", "targets", "architecture", "training", "visualisation")


class Mistake(AssertionError):
    """The answer is wrong; the sentence says how."""


def as_given(function: Callable, *arguments: Any) -> Any:
    """The ordinary way to an answer: call the function."""
    return function(*arguments)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """An exercise with its solution and the mistakes that its check recognises.

    name: the function to be written. solution: the function or class that is right.
    cases: gives a list of argument tuples. mistakes: sentence → a function that makes this mistake.
    answer: gets (function, *arguments) and returns what is compared: numbers, arrays or tuples of them.
    tolerance: largest difference from the right answer, relative to its largest value.
    """

    name: str
    solution: Callable
    cases: Callable[[], list[tuple]]
    mistakes: dict[str, Callable] = field(default_factory=dict)
    answer: Callable = as_given
    tolerance: float = 1e-5

    def judge(self, function: Callable) -> None:
        """Print one line when the function is right on all cases, else raise `Mistake`."""
        cases = self.cases()
        for number, arguments in enumerate(cases, start=1):
            got = self._answer_of(function, arguments, number)
            wanted = self.answer(self.solution, *_copied(arguments))
            if not self._same(got, wanted):
                raise Mistake(f"{self.name}: {self._diagnosis(got, wanted, arguments)}")
        print(f"✓ {self.name}: right on {len(cases)} cases")

    def _answer_of(self, function: Callable, arguments: tuple, number: int) -> Any:
        try:
            return self.answer(function, *_copied(arguments))
        except NotImplementedError:
            raise Mistake(
                f"{self.name} is still the stub; replace the line with NotImplementedError by your code."
            ) from None
        except Exception as error:
            raise Mistake(f"{self.name} stopped on case {number} with {type(error).__name__}: {error}") from error

    def _diagnosis(self, got: Any, wanted: Any, arguments: tuple) -> str:
        if got is None:
            return "nothing was returned; end the function with `return`."
        for sentence, mistaken in self.mistakes.items():
            try:
                answer = self.answer(mistaken, *_copied(arguments))
            except Exception:  # this mistake cannot be made with these arguments
                continue
            if self._same(got, answer):
                return sentence
        for one, right in zip(_parts(got), _parts(wanted), strict=False):
            if one.shape != right.shape:
                return f"expected an answer of shape {right.shape}, got {one.shape}."
        if len(_parts(got)) != len(_parts(wanted)):
            return f"expected {len(_parts(wanted))} results, got {len(_parts(got))}."
        return _difference(got, wanted)

    def _same(self, got: Any, wanted: Any) -> bool:
        ours, theirs = _parts(wanted), _parts(got)
        if len(ours) != len(theirs):
            return False
        return all(_close(a, b, self.tolerance) for a, b in zip(ours, theirs, strict=True))


def exercises() -> dict[str, Exercise]:
    """All exercises by name."""
    found: dict[str, Exercise] = {}
    for module in MODULES:
        for value in vars(import_module(f"{__name__}.{module}")).values():
            if isinstance(value, Exercise):
                found[value.name] = value
    return found


def _copied(arguments: tuple) -> tuple:
    return tuple(np.array(value) if isinstance(value, np.ndarray) else value for value in arguments)


def _parts(value: Any) -> list[np.ndarray]:
    if isinstance(value, tuple | list):
        return [_array(part) for part in value]
    return [_array(value)]


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _close(wanted: np.ndarray, got: np.ndarray, tolerance: float) -> bool:
    if wanted.shape != got.shape or wanted.dtype == object or got.dtype == object:
        return False
    if (wanted.dtype == bool) != (got.dtype == bool):
        return False
    if wanted.dtype == bool:
        return bool((wanted == got).all())
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = max(1e-12, float(finite.max(initial=0.0)))
    return bool(np.allclose(got, wanted, rtol=0, atol=tolerance * scale, equal_nan=True))


def _difference(got: Any, wanted: Any) -> str:
    one, right = _parts(got)[0], _parts(wanted)[0]
    if one.dtype == object:
        return f"expected numbers, got {type(got).__name__}."
    if (one.dtype == bool) != (right.dtype == bool):
        return f"expected dtype {right.dtype}, got {one.dtype}."
    if right.dtype != bool and not np.isfinite(one).all():
        return "the answer holds infinity or NaN."
    if right.size == 1:
        return f"expected {right.item():.6g}, got {one.item():.6g}."
    if right.dtype == bool:
        differ, wanted_true, true = (one != right).mean(), right.mean(), one.mean()
        return f"{differ:.2%} of the values differ; {wanted_true:.2%} should be true, {true:.2%} are."
    return f"the largest difference from the right answer is {np.nanmax(np.abs(one - right)):.4g}."
