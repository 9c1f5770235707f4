"""Rendered pairs on one core: a picture, its landmarks and parameters, and its volume of 192 x 192 x 200.

    python tests/benchmarks/renders.py [--pairs 60]

Nobody else's renderer makes such pairs; the times of different faces differ.
"""

import os
import time
from collections.abc import Iterator

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import cv2
import numpy as np
from timing import Row, Times, run

from vrnlib.synthetic.faces import FaceRenderer, render_pair


def rows(pairs: int) -> Iterator[Row]:
    cv2.setNumThreads(1)
    renderer = FaceRenderer()
    render_pair(0, 0, model=renderer).volume()  # warm
    pictures, volumes = [], []
    for index in range(pairs):
        start = time.perf_counter()
        sample = render_pair(0, index, model=renderer)
        middle = time.perf_counter()
        sample.volume()
        pictures.append(1e3 * (middle - start))
        volumes.append(1e3 * (time.perf_counter() - middle))
    both = np.add(pictures, volumes)
    for name, times in (("picture", pictures), ("volume", volumes), ("pair", both)):
        yield Row(job=f"render: {name}", here=Times(float(np.min(times)), float(np.median(times))))


if __name__ == "__main__":
    run(__doc__, rows, pairs=60)
