"""Networks by ONNX Runtime: what is exported gives torch's numbers, for any batch and, where asked for, any size."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tddfa.backbones import MobileNetV1, ResNet22
from tddfa.console import Note
from tddfa.faceboxes import FaceBoxesNet
from tddfa.onnx_writer import write_onnx
from tddfa.runtimes import make_runner

NETWORKS = {
    "mobilenet": (lambda: MobileNetV1(width=0.25), (3, 120, 120), False),
    "resnet": (ResNet22, (3, 120, 120), False),
    "faceboxes": (FaceBoxesNet, (3, 256, 256), True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_exports_agree_with_torch_for_every_batch_and_size(name, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    build, example, any_size = NETWORKS[name]
    torch.manual_seed(0)
    network = build().eval()
    for module in network.modules():  # as after a training: no two channels alike
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    by_torch, by_onnx = (
        make_runner(network, name=name, example=example, runtime=runtime, threads=1, any_size=any_size)
        for runtime in ("torch", "onnx")
    )
    shown = capfd.readouterr()
    assert not shown.out and not shown.err
    rng = np.random.default_rng(0)
    sizes = [example[1:], (64, 160), (201, 133), (30, 30)] if any_size else [example[1:]]
    for batch in (1, 2, 3):
        for size in sizes:
            images = rng.normal(size=(batch, 3, *size)).astype(np.float32)
            for expected, got in zip(by_torch(images), by_onnx(images), strict=True):
                assert got.shape == expected.shape
                np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())
    assert {file.suffix for file in (tmp_path / "onnx").iterdir()} == {".onnx", ".sha256"}


@pytest.mark.parametrize("kind", ["cut", "flipped", "no network", "no mark", "folder"])
def test_a_damaged_export_is_made_anew(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    network, ones = torch.nn.Conv2d(3, 2, 3).eval(), np.ones((1, 3, 8, 8), np.float32)

    def run():
        return make_runner(network, name="one", example=(3, 8, 8), runtime="onnx", threads=1)(ones)

    wanted = run()[0]
    (path,) = (tmp_path / "onnx").glob("*.onnx")
    whole, mark = path.read_bytes(), path.with_suffix(".sha256")
    if kind == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "flipped":
        path.write_bytes(bytes([*whole[:-9], whole[-9] ^ 255, *whole[-8:]]))
    elif kind == "no network":  # although its checksum is right
        path.write_bytes(b"no network")
        mark.write_text(hashlib.sha256(b"no network").hexdigest())
    elif kind == "no mark":
        mark.unlink()
    else:
        path.unlink()
        path.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if kind == "folder" else "error", Note)
        assert np.array_equal(run()[0], wanted)
    assert path.is_dir() if kind == "folder" else path.read_bytes() == whole


def test_fan_decodes_the_same_by_onnx_runtime(tmp_path, monkeypatch):
    from vrnlib.landmarks.onnx_fan import OnnxFAN
    from vrnlib.network import FAN, FANConfig

    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    torch.manual_seed(0)
    fan = FAN(FANConfig(size=64, features=16)).eval()
    quick, images = OnnxFAN(fan), torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        expected = fan(images)
    torch.testing.assert_close(quick(images).scores, expected.scores, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(quick(images).points, expected.points, atol=1e-2, rtol=0)


def test_a_function_that_onnx_is_not_told_of_is_named(tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, images):
            return torch.cumsum(images, dim=1)

    with pytest.raises(NotImplementedError, match="got 'cumsum'; add it to tddfa.onnx_writer"):
        write_onnx(Odd(), tmp_path / "odd.onnx", example=(3, 8, 8))
    assert not list(tmp_path.iterdir())


def test_an_export_loads_no_package_before_it_is_asked_for():
    code = "import sys, tddfa.runtimes; assert not {'onnx', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


def test_onnx_runtime_reports_nothing(tmp_path):
    """It would keep a number for the machine in the user's cache, and a session's in the temporary folder."""
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(tmp_path))
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    work = "from tddfa.runtimes import load_onnxruntime; load_onnxruntime()"
    subprocess.run([sys.executable, "-c", work], check=True, env={**environment, **places})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
