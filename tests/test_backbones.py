"""MobileNetV1 and ResNet-22: names, shapes and counts of 3DDFA_V2's checkpoints; what else is refused."""

from __future__ import annotations

import zipfile

import pytest
import torch
from safetensors.torch import save_file

from tddfa.assets import AssetError
from tddfa.backbones import MobileNetV1, ResNet22, build_backbone, load_backbone
from tddfa.checkpoints import read_checkpoint
from tddfa.faceboxes import FaceBoxesNet
from tddfa.runtimes import fold_batch_norms


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def lively(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The network with running statistics other than 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


@pytest.fixture
def photo() -> torch.Tensor:
    return torch.randn(2, 3, 120, 120, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("network", "parameters"),
    [(MobileNetV1(), 3_270_526), (MobileNetV1(width=0.5), 850_398), (ResNet22(), 18_449_246)],
)
def test_counts_and_shapes(network, parameters, photo):
    assert count(network) == parameters
    assert network.eval()(photo).shape == (2, 62)


def test_mobilenet_by_hand():
    """3x3 convolutions by channel, 1x1 ones over channels, two numbers per normalised channel, the last layer."""
    channels = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    total = 3 * 9 * 32 + 2 * 32 + 1024 * 62 + 62
    for inputs, outputs in zip(channels, channels[1:], strict=False):
        total += 9 * inputs + 2 * inputs + inputs * outputs + 2 * outputs
    assert count(MobileNetV1()) == total


def test_counts_as_3ddfa_v2s_readme_gives_them():
    """Its table of parameters: 3.27 M, 0.85 M, 18.45 M."""
    networks = (MobileNetV1(), MobileNetV1(width=0.5), ResNet22())
    assert [round(count(network) / 1e6, 2) for network in networks] == [3.27, 0.85, 18.45]


def test_names_of_resnet22():
    names = ResNet22().state_dict()
    assert names["conv1.weight"].shape == (32, 3, 5, 5) and names["conv2.weight"].shape == (64, 32, 3, 3)
    assert names["layer1.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert names["layer2.3.bn2.running_var"].shape == (256,) and "layer2.4.conv1.weight" not in names
    assert names["layer3.2.conv2.weight"].shape == (512, 512, 3, 3)
    assert names["conv_param.weight"].shape == (62, 512, 1, 1)
    assert not [name for name in names if name.startswith("fc")]


@pytest.mark.parametrize("make", [lambda: MobileNetV1(width=0.25), lambda: ResNet22(parameters=30)])
def test_architecture_is_read_from_the_tensors(make, photo, tmp_path):
    network = lively(make())
    prefixed = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": prefixed}, tmp_path / "weights.pth")
    read = load_backbone(tmp_path / "weights.pth")
    assert type(read) is type(network) and not read.training
    torch.testing.assert_close(read(photo), network(photo))


def test_the_unused_head_of_the_official_mobilenets_is_left_out(photo):
    network = lively(MobileNetV1(width=0.25))
    tensors = {name.replace("fc.", "fc_param."): value for name, value in network.state_dict().items()}
    tensors["fc_lm.weight"], tensors["fc_lm.bias"] = torch.zeros(136, 256), torch.zeros(136)
    torch.testing.assert_close(build_backbone(tensors, "a test")(photo), network(photo))


def test_official_checkpoint(assets):
    network = load_backbone(assets / "official" / "weights" / "mb05_120x120.pth")
    assert isinstance(network, MobileNetV1) and count(network) == 850_398


def test_half_precision_safetensors(tmp_path, photo):
    network = lively(MobileNetV1(width=0.25))
    halves = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    save_file({**halves, "parameter_mean": torch.zeros(62)}, tmp_path / "weights.safetensors")
    read = load_backbone(tmp_path / "weights.safetensors")
    torch.testing.assert_close(read(photo), network(photo), atol=0.05, rtol=0)


def test_other_architectures_are_named(tmp_path):
    torch.save(FaceBoxesNet().state_dict(), tmp_path / "faces.pth")
    with pytest.raises(AssetError, match=r"MobileNetV1 or a ResNet-22 .* in faces.pth, got tensors such as conv1.conv"):
        load_backbone(tmp_path / "faces.pth")
    tensors = MobileNetV1(width=0.25).state_dict()
    tensors["dw4_1.conv_sep.weight"] = torch.zeros(3, 3)
    tensors.pop("bn1.bias")
    torch.save(tensors, tmp_path / "odd.pth")
    with pytest.raises(AssetError, match=r"MobileNetV1 in odd.pth.*bn1.bias is missing, 2 differences"):
        load_backbone(tmp_path / "odd.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_truncated_and_missing_checkpoints(tmp_path, name):
    path = tmp_path / name
    tensors = MobileNetV1(width=0.25).state_dict()
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:size])
        with pytest.raises(AssetError, match=f"{name} is damaged"):
            read_checkpoint(path)
    path.unlink()
    with pytest.raises(AssetError, match="found no such file"):
        read_checkpoint(path)


def test_a_damaged_official_file_says_where_to_get_it(tmp_path):
    (tmp_path / "mb05_120x120.pth").write_bytes(b"PK")
    with pytest.raises(AssetError, match=r"fetch it again from https://.*/weights/mb05_120x120.pth"):
        read_checkpoint(tmp_path / "mb05_120x120.pth")


def test_weights_that_are_not_finite(tmp_path):
    tensors = MobileNetV1(width=0.25).state_dict()
    next(value for name, value in tensors.items() if name.endswith("running_var"))[1] = torch.inf
    torch.save(tensors, tmp_path / "x.pth")
    with pytest.raises(AssetError, match=r"NaN or infinity in \S+running_var"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": 3}, {"a": 1.5}])
def test_no_checkpoint_at_all(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(AssetError, match="dictionary of tensors"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("make", [lambda: MobileNetV1(width=0.25), ResNet22, FaceBoxesNet])
def test_folding_keeps_the_output(make, photo):
    network = lively(make())
    folded = fold_batch_norms(network)
    assert not [module for module in folded.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        torch.testing.assert_close(folded(photo), network(photo), atol=1e-4, rtol=1e-3)


def test_sizes_that_the_file_does_not_hold_are_refused(tmp_path):
    """Without strides a few bytes stand for terabytes, and a tensor of no columns for a network of terabytes."""
    tensors = MobileNetV1(width=0.25).state_dict()
    torch.save({**tensors, "fc.bias": torch.zeros(1).expand(2**42)}, tmp_path / "wide.pth")
    with pytest.raises(AssetError, match="promises 17,592"):
        read_checkpoint(tmp_path / "wide.pth")
    for rows in (2**40, 2**17, 0):
        torch.save({**tensors, "conv1.weight": torch.zeros(rows, 0, 3, 3)}, tmp_path / "empty.pth")
        with pytest.raises(AssetError, match=r"MobileNetV1 or a ResNet-22"):
            load_backbone(tmp_path / "empty.pth")
    torch.save({**tensors, "conv1.weight": torch.zeros(4000, 0, 3, 3)}, tmp_path / "empty.pth")
    with pytest.raises(AssetError, match="conv1.weight is"):
        load_backbone(tmp_path / "empty.pth")
    for wrong in (torch.tensor(1.0), torch.eye(3).to_sparse(), torch.zeros(2) * 1j):
        torch.save({**tensors, "conv1.weight": wrong}, tmp_path / "odd.pth")
        with pytest.raises(AssetError, match="Expected"):
            load_backbone(tmp_path / "odd.pth")


def test_a_packed_checkpoint_is_no_bomb(tmp_path):
    torch.save({"a": torch.zeros(4)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
        info = zipfile.ZipInfo("plain/data/9")
        info.compress_type = zipfile.ZIP_DEFLATED
        with bomb.open(info, "w") as entry:
            for _ in range(1100):
                entry.write(bytes(2**20))
    with pytest.raises(AssetError, match="holds more"):
        read_checkpoint(tmp_path / "bomb.pth")
