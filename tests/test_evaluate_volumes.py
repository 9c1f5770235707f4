"""The IoU measure on rendered faces: a perfect network gets 1, a network that ignores the photo gets the baseline."""

import json

import numpy as np
import pytest
import torch

from vrnlib import cli
from vrnlib.evaluation import volumes
from vrnlib.evaluation.bins import yaw_of
from vrnlib.evaluation.volumes import evaluate_volumes, mean_volume
from vrnlib.synthetic.faces import FaceRenderer, render_pair
from vrnlib.training.data import TEST_SEED


@pytest.fixture(scope="module")
def guess() -> np.ndarray:
    return mean_volume(count=6)


class Constant(torch.nn.Module):
    """Answers the same solid whatever it sees."""

    def __init__(self, solid: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.from_numpy(np.where(solid, 10.0, -10.0).astype(np.float32))[None]

    def forward(self, image):
        return self.logits


def test_mean_volume_is_a_head_in_the_middle(guess):
    assert guess.shape == (200, 192, 192) and 0.05 < guess.mean() < 0.2
    assert guess[100, 95, 95] and not guess[:, :, :10].any()


def test_a_network_that_ignores_the_photo_scores_the_baseline(guess, monkeypatch):
    monkeypatch.setattr(volumes, "mean_volume", lambda: guess)
    result = evaluate_volumes(Constant(guess), count=2, progress=False)
    assert result["iou"] == pytest.approx(result["mean_volume_iou"], abs=1e-6)
    assert 0.3 < result["iou"] < 0.9 and result["count"] == 2


def test_the_truth_scores_one(guess, monkeypatch):
    monkeypatch.setattr(volumes, "mean_volume", lambda: guess)
    sample = render_pair(TEST_SEED, 0, model=FaceRenderer())
    assert evaluate_volumes(Constant(sample.volume()), count=1, progress=False)["iou"] == 1.0


def test_the_command_shows_a_crop_four_times_unless_told_otherwise(guess, monkeypatch, capsys):
    monkeypatch.setattr(volumes, "mean_volume", lambda: guess)
    reports = []
    for arguments in (["volumes"], ["iou"], ["volumes", "--no-ensemble"]):
        assert cli.main(["evaluate", *arguments, "--count", "1"]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[1]["iou"] == pytest.approx(reports[0]["iou"], abs=1e-6) and 0.7 < reports[0]["iou"] < 1
    assert abs(reports[2]["iou"] - reports[0]["iou"]) > 1e-4, "one crop instead of four"
    assert reports[2]["mean_volume_iou"] == reports[0]["mean_volume_iou"]
    assert cli.main(["evaluate", "volumes", "--weights", "fan_open"]) == 1
    assert "Expected the weights of a VRN" in capsys.readouterr().err


def test_yaw_of_parameters_is_the_renders_yaw():
    renderer = FaceRenderer()
    samples = [render_pair(3, index, model=renderer) for index in range(6)]
    for sample in samples:
        if abs(sample.pose[1]) < 30 and abs(sample.pose[0]) < 80:
            assert abs(abs(yaw_of(sample.parameters)) - abs(sample.pose[0])) < 12  # perspective turns a face a little
