"""Calling a student's function: what it printed, what it wrote into, and how a stub differs from a crash."""

from __future__ import annotations

import contextlib
import inspect
import io
import linecache
import re
import types
from typing import Any

from vrnlib.checks.answers import Case, Function, changed, copied, in_words

#: The message of a stub's NotImplementedError, as the builder of the notebooks writes it.
YOUR_TURN = "your turn"

Advice = tuple[tuple[str, str], ...]

#: What a message of Python, NumPy or torch means, for those that say it in other words: (pattern, advice).
ADVICE: Advice = (
    (r"bitwise_\w+.* not implemented|ufunc 'bitwise", "`&` and `|` need truth values, so compare first: `(x > 0) & …`"),
    (
        r"(truth|Boolean) value of .* ambiguous",
        "`and`, `or` and `if` want one truth value; for arrays take `&` and `|`",
    ),
    (r"cannot convert float NaN to integer", "a NaN has no whole number; leave pixels without surface (NaN) out"),
    (r"missing \d+ required positional argument", "it must take the arguments of the stub, in their order"),
    (r"takes .* positional arguments? but", "it must take the arguments of the stub, in their order"),
    (r"forward. function|_forward_unimplemented", "the class has no `forward`, or it is not indented into the class"),
    (r"could not be broadcast|must match the size|size mismatch|not aligned", "two shapes do not fit each other"),
    (r"Given groups=|expected input.* to have \d+ channels|should contain \d+ elements", "the channels do not fit"),
    (r"has no attribute 'buffers'", "the class must be an nn.Module, `class Name(nn.Module)`"),
    (r"is not defined", "inside the function only its arguments and its own names can be relied on"),
    (r"numpy.ndarray' object has no attribute", "the argument is a NumPy array, not a tensor"),
    (r"Tensor' object has no attribute", "the argument is a torch tensor, not a NumPy array"),
    (r"'NoneType'", "a call before has returned nothing; is there a `return` missing?"),
    (r"maximum recursion depth", "the function calls itself without an end"),
)


class Stopped(Exception):
    """The function raised an error; the sentence says which, where and for which arguments."""


def names_of(function: Function, count: int) -> list[str]:
    """The names of a function's first arguments.

    >>> names_of(lambda z, offset: z, 2)
    ['z', 'offset']
    """
    with contextlib.suppress(TypeError, ValueError):
        names = list(inspect.signature(function).parameters)
        if len(names) >= count:
            return names[:count]
    return [f"argument {number}" for number in range(1, count + 1)]


def with_defaults(function: Function, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments and, behind them, the defaults of those that were left out.

    >>> with_defaults(lambda z, offset=99.5: z, (3,))
    (3, 99.5)
    """
    with contextlib.suppress(TypeError, ValueError):
        left = list(inspect.signature(function).parameters.values())[len(arguments) :]
        return arguments + tuple(parameter.default for parameter in left if parameter.default is not parameter.empty)
    return arguments


def call(
    function: Function,
    answer: Function,
    arguments: tuple[Any, ...],
    wanted: Any,
    named: dict[str, Any],
    advice: Advice = (),
) -> Case:
    """Call the function with copies of the arguments; what it prints is kept and printed again afterwards.

    Raises: Stopped: the function raised an error.
    """
    given = copied(arguments)
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            got = answer(function, *given)
            written = changed(arguments, given, list(named))
            got = got if isinstance(got, types.GeneratorType) else _kept(got)
    except Exception as error:
        raise Stopped(error_sentence(error, function, named, advice)) from error
    finally:
        print(output.getvalue(), end="")
    return Case(named, got, wanted, output.getvalue(), written)


def _kept(value: Any) -> Any:
    """The answer, safe from a function that goes on writing into an array of its own."""
    if isinstance(value, tuple | list):
        return type(value)(_kept(part) for part in value) if type(value) in (tuple, list) else value
    return value.copy() if hasattr(value, "copy") and hasattr(value, "dtype") else value


def is_stub(error: BaseException | None, function: Function) -> bool:
    """Whether the error is the stub's own NotImplementedError, and not one that torch raised."""
    if not isinstance(error, NotImplementedError):
        return False
    if str(error) == YOUR_TURN:
        return True
    place = _last_line(error, function, innermost=True)
    return place is not None and place[1].startswith("raise NotImplementedError")


def error_sentence(error: Exception, function: Function, arguments: dict[str, Any], advice: Advice = ()) -> str:
    """One line: the error's kind and message, the line of the student's code, the shapes, and what it may mean."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 160 else text[:157] + "…"
    place = _last_line(error, function)
    where = f" in line {place[0]} (`{place[1]}`)" if place else ""
    meaning = next((words for pattern, words in (*advice, *ADVICE) if re.search(pattern, str(error))), "")
    ending = f": {meaning}." if meaning else "."
    return f"stopped{where} with {type(error).__name__}: {text} [{in_words(arguments)}]{ending}"


def _files(function: Function) -> set[str]:
    """The files, or cells, that the function was written in."""
    own: list[Any] = [function, type(function).__dict__.get("__call__")]
    if inspect.isclass(function):
        bases = [base for base in function.__mro__ if base.__module__.split(".")[0] not in ("torch", "builtins")]
        own = [item for base in bases for item in vars(base).values()]
    codes = [getattr(inspect.unwrap(item), "__code__", None) for item in own if callable(item)]
    return {code.co_filename for code in codes if code is not None}


def _last_line(error: BaseException, function: Function, *, innermost: bool = False) -> tuple[int, str] | None:
    files, place, trace = _files(function), None, error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file in files:
            place = trace.tb_lineno, linecache.getline(file, trace.tb_lineno).strip()
        elif innermost:
            place = None
        trace = trace.tb_next
    return place


def with_global(function: Function, name: str, value: Any) -> Function | None:
    """The function with another value for one of the global names that it reads."""
    if not isinstance(function, types.FunctionType):
        return None
    space = {**function.__globals__, name: value}
    return types.FunctionType(function.__code__, space, name, function.__defaults__, function.__closure__)


def globals_read(function: Function) -> list[str]:
    """The names of arrays and numbers outside the function that its code reads."""
    if not isinstance(function, types.FunctionType):
        return []
    known = function.__globals__
    names = [name for name in function.__code__.co_names if name in known]
    return [name for name in names if hasattr(known[name], "shape") or isinstance(known[name], int | float | list)]
