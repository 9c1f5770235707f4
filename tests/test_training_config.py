"""The configuration of a training: checked, read from YAML, written beside the weights; and `vrn train` obeys it."""

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
import torch
import yaml
from test_training_loop import TINY, Balls, task

from vrnlib.cli import main
from vrnlib.commands import train as command
from vrnlib.network import VRN, FANConfig, VRNGuided, VRNMultitask
from vrnlib.training.config import PRESETS, Recipe, TrainingConfig, changed, read_recipes, write_config
from vrnlib.training.engine import Objective, bf16_is_fast, start_engine, use_bf16
from vrnlib.training.fan import landmark_loss
from vrnlib.training.vrn import vrn_task
from vrnlib.weight_files import load_network, read_header

SMALL = ["--renders", "32", "--held-out", "4", "--batch", "8", "--report", "2", "--workers", "0", "--device", "cpu"]


@pytest.fixture
def discs(monkeypatch) -> list[Recipe]:
    """`vrn train vrn` learns discs; gives the recipes that it was asked for."""
    asked: list[Recipe] = []

    def discs_task(recipe: Recipe):
        asked.append(recipe)
        network = load_network(recipe.init, VRN) if recipe.init else task().network
        return vrn_task(network, Balls(recipe.renders), Balls(recipe.held_out), step=4)

    monkeypatch.setitem(command.TASKS, "vrn", discs_task)
    return asked


def test_a_configuration_is_frozen_and_goes_through_yaml(tmp_path):
    recipe = Recipe(network="vrn", scale=(0.9, 1.1), features=128, rate=1e-5)
    with pytest.raises(FrozenInstanceError):
        recipe.rate = 1.0
    write_config(tmp_path / "one.yml", [recipe])
    write_config(tmp_path / "two.yml", [recipe, replace(recipe, seed=3)])
    assert read_recipes(tmp_path / "one.yml") == [recipe]
    assert read_recipes(tmp_path / "two.yml") == [recipe, replace(recipe, seed=3)]
    assert read_recipes(tmp_path / "one.yml", {"rate": 1e-3})[0].rate == 1e-3


def test_a_later_training_of_a_file_names_what_it_changes(tmp_path):
    (tmp_path / "runs.yml").write_text("- {rate: 1e-3, seed: 4, scale: [0.9, 1]}\n- {rate: 2.0e-4}\n")
    first, second = read_recipes(tmp_path / "runs.yml")
    assert (first.rate, second.rate, second.seed, second.scale) == (1e-3, 2e-4, 4, (0.9, 1))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("steps: 0", "Expected steps of 1 or more, got 0"),
        ("steps: many", "Expected steps to be a whole number, got 'many'"),
        ("steps: true", "Expected steps to be a whole number, got True"),
        ("rate: .nan", "Expected rate to be a number, got nan"),
        ("rate: 0", "Expected a rate above 0"),
        ("optimizer: sgd", "Expected optimizer to be one of rmsprop, adamw, got 'sgd'"),
        ("scale: [1.1, 0.9]", "Expected scale from a smaller to a larger factor"),
        ("scale: 1", "Expected scale to be two numbers"),
        ("batch: 64\nrenders: 32", "Expected at least as many renders as a batch has, 64, got 32"),
        ("network: fan\nrotation: 10", "Expected no rotation for fan; it is for vrn"),
        ("size: 128\nstep: 1", "Expected size 192 for step 1"),
        ("colour: [1, 1]", "Expected names of a training's settings .* got colour"),
        ("- steps: 1\n- 3", "Expected a mapping of settings, or a list of mappings"),
        ("a: &a [1]\nb: *a", "Expected a YAML file"),
        ("!!python/object/apply:os.getcwd []", "Expected a YAML file"),
    ],
)
def test_a_bad_file_is_a_sentence_with_its_name(tmp_path, text, sentence):
    (tmp_path / "bad.yml").write_text(text)
    with pytest.raises(ValueError, match=r"bad\.yml.*" + sentence if "Expected a" not in sentence else sentence):
        read_recipes(tmp_path / "bad.yml")


def test_every_network_and_every_committed_weight_has_a_preset():
    root = Path(command.__file__).parents[2]
    weights = [*root.glob("vrnlib/weights/*_open.safetensors"), *root.glob("*/tddfa/data/*_open.safetensors")]
    names = {path.stem for path in PRESETS.glob("*.yml")}
    assert names == set(command.TASKS) | {path.stem for path in weights}
    for name in names:
        recipes = read_recipes(name)
        assert len({recipe.network for recipe in recipes}) == 1
        assert recipes[0].init in (None, *({path.stem for path in weights} - {name})), "a beginning that everybody has"
    assert {read_recipes(name)[0].network for name in command.TASKS} == set(command.TASKS)
    paper = read_recipes("vrn")[0]
    assert (paper.optimizer, paper.schedule, paper.rate, paper.drop_after) == ("rmsprop", "paper", 1e-4, 40)
    assert paper.steps * paper.batch / paper.renders > 40, "the default run reaches the lower rate"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--batch", "0"], "Expected batch of 1 or more, got 0"),
        (["--steps", "0"], "Expected steps of 1 or more, got 0"),
        (["--held-out", "0"], "Expected held-out of 1 or more, got 0"),
        (["--accumulate", "3"], "a multiple of 3 (processes times accumulate), got 16"),
        (["--config", "fan_open"], "Expected a configuration for vrn, fan_open is for fan"),
        (["--config", "nothing"], "a preset (faceboxes, "),
        (["--reference", "--features", "8"], "the reference has its own"),
        (["--init", "fan_open"], "Expected the weights of a VRN"),
        (["--init", "vrn_open", "--features", "64"], "cannot grow to that shape"),
        (["--device", "cuda"], "Expected a GPU for device cuda"),
    ],
)
def test_bad_values_get_a_sentence_before_anything_is_spent(tmp_path, capsys, monkeypatch, words, sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cache = tmp_path / "cache"
    assert main(["train", "vrn", "-o", str(tmp_path / "run"), "--cache", str(cache), "--workers", "0", *words]) == 1
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1
    assert not cache.exists() and not (tmp_path / "run").exists()


def test_a_run_is_resumed_by_its_folder_alone_and_only_as_it_was(tmp_path, capsys, discs):
    run = ["train", "vrn", "-o", str(tmp_path / "run")]
    assert main([*run, *SMALL, "--steps", "4", "--features", "16", "--rate", "1e-3"]) == 0
    assert main([*run, "--steps", "4"]) == 1
    assert "holds a run already; give --resume" in capsys.readouterr().err
    for words in (["--features", "24"], ["--renders", "48"], ["--steps", "6"]):
        assert main([*run, "--resume", *words]) == 1
        assert f"was made with other settings of {words[0][2:]}" in capsys.readouterr().err
    asked = len(discs)
    assert main([*run, "--resume", "--report", "1"]) == 0
    assert discs[asked:] == [replace(discs[0], report=1)] and discs[0].rate == 1e-3


def test_the_configuration_lies_beside_the_weights_and_in_them(tmp_path, discs):
    assert main(["train", "vrn", "-o", str(tmp_path), *SMALL, "--steps", "2", "--optimizer", "adamw"]) == 0
    written = yaml.safe_load((tmp_path / "config.yml").read_text())
    assert read_header(tmp_path / "network.safetensors")["notes"]["config"] == written
    assert (written["optimizer"], written["schedule"], written["rate"]) == ("adamw", "cosine", 1e-3)
    assert changed(Recipe(), written) == discs[0]


def test_trainings_of_one_file_go_on_one_from_the_other(tmp_path, capsys, discs):
    (tmp_path / "runs.yml").write_text("- {steps: 2, rate: 1e-3}\n- {steps: 4, seed: 1}\n")
    run = ["train", "vrn", "--config", str(tmp_path / "runs.yml"), "-o", str(tmp_path / "out"), *SMALL]
    assert main(run) == 0
    assert f"weights: {tmp_path / 'out/2/network.safetensors'}" in capsys.readouterr().out
    assert [(recipe.steps, recipe.seed) for recipe in discs] == [(2, 0), (4, 1)]
    assert discs[1].init == str(tmp_path / "out/1/network.safetensors")
    finished = (tmp_path / "out/2/network.safetensors").read_bytes()
    assert main(["train", "vrn", "--resume", "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/2/network.safetensors").read_bytes() == finished


def test_tensorboard_shows_the_log(tmp_path, discs):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = ["train", "vrn", "-o", str(tmp_path), *SMALL, "--steps", "6"]
    assert main(run) == 0
    shown = accumulator.EventAccumulator(str(tmp_path)).Reload()
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event.step for event in shown.Scalars("images_per_second")] == [4, 6]
    for name in ("loss", "held_out_iou", "rate"):
        assert [event.value for event in shown.Scalars(name)] == pytest.approx([line[name] for line in log])


def test_without_tensorboard_a_training_is_silent_about_it(tmp_path, capsys, monkeypatch, discs):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    assert main(["train", "vrn", "-o", str(tmp_path), *SMALL, "--steps", "2"]) == 0
    assert "tensorboard" not in capsys.readouterr().err and not list(tmp_path.glob("events*"))


def test_bfloat16_is_used_where_the_processor_has_it_only(monkeypatch):
    cpu, auto = torch.device("cpu"), TrainingConfig(precision="auto")
    for known, fast in (
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx512_f": True}, False),
        ({}, False),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known, raising=False)
        assert bf16_is_fast(cpu) is fast and use_bf16(auto, cpu) is fast
        assert not use_bf16(TrainingConfig(precision="float32"), cpu)
    with pytest.raises(ValueError, match="computes in bfloat16"):
        use_bf16(TrainingConfig(precision="bf16"), cpu)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not bf16_is_fast(cpu), "an older torch does not tell"


def test_bfloat16_computes_the_network_and_not_the_loss():
    made, seen = task(), []
    image, solid = (part[None] for part in Balls(1)[0])
    made.network.head[1].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    exact, fast = (Objective(made.network, made.loss, bf16=bf16)([image, solid]) for bf16 in (False, True))
    assert seen == [torch.float32, torch.bfloat16] and fast.dtype == torch.float32
    assert fast.item() == pytest.approx(exact.item(), abs=0.02) and fast.item() != exact.item()


def test_a_multitask_vrns_loss_is_the_sum_of_both_tasks():
    torch.manual_seed(0)
    network = VRNMultitask(TINY).eval()
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    solid, points = torch.rand(2, 12, 16, 16) > 0.5, 64 * torch.rand(2, 68, 2)
    volume, maps = network.lattice_logits(image.float() / 255)
    columns, rows = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="xy")
    places = torch.stack([columns, rows], -1) * 4 + 1.5  # image pixels of the maps' cells
    squared = ((places - points[:, :, None, None]) ** 2).sum(-1)
    gaussians = torch.exp(-squared / 2 / 4**2)  # a sigma of one cell
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = cross_entropy(volume, solid.float()) + cross_entropy(maps, gaussians)
    loss = vrn_task(network, None, None, step=4).loss(network, [image, solid, points])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("kind", ["guided", "multitask"])
def test_the_rest_of_the_family_is_trained_by_the_same_command(kind, tmp_path):
    run = ["train", "vrn", "--kind", kind, "-o", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]
    small = ["--renders", "4", "--held-out", "2", "--batch", "2", "--workers", "0", "--device", "cpu", "--size", "128"]
    assert main([*run, *small, "--steps", "2", "--report", "1", "--stem", "4", "--features", "8"]) == 0
    network = load_network(tmp_path / "run/network.safetensors")
    assert type(network).__name__ == {"guided": "VRNGuided", "multitask": "VRNMultitask"}[kind]
    log = read_header(tmp_path / "run/network.safetensors")["notes"]["log"]
    assert [entry["step"] for entry in log] == [1, 2] and all(entry["loss"] > 0 for entry in log)


def test_losses_make_every_tensor_where_the_network_lies():
    """What a GPU would refuse, the device "meta" refuses too, for most operations; nothing is computed."""
    from tddfa.backbones import MobileNetV1
    from vrnlib.network import FAN
    from vrnlib.training.regressor import VertexDecoder

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype, device="meta")

    image = zeros(2, 3, 64, 64, dtype=torch.uint8)
    for kind in (VRN, VRNGuided, VRNMultitask):
        vrn = kind(TINY).to("meta")
        for step in (1, 4):
            solid = zeros(2, 12, 64 // step, 64 // step, dtype=torch.bool)
            vrn_task(vrn, None, None, step=step).loss(vrn, [image, solid, zeros(2, 68, 2)]).backward()
    fan = FAN(FANConfig(stem=8, features=8, depth=2)).to("meta")
    landmark_loss(fan, [image, zeros(2, 68, 3), zeros(2, dtype=torch.bool)]).backward()
    decoder = VertexDecoder.__new__(VertexDecoder)  # its tensors stay on the CPU, as those of a real one
    decoder.neutral, decoder.basis = torch.zeros(210), torch.zeros(210, 50)
    decoder.mean = decoder.std = torch.zeros(62)
    regressor = MobileNetV1(width=0.5).to("meta")
    decoder.loss(regressor, [zeros(2, 3, 120, 120, dtype=torch.uint8), zeros(2, 70, 3)]).backward()
    for network in (vrn, fan, regressor):
        assert all(weight.grad is not None and weight.grad.is_meta for weight in network.parameters())
    with pytest.raises(RuntimeError, match="meta"):
        zeros(3) + torch.ones(3)


def test_a_long_value_makes_no_long_sentence(tmp_path):
    for text in (f"steps: '{'x' * 9000}'", "\n".join(f"name{i}: 1" for i in range(900))):
        (tmp_path / "long.yml").write_text(text)
        with pytest.raises(ValueError, match="Expected") as told:
            read_recipes(tmp_path / "long.yml")
        assert len(str(told.value)) < 900 + len(str(tmp_path))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_learns_too(tmp_path):
    from test_training_loop import config

    from vrnlib.training.loop import fit

    assert start_engine(config(device="cuda")).device.type == "cuda"
    network = fit(task(), config(steps=40, averaging=0.9, device="cuda", precision="auto"), tmp_path, progress=False)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert all(not weight.is_cuda for weight in network.parameters()), "what comes back lies on the CPU"
