"""How cost grows with the height of a photo, the faces in it, and the worker processes; one thread each.

    python tests/benchmarks/growth.py [--runs 3] [--largest 2160] [--pictures 240]

Photos are 16:9 with one face. Faces are tiles of one photo of 1280 x 720. Workers share targets from crops
(``vrn targets --crops -j``); the time is the clock's, for a picture, the start of the processes taken off. How cost
grows with a volume's size is in ``volumes.py``.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import cv2
import numpy as np
import torch
from landmarks import official, photo
from skimage.data import astronaut
from targets import choice, make_pictures
from timing import Row, Times, measured, run

from tddfa.targets import make_targets
from vrnlib.images import read_photo
from vrnlib.landmarks.detectors import detect
from vrnlib.reconstruct import open_networks, reconstruct

HEIGHT, FACES, WORKERS = "height of the photo, pixels", "faces in a photo", "worker processes"
LARGEST_S3FD = 720
"""S3FD looks at every pixel and takes minutes beyond."""


def by_height(runs: int, largest: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        aligner = official(Path(folder))
    whole = photo(1)
    for height in (180, 360, 720, 1440, 2160):
        if height <= largest:
            image = cv2.resize(whole, (height * 16 // 9, height), interpolation=cv2.INTER_AREA)
            found = len(detect(image))
            theirs = {}
            if height <= LARGEST_S3FD:
                times = measured(lambda i=image: aligner.face_detector.detect_from_image(i), 1)
                theirs = {"peer": "face-alignment's S3FD: boxes alone", "theirs": times}
            ours = measured(lambda i=image: detect(i), runs)
            yield Row(job=f"faces and landmarks, {found} found", axis=HEIGHT, at=height, here=ours, **theirs)


def crowd(faces: int) -> np.ndarray:
    """(720, 1280, 3) uint8 RGB with so many faces, 1, 2, 4, 8 or 16 of them."""
    rows = {1: 1, 2: 1, 4: 2, 8: 2, 16: 4}[faces]
    side = 720 // (4 if faces == 16 else 2)
    face = cv2.resize(astronaut()[:256, 96:352], (side, side), interpolation=cv2.INTER_AREA)
    people = np.tile(face, (rows, faces // rows, 1))[:720, :1280]
    down, right = 720 - people.shape[0], 1280 - people.shape[1]
    return np.pad(people, ((0, down), (0, right), (0, 0)), constant_values=128)


def by_faces(runs: int) -> Iterator[Row]:
    networks = open_networks()
    for faces in (1, 2, 4, 16):
        image = crowd(faces)
        found = len(detect(image))
        yield Row(job="faces and landmarks", axis=FACES, at=found, here=measured(lambda i=image: detect(i), runs))
        if faces <= 4:
            ours = measured(lambda i=image: reconstruct(i, networks=networks), runs)
            yield Row(job="photo to coloured surfaces", axis=FACES, at=found, here=ours)


def by_workers(pictures: int) -> Iterator[Row]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        paths = make_pictures(Path(folder), pictures, "crop")

        def took(count: int, workers: int) -> float:
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as out:
                how = {"choice": choice("crop", "onnx"), "progress": False, "workers": workers}
                make_targets(paths[:count], out, root=paths[0].parent, read=read_photo, **how)
            return 1e3 * (time.perf_counter() - start)

        few = pictures // 4
        took(few, 1)
        for workers in sorted({1, 2, 4, cores} & set(range(1, cores + 1))):
            each = (took(pictures, workers) - took(few, workers)) / (pictures - few)
            yield Row(job="a target from a crop", axis=WORKERS, at=workers, here=Times(each, each))


def rows(runs: int, largest: int, pictures: int) -> Iterator[Row]:
    torch.set_num_threads(1)
    yield from by_height(runs, largest)
    yield from by_faces(runs)
    yield from by_workers(pictures)


if __name__ == "__main__":
    run(__doc__, rows, runs=3, largest=2160, pictures=240)
