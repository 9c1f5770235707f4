"""Times the compiled core on one core and prints a table: ``python tests/benchmarks/core.py [--runs 30]``.

Figures depend on the machine and on what else it does; the best of the runs is the one to compare. No test fails on
them. With ``VRN_ASSETS`` set the mesh is the stand-in of the Basel Face Model (38,365 vertices); without it the open
face, subdivided once to about as many.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh

from tddfa import MorphableModel, load_volume, nms, reference, save_volume, voxelize
from tddfa.raster import interpolate, rasterize, render_colors, vertex_normals


def best_and_median(function: Callable[[], object], runs: int) -> tuple[float, float]:
    """Milliseconds; a single run is not warmed up."""
    if runs > 1:
        function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return min(times), float(np.median(times))


def closed_face(model: MorphableModel) -> tuple[np.ndarray, np.ndarray]:
    """The mean face, closed, in crop pixels."""
    vertices = model.mean * np.float32([1, -1, 1])
    low, high = model.landmarks(vertices)[:, :2].min(0), model.landmarks(vertices)[:, :2].max(0)
    scale = 90 / np.sqrt(np.prod(high - low))
    placed = (vertices - np.append((low + high) / 2, 0)) * scale + [95.5, 95.5, 0]
    return model.close(placed.astype(np.float32))


def face_mesh() -> tuple[str, np.ndarray, np.ndarray]:
    standin = Path(os.environ.get("VRN_ASSETS", ""), "official/configs/bfm_noneck_v3.standin.pkl")
    if os.environ.get("VRN_ASSETS") and standin.is_file():
        return "BFM stand-in", *closed_face(MorphableModel.load(standin))
    vertices, triangles = closed_face(MorphableModel.open())
    used, compact = np.unique(triangles, return_inverse=True)
    vertices, triangles = trimesh.remesh.subdivide(vertices[used], compact.reshape(-1, 3))
    return "open face, subdivided", vertices.astype(np.float32), triangles.astype(np.int32)


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
    for label, points, faces in ((name, vertices, triangles), ("open face", face, model.tri)):
        attributes = np.random.default_rng(0).random((len(points), 12)).astype(np.float32)
        for height, width, zoom in ((192, 192, 1.0), (480, 640, 2.5)):
            placed = points * np.float32(zoom)
            size = f"{label}, {len(faces):,} triangles, {width} x {height}"
            buffers = rasterize(placed, faces, height, width)
            line(f"rasterize, {size}", lambda p=placed, f=faces, s=(height, width): rasterize(p, f, *s))
            line("    interpolate 12 channels", lambda a=attributes, f=faces, b=buffers: interpolate(a, f, b))
            line(
                "    render_colors (rasterize included)",
                lambda p=placed, f=faces, a=attributes, s=(height, width): render_colors(p, f, a[:, :3], *s),
            )
    line("    NumPy reference, open face, 192 x 192", lambda: reference.rasterize(face, model.tri, 192, 192), runs=1)

    boxes = random_boxes(2000)
    ours = line(f"nms, 2,000 boxes, {len(nms(boxes, 0.3))} stay", lambda: nms(boxes, 0.3))
    theirs = line("    NumPy reference", lambda: reference.nms(boxes, 0.3), runs=5)
    print(f"{'ratio':<58}{theirs / ours:>9.1f}x")


if __name__ == "__main__":
    main()
