"""A VRN by ONNX Runtime says what it says by torch: one crop or four, guided, multitask; and in a reconstruction."""

import numpy as np
import pytest
import torch

from tddfa.ibug import MIRRORED
from vrnlib.ensemble import FlipShiftEnsemble, OnnxVRN, half_column, shifted, views
from vrnlib.network import VRN, VRNConfig, VRNGuided, VRNMultitask
from vrnlib.reconstruct import open_networks, predict_volume
from vrnlib.weight_files import save_network

SMALL = {"stem": 8, "features": 16, "hourglasses": 1, "depth": 2}
WHOLE, REDUCED = VRNConfig(**SMALL, resize=None), VRNConfig(**SMALL, resize=128)


@pytest.fixture
def crop() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.nn.functional.interpolate(torch.rand(1, 3, 24, 24), size=(192, 192), mode="bicubic").clip(0, 1)


@pytest.fixture
def landmarks() -> torch.Tensor:
    return torch.rand(1, 68, 3, generator=torch.Generator().manual_seed(2)) * 120 + 36


def lively(network):
    """With statistics and biases that are not those of a new network."""
    torch.manual_seed(0)
    for value in network.state_dict().values():
        if value.is_floating_point() and value.ndim == 1:
            value += 0.2 * torch.rand_like(value)
    return network.eval()


def close(quick: torch.Tensor, slow: torch.Tensor) -> bool:
    return quick.shape == slow.shape == (1, 200, 192, 192) and bool(
        (quick - slow).abs().max() < 1e-4 * slow.std() + 1e-5
    )


@torch.inference_mode()
def test_one_crop_and_four(crop):
    whole, reduced = lively(VRN(WHOLE)), lively(VRN(REDUCED))
    assert close(OnnxVRN(whole)(crop), whole(crop))
    assert close(OnnxVRN(reduced)(crop), FlipShiftEnsemble(reduced)(crop))
    assert close(OnnxVRN(reduced, ensemble=False)(crop), reduced(crop))
    assert not close(OnnxVRN(reduced)(crop), reduced(crop))


@torch.inference_mode()
def test_multitask_gives_its_volume(crop):
    network = lively(VRNMultitask(WHOLE))
    assert close(OnnxVRN(network)(crop), network(crop).volume)


@torch.inference_mode()
def test_landmarks_go_where_the_crop_goes(crop, landmarks):
    """Guided, four crops: by torch, one after the other, each with landmarks that are shifted and mirrored with it."""
    network = lively(VRNGuided(REDUCED))
    answers = []
    for dx, dy, mirrored in views(half_column(network, 192)):
        picture, points = shifted(crop, dx, dy), landmarks[..., :2] + torch.tensor([dx, dy])
        if mirrored:
            other = torch.stack([191 - points[..., 0], points[..., 1]], dim=-1)[:, torch.from_numpy(MIRRORED.copy())]
            answers.append(shifted(network(picture.flip(3), other).flip(3), -dx, -dy))
        else:
            answers.append(shifted(network(picture, points), -dx, -dy))
    assert close(OnnxVRN(network)(crop, landmarks), torch.stack(answers).mean(0))
    with pytest.raises(ValueError, match="find them first"):
        OnnxVRN(network)(crop)


def test_a_reconstruction_takes_every_kind(tmp_path, crop, landmarks):
    image = (crop[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    points = landmarks[0].numpy()
    for kind in (VRN, VRNGuided, VRNMultitask):
        network = lively(kind(WHOLE))
        save_network(tmp_path / "a.safetensors", network)
        vrn = open_networks(vrn=tmp_path / "a.safetensors", fan=None).vrn
        quick, slow = predict_volume(vrn, image, points), predict_volume(network, image, points)
        assert np.abs(quick - slow).max() < 0.02  # float16 in the file
        if kind is VRNGuided:
            assert np.abs(predict_volume(vrn, image, points + 30) - quick).max() > 1e-3
            for guided in (vrn, network):
                with pytest.raises(ValueError, match="landmarks that guide"):
                    predict_volume(guided, image)
