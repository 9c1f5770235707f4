"""Times faces and landmarks in a 720p photo: ``python tests/benchmarks/landmarks.py [--runs 20] [--threads 2]``.

Beside ours runs the package face-alignment as it is by default, S3FD and 2DFAN-4 by PyTorch. Its weights are not
needed: networks of the same shape with random weights take as long, and S3FD's are set to find nothing, so that no
flood of boxes slows it. It gets the box of one face and looks into it once.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from timing import best_and_median

from vrnlib.landmarks.detectors import detect, make_detector
from vrnlib.landmarks.official import FACE_DETECTORS, FAN_FILE, load_face_alignment


def photo(faces: int) -> np.ndarray:
    """(720, 1280, 3) uint8 RGB: the astronaut, once or twice, the picture's edges repeated to the sides."""
    import cv2
    from skimage.data import astronaut

    person = cv2.resize(astronaut(), (720, 720), interpolation=cv2.INTER_LINEAR)[:, :640]
    people = np.concatenate([person] * faces, axis=1)
    side = (1280 - people.shape[1]) // 2
    return np.pad(people, ((0, 0), (side, side), (0, 0)), mode="edge")


def official(folder: Path):
    """The package's FaceAlignment with random weights, from files in $TORCH_HOME."""
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    os.environ["TORCH_HOME"] = str(folder)
    files = folder / "hub" / "checkpoints"
    files.mkdir(parents=True)
    torch.manual_seed(0)
    face_detector = s3fd()
    for name, layer in face_detector.named_modules():
        if name.endswith("mbox_conf"):
            torch.nn.init.zeros_(layer.weight)
            layer.bias.data = torch.tensor([9.0] * (len(layer.bias) - 1) + [-9.0])
    torch.save(FAN(4).state_dict(), files / FAN_FILE)
    torch.save(face_detector.state_dict(), files / FACE_DETECTORS["sfd"][0])
    return load_face_alignment("sfd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="runs of each line of ours (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="threads of all networks (default 2)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    def line(name: str, function, runs: int) -> float:
        best, median = best_and_median(function, runs)
        print(f"{name:<58}{best:>10.1f}{median:>10.1f}", flush=True)
        return best

    print(f"{f'1280 x 720, {args.threads} threads':<58}{'best ms':>10}{'median':>10}")
    ours = 0.0
    for faces in (1, 2):
        image = photo(faces)
        for detector in (make_detector("open"), make_detector("tddfa")):
            found = len(detector(image))
            took = line(f"{detector.name}, {found} found", lambda i=image, d=detector: d(i), args.runs)
            ours = ours or took
    with tempfile.TemporaryDirectory() as folder:
        aligner = official(Path(folder))
    image = photo(1)
    box = [np.array([*(value for value in detect(image)[0].box), 1.0])]
    finding = line("face-alignment: S3FD", lambda: aligner.face_detector.detect_from_image(image), 3)
    points = line(
        "face-alignment: 2DFAN-4, one face", lambda: aligner.get_landmarks_from_image(image, detected_faces=box), 3
    )
    print(f"{'ratio, one face':<58}{(finding + points) / ours:>9.0f}x")


if __name__ == "__main__":
    main()
