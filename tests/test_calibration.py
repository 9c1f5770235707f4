"""The level of best overlap: found where it is, and moved to 0.5."""

import numpy as np
import pytest
import torch

from vrnlib import calibration
from vrnlib.calibration import LEVELS, best_level, move_level, overlaps
from vrnlib.metrics import iou
from vrnlib.network import VRN, VRNConfig
from vrnlib.synthetic import render_pair


def test_overlaps_are_the_ious_at_each_level():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (5, 6, 7)).astype(np.float32)
    logits.flat[: len(LEVELS)] = LEVELS  # a logit on a level is outside
    solid = logits + rng.normal(0, 0.5, logits.shape) > 0.3
    expected = [iou(logits > level, solid) for level in LEVELS]
    np.testing.assert_allclose(overlaps(logits, solid), expected)


def test_overlaps_of_nothing_with_nothing():
    assert not overlaps(np.full((2, 2, 2), -9.0), np.zeros((2, 2, 2), bool)).any()


def test_the_best_level_is_found_where_the_answers_are_off():
    """A network that knows the solids, but is 0.6 too sure of being inside."""
    solids = iter([render_pair(5, index).volume() for index in range(2)])

    def network(crop):
        solid = torch.from_numpy(next(solids)).float()[None]
        return torch.where(solid > 0, 1.0, 0.2) + 0.01

    level = best_level(network, count=2, seed=5, progress=False)
    assert 0.2 < level < 1


def test_moving_the_level_moves_every_logit():
    torch.manual_seed(0)
    vrn = VRN(VRNConfig(stem=4, features=8, hourglasses=1, depth=1, slices=4)).eval()
    crop = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        before = vrn(crop)
        move_level(vrn, -0.3)
        torch.testing.assert_close(vrn(crop), before + 0.3)


def test_the_command_writes_weights_and_says_the_level(tmp_path, monkeypatch, capsys):
    from vrnlib.cli import main
    from vrnlib.network import load_network, read_header, save_network

    vrn = VRN(VRNConfig(stem=4, features=8, hourglasses=1, depth=1))
    save_network(tmp_path / "a.safetensors", vrn, notes={"recipe": {}, "level": 0.1})
    monkeypatch.setattr(calibration, "best_level", lambda network, count: -0.25)
    out = tmp_path / "b.safetensors"
    assert main(["calibrate", str(tmp_path / "a.safetensors"), "-o", str(out), "--count", "3"]) == 0
    assert "-0.25" in capsys.readouterr().out
    assert read_header(out)["notes"]["level"] == pytest.approx(-0.15)
    raised = load_network(out).head[-1].bias - load_network(tmp_path / "a.safetensors").head[-1].bias
    torch.testing.assert_close(raised, torch.full_like(raised, 0.25), atol=1e-3, rtol=0)
    assert main(["calibrate", "fan_open", "-o", str(out)]) == 1
    assert "holds a FAN" in capsys.readouterr().err
