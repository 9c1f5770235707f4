"""The package face-alignment, mostly by a stand-in: how it is built and called, and what is told when it is missing."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vrnlib.landmarks import LandmarkError
from vrnlib.landmarks.detectors import FaceAlignmentDetector
from vrnlib.landmarks.official import FACE_DETECTORS, FAN_FILE, load_face_alignment

POINTS = np.random.default_rng(5).uniform(0, 1, (68, 2))
POINTS[:2] = 0, 1


@pytest.fixture
def fake_package(monkeypatch, tmp_path):
    """A stand-in for face-alignment: two faces; `settings` is what it was built with, `fault` what it dies of."""
    load_face_alignment.cache_clear()
    fake = SimpleNamespace(LandmarksType=SimpleNamespace(TWO_D=1), settings=[], fault=None)

    class FaceAlignment:
        def __init__(self, kind, **settings):
            fake.settings.append((kind, settings))
            if fake.fault:
                raise fake.fault

        def get_landmarks_from_image(self, image, *, return_bboxes, return_landmark_score):
            if not image.any():
                return None, None, None
            points = [POINTS * 20 + 10, POINTS * 50 + 20]
            return points, [np.full((68, 1), 0.3)] * 2, [[0, 0, 9, 9, 1.0000001], [0, 0, 9, 9]]

    fake.FaceAlignment = FaceAlignment
    monkeypatch.setitem(sys.modules, "face_alignment", fake)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    yield fake
    load_face_alignment.cache_clear()


def test_the_official_package_is_loaded_once_and_uncompiled(fake_package):
    image = np.full((100, 100, 3), 99, np.uint8)
    faces = FaceAlignmentDetector("yunet")(image)
    assert [round(face.size) for face in faces] == [50, 20]
    assert [face.score for face in faces] == pytest.approx([0.3, 1.0])
    assert all(face.source == "fan" and face.points.shape == (68, 2) for face in faces)
    assert FaceAlignmentDetector("yunet")(np.zeros((100, 100, 3), np.uint8)) == []
    ((kind, settings),) = fake_package.settings
    assert kind == 1 and settings["face_detector"] == "yunet"
    assert settings["compile"] is False and settings["flip_input"] is False


@pytest.mark.parametrize("face_detector", FACE_DETECTORS)
def test_a_missing_download_names_the_files_and_the_folder(fake_package, face_detector, tmp_path):
    fake_package.fault = OSError("<urlopen error\nno network>")
    folder = tmp_path / "hub" / "checkpoints"
    with pytest.raises(LandmarkError) as caught:
        FaceAlignmentDetector(face_detector)
    said = str(caught.value)
    assert "\n" not in said and str(folder) in said and "$TORCH_HOME" in said
    assert all(name in said for name in (FAN_FILE, *FACE_DETECTORS[face_detector]))
    folder.mkdir(parents=True)
    (folder / FAN_FILE).touch()
    with pytest.raises(LandmarkError) as caught:
        FaceAlignmentDetector(face_detector)
    assert FAN_FILE not in str(caught.value) and FACE_DETECTORS[face_detector][-1] in str(caught.value)
    for name in FACE_DETECTORS[face_detector]:
        (folder / name).touch()
    fake_package.fault = EOFError()
    with pytest.raises(LandmarkError, match="delete what is damaged"):
        FaceAlignmentDetector(face_detector)


def test_a_missing_package_or_detector_is_a_sentence(monkeypatch):
    load_face_alignment.cache_clear()
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(LandmarkError, match="pip install face-alignment"):
        FaceAlignmentDetector()
    with pytest.raises(LandmarkError, match="sfd, blazeface"):
        FaceAlignmentDetector("folder")


@pytest.mark.parametrize("face_detector", FACE_DETECTORS)
def test_the_installed_package_still_asks_for_these_files(face_detector):
    package = importlib.util.find_spec("face_alignment")
    if package is None:
        pytest.skip("face-alignment is not installed")
    folder = Path(package.origin).parent
    source = "".join(path.read_text() for path in (folder / "detection" / face_detector).glob("*.py"))
    assert all(name in source for name in FACE_DETECTORS[face_detector])
    assert FAN_FILE in (folder / "api.py").read_text()
