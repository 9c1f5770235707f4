"""Mistakes that leave no trace in a shape: what each network really sees, where crops and light fall, what is averaged.

Every test here fails when one line of the code is turned into a mistake that somebody once made. ``mutations.py``
makes the mistakes one by one and lists the tests that notice.
"""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from tddfa import TDDFA, FaceBoxes
from tddfa.faceboxes import OPEN_WEIGHTS
from tddfa.fitters import Fit
from tddfa.geometry import decompose
from tddfa.targets import make_targets
from vrnlib.crop import CROP_SIZE, transform_points
from vrnlib.ensemble import FlipShiftEnsemble, half_column
from vrnlib.images import read_photo
from vrnlib.network import VRN, LandmarkMaps, VRNConfig
from vrnlib.synthetic import lighting, portrait
from vrnlib.synthetic.faces import FaceRenderer, render_pair
from vrnlib.synthetic.lighting import Lamp, Lighting
from vrnlib.training.augment import Augmentation
from vrnlib.training.batches import rgb_input
from vrnlib.training.data import CANVAS, RenderedFaces
from vrnlib.training.fan import landmark_loss
from vrnlib.training.loop import TrainingConfig, fit
from vrnlib.training.vrn import VolumePairs, vrn_task

ORANGE = (250, 120, 10)
"""Red, green and blue that no order confuses."""


def stripes(size: int) -> np.ndarray:
    """(size, size, 3) uint8: columns of one pixel, black and white. Seen smaller they are grey or they alias."""
    return np.broadcast_to((np.arange(size) % 2 * 255).astype(np.uint8)[None, :, None], (size, size, 3)).copy()


# --- what the networks see --------------------------------------------------------------------------------------------


def seen_by(model, monkeypatch, *arguments) -> np.ndarray:
    """The picture (3, H, W) that a model's network was given."""
    seen, run = [], model._run
    monkeypatch.setattr(model, "_run", lambda batch: seen.append(np.array(batch)) or run(batch))
    model(*arguments)
    return seen[0][0]


def test_faceboxes_sees_blue_first_less_the_mean(monkeypatch):
    photo = np.full((64, 96, 3), ORANGE, np.uint8)
    seen = seen_by(FaceBoxes(OPEN_WEIGHTS), monkeypatch, photo)
    assert seen.shape == (3, 64, 96)
    assert seen[:, 20, 30].tolist() == [10 - 104, 120 - 117, 250 - 123]


def test_the_regressor_sees_blue_first_about_minus_one_to_one(monkeypatch):
    photo = np.full((200, 200, 3), ORANGE, np.uint8)
    box = np.array([[80, 80, 120, 120]], np.float32)
    seen = seen_by(TDDFA("open"), monkeypatch, photo, box)
    assert seen.shape == (3, 120, 120)
    assert np.allclose(seen[:, 60, 60], [(value - 127.5) / 128 for value in ORANGE[::-1]])


def test_training_and_inference_give_a_network_the_same_numbers():
    picture = torch.tensor(ORANGE, dtype=torch.uint8)[None, :, None, None].expand(1, 3, 4, 4)
    assert torch.allclose(rgb_input(picture)[0, :, 0, 0], torch.tensor(ORANGE) / 255)


def test_a_vrn_that_reduces_its_crop_does_not_let_it_alias(monkeypatch):
    network = VRN(VRNConfig(stem=4, features=8, slices=3, depth=1, hourglasses=1, resize=64)).eval()
    seen, lattice = [], network.lattice_logits
    monkeypatch.setattr(network, "lattice_logits", lambda image: seen.append(image) or lattice(image))
    with torch.no_grad():
        network(torch.from_numpy(stripes(192)).permute(2, 0, 1)[None].float() / 255)
    assert seen[0].shape == (1, 3, 64, 64)
    assert seen[0][..., 4:-4, 4:-4].std() < 0.1, "half a black, half a white stripe: grey"


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_volume_lies_straight_above_its_picture(mirrored):
    """A VRN that answers with the picture itself, sampled where its lattice lies, moves nothing on the way back."""
    network = VRN(VRNConfig(stem=4, features=8, slices=1, depth=1, hourglasses=1, resize=None))
    network.lattice_logits = lambda image: torch.nn.functional.avg_pool2d(image[:, :1], 4)
    ramp = torch.linspace(0, 1, 192).expand(1, 3, 192, 192)
    picture = ramp.transpose(2, 3) if mirrored else ramp
    inner = (0, 0, slice(8, -8), slice(8, -8))
    assert torch.allclose(network(picture)[inner], picture[inner], atol=1e-4)


# --- shifted crops ----------------------------------------------------------------------------------------------------


class Remembering(torch.nn.Module):
    """A VRN that answers with its picture and remembers where the dot was in it, in the way it was shown."""

    config = VRNConfig(resize=128)

    def __init__(self):
        super().__init__()
        self.places = []

    def forward(self, image):
        y, x = np.unravel_index(int(image[0, 0].argmax()), image.shape[2:])
        self.places.append((int(x), int(y)))
        return image[:, :1].clone()


def test_crops_are_shifted_to_either_side_by_half_a_column_in_all():
    picture, network = torch.zeros(1, 3, 192, 192), Remembering()
    picture[..., 100, 60] = 1
    answer = FlipShiftEnsemble(network)(picture)
    assert torch.equal(answer[0, 0], picture[0, 0]), "every look must be brought back to its place"
    assert len(network.places) == 4
    mirror = [x > 96 for x, _ in network.places]
    assert sorted(mirror) == [False, False, True, True]
    moves = [((191 - x if turned else x) - 60, y - 100) for (x, y), turned in zip(network.places, mirror, strict=True)]
    half = half_column(network, 192)
    for axis in (0, 1):
        along = sorted({move[axis] for move in moves})
        assert len(along) == 2 and along[1] - along[0] == half
        assert along[0] < 0 < along[1] and max(map(abs, along)) <= half / 2 + 0.5
    assert len(set(moves)) == 4


# --- light ------------------------------------------------------------------------------------------------------------


def lit(monkeypatch, lighting: Lighting, renderer: FaceRenderer, index: int) -> np.ndarray:
    """Brightness of a rendered face under this light, alone; NaN outside of the face."""
    monkeypatch.setattr(portrait, "random_lighting", lambda *_: lighting)
    sample = render_pair(5, index, model=renderer, augment_damage=False)
    inside = sample.volume().any(axis=0)
    return np.where(inside, sample.image.mean(axis=2), np.nan)


@pytest.fixture(scope="module")
def renderer():
    return FaceRenderer()


@pytest.fixture(scope="module")
def frontal(renderer) -> int:
    return next(k for k in range(200) if np.abs(render_pair(5, k, model=renderer).pose).max() < 12)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_lamp_at_a_side_lights_that_side(monkeypatch, renderer, frontal, side):
    dim = np.full(3, 0.05, np.float32)
    direction = np.array([side, 0.0, 0.4], np.float32)
    lamp = Lamp((direction / np.linalg.norm(direction)).astype(np.float32), np.ones(3, np.float32))
    face = lit(monkeypatch, Lighting(dim, dim, [lamp]), renderer, frontal)
    left, right = np.nanmean(face[60:150, :96]), np.nanmean(face[60:150, 96:])
    assert side * (right - left) > 25


def test_the_sky_is_above(monkeypatch, renderer, frontal):
    bright, dark = np.full(3, 0.9, np.float32), np.zeros(3, np.float32)
    above = lit(monkeypatch, Lighting(bright, dark, []), renderer, frontal)
    below = lit(monkeypatch, Lighting(dark, bright, []), renderer, frontal)
    difference = above - below
    upper, lower = np.nanmean(difference[:80]), np.nanmean(difference[140:])
    assert upper > lower + 15, "the forehead looks up, the chin looks down"


def test_a_face_that_sees_the_lamp_is_not_in_shadow(monkeypatch, renderer, frontal):
    dark, white = np.zeros(3, np.float32), np.ones(3, np.float32)
    front = Lighting(dark, dark, [Lamp(np.array([0, 0, 1], np.float32), white)])
    shown = lit(monkeypatch, front, renderer, frontal)
    monkeypatch.setattr(lighting, "shadow", lambda mesh, *_, **__: np.ones(len(mesh.vertices), np.float32))
    unshadowed = lit(monkeypatch, front, renderer, frontal)
    assert np.nanmean(shown) > 0.8 * np.nanmean(unshadowed)


# --- pictures that get smaller ----------------------------------------------------------------------------------------


def test_a_reduced_render_does_not_alias(tmp_path, monkeypatch):
    faces = RenderedFaces(tmp_path, seed=1, count=1)
    monkeypatch.setattr(faces, "image", lambda index: stripes(CANVAS))
    reduced = faces.crop(0, np.array([[1 / 3, 0, 0], [0, 1 / 3, 0]]), size=64)
    assert reduced[4:-4, 4:-4].std() < 25, "stripes of one pixel, three to a pixel: grey"
    assert faces.crop(0, np.eye(2, 3))[50].std() > 120, "what is not reduced stays sharp"


# --- training ---------------------------------------------------------------------------------------------------------


def test_a_target_lies_over_its_picture_pixel_by_pixel(tmp_path):
    faces = RenderedFaces(tmp_path, seed=1, count=1)
    turn = Augmentation(rotation=30, translation=15, flip=0)
    image, solid = VolumePairs(faces, augmentation=turn, seed=3, step=1)[0]
    matrix = turn.similarity(np.random.default_rng([3, 0, 0]))
    assert 15 < abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) < 30, "an upright face is nearly symmetric"
    vertices, triangles = faces.model.close(transform_points(faces.mesh(0), matrix))
    x, y = np.rint(vertices[np.unique(triangles)][:, :2]).astype(int).T
    inside = (x >= 0) & (x < CROP_SIZE) & (y >= 0) & (y < CROP_SIZE)
    mesh = np.zeros((CROP_SIZE, CROP_SIZE), bool)
    mesh[y[inside], x[inside]] = True
    seen = solid.numpy().any(axis=0)
    assert image.shape[1:] == seen.shape and seen[mesh].mean() > 0.92, "its outline has voxels whose middle is outside"


class Noise(Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, key):
        generator = torch.Generator().manual_seed(key[0] if isinstance(key, tuple) else key)
        image = torch.randint(0, 256, (3, 32, 32), generator=generator, dtype=torch.uint8)
        return image, torch.rand(4, 8, 8, generator=generator) > 0.5


@pytest.mark.parametrize(("warmup", "same"), [(6, True), (0, False)])
def test_the_average_begins_after_the_warm_up(tmp_path, warmup, same):
    """Weights from the first steps would stay in the average for a thousand more."""
    torch.manual_seed(0)
    network = VRN(VRNConfig(stem=4, features=8, slices=4, depth=1, hourglasses=1))
    task = vrn_task(network, Noise(), Noise(), step=4, notes={})
    config = TrainingConfig(steps=6, batch=4, rate=1e-2, warmup=warmup, report=6, workers=0)
    averaged = fit(task, config, tmp_path, progress=False).state_dict()
    trained = task.network.state_dict()
    assert all(torch.equal(averaged[name], trained[name]) for name in trained) == same


def test_heat_maps_are_wanted_where_the_lattice_lies():
    """Cell (i, j) of a map lies at the pixel (4 i + 1.5, 4 j + 1.5); a map that takes 4 i is half a cell away."""
    target = torch.tensor([[[30.0, 22.0, 0.0], [41.0, 35.0, 0.0]]])
    image, is_face = torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.tensor([True])

    def loss(shift: float) -> float:
        cells = torch.arange(16) * 4 + shift
        x, y = (cells - target[..., axis, None] for axis in (0, 1))
        logits = -(x[..., None, :] ** 2 + y[..., :, None] ** 2) / 32
        heatmaps = logits.flatten(2).softmax(2).view_as(logits)
        return landmark_loss(
            lambda _: LandmarkMaps(points=target, heatmaps=heatmaps, logits=logits), [image, target, is_face]
        ).item()

    assert loss(1.5) < min(loss(0.0), loss(2.0), loss(1.0))


# --- targets ----------------------------------------------------------------------------------------------------------


class Counting:
    """A choice of a fitter that counts how often one is built; its fitter has found the face already."""

    def __init__(self, sample) -> None:
        self.sample, self.built = sample, 0

    def build(self):
        self.built += 1
        return Found(self.sample)


@dataclasses.dataclass
class Found:
    sample: object
    companion: str | None = None
    cropped: bool = True

    @property
    def model(self):
        return self.sample.model

    @property
    def settings(self) -> dict:
        return {"how": "found"}

    def __call__(self, image, path):
        return Fit(self.sample.vertices, *decompose(self.sample.parameters)[1:])


def test_models_are_loaded_once_for_a_folder_and_its_pictures_stay(tmp_path, renderer, frontal):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    sample = render_pair(5, frontal, model=renderer)
    for number in range(3):
        Image.fromarray(sample.image).save(photos / f"{number}.png")
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    choice = Counting(sample)
    summary = make_targets(
        sorted(photos.iterdir()), out, root=photos, read=read_photo, choice=choice, workers=1, progress=False
    )
    assert len(summary.made) == 3 and choice.built == 1
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
