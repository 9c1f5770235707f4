"""Times the compiled core on one core and prints a table: ``python tests/benchmarks/core.py [--runs 30]``.

Figures depend on the machine and on what else it does; the best of the runs is the one to compare. No test fails on
them. "3DDFA_V2's design" is the loop of its renderer, written anew in ``plain_core.cpp`` and compiled here. With
``VRN_ASSETS`` set the mesh is the stand-in of the Basel Face Model (38,365 vertices); without it the open face,
subdivided once to about as many.
"""

import argparse
import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from timing import best_and_median

from tddfa import MorphableModel, load_volume, nms, reference, save_volume, voxelize
from tddfa.raster import interpolate, rasterize, render_colors, vertex_normals

STANDIN = "official/configs/bfm_noneck_v3.standin.pkl"


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30, help="runs of each line (default 30)")
    runs = parser.parse_args().runs

    def line(name: str, function: Callable[[], object], runs: int = runs) -> float:
        best, median = best_and_median(function, runs)
        print(f"{name:<58}{best:>10.2f}{median:>10.2f}", flush=True)
        return best

    name, vertices, triangles = face_mesh()
    print(f"{name}: {len(vertices):,} vertices, {len(triangles):,} triangles\n{'':<58}{'best ms':>10}{'median':>10}")
    ours = line("voxelize 192 x 192 x 200", lambda: voxelize(vertices, triangles))
    line("voxelize 48 x 48 x 200 (step=4)", lambda: voxelize(vertices, triangles, step=4))
    mesh = trimesh.Trimesh(vertices * np.float32([1, -1, 2]), triangles, process=False)
    theirs = line("trimesh voxelized(1).fill(), the same grid", lambda: mesh.voxelized(1.0).fill(), runs=1)
    print(f"{'ratio':<58}{theirs / ours:>9.0f}x")

    volume, offset = voxelize(vertices, triangles)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "volume.npz")
        line("save_volume", lambda: save_volume(path, volume, offset=offset))
        line(f"load_volume ({path.stat().st_size / 1000:.0f} kB)", lambda: load_volume(path))

    line("vertex_normals", lambda: vertex_normals(vertices, triangles))
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
            line(f"rasterize, {size}", lambda p=placed, f=faces, s=(height, width): rasterize(p, f, *s))
            line("    interpolate 12 channels", lambda a=attributes, f=faces, b=buffers: interpolate(a, f, b))
            mesh_and_frame = placed, faces, np.ascontiguousarray(attributes[:, :3]), height, width
            theirs = line("    3DDFA_V2's design: colours in one pass", lambda m=mesh_and_frame: plain(*m))
            for threads in (1, 2):
                ours = line(
                    f"    render_colors, {threads} thread{'s' * (threads - 1)}",
                    lambda m=mesh_and_frame, t=threads: render_colors(*m, threads=t),
                )
                print(f"{'    ratio':<58}{theirs / ours:>9.1f}x")
    line("    NumPy reference, open face, 192 x 192", lambda: reference.rasterize(face, model.tri, 192, 192), runs=1)

    boxes = random_boxes(2000)
    ours = line(f"nms, 2,000 boxes, {len(nms(boxes, 0.3))} stay", lambda: nms(boxes, 0.3))
    theirs = line("    NumPy reference", lambda: reference.nms(boxes, 0.3), runs=5)
    print(f"{'ratio':<58}{theirs / ours:>9.1f}x")


if __name__ == "__main__":
    main()
