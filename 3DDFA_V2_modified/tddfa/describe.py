"""One line about an object of arrays, in place of hundreds of lines of numbers."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["described", "short_repr"]


def short_repr(self: Any) -> str:
    """What a data class or named tuple shows of itself: its fields, arrays by type and shape only.

    A class takes it as ``__repr__ = short_repr`` (a data class with ``repr=False``). Fields that are None, private or
    left out of the repr are not named.

    >>> import numpy as np
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, repr=False)
    ... class Face:
    ...     name: str
    ...     vertices: np.ndarray
    ...     uv: np.ndarray | None = None
    ...     __repr__ = short_repr
    >>> Face("open", np.zeros((5, 3), np.float32))
    Face(name='open', vertices=float32 (5, 3))
    """
    names = [one.name for one in fields(self) if one.repr] if is_dataclass(self) else list(self._fields)
    values = [(name, getattr(self, name)) for name in names if not name.startswith("_")]
    shown = ", ".join(f"{name}={described(value)}" for name, value in values if value is not None)
    return f"{type(self).__name__}({shown})"


def described(value: Any) -> str:
    """A value in a few words: arrays and sparse matrices by type and shape, long lists by their length.

    >>> import numpy as np
    >>> described(np.zeros((2, 3)))
    'float64 (2, 3)'
    >>> described(list(range(100)))
    '100 in a list'
    """
    if hasattr(value, "shape") and hasattr(value, "dtype") and value.shape:
        return f"{value.dtype} {tuple(value.shape)}"
    if is_dataclass(value):
        return f"{type(value).__name__}(...)"
    if isinstance(value, (list, tuple, dict, set)) and len(value) > 8:
        return f"{len(value)} in a {type(value).__name__}"
    return repr(value)
