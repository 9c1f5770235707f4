"""The checks of the exercises: the stub fails, the solution passes, typical mistakes are named."""

from __future__ import annotations

import re

import jupytext
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from student_answers import RIGHT, WRONG, Block

from vrnlib import course
from vrnlib.checks import Exercise, Mistake, exercises
from vrnlib.checks.answers import Pair
from vrnlib.checks.architecture import check_voxel_probabilities
from vrnlib.checks.cropping import check_crop_matrix, check_crop_scale, check_decode_heatmap, check_to_photo
from vrnlib.checks.diagnosis import first_of
from vrnlib.checks.relations import RELATION_DETECTORS
from vrnlib.checks.shapes import SHAPE_DETECTORS
from vrnlib.checks.start import check_nose_tip, check_slice_of_depth
from vrnlib.checks.targets import check_fill_columns
from vrnlib.checks.training import check_cross_entropy, check_intersection_over_union, check_rmsprop_step

EXERCISES = exercises()
CLASSES = ("ResidualBlock", "HourglassModule", "VolumeHead")
EACH = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())


@pytest.fixture(autouse=True)
def the_same_draws_in_every_run(monkeypatch):
    """Cases without a seed are drawn afresh in every call, but here not in every run of the tests."""
    rng = np.random.default_rng(68)
    monkeypatch.setattr("vrnlib.checks.secrets.randbelow", lambda most: int(rng.integers(most)))


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
    if exercise.name not in CLASSES:
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

    if exercise.name not in CLASSES:
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
        namespace: dict = {}  # an exercise may use the one before
        for cell in jupytext.read(source, fmt="py:percent").cells:
            if cell.cell_type == "code":
                imports += [line for line in cell.source.splitlines() if re.match(r"(from|import) ", line)]
            if "exercise" not in cell.metadata:
                continue
            name = cell.metadata["exercise"]
            names.append(name)
            exec("from __future__ import annotations\n" + "\n".join(imports) + "\n" + cell.source, namespace)  # noqa: S102
            EXERCISES[name].judge(namespace[name])
    assert sorted(names) == sorted(EXERCISES)


@pytest.mark.parametrize(("name", "words", "function"), WRONG, ids=[f"{w[0]}-{i}" for i, w in enumerate(WRONG)])
def test_wrong_answers_get_the_sentence_that_names_the_mistake(name: str, words: str, function):
    with pytest.raises(Mistake) as caught:
        EXERCISES[name].judge(function, seed=7)
    sentence = str(caught.value)
    assert any(word.lower() in sentence.lower() for word in words.split("|")), sentence
    assert "\n" not in sentence and "seed 7" in sentence
    assert not re.search(r"largest difference|of the values differ", sentence), "only a number"


@pytest.mark.parametrize(("name", "style", "function"), RIGHT, ids=[f"{r[0]}-{r[1]}" for r in RIGHT])
def test_right_answers_in_other_styles_pass(name: str, style: str, function):
    for seed in (7, None):
        EXERCISES[name].judge(function, seed=seed)


@EACH
def test_every_exercise_has_right_and_wrong_answers_of_students(exercise: Exercise):
    assert sum(name == exercise.name for name, *_ in RIGHT) >= 2
    assert sum(name == exercise.name for name, *_ in WRONG) >= 6


@EACH
def test_cases_come_from_the_seed_and_differ_without_one(exercise: Exercise):
    def drawn(seed: int) -> list:
        cases = exercise.cases(np.random.default_rng(seed))
        return [np.asarray(value).tobytes() for case in cases for value in case]

    assert drawn(1) == drawn(1) and drawn(1) != drawn(2)
    messages = set()
    for seed in (5, 5, None, None):
        with pytest.raises(Mistake, match="seed") as caught:
            exercise.judge(lambda *arguments: "nothing of use", seed)
        messages.add(str(caught.value))
    assert len(messages) == 3


def test_a_bare_stub_is_a_stub_and_an_error_of_torch_is_none():
    def stub(landmarks):
        raise NotImplementedError

    with pytest.raises(Mistake, match="still the stub"):
        check_nose_tip(stub)

    def on_floats(logits, solid):
        return ((logits > 0) & solid).sum() / ((logits > 0) | solid).sum()

    with pytest.raises(Mistake, match="NotImplementedError.*compare first") as caught:
        check_intersection_over_union(on_floats)
    assert "stub" not in str(caught.value)


def test_a_crash_says_kind_message_line_and_shapes_in_one_line():
    def crashing(points, matrix):
        shift = matrix[:, 2]
        return (points - shift) / matrix[7, 7]

    with pytest.raises(Mistake) as caught:
        check_to_photo(crashing, seed=3)
    line = crashing.__code__.co_firstlineno + 2
    assert f"stopped in line {line} (`return (points - shift) / matrix[7, 7]`)" in str(caught.value)
    assert "IndexError: index 7 is out of bounds" in str(caught.value)
    assert "[points (3, 2), matrix (2, 3)]" in str(caught.value)
    assert caught.value.__suppress_context__ and "\n" not in str(caught.value)


def test_a_crash_at_some_sizes_is_told_from_a_crash_at_all():
    def for_the_network_only(heatmap):
        return [(heatmap.sum(0) * np.arange(32)).sum(), (heatmap.sum(1) * np.arange(32)).sum()]

    with pytest.raises(Mistake, match=r"is right for heatmap \(32, 32\), but stopped .* size seems to be fixed"):
        check_decode_heatmap(for_the_network_only)


def test_jupyter_shows_one_line(capsys):
    shell = InteractiveShell()
    shell.run_cell("from vrnlib.checks.start import check_nose_tip\ncheck_nose_tip(lambda p: int(p[:, 2].argmin()), 1)")
    shown = capsys.readouterr().out.strip().splitlines()
    assert shown == [
        "✗ nose_tip: that is the point farthest from the camera; z grows towards the camera. (seed 1)",
    ]


landmarks_of_the_notebook = np.random.default_rng(0).normal(size=(68, 2)) * [30, 50]


def test_a_variable_of_the_notebook_in_place_of_the_argument():
    def forgetful(landmarks):
        width, height = np.ptp(landmarks_of_the_notebook, axis=0)
        return 90 / np.sqrt(width * height) + 0 * landmarks.sum()

    with pytest.raises(Mistake, match="`landmarks_of_the_notebook` where its own argument `landmarks` is meant"):
        check_crop_scale(forgetful)


def test_what_a_function_prints_is_shown_and_a_print_is_no_answer(capsys):
    def chatty(z, offset):
        print("here")
        return 2 * z + offset

    check_slice_of_depth(chatty)
    assert capsys.readouterr().out.splitlines() == ["here", "here", "✓ slice_of_depth: right on 2 cases"]
    with pytest.raises(Mistake, match="printed, but nothing was returned"):
        check_slice_of_depth(lambda z, offset: print(2 * z + offset))


def test_writing_into_an_argument_is_allowed_and_said(capsys):
    def in_place(weight, gradient, square, rate, alpha=0.99):
        square.mul_(alpha).add_((1 - alpha) * gradient**2)
        weight.sub_(rate * gradient / (square.sqrt() + 1e-8))
        return weight, square

    check_rmsprop_step(in_place)
    assert "writes into its argument square and weight" in capsys.readouterr().out


def test_results_in_place_of_functions_and_objects_in_place_of_classes():
    with pytest.raises(Mistake, match="without brackets"):
        check_nose_tip(30)
    with pytest.raises(Mistake, match="without brackets"):
        EXERCISES["ResidualBlock"].judge(Block(4, 4))


def test_a_module_that_uses_the_batch_in_evaluation():
    class Stubborn(Block):
        def eval(self):
            return self.train(True)

    with pytest.raises(Mistake, match="depends on its batch"):
        EXERCISES["ResidualBlock"].judge(Stubborn)


def _pairs(change, *, shape=(6, 5), count=3) -> list[Pair]:
    rng = np.random.default_rng(4)
    wanted = [rng.uniform(0.1, 9, (size + shape[0], *shape[1:])) for size in range(count)]
    return [Pair(np.asarray(change(value)), value, {"points": value * 3}) for value in wanted]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda w: w[:, ::-1], "columns came back in reversed order"),
        (lambda w: w[::-1], "rows came back in reversed order"),
        (lambda w: np.degrees(w), "degrees"),
        (lambda w: w / len(w), "a mean for a sum"),
        (lambda w: w + 0.5, "half a cell"),
        (lambda w: w - 1, "one off"),
        (lambda w: w**2, "square of"),
        (lambda w: np.clip(w, 2, 7), "cut off below 2 and above 7"),
        (lambda w: np.concatenate([w[:1] * 0, w[:-1]]), "one place too late"),
        (lambda w: np.cumsum(w, axis=0), "running sum"),
        (lambda w: w[1:], "the first of the rows is missing"),
        (lambda w: w.T, "transposed"),
        (lambda w: w.mean(axis=0), "mean over axis 0"),
        (lambda w: w.astype(np.float32), None),
    ],
)
def test_detectors_of_kinds(change, word: str | None):
    sentence = first_of([*SHAPE_DETECTORS, *RELATION_DETECTORS], _pairs(change))
    assert sentence is None if word is None else word in (sentence or ""), sentence


def test_colors_in_the_wrong_order_and_rows_that_are_not_normalized():
    rng = np.random.default_rng(5)
    images = [rng.integers(0, 255, (4, 5, 3), dtype=np.uint8) for _ in range(2)]
    assert "BGR" in (first_of(RELATION_DETECTORS, [Pair(i[..., ::-1], i, {}) for i in images]) or "")
    raw = [rng.normal(size=(7, 3)) for _ in range(2)]
    pairs = [Pair(r, r / np.linalg.norm(r, axis=1, keepdims=True), {}) for r in raw]
    assert "not normalised; divide it by its length" in (first_of(RELATION_DETECTORS, pairs) or "")


def test_a_relation_that_fails_in_one_case_is_not_said():
    pairs = _pairs(lambda w: 2 * w)
    pairs[1] = pairs[1]._replace(got=pairs[1].got + 0.25)
    assert first_of([*SHAPE_DETECTORS, *RELATION_DETECTORS], pairs) is None
    with pytest.raises(Mistake, match="alpha is always 0.99"):
        check_rmsprop_step(lambda w, g, s, r, a=0.99: EXERCISES["rmsprop_step"].solution(w, g, s, r))


def test_a_formula_is_said_back():
    with pytest.raises(Mistake, match=r"your answer is 2 · offset · z; it should be 2 · z \+ offset"):
        check_slice_of_depth(lambda z, offset: 2 * z * offset)


def test_a_count_that_is_one_off_in_millions_is_wrong():
    parameters = EXERCISES["convolution_parameters"]
    with pytest.raises(Mistake, match="1 too large"):
        parameters.judge(lambda i, o, k: parameters.solution(i, o, k) + 1)
    with pytest.raises(Mistake, match=r"expected \d+, got \d+"):
        parameters.judge(lambda i, o, k: parameters.solution(i, o, k) + (i + o > 150))


def test_a_block_that_nothing_explains_gets_its_parameters_counted_or_its_response_measured():
    class Scaled(Block):
        def __init__(self, inputs, outputs):
            super().__init__(inputs, outputs)
            self.scale = torch.nn.Parameter(torch.ones(3))

    with pytest.raises(Mistake, match=r"the block has [\d,]+ parameters, [\d,]+ were expected"):
        EXERCISES["ResidualBlock"].judge(Scaled)

    class Skipping(Block):
        def forward(self, x):
            return self.shortcut(x) + self.layers[:3](x).mean(dim=1, keepdim=True)

    with pytest.raises(Mistake, match="the parameters are right, but the response differs"):
        EXERCISES["ResidualBlock"].judge(Skipping)
