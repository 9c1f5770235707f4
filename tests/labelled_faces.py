"""Small folders of rendered faces in the layouts of published data sets, for the tests of readers and targets."""

import pickle
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from tddfa.geometry import flip_y, split_pose
from tddfa.morphable import MorphableModel
from vrnlib.synthetic.faces import FaceRenderer, Sample, render_pair

CANVAS = 256


def render(count: int, *, seed: int = 77) -> list[Sample]:
    """Faces in the middle of pictures of 256 x 256 pixels."""
    renderer = FaceRenderer()
    return [render_pair(seed, index, model=renderer, canvas=CANVAS) for index in range(count)]


def save_image(path: Path, sample: Sample) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sample.image).save(path, quality=95)
    return path


def pose_para(matrix: np.ndarray, height: int) -> np.ndarray:
    """The seven numbers of a .mat file for a matrix (3, 4) from the model into image pixels (y down, from 0)."""
    upright = flip_y(matrix, height=height)  # y from the lower edge, as height + 1 - row, rows from 1
    pose = split_pose(upright)
    r = pose.rotation
    angles = np.arctan2(r[1, 2], r[2, 2]), np.arcsin(-r[0, 2]), np.arctan2(r[0, 1], r[0, 0])
    return np.array([*angles, *(pose.translation + [1, 0, 1]), pose.scale])


def save_mat(path: Path, sample: Sample, *, points: str = "pt3d_68") -> Path:
    """A .mat file as in AFLW2000-3D (pt3d_68) or 300W-LP (pt2d), with 199 and 29 coefficients."""
    parameters = sample.parameters.astype(np.float64)
    shape, expression = np.zeros((199, 1)), np.zeros((29, 1))
    shape[:40, 0], expression[:10, 0] = parameters[12:52], parameters[52:]
    columns = 3 if points == "pt3d_68" else 2
    arrays = {
        "Pose_Para": pose_para(parameters[:12].reshape(3, 4), sample.image.shape[0])[None],
        "Shape_Para": shape,
        "Exp_Para": expression,
        points: (sample.landmarks[:, :columns] + np.array([1, 1, 0])[:columns]).T,
    }
    savemat(path, arrays)
    return path


def save_model(path: Path) -> Path:
    """The open face model in the layout of ``bfm_noneck_v3.pkl``, so that .mat files of rendered faces fit it."""
    model = MorphableModel.open()
    content = {key: getattr(model, key) for key in ("u", "w_shp", "w_exp", "keypoints")}
    path.write_bytes(pickle.dumps({**content, "tri": np.ascontiguousarray(model.tri.T)}))
    return path
