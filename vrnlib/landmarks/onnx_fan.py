"""A face-alignment network from the picture to the points by ONNX Runtime, in half of torch's time."""

from __future__ import annotations

from functools import cache, lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tddfa.runtimes import make_runner
from vrnlib.network import FAN
from vrnlib.weight_files import load_network, weights_path


class Decoded(NamedTuple):
    """What is left of `vrnlib.network.LandmarkMaps` without the maps.

    Attributes:
        points: (B, 68, 3) input pixels, z towards the camera.
        scores: (B, 68) in 0 … 1.
    """

    points: Tensor
    scores: Tensor

    def __repr__(self) -> str:
        return f"Decoded(points {tuple(self.points.shape)}, scores {tuple(self.scores.shape)})"


class OnnxFAN:
    """A FAN that is only to be run, decoded within the exported network. It is exported when it is first used.

    Args:
        fan: the network.
    """

    def __init__(self, fan: FAN) -> None:
        threads, size = torch.get_num_threads(), fan.config.size
        self.config = fan.config
        self._runner = cache(
            lambda: make_runner(_Decoding(fan), name="fan", example=(3, size, size), runtime="onnx", threads=threads)
        )

    def __repr__(self) -> str:
        return f"OnnxFAN({self.config})"

    def __call__(self, image: Tensor) -> Decoded:
        """(B, 3, size, size) float32 RGB in [0, 1], the size being the configuration's → `Decoded`.

        Raises:
            OSError: the user's cache cannot keep the export; one sentence.
        """
        points, scores = (torch.from_numpy(output) for output in self._runner()(image.numpy()))
        return Decoded(points, scores)


class _Decoding(nn.Module):
    def __init__(self, fan: FAN) -> None:
        super().__init__()
        self.fan = fan

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.fan(image)
        return maps.points, maps.scores


def open_fan(fan: Any) -> Any:
    """The FAN of a name or path of weights, loaded once and kept; a FAN that is loaded already is taken as it is.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they are damaged or another network's.
    """
    if not isinstance(fan, (str, PathLike)):
        return fan
    path = weights_path(Path(fan))
    return _loaded(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded(path: Path, changed: int) -> OnnxFAN:
    """The FAN of a file; `changed` is when it was written, so that weights trained anew are loaded anew."""
    return OnnxFAN(load_network(path, FAN))
