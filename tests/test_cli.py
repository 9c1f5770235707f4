"""The command line: files on success, one sentence and exit code 1 otherwise."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vrnlib
from vrnlib import cli
from vrnlib.commands import photos as photos_module
from vrnlib.export import ENDINGS
from vrnlib.landmarks import detectors, official
from vrnlib.reconstruct import Networks


def block_vrn(crops):
    logits = torch.full((1, 200, 192, 192), -6.0)
    logits[0, 80:120, 50:140, 60:130] = 6.0
    return logits


@pytest.fixture
def networks(monkeypatch):
    monkeypatch.setattr("vrnlib.reconstruct.open_networks", lambda **_: Networks(block_vrn))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photos" / "plain.png"
    path.parent.mkdir()
    Image.new("RGB", (200, 180), (128, 100, 90)).save(path)
    return path


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.npy"
    np.save(path, np.random.default_rng(0).uniform(50, 130, (68, 2)).astype(np.float32))
    return path


def one_sentence(capsys) -> str:
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


def test_the_choices_are_those_of_the_modules():
    assert photos_module.DETECTORS == detectors.DETECTORS
    assert photos_module.FACE_DETECTORS == tuple(official.FACE_DETECTORS)


def test_results_of_photos_never_share_a_name():
    def names(*photos):
        return photos_module.result_names([Path(photo) for photo in photos])

    assert names("a.jpg", "b.png") == ["a", "b"]
    assert names("a.jpg", "a.png", "b.png") == ["a_jpg", "a_png", "b"]
    tricky = ["A.png", "a.JPG", "a.jpg", "a_jpg.bmp", "a_jpg_bmp.png", "a_jpg_jpg.gif"]
    assert len({name.casefold() for name in names(*tricky)}) == len(tricky)


def test_one_photo(networks, photo, points, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["reconstruct", str(photo), "-o", str(out), "--detector", "points", "--points", str(points)]) == 0
    assert {path.name for path in out.iterdir()} == {f"plain_0{ending}" for ending in ENDINGS}
    assert str(out / "plain_0.ply") in capsys.readouterr().out


def test_no_face(networks, photo, tmp_path, capsys):
    assert cli.main(["reconstruct", str(photo), "-o", str(tmp_path / "out")]) == 1
    assert "No face" in one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_bad_photos(networks, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "tiny.png")
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("tiny.png", "text.jpg", "missing.jpg"):
        assert cli.main(["reconstruct", str(tmp_path / name), "-o", str(tmp_path / "out")]) == 1
        assert name in one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_bad_arguments(networks, photo, points, tmp_path, capsys):
    start = ["reconstruct", str(photo), "-o"]
    assert cli.main([*start, str(photo)]) == 1
    assert "folder" in one_sentence(capsys)
    assert cli.main([*start, str(tmp_path / "o"), "--points", str(points)]) == 1
    assert "--detector points" in one_sentence(capsys)
    assert cli.main([*start, str(tmp_path / "o"), "--detector", "points"]) == 1
    assert "--points" in one_sentence(capsys)
    for usage in (
        [],
        ["dance"],
        ["reconstruct"],
        [*start, "o", "--detector", "x"],
        [*start, "o", "--face-detector", "x"],
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main(usage)
        assert caught.value.code == 2
        capsys.readouterr()


def test_missing_weights(photo, tmp_path, capsys):
    arguments = ["reconstruct", str(photo), "-o", str(tmp_path / "out"), "--weights", str(tmp_path / "no.safetensors")]
    assert cli.main(arguments) == 1
    assert "no.safetensors" in one_sentence(capsys)


def test_a_folder_goes_on_after_a_bad_photo(networks, photo, points, tmp_path, capsys):
    folder, out = photo.parent, tmp_path / "out"
    Image.open(photo).convert("L").save(folder / "plain.jpg")
    Image.open(photo).save(folder / "other.bmp")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    places = tmp_path / "places"
    places.mkdir()
    for stem in ("plain", "other"):
        shutil.copy(points, places / f"{stem}.npy")
    arguments = ["reconstruct", str(folder), "-o", str(out), "--detector", "points", "--points", str(places)]
    assert cli.main(arguments) == 0
    names = {"plain_png_0", "plain_jpg_0", "other_0"}
    files = {name + ending for name in names for ending in ENDINGS}
    assert {path.name for path in out.iterdir()} == files | {"skipped.csv"}
    captured = capsys.readouterr()
    assert "skipped:" in captured.err
    assert "broken.jpg" in captured.err
    assert "3 of 4" in captured.out


def test_a_folder_of_points(networks, photo, points, tmp_path, capsys):
    """Every photo has its own; one has none and is skipped."""
    Image.open(photo).save(photo.with_name("other.png"))
    places = tmp_path / "places"
    places.mkdir()
    points.rename(places / "plain.npy")
    arguments = ["reconstruct", str(photo.parent), "-o", str(tmp_path / "out"), "--detector", "points"]
    assert cli.main([*arguments, "--points", str(places)]) == 0
    assert (tmp_path / "out" / "plain_0.ply").exists()
    captured = capsys.readouterr()
    assert "other.pts, .npy or .mat" in captured.err and "1 of 2" in captured.out


def test_missing_models_are_told_once_and_before_the_photos(networks, photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    official.load_face_alignment.cache_clear()
    Image.open(photo).save(photo.with_name("other.png"))
    assert cli.main(["reconstruct", str(photo.parent), "-o", str(tmp_path / "out"), "--detector", "fan"]) == 1
    assert "pip install face-alignment" in one_sentence(capsys)


def test_a_folder_without_faces_or_photos(networks, photo, tmp_path, capsys):
    assert cli.main(["reconstruct", str(photo.parent), "-o", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["skipped.csv"]
    capsys.readouterr()
    (tmp_path / "empty").mkdir()
    assert cli.main(["reconstruct", str(tmp_path / "empty"), "-o", str(tmp_path / "out")]) == 1
    assert "no photos" in one_sentence(capsys)


def test_help_is_quick_and_imports_no_torch():
    code = "import sys; from vrnlib import cli; cli._parser(None); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run([sys.executable, "-m", "vrnlib.cli", "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    for command in ("reconstruct", "crop", "targets", "train", "evaluate", "doctor"):
        assert command in shown.stdout


@pytest.mark.parametrize("command", ["crop", "targets", "train", "evaluate"])
def test_other_commands_bring_their_own_arguments(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    assert "usage: vrn " + command in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0 and capsys.readouterr().out == f"vrn {vrnlib.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a program can answer")
@pytest.mark.parametrize("kind", ["SIGTERM", "SIGHUP"])
def test_a_batch_systems_stop_cleans_up_as_ctrl_c_does(kind, tmp_path):
    import signal

    job = f"""
import signal, sys, time
from tddfa.console import run_command
signal.signal(signal.{kind}, signal.SIG_DFL)  # nohup, under which tests may run, hands on that SIGHUP is ignored
def job():
    try:
        print("on", flush=True); time.sleep(60)
    finally:
        open({str(tmp_path / "cleaned")!r}, "w").close()
sys.exit(run_command("vrn", job))
"""
    running = subprocess.Popen([sys.executable, "-c", job], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "on\n"
    running.send_signal(getattr(signal, kind))
    _, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (130, "vrn: stopped.\n")
    assert (tmp_path / "cleaned").exists()
