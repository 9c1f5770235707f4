"""Each stage run once on a photo that every installation has: does it work here, and how long does it take?"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tddfa.console import sentence


def self_test() -> Iterator[tuple[str, bool, str]]:
    """Stage, whether it works, and what came out or the reason; what stages leave is used by those behind them."""
    made: dict[str, Any] = {}
    for stage, job in STAGES.items():
        start = time.perf_counter()
        try:
            said = job(made)
        except KeyError as error:
            yield stage, False, f"not tried, it needs the stage that makes {error}"
        except Exception as error:  # whatever is broken, the other stages are tried
            yield stage, False, sentence(error) or type(error).__name__
        else:
            yield stage, True, f"{said}, {1000 * (time.perf_counter() - start):,.0f} ms"


def _networks(made: dict[str, Any]) -> str:
    from vrnlib.reconstruct import open_networks

    made["networks"] = open_networks()
    return "VRN and FAN of ONNX Runtime"


def _landmarks(made: dict[str, Any]) -> str:
    from skimage.data import astronaut

    from vrnlib.landmarks.detectors import OpenDetector

    made["photo"] = astronaut()
    faces = OpenDetector(made["networks"].fan)(made["photo"])
    if len(faces) != 1:
        raise ValueError(f"Expected the one face of scikit-image's astronaut, got {len(faces)}.")
    made["face"] = faces[0]
    return "one face with 68 points"


def _volume(made: dict[str, Any]) -> str:
    from vrnlib.crop import crop_face
    from vrnlib.reconstruct import predict_volume

    made["crop"] = crop_face(made["photo"], made["face"])
    made["volume"] = predict_volume(made["networks"].vrn, made["crop"].image, made["crop"].landmarks)
    filled = float((made["volume"] > 0.5).mean())
    if not 0.03 < filled < 0.3:
        raise ValueError(f"Expected a solid in 3 to 30 % of the volume, got {100 * filled:.1f} %.")
    return f"{100 * filled:.0f} % filled"


def _surface(made: dict[str, Any]) -> str:
    from vrnlib.surface import color_surface, extract_surface

    made["surface"] = color_surface(extract_surface(made["volume"]), made["crop"].image)
    return f"{len(made['surface'].faces):,} triangles"


def _files(made: dict[str, Any]) -> str:
    from vrnlib.export import FORMATS, save_surface

    with tempfile.TemporaryDirectory() as folder:
        for ending in FORMATS:
            save_surface(Path(folder, f"face{ending}"), made["surface"])
    return " ".join(FORMATS)


def _pictures(made: dict[str, Any]) -> str:
    from vrnlib.show import render_views

    return " x ".join(map(str, render_views(made["surface"]).shape[1::-1])) + " pixels"


def _fit(made: dict[str, Any]) -> str:
    from tddfa import TDDFA

    tddfa = TDDFA("open")
    parameters, rois = tddfa(made["photo"], [np.append(made["face"].box, 1.0)])
    made["model"], made["mesh"] = tddfa.model, tddfa.reconstruct(parameters, rois)[0]
    return f"62 numbers, {len(made['mesh']):,} vertices"


def _target(made: dict[str, Any]) -> str:
    from tddfa import voxelize
    from tddfa.crop import crop_matrix, transform_points

    matrix = crop_matrix(made["model"].landmarks(made["mesh"]))
    volume, _ = voxelize(*made["model"].close(transform_points(made["mesh"], matrix)))
    return f"a solid of {int(volume.sum()):,} voxels"


def _render(made: dict[str, Any]) -> str:
    from vrnlib.synthetic.faces import render_pair

    return f"a picture of {render_pair(1, 0).image.shape[0]} pixels"


def _training(made: dict[str, Any]) -> str:
    import torch

    from vrnlib.network import VRN, VRNConfig

    torch.manual_seed(0)
    network = VRN(VRNConfig(stem=8, features=16, hourglasses=1, depth=2, slices=8, resize=None))
    loss = network(torch.zeros(1, 3, 64, 64)).square().mean()
    loss.backward()
    return "gradients of a small network"


STAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "networks": _networks,
    "landmarks": _landmarks,
    "volume": _volume,
    "surface": _surface,
    "files": _files,
    "pictures": _pictures,
    "3DMM fit": _fit,
    "target": _target,
    "render": _render,
    "training": _training,
}
