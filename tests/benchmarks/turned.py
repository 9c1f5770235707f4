"""Photos that lie on their side or stand on their head: how many faces are found in them all the same.

Rendered portraits, each as it is and turned by a quarter, a half and three quarters:

    python tests/benchmarks/turned.py --portraits 80

A face is right when its points lie, in the mean, within a tenth of its size of the true ones, however the photo was
turned: a head that leans by 45 degrees leans no less after a quarter turn.
"""

import argparse
import warnings

import numpy as np
import torch

from vrnlib.evaluation.pictures import PORTRAIT, portraits
from vrnlib.landmarks.detectors import OpenDetector, TDDFADetector
from vrnlib.landmarks.retries import upright
from vrnlib.metrics import landmark_error_percent

RIGHT = 10.0
"""Per cent of a face's size."""


def turned_points(points: np.ndarray, turns: int) -> np.ndarray:
    """Where the points (68, 2) of a portrait lie after so many quarter turns to the left (`np.rot90`)."""
    for _ in range(turns % 4):
        points = np.column_stack([points[:, 1], PORTRAIT - 1 - points[:, 0]])
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portraits", type=int, default=80)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    pictures = list(portraits(args.portraits))
    print(f"{len(pictures)} portraits{'right face':>20}{'wrong face':>14}{'no face':>10}{'turned by us':>16}")
    for detector in (OpenDetector(), TDDFADetector()):
        for turns in range(4):
            counts = np.zeros(4, int)
            for picture in pictures:
                _, faces = upright(np.ascontiguousarray(np.rot90(picture.image, turns)), detector)
                if faces:
                    truth = turned_points(picture.faces[0], turns + faces[0].turned)
                    counts[int(landmark_error_percent(faces[0].points[:, :2], truth) > RIGHT)] += 1
                    counts[3] += faces[0].turned != 0
                else:
                    counts[2] += 1
            columns = "".join(f"{count:>{width}}" for count, width in zip(counts, (14, 14, 10, 16), strict=True))
            print(f"{detector.name:<6} turned by {90 * turns:>3}°{columns}", flush=True)


if __name__ == "__main__":
    main()
