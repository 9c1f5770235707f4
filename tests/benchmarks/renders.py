"""Times rendered pairs on one core and prints a table: ``python tests/benchmarks/renders.py [--pairs 60]``."""

import argparse
import os
import time

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import cv2
import numpy as np

from vrnlib.synthetic.faces import FaceRenderer, render_pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=60, help="pairs to render (default 60)")
    pairs = parser.parse_args().pairs
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
    print(f"{'':<24}{'mean ms':>10}{'median':>10}")
    both = np.add(pictures, volumes)
    for name, times in (("picture", pictures), ("volume 192 x 192 x 200", volumes), ("pair", both)):
        print(f"{name:<24}{np.mean(times):>10.1f}{np.median(times):>10.1f}")


if __name__ == "__main__":
    main()
