"""Detectors of answers with the right shape and wrong numbers: (pairs) → a sentence or None.

A detector gets one result of the function in all cases and speaks only if its sentence holds in each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations

import numpy as np

from vrnlib.checks.answers import Array, Function, Pair, as_array, close
from vrnlib.checks.shapes import Detector, everywhere

#: What became of each number: (sentence, the right answer → yours).
CHANGES: list[tuple[str, Callable[[Array], Array]]] = [
    ("the sign is turned; your answer is minus the right one.", lambda w: -w),
    ("the signs are lost; that is the absolute value of the right answer.", np.abs),
    ("the numbers are rounded to whole ones; the fractions matter.", np.round),
    ("the numbers are cut to whole ones, as `int` does; the fractions matter.", np.trunc),
    ("the numbers are rounded down to whole ones; the fractions matter.", np.floor),
    ("the numbers are rounded up to whole ones; the fractions matter.", np.ceil),
    ("the numbers are rounded to one decimal.", lambda w: np.round(w, 1)),
    ("the numbers are rounded to two decimals.", lambda w: np.round(w, 2)),
    ("the numbers are rounded to three decimals.", lambda w: np.round(w, 3)),
    ("that is the inverse, 1 / the right answer.", lambda w: 1 / w),
    ("that is 1 − the right answer.", lambda w: 1 - w),
    ("that is the square of the right answer.", np.square),
    ("that is the square root of the right answer.", np.sqrt),
    ("that is the square root of the right answer without its sign.", lambda w: np.sqrt(np.abs(w))),
    ("that is the logarithm of the right answer.", np.log),
    ("that is the exponential of the right answer.", np.exp),
    ("that is the running sum of the right answer.", lambda w: np.cumsum(w, axis=0)),
    ("the right numbers came back sorted; keep their order.", lambda w: np.sort(w, axis=0)),
    ("each number became 0 or 1; keep the values between.", lambda w: (w > 0.5).astype(float)),
]

#: Factors that have a story; others are said as numbers.
FACTORS = {
    np.pi / 180: "radians were expected, and degrees were turned into radians once too often (factor π/180)",
    180 / np.pi: "the angle is in degrees; radians were expected (factor 180/π)",
    2.0: "your answer is twice the right one",
    0.5: "your answer is half of the right one",
    100.0: "your answer is 100 times the right one, as percent; a fraction was expected",
    255.0: "your answer is 255 times the right one; colours were expected between 0 and 1",
    1 / 255: "your answer is the right one divided by 255; colours were expected between 0 and 255",
}


def not_finite(pairs: list[Pair]) -> str | None:
    """Infinity or NaN where there should be numbers."""
    bad = [pair for pair in pairs if not np.isfinite(_float(pair.got)[np.isfinite(_float(pair.wanted))]).all()]
    if not bad:
        return None
    right = [pair for pair in pairs if close(pair.got, pair.wanted)]
    if right and min(map(_largest, bad)) > 2 * max(map(_largest, right)):
        return "the answer holds infinity or NaN for large numbers; use a form that neither overflows nor takes log(0)."
    return "the answer holds infinity or NaN."


def unstable(pairs: list[Pair]) -> str | None:
    """Right for ordinary arguments and wrong for extreme ones."""
    right = [pair for pair in pairs if close(pair.got, pair.wanted)]
    bad = [pair for pair in pairs if not close(pair.got, pair.wanted)]
    if right and bad and min(map(_largest, bad)) > 5 * max(map(_largest, right)) and min(map(_largest, bad)) > 30:
        return (
            f"right for ordinary numbers, wrong for large ones (up to {_largest(bad[0]):.0f}): precision is lost there."
        )
    return None


def _largest(pair: Pair) -> float:
    arrays = [_float(as_array(value)) for value in pair.arguments.values()]
    return max((float(np.nanmax(np.abs(array), initial=0.0)) for array in arrays), default=0.0)


def _float(array: Array) -> Array:
    return array.astype(float) if array.dtype.kind in "biuf" else np.zeros(array.shape)


def nothing_left(pairs: list[Pair]) -> str | None:
    """Zero, up to rounding."""
    sizes = [[np.abs(_float(array)).max(initial=0) for array in (pair.got, pair.wanted)] for pair in pairs]
    if all(got < 1e-9 * wanted for got, wanted in sizes):
        return "the answer is 0 in every case; a vector's product with its own cross product is, or an empty sum."
    return None


def clipped(pairs: list[Pair]) -> str | None:
    """Right between two bounds and cut off there."""
    numbers = _numbers(pairs)
    if numbers is None:
        return None
    low, high = float(numbers[0].min()), float(numbers[0].max())
    if low < high and everywhere(pairs, lambda p: np.clip(_float(p.wanted), low, high)):
        cut = [
            f"{end} {at:.6g}"
            for end, at, out in (("below", low, low > numbers[1].min()), ("above", high, high < numbers[1].max()))
            if out
        ]
        return f"the numbers are cut off {' and '.join(cut)}; leave them as they are."
    return None


def flipped(pairs: list[Pair]) -> str | None:
    """Reversed along one axis or several."""
    count = pairs[0].wanted.ndim
    for size in range(1, count + 1):
        for chosen in combinations(range(count), size):
            if everywhere(pairs, lambda p, chosen: np.flip(p.wanted, chosen), chosen):
                if count == 1:
                    return "the right numbers came back in reversed order."
                if count == 2 and size == 1:
                    color = chosen == (1,) and all(p.wanted.shape[1] == 3 and p.wanted.dtype == np.uint8 for p in pairs)
                    return _bgr() if color else f"the {('rows', 'columns')[chosen[0]]} came back in reversed order."
                if chosen == (count - 1,) and all(p.wanted.shape[-1] == 3 for p in pairs):
                    return _bgr()
                return f"your answer is the right one flipped along axis {' and '.join(map(str, chosen))}."
    return None


def _bgr() -> str:
    return "the colours are in the order BGR; they must be RGB."


def reordered(pairs: list[Pair]) -> str | None:
    """The same columns, or entries of a short vector, in another order."""
    length = {pair.wanted.shape[-1] if pair.wanted.ndim else 0 for pair in pairs}
    if len(length) > 1 or not 2 <= max(length) <= 4:
        return None
    what = "columns" if pairs[0].wanted.ndim > 1 else "numbers"
    for order in permutations(range(max(length))):
        if list(order) != sorted(order) and everywhere(pairs, lambda p, order: p.wanted[..., list(order)], order):
            moved = [place for place, old in enumerate(order) if place != old]
            if len(moved) == 2:
                return f"{what} {moved[0]} and {moved[1]} (from 0) are swapped."
            return f"the {what} stand in the order {order}; they must be in the order {tuple(sorted(order))}."
    return None


def shifted(pairs: list[Pair]) -> str | None:
    """Moved by one place along an axis."""
    for axis in range(pairs[0].wanted.ndim):
        for step in (1, -1):
            if all(pair.wanted.shape[axis] > 2 for pair in pairs) and all(
                _moved_by(pair, axis, step) for pair in pairs
            ):
                place = "" if pairs[0].wanted.ndim == 1 else f" along axis {axis}"
                return f"everything stands one place too {'late' if step > 0 else 'early'}{place}; count from 0."
    return None


def _moved_by(pair: Pair, axis: int, step: int) -> bool:
    if pair.got.shape != pair.wanted.shape or close(pair.got, pair.wanted):
        return False
    ahead, behind = (slice(1, None), slice(None, -1)) if step > 0 else (slice(None, -1), slice(1, None))
    one, other = ((slice(None),) * axis + (last,) for last in (ahead, behind))
    return close(pair.got[one], pair.wanted[other])


def changed_numbers(pairs: list[Pair]) -> str | None:
    """Each number went through one simple function more, or less, than it should."""
    if any(pair.wanted.dtype == bool for pair in pairs):
        opposite = everywhere(pairs, lambda p: ~p.wanted)
        return "every truth value is turned into its opposite." if opposite else None
    for sentence, change in CHANGES:
        if everywhere(pairs, lambda p, change: change(_float(p.wanted)), change):
            return sentence
    return None


def _numbers(pairs: list[Pair]) -> tuple[Array, Array] | None:
    """All finite numbers of all cases, yours and the right ones."""
    if any(
        pair.got.shape != pair.wanted.shape or "b" in pair.got.dtype.kind + pair.wanted.dtype.kind for pair in pairs
    ):
        return None
    got = np.concatenate([_float(pair.got).ravel() for pair in pairs])
    wanted = np.concatenate([_float(pair.wanted).ravel() for pair in pairs])
    finite = np.isfinite(wanted)
    return (got[finite], wanted[finite]) if finite.any() and np.isfinite(got[finite]).all() else None


def factor(pairs: list[Pair]) -> str | None:
    """A constant factor, or one that is the number of rows, columns, … of an argument, or a power of an argument."""
    numbers = _numbers(pairs)
    if numbers is None:
        return None
    got, wanted = numbers
    ratio = float(got[np.abs(wanted).argmax()] / wanted[np.abs(wanted).argmax()]) if wanted.any() else 0.0
    if ratio and everywhere(pairs, lambda p: ratio * _float(p.wanted)):
        for value, story in FACTORS.items():
            if abs(ratio / value - 1) < 1e-5:
                return f"{story}."
        return f"your answer is {ratio:.4g} times the right one, in every case."
    for words, amount in amounts(pairs[0]):
        for power, phrase in (
            (1, "multiplied by"),
            (-1, "divided by"),
            (2, "multiplied twice by"),
            (-2, "divided twice by"),
        ):
            if everywhere(pairs, lambda p, a, k: _float(p.wanted) * float(a(p)) ** k, amount, power):
                counted = words.startswith("the number") and abs(power) == 1
                hint = (", a mean for a sum" if power < 0 else ", a sum for a mean") if counted else ""
                return f"your answer is the right one {phrase} {words}{hint}."
    return None


def offset(pairs: list[Pair]) -> str | None:
    """A constant too much or too little, or a multiple of an argument."""
    numbers = _numbers(pairs)
    if numbers is None:
        return None
    difference = numbers[0] - numbers[1]
    constant = float(np.median(difference))
    if constant and everywhere(pairs, lambda p: _float(p.wanted) + constant):
        much = f"{abs(constant):.4g} too {'large' if constant > 0 else 'small'}"
        if abs(abs(constant) - 1) < 1e-4:
            return f"every number is {much}: one off; Python counts from 0."
        if abs(abs(constant) - 0.5) < 1e-4:
            return f"every number is {much}: half a cell; centres lie at whole numbers."
        return f"every number is {much}."
    for words, amount in amounts(pairs[0]):
        for times, phrase in ((1, ""), (-1, ""), (2, "twice "), (-2, "twice "), (0.5, "half of "), (-0.5, "half of ")):
            if everywhere(pairs, lambda p, a, t: _float(p.wanted) + t * float(a(p)), amount, times):
                return f"your answer is too {'large' if times > 0 else 'small'} by {phrase}{words}."
    return None


def amounts(pair: Pair) -> list[tuple[str, Function]]:
    """Numbers that come from the arguments: scalars, sizes of axes, counts of numbers."""
    found: list[tuple[str, Function]] = []
    for name, value in pair.arguments.items():
        shape = getattr(value, "shape", None)
        if shape is None:
            found.append((f"`{name}`", lambda p, n=name: p.arguments[n]))
            continue
        for axis in range(len(shape)):
            word = {(2, 0): "rows", (2, 1): "columns"}.get((len(shape), axis), f"places along axis {axis}")
            word = "items" if len(shape) == 1 else word
            found.append((f"the number of {word} of `{name}`", lambda p, n=name, a=axis: p.arguments[n].shape[a]))
        found.append((f"the number of values in `{name}`", lambda p, n=name: np.prod(p.arguments[n].shape)))
        for word, size in (("smallest", np.nanmin), ("largest", np.nanmax), ("mean", np.nanmean), ("sum", np.nansum)):
            kind = "value" if word.endswith("est") else "of the values"
            words = f"the {word} {kind} {'in' if kind == 'value' else 'of'} `{name}`"
            found.append((words, lambda p, n=name, s=size: s(_float(as_array(p.arguments[n])))))
        if len(shape) == 1 and shape[0] <= 4:
            found += [(f"`{name}`[{at}]", lambda p, n=name, i=at: p.arguments[n][i]) for at in range(shape[0])]
    return found


def not_normalized(pairs: list[Pair]) -> str | None:
    """Right up to a factor of each row, where the right rows have the length or the sum 1."""
    sizes: dict[str, Function] = {"sum": lambda a: a.sum(-1), "length": lambda a: np.sqrt((a**2).sum(-1))}
    for word, size in sizes.items():
        if any(not pair.wanted.ndim or not np.allclose(size(_float(pair.wanted)), 1, atol=1e-4) for pair in pairs):
            continue
        if everywhere(pairs, lambda p, s: _float(p.wanted) * s(_float(p.got))[..., None], size):
            return f"the answer is not normalised; divide it by its {word}, so that this becomes 1."
    return None


#: From the specific to the general.
RELATION_DETECTORS: list[Detector] = [
    nothing_left,
    changed_numbers,
    flipped,
    reordered,
    factor,
    offset,
    clipped,
    not_normalized,
    shifted,
    not_finite,
    unstable,
]
