"""Readers of pictures, videos, arrays, face models, landmarks and data sets."""

from __future__ import annotations

import io
import pickle
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy.io import savemat

from .inputs import Files
from .whole import ROOT, Reader, ball, npy, npz, only, picture, told, written

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

    kinds = (("mp4v", ".mp4"), ("MJPG", ".avi"), ("mp4v", ".mkv"))
    found = ({f"video{ending}": written(lambda path, c=code: write(path, c), f"v{ending}")} for code, ending in kinds)
    return [files for files in found if all(files.values())]


def read_video(folder: Path) -> object:
    from tddfa.video_reader import VideoReader

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
        if how == 0 or array.ndim == 0 or array.dtype.kind not in "fiub":  # the second change of one array
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
    tree: dict[str, Any] = {"mean": np.zeros(62, np.float32), "more": [1, 2.5, "x", b"y", (None, True)]}
    tree["big"] = np.arange(12, dtype=">i4").reshape(3, 4).T
    return [
        {"file.pkl": pickle.dumps({**tree, "s": {1, 2} if number > 3 else 0}, protocol=number)} for number in range(6)
    ]


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
)
