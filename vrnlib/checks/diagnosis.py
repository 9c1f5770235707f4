"""From a wrong answer to a sentence: detectors of kinds of mistakes, asked from the specific to the general.

A sentence is said only if it holds in every case that was drawn. What nothing explains gets numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import permutations
from typing import Any

import numpy as np

from vrnlib.checks.alterations import altered_arguments
from vrnlib.checks.answers import Array, Case, Function, Pair, as_array, close, copied, pairs_of, results, same
from vrnlib.checks.calling import globals_read, with_global
from vrnlib.checks.formulas import formula
from vrnlib.checks.relations import RELATION_DETECTORS, changed_numbers, factor, not_finite, offset
from vrnlib.checks.shapes import SHAPE_DETECTORS, Detector, everywhere
from vrnlib.checks.solids import columns_of_voxels

ORDINALS = ("first", "second", "third", "fourth")


def first_of(detectors: Iterable[Detector], pairs: list[Pair]) -> str | None:
    """The first sentence that a detector says, unless the answer is so nearly right that any relation would hold."""
    if all(close(pair.got, pair.wanted) for pair in pairs):
        return None
    return next((sentence for detector in detectors if (sentence := detector(pairs))), None)


def nothing(cases: list[Case]) -> str | None:
    """None came back, perhaps because the answer was printed."""
    if all(case.got is None for case in cases):
        if all(case.printed.strip() for case in cases):
            return "the answer was printed, but nothing was returned; write `return` in place of `print`."
        return "nothing was returned; end the function with `return`."
    return None


def container(cases: list[Case]) -> str | None:
    """A wrong number of results, results in another order, one wrapped in a tuple."""
    wanted, got = cases[0].wanted, cases[0].got
    if hasattr(got, "__next__") or isinstance(got, dict | set | str | range) or callable(got):
        return f"expected {'several arrays' if isinstance(wanted, tuple) else 'numbers'}, got a {type(got).__name__}."
    if not isinstance(wanted, tuple):
        if isinstance(got, tuple) and all(len(case.got) == 1 and same(case.got[0], case.wanted) for case in cases):
            return "the answer is wrapped in a tuple of one; remove the comma behind it, or take [0]."
        if isinstance(got, tuple | list) and as_array(got).dtype == object:
            kind = f"one array of shape {as_array(wanted).shape}" if as_array(wanted).ndim else "one number"
            return f"expected {kind}, got a {type(got).__name__} of {len(got)} parts that do not fit together."
        return None
    count = len(wanted)
    if not isinstance(got, tuple | list):
        for part in range(count):
            if len(results(got, wanted)) != count and all(same(case.got, case.wanted[part]) for case in cases):
                return f"only the {ORDINALS[part]} result came back, and it is right; return all {count}."
        return None
    if len(got) != count:
        ending = "; the first ones are right." if all(same(tuple(c.got[:count]), c.wanted) for c in cases) else "."
        return f"return {count} results, not {len(got)}{ending}"
    for part in range(count):
        if all(case.got[part] is None for case in cases):
            return f"the {ORDINALS[part]} result is None; return all {count}."
    for order in permutations(range(count)):
        if all(same(tuple(case.got[place] for place in order), case.wanted) for case in cases):
            return f"the {count} results are right, but in another order."
    return None


def whatever_the_argument(cases: list[Case], pairs: list[Pair]) -> str | None:
    """The same answer in every case."""
    if len(pairs) < 2 or all(close(pairs[0].wanted, pair.wanted) for pair in pairs):
        return None
    if all(close(pair.got, pairs[0].got) for pair in pairs):
        return f"the answer is the same in every case, whatever the arguments are; {numbers(pairs)}"
    return None


def as_it_came(cases: list[Case], pairs: list[Pair]) -> str | None:
    """An argument, or one of its columns, returned as it is."""
    for name in cases[0].arguments:
        if everywhere(pairs, lambda p, n: as_array(p.arguments[n]), name):
            return f"`{name}` came back unchanged."
        if everywhere(pairs, lambda p, n: as_array(p.arguments[n])[..., ::-1], name):
            return f"`{name}` came back with its last axis reversed and nothing else done."
    return None


def a_global(function: Function, answer: Function, cases: list[Case], tolerance: float) -> str | None:
    """A variable of the notebook was read where an argument was meant."""
    for name in globals_read(function):
        for argument in cases[0].arguments:
            if all(_right_with(function, answer, name, case.arguments[argument], case, tolerance) for case in cases):
                return f"the function reads the notebook's `{name}` where its own argument `{argument}` is meant."
    return None


def _right_with(function: Function, answer: Function, name: str, value: Any, case: Case, tolerance: float) -> bool:
    other = with_global(function, name, value)
    try:
        return other is not None and same(
            answer(other, *copied(tuple(case.arguments.values()))), case.wanted, tolerance
        )
    except Exception:  # the value does not fit there
        return False


def columns(pairs: list[Pair]) -> str | None:
    """Some columns, or entries of a small table, are right, and each of the others is wrong in a way with a name."""
    split = _split(pairs)
    if split is None:
        return None
    right = [place for place, some in split.items() if all(close(pair.got, pair.wanted) for pair in some)]
    said: dict[str, list[str]] = {}
    for place, some in split.items():
        if place in right:
            continue
        sentence = _taken_from(place, split) or first_of((changed_numbers, factor, offset, not_finite), some)
        if sentence is None:
            return None
        said.setdefault(sentence, []).append(place)
    return "; ".join(f"{' and '.join(places)}: {sentence.rstrip('.')}" for sentence, places in said.items()) + "."


def _split(pairs: list[Pair]) -> dict[str, list[Pair]] | None:
    """The columns of tables of two to four, or the entries of arrays of one small shape."""
    shapes = {pair.wanted.shape for pair in pairs}
    if any(pair.got.shape != pair.wanted.shape or pair.wanted.dtype == bool for pair in pairs):
        return None
    if len(shapes) == 1 and 2 <= math.prod(next(iter(shapes))) <= 12:
        places = list(np.ndindex(next(iter(shapes))))
        return {
            f"[{', '.join(map(str, at))}]": [Pair(p.got[at], p.wanted[at], p.arguments) for p in pairs] for at in places
        }
    if all(len(shape) == 2 for shape in shapes) and len({shape[1] for shape in shapes}) == 1:
        width = next(iter(shapes))[1]
        if 2 <= width <= 4:
            return {
                f"column {at}": [Pair(p.got[:, at], p.wanted[:, at], p.arguments) for p in pairs] for at in range(width)
            }
    return None


def _taken_from(place: str, split: dict[str, list[Pair]]) -> str | None:
    for other, some in split.items():
        if other == place or all(not np.any(pair.wanted) for pair in some):
            continue
        wanted = [pair.wanted for pair in some]
        if all(close(pair.got, value) for pair, value in zip(split[place], wanted, strict=True)):
            return f"what stands there belongs to {other}."
    return None


def which_are_wrong(pairs: list[Pair]) -> str:
    """Where the wrong numbers stand, for the end of a sentence."""
    split = _split(pairs)
    if split is None:
        return ""
    right = [place for place, some in split.items() if all(close(pair.got, pair.wanted) for pair in some)]
    wrong = [place for place in split if place not in right]
    return f" Only {' and '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} wrong." if right else ""


def numbers(pairs: list[Pair]) -> str:
    """What is left to say when nothing is recognised: how far the answer is from the right one."""
    pair = next((pair for pair in pairs if not close(pair.got, pair.wanted, 1e-9)), pairs[0])
    got, wanted = pair.got, pair.wanted
    if got.shape != wanted.shape:
        if wanted.ndim == 0:
            return f"expected one number, got an array of shape {got.shape}."
        return f"expected an answer of shape {wanted.shape}, got {got.shape}."
    if (got.dtype == bool) != (wanted.dtype == bool):
        return f"expected dtype {wanted.dtype}, got {got.dtype}."
    if wanted.size == 1:
        return f"expected {wanted.item():.10g}, got {got.item():.10g}."
    if wanted.dtype == bool:
        differ = (got != wanted).mean()
        return f"{differ:.2%} of the values differ; {wanted.mean():.2%} should be true, {got.mean():.2%} are."
    largest = np.nanmax(np.abs(_wide(got) - _wide(wanted)))
    return f"the largest difference from the right answer is {largest:.4g}.{which_are_wrong(pairs)}"


def _wide(array: Array) -> Array:
    return array.astype(float) if array.dtype.kind != "c" else np.abs(array)


def of_one_result(solution: Function, answer: Function, cases: list[Case], pairs: list[Pair], tolerance: float) -> str:
    """The sentence for one result, from the specific to the general."""
    shaped = all(pair.got.shape == pair.wanted.shape for pair in pairs)
    single = not isinstance(cases[0].wanted, tuple)
    return (
        first_of(SHAPE_DETECTORS[:1], pairs)
        or whatever_the_argument(cases, pairs)
        or as_it_came(cases, pairs)
        or first_of(SHAPE_DETECTORS[1:], pairs)
        or (shaped and first_of([columns_of_voxels, *RELATION_DETECTORS[:-2]], pairs))
        or (single and altered_arguments(lambda *a: answer(solution, *a), cases, tolerance))
        or columns(pairs)
        or (shaped and formula(pairs))
        or (shaped and first_of(RELATION_DETECTORS[-2:], pairs))
        or numbers(pairs)
    )


def diagnose(
    function: Function,
    solution: Function,
    answer: Function,
    cases: list[Case],
    tolerance: float,
    canonical: Callable[[Any], Any] | None = None,
) -> str:
    """What is wrong with the answers in these cases, of which at least one is wrong; one sentence."""
    sentence = nothing(cases) or container(cases) or a_global(function, answer, cases, tolerance)
    if sentence:
        return sentence
    wanted = cases[0].wanted
    if not isinstance(wanted, tuple):
        return of_one_result(solution, answer, cases, pairs_of(cases, 0, canonical), tolerance)
    if any(len(results(case.got, case.wanted)) != len(wanted) for case in cases):
        return f"return {len(wanted)} results, not one."
    sentence = altered_arguments(lambda *a: answer(solution, *a), cases, tolerance)
    if sentence:
        return sentence
    parts = [pairs_of(cases, part, canonical) for part in range(len(wanted))]
    bad = [part for part, pairs in enumerate(parts) if not all(close(p.got, p.wanted, tolerance) for p in pairs)]
    said = of_one_result(solution, answer, cases, parts[bad[0]], tolerance)
    rest = "" if len(bad) > 1 else f" (the other{'s are' if len(wanted) > 2 else ' is'} right)"
    return f"the {ORDINALS[bad[0]]} result{rest}: {said}"
