"""Photos that lie on their side or stand on their head: how many are turned upright.

Rendered portraits, each as it is and turned by a quarter, a half and three quarters:

    python tests/benchmarks/turned.py --portraits 80
"""

import argparse
import warnings

import numpy as np
import torch

from vrnlib.evaluation.pictures import portraits
from vrnlib.landmarks.detectors import OpenDetector, TDDFADetector
from vrnlib.landmarks.retries import upright


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portraits", type=int, default=80)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    pictures = [picture.image for picture in portraits(args.portraits)]
    print(f"{len(pictures)} portraits{'upright':>20}{'another way':>14}{'no face':>10}")
    for detector in (OpenDetector(), TDDFADetector()):
        for turns in range(4):
            counts = np.zeros(3, int)
            for image in pictures:
                _, faces = upright(np.ascontiguousarray(np.rot90(image, turns)), detector)
                counts[2 if not faces else int((turns + faces[0].turned) % 4 != 0)] += 1
            print(
                f"{detector.name:<6} turned by {90 * turns:>3}°{counts[0]:>14}{counts[1]:>14}{counts[2]:>10}",
                flush=True,
            )


if __name__ == "__main__":
    main()
