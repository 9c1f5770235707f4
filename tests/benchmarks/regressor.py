"""Times the regressor and the reconstruction of one face: ``python tests/benchmarks/regressor.py [--runs 50]``.

"Plain" is 3DDFA_V2's design: the network as it is, normalisations included, and the vertices by its formula. One
thread is timed by the processor's time, two by the clock; the best of the runs is the one to compare. The weights are
the official ones where they and a Basel Face Model are at hand (the stand-in in ``$VRN_ASSETS`` counts), else the open
ones.
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
from timing import best

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50, help="runs of each line (default 50)")
    runs = parser.parse_args().runs
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photo, box = skimage.data.astronaut(), np.array([[170, 70, 280, 200]])
    weights, model = weights_and_model()
    tddfa = TDDFA(weights, model=model)
    params, rois = tddfa(photo, box)
    batch = network_input(tddfa.crop(photo, rois[0]))[None]
    network = load_backbone(tddfa.path).requires_grad_(False)
    print(f"{tddfa.path.name}, one face{'':<18}{'best ms':>8}{'ratio':>8}")

    def line(name: str, milliseconds: float, plain: float) -> None:
        print(f"{name:<48}{milliseconds:>8.2f}{plain / milliseconds:>8.2f}", flush=True)

    given = torch.from_numpy(batch)
    for threads, clock in ((1, time.process_time), (2, time.perf_counter)):
        torch.set_num_threads(threads)
        plain = best(lambda: network(given), runs, clock)
        line(f"network, plain, torch, {threads} thread(s)", plain, plain)
        for runtime in ("torch", "onnx"):
            ours = TDDFA(weights, model=tddfa.model, runtime=runtime, threads=threads)
            line(f"network, {runtime}, {threads} thread(s)", best(lambda o=ours: o._run(batch), runs, clock), plain)
    torch.set_num_threads(1)
    by_rows = {name: np.ascontiguousarray(getattr(tddfa.model, name)) for name in ("w_shp", "w_exp")}
    original = replace(tddfa.model, **by_rows)  # as its file has them
    plain = best(lambda: plain_dense(original, params[0], rois[0]), runs)
    count = tddfa.model.vertex_count
    line(f"{count:,} vertices, plain", plain, plain)
    line(f"{count:,} vertices", best(lambda: tddfa.reconstruct(params, rois), runs), plain)
    line("68 landmarks", best(lambda: tddfa.reconstruct(params, rois, dense=False), runs), plain)


if __name__ == "__main__":
    main()
