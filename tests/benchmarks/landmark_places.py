"""Where 300W-LP's convention sees the open face's 68 landmarks: 3DDFA_V2's own mb05 on renders of many poses.

    VRN_ASSETS=DIR python tests/benchmarks/landmark_places.py [--count 400] [--expressions] [--model FILE]

For each landmark of the viewer's left half and the midline: how far from its vertex mb05 sees it, in mm of the head's
frame (x to the viewer's right, y up, z out of the face). That is the shift that explains best, over all poses, where
mb05 finds the point and its mirror image in the picture. The part of it along the surface is what moving a landmark can
follow; the part across says that the official mean face is another one. The error before and after the shifts says how
much of what mb05 and the renders disagree about is constant. The last column is where the official mean face has the
point, once its 68 points were laid over the open one's: what of a shift is not a matter of places, but of mb05's faces.

Needs the official weights and face model. Nothing here is a photograph.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from tddfa import TDDFA
from tddfa.geometry import fit_similarity
from tddfa.ibug import CLOSED_LINES, MIRRORED, OPEN_LINES
from tddfa.mesh import summed_normals
from tddfa.morphable import MorphableModel
from vrnlib.landmarks.ibug import face_box
from vrnlib.synthetic.faces import FaceRenderer

Array = NDArray[np.float64]
SEED = 978
CLEAR = 1.5
"""Pixels; a larger error counts linearly instead of squared (Huber)."""


class NeutralFaces(FaceRenderer):
    """Faces without expression: mb05 opens mouths too little, which is no matter of convention."""

    def expression(self, rng: np.random.Generator) -> NDArray[np.float32]:
        return np.zeros_like(super().expression(rng))


def seen(regressor: TDDFA, faces: FaceRenderer, count: int) -> tuple[Array, Array, Array]:
    """Errors (F, 68, 2) in canvas pixels, axes (F, 2, 3) pixels per mm of the head's frame, sizes (F,) of the boxes."""
    errors, axes, sizes = [], [], []
    for index in range(count):
        sample = faces.sample(SEED, index, size=192, canvas=320, augment_damage=False)
        first = regressor.reconstruct(*regressor(sample.image, face_box(sample.landmarks)[None]), dense=False)
        found = regressor.reconstruct(*regressor(sample.image, list(first), crop_policy="landmark"), dense=False)[0]
        errors.append(found[:, :2] - sample.landmarks[:, :2])
        axes.append(sample.parameters[:12].reshape(3, 4)[:2, :3])
        sizes.append(np.sqrt(np.prod(np.ptp(sample.landmarks[:, :2], axis=0))))
    return np.array(errors, float), np.array(axes, float), np.array(sizes, float)


def shifts(errors: Array, axes: Array) -> Array:
    """(68, 3) mm: for each landmark the shift, mirrored for its mirror image, that explains both's errors best."""
    mirror, found = np.diag([-1.0, 1.0, 1.0]), np.zeros((68, 3))
    for point, twin in enumerate(MIRRORED):
        rows = np.concatenate([axes, axes @ mirror]).reshape(-1, 3)
        wanted = np.concatenate([errors[:, point], errors[:, twin]]).reshape(-1)
        weight = np.ones_like(wanted)
        for _ in range(8):
            found[point] = np.linalg.lstsq(rows * weight[:, None], wanted * weight, rcond=None)[0]
            left = np.abs(rows @ found[point] - wanted)
            weight = np.sqrt(np.minimum(1.0, CLEAR / np.maximum(left, 1e-9)))
    return found


def percents(errors: Array, sizes: Array) -> Array:
    """(F,) each face's mean error in the picture, in per cent of its box."""
    return np.asarray(100 * np.linalg.norm(errors, axis=2).mean(axis=1) / sizes, np.float64)


def along_surface(shift: Array, model: MorphableModel) -> Array:
    """The parts (68, 3) of shifts that lie in the mean face's surface."""
    normals = model.landmarks(summed_normals(model.mean, model.tri))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(shift - (shift * normals).sum(axis=1, keepdims=True) * normals, np.float64)


def between_means(official: MorphableModel, model: MorphableModel) -> Array:
    """(68, 3) mm from the open mean face's landmarks to the official one's, by the similarity that fits them best."""
    theirs, ours = mean_landmarks(official), mean_landmarks(model)
    scale, rotation, translation = fit_similarity(theirs, ours)
    return np.asarray(scale * theirs @ rotation.T + translation - ours, np.float64)


def mean_landmarks(model: MorphableModel) -> Array:
    """(68, 3), symmetric, in the model's unit."""
    points = model.landmarks(model.mean).astype(np.float64)
    return np.asarray((points + points[MIRRORED] * [-1, 1, 1]) / 2, np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--expressions", action="store_true", help="faces of all expressions instead of neutral ones")
    parser.add_argument("--model", help="the official face model's file; default: the one in $VRN_ASSETS")
    options = parser.parse_args()
    official = None if options.model is None else MorphableModel.load(options.model)
    faces = FaceRenderer() if options.expressions else NeutralFaces()
    regressor = TDDFA("mb05", model=official)
    errors, axes, sizes = seen(regressor, faces, options.count)
    percent = percents(errors, sizes)
    usual = percent < np.percentile(percent, 85)  # the others were not understood by mb05
    shift = shifts(errors[usual], axes[usual])
    even = np.arange(usual.sum()) % 2 == 0
    halves = shifts(errors[usual][even], axes[usual][even]) - shifts(errors[usual][~even], axes[usual][~even])
    left = errors[usual] - np.einsum("fij,pj->fpi", axes[usual], shift)
    after = percents(left, sizes[usual])
    best, apart = percent[usual].mean(), np.abs(halves).mean()
    print(f"{options.count} faces; of the {usual.sum()} that mb05 understands best {best:.2f} % of the box,")
    print(f"{after.mean():.2f} % after the shifts; halves of the faces differ by {apart:.1f} mm a coordinate")
    print("\n| point | shift (x, y, z), mm | along the surface | length | official mean face |\n|---|---|---|---|---|")
    along, means = along_surface(shift, faces.model), between_means(regressor.model, faces.model)
    points = np.concatenate([np.arange(68)[line] for line in (*OPEN_LINES, *CLOSED_LINES)])
    for point in points[points <= MIRRORED[points]]:
        first, second, last = ("  ".join(f"{n:+.1f}" for n in row[point]) for row in (shift, along, means))
        print(f"| {point} | {first} | {second} | {np.linalg.norm(along[point]):.1f} | {last} |")
    alike = np.corrcoef(shift.ravel(), means.ravel())[0, 1]
    print(f"\nshifts and the difference of the mean faces: correlation {alike:.2f}")


if __name__ == "__main__":
    main()
