"""3DDFA_V2's configuration files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tddfa import AssetError, read_config

ROOT = Path(__file__).resolve().parent.parent
TEXT = """arch: mobilenet  # MobileNet V1
widen_factor: 0.5
checkpoint_fp: weights/own.pth
bfm_fp: configs/face.pkl  # or configs/bfm_noneck_v3_slim.pkl
size: 120
num_params: 62
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """configs/own.yml with its files in the layout of 3DDFA_V2; returns a function that writes another text."""
    monkeypatch.delenv("VRN_ASSETS", raising=False)
    monkeypatch.setenv("VRN_CACHE", str(tmp_path / "cache"))
    for name in ("weights/own.pth", "configs/face.pkl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    path = tmp_path / "configs" / "own.yml"

    def write(text: str = TEXT):
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_originals_layout(config, tmp_path):
    read = read_config(config())
    assert (read.architecture, read.width, read.size, read.parameters) == ("mobilenet", 0.5, 120, 62)
    assert read.checkpoint == tmp_path / "weights" / "own.pth"
    assert read.face_model == tmp_path / "configs" / "face.pkl"


def test_files_beside_the_configuration_and_absolute_ones(config, tmp_path):
    (tmp_path / "configs" / "own.pth").touch()
    text = TEXT.replace("weights/own.pth", "own.pth").replace("configs/face.pkl", str(tmp_path / "configs/face.pkl"))
    read = read_config(config(text))
    assert read.checkpoint == tmp_path / "configs" / "own.pth"
    assert read.face_model == tmp_path / "configs" / "face.pkl"


def test_names_of_the_registry(config, tmp_path, monkeypatch, assets):
    path = config(TEXT.replace("own.pth", "mb05_120x120.pth"))
    with pytest.raises(AssetError, match="mb05_120x120.pth"):
        read_config(path, download=False)
    monkeypatch.setenv("VRN_ASSETS", str(assets))
    assert read_config(path).checkpoint.is_relative_to(assets)


def test_the_open_family(config):
    read = read_config(config("arch: mobilenet\nwiden_factor: 0.5\ncheckpoint_fp: open\nbfm_fp: open\n"))
    assert read.checkpoint == read.face_model == "open"
    assert read.load_model().name == "open"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "got list"),
        ("arch: [", "YAML"),
        ("arch: mobilenet", r"got \['arch'\]"),
        (TEXT + "colour: red\n", "colour"),
        (TEXT.replace("mobilenet", "mobilenet_v3"), "got mobilenet_v3, 120 and 62"),
        (TEXT.replace("size: 120", "size: 200"), "got mobilenet, 200 and 62"),
    ],
)
def test_other_contents_are_refused(config, text, message):
    with pytest.raises(ValueError, match=message):
        read_config(config(text))


def test_missing_files(config, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected a configuration at .*none.yml"):
        read_config(tmp_path / "none.yml")
    with pytest.raises(FileNotFoundError, match=r"Expected weights/other.pth, which .*own.yml names"):
        read_config(config(TEXT.replace("own.pth", "other.pth")))


def test_the_repositorys_own_configurations(monkeypatch, tmp_path):
    """Each is readable where its files are, and says which one is missing where not."""
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    for path in sorted((ROOT / "3DDFA_V2_modified" / "configs").glob("*.yml")):
        try:
            assert read_config(path, download=False).parameters == 62
        except AssetError as error:
            assert "put it into $VRN_ASSETS" in str(error)


def test_configurations_that_mean_harm_are_told(tmp_path):
    """The first stands for ten thousand million words once it is printed."""
    lists = ", ".join(f"&k{i} [{', '.join([f'*k{i - 1}'] * 10 if i else ['x'])}]" for i in range(11))
    texts = {
        "bomb": f"arch: [{lists}]\ncheckpoint_fp: a\nbfm_fp: b\n",
        "alias": TEXT.replace("mobilenet ", "&a mobilenet ").replace("configs/face.pkl", "*a"),
        "deep": "arch: " + "[" * 20_000,
        "date": TEXT.replace("mobilenet", "2001-99-99"),
        "list": TEXT.replace("mobilenet", "[a, b]"),
        "width": TEXT.replace("0.5", "wide"),
        "wider": TEXT.replace("0.5", "1.0e+300"),
        "long": TEXT + "#" * 2**16,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match="Expected") as caught:
            read_config(tmp_path / name)
        assert len(str(caught.value)) < 1000
