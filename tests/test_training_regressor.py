"""Training of the open regressor: frames, mirrored faces, the loss, and a run that learns and resumes."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tddfa.backbones import MobileNetV1
from tddfa.geometry import compose, crop_roi, fit_pose, image_from_roi, project, roi_from_box, roi_from_landmarks
from vrnlib.crop import transform_points
from vrnlib.landmarks.ibug import face_box
from vrnlib.synthetic.faces import FaceRenderer, render_pair
from vrnlib.training.data import RenderedFaces
from vrnlib.training.loop import TrainingConfig, fit
from vrnlib.training.regressor import (
    VertexDecoder,
    VertexPairs,
    load_regressor,
    parameter_statistics,
    random_roi,
    regressor_task,
    roi_from_image,
    roi_matrix,
    save_regressor,
    training_vertices,
)

ROI = (31.5, -12.25, 211.5, 167.75)


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> RenderedFaces:
    faces = RenderedFaces(tmp_path_factory.mktemp("renders"), seed=3, count=4)
    for index in range(4):
        faces.render(index)
    return faces


def test_roi_from_image_undoes_image_from_roi():
    points = np.random.default_rng(0).uniform(0, 120, (50, 3))
    assert np.allclose(roi_from_image(image_from_roi(points, ROI), ROI), points, atol=1e-9)


def test_roi_matrix_is_what_cutting_out_and_resizing_do():
    image = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (200, 240, 3)).astype(np.uint8), (0, 0), 3)
    roi = (20, 30, 180, 190)
    wanted = cv2.resize(crop_roi(image, roi), (120, 120))
    got = cv2.warpAffine(image, roi_matrix(roi), (120, 120))
    assert np.abs(got.astype(int) - wanted)[2:-2, 2:-2].max() <= 2


def test_the_vertices_start_with_the_landmarks_and_have_partners(faces):
    model = faces.model
    rows, mirrored = training_vertices(model)
    assert np.array_equal(rows[:68], model.landmark_vertices) and len(rows) > 400
    assert np.array_equal(mirrored[mirrored], np.arange(len(rows)))
    assert np.abs(model.mean[rows][mirrored] * [-1, 1, 1] - model.mean[rows]).max() < 2, "millimetres"


def test_the_box_reaches_from_the_chin_over_the_brows(faces):
    model = faces.model
    points = model.landmarks(model.mean) * [1, -1, 1]  # y down
    x0, y0, x1, y1 = face_box(points)
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    assert (x0, x1, y1) == pytest.approx((low[0], high[0], high[1]))
    assert 0.2 < (low[1] - y0) / (high[1] - low[1]) < 0.35
    turned = face_box(points[:, [1, 0, 2]] * [-1, 1, 1])  # the head lies on its right side: brows at the right
    assert turned[2] - turned[0] == pytest.approx(y1 - y0) and turned[3] - turned[1] == pytest.approx(x1 - x0)
    with pytest.raises(ValueError, match="68"):
        face_box(points[:5])


def test_the_box_is_the_official_detectors(reference):
    """Figures measured on the photographs at hand: the rois of both boxes agree to 10 % of the side."""
    for name in ("emma", "trump_hillary", "JianzhuGuo", "astronaut"):
        with np.load(reference / f"{name}.npz") as known:
            for box, points in zip(known["boxes"], known["sparse"], strict=True):
                official, ours = np.array(roi_from_box(box)), np.array(roi_from_box(face_box(points.T)))
                assert np.abs(official - ours).max() < 0.1 * (official[2] - official[0])


def test_a_mirrored_view_is_the_view_of_a_mirrored_face(faces):
    pairs = VertexPairs(faces, seed=0)
    for epoch in range(20):
        matrix, roi, target = pairs.view(0, np.random.default_rng([0, epoch, 0]))
        if np.linalg.det(matrix[:, :2]) < 0:
            break
    points = transform_points(faces.landmarks(0), matrix)
    assert image_from_roi(target, roi)[36, 0] == pytest.approx(points[45, 0], abs=0.05), "left eye corner is the right"
    # a face and its mirror image are both fitted by a rotation, not by a reflection
    left = fit_pose(faces.model.mean[pairs.rows], target, y_down=False)
    fitted = project(left, faces.model.mean[pairs.rows].astype(np.float64))
    assert np.abs(fitted - target).mean() < 4


def test_random_rois_are_wrong_by_little(faces):
    rng, points = np.random.default_rng(0), faces.landmarks(1)
    box, tracked = (np.array(roi) for roi in (roi_from_box(face_box(points)), roi_from_landmarks(points)))
    rois = np.array([random_roi(points, rng) for _ in range(300)])
    sides = rois[:, 2] - rois[:, 0]
    assert np.allclose(sides, rois[:, 3] - rois[:, 1])
    assert 0.7 * min(box[2] - box[0], tracked[2] - tracked[0]) < sides.min() < sides.max() < 1.3 * (box[2] - box[0])
    near = np.minimum(np.abs(rois - box).max(1), np.abs(rois - tracked).max(1))
    assert np.median(near) < 0.12 * (box[2] - box[0])


def test_true_parameters_give_no_loss_and_land_on_the_truth():
    """The renderer's own parameters, moved into the network's frame, through the decoder and through the roi."""
    renderer = FaceRenderer()
    sample = render_pair(5, 1, model=renderer)
    model, (rows, _) = renderer.model, training_vertices(renderer.model)
    roi = roi_from_box(face_box(sample.landmarks))
    # the affine camera of the sample's parameters, exactly; perspective is left out here
    shape, expression = sample.parameters[12:52], sample.parameters[52:]
    face = model.reconstruct(shape, expression)
    truth = project(sample.parameters[:12].reshape(3, 4).astype(np.float64), face.astype(np.float64))
    target = roi_from_image(truth, roi)
    matrix = fit_pose(face, target, y_down=False)
    parameters = torch.from_numpy(compose(matrix, shape, expression))[None]
    mean, std = np.full(62, 0.5), np.full(62, 2.0)
    decoder = VertexDecoder(model, rows, mean, std)
    whitened = (parameters - 0.5) / 2
    vertices, same = decoder(whitened)
    assert torch.allclose(same, parameters, atol=1e-4)
    assert np.abs(vertices[0].numpy() - target[rows]).max() < 0.02
    assert np.abs(image_from_roi(vertices[0].numpy(), roi) - truth[rows]).max() < 0.03

    batch = [torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.from_numpy(target[rows].astype(np.float32))[None]]
    assert decoder.error(lambda image: whitened, batch).item() < 0.05
    perfect = decoder.loss(lambda image: whitened, batch) - 0.002 * whitened[:, 12:].square().mean()
    assert perfect.item() < 0.005
    moved = whitened.clone()
    moved[:, 3] += 1.0
    assert decoder.loss(lambda image: moved, batch) > perfect + 0.15, "2 pixels to the right"


def test_saved_weights_put_the_face_where_it_is_through_tddfa(tmp_path):
    """A network that always says the truth, saved as training saves it: TDDFA lands on the mesh in the photo."""
    from tddfa import TDDFA

    renderer = FaceRenderer()
    sample = render_pair(5, 2, model=renderer, canvas=320)
    model, box = renderer.model, face_box(sample.landmarks)
    shape, expression = sample.parameters[12:52], sample.parameters[52:]
    face = model.reconstruct(shape, expression)
    truth = project(sample.parameters[:12].reshape(3, 4), face)
    matrix = fit_pose(face, roi_from_image(truth, roi_from_box(box)), y_down=False)
    mean, std = np.full(62, 0.25), np.full(62, 4.0)
    network = MobileNetV1(width=0.5)
    torch.nn.init.zeros_(network.fc.weight)
    network.fc.bias.data = torch.from_numpy((compose(matrix, shape, expression) - 0.25) / 4).float()
    decoder = VertexDecoder(model, training_vertices(model)[0], mean, std)
    save_regressor(tmp_path / "oracle.safetensors", network, decoder, notes={})
    assert (tmp_path / "oracle.safetensors").stat().st_size < 2e6

    regressor = TDDFA(tmp_path / "oracle.safetensors", threads=1)
    parameters, rois = regressor(sample.image, box[None])
    assert np.allclose(rois[0], roi_from_box(box))
    assert np.abs(regressor.reconstruct(parameters, rois)[0] - truth).max() < 0.5, "float16 of the bias"
    assert np.abs(regressor.reconstruct(parameters, rois, dense=False)[0] - sample.landmarks).max() < 6, "perspective"


def test_statistics_whiten_the_poses(faces):
    pairs = VertexPairs(faces, seed=0)
    mean, std = parameter_statistics(pairs)
    assert mean.shape == std.shape == (62,) and (std > 0).all()
    assert 30 < mean[3] < 90 and 30 < mean[7] < 90, "the face's origin lies in the middle of the 120-pixel crop"
    assert np.allclose(mean[12:52], 0) and np.allclose(std[12:52], 1)


def test_pictures_of_either_size_show_the_same(faces):
    large, small = (VertexPairs(faces, seed=0, size=size, augment=False)[2] for size in (120, 60))
    assert large[0].shape == (3, 120, 120) and small[0].shape == (3, 60, 60)
    assert torch.equal(large[1], small[1])
    halved = cv2.resize(large[0].permute(1, 2, 0).numpy(), (60, 60), interpolation=cv2.INTER_AREA)
    assert np.abs(halved.astype(int) - small[0].permute(1, 2, 0).numpy()).mean() < 3


def tiny_task(faces):
    torch.manual_seed(0)
    train, held_out = VertexPairs(faces, seed=0, size=32), VertexPairs(faces, seed=0, size=32, augment=False)
    train.augment = False
    return regressor_task(train, held_out, notes={"recipe": "test"})


def test_it_learns_four_faces_and_resumes(faces, tmp_path):
    def config(steps):
        return TrainingConfig(steps=steps, batch=4, rate=2e-3, warmup=4, report=20, workers=0, averaging=0.5)

    logs = []
    fit(tiny_task(faces), config(60), tmp_path / "whole", progress=False, on_report=logs.append)
    assert logs[-1][-1]["loss"] < 0.5 * logs[-1][0]["loss"]

    class Stop(Exception):
        pass

    def stop(log):
        raise Stop

    with pytest.raises(Stop):
        fit(tiny_task(faces), config(60), tmp_path / "parts", progress=False, on_report=stop)
    fit(tiny_task(faces), config(60), tmp_path / "parts", resume=True, progress=False)
    whole, mean, std = load_regressor(tmp_path / "whole" / "network.safetensors")
    parts, _, _ = load_regressor(tmp_path / "parts" / "network.safetensors")
    for one, other in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.equal(one, other)

    task = regressor_task(
        *(VertexPairs(faces, seed=0) for _ in range(2)), init=tmp_path / "whole/network.safetensors", notes={}
    )
    pairs = VertexPairs(faces, seed=0, size=32, augment=False)
    image, target = pairs[0]
    decoder = VertexDecoder(faces.model, pairs.rows, mean, std)
    assert decoder.error(task.network.eval(), [image[None], target[None]]).item() < 40


def test_other_files_are_no_start(faces, tmp_path):
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is damaged"):
        load_regressor(tmp_path / "no.safetensors")
    save_file({"parameter_mean": torch.zeros(62)}, tmp_path / "half.safetensors")
    with pytest.raises(ValueError, match="has no 'parameter_std'"):
        load_regressor(tmp_path / "half.safetensors")
