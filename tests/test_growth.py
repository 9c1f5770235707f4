"""A grown network says what the small one says, learns in all its parts, and refuses what cannot grow."""

from dataclasses import replace

import pytest
import torch

from vrnlib.commands.train import start_vrn
from vrnlib.network import VRN, VRNConfig, VRNGuided, VRNMultitask
from vrnlib.training.config import Recipe
from vrnlib.training.growth import grow
from vrnlib.weight_files import load_network, save_network

SMALL = VRNConfig(stem=3, features=8, depth=1, slices=5, resize=None)


def trained(config: VRNConfig) -> VRN:
    """Running means and variances that are not those of a fresh network."""
    network = VRN(config)
    for _ in range(3):
        network(torch.rand(2, 3, 32, 32))
    return network.eval()


@torch.no_grad()
def test_the_open_vrn_grows_without_a_change():
    torch.manual_seed(0)
    small = load_network("vrn_open", VRN)
    large = grow(small, VRN(replace(small.config, stem=32, features=128, residuals=2)))
    image = torch.rand(1, 3, 128, 128)
    assert (large.lattice_logits(image) - small.lattice_logits(image)).abs().max() < 1e-4


def test_what_is_new_learns():
    torch.manual_seed(0)
    small = trained(SMALL)
    large = grow(small, VRN(replace(SMALL, stem=6, features=16, residuals=2))).train()
    optimizer = torch.optim.RMSprop(large.parameters(), lr=1e-3)
    before = {name: parameter.detach().clone() for name, parameter in large.named_parameters()}
    for _ in range(2):
        optimizer.zero_grad()
        large(torch.rand(2, 3, 32, 32)).square().mean().backward()
        optimizer.step()
    new = large.trunk.hourglasses[0][0].skip[1].branch[8].weight
    assert new.abs().min() > 0, "the last convolution of a new Residual is zero no longer"
    head = dict(large.named_parameters())["head.1.weight"]
    assert (head[:, 8:] != 0).all(), "the head listens to the new channels"
    still = [name for name, parameter in large.named_parameters() if torch.equal(parameter, before[name])]
    assert not still


@torch.no_grad()
def test_a_vrn_grows_to_a_guided_one_that_does_not_listen_yet():
    torch.manual_seed(0)
    small = trained(SMALL)
    guided = grow(small, VRNGuided(SMALL))
    image = torch.rand(1, 3, 32, 32)
    assert torch.allclose(guided(image, 32 * torch.rand(1, 68, 2)), small(image), atol=1e-5)


@pytest.mark.parametrize("change", [{"features": 6}, {"hourglasses": 3}, {"slices": 4}, {"stem": 8, "features": 16}])
def test_what_cannot_grow_is_refused(change):
    with pytest.raises(ValueError, match="cannot grow to that shape"):
        grow(VRN(SMALL), VRN(replace(SMALL, **change)))


def test_a_training_grows_out_of_smaller_weights():
    recipe = Recipe(init="vrn_open", size=128, stem=32, features=96)
    network = start_vrn(recipe, 128)
    assert (network.config.stem, network.config.features, network.config.residuals) == (32, 96, 1)
    with pytest.raises(ValueError, match="cannot grow to that shape"):
        start_vrn(replace(recipe, features=64), 128)


@torch.no_grad()
def test_a_vrn_grows_to_a_multitask_one_that_says_the_same_of_the_volume():
    torch.manual_seed(0)
    small = trained(SMALL)
    multitask = grow(small, VRNMultitask(replace(small.config, stem=6)))
    image = torch.rand(1, 3, 32, 32)
    assert torch.allclose(multitask(image).volume, small(image), atol=1e-5)
    assert multitask(image).heatmaps.std() > 0
    with pytest.raises(ValueError, match="cannot grow to that shape"):
        grow(trained(replace(SMALL, hourglasses=1)), VRNMultitask(SMALL))


@pytest.mark.parametrize("kind", ["guided", "multitask"])
def test_the_family_starts_from_the_unguided_weights(kind, tmp_path):
    network = start_vrn(Recipe(init="vrn_open", size=128, kind=kind), 128)
    assert type(network).__name__ == {"guided": "VRNGuided", "multitask": "VRNMultitask"}[kind]
    save_network(tmp_path / "own.safetensors", network)
    again = start_vrn(Recipe(init=str(tmp_path / "own.safetensors"), size=128, kind=kind), 128)
    assert type(again) is type(network)
    with pytest.raises(ValueError, match=f"Expected the weights of a VRN, .* holds a {type(network).__name__}"):
        start_vrn(Recipe(init=str(tmp_path / "own.safetensors"), size=128), 128)
