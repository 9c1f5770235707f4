"""The most memory that a job's process has, imports included: each job in a process of its own.

    python tests/benchmarks/memory.py

Peers do the same job in the same way as in the other tables.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from timing import Row, Times, run

# Everything else is imported where it is used: a process begins with the peak of the one that started it.


def photo_to_surfaces() -> None:
    from skimage.data import astronaut

    from vrnlib.reconstruct import reconstruct

    reconstruct(astronaut())


def landmarks() -> None:
    from landmarks import photo

    from vrnlib.landmarks.detectors import detect

    detect(photo(1))


def face_alignment() -> None:
    import numpy as np
    from landmarks import official, photo

    with tempfile.TemporaryDirectory() as folder:
        aligner = official(Path(folder))
    aligner.get_landmarks_from_image(photo(1), detected_faces=[np.array([600.0, 100, 750, 300, 1])])
    aligner.face_detector.detect_from_image(photo(1))


def landmarks_4k() -> None:
    import cv2
    from landmarks import photo

    from vrnlib.landmarks.detectors import detect

    detect(cv2.resize(photo(1), (3840, 2160)))


def original_graph() -> None:
    import torch

    from vrnlib.network import VRN, VRNConfig

    with torch.inference_mode():
        VRN(VRNConfig.reference()).eval()(torch.rand(1, 3, 192, 192))


def open_vrn() -> None:
    import torch

    from vrnlib.reconstruct import open_networks

    open_networks(fan=None).vrn(torch.rand(1, 3, 192, 192))


def voxelizer() -> None:
    from core import face_mesh

    from tddfa import voxelize

    voxelize(*face_mesh()[1:])


def trimesh_voxelizer() -> None:
    import numpy as np
    import trimesh
    from core import face_mesh

    _, vertices, triangles = face_mesh()
    trimesh.Trimesh(vertices * np.float32([1, -1, 2]), triangles, process=False).voxelized(1.0).fill()


def training() -> None:
    from vrnlib.cli import main

    with tempfile.TemporaryDirectory() as folder:
        os.environ["VRN_CACHE"] = folder
        renders = ["--cache", f"{folder}/renders", "--renders", "8", "--held-out", "2"]
        steps = ["--steps", "2", "--batch", "8", "--report", "1", "--workers", "0"]
        if main(["train", "vrn", "-o", f"{folder}/run", "--size", "128", *renders, *steps]):
            raise RuntimeError("the training failed")


JOBS: dict[str, tuple[Callable[[], None], str, Callable[[], None] | None]] = {
    "photo of 512 x 512 to coloured surface": (photo_to_surfaces, "", None),
    "faces and landmarks, 1280 x 720": (landmarks, "face-alignment: S3FD, 2DFAN-4", face_alignment),
    "faces and landmarks, 3840 x 2160": (landmarks_4k, "", None),
    "a volume from a crop, open VRN": (open_vrn, "the original's graph", original_graph),
    "voxelize, 192 x 192 x 200": (voxelizer, "trimesh", trimesh_voxelizer),
    "two training steps of the open VRN, batch 8": (training, "", None),
}


def peak(job: Callable[[], None]) -> Times:
    """Megabytes of a fresh process."""
    command = [sys.executable, __file__, "job", job.__name__]
    quiet = {**os.environ, "TQDM_DISABLE": "1"}
    said = subprocess.run(command, env=quiet, check=True, stdout=subprocess.PIPE, text=True).stdout
    megabytes = float(said.splitlines()[-1])
    return Times(megabytes, megabytes)


def rows(first: int) -> Iterator[Row]:
    for name, (job, peer, theirs) in list(JOBS.items())[:first]:
        other = {"peer": peer, "theirs": peak(theirs)} if theirs else {}
        yield Row(job=name, here=peak(job), unit="MB", **other)


if __name__ == "__main__":
    if sys.argv[1:2] == ["job"]:
        globals()[sys.argv[2]]()
        unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes here
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
    else:
        run(__doc__, rows, first=len(JOBS))
