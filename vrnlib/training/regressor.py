"""Training of the open 3DMM regressor: one picture of a face becomes the 62 numbers of 3DDFA_V2.

The data are rendered faces, so the true mesh is known at every vertex and no photograph was ever fitted. The loss is
the distance of vertices in the network's 120-pixel frame (3DDFA_V2, Guo et al. 2020, calls it VDC), with a mild prior
on the coefficients and on the pose's left part being a scaled rotation.

The frame is that of `tddfa.geometry.image_from_roi`: y up, and its shifts by one pixel. So a network trained here fits
into `tddfa.TDDFA` like the official one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from tddfa.arrays import Floats
from tddfa.backbones import MobileNetV1
from tddfa.boxes import Roi, roi_from_box, roi_from_landmarks
from tddfa.checkpoints import fill, read_checkpoint
from tddfa.contract import CROP_MIDDLE, NETWORK_SIZE
from tddfa.geometry import fit_pose
from tddfa.ibug import MIRRORED
from tddfa.morphable import MorphableModel
from vrnlib.crop import transform_points
from vrnlib.landmarks.ibug import face_box
from vrnlib.synthetic.damage import degrade
from vrnlib.training.augment import Augmentation, hide, similarity_matrix
from vrnlib.training.batches import bfloat16, bgr_input, landmark_error_percents
from vrnlib.training.data import RenderedFaces
from vrnlib.training.loop import Task
from vrnlib.weight_files import half_tensors, save_tensors

MOUTH_INSIDE = 3
"""The open model's region label of what no picture shows."""


def training_vertices(model: MorphableModel, *, step: int = 26) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The vertices that the loss looks at, and where each goes in a mirrored face.

    Args:
        model: the open one, whose vertices have regions.
        step: one visible vertex of a half in so many is taken.

    Returns:
        rows (K,) and mirrored (K,): the 68 landmarks first, then vertices of the right half, then their partners on
        the left. ``rows[mirrored]`` are the partners of ``rows``.
    """
    from scipy.spatial import cKDTree

    mean = model.mean
    partner = cKDTree(mean).query(mean * [-1, 1, 1])[1]
    rows = model.landmark_vertices.astype(np.int64)
    right = np.flatnonzero((mean[:, 0] > 1) & (model.region != MOUTH_INSIDE))[::step]
    count = len(right)
    mirrored = np.concatenate([MIRRORED, 68 + count + np.arange(count), 68 + np.arange(count)])
    return np.concatenate([rows, right, partner[right]]), mirrored


def roi_from_image(points: Floats, roi: Roi, *, size: int = NETWORK_SIZE) -> NDArray[np.float64]:
    """Points (N, 3) in image pixels (y down) in the network's frame (y up): the inverse of `image_from_roi`."""
    left, top, right, bottom = roi
    scale = np.array([(right - left) / size, (bottom - top) / size, (right - left + bottom - top) / 2 / size])
    moved = (np.asarray(points, np.float64) - [left, top, 0.0]) / scale
    return moved * [1.0, -1.0, 1.0] + [1.0, size, 1.0]


def roi_matrix(roi: Roi, *, size: int = NETWORK_SIZE) -> NDArray[np.float64]:
    """The (2, 3) map from image pixels to pixels of the resized roi, as cutting it out and cv2.resize do."""
    left, top, right, bottom = roi
    x, y = size / (right - left), size / (bottom - top)
    return np.array([[x, 0.0, (0.5 - left) * x - 0.5], [0.0, y, (0.5 - top) * y - 0.5]])


class VertexPairs(Dataset[tuple[Tensor, Tensor]]):
    """Faces and their vertices for the regressor; each follows from (seed, epoch, index).

    An item is (image (3, size, size) uint8 RGB, vertices (K, 3) float32 in the network's frame of 120 pixels).

    The roi is the one that a detector's box gives, or the landmarks of an earlier pass, wrong by as much as those are.
    The picture is turned, mirrored, recoloured and damaged: what is a small face in a photo is blurred here.

    Args:
        faces: the renders.
        seed: of the changes.
        size: smaller pictures (80) with the same targets are a quick start of a training.
        augment: False gives the roi of the true box, unchanged, for validation.
    """

    def __init__(self, faces: RenderedFaces, *, seed: int, size: int = NETWORK_SIZE, augment: bool = True) -> None:
        self.faces, self.seed, self.size, self.augment = faces, seed, size, augment
        self.rows, self.mirrored = training_vertices(faces.model)

    def __len__(self) -> int:
        return self.faces.count

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor]:
        index, epoch = key if isinstance(key, tuple) else (key, 0)
        rng = np.random.default_rng([self.seed, epoch, index])
        matrix, roi, target = self.view(index, rng)
        drawn = self.size if self.size == NETWORK_SIZE else 2 * self.size  # reduced pictures must not alias
        image = self.faces.crop(index, roi_matrix(roi, size=drawn) @ np.vstack([matrix, [0, 0, 1]]), size=drawn)
        if drawn != self.size:
            image = cv2.resize(image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        if self.augment:
            image = hide(degrade(Augmentation(color=(0.85, 1.15)).recolor(image, rng), rng), rng)
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(target.astype(np.float32))

    def view(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], Roi, NDArray[np.float64]]:
        """How face ``index`` is seen: (matrix (2, 3) from crop pixels to the photo's, roi, target (K, 3))."""
        points = self.faces.mesh(index)[self.rows].astype(np.float64)
        matrix, mirror = np.eye(2, 3), False
        if self.augment:
            angle, mirror = np.clip(rng.normal(0, 16), -45, 45), rng.random() < 0.5
            middle = np.full(2, CROP_MIDDLE)
            matrix = similarity_matrix(angle, mirrored=mirror, source=middle, target=middle)
        points = transform_points(points, matrix).astype(np.float64)
        if mirror:
            points = points[self.mirrored]
        roi = random_roi(points[:68], rng) if self.augment else roi_from_box(face_box(points[:68]))
        return matrix, roi, roi_from_image(points, roi)


def random_roi(landmarks: Floats, rng: np.random.Generator) -> Roi:
    """A roi as wrong as a detector or a tracker makes it: size and place, seldom much."""
    tracked = rng.random() < 0.3
    loose = 0.5 if tracked else 2.0 if rng.random() < 0.1 else 1.0
    left, top, right, bottom = roi_from_landmarks(landmarks) if tracked else roi_from_box(face_box(landmarks))
    side = right - left
    middle = np.array([left + right, top + bottom]) / 2 + rng.uniform(-0.08, 0.08, 2) * loose * side / 1.58
    half = side / 2 * np.exp(rng.uniform(-0.1, 0.1) * loose)
    return middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half


class VertexDecoder:
    """From the network's whitened output to vertices, with the statistics that whiten it.

    Args:
        model: the face model.
        rows: (K,) its vertices that are wanted, the 68 landmarks first; see `training_vertices`.
        mean, std: (62,); parameters = output * std + mean.
    """

    def __init__(
        self,
        model: MorphableModel,
        rows: NDArray[np.int64],
        mean: Floats | Tensor,
        std: Floats | Tensor,
    ) -> None:
        coordinates = (3 * rows[:, None] + np.arange(3)).ravel()
        self.neutral = torch.from_numpy(model.u[coordinates, 0])
        basis = np.concatenate([model.w_shp[coordinates], model.w_exp[coordinates]], axis=1)
        self.basis = torch.from_numpy(np.ascontiguousarray(basis))
        self.mean = torch.as_tensor(mean, dtype=torch.float32)
        self.std = torch.as_tensor(std, dtype=torch.float32)

    def __call__(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Vertices (B, K, 3) in the network's frame and parameters (B, 62) of the whitened output (B, 62)."""
        neutral, basis, mean, std = (
            tensor.to(output.device) for tensor in (self.neutral, self.basis, self.mean, self.std)
        )
        parameters = output * std + mean
        face = (neutral + parameters[:, 12:] @ basis.T).view(len(output), -1, 3)
        matrix = parameters[:, :12].view(-1, 3, 4)
        return face @ matrix[:, :, :3].transpose(1, 2) + matrix[:, None, :, 3], parameters

    def loss(self, network: nn.Module, batch: list[Tensor]) -> Tensor:
        """Mean distance of the landmarks and of the other vertices, in pixels times 0.05, plus mild priors.

        Args:
            network: images (B, 3, H, W) as `network_input` gives them → whitened parameters (B, 62).
            batch: of `VertexPairs`: images (B, 3, S, S) and vertices (B, K, 3).
        """
        image, target = batch
        output = network(network_input(image)).float()
        with bfloat16(output.device, enabled=False):  # pixels need more digits than bfloat16 has
            vertices, parameters = self(output)
            distance = ((vertices - target).square().sum(2) + 1e-4).sqrt()
            left = parameters[:, :12].view(-1, 3, 4)[:, :, :3]
            gram = left @ left.transpose(1, 2)
            size = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].clamp(min=1e-6)
            skew = (gram / size - torch.eye(3, device=gram.device)).square().sum((1, 2)).mean()
            coefficients = output[:, 12:].square().mean()
            return 0.05 * (distance[:, :68].mean() + distance[:, 68:].mean()) + 0.02 * skew + 0.002 * coefficients

    def error(self, network: nn.Module, batch: list[Tensor]) -> Tensor:
        """Error of the 68 landmarks in per cent, per face of a batch of `VertexPairs`: (B,)."""
        image, target = batch
        vertices, _ = self(network(network_input(image)))
        return landmark_error_percents(vertices[:, :68], target[:, :68])


def network_input(image: Tensor) -> Tensor:
    """uint8 RGB (B, 3, H, W) → what 3DDFA_V2's regressors read: BGR, (value - 127.5) / 128."""
    return bgr_input(image, mean=127.5, scale=128.0)


def parameter_statistics(pairs: VertexPairs, *, count: int = 1000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (62,) and standard deviation (62,) of the parameters that the pairs ask for.

    Poses are fitted to the first ``count`` faces with the mean shape; shape coefficients are standard normal;
    expressions come from the model's bank.
    """
    model, poses = pairs.faces.model, []
    for index in range(min(count, len(pairs))):
        _, _, target = pairs.view(index, np.random.default_rng([pairs.seed, 0, index]))
        poses.append(fit_pose(model.mean[pairs.rows], target, y_down=False).ravel())
    shapes, bank = model.w_shp.shape[1], model.expression_bank
    mean = np.concatenate([np.mean(poses, 0), np.zeros(shapes), bank.mean(0)])
    return mean, np.concatenate([np.std(poses, 0), np.ones(shapes), bank.std(0)])


def regressor_task(
    train: VertexPairs, held_out: VertexPairs, *, init: str | Path | None = None, notes: dict[str, Any] | None = None
) -> Task[nn.Module]:
    """A MobileNetV1 of half width with its loss; what it saves is a weights file of `tddfa.TDDFA`.

    Args:
        train, held_out: faces to train with, and others to judge it.
        init: a file that this task saved, to start from; else random weights.
        notes: for the header of the weights.

    Raises:
        ValueError: ``init`` holds something else.
    """
    model = train.faces.model
    network: nn.Module
    if init is None:
        network = MobileNetV1(width=0.5)
        decoder = VertexDecoder(model, train.rows, *parameter_statistics(train))
    else:
        network, mean, std = load_regressor(init)
        decoder = VertexDecoder(model, train.rows, mean, std)
    return Task(
        network=network,
        train=train,
        held_out=held_out,
        loss=decoder.loss,
        score=decoder.error,
        score_name="held_out_error_percent",
        notes=notes or {},
        save=lambda path, net, notes: save_regressor(path, net, decoder, notes=notes),
    )


def load_regressor(path: str | Path) -> tuple[nn.Module, Tensor, Tensor]:
    """Network, mean (62,) and standard deviation (62,) of the parameters from a file that `save_regressor` wrote.

    Raises:
        ValueError: the file holds something else.
    """
    tensors = read_checkpoint(path)
    try:
        mean, std = tensors.pop("parameter_mean"), tensors.pop("parameter_std")
    except KeyError as error:
        raise ValueError(f"Expected a regressor of `vrn train tddfa`, {path} has no {error}; name another.") from error
    return fill(MobileNetV1(width=0.5), tensors, Path(path).name), mean, std


def save_regressor(path: str | Path, network: nn.Module, decoder: VertexDecoder, *, notes: dict[str, Any]) -> None:
    """Write the network (float16), its statistics (float32) and notes as `tddfa.TDDFA` reads them, whole or not."""
    header = {"architecture": "mobilenet", "width": 0.5, "size": NETWORK_SIZE, "notes": notes}
    tensors = half_tensors(network) | {"parameter_mean": decoder.mean, "parameter_std": decoder.std}
    save_tensors(path, tensors, "tddfa", header)
