"""TDDFA: shapes, both runtimes, boxes and parameters that cannot be used. Official numbers: test_parity.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
import skimage.data
import torch
from safetensors.torch import save_file

from tddfa import TDDFA, AssetError, MorphableModel, regressor
from tddfa.backbones import MobileNetV1
from tddfa.geometry import image_from_roi, project, rotation_matrix
from tddfa.regressor import OPEN_WEIGHTS, weights_path

BOX = np.array([[170, 70, 280, 200]], np.float32)


def written(folder, parameters: int = 62, **scaling: np.ndarray):
    """A file of a narrow MobileNet with random weights and a scaling like the open model's."""
    torch.manual_seed(0)
    mean = np.zeros(parameters, np.float32)
    mean[:12] = np.float32([0.5, 0, 0, 60, 0, 0.5, 0, 60, 0, 0, 0.5, 0])
    tensors = {"parameter_mean": mean, "parameter_std": np.full(parameters, 0.01, np.float32), **scaling}
    tensors = {key: torch.from_numpy(value) for key, value in tensors.items()}
    tensors.update(MobileNetV1(width=0.25, parameters=parameters).state_dict())
    path = folder / "narrow.safetensors"
    save_file(tensors, path, {"tddfa": json.dumps({"architecture": "mobilenet", "width": 0.25, "size": 120})})
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return written(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def tddfa(weights):
    return TDDFA(weights, threads=1)


@pytest.fixture(scope="module")
def photo():
    return skimage.data.astronaut()


def test_shapes_and_types(tddfa, photo):
    params, rois = tddfa(photo, np.concatenate([BOX, BOX + 20]))
    assert params.shape == (2, 62) and params.dtype == np.float32 and rois.shape == (2, 4) and rois.dtype == np.float64
    count = tddfa.model.vertex_count
    dense, sparse = tddfa.reconstruct(params, rois), tddfa.reconstruct(params, rois, dense=False)
    assert dense.shape == (2, count, 3) and sparse.shape == (2, 68, 3) and dense.dtype == sparse.dtype == np.float32
    np.testing.assert_allclose(dense[:, tddfa.model.landmark_vertices], sparse, atol=1e-3)
    assert tddfa.pose(params).shape == (2, 3)
    assert tddfa.size == 120 and tddfa.model.name == "open"
    single, _ = tddfa(photo, np.append(BOX, [[0.99]], axis=1))
    np.testing.assert_allclose(single, params[:1], atol=1e-5)


def test_reconstruct_is_the_formula_step_by_step(tddfa):
    rng = np.random.default_rng(0)
    matrix = np.column_stack([0.4 * rotation_matrix(20, -10, 5), [60, 62, 3]])
    shape, expression = rng.standard_normal(40), rng.standard_normal(10)
    row, roi = np.concatenate([matrix.ravel(), shape, expression]), np.array([30.5, 12, 250.5, 232])
    face = image_from_roi(project(matrix, tddfa.model.reconstruct(shape, expression)), roi)
    np.testing.assert_allclose(tddfa.reconstruct(row[None], roi[None])[0], face, atol=1e-3)


def test_no_boxes_give_empty_arrays(tddfa, photo):
    for nothing in (np.zeros((0, 5), np.float32), np.zeros((0, 4)), []):
        params, rois = tddfa(photo, nothing)
        assert params.shape == (0, 62) and rois.shape == (0, 4)
    assert tddfa(photo, [], crop_policy="landmark")[0].shape == (0, 62)
    assert tddfa.reconstruct(params, rois).shape == (0, tddfa.model.vertex_count, 3)
    assert tddfa.reconstruct(params, rois, dense=False).shape == (0, 68, 3)
    assert tddfa.pose(params).shape == (0, 3)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([np.nan, 70, 280, 200], "is not finite"),
        ([170, 70, np.inf, 200], "is not finite"),
        ([100, 100, 100, 100], "has no area"),
        ([200, 200, 100, 100], "has no area"),
        ([-900, 100, -700, 300], "lies outside the photo of 512 x 512"),
        ([100, 900, 300, 1100], "lies outside the photo of 512 x 512"),
        ([-1e7, -1e7, 1e7, 1e7], "is far larger than the photo"),
    ],
)
def test_boxes_that_cannot_be_used(tddfa, photo, box, reason):
    boxes = np.array([BOX[0], box])
    with pytest.raises(ValueError, match=f"Expected a face box inside the photo, box 1 {reason}"):
        tddfa(photo, boxes)


def test_other_unusable_arguments(tddfa, photo):
    with pytest.raises(ValueError, match=r"boxes of shape \(F, 4\) or \(F, 5\), got a row of shape \(3,\)"):
        tddfa(photo, np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"a row of shape \(\)"):
        tddfa(photo, BOX[0])
    with pytest.raises(ValueError, match="crop policy box or landmark, got 'face'"):
        tddfa(photo, BOX, crop_policy="face")
    with pytest.raises(ValueError, match="uint8 in RGB"):
        tddfa(photo.astype(float), BOX)
    with pytest.raises(ValueError, match=r"landmarks of shape \(P, 2\) or \(P, 3\), got \(3, 68\)"):
        tddfa(photo, np.zeros((1, 3, 68)), crop_policy="landmark")
    with pytest.raises(ValueError, match="box 0 is not finite"):
        tddfa(photo, np.full((1, 68, 2), np.nan), crop_policy="landmark")


def test_parameters_that_cannot_be_used(tddfa, photo):
    params, rois = tddfa(photo, BOX)
    for spoilt in ((params * np.nan, rois), (params, rois + np.inf)):
        with pytest.raises(ValueError, match="Expected finite parameters and rois"):
            tddfa.reconstruct(*spoilt)
    with pytest.raises(ValueError, match="Expected finite"):
        tddfa.pose(params * np.nan)
    for shapes in ((params[0], rois), (params[:, :60], rois), (params, rois[0]), (params, np.zeros((2, 4)))):
        with pytest.raises(ValueError, match=r"Expected parameters \(F, 62\) and rois \(F, 4\)"):
            tddfa.reconstruct(*shapes)


def test_a_face_at_the_border_is_completed_with_black(tddfa, photo):
    params, rois = tddfa(photo, np.array([[-60, -50, 60, 70], [450, 440, 560, 560]]))
    assert np.isfinite(params).all()
    assert (tddfa.crop(photo, rois[0])[:20, :20] == 0).all()
    assert (tddfa.crop(photo, rois[1])[-20:, -20:] == 0).all()


def test_runtimes_agree(tddfa, weights, photo, tmp_path, monkeypatch):
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    exported = TDDFA(weights, runtime="onnx", threads=1)
    boxes = np.concatenate([BOX, BOX + 30])
    expected = tddfa.reconstruct(*tddfa(photo, boxes))
    np.testing.assert_allclose(exported.reconstruct(*exported(photo, boxes)), expected, atol=1e-3)
    assert len(list((tmp_path / "onnx").glob("*.onnx"))) == 1
    with pytest.raises(ValueError, match="torch or onnx, got 'cuda'"):
        TDDFA(weights, runtime="cuda")


def test_names_of_weights(monkeypatch, tmp_path):
    monkeypatch.delenv("VRN_ASSETS", raising=False)
    monkeypatch.setenv("VRN_CACHE", str(tmp_path))
    monkeypatch.setattr(regressor, "OPEN_WEIGHTS", tmp_path / "mb05_open.safetensors")
    for name in (None, "open"):
        with pytest.raises(AssetError, match="open regressor's weights"):
            weights_path(name)
    (tmp_path / "mb05_open.safetensors").touch()
    assert weights_path(None) == weights_path("open") == tmp_path / "mb05_open.safetensors"
    assert weights_path("some/file.pth").name == "file.pth"
    with pytest.raises(AssetError, match="resnet22.pth"):
        weights_path("resnet22")
    (tmp_path / "mine").mkdir()
    for name in ("mb05_120x120.pth", "bfm_noneck_v3.pkl"):  # both at hand: the official family is the default
        (tmp_path / "mine" / name).write_bytes(b"damaged")
    monkeypatch.setenv("VRN_ASSETS", str(tmp_path / "mine"))
    with pytest.raises(AssetError, match="Expected the official mb05_120x120.pth"):
        weights_path(None)


def test_checkpoints_of_other_lengths_and_models(tmp_path, weights):
    with pytest.raises(AssetError, match="regressor of 62 parameters in narrow.safetensors, got 70 outputs"):
        TDDFA(written(tmp_path, parameters=70))
    with pytest.raises(ValueError, match=r"face model of \(40, 10\) components, open has \(20, 10\)"):
        TDDFA(weights, model=MorphableModel.open().with_components(shape=20, expression=10))
    torch.save(torch.nn.Linear(3, 4).state_dict(), tmp_path / "linear.pth")
    with pytest.raises(AssetError, match="MobileNetV1 or a ResNet-22"):
        TDDFA(tmp_path / "linear.pth")


@pytest.mark.skipif(not OPEN_WEIGHTS.is_file(), reason="the open regressor is not trained yet")
def test_the_open_family_on_the_astronaut(photo):
    """Its face looks at the camera; the eyes are where they are in the photo."""
    tddfa = TDDFA("open", threads=1)
    params, rois = tddfa(photo, BOX)
    points = tddfa.reconstruct(params, rois, dense=False)[0]
    eyes = points[36:42, :2].mean(axis=0), points[42:48, :2].mean(axis=0)
    np.testing.assert_allclose(eyes, [[204, 100], [246, 103]], atol=8)
    assert (np.abs(tddfa.pose(params)[0]) < 30).all()
