"""Training of the open face detector: the pictures and their boxes, matching, the loss, and a run that learns."""

import numpy as np
import pytest
import torch

from tddfa.boxes import box_sizes
from tddfa.faceboxes import FaceBoxesNet, decode, prior_boxes
from vrnlib.crop import transform_points
from vrnlib.landmarks.ibug import face_box
from vrnlib.training.composites import MOST, Composites, covered, place, shared_areas
from vrnlib.training.cutouts import CANVAS, Cutouts, paste
from vrnlib.training.detector import (
    box_iou,
    count_hits,
    detection_loss,
    detection_score,
    detector_task,
    find_faces,
    load_detector,
    match_priors,
    prior_targets,
    recall_by_size,
    save_detector,
)
from vrnlib.training.distractors import without_face
from vrnlib.training.loop import TrainingConfig, fit

SIZE = 256


@pytest.fixture(scope="module")
def cutouts(tmp_path_factory) -> Cutouts:
    return Cutouts(tmp_path_factory.mktemp("cutouts"), seed=4, count=3)


@pytest.fixture(scope="module")
def batch(cutouts) -> list[torch.Tensor]:
    pictures = Composites(cutouts, seed=1, size=SIZE, length=4)
    return [torch.stack(part) for part in zip(*(pictures[index] for index in range(4)), strict=True)]


def test_a_cutout_has_a_person_and_nothing_around(cutouts):
    image, points = cutouts[0]
    alpha = image[..., 3]
    x, y = points[:, :2].mean(0).astype(int)
    assert image.shape == (CANVAS, CANVAS, 4) and (alpha[y - 9 : y + 10, x - 9 : x + 10] == 255).all()
    assert (alpha[0] == 0).mean() > 0.5 and 0.1 < (alpha == 255).mean() < 0.9
    assert (image[..., :3].max(2)[alpha == 0] == 0).all(), "colours are multiplied by alpha"
    assert np.array_equal(cutouts[0][0], image)


def test_a_pasted_face_lies_in_its_box(cutouts):
    """Drawn over black and over white: where the face is, both pictures are equal."""
    image, points = cutouts[1]
    for side in (40.0, 150.0):
        matrix = place(points, side, SIZE, np.zeros((0, 4)), np.random.default_rng(2))
        box = face_box(transform_points(points, matrix))
        assert box_sizes(box) == pytest.approx(side, rel=1e-3)
        black, white = np.zeros((SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE, 3), 255, np.uint8)
        alphas = [paste(picture, image, matrix, light=0.8, fade=True) for picture in (black, white)]
        assert np.array_equal(*alphas)
        solid = (np.abs(white.astype(int) - black) < 4).all(2)
        x, y = transform_points(points, matrix)[:, :2].mean(0).astype(int)
        assert solid[y - 2 : y + 3, x - 2 : x + 3].all() and (solid == (alphas[0] > 250)).mean() > 0.98
        assert covered(alphas[0], box[None])[0] > 0.6 and (white[0, 0] == 255).all()


def test_faces_keep_away_from_each_other(cutouts):
    rng, points = np.random.default_rng(0), cutouts[0][1]
    there = np.array([[0.0, 0.0, 128.0, 256.0]])
    boxes = [face_box(transform_points(points, place(points, 40, SIZE, there, rng))) for _ in range(20)]
    assert np.median([shared_areas(box, there)[0] for box in boxes]) == 0


def test_a_picture_is_a_function_of_its_key(cutouts):
    pictures = Composites(cutouts, seed=1, size=SIZE, length=8)
    one, again, other = pictures[2, 5], pictures[2, 5], pictures[2, 6]
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True)) and not torch.equal(one[0], other[0])
    assert one[0].shape == (3, SIZE, SIZE) and one[1].shape == (MOST, 4) and one[2].shape == (MOST,)
    known = np.concatenate([pictures[index, 0][2].numpy() for index in range(8)])
    assert set(known) <= {-1, 0, 1} and (known == 1).sum() >= 3


def test_people_without_faces_have_no_features(cutouts):
    image, points = cutouts[0]
    x, y = points[[36, 45, 48, 54], :2].astype(int).T
    for number in range(6):
        faceless = without_face(image, points, np.random.default_rng(number))
        assert faceless.shape == image.shape and not np.array_equal(faceless, image)
        same = (np.abs(faceless[y, x].astype(int) - image[y, x]) < 2).all(1)
        assert same.sum() <= 2, "eye and mouth corners are gone"


def test_iou():
    a = torch.tensor([[0.0, 0, 2, 2], [5, 5, 6, 6]])
    b = torch.tensor([[1.0, 0, 3, 2], [0, 0, 2, 2]])
    assert torch.allclose(box_iou(a, b), torch.tensor([[1 / 3, 1.0], [0.0, 0.0]]))


def test_matching_finds_each_face_a_prior_and_undoes_decoding():
    priors = prior_boxes(SIZE, SIZE)
    boxes = torch.tensor([[20.0, 30, 52, 70], [100, 100, 228, 240], [3, 3, 9, 9], [60, 10, 90, 45]]) / SIZE
    known = torch.tensor([1, 1, 1, -1])
    offsets, label = match_priors(boxes, known, priors)
    found = decode(offsets, priors)[label == 1]
    overlap = box_iou(found, boxes[:3])
    assert overlap.max(1).values.min() > 0.999 and set(overlap.argmax(1).tolist()) == {0, 1, 2}
    assert (label == -1).sum() > 0 and (label == 0).sum() > 0.9 * len(label) - (label == -1).sum() - 100
    offsets, label = match_priors(boxes, torch.zeros(4), priors)
    assert (label == 0).all() and not offsets.any()


class Oracle(torch.nn.Module):
    """Says exactly what is wanted."""

    def __init__(self, boxes, known) -> None:
        super().__init__()
        self.offsets, label = prior_targets(boxes, known, size=(SIZE, SIZE))
        self.scores = torch.stack([-10.0 * (label == 1) + 5, 10.0 * (label == 1) - 5], dim=-1)

    def forward(self, image):
        return self.offsets, self.scores


def test_the_perfect_answer_has_no_loss_and_the_full_score(batch):
    oracle = Oracle(*batch[1:])
    assert detection_loss(oracle, batch).item() < 0.01 and (detection_score(oracle, batch) == 1).all()
    worse = Oracle(*batch[1:])
    worse.offsets = worse.offsets + 1.0
    assert detection_loss(worse, batch) > 1
    worse.scores = -worse.scores
    assert detection_loss(worse, batch) > 10 and detection_score(worse, batch).min() == 0


def test_hits_and_false_alarms():
    boxes, known = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]]), torch.tensor([1, 1, -1])
    found = torch.tensor([[0.0, 0, 10, 11, 0.9], [1, 0, 10, 10, 0.8], [50, 50, 60, 62, 0.7], [80, 80, 90, 90, 0.6]])
    assert count_hits(found, boxes, known) == (1, 1, 2), "the second look at a face is a false alarm"
    assert count_hits(found[:0], boxes, known) == (0, 2, 0)
    assert count_hits(found, boxes[:0], known[:0]) == (0, 0, 4)


def test_it_learns_four_pictures(batch, cutouts, tmp_path):
    class Four(torch.utils.data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, key):
            index = key[0] if isinstance(key, tuple) else key
            return [part[index] for part in batch]

    torch.manual_seed(0)
    config = TrainingConfig(steps=40, batch=4, rate=1e-3, warmup=4, report=10, workers=0, averaging=0.5)
    logs = []
    fit(detector_task(Four(), Four(), notes={}), config, tmp_path, progress=False, on_report=logs.append)
    assert logs[-1][-1]["loss"] < 0.5 * logs[-1][0]["loss"]
    network = load_detector(tmp_path / "network.safetensors")
    report = recall_by_size(network, Four())
    assert 0 <= report["recall"] <= 1 and report["false_alarms_per_picture"] >= 0


def test_weights_are_read_by_the_detector(tmp_path):
    from tddfa import FaceBoxes

    torch.manual_seed(0)
    network = FaceBoxesNet().eval()
    save_detector(tmp_path / "open.safetensors", network, notes={"recipe": "none"})
    assert (tmp_path / "open.safetensors").stat().st_size < 2.2e6
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    wanted = find_faces(load_detector(tmp_path / "open.safetensors"), torch.from_numpy(image).permute(2, 0, 1)[None])[0]
    found = FaceBoxes(tmp_path / "open.safetensors")(image)
    assert len(found) == len(wanted) and np.abs(found - wanted.numpy()).max(initial=0) < 0.01
    with pytest.raises(ValueError, match="is damaged"):
        (tmp_path / "no.safetensors").write_bytes(b"nothing")
        load_detector(tmp_path / "no.safetensors")
