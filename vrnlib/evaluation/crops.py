"""``vrn evaluate crops``: how many faces a detector finds by itself, and how well it would crop them.

``vrn evaluate landmarks`` tells a detector where to look; here it gets the whole picture. A true face counts as found
when the middle of a found one lies nearer to its own middle than half its size, and as well cropped when its crop has
the right scale within 10 % and, as the crop's 192 pixels go, the right middle within 6. A found face is false when it
is found twice or is no true one, and none that may or may not be found: tiny, covered, or cut off by the border.

Pictures: ``portraits``, one rendered person each, as large in the picture as AFLW2000-3D's; ``composites``, up to
sixteen rendered people of 32 pixels and more, leaning, covered, among things that look like faces; ``crowds``, 48 of
these side by side, a photo of 7 million pixels; ``aflw2000`` and ``folder`` as in `vrnlib.evaluation.landmarks`. The
rendered people are of a stream that no training saw.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tddfa.boxes import box_around, box_sizes
from vrnlib.crop import CROP_SIZE, FACE_SIZE
from vrnlib.evaluation.landmarks import data_sets, landmark_error
from vrnlib.images import read_photo
from vrnlib.landmarks import Landmarks
from vrnlib.landmarks.alignment import head_tilts
from vrnlib.landmarks.detectors import make_detector
from vrnlib.synthetic.faces import FaceRenderer
from vrnlib.training.composites import Composites, Cutouts
from vrnlib.training.data import TEST_SEED

READ = ("aflw2000", "folder")
DETECTORS = ("open", "tddfa", "fan")

SCALE_WITHIN, MIDDLE_WITHIN = 0.1, 6.0
"""A good crop: part of the scale, and pixels of the 192."""

SMALLEST = 32.0
"""Smaller faces (square root of the area of the landmarks' box, pixels) need not be found."""

PORTRAIT, PORTRAIT_FACES = 450, (110, 210)
"""Side of a portrait and the size of its face, pixels; AFLW2000-3D's pictures have that side, and such faces."""

PEOPLE = 300
"""Different people in composites and crowds."""

CROWD = (6, 8)
"""Rows and columns of composites in the picture of a crowd."""

SIZE_EDGES = (SMALLEST, 64.0, 128.0, 256.0, np.inf)
ANGLE_EDGES = {"yaw": (0.0, 30.0, 60.0, np.inf), "roll": (0.0, 15.0, 30.0, np.inf)}


@dataclass(frozen=True, eq=False)  # arrays have no plain ==
class Truth:
    """One picture: image (H, W, 3) uint8 RGB; the faces' landmarks (F, 68, 2) in its pixels; required (F,) bool,
    whether a face must be found; yaws (F,) degrees without sign, NaN where nobody knows. complete: whether nobody else
    is in the picture."""

    image: np.ndarray
    faces: np.ndarray
    required: np.ndarray
    yaws: np.ndarray
    complete: bool = True


def portraits(count: int) -> Iterator[Truth]:
    """Rendered people, one to a picture."""
    renderer = FaceRenderer()
    for index in range(count):
        face = np.random.default_rng([TEST_SEED, index]).uniform(*PORTRAIT_FACES)
        crop = 2 * round(face / FACE_SIZE * CROP_SIZE / 2)
        sample = renderer.sample(TEST_SEED, index, size=crop, canvas=PORTRAIT, augment_damage=True)
        yield Truth(sample.image, sample.landmarks[None, :, :2], np.ones(1, bool), np.abs(sample.pose[:1]))


def composites(count: int, *, people: int = PEOPLE) -> Iterator[Truth]:
    """Pictures of ``people`` rendered people, up to sixteen to a picture."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Composites(Cutouts(folder, seed=TEST_SEED, count=min(people, count)), seed=TEST_SEED)
        for index in range(count):
            image, faces, known = pictures.compose(np.random.default_rng([TEST_SEED, index]), index)
            sizes = box_sizes(box_around(faces))
            yield Truth(image, faces[..., :2], (known == 1) & (sizes >= SMALLEST), np.full(len(faces), np.nan))


def crowds(count: int, *, people: int = PEOPLE) -> Iterator[Truth]:
    """Large pictures put together from `composites`, all of them other ones."""
    rows, columns = CROWD
    parts = composites(count * rows * columns, people=people)
    for _ in range(count):
        tiles = list(islice(parts, rows * columns))
        height, width = tiles[0].image.shape[:2]
        corners = [(width * column, height * row) for row in range(rows) for column in range(columns)]
        image = np.concatenate(
            [
                np.concatenate([tile.image for tile in tiles[row * columns : (row + 1) * columns]], 1)
                for row in range(rows)
            ]
        )
        faces = np.concatenate([tile.faces + corner for tile, corner in zip(tiles, corners, strict=True)])
        required = np.concatenate([tile.required for tile in tiles])
        yield Truth(image, faces, required, np.full(len(faces), np.nan))


RENDERED = {"portraits": portraits, "composites": composites, "crowds": crowds}


def labelled(dataset: str, root: Path) -> Iterator[Truth]:
    """Photos with one labelled face each; whoever else is in them may or may not be found."""
    for faces in data_sets(dataset, root, photos=True).values():
        for face in faces:
            points, yaw = face.truth_in_image[None], np.nan if face.yaw is None else abs(face.yaw)
            yield Truth(read_photo(face.path), points, np.ones(1, bool), np.array([yaw]), complete=False)


def evaluate_crops(
    pictures: Iterator[Truth],
    find: Callable[[np.ndarray], Sequence[Landmarks]],
    *,
    count: int | None = None,
    progress: bool = True,
) -> dict:
    """What ``find``, from an image to its faces, makes of the pictures; ``count`` of them are expected.

    Gives the numbers of pictures and faces; of the faces the parts found and well cropped; of the found ones the part
    well cropped and the landmarks' errors / sqrt(w h), in per cent; false faces a picture, where all are known; and all
    but the last by the faces' size (pixels), yaw and roll (degrees). Raises ValueError when there is no face.
    """
    rows, false, seen, complete = [], 0, 0, True
    for truth in tqdm(pictures, total=count, unit="picture", disable=not progress):
        seen, complete = seen + 1, complete and truth.complete
        found = list(find(truth.image))
        taken = [nearest(face.points, truth.faces) for face in found]
        false += len(taken) - len(set(taken) - {None})
        sizes, tilts = box_sizes(box_around(truth.faces)), np.abs(head_tilts(truth.faces))
        for row in np.flatnonzero(truth.required):
            candidates = [face for face, of in zip(found, taken, strict=True) if of == row]
            best = min((judge(face.points, truth.faces[row]) for face in candidates), default=(np.nan, np.nan, np.nan))
            rows.append([sizes[row], truth.yaws[row], tilts[row], *best])
    if not rows:
        raise ValueError(f"Expected a face in {seen} pictures, got none; take other pictures.")
    size, yaw, roll, error, scale, away = np.array(rows, np.float64).T
    hit = ~np.isnan(error)
    good = (np.abs(scale - 1) <= SCALE_WITHIN) & (away <= MIDDLE_WITHIN)

    def part(values: np.ndarray, edges: Sequence[float]) -> dict:
        bins = {}
        for low, high in zip(edges, edges[1:], strict=False):
            inside = (values >= low) & (values < high)
            if inside.any():
                name = f"{low:g}-{high:g}" if np.isfinite(high) else f"{low:g} and more"
                bins[name] = {
                    "faces": int(inside.sum()),
                    "found": float(hit[inside].mean()),
                    "cropped": float(good[inside].mean()),
                    "error_percent": float(100 * error[inside & hit].mean()) if (inside & hit).any() else None,
                }
        return bins

    return {
        "pictures": seen,
        "faces": len(rows),
        "found": float(hit.mean()),
        "cropped": float(good.mean()),
        "cropped_of_found": float(good[hit].mean()) if hit.any() else None,
        "error_percent": {"mean": float(100 * error[hit].mean()), "median": float(100 * np.median(error[hit]))}
        if hit.any()
        else None,
        "false_per_picture": false / seen if complete else None,
        "size": part(size, SIZE_EDGES),
        "yaw": part(yaw, ANGLE_EDGES["yaw"]),
        "roll": part(roll, ANGLE_EDGES["roll"]),
    }


def nearest(points: np.ndarray, faces: np.ndarray) -> int | None:
    """The row of the face (F, 68, 2) whose middle is nearest to that of the points, when it is near enough."""
    if not len(faces):
        return None
    boxes = box_around(faces)
    away = np.linalg.norm(middles(boxes) - middles(box_around(points[None])), axis=1)
    row = int(np.argmin(away))
    return row if away[row] < box_sizes(boxes)[row] / 2 else None


def judge(points: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Error of the points / size of the true face; the crop's scale / the right one; pixels from the right middle."""
    box, true_box = box_around(points[None]), box_around(truth[None])
    size = box_sizes(true_box)[0]
    away = np.linalg.norm(middles(box) - middles(true_box)) * FACE_SIZE / size
    return landmark_error(points[:, :2], truth), float(size / max(box_sizes(box)[0], 1e-9)), float(away)


def middles(boxes: np.ndarray) -> np.ndarray:
    """The middles (N, 2) of boxes (N, 4)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        choices=(*RENDERED, *READ),
        default="portraits",
        help="rendered on the spot: portraits, composites, crowds; from --root: aflw2000, folder",
    )
    parser.add_argument("--count", type=int, default=400, help="rendered pictures")
    parser.add_argument("--root", type=Path, metavar="DIR", help="where the data set lies")
    parser.add_argument("--detector", choices=DETECTORS, default="open")
    parser.add_argument("--fan", metavar="FILE", help="open: other weights of the FAN")


def run(args: argparse.Namespace) -> int:
    if (args.dataset in READ) != (args.root is not None):
        raise ValueError(f"Expected --root with --dataset {' or '.join(READ)}, and only there; give or leave it out.")
    if args.root is not None and not args.root.is_dir():
        raise NotADirectoryError(f"Expected the data set's folder, {args.root} is none; check the path.")
    if args.count < 1:
        raise ValueError(f"Expected a --count of at least 1, got {args.count}.")
    detector = make_detector(args.detector, fan=args.fan)
    if args.root is not None:
        pictures, count = labelled(args.dataset, args.root), None
    else:
        pictures, count = RENDERED[args.dataset](args.count), args.count
    report = evaluate_crops(pictures, detector, count=count)
    print(json.dumps({"dataset": args.dataset, "detector": args.detector, "fan": args.fan} | report, indent=2))
    return 0
