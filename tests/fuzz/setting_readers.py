"""Readers of configurations, weights, checkpoints and exported networks."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import save as safetensors_bytes

from .inputs import JSON, ODD, Files
from .whole import ROOT, Reader, only, told, torch_bytes, written, yaml_bytes

# --- configurations ---------------------------------------------------------------------------------------------------


def config_seeds() -> list[Files]:
    open_ones = {"arch": "mobilenet", "checkpoint_fp": "open", "bfm_fp": "open"}
    names = {"arch": "resnet22", "widen_factor": 0.5, "checkpoint_fp": "a.pth", "bfm_fp": "b.pkl", "size": 120}
    return [{"config.yml": yaml_bytes(tree)} for tree in (open_ones, {**open_ones, "widen_factor": 0.5}, names)]


@st.composite
def made_configs(draw: Any) -> Files:
    keys = st.sampled_from(("arch", "widen_factor", "checkpoint_fp", "bfm_fp", "size", "num_params"))
    values = st.one_of(JSON, st.sampled_from(("open", "mobilenet", "resnet22", 120, 62, 1.0)))
    return {"config.yml": yaml_bytes(draw(st.dictionaries(keys, values)))}


def read_config(folder: Path) -> object:
    from tddfa.config import read_config as read

    return read(folder / "config.yml", download=False)


def recipe_seeds() -> list[Files]:
    presets = sorted((ROOT / "vrnlib/training/presets").glob("*.yml"))
    return [{"config.yml": path.read_bytes()} for path in presets]


@st.composite
def made_recipes(draw: Any) -> Files:
    from vrnlib.training.config import Recipe, plain

    usual = plain(Recipe())
    values = st.one_of(JSON, st.sampled_from(list(usual.values())), st.sampled_from(ODD))
    runs = draw(st.lists(st.dictionaries(st.sampled_from(sorted(usual)), values, max_size=4), min_size=1, max_size=3))
    return {"config.yml": yaml_bytes(runs[0] if len(runs) == 1 else runs)}


def read_recipe(folder: Path) -> object:
    from vrnlib.training.config import read_recipes

    return read_recipes(folder / "config.yml", {"steps": 3})


def run_seeds() -> list[Files]:
    from vrnlib.training.config import plain, read_recipes

    runs = [plain(recipe) for recipe in read_recipes("vrn_open")]
    return [{"config.yml": yaml_bytes(runs if len(runs) > 1 else runs[0]), "checkpoint.pt": b"anything"}]


def read_run(folder: Path) -> object:
    from vrnlib.commands.train import plan

    try:
        return plan({"network": "vrn"}, folder, config=None, resume=True)
    except (ValueError, OSError) as error:
        told(error)
        return plan({"network": "vrn"}, folder, config="vrn_open", resume=True)


# --- weights ----------------------------------------------------------------------------------------------------------


def checkpoint_seeds() -> list[Files]:
    tensors = {"conv1.weight": torch.ones(16, 3, 3, 3), "fc.weight": torch.ones(62, 9), "n": torch.tensor(3)}
    parallel = {f"module.{name}": value for name, value in tensors.items()}
    return [
        {"weights.pth": torch_bytes({"state_dict": parallel, "epoch": 3})},
        {"weights.pth": torch_bytes(tensors)},
        {"weights.safetensors": safetensors_bytes(tensors, {"about": "x"})},
    ]


def read_weights(folder: Path) -> object:
    from tddfa.backbones import build_backbone
    from tddfa.checkpoints import read_checkpoint

    tensors = read_checkpoint(only(folder, ""))
    return build_backbone(tensors, "weights")


@st.composite
def made_regressors(draw: Any) -> Files:
    """A regressor's tensors with some renamed, left out, or of other shapes."""
    tensors = dict(regressor_tensors())
    for name in draw(st.lists(st.sampled_from(sorted(tensors)), max_size=3)):
        shape = draw(st.lists(st.sampled_from((0, 1, 2, 16, 62, 300)), max_size=3))
        tensors[name] = torch.zeros(shape)
        if draw(st.booleans()):
            tensors[draw(st.sampled_from(("", "module.", "x")))] = tensors.pop(name)
    return {"weights.safetensors": safetensors_bytes(tensors)}


@cache
def regressor_tensors() -> dict[str, torch.Tensor]:
    from tddfa.backbones import MobileNetV1

    return MobileNetV1(width=0.125).state_dict()


def network_seeds() -> list[Files]:
    from vrnlib.network import FAN, VRN, FANConfig, VRNConfig
    from vrnlib.weight_files import save_network

    small: dict[str, Any] = {"stem": 4, "features": 4, "residuals": 1, "hourglasses": 1, "depth": 1}
    networks = (VRN(VRNConfig(slices=8, **small)), FAN(FANConfig(**small)))
    names = ("vrn.safetensors", "fan.safetensors")
    return [
        {name: written(lambda path, n=network: save_network(path, n), name)}
        for name, network in zip(names, networks, strict=True)
    ]


@st.composite
def made_networks(draw: Any) -> Files:
    """Headers that ask for any sizes."""
    from vrnlib.network import FANConfig, VRNConfig

    kind = draw(st.sampled_from(("VRN", "VRNGuided", "VRNMultitask", "FAN", "nn.Module")))
    config = asdict((FANConfig if kind == "FAN" else VRNConfig)())
    for name in draw(st.lists(st.sampled_from(sorted(config)), max_size=3)):
        config[name] = draw(st.one_of(st.integers(0, 9), st.sampled_from((16, 100, 512, 1024, *ODD)), JSON))
    header = {"class": kind, "config": config, "notes": {}}
    tensors = {"a": torch.zeros(2)}
    return {"x.safetensors": safetensors_bytes(tensors, {"vrn": json.dumps(header)})}


def read_network(folder: Path) -> object:
    from vrnlib.weight_files import load_network

    return load_network(only(folder, ""))


@cache
def training_state() -> Any:
    from torch.optim.swa_utils import AveragedModel

    from vrnlib.training.checkpoints import TrainingState

    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.RMSprop(network.parameters(), lr=1e-4)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return TrainingState(network=network, average=AveragedModel(network), optimizer=optimizer)


def training_seeds() -> list[Files]:
    from vrnlib.training.checkpoints import write_checkpoint
    from vrnlib.training.config import TrainingConfig

    def write(path: Path) -> None:
        write_checkpoint(path.parent, TrainingConfig(), training_state(), [{"step": 3, "loss": 0.5, "rate": 1e-4}])

    return [{"checkpoint.pt": written(write, "checkpoint.pt")}]


def read_training(folder: Path) -> object:
    from vrnlib.training.checkpoints import open_run
    from vrnlib.training.config import TrainingConfig

    return open_run(folder, TrainingConfig(), training_state(), resume=True, write=False)


def onnx_seeds() -> list[Files]:
    run_small_network(folder := Path(tempfile.mkdtemp()))
    return [{path.name: path.read_bytes() for path in (folder / "onnx").iterdir()}]


@cache
def small_network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU()).eval()


def run_small_network(cache_folder: Path) -> tuple[np.ndarray, ...]:
    import os

    from tddfa.runtimes import make_runner

    before = os.environ.get("VRN_CACHE")
    os.environ["VRN_CACHE"] = str(cache_folder)
    try:
        run = make_runner(small_network(), name="small", example=(3, 8, 8), runtime="onnx", threads=1)
    finally:
        os.environ.pop("VRN_CACHE") if before is None else os.environ.update(VRN_CACHE=before)
    return run(np.ones((1, 3, 8, 8), np.float32))


def read_onnx(folder: Path) -> object:
    (folder / "onnx").mkdir(exist_ok=True)
    for path in list(folder.glob("small*")):
        path.rename(folder / "onnx" / path.name)
    with torch.inference_mode():
        wanted = small_network()(torch.ones(1, 3, 8, 8)).numpy()
    found = run_small_network(folder)[0]
    assert np.allclose(found, wanted, atol=1e-5), "a damaged cache gives other numbers"
    return found


READERS = (
    Reader("configurations", config_seeds, read_config, made_configs),
    Reader("recipes", recipe_seeds, read_recipe, made_recipes),
    Reader("a run's configuration", run_seeds, read_run),
    Reader("regressors' weights", checkpoint_seeds, read_weights, made_regressors),
    Reader("networks' weights", network_seeds, read_network, made_networks),
    Reader("training checkpoints", training_seeds, read_training),
    Reader("ONNX cache", onnx_seeds, read_onnx),
)
