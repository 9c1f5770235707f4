"""Check for 00_start_here: which of five faults a broken volume has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vrnlib.checks import Exercise


def find_fault(broken: np.ndarray, right: np.ndarray) -> int:
    """Two volumes [z, y, x] → 0 mirrored, 1 upside down, 2 back to front, 3 x and y swapped, 4 a shell."""
    turned = [right[:, :, ::-1], right[:, ::-1], right[::-1], right.transpose(0, 2, 1)]
    for number, candidate in enumerate(turned):
        if np.array_equal(broken, candidate):
            return number
    return 4


def _shell(solid: np.ndarray) -> np.ndarray:
    """The voxels of a solid with a neighbour outside."""
    inside = solid.copy()
    for axis in range(3):
        inside &= np.roll(solid, 1, axis) & np.roll(solid, -1, axis)
    return solid & ~inside


def _solid(rng: np.random.Generator, depth: int, side: int) -> np.ndarray:
    """An egg with a nose, like no mirror image of itself; empty at the border."""
    z, y, x = np.mgrid[0:depth, 0:side, 0:side] / np.reshape([depth, side, side], (3, 1, 1, 1)) - 0.47
    egg = (z / 0.4) ** 2 + (y / (0.41 + 0.05 * z)) ** 2 + (x / 0.33) ** 2 < 1
    nose = np.abs(np.stack([z - 0.3, y + 0.12, x - 0.1]) / 0.13).max(axis=0) < 1
    solid = egg | nose
    solid[depth // 2, side // 2 + 1, side // 2 - int(rng.integers(3))] = False
    solid[[0, -1]] = solid[:, [0, -1]] = solid[:, :, [0, -1]] = False
    return solid


def _fault_cases(rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """All five faults in an order of their own, on small volumes and a larger one."""
    cases = []
    for number, kind in enumerate(rng.permutation(5)):
        right = _solid(rng, 18, 16) if number else _solid(rng, 50, 48)
        faults = [right[:, :, ::-1], right[:, ::-1], right[::-1], right.transpose(0, 2, 1), _shell(right)]
        cases.append((np.ascontiguousarray(faults[kind]), right))
    return cases


def _renamed(*order: int) -> Callable[..., Any]:
    """The right finder with other numbers for 0 to 4."""
    return lambda broken, right: order[find_fault(broken, right)]


FIND_FAULT = Exercise(
    name="find_fault",
    solution=find_fault,
    cases=_fault_cases,
    tolerance=1e-9,
    mistakes={
        "mirrored and upside down are exchanged; x is the last axis, y the one before.": _renamed(1, 0, 2, 3, 4),
        "mirrored and back to front are exchanged; z is the first axis, x the last.": _renamed(2, 1, 0, 3, 4),
        "upside down and back to front are exchanged; z is the first axis, y the second.": _renamed(0, 2, 1, 3, 4),
        "the numbers run from 1; they begin at 0.": _renamed(1, 2, 3, 4, 5),
        "swapped axes are not found; x and y change their places by transpose(0, 2, 1).": _renamed(0, 1, 2, 4, 4),
        "the mirror image is not found; x is the last axis, right[:, :, ::-1].": _renamed(4, 1, 2, 3, 4),
        "upside down is not found; y is the middle axis, right[:, ::-1].": _renamed(0, 4, 2, 3, 4),
        "back to front is not found; z is the first axis, right[::-1].": _renamed(0, 1, 4, 3, 4),
        "every volume is called mirrored; compare all voxels, not their number or the shape.": _renamed(0, 0, 0, 0, 0),
        "whatever keeps the number of voxels is called mirrored; compare the voxels themselves.": _renamed(
            0, 0, 0, 0, 4
        ),
        "every volume is called a shell; compare arrays with np.array_equal.": _renamed(4, 4, 4, 4, 4),
        "a truth value came back; return the number of the fault.": lambda broken, right: (
            find_fault(broken, right) == 0
        ),
        "the numbers run the other way, 4 for mirrored.": _renamed(4, 3, 2, 1, 0),
        "a shell is not recognised; it is what is left when no other fault fits.": _renamed(0, 1, 2, 3, 0),
        "a shell is called −1; its number is 4.": _renamed(0, 1, 2, 3, -1),
    },
)


def check_find_fault(function: Callable[..., Any], seed: int | None = None) -> None:
    """(broken [z, y, x], right [z, y, x]) → number of the fault."""
    FIND_FAULT.judge(function, seed)
