"""FaceBoxes on a photo of 1280 x 720 beside 3DDFA_V2's design, one thread.

    python tests/benchmarks/detector.py [--runs 30]

Its design is the same network with its batch normalisations as they are, the prior boxes built by a loop in Python for
every photo, and all of them decoded. The times are the process's own (of the processor, not of the clock). Both use
the official weights where they are at hand, else the open ones; the time is the same.
"""

import math
import time
from collections.abc import Callable, Iterator
from itertools import product

import cv2
import numpy as np
import skimage.data
import torch
from timing import Row, measured, run

from tddfa import FaceBoxes, nms
from tddfa.checkpoints import fill, read_checkpoint
from tddfa.faceboxes import (
    MEAN_BGR,
    OVERLAP,
    SCORE_FLOOR,
    SIDES,
    STEPS,
    FaceBoxesNet,
    decode,
    default_weights,
    prior_boxes,
    shrink,
)


def photo_720p() -> np.ndarray:
    """The astronaut, enlarged and laid on grey: (720, 1280, 3)."""
    photo = np.full((720, 1280, 3), 128, np.uint8)
    photo[:, 280:1000] = cv2.resize(skimage.data.astronaut(), (720, 720))
    return photo


def priors_by_loop(height: int, width: int) -> torch.Tensor:
    """The prior boxes one number after the other."""
    numbers = []
    for step, sides in zip(STEPS, SIDES, strict=True):
        for row, column in product(range(math.ceil(height / step)), range(math.ceil(width / step))):
            for side in sides:
                inner = {32: (0, 0.25, 0.5, 0.75), 64: (0, 0.5)}.get(side, (0.5,))
                for dy, dx in product(inner, inner):
                    numbers += [(column + dx) * step / width, (row + dy) * step / height, side / width, side / height]
    return torch.Tensor(numbers).view(-1, 4)


def plain_detector(network: FaceBoxesNet) -> Callable[[np.ndarray], np.ndarray]:
    """A detector in the original's design."""

    def detect(image: np.ndarray) -> np.ndarray:
        small, scale = shrink(image[:, :, ::-1].copy())
        height, width = small.shape[:2]
        batch = np.float32(small)
        batch -= MEAN_BGR
        with torch.no_grad():
            offsets, scores = network(torch.from_numpy(batch.transpose(2, 0, 1)).unsqueeze(0))
            scores = torch.softmax(scores[0], dim=-1).numpy()[:, 1]
            boxes = decode(offsets[0], priors_by_loop(height, width))
            boxes = (boxes * torch.Tensor([width, height, width, height]) / scale).numpy()
        kept = np.where(scores > SCORE_FLOOR)[0]
        kept = kept[scores[kept].argsort()[::-1][:5000]]
        found = np.hstack((boxes[kept], scores[kept, None]))
        return np.array([box for box in found[nms(found, OVERLAP)] if box[4] > 0.5]).reshape(-1, 5)

    return detect


def rows(runs: int) -> Iterator[Row]:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    photo = photo_720p()
    small, _ = shrink(photo)
    weights = default_weights()
    plain = plain_detector(fill(FaceBoxesNet(), read_checkpoint(weights), weights.name))
    peer, clock = "3DDFA_V2's design", time.process_time
    original = measured(lambda: plain(photo), runs, clock)
    for name, runtime in (("PyTorch", "torch"), ("ONNX Runtime", "onnx")):
        detector = FaceBoxes(weights, runtime=runtime, threads=1)
        difference = np.abs(detector(photo) - plain(photo)).max(initial=0.0)
        ours = measured(lambda d=detector: d(photo), runs, clock)
        yield Row(job=f"detect faces, {name} ({difference:.4f} px apart)", here=ours, peer=peer, theirs=original)
    loop = measured(lambda: priors_by_loop(*small.shape[:2]), runs, clock)
    vector = measured(lambda: prior_boxes.__wrapped__(*small.shape[:2]), runs, clock)
    yield Row(job="prior boxes, not cached", here=vector, peer=peer, theirs=loop)


if __name__ == "__main__":
    run(__doc__, rows, runs=30)
