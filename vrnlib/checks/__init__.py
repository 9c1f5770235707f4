"""What an exercise is judged by: ``check_…(your_function)`` for each exercise of the notebooks.

A check draws cases from a seed, calls the function, and compares. A wrong answer is compared with the answers of the
exercise's typical mistakes, then handed to the detectors of `vrnlib.checks.diagnosis`, so that the message can name
what is wrong. Checks raise `Mistake`, an AssertionError, which nbgrader counts. The seed stands in the message:
``check_…(your_function, seed=…)`` draws the same cases again. `yours_or_ours` lets a notebook go on when a function is
not right yet; `vrnlib.checks.grading` gives the points.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from vrnlib.checks.answers import Case, Function, copied, in_words, same
from vrnlib.checks.calling import Stopped, call, is_stub, names_of, with_defaults
from vrnlib.checks.diagnosis import diagnose

#: The modules with exercises, in the order of the notebooks.
MODULES = (
    "start",
    "faults",
    "cropping",
    "detection",
    "targets",
    "pipeline",
    "architecture",
    "hourglass",
    "training",
    "recipe",
    "loop",
    "visualisation",
    "surfaces",
    "evaluation",
)
#: A wrong answer is looked at in this many draws of cases, so that no diagnosis rests on chance.
DRAWS = 3


class Mistake(AssertionError):
    """The answer is wrong; the sentence says how."""

    def _render_traceback_(self) -> list[str]:
        """Jupyter shows this in place of the traceback: one line."""
        return [f"✗ {self}"]


def as_given(function: Function, *arguments: Any) -> Any:
    """The ordinary way to an answer: call the function."""
    return function(*arguments)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """An exercise with its solution and the mistakes that its check recognises.

    Args:
        name: the function to be written.
        solution: the function or class that is right.
        cases: draws a list of argument tuples from a generator, the last one of a real size.
        mistakes: sentence → a function that makes this mistake.
        answer: gets (function, *arguments) and returns what is compared: numbers, arrays or tuples of them.
        canonical: brings answers that are equally right into one form before they are compared.
        examine: looks at the function itself, once its answers are wrong; a sentence or None.
        names: the arguments' names where they are not the solution's own.
        advice: what errors mean in this exercise, (pattern, words).
        tolerance: largest difference from the right answer, relative to its size.
        may_call: modules of ours that a student's function may use when it is graded, such as that of the network which
            it is handed.
    """

    name: str
    solution: Function
    cases: Callable[[np.random.Generator], list[tuple[Any, ...]]]
    mistakes: dict[str, Function] = field(default_factory=dict)
    answer: Function = as_given
    canonical: Callable[[Any], Any] | None = None
    examine: Callable[[Function, list[Case]], str | None] | None = None
    names: tuple[str, ...] = ()
    advice: tuple[tuple[str, str], ...] = ()
    tolerance: float = 1e-5
    may_call: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Exercise({self.name!r}, {len(self.mistakes)} named mistakes)"

    def judge(self, function: Function, seed: int | None = None) -> None:
        """Print one line when the function is right on all cases.

        Args:
            function: the student's function or class.
            seed: draws the cases; without it they are others in every call.

        Raises:
            Mistake: what is wrong, in one sentence, with the seed.
        """
        seed = secrets.randbelow(10**6) if seed is None else seed
        sentence, count, written = self._verdict(function, np.random.default_rng(seed))
        if sentence:
            raise Mistake(f"{self.name}{sentence} (seed {seed})") from None
        note = f" (it writes into its argument {' and '.join(written)})" if written else ""
        print(f"✓ {self.name}: right on {count} cases{note}")

    def right_cases(
        self, function: Function, seed: int, watch: contextlib.AbstractContextManager[None] | None = None
    ) -> list[bool]:
        """For each case of one draw whether the function is right on it; an error is wrong.

        Args:
            function: the student's function or class.
            seed: draws the cases.
            watch: is entered around each call of the function.
        """
        right = []
        for arguments in self.cases(np.random.default_rng(seed)):
            wanted = self.answer(self.solution, *copied(arguments))
            with contextlib.suppress(Stopped), watch or contextlib.nullcontext():
                case = call(function, self.answer, arguments, wanted, self._named(arguments), self.advice)
                right.append(self._right(case))
                continue
            right.append(False)
        return right

    def lent(self) -> Function:
        """The solution for a notebook to go on with; a check does not take it for the student's own."""
        if isinstance(self.solution, type):
            return type(self.solution.__name__, (self.solution,), {"lent": True})
        ours = self.solution
        copy = types.FunctionType(ours.__code__, ours.__globals__, ours.__name__, ours.__defaults__, ours.__closure__)
        copy.lent = True  # type: ignore[attr-defined]
        return copy

    def _verdict(self, function: Function, rng: np.random.Generator) -> tuple[str, int, list[str]]:
        """What is wrong or "", the number of cases, the arguments that the function changes."""
        if not callable(function) or (hasattr(function, "forward") and not isinstance(function, type)):
            return ": hand over the function or class itself, by its name and without brackets.", 0, []
        if hasattr(function, "lent"):
            return " is ours, lent so that you could go on; run the cell with your own function, then this one.", 0, []
        drawn = self.cases(rng)
        cases, stopped = self._called(function, drawn)
        if isinstance(stopped, str):
            return stopped, 0, []
        if len(cases) == len(drawn) and all(self._right(case) for case in cases):
            return "", len(drawn), sorted({name for case in cases for name in case.written})
        if stopped is None:
            for _ in range(DRAWS - 1):
                more, stopped = self._called(function, self.cases(rng))
                cases += more
        if stopped is not None:
            return self._crash(str(stopped), cases), 0, []
        return ": " + self._diagnosis(function, cases), 0, []

    def _called(self, function: Function, drawn: list[tuple[Any, ...]]) -> tuple[list[Case], Stopped | str | None]:
        """The function's answers, and its first error, or what is said to a stub."""
        cases, stopped = [], None
        for arguments in drawn:
            wanted = self.answer(self.solution, *copied(arguments))
            try:
                cases.append(call(function, self.answer, arguments, wanted, self._named(arguments), self.advice))
            except Stopped as error:
                if is_stub(error.__cause__, function):
                    return [], " is still the stub; replace the line with NotImplementedError by your code."
                stopped = stopped or error
        return cases, stopped

    def _named(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        """The arguments by name; where the solution has defaults, with these."""
        if self.names:
            return dict(zip(self.names, arguments, strict=True))
        given = with_defaults(self.solution, arguments)
        return dict(zip(names_of(self.solution, len(given)), given, strict=True))

    def _crash(self, sentence: str, cases: list[Case]) -> str:
        if cases and all(self._right(case) for case in cases):
            fixed = " A size seems to be fixed in the code." if "two shapes do not fit" in sentence else ""
            return f" is right for {in_words(cases[0].arguments)}, but {sentence}{fixed}"
        return f" {sentence}"

    def _right(self, case: Case) -> bool:
        return self._same(case.got, case.wanted, self.canonical)

    def _same(self, got: Any, wanted: Any, canonical: Callable[[Any], Any] | None) -> bool:
        if canonical is not None:
            got, wanted = canonical(got), canonical(wanted)
        return same(got, wanted, self.tolerance)

    def _diagnosis(self, function: Function, cases: list[Case]) -> str:
        examined = self.examine(function, cases) if self.examine else None
        sentence = (
            self._known_mistake(cases, None)
            or (self.canonical and self._known_mistake(cases, self.canonical))
            or examined
            or diagnose(function, self.solution, self.answer, cases, self.tolerance, self.canonical)
        )
        return sentence

    def _known_mistake(self, cases: list[Case], canonical: Callable[[Any], Any] | None) -> str | None:
        """The sentence of the mistake that gives the same answers in all cases."""
        wrong_first = sorted(cases, key=self._right)
        for sentence, mistaken in self.mistakes.items():
            try:
                with np.errstate(all="ignore"):
                    if all(self._same(case.got, self._by(mistaken, case), canonical) for case in wrong_first):
                        return sentence
            except Exception:  # this mistake cannot be made with these arguments
                continue
        return None

    def _by(self, mistaken: Function, case: Case) -> Any:
        return self.answer(mistaken, *copied(tuple(case.arguments.values())))


def exercises() -> dict[str, Exercise]:
    """All exercises by name."""
    found: dict[str, Exercise] = {}
    for module in MODULES:
        for value in vars(import_module(f"{__name__}.{module}")).values():
            if isinstance(value, Exercise):
                found[value.name] = value
    return found


def yours_or_ours(name: str, space: dict[str, Any]) -> Function:
    """The function to go on with: the student's own if it is right, else ours; one line says which.

    Args:
        name: of the exercise and of the student's function.
        space: the notebook's names, ``globals()``.
    """
    exercise = exercises()[name]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exercise.judge(space.get(name), seed=0)  # type: ignore[arg-type]
    except Exception:
        print(f"{name} is not right yet; here we go on with ours.")
        return exercise.lent()
    print(f"{name} is right; here we go on with yours.")
    return space[name]
