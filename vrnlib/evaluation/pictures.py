"""Pictures whose faces are known: read from data sets, or rendered on the spot.

``portraits`` show one rendered person each, as large in the picture as AFLW2000-3D's; ``composites`` up to sixteen
rendered people, leaning, covered, among things that look like faces; ``crowds`` are 48 of these side by side, photos of
7 million pixels. The rendered people are of a stream that no training saw.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tddfa.arrays import Floats
from tddfa.boxes import box_around, box_sizes
from tddfa.datasets import CROP_LIST, LabelledFace, aflw2000_crops, aflw2000_images, find_label, read_mat_points
from tddfa.describe import short_repr
from vrnlib.crop import CROP_SIZE, FACE_SIZE
from vrnlib.images import list_photos, read_photo
from vrnlib.landmarks import LandmarkError
from vrnlib.landmarks.files import POINT_SUFFIXES, read_points
from vrnlib.synthetic.faces import FaceRenderer
from vrnlib.training.composites import Composites
from vrnlib.training.cutouts import Cutouts
from vrnlib.training.data import TEST_SEED

DATA_SETS = ("aflw2000", "folder")
"""What `data_sets` reads."""

SMALLEST = 32.0
"""Smaller faces (square root of the area of the landmarks' box, pixels) need not be found."""

PORTRAIT, PORTRAIT_FACES = 450, (110, 210)
"""Side of a portrait and the size of its face, pixels; AFLW2000-3D's pictures have that side, and such faces."""

PEOPLE = 300
"""Different people in composites and crowds."""

CROWD = (6, 8)
"""Rows and columns of composites in the picture of a crowd."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)  # arrays have no plain ==
class LabelledPicture:
    """One picture and the faces in it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        faces: (F, 68, 2) landmarks in its pixels.
        required: (F,), whether a face must be found; others (tiny, covered, cut off) may or may not be.
        yaws: (F,) degrees without sign, NaN where nobody knows.
        complete: whether nobody else is in the picture.
    """

    image: NDArray[np.uint8]
    faces: Floats
    required: NDArray[np.bool_]
    yaws: Floats
    complete: bool = True

    __repr__ = short_repr


def portraits(count: int) -> Iterator[LabelledPicture]:
    """Rendered people, one to a picture of 450 x 450 pixels."""
    renderer = FaceRenderer()
    for index in range(count):
        face = np.random.default_rng([TEST_SEED, index]).uniform(*PORTRAIT_FACES)
        crop = 2 * round(face / FACE_SIZE * CROP_SIZE / 2)
        sample = renderer.sample(TEST_SEED, index, size=crop, canvas=PORTRAIT, augment_damage=True)
        yield LabelledPicture(
            image=sample.image,
            faces=sample.landmarks[None, :, :2],
            required=np.ones(1, bool),
            yaws=np.abs(sample.pose[:1]),
        )


def composites(count: int, *, people: int = PEOPLE) -> Iterator[LabelledPicture]:
    """Pictures of ``people`` rendered people, up to sixteen to a picture of 384 x 384 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Composites(Cutouts(folder, seed=TEST_SEED, count=min(people, count)), seed=TEST_SEED)
        for index in range(count):
            image, faces, known = pictures.compose(np.random.default_rng([TEST_SEED, index]), index)
            sizes = box_sizes(box_around(faces))
            yield LabelledPicture(
                image=image,
                faces=faces[..., :2],
                required=(known == 1) & (sizes >= SMALLEST),
                yaws=np.full(len(faces), np.nan),
            )


def crowds(count: int, *, people: int = PEOPLE) -> Iterator[LabelledPicture]:
    """Large pictures put together from `composites`, all of them other ones."""
    rows, columns = CROWD
    small = composites(count * rows * columns, people=people)
    for _ in range(count):
        tiles = list(islice(small, rows * columns))
        height, width = tiles[0].image.shape[:2]
        corners = [(width * column, height * row) for row in range(rows) for column in range(columns)]
        lines = [tiles[row * columns : (row + 1) * columns] for row in range(rows)]
        faces = np.concatenate([tile.faces + corner for tile, corner in zip(tiles, corners, strict=True)])
        yield LabelledPicture(
            image=np.concatenate([np.concatenate([tile.image for tile in line], axis=1) for line in lines]),
            faces=faces,
            required=np.concatenate([tile.required for tile in tiles]),
            yaws=np.full(len(faces), np.nan),
        )


RENDERED = {"portraits": portraits, "composites": composites, "crowds": crowds}
"""What is rendered, by name: how many pictures → the pictures."""


def labelled_pictures(dataset: str, root: Path) -> Iterator[LabelledPicture]:
    """Photos of a data set with one labelled face each; whoever else is in them may or may not be found.

    Args:
        dataset: one of DATA_SETS. root: where it lies.

    Raises:
        ValueError: there are no photos, or labels hold something else.
    """
    for faces in data_sets(dataset, root, photos=True).values():
        for face in faces:
            yaw = np.nan if face.yaw is None else abs(face.yaw)
            yield LabelledPicture(
                image=read_photo(face.path),
                faces=face.truth_in_image[None],
                required=np.ones(1, bool),
                yaws=np.array([yaw]),
                complete=False,
            )


def data_sets(dataset: str, root: Path, *, photos: bool = False) -> dict[str, list[LabelledFace]]:
    """The faces of a data set by the name of their labels: "photos", "crops" or "folder".

    Args:
        dataset: "aflw2000" as it is downloaded or as 3DDFA ships it; "folder" as for `labelled_folder`.
        root: where it lies.
        photos: photos and .mat files even where 3DDFA's crops are there.

    Raises:
        ValueError: there are none, or labels hold something else.
    """
    if dataset == "folder":
        return {"folder": labelled_folder(root)}
    if photos or not any((folder / CROP_LIST).is_file() for folder in (root, root / "test.data")):
        return {"photos": aflw2000_images(root)}
    return {"crops": aflw2000_crops(root)}


def labelled_folder(root: Path) -> list[LabelledFace]:
    """The photos under a folder with 68 points beside them, as `find_points` looks for them.

    Raises:
        LandmarkError: there are none, or a file of points holds something else.
    """
    faces = []
    for path in list_photos(root, recursive=True)[0]:
        label = find_label(path, path.parent, POINT_SUFFIXES)
        if label is None:
            continue
        points = read_points(label)
        if points.ndim != 2:
            raise LandmarkError(f"Expected 68 points in {label}, got those of several faces; leave the photo's own.")
        yaw = read_mat_points(label)[1] if label.suffix.lower() == ".mat" else None
        faces.append(LabelledFace(path, points[:, :2].astype(np.float64), yaw))
    if not faces:
        raise LandmarkError(f"Expected photos with .pts, .npy or .mat files beside them in {root}, got none.")
    return faces
