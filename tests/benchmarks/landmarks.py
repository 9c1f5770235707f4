"""Faces and 68 landmarks in a photo of 1280 x 720 beside face-alignment, MediaPipe and dlib.

    python tests/benchmarks/landmarks.py [--runs 20] [--threads 1]

The package face-alignment is as it is by default, S3FD and 2DFAN-4 by PyTorch. Its weights are not needed: networks of
the same shape with random weights take as long, and S3FD's are set to find nothing, so that no flood of boxes slows
it. It gets the box of one face and looks into it once. MediaPipe (468 points) and dlib (its HOG detector alone, as its
file of points cannot be had by pip) run in environments of their own, on one core.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from peers import peer_times
from timing import Row, Times, measured, run

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


def rows(runs: int, threads: int) -> Iterator[Row]:
    torch.set_num_threads(threads)
    image = photo(1)
    with tempfile.TemporaryDirectory() as folder:
        aligner = official(Path(folder))
    box = [np.array([*(value for value in detect(image)[0].box), 1.0])]
    few = min(runs, 3)
    finding = measured(lambda: aligner.face_detector.detect_from_image(image), few)
    looking = measured(lambda: aligner.get_landmarks_from_image(image, detected_faces=box), few)
    both = Times(finding.best + looking.best, finding.median + looking.median)
    words = "" if threads == 1 else f", {threads} threads"
    one_face = None
    for faces in (1, 2):
        image = photo(faces)
        for detector in (make_detector("open"), make_detector("tddfa")):
            found = len(detector(image))
            ours = measured(lambda i=image, d=detector: d(i), runs)
            one_face = one_face or ours
            compared = {"peer": "face-alignment: S3FD, 2DFAN-4", "theirs": both} if faces == 1 else {}
            yield Row(job=f"detector {detector.name!r}, {found} found{words}", here=ours, **compared)
    for peer in ("MediaPipe", "dlib"):
        yield Row(job=f"detector 'open', 1 found{words}", here=one_face, **peer_times(peer, photo(1), few))


if __name__ == "__main__":
    run(__doc__, rows, runs=20, threads=1)
