"""`vrn doctor` says what is there, what is wrong, and how to mend it; and it runs every stage once."""

import base64
import hashlib
import importlib.metadata
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from vrnlib import cli
from vrnlib.commands import doctor, self_test


def says(capsys, *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code and the findings by name."""
    capsys.readouterr()
    code = cli.main(["doctor", "--json", *arguments])
    return code, {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_it_names_what_is_there(capsys):
    code = cli.main(["doctor", "--no-test"])
    shown = capsys.readouterr().out
    names = {line[10:41].strip() for line in shown.splitlines()}
    assert {"python", "compiler", "processor", "gpu", "onnx providers", "openmp", "cache", "disk here"} <= names
    assert {"torch", "tddfa._raster", "vrn_open", "open_face", "mb05_open", "gradio"} <= names
    assert "MIT, trained here" in shown and "CC0" in shown
    assert code == (1 if {"missing", "damaged", "failed"} & {line.split()[0] for line in shown.splitlines()} else 0)


def test_it_looks_at_all_weights():
    root = Path(cli.__file__).parent.parent
    committed = [*root.glob("vrnlib/weights/*.safetensors"), *root.glob("*/tddfa/data/*.safetensors")]
    assert {path.name for path in committed} == {p.name for p in doctor.own_paths() if p.suffix == ".safetensors"}


def test_it_tells_of_the_official_files(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("VRN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VRN_ASSETS", str(tmp_path))
    (tmp_path / "tri.pkl").write_bytes(b"cut off")
    code, found = says(capsys, "--no-test")
    assert code == 1 and found["tri.pkl"]["state"] == "damaged"
    assert "31b52dcfb1a8" in found["tri.pkl"]["text"] and "academic use only" in found["tri.pkl"]["text"]
    assert found["FaceBoxesProd.pth"]["state"] == "optional"
    assert "4,072.5 kB" in found["FaceBoxesProd.pth"]["text"] and "MIT" in found["FaceBoxesProd.pth"]["text"]
    assert "bring it yourself" in found["resnet22.pth"]["text"]


def test_it_compares_checksums_of_the_official_files(monkeypatch, assets, capsys):
    monkeypatch.setenv("VRN_ASSETS", str(assets))
    _, found = says(capsys, "--no-test")
    assert found["FaceBoxesProd.pth"]["state"] == "ok"
    assert "git blob id 89c411c20eb5… as expected" in found["FaceBoxesProd.pth"]["text"]


def test_it_runs_every_stage(capsys):
    _, found = says(capsys)
    stages = {name: finding["state"] for name, finding in found.items() if name.startswith("test: ")}
    assert len(stages) == 10 and set(stages.values()) == {"ok"}, found


def test_it_goes_on_behind_a_stage_that_fails(monkeypatch, capsys):
    def broken(made):
        raise RuntimeError("no such\ninstruction")

    monkeypatch.setitem(self_test.STAGES, "networks", broken)
    code, found = says(capsys)
    states = {name[6:]: finding["state"] for name, finding in found.items() if name.startswith("test: ")}
    assert code == 1 and states["networks"] == states["landmarks"] == states["volume"] == "failed"
    assert states["render"] == states["training"] == "ok"
    assert "no such instruction" in found["test: networks"]["text"]
    assert "needs the stage that makes 'networks'" in found["test: landmarks"]["text"]


@pytest.mark.parametrize("name", ["vrn_open.safetensors", "open_face.npz"])
def test_it_notices_a_truncated_file(monkeypatch, tmp_path, capsys, name):
    (whole,) = [path for path in doctor.own_paths() if path.name == name]
    cut = tmp_path / name
    cut.write_bytes(whole.read_bytes()[:-100])
    monkeypatch.setattr(doctor, "own_paths", lambda: [whole.with_name("gone.npz"), cut])
    code, found = says(capsys, "--no-test")
    assert code == 1 and found["gone"]["state"] == "missing"
    assert found[cut.stem]["state"] == "damaged" and f"git checkout -- {cut}" in found[cut.stem]["text"]


def test_it_compares_with_what_was_installed(monkeypatch, tmp_path):
    """A wheel's RECORD has every file's checksum: one changed byte is seen."""
    whole = next(path for path in doctor.own_paths() if path.name == "fan_open.safetensors").read_bytes()
    path = tmp_path / "fan_open.safetensors"
    digest = base64.urlsafe_b64encode(hashlib.sha256(whole).digest()).rstrip(b"=").decode()
    entry = SimpleNamespace(name=path.name, hash=SimpleNamespace(mode="sha256", value=digest), locate=lambda: path)
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [entry])
    monkeypatch.setattr(doctor, "own_paths", lambda: [path])
    path.write_bytes(whole)
    assert doctor.own_files()[0].state == "ok"
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert doctor.own_files()[0].state == "damaged" and "another file than" in doctor.own_files()[0].text


def test_it_gives_the_fix_for_packages(monkeypatch):
    wanted = [
        "numpy>=999",
        "pillow>=1",
        "nowhere-at-all>=2",
        "not-here>=3 ; extra == 'app'",
        "pytest ; extra == 'test'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
    found = {finding.name: finding for finding in doctor.packages()}
    assert {name: finding.state for name, finding in found.items()} == {
        "numpy": "missing",
        "pillow": "ok",
        "nowhere-at-all": "missing",
        "not-here": "optional",
    }
    assert found["numpy"].text.endswith("expected >=999; type pip install 'numpy>=999'")
    assert found["nowhere-at-all"].text.endswith("type pip install 'nowhere-at-all>=2'")
    assert found["not-here"].text.endswith("type pip install 'vrn-workbook[app]'")


def test_it_looks_at_disk_and_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VRN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "onnx").mkdir(parents=True)
    (tmp_path / "cache" / "onnx" / "a.onnx").write_bytes(bytes(2_500_000))
    assert "2.5 MB" in {one.name: one for one in doctor.folders()}["cache"].text
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**8))
    found = {one.name: one for one in doctor.folders()}
    assert found["cache"].state == "optional" and "$VRN_CACHE" in found["cache"].text
    assert found["disk here"].state == "failed" and "make room" in found["disk here"].text
