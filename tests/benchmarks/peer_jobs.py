"""What runs in a peer's environment: ``python peer_jobs.py PEER RUNS ARRAY.npy`` prints its times, on one core.

Only NumPy, the peer and `timing` are there.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

if hasattr(os, "sched_setaffinity"):  # before threads are started
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
from timing import measured

Job = tuple[str, Callable[[], Any], Callable[[Any], str]]
"""The package that has a version, the job, and what to say of its result."""


def pymcubes(volume: np.ndarray) -> Job:
    import mcubes

    return "PyMCubes", lambda: mcubes.marching_cubes(volume, 0.5), lambda mesh: f"{len(mesh[1]):,} triangles"


def open3d(volume: np.ndarray) -> Job:
    import ctypes

    import libusb_package

    ctypes.CDLL(str(libusb_package.get_library_path()))  # Open3D takes what is loaded
    import open3d

    def job() -> Any:
        return open3d.t.geometry.TriangleMesh.create_isosurfaces(open3d.core.Tensor(volume), [0.5])

    package = "open3d-cpu" if sys.platform == "linux" and platform.machine() == "x86_64" else "open3d"
    return package, job, lambda mesh: f"{len(mesh.triangle.indices):,} triangles"


def mediapipe(photo: np.ndarray) -> Job:
    from mediapipe.python.solutions.face_mesh import FaceMesh

    mesh = FaceMesh(static_image_mode=True, max_num_faces=2)
    return "mediapipe", lambda: mesh.process(photo), lambda said: f"{len(said.multi_face_landmarks or [])} found"


def dlib(photo: np.ndarray) -> Job:
    import dlib

    detector = dlib.get_frontal_face_detector()
    return "dlib-bin", lambda: detector(photo, 0), lambda boxes: f"{len(boxes)} found"


JOBS = {"PyMCubes": pymcubes, "Open3D": open3d, "MediaPipe": mediapipe, "dlib": dlib}


def main(peer: str, runs: int, path: str) -> None:
    package, job, told = JOBS[peer](np.load(path))
    times = measured(job, runs)
    print(json.dumps({"version": version(package), "found": told(job()), "times": times}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
