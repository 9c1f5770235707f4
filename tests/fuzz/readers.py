"""Every reader of the project, with whole files to begin with and the call that a command makes of it.

A reader either gives a result, or raises a ValueError or OSError that is one sentence for the user.
"""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from safetensors.torch import save as safetensors_bytes
from scipy.io import savemat

from .inputs import JSON, ODD, Files, changed_files, json_bytes

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        name: what it reads.
        seeds: whole folders of files; made once.
        read: what a command does with such a folder.
        made: a strategy for folders that are made up and no changed seeds, or None.
    """

    name: str
    seeds: Callable[[], list[Files]]
    read: Callable[[Path], object]
    made: Callable[[], st.SearchStrategy[Files]] | None = None

    def inputs(self) -> st.SearchStrategy[Files]:
        """Changed and made-up folders."""
        changed = changed_files(self.seeds())
        return changed if self.made is None else st.one_of(changed, self.made())


def only(folder: Path, *endings: str) -> Path:
    """The file of the folder with one of these endings, or the first one."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    return next((path for path in paths if path.name.endswith(endings)), paths[0])


def picture(height: int = 40, width: int = 48) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([5 * y % 256, 5 * x % 256, 3 * (x + y) % 256], axis=-1).astype(np.uint8)


def ball(shape: tuple[int, int, int] = (20, 24, 24)) -> np.ndarray:
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    middle = np.array(shape) / 2
    return (((z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2) < (min(shape) / 3) ** 2).astype(bool)


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def torch_bytes(content: Any) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def written(write: Callable[[Path], object], name: str) -> bytes:
    """The bytes of what a writer writes under a name."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


# --- pictures and videos ----------------------------------------------------------------------------------------------


def photo_seeds() -> list[Files]:
    from tddfa.images import FORMATS

    rgb = Image.fromarray(picture())
    deep = Image.fromarray(picture()[:, :, 0].astype(np.uint16) * 257)
    real = Image.fromarray(picture()[:, :, 0].astype(np.float32) / 255)
    exif = Image.Exif()
    exif[274] = 6
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (rgb, "JPEG", {"exif": exif}), (rgb.convert("CMYK"), "JPEG", {}), (rgb, "JPEG", {"progressive": True}),
        (rgb, "PNG", {}), (rgb.quantize(16), "PNG", {"transparency": 3}), (deep, "PNG", {}),
        (rgb.convert("LA"), "PNG", {}), (rgb.convert("1"), "PNG", {}), (rgb, "BMP", {}), (rgb.quantize(16), "BMP", {}),
        (rgb, "TIFF", {}), (real, "TIFF", {}), (deep, "TIFF", {}), (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "WEBP", {}), (rgb, "WEBP", {"lossless": True}), (rgb, "GIF", {"save_all": True, "append_images": [rgb]}),
        (rgb, "PPM", {}), (rgb.convert("L"), "PPM", {}), (rgb, "AVIF", {}), (rgb, "HEIF", {}),
    ]  # fmt: skip
    seeds = []
    for image, kind, options in kinds:
        if kind in FORMATS:
            out = io.BytesIO()
            image.save(out, format=kind, **options)
            seeds.append({"photo.jpg": out.getvalue()})
    return seeds


def read_photo(folder: Path) -> object:
    from tddfa import images

    list(images.list_photos(folder))
    images.is_own_picture(folder / "photo.jpg")
    photo = images.read_photo(folder / "photo.jpg")
    assert photo.ndim == 3 and photo.shape[2] == 3 and photo.dtype == np.uint8 and min(photo.shape) > 0
    return photo


def video_seeds() -> list[Files]:
    def write(path: Path, code: str) -> None:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25.0, (64, 48))
        for shift in range(6):
            writer.write(np.roll(picture(48, 64), shift, axis=1))
        writer.release()

    kinds = (("mp4v", ".mp4"), ("MJPG", ".avi"), ("mp4v", ".mkv"), ("VP80", ".webm"))
    found = ({f"video{ending}": written(lambda path, c=code: write(path, c), f"v{ending}")} for code, ending in kinds)
    return [files for files in found if all(files.values())]


def read_video(folder: Path) -> object:
    from tddfa.video_files import VideoReader

    with VideoReader(only(folder, "")) as reader:
        return sum(1 for _, frame in zip(range(50), reader, strict=False) if frame.dtype == np.uint8)


# --- volumes and other arrays -----------------------------------------------------------------------------------------


def volume_seeds() -> list[Files]:
    from tddfa.volume_file import volume_bytes

    solid = ball()
    meta = {"extent": [1.5, 3.0], "settings": {"how": "render"}}
    return [
        {"volume.npz": volume_bytes(solid, offset=9.5, meta=meta)},
        {"volume.npz": volume_bytes(np.zeros((3, 4, 5), bool), offset=0.0)},
        {"volume.npy": npy(solid.transpose(2, 1, 0))},
        {"volume.raw": solid.astype(np.uint8).tobytes()},
    ]


def read_volume(folder: Path) -> object:
    from tddfa import volume_file

    path = only(folder, "")
    if path.suffix == ".npy":
        return volume_file.read_vrn_npy(path, shape=(24, 24, 20))
    if path.suffix == ".raw":
        return volume_file.read_vrn_raw(path, shape=(20, 24, 24))
    volume, offset, _ = volume_file.load_volume(path)
    assert volume.dtype == bool and volume.ndim == 3 and np.isfinite(offset)
    return volume


@cache
def open_model_arrays() -> dict[str, np.ndarray]:
    with np.load(ROOT / "3DDFA_V2_modified/tddfa/data/open_face.npz", allow_pickle=False) as file:
        return dict(file)


def npz(content: dict[str, np.ndarray]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **content)
    return out.getvalue()


def small_official() -> dict[str, np.ndarray]:
    """A tetrahedron in the layout of ``bfm_noneck_v3.pkl``."""
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], np.float32)
    return {
        "u": corners.reshape(-1, 1),
        "w_shp": rng.normal(size=(12, 40)).astype(np.float32),
        "w_exp": rng.normal(size=(12, 10)).astype(np.float32),
        "keypoints": (rng.integers(0, 4, 68)[:, None] * 3 + np.arange(3)).ravel(),
        "tri": np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32).T,
    }


def model_seeds() -> list[Files]:
    apart = {key: value for key, value in small_official().items() if key != "tri"}
    whole = [{"model.pkl": pickle.dumps(small_official(), protocol=number)} for number in (2, 4)]
    two = {"model.pkl": pickle.dumps(apart, protocol=4), "tri.pkl": pickle.dumps(small_official()["tri"])}
    return [*whole, two, {"model.npz": npz(open_model_arrays())}]


def odd_arrays() -> st.SearchStrategy[np.ndarray]:
    kinds = st.sampled_from([np.dtype(code) for code in ("f4", "f8", "i4", "i8", "u1", "?", "c8", "U3", "f2", "M8[s]")])
    return kinds.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_side=9, min_side=0)))


@st.composite
def made_models(draw: Any) -> Files:
    """The open model, or the official one, with arrays exchanged, cut, or with numbers out of range."""
    official = draw(st.booleans())
    content = dict(small_official() if official else open_model_arrays())
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(content)))
        array = content[name].copy()
        how = draw(st.integers(0, 5))
        if how == 0:
            content[name] = draw(odd_arrays())
        elif how == 1:
            content[name] = array[: draw(st.integers(0, len(array)))]
        elif how == 2:
            content[name] = array.T
        elif how == 3:
            content[name] = array.astype(draw(st.sampled_from(("f8", "i8", "u1", "f2"))))
        elif how == 4 and len(content) > 1:
            del content[name]
        elif array.size:
            odd = draw(st.sampled_from((np.nan, np.inf, -1, 2**31 - 1, len(array), 3e38)))
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                array.flat[draw(st.integers(0, array.size - 1))] = np.float64(odd).astype(array.dtype)
            content[name] = array
    return {"model.pkl": pickle.dumps(content, protocol=4)} if official else {"model.npz": npz(content)}


def read_model(folder: Path) -> object:
    from tddfa.morphable import MorphableModel

    model = MorphableModel.load(only(folder, "model.npz", "model.pkl"))
    face = model.reconstruct(np.zeros(3), np.zeros(2))
    if len(model.keypoints) == 204:
        assert model.landmarks(face).shape == (68, 3)
    return model


def read_earlier_arrays(folder: Path) -> object:
    from tddfa.outputs import check_arrays_target

    return check_arrays_target(folder / "faces.npz")


def earlier_arrays_seeds() -> list[Files]:
    names = {"boxes": (1, 5), "roi": (1, 4), "params": (1, 62), "sparse": (1, 3, 68), "dense": (1, 3, 9)}
    return [{"faces.npz": npz({**{name: np.zeros(shape) for name, shape in names.items()}, "pose_deg": np.zeros(3)})}]


def pickle_seeds() -> list[Files]:
    tree: dict[str, Any] = {"mean": np.zeros(62, np.float32), "more": [1, 2.5, "x", b"y", (None, True)], "s": {1, 2}}
    tree["big"] = np.arange(12, dtype=">i4").reshape(3, 4).T
    return [{"file.pkl": pickle.dumps(tree, protocol=number)} for number in range(6)]


@st.composite
def made_pickles(draw: Any) -> Files:
    """Any operations one after the other, with names that arrays are made of."""
    parts = [
        b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n",
        b"cnumpy._core.multiarray\nscalar\n", b"cnumpy._core.numeric\n_frombuffer\n", b"cbuiltins\neval\n",
        b"cos\nsystem\n", b"(", b"t", b"l", b"d", b"}", b"]", b")", b"R", b"b", b"o", b"i", b"0", b"1", b"2", b"a",
        b"e", b"s", b"u", b"q\x00", b"h\x00", b"r\xff\xff\xff\x7f", b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\xff",
        b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00O8", b"X\x02\x00\x00\x00V8", b"U\x01b", b"C\x08abcdefgh", b"N",
        b"\x85", b"\x86", b"\x87", b"\x88", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8f", b"\x90", b"\x91",
        b"\x92", b"\x93", b"\x94", b"\x81", b"Q", b"B\x04\x00\x00\x00abcd", b"G" + bytes(8), b"I1\n", b"p0\n", b"g0\n",
        b"\x8b\xff\xff\xff\x7f", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x96\x04" + bytes(7) + b"abcd", b"\x97",
        b"\x98", b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
    ]  # fmt: skip
    body = b"".join(draw(st.lists(st.sampled_from(parts), max_size=30)))
    return {"file.pkl": draw(st.sampled_from((b"", b"\x80\x02", b"\x80\x04", b"\x80\x05"))) + body + b"."}


def read_pickle(folder: Path) -> object:
    from tddfa.safe_pickle import load_pickle

    return load_pickle(folder / "file.pkl")


# --- landmarks and data sets ------------------------------------------------------------------------------------------


def mat_arrays(points: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    content = {"Pose_Para": rng.normal(size=(1, 7)), "Shape_Para": rng.normal(size=(199, 1))}
    content |= {"Exp_Para": rng.normal(size=(29, 1)).astype(np.float32), "roi": np.array([[1, 2, 99, 98]], np.int16)}
    return content | {points: rng.uniform(1, 200, (3 if points == "pt3d_68" else 2, 68)), "what": np.array(["text"])}


def mat_seeds() -> list[Files]:
    plain: list[tuple[dict[str, np.ndarray], bool]] = [
        (mat_arrays("pt3d_68"), False), (mat_arrays("pt2d"), False), (mat_arrays("pt3d_68"), True),
        ({"pts_2d": np.ones((68, 2)), "pts_3d": np.ones((68, 2))}, True),
    ]  # fmt: skip
    return [
        {"face.mat": written(lambda path, a=content, c=packed: savemat(path, a, do_compression=c), "face.mat")}
        for content, packed in plain
    ]


def read_mat(folder: Path) -> object:
    from tddfa import datasets

    try:
        return datasets.read_mat(folder / "face.mat")
    except ValueError as error:
        told(error)
        return datasets.read_mat_landmarks(folder / "face.mat")


def point_seeds() -> list[Files]:
    points = np.random.default_rng(2).uniform(0, 99, (68, 3))
    lines = "\n".join(f"{x:.3f} {y:.3f}" for x, y in points[:, :2])
    pts = f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n".encode()
    return [
        {"face.pts": pts},
        {"face.npy": npy(points.astype(np.float32))},
        {"face.npy": npy(np.stack([points, points])[:, :, :2])},
        {"face.mat": mat_seeds()[0]["face.mat"]},
    ]


def read_points(folder: Path) -> object:
    from vrnlib.landmarks.files import GivenPoints, find_points

    return GivenPoints(find_points(folder, Path("face.jpg"))).faces


def crop_list_seeds() -> list[Files]:
    rng = np.random.default_rng(3)
    return [
        {
            "AFLW2000-3D_crop.list": b"a.jpg\nb.jpg\n",
            "AFLW2000-3D.pts68.npy": npy(rng.normal(size=(2, 3, 68))),
            "AFLW2000-3D.pose.npy": npy(rng.normal(size=2)),
            "AFLW2000-3D_crop.roi_box.npy": npy(rng.normal(size=(2, 4)).astype(np.float32)),
        }
    ]


def read_crop_list(folder: Path) -> object:
    from tddfa.datasets import aflw2000_crops

    (folder / "AFLW2000-3D_crop").mkdir(exist_ok=True)
    return aflw2000_crops(folder)


# --- configurations ---------------------------------------------------------------------------------------------------


def yaml_bytes(tree: Any) -> bytes:
    import yaml

    return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "backslashreplace")


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


# --- folders of pairs, shards and tables ------------------------------------------------------------------------------


def crop_and_volume() -> tuple[bytes, bytes]:
    from tddfa.volume_file import volume_bytes

    png = cv2.imencode(".png", picture(192, 192))[1].tobytes()
    return png, volume_bytes(ball((200, 192, 192)), offset=99.5, meta={"extent": [30.0, 170.0]})


def pair_seeds() -> list[Files]:
    png, volume = crop_and_volume()
    table = b"picture,volume\na.png,a.npz\n"
    return [{"a.png": png, "a.npz": volume, "pairs.csv": table}, {"a.png": png, "a.npz": volume}]


def read_pairs(folder: Path) -> object:
    from vrnlib.training.augment import Augmentation
    from vrnlib.training.pairs import FolderPairs, PairMaker

    return FolderPairs(folder, PairMaker(augmentation=Augmentation.none(), seed=0))[0]


def shard_seeds() -> list[Files]:
    png, volume = crop_and_volume()
    members = {"000000000.json": b'{"settings": {"how": "render", "seed": 1, "index": 0}}'}
    members |= {"000000000.npz": volume, "000000000.png": png}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return [{"000000.tar": out.getvalue()}]


def read_shard(folder: Path) -> object:
    from vrnlib.training.augment import Augmentation
    from vrnlib.training.pairs import PairMaker, ShardPairs
    from vrnlib.training.rendering import PairFolder, _is_there

    _is_there(folder / "000000.tar", PairFolder(out=folder, seed=1, ending=".png"), range(1))
    return ShardPairs(str(folder), PairMaker(augmentation=Augmentation.none(), seed=0))[0]


def table_seeds() -> list[Files]:
    return [
        {"failures.csv": b'picture,reason\na/b.jpg,no face\n"c,d.png","x""y"\n'},
        {"skipped.csv": b"photo,reason\na.jpg,no face\n"},
    ]


def read_table(folder: Path) -> object:
    from tddfa.target_folder import claimed
    from vrnlib.commands.photos import check_listing

    check_listing(folder / "skipped.csv")
    return claimed(folder)


def cache_seeds() -> list[Files]:
    from vrnlib.training.cache import encoded

    rng = np.random.default_rng(4)
    facts: dict[str, Any]
    camera = {"angles": [5.0, 0.0, 3.0], "distance": 900.0, "center": [0.0, 0.0, 0.0], "scale": 0.9}
    facts = {"landmarks": rng.uniform(40, 150, (68, 3)).round(3).tolist(), "parameters": [0.5] * 62}
    facts["camera"] = {**camera, "shift": [96.0, 96.0]}
    jpg = encoded(picture(256, 256), ".jpg")
    return [{"00000000.jpg": jpg, "00000000.json": json_bytes(facts)}]


@cache
def rendered_faces() -> Any:
    from vrnlib.training.data import RenderedFaces

    return RenderedFaces(tempfile.mkdtemp(), seed=1, count=1)


def read_cache(folder: Path) -> object:
    from vrnlib.training.cache import Cache

    faces = rendered_faces()
    faces.cache = Cache(folder, ".jpg")
    (folder / "00000").mkdir(exist_ok=True)
    for path in list(folder.glob("0000000*.j*")):
        path.rename(folder / "00000" / path.name)
    if not (folder / "00000/00000000.json").exists():
        return None  # it would be rendered
    assert faces.landmarks(0).shape == (68, 3)
    assert faces.mesh(0).shape[1] == 3
    return faces.crop(0, np.eye(2, 3))


# --- the compiled core ------------------------------------------------------------------------------------------------


def told(error: BaseException) -> None:
    """AssertionError unless an error is one sentence of ours."""
    from tddfa.console import sentence

    text = sentence(error)
    ours = isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError | json.JSONDecodeError)
    readable = len(text.split()) >= 4 and len(text) < 1500 and "Traceback" not in text and "Errno" not in text
    assert ours and readable, f"{type(error).__name__}: {text[:300]}"


READERS = (
    Reader("photos", photo_seeds, read_photo),
    Reader("videos", video_seeds, read_video),
    Reader("volumes", volume_seeds, read_volume),
    Reader("face models", model_seeds, read_model, made_models),
    Reader("pickles", pickle_seeds, read_pickle, made_pickles),
    Reader("arrays of an earlier run", earlier_arrays_seeds, read_earlier_arrays),
    Reader(".mat files", mat_seeds, read_mat),
    Reader("point files", point_seeds, read_points),
    Reader("AFLW2000-3D's lists", crop_list_seeds, read_crop_list),
    Reader("configurations", config_seeds, read_config, made_configs),
    Reader("recipes", recipe_seeds, read_recipe, made_recipes),
    Reader("a run's configuration", run_seeds, read_run),
    Reader("regressors' weights", checkpoint_seeds, read_weights, made_regressors),
    Reader("networks' weights", network_seeds, read_network, made_networks),
    Reader("training checkpoints", training_seeds, read_training),
    Reader("ONNX cache", onnx_seeds, read_onnx),
    Reader("pairs of a folder", pair_seeds, read_pairs),
    Reader("shards", shard_seeds, read_shard),
    Reader("tables", table_seeds, read_table),
    Reader("cached renders", cache_seeds, read_cache),
)
