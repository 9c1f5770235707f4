"""Pairs from folders and shards: what is read is what was written, moved exactly, mixed by weight, never unpickled."""

import functools
import http.server
import io
import json
import pickle
import shutil
import tarfile
import threading

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tddfa import load_volume, save_volume, voxelize
from tddfa.images import read_photo
from tddfa.voxelizer import slice_extent
from vrnlib import cli
from vrnlib.commands.train import mixed_pairs
from vrnlib.crop import transform_points
from vrnlib.metrics import iou
from vrnlib.synthetic.faces import FaceRenderer, render_pair, vertices_of
from vrnlib.training.augment import Augmentation
from vrnlib.training.config import Recipe, changed
from vrnlib.training.data import RenderedFaces
from vrnlib.training.pairs import FolderPairs, Mixture, PairMaker, ShardPairs, moved_volume, split_weight
from vrnlib.training.rendering import PairFolder, _is_there
from vrnlib.training.vrn import VolumePairs

SEED, COUNT = 4, 5
PLAIN = PairMaker(augmentation=Augmentation.none(), seed=0)


@pytest.fixture(scope="module")
def renderer():
    return FaceRenderer()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs") / "out"
    assert cli.main(["render", "-o", str(out), "--seed", str(SEED), "--count", str(COUNT), "--png"]) == 0
    return out


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    pytest.importorskip("webdataset", reason="the extra 'train' is not installed")
    out = tmp_path_factory.mktemp("shards") / "out"
    command = ["render", "-o", str(out), "--seed", str(SEED), "--count", str(COUNT), "--shards", "3"]
    assert cli.main([*command, "-j", "2"]) == 0
    return out


def test_a_rendered_folder_holds_the_stream(folder, renderer):
    sample = render_pair(SEED, 3, model=renderer)
    volume, _, meta = load_volume(folder / "000000" / "000000003.npz")
    assert np.array_equal(volume, sample.volume())
    assert np.array_equal(read_photo(folder / "000000" / "000000003.png"), sample.image)
    assert np.allclose(meta["landmarks"], sample.landmarks, atol=1e-3)
    assert np.array_equal(np.float32(meta["parameters"]), sample.parameters)
    assert np.abs(vertices_of(meta, renderer.model) - sample.vertices).max() < 1e-3


def test_rendering_goes_on_where_it_was_stopped(folder, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    (out / "000000" / "000000001.npz").write_bytes(b"cut off")
    (out / "000000" / "000000002.png").write_bytes(b"another picture")
    assert cli.main(["render", "-o", str(out), "--seed", str(SEED), "--count", str(COUNT + 1), "--png"]) == 0
    assert f"3 pairs made, {COUNT - 2} were there, 0 failed" in capsys.readouterr().out
    for name in ("000000001.npz", "000000002.png"):
        assert (out / "000000" / name).read_bytes() == (folder / "000000" / name).read_bytes()


def test_odd_files_in_a_folder_of_renders_are_made_anew(folder, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    volume, offset, _ = load_volume(out / "000000" / "000000001.npz")
    save_volume(out / "000000" / "000000001.npz", volume, offset=offset, meta=["a", "list"])
    assert cli.main(["render", "-o", str(out), "--seed", str(SEED), "--count", str(COUNT), "--png"]) == 0
    assert f"1 pairs made, {COUNT - 1} were there" in capsys.readouterr().out


@pytest.mark.parametrize("settings", [b"[]", b"3", b'{"x": 1}', b"[" * 100_000])
def test_shards_of_another_program_are_made_anew(tmp_path, settings):
    with tarfile.open(tmp_path / "000000.tar", "w") as tar:
        for ending in ("json", "npz", "png"):
            entry = tarfile.TarInfo(f"000000000.{ending}")
            entry.size = len(settings)
            tar.addfile(entry, io.BytesIO(settings))
    assert not _is_there(tmp_path / "000000.tar", PairFolder(out=tmp_path, seed=1, ending=".png"), range(1))


@pytest.mark.parametrize("table", [b"picture\na.png\n", b"a,b\n1,2\n", b"picture,volume\na.png\n", b"\xff\xfe\n"])
def test_an_odd_table_of_pairs_is_told(tmp_path, table):
    (tmp_path / "pairs.csv").write_bytes(table)
    with pytest.raises(ValueError, match=r"Expected a table of picture and volume, .*pairs.csv is damaged"):
        FolderPairs(tmp_path, PLAIN)


def test_shards_are_whole_and_go_on(shards, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(shards, out)
    (out / "000001.tar").write_bytes((out / "000001.tar").read_bytes()[:2000])
    assert cli.main(["render", "-o", str(out), "--seed", str(SEED), "--count", str(COUNT), "--shards", "3"]) == 0
    assert "1 shards made, 1 were there" in capsys.readouterr().out
    for name in ("000000.tar", "000001.tar"):
        assert (out / name).read_bytes() == (shards / name).read_bytes()
    with tarfile.open(out / "000001.tar") as tar:
        assert tar.getnames()[:3] == ["000000003.jpg", "000000003.json", "000000003.npz"]
        assert len(json.load(tar.extractfile("000000003.json"))["parameters"]) == 62


@pytest.mark.parametrize("step", [1, 4, 6])
def test_a_moved_volume_is_the_moved_mesh_voxelised(renderer, step):
    turn = Augmentation(rotation=45, translation=15, flip=0.5)
    for index in range(4):
        sample = render_pair(SEED, index, model=renderer)
        matrix = turn.similarity(np.random.default_rng(index))
        exact, _ = voxelize(*renderer.model.close(transform_points(sample.vertices, matrix)), step=step)
        closed = renderer.model.close(sample.vertices)
        volume, offset = voxelize(*closed)
        extent = slice_extent(*closed, offset)
        assert iou(moved_volume(volume, matrix, step=step, extent=extent), exact) > 0.97
        still = moved_volume(volume, np.eye(2, 3), step=step, extent=extent)
        assert iou(still, sample.volume(step)) > (0.97 if step > 1 else 0.9999)


def test_a_solid_that_outgrows_the_slices_keeps_its_nose():
    deep = np.zeros((200, 192, 192), bool)
    deep[5:195, 60:130, 60:130] = True
    grown = moved_volume(deep, np.array([[1.15, 0, -14], [0, 1.15, -14]]))
    assert grown[199].any() and grown[0].any()
    assert moved_volume(np.zeros_like(deep), np.eye(2, 3)).sum() == 0


def test_a_folder_gives_pairs_as_the_renders_do(folder, tmp_path, renderer):
    pairs = FolderPairs(folder, PLAIN)
    faces = VolumePairs(RenderedFaces(tmp_path, seed=SEED, count=COUNT), augmentation=Augmentation.none(), seed=0)
    assert len(pairs) == COUNT
    (image, solid), (_, exact) = pairs[2], faces[2]
    assert image.shape == (3, 192, 192) and solid.shape == (200, 48, 48) and solid.dtype == torch.bool
    picture = read_photo(folder / "000000" / "000000002.png")
    assert np.array_equal(image.numpy().transpose(1, 2, 0), picture)
    assert iou(solid.numpy(), exact.numpy()) > 0.97
    with pytest.raises(ValueError, match="found none"):
        FolderPairs(tmp_path / "nothing", PLAIN)


def test_a_folders_landmarks_come_along_and_are_asked_for(folder, tmp_path):
    how = {"augmentation": Augmentation.none(), "seed": 0, "size": 128, "landmarks": 0.0}
    _, _, meta = load_volume(folder / "000000" / "000000002.npz")
    expected = (np.array(meta["landmarks"])[:, :2] + 0.5) * 128 / 192 - 0.5
    assert np.abs(FolderPairs(folder, PairMaker(**how))[2][2].numpy() - expected).max() < 1e-3
    out = tmp_path / "old"
    shutil.copytree(folder, out)
    volume, offset, _ = load_volume(out / "000000" / "000000002.npz")
    save_volume(out / "000000" / "000000002.npz", volume, offset=offset, meta={"landmarks": [[1, 2]]})
    assert len(FolderPairs(out, PLAIN)[2]) == 2
    with pytest.raises(ValueError, match="Expected the 68 landmarks of each pair .* train the unguided VRN"):
        FolderPairs(out, PairMaker(**how))[2]


def test_a_stream_of_shards_gives_all_pairs_to_all_workers(shards, folder):
    names = {tuple(FolderPairs(folder, PLAIN)[index][1].sum((0, 2)).tolist()) for index in range(COUNT)}
    seen = set()
    stream = Mixture([ShardPairs(f"{shards}/{{000000..000001}}.tar", PLAIN)], [1], count=40, seed=0)
    for image, solids in DataLoader(stream, batch_size=4, num_workers=2):
        assert image.dtype == torch.uint8
        seen |= {tuple(solid.sum((0, 2)).tolist()) for solid in solids}
    assert seen == names


def test_shards_are_read_over_http(shards, folder):
    if shutil.which("curl") is None:
        pytest.skip("WebDataset reads URLs by curl, which is not here")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(shards))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        image, solid = ShardPairs(f"http://127.0.0.1:{server.server_port}/000000.tar", PLAIN)[0]
    finally:
        server.shutdown()
    assert image.shape == (3, 192, 192) and solid.any()


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


def bad_shard(path, members):
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_nothing_in_a_shard_is_unpickled(shards, tmp_path):
    bomb = io.BytesIO()
    np.save(bomb, np.array([Bomb()], object), allow_pickle=True)
    picture = tarfile.open(shards / "000000.tar").extractfile("000000000.jpg").read()
    archive = io.BytesIO()
    np.savez(archive, voxels=np.array([Bomb()], object))
    for number, npz in enumerate((pickle.dumps(Bomb()), bomb.getvalue(), archive.getvalue())):
        path = tmp_path / f"{number}.tar"
        bad_shard(path, {"a.jpg": picture, "a.npz": npz, "a.pyd": pickle.dumps(Bomb()), "a.pkl": pickle.dumps(Bomb())})
        with pytest.raises(ValueError, match="a volume file written by save_volume"):
            ShardPairs(str(path), PLAIN)[0]
    bad_shard(tmp_path / "half.tar", {"a.pickle": pickle.dumps(Bomb())})
    with pytest.raises(ValueError, match="Expected a picture .* and a volume"):
        ShardPairs(str(tmp_path / "half.tar"), PLAIN)[0]


@pytest.mark.parametrize("source", ["pipe:touch /tmp/never", "missing.tar", "ftp://host/000000.tar"])
def test_what_is_no_shard_is_refused(source):
    pytest.importorskip("webdataset", reason="the extra 'train' is not installed")
    with pytest.raises(ValueError, match="Expected shards"):
        ShardPairs(source, PLAIN)


class Always:
    def __init__(self, number):
        self.number = number

    def __len__(self):
        return 7

    def __getitem__(self, key):
        return self.number, key[0]


def test_a_mixture_keeps_to_its_weights_and_repeats():
    mixture = Mixture([Always(0), Always(1)], [3, 1], count=2000, seed=5)
    items = [mixture[index, 0] for index in range(2000)]
    assert np.mean([number for number, _ in items]) == pytest.approx(0.25, abs=0.03)
    assert {index for _, index in items} == set(range(7))
    assert items[:20] == [mixture[index, 0] for index in range(20)] != [mixture[index, 1] for index in range(20)]
    with pytest.raises(ValueError, match="a weight above 0"):
        split_weight("folder=0")


def test_a_recipe_names_its_data(folder, shards, tmp_path):
    faces = RenderedFaces(tmp_path, seed=SEED, count=2)
    data = ["renders=2", f"{folder}=1", str(shards)]
    mixture = mixed_pairs(changed(Recipe(), {"data": data, "renders": 30}), faces, {"size": 128})
    assert [type(source) for source in mixture.sources] == [VolumePairs, FolderPairs, ShardPairs]
    assert mixture.shares.tolist() == [0.5, 0.25, 0.25] and len(mixture) == 30
    for index in range(8):
        image, solid = mixture[index, 0]
        assert image.shape == (3, 128, 128) and solid.shape == (200, 32, 32)
    assert isinstance(mixed_pairs(Recipe(), faces, {"size": 192}), VolumePairs)
    with pytest.raises(ValueError, match="Expected no data for fan"):
        Recipe(network="fan", data=("elsewhere",))


def test_an_error_of_a_loader_process_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    options = "--steps 1 --batch 2 --renders 2 --held-out 1 --size 128 --features 8 --workers 1 --device cpu".split()
    command = ["train", "vrn", "-o", str(tmp_path / "run"), "--cache", str(tmp_path / "file"), *options]
    assert cli.main(command) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "vrn: Expected to make the folder" in told and "Not a directory; check its place" in told
