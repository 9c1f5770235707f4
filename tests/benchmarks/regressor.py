"""The regressor's 62 numbers and the vertices of one face beside 3DDFA_V2's design.

    python tests/benchmarks/regressor.py [--runs 50]

Its design is the network as it is, normalisations included, and the vertices by its formula. One thread is timed by
the processor's time, two by the clock. The weights are the official ones where they and a Basel Face Model are at hand
(the stand-in in ``$VRN_ASSETS`` counts), else the open ones.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
from timing import Row, measured, run

from tddfa import TDDFA, MorphableModel, available
from tddfa.backbones import load_backbone
from tddfa.regressor import network_input


def weights_and_model() -> tuple[str, MorphableModel | None]:
    """Official weights with the stand-in of the face model, or whatever ``TDDFA()`` takes."""
    standin = Path(os.environ.get("VRN_ASSETS", ""), "official/configs/bfm_noneck_v3.standin.pkl")
    if os.environ.get("VRN_ASSETS") and standin.is_file() and available("mb05_120x120.pth"):
        return "mb05", MorphableModel.load(standin)
    return "open", None


def plain_dense(model: MorphableModel, row: np.ndarray, roi: np.ndarray) -> np.ndarray:
    """(3, N) vertices of one face by the original's formula."""
    pose, shape, expression = row[:12].reshape(3, 4), row[12:52, None], row[52:, None]
    face = (model.u + model.w_shp @ shape + model.w_exp @ expression).reshape(3, -1, order="F")
    face = pose[:, :3] @ face + pose[:, 3:]
    scale_x, scale_y = (roi[2:] - roi[:2]) / 120
    face[0] = (face[0] - 1) * scale_x + roi[0]
    face[1] = (120 - face[1]) * scale_y + roi[1]
    face[2] = (face[2] - 1) * (scale_x + scale_y) / 2
    face[2] -= face[2].min()
    return np.array(face, np.float32)


def rows(runs: int) -> Iterator[Row]:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photo, box = skimage.data.astronaut(), np.array([[170, 70, 280, 200]])
    weights, model = weights_and_model()
    tddfa = TDDFA(weights, model=model)
    params, rois = tddfa(photo, box)
    batch = network_input(tddfa.crop(photo, rois[0]))[None]
    network = load_backbone(tddfa.path).requires_grad_(False)
    peer, given = "3DDFA_V2's design", torch.from_numpy(batch)
    for words, threads, clock in (("", 1, time.process_time), (", two threads", 2, time.perf_counter)):
        torch.set_num_threads(threads)
        plain = measured(lambda: network(given), runs, clock)
        for name, runtime in (("PyTorch", "torch"), ("ONNX Runtime", "onnx")):
            ours = TDDFA(weights, model=tddfa.model, runtime=runtime, threads=threads)
            times = measured(lambda o=ours: o._run(batch), runs, clock)
            yield Row(job=f"62 numbers, {tddfa.path.stem}, {name}{words}", here=times, peer=peer, theirs=plain)
    torch.set_num_threads(1)
    by_rows = {name: np.ascontiguousarray(getattr(tddfa.model, name)) for name in ("w_shp", "w_exp")}
    original = replace(tddfa.model, **by_rows)  # as its file has them
    plain = measured(lambda: plain_dense(original, params[0], rois[0]), runs, time.process_time)
    ours = measured(lambda: tddfa.reconstruct(params, rois), runs, time.process_time)
    yield Row(job=f"{tddfa.model.vertex_count:,} vertices of a face", here=ours, peer=peer, theirs=plain)
    ours = measured(lambda: tddfa.reconstruct(params, rois, dense=False), runs, time.process_time)
    yield Row(job="68 landmarks alone", here=ours, peer=f"{peer}: all vertices", theirs=plain)


if __name__ == "__main__":
    run(__doc__, rows, runs=50)
