"""The same numbers as the original 3DDFA_V2, on four photos; the bars are those of the project's third step."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
import skimage.data

from tddfa import TDDFA, FaceBoxes, MorphableModel, nms
from tddfa.faceboxes import OVERLAP, network_input, prior_boxes, shrink

PHOTOS = ("emma", "trump_hillary", "JianzhuGuo", "astronaut")
ONNX_PHOTOS = ("JianzhuGuo", "astronaut")


@pytest.fixture(scope="module", autouse=True)
def official_files(assets, tmp_path_factory):
    """Exports go to a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VRN_ASSETS", str(assets))
        patch.setenv("VRN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def face_model(assets):
    return MorphableModel.load(assets / "official" / "configs" / "bfm_noneck_v3.standin.pkl")


@pytest.fixture(scope="module")
def detector():
    return FaceBoxes(runtime="torch", threads=1)


@pytest.fixture(scope="module")
def tddfa(face_model):
    return TDDFA("mb05", model=face_model, threads=1)


@pytest.fixture(scope="module")
def case(assets, reference):
    """A function from a photo's name to (RGB photo, the original's arrays); skips where the decoder differs."""

    def load(name):
        if name == "astronaut":
            bgr = np.ascontiguousarray(skimage.data.astronaut()[:, :, ::-1])
        else:
            bgr = cv2.imread(str(assets / "photos" / f"{name}.jpg"))
        expected = np.load(reference / f"{name}.npz")
        if hashlib.sha256(bgr.tobytes()).digest() != expected["image_bgr_sha"].tobytes():
            pytest.skip(f"this machine's decoder reads {name} differently from the original's")
        return np.ascontiguousarray(bgr[:, :, ::-1]), expected

    return load


def original_layout(faces: np.ndarray) -> np.ndarray:
    """(F, N, 3) as the original returns it: (F, 3, N), each with its smallest z at 0."""
    faces = faces.transpose(0, 2, 1).copy()
    faces[:, 2] -= faces[:, 2].min(axis=1, keepdims=True)
    return faces


@pytest.mark.parametrize("name", PHOTOS)
def test_detection(case, detector, name):
    photo, expected = case(name)
    np.testing.assert_allclose(detector(photo), expected["boxes"], atol=0.05)
    found = detector.candidates(photo)
    np.testing.assert_allclose(found, expected["det_nms_in"], atol=0.05)
    assert nms(found, OVERLAP) == expected["det_nms_keep"].tolist()
    assert nms(expected["det_nms_in"], OVERLAP) == expected["det_nms_keep"].tolist()


@pytest.mark.parametrize("name", ["emma", "trump_hillary"])
def test_inside_the_detector(case, detector, name):
    photo, expected = case(name)
    small, scale = shrink(photo)
    assert scale == expected["det_scale"]
    assert small.shape == tuple(expected["det_scaled_shape"])
    np.testing.assert_array_equal(prior_boxes(*small.shape[:2]).numpy(), expected["det_priors"])
    offsets, scores = detector._run(network_input(small))
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(offsets[0], expected["det_loc"], atol=1e-4)
    np.testing.assert_allclose((shares / shares.sum(axis=-1, keepdims=True))[0], expected["det_conf"], atol=1e-5)


@pytest.mark.parametrize("name", PHOTOS)
def test_parameters_and_crops(case, tddfa, name):
    photo, expected = case(name)
    params, rois = tddfa(photo, expected["boxes"])
    assert params.dtype == np.float32 and rois.dtype == np.float64
    np.testing.assert_allclose(rois, expected["roi"], atol=1e-3)
    crops = np.stack([tddfa.crop(photo, roi) for roi in rois])
    np.testing.assert_array_equal(crops[..., ::-1], expected["crops120"])
    assert (np.abs(params - expected["params"]) / tddfa.std).max() <= 1e-4


@pytest.mark.parametrize("name", PHOTOS)
def test_vertices_and_pose(case, tddfa, name):
    photo, expected = case(name)
    params, rois = tddfa(photo, expected["boxes"])
    sparse = tddfa.reconstruct(params, rois, dense=False)
    dense = tddfa.reconstruct(params, rois)
    assert dense.dtype == np.float32 and dense.flags.c_contiguous
    np.testing.assert_allclose(original_layout(sparse), expected["sparse"], atol=0.02)
    np.testing.assert_allclose(original_layout(dense), expected["dense"], atol=0.02)
    np.testing.assert_allclose(tddfa.pose(params), expected["pose_deg"], atol=0.01)
    # One zero of z for both, unlike in the original.
    np.testing.assert_allclose(dense[:, tddfa.model.landmark_vertices], sparse, atol=1e-3)


@pytest.mark.parametrize("name", PHOTOS)
def test_second_pass_by_landmarks(case, tddfa, name):
    photo, expected = case(name)
    first = tddfa.reconstruct(*tddfa(photo, expected["boxes"]), dense=False)
    params, rois = tddfa(photo, first, crop_policy="landmark")
    np.testing.assert_allclose(rois, expected["roi_landmark_pass"], atol=1e-3)
    assert (np.abs(params - expected["params_landmark_pass"]) / tddfa.std).max() <= 1e-4


def test_onnx_runtime(case, detector, tddfa, face_model):
    fast_detector = FaceBoxes(runtime="onnx", threads=1)
    fast = TDDFA("mb05", model=face_model, runtime="onnx", threads=1)
    for name in ONNX_PHOTOS:
        photo, expected = case(name)
        boxes = fast_detector(photo)
        np.testing.assert_allclose(boxes, expected["boxes_onnx"], atol=0.05)
        np.testing.assert_allclose(boxes[:, :4], detector(photo)[:, :4], atol=1e-3)
        params, rois = fast(photo, expected["boxes"])
        assert (np.abs(params - expected["params_onnx"]) / fast.std).max() <= 1e-4
        by_torch = tddfa.reconstruct(*tddfa(photo, expected["boxes"]))
        np.testing.assert_allclose(fast.reconstruct(params, rois), by_torch, atol=1e-3)


def test_no_official_weights_without_the_official_face_model(monkeypatch, assets, tmp_path):
    """The stand-in is not the official model, so the default stays the open family."""
    from tddfa.regressor import OPEN_WEIGHTS, weights_path

    if OPEN_WEIGHTS.is_file():
        assert weights_path(None) == OPEN_WEIGHTS
    assert weights_path("mb05").name == weights_path("official").name == "mb05_120x120.pth"
