"""Volumes of 96^3 to 384^3: filling a mesh beside trimesh; the surface beside scikit-image, PyMCubes and Open3D.

    python tests/benchmarks/volumes.py [--runs 5] [--largest 384]

The mesh is the closed face of ``core.py``, as large as the volume wants. trimesh (``voxelized(1).fill()``) does up to
192^3, as it takes minutes beyond. The surface is of the blurred solid, float32. Ours also finds the solid's box, keeps
the largest piece and turns it outwards; the others, each on one core, only march.
"""

from collections.abc import Iterator

import numpy as np
import trimesh
from core import face_mesh
from peers import peer_times
from scipy import ndimage
from skimage.measure import marching_cubes
from timing import Row, measured, run

from tddfa import voxelize
from vrnlib.surface import extract_surface

SIZES = (96, 128, 192, 256, 384)
AXIS = "side of the volume, voxels"


def rows(runs: int, largest: int) -> Iterator[Row]:
    _, vertices, triangles = face_mesh()
    for size in (size for size in SIZES if size <= largest):
        placed = ((vertices + 0.5) * (size / 192) - 0.5).astype(np.float32)
        filled = measured(lambda p=placed, s=size: voxelize(p, triangles, size=s, depth=s), runs)
        theirs = {}
        if size <= 192:
            mesh = trimesh.Trimesh(placed * np.float32([1, -1, 2]), triangles, process=False)
            theirs = {"peer": "trimesh", "theirs": measured(lambda m=mesh: m.voxelized(1.0).fill(), 1)}
        yield Row(job="voxelize", axis=AXIS, at=size, here=filled, **theirs)
        solid, _ = voxelize(placed, triangles, size=size, depth=size)
        field = ndimage.gaussian_filter(solid.astype(np.float32), 1)
        ours = measured(lambda f=field: extract_surface(f), runs)
        count = len(marching_cubes(field, 0.5)[1])
        compared = [
            {
                "peer": f"scikit-image, {count:,} triangles",
                "theirs": measured(lambda f=field: marching_cubes(f, 0.5), runs),
            },
            peer_times("PyMCubes", field, runs),
            peer_times("Open3D", field, runs),
        ]
        for theirs in compared:
            yield Row(job="surface", axis=AXIS, at=size, here=ours, **theirs)


if __name__ == "__main__":
    run(__doc__, rows, runs=5, largest=384)
