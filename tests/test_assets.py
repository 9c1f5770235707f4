"""The registry of official files: where they are looked for, and that damaged ones are refused with a sentence."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pooch
import pytest

from tddfa import assets as registry
from tddfa.assets import ASSETS, AssetError, available, cache_folder, git_blob_id, resolve

CONTENT = b"ten bytes!"
NAME = "ncc_code.npy"


@pytest.fixture
def small_asset(monkeypatch, tmp_path):
    """The registry with one short file, an empty cache, no $VRN_ASSETS and no network."""
    blob = hashlib.sha1(b"blob 10\0" + CONTENT).hexdigest()
    monkeypatch.setitem(registry.ASSETS, NAME, replace(ASSETS[NAME], size=10, blob_id=blob))
    monkeypatch.setenv("VRN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VRN_ASSETS", raising=False)

    def no_network(url, output_file, pooch):
        raise ConnectionError("no network in this test")

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: no_network)


def network_gives(monkeypatch, data: bytes) -> list[str]:
    """Replace the network; returns the list of the addresses asked for."""
    asked = []

    def download(url, output_file, pooch):
        asked.append(url)
        Path(output_file).write_bytes(data)

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: download)
    return asked


def test_blob_id_is_gits(tmp_path):
    """The ids of an empty file and of "hello\\n", as `git hash-object` prints them."""
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"hello\n")
    assert git_blob_id(tmp_path / "a") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_blob_id(tmp_path / "b") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_every_asset_says_what_it_is():
    assert len(ASSETS) == 10
    for name, asset in ASSETS.items():
        assert asset.name == name and asset.folder in ("weights", "configs") and asset.licence and asset.note
        if asset.url:
            assert asset.url.startswith("https://raw.githubusercontent.com/cleardusk/3DDFA_V2/1b6c676")
            assert asset.url.endswith("/" + name) and len(asset.blob_id) == 40
    assert [name for name, asset in ASSETS.items() if not asset.url] == ["resnet22.pth"]


def test_official_files_at_hand_are_whole(assets, monkeypatch):
    monkeypatch.setenv("VRN_ASSETS", str(assets))
    found = [name for name in ASSETS if registry.find(name)]
    assert "FaceBoxesProd.pth" in found
    for name in found:
        assert resolve(name, download=False).stat().st_size == ASSETS[name].size


@pytest.mark.parametrize("folder", ["", "configs", "official/configs"])
def test_layouts_of_the_folder(small_asset, monkeypatch, tmp_path, folder):
    monkeypatch.setenv("VRN_ASSETS", str(tmp_path))
    assert not available(NAME)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / NAME).write_bytes(CONTENT)
    assert available(NAME)
    assert resolve(NAME) == tmp_path / folder / NAME


def test_an_explicit_path_goes_first_and_is_not_compared(small_asset, tmp_path):
    (tmp_path / "mine.npy").write_bytes(b"my own")
    assert resolve(NAME, path=tmp_path / "mine.npy") == tmp_path / "mine.npy"
    with pytest.raises(AssetError, match=r"found no such file; fetch it from https://"):
        resolve(NAME, path=tmp_path / "other.npy")


def test_download_goes_into_the_cache_once(small_asset, monkeypatch):
    asked = network_gives(monkeypatch, CONTENT)
    path = resolve(NAME)
    assert path == cache_folder() / NAME and path.read_bytes() == CONTENT
    assert resolve(NAME) == path
    assert asked == [ASSETS[NAME].url]


@pytest.mark.parametrize("data", [CONTENT[:4], b"other byte", b"<html>not found</html>"])
def test_a_wrong_download_leaves_nothing(small_asset, monkeypatch, data):
    network_gives(monkeypatch, data)
    with pytest.raises(AssetError, match=rf"Expected the official {NAME} \(10 bytes, git blob id"):
        resolve(NAME)
    assert list(cache_folder().iterdir()) == []


def test_without_network_a_sentence_says_where_to_get_it(small_asset):
    with pytest.raises(AssetError, match=r"ConnectionError; fetch it from https://.* put it into \$VRN_ASSETS/configs"):
        resolve(NAME)
    with pytest.raises(AssetError, match=r"found it nowhere; fetch it from https://"):
        resolve(NAME, download=False)
    assert list(cache_folder().iterdir()) == []


@pytest.mark.parametrize("data", [CONTENT[:4], b"other byte"])
def test_a_damaged_file_in_the_cache(small_asset, monkeypatch, data):
    cache_folder().mkdir()
    (cache_folder() / NAME).write_bytes(data)
    with pytest.raises(AssetError, match="Expected the official"):
        resolve(NAME, download=False)
    with pytest.raises(AssetError, match="in place of the damaged one in the cache, got ConnectionError"):
        resolve(NAME)
    network_gives(monkeypatch, CONTENT)
    assert resolve(NAME).read_bytes() == CONTENT


def test_a_damaged_file_in_the_users_folder_is_never_replaced(small_asset, monkeypatch, tmp_path):
    network_gives(monkeypatch, CONTENT)
    monkeypatch.setenv("VRN_ASSETS", str(tmp_path))
    (tmp_path / NAME).write_bytes(CONTENT[:4])
    with pytest.raises(AssetError, match=r"with 4 bytes and the git blob id \w{40}; delete it, then fetch it from"):
        resolve(NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT[:4]


def test_what_has_no_address_must_be_brought(small_asset, monkeypatch, tmp_path):
    with pytest.raises(AssetError, match=r"resnet22.pth.*readme says and put it into \$VRN_ASSETS/weights"):
        resolve("resnet22.pth")
    monkeypatch.setenv("VRN_ASSETS", str(tmp_path))
    (tmp_path / "resnet22.pth").write_bytes(b"anything")
    assert resolve("resnet22.pth") == tmp_path / "resnet22.pth"


class Payload:
    """Unpickling it runs a command that leaves a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.system, (f"{sys.executable} -c \"open(r'{self.target}', 'w')\"",)


def test_hostile_pickles_do_not_run(tmp_path, monkeypatch):
    """As a face model, as the parameters' scaling and as a checkpoint, in the old and the new format of torch."""
    import torch

    from tddfa import MorphableModel
    from tddfa.checkpoints import read_checkpoint
    from tddfa.regressor import official_scaling

    trace = tmp_path / "it_ran"
    content = {"u": Payload(trace), "mean": Payload(trace), "state_dict": Payload(trace)}
    for name in ("bfm_noneck_v3.pkl", "param_mean_std_62d_120x120.pkl", "plain.pth"):
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=2))
    torch.save(content, tmp_path / "zip.pth")
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    monkeypatch.setenv("VRN_ASSETS", str(tmp_path))
    asset = ASSETS["param_mean_std_62d_120x120.pkl"]
    own_id = git_blob_id(tmp_path / asset.name)
    monkeypatch.setitem(registry.ASSETS, asset.name, replace(asset, blob_id=own_id))
    with pytest.raises(ValueError, match="refused"):
        MorphableModel.load(tmp_path / "bfm_noneck_v3.pkl")
    with pytest.raises(ValueError, match="refused"):
        official_scaling()
    for name in ("plain.pth", "zip.pth", "old.pth"):
        with pytest.raises(AssetError, match="was not loaded"):
            read_checkpoint(tmp_path / name)
    assert not trace.exists()
    # The payload is a real one: Python's own reader runs it.
    code = f"import pickle; pickle.load(open(r'{tmp_path / 'plain.pth'}', 'rb'))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert trace.exists()
