"""The compiled core on one core beside 3DDFA_V2's design: the loop of its renderer, written anew in ``plain_core.cpp``.

    python tests/benchmarks/core.py [--runs 30]

With ``VRN_ASSETS`` set the mesh is the stand-in of the Basel Face Model (38,365 vertices); without it the open face,
subdivided once to about as many. The NumPy twins are those that the tests compare the core with.
"""

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import trimesh
from timing import Row, Times, measured, run

from tddfa import MorphableModel, load_volume, nms, reference, save_volume, voxelize
from tddfa.raster import interpolate, rasterize, render_colors, vertex_normals

STANDIN = "official/configs/bfm_noneck_v3.standin.pkl"
DESIGN = "3DDFA_V2's design"


def closed_face(model: MorphableModel) -> tuple[np.ndarray, np.ndarray]:
    """The mean face, closed, in crop pixels."""
    vertices = model.mean * np.float32([1, -1, 1])
    low, high = model.landmarks(vertices)[:, :2].min(0), model.landmarks(vertices)[:, :2].max(0)
    scale = 90 / np.sqrt(np.prod(high - low))
    placed = (vertices - np.append((low + high) / 2, 0)) * scale + [95.5, 95.5, 0]
    return model.close(placed.astype(np.float32))


def face_mesh() -> tuple[str, np.ndarray, np.ndarray]:
    standin = Path(os.environ.get("VRN_ASSETS", ""), STANDIN)
    if os.environ.get("VRN_ASSETS") and standin.is_file():
        return "BFM stand-in", *closed_face(MorphableModel.load(standin))
    vertices, triangles = closed_face(MorphableModel.open())
    used, compact = np.unique(triangles, return_inverse=True)
    vertices, triangles = trimesh.remesh.subdivide(vertices[used], compact.reshape(-1, 3))
    return "open face, subdivided", vertices.astype(np.float32), triangles.astype(np.int32)


def plain_renderer(folder: Path) -> Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]:
    """3DDFA_V2's design of ``render_colors``: (vertices, triangles, colours, height, width) to a picture of bytes."""
    library = folder / "plain_core.so"
    source = Path(__file__).with_name("plain_core.cpp")
    subprocess.run([os.environ.get("CXX", "g++"), "-O3", "-fPIC", "-shared", "-o", library, source], check=True)
    core = ctypes.CDLL(str(library))

    def draw(vertices: np.ndarray, triangles: np.ndarray, colors: np.ndarray, height: int, width: int) -> np.ndarray:
        depth = np.full((height, width), -1e8, np.float32)
        image = np.zeros((height, width, 3), np.uint8)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (vertices, triangles, colors, depth, image)]
        core.plain_rasterize(*pointers, len(triangles), height, width, ctypes.c_float(1))
        return image

    return draw


def random_boxes(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 600, (count, 2)), rng.uniform(20, 120, (count, 2))
    return np.concatenate([corner, corner + side, rng.random((count, 1))], 1).astype(np.float32)


def rows(runs: int) -> Iterator[Row]:
    def times(function: Callable[[], object], count: int = runs) -> Times:
        return measured(function, count)

    name, vertices, triangles = face_mesh()
    label = f"{name}, {len(vertices):,} vertices"
    yield Row(job=f"voxelize, 192 x 192 x 200, {label}", here=times(lambda: voxelize(vertices, triangles)))
    yield Row(job="the same, 48 x 48 x 200 (step=4)", here=times(lambda: voxelize(vertices, triangles, step=4)))
    volume, offset = voxelize(vertices, triangles)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "volume.npz")
        yield Row(job="save_volume", here=times(lambda: save_volume(path, volume, offset=offset)))
        size = f"{path.stat().st_size / 1000:.0f} kB"
        yield Row(job=f"load_volume ({size})", here=times(lambda: load_volume(path)))
    yield Row(job=f"vertex_normals, {label}", here=times(lambda: vertex_normals(vertices, triangles)))

    model = MorphableModel.open()
    face, _ = closed_face(model)
    with tempfile.TemporaryDirectory() as folder:
        plain = plain_renderer(Path(folder))  # stays loaded
    meshes = [("open face", face, model.tri)]
    if name == "BFM stand-in":  # drawn as 3DDFA_V2 draws it, without a back
        official = MorphableModel.load(Path(os.environ["VRN_ASSETS"], STANDIN))
        meshes.insert(0, (name, vertices, official.tri))
    for label, points, faces in meshes:
        attributes = np.random.default_rng(0).random((len(points), 12)).astype(np.float32)
        for height, width, zoom in ((192, 192, 1.0), (480, 640, 2.5)):
            placed = points * np.float32(zoom)
            size = f"{label}, {len(faces):,} triangles, {width} x {height}"
            buffers = rasterize(placed, faces, height, width)
            drawing = placed, faces, np.ascontiguousarray(attributes[:, :3]), height, width
            theirs = times(lambda d=drawing: plain(*d))
            for threads in (1, 2):
                ours = times(lambda d=drawing, t=threads: render_colors(*d, threads=t))
                how = "draw in colours" if threads == 1 else "draw in colours, two threads"
                yield Row(job=f"{how}, {size}", here=ours, peer=DESIGN, theirs=theirs)
            ours = times(lambda p=placed, f=faces, s=(height, width): rasterize(p, f, *s))
            theirs = None
            if label == "open face" and height == 192:
                theirs = times(lambda: reference.rasterize(face, model.tri, 192, 192), 1)
            peer = "its NumPy twin" if theirs else ""
            yield Row(job=f"rasterize, {size}", here=ours, peer=peer, theirs=theirs)
            ours = times(lambda a=attributes, f=faces, b=buffers: interpolate(a, f, b))
            yield Row(job=f"interpolate 12 channels, {size}", here=ours)

    boxes = random_boxes(2000)
    ours, twin = times(lambda: nms(boxes, 0.3)), times(lambda: reference.nms(boxes, 0.3), min(runs, 5))
    yield Row(job=f"suppress 2,000 boxes, {len(nms(boxes, 0.3))} stay", here=ours, peer="its NumPy twin", theirs=twin)


if __name__ == "__main__":
    run(__doc__, rows, runs=30)
