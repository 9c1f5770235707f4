"""Pickles that hold nothing but NumPy arrays and plain containers.

A pickle is a program: loading a foreign one can run anything. The official files of 3DDFA_V2 are pickles of
arrays, so this reader admits exactly what arrays need and refuses every other name before it is imported.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np

__all__ = ["load_pickle"]

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them into protocol 2 pickles; no other encoding is admitted."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"Expected bytes in latin1, got the encoding {encoding!r}; do not load this file.")
    return text.encode("latin1")


def _reconstruct(subtype: type, shape: tuple[int, ...], code: bytes | str) -> np.ndarray:
    """An empty array that the pickle then fills, as NumPy's own helper makes it; plain arrays only."""
    if subtype is not np.ndarray:
        raise ValueError(f"Expected a plain NumPy array in the pickle, got {subtype!r}; do not load this file.")
    return np.ndarray(shape, np.dtype(code if isinstance(code, str) else code.decode("latin1")))


def _scalar(dtype: np.dtype, value: bytes = b"") -> Any:
    """One NumPy number from its bytes."""
    if dtype.hasobject:
        raise ValueError("Expected numbers in the pickle, got a Python object; do not load this file.")
    return np.frombuffer(value, dtype=dtype, count=1)[0]


def _frombuffer(buffer: Any, dtype: np.dtype, shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    """An array over bytes, as protocol 5 pickles store it."""
    if dtype.hasobject:
        raise ValueError("Expected numbers in the pickle, got Python objects; do not load this file.")
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


class _ArrayUnpickler(pickle.Unpickler):
    """Resolves the few names that arrays need; names what it refuses."""

    def find_class(self, module: str, name: str) -> Any:
        """The object for a name of the pickle, from a fixed list; nothing is imported."""
        if module in _ARRAY_MODULES:
            admitted = {"_reconstruct": _reconstruct, "scalar": _scalar, "_frombuffer": _frombuffer}
            if name in admitted:
                return admitted[name]
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise ValueError(
            f"Expected a pickle of NumPy arrays and plain containers, this one asks for {module}.{name}, which is "
            "refused; fetch the file from its official source."
        )

    def persistent_load(self, pid: Any) -> Any:
        """References to outside objects are refused."""
        raise ValueError(f"Expected a self-contained pickle, this one refers to the outside object {pid!r}.")


def load_pickle(source: str | Path | bytes) -> Any:
    """Read a pickle that holds only NumPy arrays, numbers, strings, bytes, lists, tuples, dictionaries and sets.

    Args:
        source: a file, or the pickle's bytes.

    Raises:
        ValueError: the pickle asks for anything else (the message names it), or is damaged. Nothing of it runs.
    """
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    label = "the bytes" if isinstance(source, bytes) else Path(source).name
    try:
        content = _ArrayUnpickler(io.BytesIO(data), encoding="latin1").load()
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"Expected a readable pickle, {label} is damaged: {error}.") from error
    _refuse_objects(content, label)
    return content


def _refuse_objects(content: Any, label: str) -> None:
    """Raise ValueError when an array of the content holds Python objects."""
    if isinstance(content, np.ndarray) and content.dtype.hasobject:
        raise ValueError(f"Expected arrays of numbers in {label}, got an array of Python objects.")
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, (list, tuple, set, frozenset)):
        for item in content:
            _refuse_objects(item, label)
