"""Pickles that hold nothing but NumPy arrays of numbers and plain containers.

A pickle is a program: loading a foreign one can run anything, and NumPy's own way to restore a type or an array trusts
its state, so that forged ones read memory at chosen addresses. Here the pickle only ever meets stand-ins, which check
what they are given; the arrays are made afterwards, of plain types and of bytes whose number is right.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .files import read_file

__all__ = ["load_pickle"]

LARGEST = 2**30
"""Bytes of a pickle; BFM with all its components has half as many."""

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")

_NUMBERS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")
"""The types that are admitted: truth values, whole numbers, floating point."""


class _Name:
    """What a name of the pickle stands for: it can be called and nothing else."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("Expected names in the pickle that stay as they are; do not load this file.")


class _Type:
    """A type of numbers from its short name, such as f4; the state may only say the order of its bytes."""

    __slots__ = ("numbers",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            shown = "Python objects" if code in ("O", "O8", "O4", "|O") else f"the type {code!r:.40}"
            raise ValueError(f"Expected arrays of numbers in the pickle, got {shown}; do not load this file.")
        self.numbers = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        plain = isinstance(state, tuple) and len(state) == 8 and state[2:5] == (None, None, None)
        if not plain or state[1] not in ("<", ">", "|", "=") or state[5:] != (-1, -1, 0):
            raise ValueError(
                f"Expected a plain type of numbers in the pickle, got {state!r:.80}; do not load this file."
            )
        self.numbers = self.numbers.newbyteorder(state[1])


class _Array:
    """An array to be: its state is kept once type, shape and number of bytes fit together."""

    __slots__ = ("array",)
    __hash__ = None  # type: ignore[assignment]
    array: np.ndarray

    def fill(self, numbers: Any, shape: Any, order: Any, data: Any) -> _Array:
        """The same, with its array."""
        if isinstance(data, str):
            data = data.encode("latin1")  # as Python 2 wrote bytes
        fits = isinstance(numbers, _Type) and isinstance(data, bytes | bytearray) and isinstance(shape, tuple)
        fits = fits and all(isinstance(side, int) and side >= 0 for side in shape) and order in ("C", "F")
        if not fits or numbers.numbers.itemsize * math.prod(shape) != len(data):
            raise ValueError(
                "Expected arrays in the pickle whose bytes fit their shape and type; do not load this file."
            )
        flat = np.frombuffer(bytearray(data), numbers.numbers)
        self.array = flat.reshape(shape, order=order)
        return self

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("Expected the five parts of an array in the pickle; do not load this file.")
        _, shape, numbers, column_major, data = state
        self.fill(numbers, shape, "F" if column_major else "C", data)


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them into protocol 2 pickles; no other encoding is admitted."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"Expected bytes in latin1, got the encoding {encoding!r}; do not load this file.")
    return text.encode("latin1")


def _scalar(numbers: _Type, data: bytes | str = b"") -> Any:
    """One NumPy number from its bytes."""
    return _Array().fill(numbers, (), "C", data).array[()]


_REBUILD = _Name(lambda *ignored: _Array())  # the shape and type named here are replaced by those of the state
_SCALAR, _TYPE, _ENCODE = _Name(_scalar), _Name(_Type), _Name(_latin1)
_FROM_BUFFER = _Name(lambda buffer, numbers, shape, order: _Array().fill(numbers, shape, order, buffer))
_PLAIN_ARRAY = _Name(lambda *ignored: _Array())

_ADMITTED = {("numpy", "ndarray"): _PLAIN_ARRAY, ("numpy", "dtype"): _TYPE, ("_codecs", "encode"): _ENCODE}
_ADMITTED |= {(module, "_reconstruct"): _REBUILD for module in _ARRAY_MODULES}
_ADMITTED |= {(module, "scalar"): _SCALAR for module in _ARRAY_MODULES}
_ADMITTED |= {(module, "_frombuffer"): _FROM_BUFFER for module in _ARRAY_MODULES}


class _ArrayUnpickler(pickle.Unpickler):
    """Resolves the few names that arrays need; names what it refuses."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name of the pickle, from a fixed list; nothing is imported."""
        if (module, name) in _ADMITTED:
            return _ADMITTED[module, name]
        raise ValueError(
            f"Expected a pickle of NumPy arrays and plain containers, this one asks for {module}.{name}, which is "
            "refused; fetch the file from its official source."
        )

    def persistent_load(self, pid: Any) -> Any:
        """References to outside objects are refused."""
        raise ValueError(f"Expected a self-contained pickle, this one refers to the outside object {pid!r}.")


def load_pickle(source: str | Path | bytes) -> Any:
    """Read a pickle of NumPy arrays of numbers, numbers, texts, bytes, lists, tuples, dictionaries and sets only.

    Args:
        source: a file, or the pickle's bytes.

    Raises:
        ValueError: the pickle asks for anything else (the message names it), or is damaged. Nothing of it runs.
    """
    data = source if isinstance(source, bytes) else read_file(source, largest=LARGEST, what="a pickle")
    label = "the bytes" if isinstance(source, bytes) else Path(source).name
    try:
        _check_places(data)
        return _finished(_ArrayUnpickler(io.BytesIO(data), encoding="latin1").load(), {})
    except ValueError as error:
        if str(error).startswith("Expected"):
            raise
        raise ValueError(f"Expected a readable pickle, {label} is damaged: {error}.") from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"Expected a readable pickle, {label} is damaged: {error}.") from error


def _check_places(data: bytes) -> None:
    """ValueError for a pickle that keeps something at a place far beyond its length: room is made up to that place."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(data):
            raise ValueError(
                f"Expected a place below {len(data):,} in the pickle, got {argument}; do not load this file."
            )


def _finished(content: Any, done: dict[int, Any]) -> Any:
    """The content with arrays in place of stand-ins; ``done`` keeps what was met, so that nothing is walked twice."""
    if isinstance(content, _Array):
        return content.array
    if isinstance(content, _Name | _Type):
        raise ValueError("Expected arrays and plain containers in the pickle, got a bare name; do not load this file.")
    if not isinstance(content, list | tuple | dict):
        return content
    if id(content) not in done:
        done[id(content)] = _Array()  # without an array as long as its own parts are walked: a loop ends in an error
        if isinstance(content, dict):
            done[id(content)] = {key: _finished(value, done) for key, value in content.items()}
        else:
            done[id(content)] = type(content)(_finished(item, done) for item in content)
    found = done[id(content)]
    return found.array if isinstance(found, _Array) else found
