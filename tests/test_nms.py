"""Non-maximum suppression: 3DDFA_V2's rules to the last box."""

import numpy as np
import pytest

from tddfa import nms, soft_nms
from tddfa import reference as numpy_twin


def random_boxes(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 300, (count, 2))
    side = rng.uniform(10, 80, (count, 2))
    return np.concatenate([corner, corner + side, rng.random((count, 1))], 1).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("count", [1, 2, 17, 400])
def test_compiled_equals_numpy(count, threshold):
    boxes = random_boxes(count, seed=count)
    assert nms(boxes, threshold) == numpy_twin.nms(boxes, threshold)


def test_equals_the_originals_lists(reference):
    cases = np.load(reference / "nms_cases.npz")
    names = [name for name in cases.files if name.startswith("keep_")]
    assert len(names) >= 12
    for name in names:
        _, count, threshold = name.split("_")
        assert nms(cases[f"in_{count}"], float(threshold)) == cases[name].tolist(), name


@pytest.mark.parametrize(("number", "method"), [(0, "hard"), (1, "linear"), (2, "gaussian")])
def test_soft_nms_equals_the_originals_boxes(reference, number, method):
    cases = np.load(reference / "nms_cases.npz")
    for count in (1, 2, 10, 200, 2000):
        kept = int(cases[f"softn_{count}_{number}"])
        given = cases[f"in_{count}"].copy()
        np.testing.assert_array_equal(soft_nms(given, method=method), cases[f"soft_{count}_{number}"][:kept])
        np.testing.assert_array_equal(given, cases[f"in_{count}"])


def test_hard_soft_nms_keeps_what_nms_keeps():
    boxes = random_boxes(300, seed=5)
    np.testing.assert_array_equal(soft_nms(boxes, threshold=0.4), boxes[nms(boxes, 0.4)])


def test_soft_nms_by_hand():
    """The second box shares half of its pixels with the first: IoU 50 / 100. The third is far away."""
    boxes = np.array([[0, 0, 9, 4, 0.8], [0, 0, 9, 9, 0.9], [50, 50, 59, 59, 0.5]], np.float32)
    linear = soft_nms(boxes, method="linear")
    np.testing.assert_allclose(linear[:, 4], [0.9, 0.5, 0.8 * 0.5], rtol=1e-6)
    gaussian = soft_nms(boxes, method="gaussian", sigma=0.5)
    np.testing.assert_allclose(gaussian[:, 4], [0.9, 0.5, 0.8 * np.exp(-0.5)][: len(gaussian)], rtol=1e-6)
    np.testing.assert_array_equal(linear[2, :4], boxes[0, :4])
    assert len(soft_nms(boxes, method="linear", min_score=0.45)) == 2
    assert soft_nms([]).shape == (0, 5)
    with pytest.raises(ValueError, match="Expected one of the methods"):
        soft_nms(boxes, method="soft")


def test_the_best_score_wins_and_comes_first():
    boxes = np.array([[0, 0, 10, 10, 0.2], [100, 100, 110, 110, 0.5], [1, 0, 11, 10, 0.9]], np.float32)
    assert nms(boxes, 0.3) == [2, 1]


def test_a_box_covers_its_last_pixel():
    """(0..9) and (9..18) share one column of pixels of 190: IoU 10/190 with the + 1, none without it."""
    boxes = np.array([[0, 0, 9, 9, 0.9], [9, 0, 18, 9, 0.8]], np.float32)
    assert nms(boxes, 0.05) == [0]
    assert nms(boxes, 0.06) == [0, 1]


def test_an_overlap_equal_to_the_threshold_suppresses():
    half = np.array([[0, 0, 9, 9, 0.9], [0, 0, 9, 4, 0.8]], np.float32)  # IoU 50 / 100, exact in binary
    assert nms(half, 0.5) == [0]
    assert nms(half, np.nextafter(0.5, 1)) == [0, 1]


def test_a_float32_overlap_meets_a_double_threshold():
    """IoU 3/10 is 0.30000001192... in float32: at least the double 0.3, so it suppresses."""
    boxes = np.array([[0, 0, 9, 0, 0.9], [0, 0, 2, 0, 0.8]], np.float32)
    assert nms(boxes, 0.3) == [0]
    fifth = np.array([[0, 0, 9, 0, 0.9], [0, 0, 6, 0, 0.8]], np.float32)  # 7/10 is 0.69999998... in float32
    assert nms(fifth, 0.7) == [0, 1]


def test_nothing_in_nothing_out():
    assert nms(np.zeros((0, 5), np.float32), 0.3) == []
    assert nms([], 0.3) == []


def test_wrong_boxes_are_refused_with_a_sentence():
    with pytest.raises(ValueError, match=r"shape \(N, 5\), got \(3, 4\)"):
        nms(np.zeros((3, 4), np.float32), 0.3)
    with pytest.raises(ValueError, match="without NaN"):
        nms(np.full((3, 5), np.nan, np.float32), 0.3)
