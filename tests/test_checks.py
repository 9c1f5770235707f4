"""The checks of the exercises: the stub fails, the solution passes, typical mistakes are named."""

from __future__ import annotations

import re

import jupytext
import numpy as np
import pytest

from vrnlib import course
from vrnlib.checks import Exercise, Mistake, exercises
from vrnlib.checks.architecture import check_voxel_probabilities
from vrnlib.checks.cropping import check_crop_matrix
from vrnlib.checks.targets import check_fill_columns
from vrnlib.checks.training import check_cross_entropy

EXERCISES = exercises()
EACH = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())


@EACH
def test_solution_passes(exercise: Exercise, capsys):
    exercise.judge(exercise.solution)
    assert exercise.name in capsys.readouterr().out


@EACH
def test_stub_is_called_a_stub(exercise: Exercise):
    def stub(*arguments):
        raise NotImplementedError("your turn")

    with pytest.raises(Mistake, match="still the stub"):
        exercise.judge(stub)


@EACH
def test_three_or_more_mistakes_are_named_each_by_its_own_sentence(exercise: Exercise):
    assert len(exercise.mistakes) >= 3
    for sentence, mistaken in exercise.mistakes.items():
        with pytest.raises(Mistake, match=re.escape(sentence)):
            exercise.judge(mistaken)


@EACH
def test_nothing_returned_and_an_exception_are_explained(exercise: Exercise):
    def broken(*arguments):
        raise ZeroDivisionError("division by zero")

    with pytest.raises(Mistake, match="ZeroDivisionError"):
        exercise.judge(broken)
    if exercise.name != "ResidualBlock":
        with pytest.raises(Mistake, match="nothing was returned"):
            exercise.judge(lambda *arguments: None)


@EACH
def test_arguments_survive_a_function_that_writes_into_them(exercise: Exercise):
    def vandal(*arguments):
        answer = exercise.solution(*arguments)
        for argument in arguments:
            if isinstance(argument, np.ndarray) and argument.dtype.kind == "f":
                argument += 1000
        return answer

    if exercise.name != "ResidualBlock":
        exercise.judge(vandal)


def test_independent_wrong_answers():
    """Mistakes written here in other words than the checks' own."""

    def margin_crop(landmarks):
        low, high = landmarks.min(0), landmarks.max(0)
        scale = 192 / np.sqrt((high - low).prod())
        return np.column_stack([scale * np.eye(2), 95.5 - scale * (low + high) / 2])

    with pytest.raises(Mistake, match="fills the whole crop"):
        check_crop_matrix(margin_crop)

    def splat(back, front, offset, depth):
        volume = np.zeros((depth, *back.shape), bool)
        for y, x in np.argwhere(np.isfinite(front)):
            volume[round(2 * front[y, x] + offset), y, x] = True
            volume[round(2 * back[y, x] + offset), y, x] = True
        return volume

    with pytest.raises(Mistake, match="shell"):
        check_fill_columns(splat)

    with pytest.raises(Mistake, match="compete"):
        check_voxel_probabilities(lambda x: x.exp() / x.exp().sum(1, keepdim=True))

    with pytest.raises(Mistake, match="infinity or NaN"):
        check_cross_entropy(lambda x, y: -(y * x.sigmoid().log() + (1 - y) * (-x).sigmoid().log()).mean())


def test_an_answer_of_another_kind_of_wrongness_gets_numbers():
    with pytest.raises(Mistake, match="expected an answer of shape"):
        check_crop_matrix(lambda landmarks: np.eye(3))
    with pytest.raises(Mistake, match="largest difference"):
        check_crop_matrix(lambda landmarks: np.ones((2, 3)))


def test_every_exercise_of_the_notebooks_has_a_check_and_the_lecture_solves_it():
    names = []
    for source in course.source_files():
        imports: list[str] = []
        for cell in jupytext.read(source, fmt="py:percent").cells:
            if cell.cell_type == "code":
                imports += [line for line in cell.source.splitlines() if re.match(r"(from|import) ", line)]
            if "exercise" not in cell.metadata:
                continue
            name = cell.metadata["exercise"]
            names.append(name)
            namespace: dict = {}
            exec("from __future__ import annotations\n" + "\n".join(imports) + "\n" + cell.source, namespace)
            EXERCISES[name].judge(namespace[name])
    assert sorted(names) == sorted(EXERCISES)
