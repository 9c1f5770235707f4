"""VRN and FAN: the released network's size and output, the Residual by hand, weights files that cannot lie."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tddfa.checkpoints import fill
from vrnlib import weight_files
from vrnlib.ensemble import OnnxVRN
from vrnlib.hourglass import Hourglass, Residual
from vrnlib.network import (
    FAN,
    VRN,
    FANConfig,
    VRNConfig,
    VRNGuided,
    VRNMultitask,
    count_parameters,
    landmark_channels,
    load_reference_state_dict,
)
from vrnlib.training.augment import Augmentation
from vrnlib.training.batches import rgb_input
from vrnlib.training.config import plain, read_recipes
from vrnlib.training.data import VALIDATION_SEED, RenderedFaces
from vrnlib.training.vrn import VolumePairs, volume_iou
from vrnlib.weight_files import (
    OPEN_VRNS,
    WEIGHTS,
    half_tensors,
    load_network,
    load_vrn,
    read_header,
    save_network,
    save_tensors,
)

SMALL = VRNConfig(stem=8, features=16, hourglasses=1, depth=2, resize=None)


@pytest.fixture(scope="module")
def released() -> VRN:
    return VRN(VRNConfig.reference()).eval()


@pytest.mark.parametrize(("name", "config"), [("vrn_open", VRNConfig), ("fan_open", FANConfig)])
def test_defaults_and_presets_are_those_of_the_committed_weights(name, config):
    assert asdict(config()) == asdict(config.open()) == read_header(name)["config"]
    network = load_network(name)
    assert network.config == config() and f"{count_parameters(network):,} parameters" in card(name)
    assert f"{count_parameters(network):,} parameters" in config.open.__doc__


@pytest.mark.parametrize(("name", "kind"), [("vrn_guided_open", VRNGuided), ("vrn_multitask_open", VRNMultitask)])
def test_the_rest_of_the_family_has_the_size_of_the_open_vrn(name, kind):
    """And the header says how it was trained: as the last training of the preset."""
    network = load_vrn(name)
    assert type(network) is kind and network.config == VRNConfig.open()
    assert f"{count_parameters(network):,} parameters" in card(name)
    told, recipe = read_header(name)["notes"]["config"], plain(read_recipes(name)[-1])
    same = recipe.keys() - {"init", "cache", "device", "precision", "workers"}
    assert {key: told[key] for key in same} == {key: recipe[key] for key in same}


@torch.inference_mode()
def test_the_open_family_sees_faces_that_training_never_saw(tmp_path):
    """Guided believes its landmarks: wrong ones harm it. Multitask's maps are highest where the landmarks lie."""
    faces = RenderedFaces(tmp_path, seed=VALIDATION_SEED, count=4)
    pairs = VolumePairs(faces, augmentation=Augmentation.none(), seed=0, size=128, landmarks=0)
    images, solids, points = (torch.stack(parts) for parts in zip(*[pairs[i] for i in range(4)], strict=True))
    plain_vrn, guided, multitask = (load_vrn(name) for name in OPEN_VRNS)
    volume, maps = multitask.lattice_logits(rgb_input(images))
    answers = [plain_vrn.lattice_logits(rgb_input(images)), guided.lattice_logits(rgb_input(images), points), volume]
    assert all(volume_iou(answer, solids).mean() > 0.85 for answer in answers)
    astray = guided.lattice_logits(rgb_input(images), points + torch.tensor([8.0, 0]))
    assert volume_iou(astray, solids).mean() < volume_iou(answers[1], solids).mean() - 0.02
    highest = maps.flatten(2).argmax(2)
    found = 4 * torch.stack([highest % 32, highest // 32], dim=2) + 1.5
    assert (found - points).norm(dim=2).mean() < 4, "cells are 4 pixels wide"


def test_the_whole_log_of_the_open_vrn_ends_as_its_weights_do():
    """vrn_open.jsonl has all runs, of which the header knows the last; notebook 4 draws it."""
    text = (WEIGHTS / "vrn_open.jsonl").read_text(encoding="utf-8")
    log = [json.loads(line) for line in text.splitlines()]
    places = [(line["run"], line["step"]) for line in log]
    assert places == sorted(set(places)) and [line["run"] for line in log][0] == 1
    last = [line for line in log if line["run"] == log[-1]["run"]]
    header = read_header("vrn_open")["notes"]["log"]
    for key in ("step", "loss", "held_out_iou"):
        assert [line[key] for line in last] == pytest.approx([line[key] for line in header], abs=1e-6)


def card(name: str) -> str:
    return (WEIGHTS / f"{name}.md").read_text(encoding="utf-8")


def fill_by_formula(network: nn.Module) -> None:
    """The tensors of the reference file, see ``reference/README.md`` beside it."""
    filled = {}
    for i, (key, tensor) in enumerate(network.state_dict().items()):
        j = np.arange(tensor.numel(), dtype=np.float64)
        s = np.sin(0.37 * (i + 1) + 1.7 * j + 0.013 * j * (i % 7 + 1)).reshape(tensor.shape)
        if key.endswith("num_batches_tracked"):
            s = np.zeros(tensor.shape)
        elif key.endswith("running_var"):
            s = 0.75 + 0.5 * np.abs(s)
        elif key.endswith("running_mean"):
            s = 0.1 * s
        elif tensor.ndim == 4:
            s = s * math.sqrt(2 / math.prod(tensor.shape[1:]))
        elif key.endswith("bias"):
            s = 0.05 * s
        else:
            s = 1 + 0.1 * s
        filled[key] = torch.from_numpy(np.asarray(s)).to(tensor.dtype)
    network.load_state_dict(filled)


def test_reference_has_the_released_number_of_parameters(released):
    assert count_parameters(released) == 19_184_968


def test_reference_tensors_come_in_the_released_order(released, reference):
    shapes = [str(shape) for shape in np.load(reference / "vrn_reference.npz")["shapes"]]
    assert [str(list(tensor.shape)) for tensor in released.state_dict().values()] == shapes


def test_reference_output_equals_the_released_graph(reference):
    truth = np.load(reference / "vrn_reference.npz")
    network = VRN(VRNConfig.reference()).eval()
    fill_by_formula(network)
    j = np.arange(3 * 192 * 192, dtype=np.float64)
    image = (0.5 + 0.5 * np.sin(0.003 * j + 0.7 * np.floor(j / 192))).reshape(1, 3, 192, 192)
    with torch.inference_mode():
        volume = torch.sigmoid(network(torch.from_numpy(image).float())).numpy()
    assert volume.shape == tuple(truth["shape"])
    assert np.abs(volume[0, ::10, ::12, ::12] - truth["sub"]).max() < 1e-5
    assert volume.mean() == pytest.approx(float(truth["mean"]), abs=1e-5)


def test_pooled_nesting_has_the_same_parameters_but_another_output():
    torch.manual_seed(0)
    skip, pooled = Hourglass(2, 16, 1, "skip").eval(), Hourglass(2, 16, 1, "pooled").eval()
    pooled.load_state_dict(skip.state_dict())
    x = torch.rand(1, 16, 8, 8)
    assert count_parameters(skip) == count_parameters(pooled)
    assert not torch.allclose(skip(x), pooled(x))


def test_residual_is_branch_plus_skip_before_any_activation():
    torch.manual_seed(0)
    block = Residual(8, 8).eval()
    with torch.no_grad():
        block.branch[-1].weight.zero_()
        block.branch[-1].bias.zero_()
    x = torch.randn(2, 8, 4, 4)  # negative values must pass: no activation after the sum
    assert torch.equal(block(x), x)


def test_output_shape_and_lattice():
    network = VRN(SMALL).eval()
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        full, lattice = network(image), network.lattice_logits(image)
    assert full.shape == (2, 200, 64, 64) and lattice.shape == (2, 200, 16, 16)
    # voxels 4i+1 and 4i+2 lie half a pixel to either side of lattice cell i
    middle = (full[..., 1:-2:4, :] + full[..., 2:-1:4, :]) / 2
    middle = (middle[..., 1:-2:4] + middle[..., 2:-1:4]) / 2
    assert torch.allclose(middle[..., 1:-1, 1:-1], lattice[..., 1:-1, 1:-1], atol=0.2 * lattice.std().item())


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 50, 64)])
def test_wrong_input_shape_is_a_sentence(shape):
    with pytest.raises(ValueError, match="expected images of shape"):
        VRN(SMALL)(torch.rand(shape))


def test_unknown_nesting_is_a_sentence():
    with pytest.raises(ValueError, match="nesting must be"):
        VRN(VRNConfig(nesting="both"))


def test_small_pictures_are_resized_and_the_volume_is_not():
    network = VRN(replace(SMALL, resize=32)).eval()
    seen = []
    network.trunk.register_forward_hook(lambda _, images, __: seen.append(images[0].shape))
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 200, 64, 64) and seen == [(1, 3, 32, 32)]


def test_maps_show_their_shapes_only():
    maps = FAN(FANConfig(stem=8, features=8, depth=2, points=1)).eval()(torch.rand(2, 3, 64, 64))
    assert repr(maps) == (
        "LandmarkMaps(points=torch.float32 (2, 1, 3), heatmaps=torch.float32 (2, 1, 16, 16), "
        "logits=torch.float32 (2, 1, 16, 16))"
    )


def test_fan_decodes_a_peak_to_sub_pixel_position():
    network = FAN(FANConfig(stem=8, features=8, depth=2, points=1, size=64)).eval()
    logits = torch.full((1, 2, 16, 16), -20.0)
    logits[0, 0, 5, 7] = logits[0, 0, 5, 8] = 20.0  # row 5, between columns 7 and 8
    logits[0, 1] = 0.25
    network.head = nn.Identity()
    network.trunk.forward = lambda image: logits
    maps = network(torch.rand(1, 3, 64, 64))
    assert torch.allclose(maps.points[0, 0], torch.tensor([7.5 * 4 + 1.5, 5 * 4 + 1.5, 0.25 * 16]), atol=1e-3)
    assert maps.scores.item() == pytest.approx(1, abs=1e-3)


def test_fan_score_of_a_flat_map_is_low():
    network = FAN(FANConfig(stem=8, features=8, depth=2, points=1, size=64)).eval()
    network.head = nn.Identity()
    network.trunk.forward = lambda image: torch.zeros(1, 2, 16, 16)
    assert network(torch.rand(1, 3, 64, 64)).scores.item() == pytest.approx(9 / 256, abs=1e-3)


def test_half_tensors_keep_what_float16_cannot_hold():
    """A batch normalisation's variance of 72,020, saved as infinity, had silenced a channel of the open detector."""
    layer = nn.BatchNorm2d(2)
    layer.running_var[1] = 72_020.0
    halves = half_tensors(layer)
    assert halves["running_var"].dtype == torch.float32 and halves["running_var"][1] == 72_020.0
    assert halves["running_mean"].dtype == torch.float16 and halves["num_batches_tracked"].dtype == torch.int64
    layer.running_var[1] = torch.inf
    with pytest.raises(ValueError, match="running_var is not finite"):
        half_tensors(layer)


def test_weights_file_round_trip(tmp_path):
    network = VRN(SMALL).eval()
    save_network(tmp_path / "a.safetensors", network, notes={"seed": 3})
    again = load_network(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="Expected the weights of a FAN, .* holds a VRN"):
        load_network(tmp_path / "a.safetensors", FAN)
    assert again.config == SMALL and read_header(tmp_path / "a.safetensors")["notes"] == {"seed": 3}
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(network(image), again(image), atol=2e-2)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.safetensors"]


def test_damaged_or_missing_weights_are_sentences(tmp_path):
    path = tmp_path / "a.safetensors"
    save_network(path, VRN(SMALL))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="no whole safetensors file"):
        load_network(path)
    with pytest.raises(FileNotFoundError, match="give a .safetensors or .pth file or one of"):
        load_network(tmp_path / "missing.safetensors")
    network = VRN(SMALL)
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    header = {"class": "VRN", "config": asdict(SMALL)}
    save_tensors(path, {**tensors, "stem.weight": torch.zeros(2)}, "vrn", header)
    with pytest.raises(ValueError, match="another architecture"):
        load_network(path)
    some = next(name for name, value in tensors.items() if value.ndim == 4)
    tensors[some] = torch.full_like(tensors[some], torch.nan)
    save_tensors(path, tensors, "vrn", header)
    with pytest.raises(ValueError, match=f"NaN or infinity in {some}"):
        load_network(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"features": 10**6},
        {"depth": 60},
        {"hourglasses": 10**9},
        {"stem": -1},
        {"stem": 2.5},
        {"slices": True},
        {"slices": None},
        {"nesting": "deep"},
        {"size": 128},  # a FAN's
    ],
    ids=str,
)
def test_a_header_that_asks_for_an_absurd_network_is_refused(tmp_path, wrong):
    path, network = tmp_path / "a.safetensors", VRN(SMALL)
    save_tensors(path, network.state_dict(), "vrn", {"class": "VRN", "config": asdict(SMALL) | wrong})
    with pytest.raises(ValueError, match=f"asks for {next(iter(wrong))} = .* get the file again"):
        load_network(path)


@pytest.mark.parametrize("kind", ["GAN", ["VRN"], {"VRN": 1}, None], ids=str)
def test_a_header_of_an_unknown_kind_is_refused(tmp_path, kind):
    path, network = tmp_path / "a.safetensors", VRN(SMALL)
    save_tensors(path, network.state_dict(), "vrn", {"class": kind, "config": asdict(SMALL)})
    with pytest.raises(ValueError, match=r"a.safetensors holds a .* this version knows .*VRN"):
        load_network(path)


def test_a_header_larger_than_its_tensors_takes_no_memory(tmp_path, monkeypatch):
    """The largest network would take 17 GB; that the tensors are smaller is found before it has any memory."""
    path, made = tmp_path / "a.safetensors", []
    monkeypatch.setattr(weight_files, "fill", lambda network, *rest: made.append(network) or fill(network, *rest))
    config = asdict(SMALL) | {"features": 2 * SMALL.features}
    save_tensors(path, VRN(SMALL).state_dict(), "vrn", {"class": "VRN", "config": config})
    with pytest.raises(ValueError, match="another architecture"):
        load_network(path)
    assert all(value.is_meta for value in made[0].state_dict().values())


@pytest.mark.parametrize("header", ["[1]", "{}", "{", "[" * 9999])
def test_a_header_of_another_kind_is_a_sentence(tmp_path, header):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(2)}, path, metadata={"vrn": header})
    with pytest.raises(ValueError, match="has no VRN header"):
        load_network(path)


def test_a_pickle_offered_as_weights_is_refused(tmp_path):
    path = tmp_path / "evil.safetensors"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="no whole safetensors file"):
        load_network(path)


def released_state(reference) -> dict[str, torch.Tensor]:
    """The state dict of ``reference/vrn_reference.npz``, filled by its formula, keys as in the original."""
    truth = np.load(reference / "vrn_reference.npz")
    network = VRN(VRNConfig.reference())
    fill_by_formula(network)
    keys = [str(key) for key in truth["keys"]]
    return dict(zip(keys, network.state_dict().values(), strict=True))


def numbered_state(network: VRN) -> dict[str, torch.Tensor]:
    """A state dict of the original's form without the original: module k of the tensors' order is called k.0."""
    modules: dict[str, int] = {}
    state = {}
    for name, tensor in network.state_dict().items():
        module, kind = name.rsplit(".", 1)
        state[f"{modules.setdefault(module, len(modules))}.0.{kind}"] = tensor.clone()
    return state


def test_a_file_of_the_released_form_fills_the_reference(reference, tmp_path):
    """As .pth, in another order and of several GPUs; torch and ONNX Runtime give the released graph's output."""
    truth = np.load(reference / "vrn_reference.npz")
    state = released_state(reference)
    shuffled = {f"module.{key}": state[key] for key in sorted(state, key=lambda key: key[::-1])}
    torch.save({"state_dict": shuffled}, tmp_path / "released.pth")
    network = load_vrn(tmp_path / "released.pth")
    assert not network.training and network.config == VRNConfig.reference()
    j = np.arange(3 * 192 * 192, dtype=np.float64)
    image = (0.5 + 0.5 * np.sin(0.003 * j + 0.7 * np.floor(j / 192))).reshape(1, 3, 192, 192)
    with torch.inference_mode():
        volume = torch.sigmoid(network(torch.from_numpy(image).float())).numpy()
        quick = torch.sigmoid(OnnxVRN(network)(torch.from_numpy(image).float())).numpy()
    assert np.abs(volume[0, ::10, ::12, ::12] - truth["sub"]).max() < 2e-5
    assert np.abs(quick[0, ::10, ::12, ::12] - truth["sub"]).max() < 2e-5


class Evil:
    def __reduce__(self):
        return print, ("this runs",)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (Evil(), "nothing but tensors"),
        ({"state_dict": {"0.0.weight": Evil()}}, "nothing but tensors"),
        ([torch.zeros(2)], "dictionary of tensors"),
        ({"0.0.weight": torch.zeros(2)}, "1,917 tensors"),
        ({"trunk.weight": torch.zeros(2)}, "keys like"),
        ({"0.0.weight": torch.zeros(1).expand(10**6)}, "promises"),
    ],
    ids=["object", "object inside", "list", "too few", "other keys", "more than it holds"],
)
def test_another_file_is_no_released_network(tmp_path, content, word, capsys):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=word) as error:
        load_vrn(tmp_path / "a.pth")
    assert "\n" not in str(error.value) and "this runs" not in capsys.readouterr().out


def test_a_file_of_the_released_form_is_bounded(tmp_path, monkeypatch):
    torch.save({"0.0.weight": torch.zeros(2000)}, tmp_path / "a.pth")
    monkeypatch.setattr("tddfa.checkpoints.LARGEST", 4000)
    with pytest.raises(ValueError, match="up to 4,000 bytes"):
        load_vrn(tmp_path / "a.pth")


@pytest.mark.parametrize("kind", [VRNGuided, VRNMultitask])
def test_guided_and_multitask_weights_come_back(tmp_path, kind):
    network = kind(SMALL).eval()
    save_network(tmp_path / "a.safetensors", network)
    again = load_vrn(tmp_path / "a.safetensors")
    assert type(again) is kind and again.config == SMALL
    for mine, its in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.allclose(mine.float(), its.float(), rtol=2e-3, atol=1e-6)
    with pytest.raises(ValueError, match=f"Expected the weights of a VRN, .* holds a {kind.__name__}"):
        load_network(tmp_path / "a.safetensors", VRN)
    with pytest.raises(ValueError, match="holds a FAN"):
        load_vrn("fan_open")


def test_keys_are_taken_in_the_order_of_their_numbers_and_not_of_the_file():
    one, other = VRN(SMALL).eval(), VRN(SMALL)
    state = numbered_state(one)
    assert list(sorted(state)) != list(state)  # "10.0…" would come before "2.0…"
    load_reference_state_dict(other, {f"module.{key}": state[key] for key in sorted(state)})
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    "fault, message",
    [
        (lambda state: state | {"head.weight": torch.zeros(1)}, "keys like 9.1.2.weight"),
        (lambda state: dict(list(state.items())[1:]), "expected the .* tensors"),
        (lambda state: state | {"0.0.weight": torch.zeros(2)}, "another network"),
        (lambda state: state | {"0.0.weight": torch.full_like(state["0.0.weight"], torch.nan)}, "NaN or infinity"),
    ],
)
def test_another_state_dict_is_a_sentence_and_fills_nothing(fault, message):
    network = VRN(SMALL)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_reference_state_dict(network, fault(numbered_state(VRN(SMALL))))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_landmark_channels_are_gaussians_at_the_landmarks():
    points = torch.tensor([[[3.0, 1.0, 9.0], [2.5, 4.0, 9.0]]])
    maps = landmark_channels(points, (6, 8))
    assert maps.shape == (1, 2, 6, 8) and maps[0, 0].argmax() == 1 * 8 + 3 and maps[0, 0].max() == 1
    assert maps[0, 0, 1, 4].item() == pytest.approx(math.exp(-0.5), abs=1e-6)
    assert torch.allclose(maps[0, 1, 4, 2], maps[0, 1, 4, 3])  # half-way between two pixels


def test_guided_sees_image_and_landmarks():
    torch.manual_seed(0)
    network = VRNGuided(SMALL).eval()
    assert network.trunk.stem[0].weight.shape[1] == 71
    image, points = torch.rand(2, 3, 64, 64), torch.rand(2, 68, 3) * 64
    with torch.inference_mode():
        logits = network(image, points)
        assert logits.shape == (2, 200, 64, 64)
        assert not torch.allclose(logits, network(image, points + 5))
        assert not torch.allclose(logits, network(image.flip(3), points))
    with pytest.raises(ValueError, match="expected landmarks of shape"):
        network(image, points[:, :5])


def test_guided_draws_its_landmarks_where_the_reduced_picture_has_them():
    """The middle of a picture stays its middle: at half the side, pixel 95.5 is pixel 47.5."""
    network = VRNGuided(VRNConfig(stem=8, features=16, hourglasses=1, depth=2, resize=96)).eval()
    seen = []
    network.trunk.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    with torch.inference_mode():
        network(torch.rand(1, 3, 192, 192), torch.full((1, 68, 2), 95.5))
    channel = seen[0][0, 3]
    assert seen[0].shape == (1, 71, 96, 96)
    assert torch.allclose(channel[47, 47], channel[48, 48]) and channel[47, 47] == channel.max()


def test_multitask_has_three_hourglasses_and_two_answers():
    network = VRNMultitask(SMALL).eval()
    outermost = [m for m in network.modules() if isinstance(m, Hourglass) and m.inner is not None]
    assert len(outermost) == 3
    with torch.inference_mode():
        answer = network(torch.rand(1, 3, 64, 64))
    assert answer.volume.shape == (1, 200, 64, 64) and answer.heatmaps.shape == (1, 68, 16, 16)
    rare = answer.heatmaps.sigmoid().mean().item()
    assert 0.003 < rare < 0.03, "as rare from the start as a Gaussian's cells, 6 of 1,024"
    shared = sum(p.numel() for p in network.trunk.parameters())
    assert shared == sum(p.numel() for p in VRN(SMALL).trunk.parameters())


def test_the_volume_of_multitask_does_not_hang_on_its_landmark_branch():
    torch.manual_seed(0)
    network, image = VRNMultitask(SMALL), torch.rand(1, 3, 64, 64)
    network(image).volume.sum().backward()
    assert all(p.grad is None for p in network.landmark_head.parameters())
    assert network.trunk.stem[0].weight.grad is not None
