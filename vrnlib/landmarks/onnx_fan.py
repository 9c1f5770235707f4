"""A face-alignment network from the picture to the points by ONNX Runtime, in half of torch's time."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tddfa.runtimes import make_runner
from vrnlib.network import FAN


class Decoded(NamedTuple):
    """What is left of `vrnlib.network.LandmarkMaps` without the maps.

    points: (B, 68, 3) input pixels, z towards the camera. scores: (B, 68) in 0 … 1.
    """

    points: Tensor
    scores: Tensor


class QuickFAN:
    """A FAN for looking only, decoded within the exported network. It is exported when it is first used."""

    def __init__(self, fan: FAN) -> None:
        threads, size = torch.get_num_threads(), fan.config.size
        self.config = fan.config
        self._runner = cache(
            lambda: make_runner(_Decoding(fan), name="fan", example=(3, size, size), runtime="onnx", threads=threads)
        )

    def __call__(self, image: Tensor) -> Decoded:
        """(B, 3, size, size) float32 RGB in [0, 1], the size being the configuration's → `Decoded`.

        Raises OSError (a sentence) when the user's cache cannot keep the export.
        """
        return Decoded(*(torch.from_numpy(output) for output in self._runner()(image.numpy())))


class _Decoding(nn.Module):
    def __init__(self, fan: FAN) -> None:
        super().__init__()
        self.fan = fan

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.fan(image)
        return maps.points, maps.scores
