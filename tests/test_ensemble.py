"""A crop shown several times: the right places, the right mirror, and steps that vanish."""

import pytest
import torch

from vrnlib.ensemble import FlipShiftEnsemble, half_column, shifted
from vrnlib.network import VRN, VRNConfig


class Columns(torch.nn.Module):
    """Answers with the picture's own brightness, known only every 6 pixels."""

    config = VRNConfig(resize=128)

    def forward(self, image):
        grey = image.mean(1, keepdim=True)
        return grey[:, :, 3::6, 3::6].repeat_interleave(6, 2).repeat_interleave(6, 3)


def test_half_a_column_is_two_pixels_or_three():
    assert half_column(VRN(VRNConfig(features=8, stem=4, resize=None)), 192) == 2
    assert half_column(VRN(VRNConfig(features=8, stem=4, resize=128)), 192) == 3


@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (0, 3), (-2, 1)])
def test_shifted_goes_right_and_down_and_back(dx, dy):
    picture = torch.rand(1, 2, 12, 16)
    there = shifted(picture, dx, dy)
    assert there.shape == picture.shape
    assert there[0, 0, 6 + dy, 8 + dx] == picture[0, 0, 6, 8]
    assert torch.equal(shifted(there, -dx, -dy)[:, :, 4:8, 4:12], picture[:, :, 4:8, 4:12])


def test_the_four_crops_agree_about_places_and_halve_the_steps():
    ramp = torch.linspace(0, 1, 192).expand(1, 3, 192, 192)  # left is not right, so a wrong mirror shows
    for picture in (ramp, ramp.transpose(2, 3)):
        one, four = Columns()(picture), FlipShiftEnsemble(Columns())(picture)
        inner = (slice(None), slice(None), slice(12, 180), slice(12, 180))
        truth = picture[:, :1]
        assert (four - truth)[inner].abs().max() < 0.6 * (one - truth)[inner].abs().max()


def test_the_answer_has_the_networks_shape():
    torch.manual_seed(0)
    network = VRN(VRNConfig(features=8, stem=4, resize=128)).eval()
    with torch.inference_mode():
        assert FlipShiftEnsemble(network)(torch.rand(1, 3, 192, 192)).shape == (1, 200, 192, 192)
