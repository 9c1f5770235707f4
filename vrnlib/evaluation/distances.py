"""How far a reconstructed surface is from the true one: the paper's NME, landmarks, Chamfer distance, normals.

Frame: all points in crop pixels, x right, y down, z towards the camera; z is halved slices, as everywhere. What is
divided by the interocular distance d (3D, outer eye corners 36 and 45 of the true face) has no unit.

The paper (Jackson et al., ICCV 2017, section 4) defines NME = (1/N) sum_k |x_k - y_k| / d over the N vertices x_k of
the true face's region. Where both meshes have no common vertices, as here, several things are left to the reader. Each
is an option of `Options`; the first word is what we take the paper to mean, and the default:

- which vertices ("face": the face without ears, neck and the inside of the mouth; "visible": those of them that the
  camera sees; "all": the closed solid with its artificial back);
- which y_k belongs to x_k ("nearest": the predicted vertex that is nearest; "surface": the nearest point of the
  predicted triangles, which does not depend on how fine a mesh is; "index": the same row, for meshes of one model);
- from where to where ("truth": from each true vertex to the prediction; "prediction": from each predicted vertex that
  the camera sees to the truth; "both": the mean of both), for a prediction that covers but half a face looks good
  from its own side;
- the depth, which a crop does not tell: "mean" shifts z until the mean depth of all pairs is equal, "none" compares the
  volumes as they are (their boxes are centred in depth).

With rigid ICP a face may also be turned and shifted freely before it is measured, see `vrnlib.evaluation.registration`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tddfa.arrays import Floats
from tddfa.contract import CROP_SIZE
from tddfa.describe import short_repr
from tddfa.ibug import JAW
from tddfa.raster import rasterize
from vrnlib.evaluation.registration import RigidMotion, align_depth, evenly, icp
from vrnlib.metrics import interocular_distance, surface_distance
from vrnlib.surface import Surface

VERTICES = ("face", "visible", "all")
CORRESPONDENCES = ("nearest", "surface", "index")
DIRECTIONS = ("truth", "prediction", "both")
DEPTHS = ("mean", "none")

CHAMFER_POINTS = 5000
"""From so many points of either surface the way to the other one is measured."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the definition of an error leaves open; the defaults are the paper's, see the module.

    Attributes:
        vertices: one of VERTICES. correspondence: one of CORRESPONDENCES. direction: one of DIRECTIONS.
        depth: one of DEPTHS.

    Raises:
        ValueError: another word.
    """

    vertices: str = "face"
    correspondence: str = "nearest"
    direction: str = "truth"
    depth: str = "mean"

    def __post_init__(self) -> None:
        known = {"vertices": VERTICES, "correspondence": CORRESPONDENCES, "direction": DIRECTIONS, "depth": DEPTHS}
        for name, words in known.items():
            if getattr(self, name) not in words:
                raise ValueError(f"Expected {name} out of {', '.join(words)}, got {getattr(self, name)!r}.")


@dataclass(frozen=True, eq=False, repr=False)
class Shape:
    """A surface that is compared, with what is worked out once.

    Attributes:
        surface: in crop pixels.
        face: (V,) bool, the vertices of the face's region; None where nobody knows them.
        model: name of the face model whose mesh it is; None for other surfaces.
    """

    surface: Surface
    face: NDArray[np.bool_] | None = None
    model: str | None = None

    __repr__ = short_repr

    @cached_property
    def tree(self) -> cKDTree:
        """Of all vertices."""
        return cKDTree(self.surface.vertices)

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        """(V, 3) outward."""
        return self.surface.normals()

    @cached_property
    def visible(self) -> NDArray[np.bool_]:
        """(V,) which vertices the camera sees in the crop: those of the triangles that a z-buffer shows."""
        triangles = self.surface.faces
        shown = rasterize(self.surface.vertices.astype(np.float32), triangles, CROP_SIZE, CROP_SIZE).triangle
        seen = np.zeros(len(self.surface.vertices), bool)
        seen[triangles[shown[shown >= 0]]] = True
        return seen

    def rows(self, vertices: str) -> NDArray[np.bool_]:
        """(V,) the vertices that an option names. Raises ValueError for "face" where it is not known."""
        if vertices == "all":
            used = np.zeros(len(self.surface.vertices), bool)
            used[self.surface.faces] = True
            return used
        if vertices == "visible":
            return self.visible if self.face is None else self.visible & self.face
        if self.face is None:
            raise ValueError("Expected a truth that knows its face's region, got none; choose visible.")
        return self.face


def surface_nme(
    prediction: Shape, truth: Shape, interocular: float, *, options: Options | None = None, rigid: bool = False
) -> float:
    """The paper's error of a surface, see the module.

    Args:
        prediction, truth: in the same frame.
        interocular: `interocular_distance` of the true 3D landmarks, in pixels.
        options: what the definition leaves open.
        rigid: align by ICP first.

    Returns:
        Mean distance / interocular.

    Raises:
        ValueError: no vertices; "index" for meshes of other numbers of vertices; a distance that is not positive.
    """
    options = Options() if options is None else options
    if not interocular > 0:
        raise ValueError(f"Expected a positive interocular distance, got {interocular}; check the landmarks.")
    motion = motion_onto(prediction, truth, options=options, rigid=rigid)
    return float(_distances(prediction, truth, motion, options).mean() / interocular)


def motion_onto(prediction: Shape, truth: Shape, *, options: Options | None = None, rigid: bool = False) -> RigidMotion:
    """How the true surface is moved onto the predicted one before both are compared.

    Moving the truth is the same as moving the prediction the other way, as distances go, and quicker: one search tree
    serves all alignments.
    """
    options = Options() if options is None else options
    points = truth.surface.vertices[truth.rows(options.vertices)]
    if not len(points):
        raise ValueError("Expected vertices to compare, got none; is the face in the crop?")
    motion = RigidMotion(np.eye(3), np.zeros(3))
    if options.depth == "mean":
        motion = align_depth(points, prediction.tree)
    return icp(points, prediction.tree, start=motion) if rigid else motion


def _distances(prediction: Shape, truth: Shape, motion: RigidMotion, options: Options) -> NDArray[np.float64]:
    """(N,) pixels, of all pairs."""
    rows = truth.rows(options.vertices)
    points = motion(truth.surface.vertices[rows])
    if options.correspondence == "index":
        if prediction.model is None or prediction.model != truth.model:
            raise ValueError(
                f"Expected meshes of one model for the correspondence index, got {prediction.model} and {truth.model}; "
                "choose nearest."
            )
        own = prediction.surface.vertices[: len(rows)]  # a finer mesh has its new vertices at the end
        return np.linalg.norm(points - own[rows], axis=1)
    to_triangles = options.correspondence == "surface"
    ways = []
    if options.direction != "prediction":
        ways.append(_ways(points, prediction.surface, prediction.tree, to_triangles))
    if options.direction != "truth":
        own = prediction.surface.vertices[prediction.rows("all" if options.vertices == "all" else "visible")]
        kept = truth.surface.faces[rows[truth.surface.faces].all(axis=1)]
        number = np.cumsum(rows) - 1
        ways.append(_ways(own, Surface(points.astype(np.float32), number[kept]), cKDTree(points), to_triangles))
    return ways[0] if len(ways) == 1 else np.array([way.mean() for way in ways])


def _ways(points: Floats, surface: Surface, tree: cKDTree, to_triangles: bool) -> NDArray[np.float64]:
    """(N,) from points to a surface: to its triangles or its vertices, which the tree holds."""
    if to_triangles:
        return surface_distance(points, surface.vertices, surface.faces)
    return tree.query(points)[0]


def landmark_surface_distance(
    landmarks: Floats, prediction: Shape, interocular: float, *, motion: RigidMotion | None = None, inner: bool = True
) -> float:
    """Mean distance of the true landmarks to the predicted surface, measured to its triangles / interocular.

    Args:
        landmarks: (68, 3), true, in the surface's frame.
        prediction: the surface.
        interocular: pixels.
        motion: moves the landmarks first, see `motion_onto`.
        inner: the 51 points without the jaw, whose points lie on no definite place of a head.
    """
    points = np.asarray(landmarks, np.float64) if motion is None else motion(landmarks)
    points = points[JAW.stop :] if inner else points
    vertices, faces = prediction.surface.vertices, prediction.surface.faces
    _, near = prediction.tree.query(points, k=min(48, len(vertices)))
    around = np.zeros(len(vertices), bool)
    around[near] = True
    faces = faces[around[faces].any(axis=1)]
    return float(surface_distance(points, vertices, faces).mean() / interocular)


def chamfer_distance(
    prediction: Shape, truth: Shape, interocular: float, *, motion: RigidMotion | None = None
) -> float:
    """Mean of the mean distances from what the camera sees of either surface to the other one / interocular.

    (1/2) (mean_x min_y |x - y| + mean_y min_x |x - y|) / d; distances are not squared, x and y are vertices.

    Args:
        prediction, truth: in one frame.
        interocular: pixels.
        motion: moves the truth first, see `motion_onto`.
    """
    motion = RigidMotion(np.eye(3), np.zeros(3)) if motion is None else motion
    moved = motion(evenly(truth.surface.vertices[truth.visible], CHAMFER_POINTS))
    own = evenly(prediction.surface.vertices[prediction.visible], CHAMFER_POINTS)
    there = prediction.tree.query(moved)[0].mean()
    back = truth.tree.query((own - motion.translation) @ motion.rotation)[0].mean()
    return float((there + back) / 2 / interocular)


def normal_error(
    prediction: Shape, truth: Shape, *, options: Options | None = None, motion: RigidMotion | None = None
) -> float:
    """Mean angle between the true normals and those of the nearest predicted vertices, in degrees.

    Args:
        prediction, truth: in one frame.
        options: whose `vertices` are compared.
        motion: moves and turns the truth first, see `motion_onto`.
    """
    options = Options() if options is None else options
    motion = RigidMotion(np.eye(3), np.zeros(3)) if motion is None else motion
    rows = truth.rows(options.vertices)
    _, nearest = prediction.tree.query(motion(truth.surface.vertices[rows]))
    cosines = np.einsum("ij,ij->i", truth.normals[rows] @ motion.rotation.T, prediction.normals[nearest])
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean())


def surface_errors(
    prediction: Shape, truth: Shape, landmarks: Floats, *, options: Options | None = None
) -> dict[str, float]:
    """All errors of one surface.

    Args:
        prediction, truth: in one frame.
        landmarks: (68, 3) true, in that frame.
        options: what the definitions leave open.

    Returns:
        "nme", "nme_icp", "landmarks" and "chamfer" (parts of the interocular distance), "normals" (degrees), the last
        three after the depth's alignment alone.
    """
    options = Options() if options is None else options
    interocular = interocular_distance(landmarks)
    motion = motion_onto(prediction, truth, options=options)
    rigid = icp(truth.surface.vertices[truth.rows(options.vertices)], prediction.tree, start=motion)
    return {
        "nme": float(_distances(prediction, truth, motion, options).mean() / interocular),
        "nme_icp": float(_distances(prediction, truth, rigid, options).mean() / interocular),
        "landmarks": landmark_surface_distance(landmarks, prediction, interocular, motion=motion),
        "chamfer": chamfer_distance(prediction, truth, interocular, motion=motion),
        "normals": normal_error(prediction, truth, options=options, motion=motion),
    }
