"""A tiny job for each compiled module, with NumPy only: ``python tests/core_smoke.py`` says in a sentence what fails.

build.sh runs it after compiling, cibuildwheel with every wheel.
"""

import sys

import numpy as np

try:
    from tddfa.nms import nms
    from tddfa.raster import rasterize
    from tddfa.voxelizer import voxelize
except ImportError as error:
    sys.exit(f"tddfa cannot be imported ({error}); is the C++ compiler the one that built this Python?")

boxes = np.array([[0, 0, 9, 9, 0.9], [1, 1, 10, 10, 0.8], [30, 30, 39, 39, 0.7]], np.float32)
if list(nms(boxes, 0.3)) != [0, 2]:
    sys.exit("tddfa.nms keeps the wrong boxes.")

# An octahedron: |x| + |y| + |z| <= 10 around (16, 16, 0).
corners = 10.0 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
vertices = (corners + [16.0, 16.0, 0.0]).astype(np.float32)
triangles = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]], np.int32)
for threads in (1, 2):
    seen = int((rasterize(vertices, triangles, 32, 32, threads=threads).triangle >= 0).sum())
    if not 190 < seen < 225:
        sys.exit(f"tddfa.raster paints {seen} pixels of a square of about 200 with {threads} threads.")
filled = int(voxelize(vertices, triangles, size=32, depth=60)[0].sum())
if not 2500 < filled < 2850:
    sys.exit(f"tddfa.voxelize fills {filled} voxels of a solid of about 2,667.")
