"""Points for a student's function: fresh cases, a share of the points for a share of the cases, none for borrowed work.

Stands in the hidden cells of the nbgrader course that `vrnlib.course` writes. What is printed comes back to the student
in the feedback.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import secrets
import sys
import types
import warnings
from typing import Any

import numpy as np

from vrnlib.checks import DRAWS, Exercise, Mistake, exercises
from vrnlib.checks.answers import Function

OURS = ("vrnlib", "tddfa")


def grade(name: str, space: dict[str, Any], points: float, seed: int | None = None) -> float:
    """The points of an exercise, so that nbgrader reads them when this is the last line of a cell.

    Args:
        name: of the exercise and of the student's function.
        space: the notebook's names, ``globals()``.
        points: for a function that is right on all kinds of cases; a kind counts if it is right in each of the draws.
        seed: draws the cases; without it they are others in every call.

    Returns:
        points times the share of kinds that are right.

    Raises:
        Mistake: the function is not there, or uses ours in place of its own work.
    """
    exercise, function = exercises()[name], space.get(name)
    if function is None:
        raise Mistake(f"{name} is not defined; its cell must run without an error.")
    borrowed = _borrowed(function)
    if borrowed:
        raise Mistake(f"{name} is {borrowed}, which is ours; write it yourself.")
    watch = Watch(name, space)
    seed = secrets.randbelow(10**6) if seed is None else seed
    sentence = ""
    # nbgrader gives no points to a cell with anything on stderr, be it a warning of NumPy's.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            rows = [exercise.right_cases(function, seed + draw, watch) for draw in range(DRAWS)]
            try:
                exercise.judge(function, seed)
            except Mistake as mistake:
                sentence = str(mistake)
    if watch.seen:
        raise Mistake(f"{name} calls {watch.seen}, which is ours; write it yourself.")
    right = [all(kind) for kind in zip(*rows, strict=True)]
    print(f"{name}: right on {sum(right)} of {len(right)} kinds of cases (seeds {seed} to {seed + DRAWS - 1})")
    if not all(right):
        print(sentence or f"{name}: right for seed {seed}, but not for all of them")
    return round(points * sum(right) / len(right), 2)


class Watch:
    """While it is entered, notes the first function of ours that the student's code calls.

    Functions lent to go on with (`vrnlib.checks.yours_or_ours`) may be called, save that of the exercise itself, and
    modules that the exercise allows. Only calls are seen: who copies the text of a solution is not.
    """

    def __init__(self, name: str, space: dict[str, Any]) -> None:
        self.seen, self.space = "", space
        others = [exercise for other, exercise in exercises().items() if other != name]
        self.lent = {code for exercise in others for code in _codes(exercise)}
        self.allowed = exercises()[name].may_call

    def __enter__(self) -> None:
        self.before = sys.getprofile()
        sys.setprofile(self._note)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self.before)

    def _note(self, frame: types.FrameType, event: str, _: Any) -> None:
        if self.seen or event != "call" or not _is_ours(frame) or frame.f_code in self.lent:
            return
        if frame.f_globals["__name__"] in self.allowed:
            return
        above = frame.f_back
        while above is not None and not _is_ours(above):
            if above.f_globals is self.space:
                name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # the longer one from Python 3.11 on
                self.seen = f"{frame.f_globals['__name__']}.{name}"
                return
            above = above.f_back


def _is_ours(frame: types.FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).split(".")[0] in OURS


def _codes(exercise: Exercise) -> list[types.CodeType]:
    parts = vars(exercise.solution).values() if isinstance(exercise.solution, type) else [exercise.solution]
    return [part.__code__ for part in parts if isinstance(part, types.FunctionType)]


def _borrowed(function: Function) -> str:
    """The name of what is ours in a function or among the classes it is made of, or ""."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(getattr(function, "__func__", function))
    parts = function.__mro__ if isinstance(function, type) else [function, type(function)]
    for part in parts:
        module = str(getattr(part, "__module__", ""))
        if module.split(".")[0] in OURS:
            return f"{module}.{getattr(part, '__qualname__', '')}"
    return ""
