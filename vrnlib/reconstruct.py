"""The main job: a photo goes in, a 3D face comes out.

photo → landmarks → crop → VRN → volume → surface, one small step after the other. `vrnlib.export` writes the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tddfa.contract import MIDDLE_SLICE, VOLUME_SHAPE
from tddfa.describe import short_repr
from tddfa.files import file_sha256
from vrnlib.crop import Crop, crop_face
from vrnlib.landmarks import Landmarks
from vrnlib.landmarks.detectors import Detector, OpenDetector
from vrnlib.landmarks.retries import upright
from vrnlib.surface import Surface, color_surface, extract_surface, solid

Record = dict[str, dict[str, str | None]]
"""Where networks come from: {"vrn": {"name", "sha256"}, "fan": …}."""


@dataclass(frozen=True, eq=False, repr=False)
class Networks:
    """The networks of a reconstruction and where they come from.

    Attributes:
        vrn: see `predict_volume`.
        fan: see `vrnlib.landmarks.alignment.align`; None when another detector than the open one is used.
        weights: for the record.
    """

    vrn: Any
    fan: Any = None
    weights: Record = field(default_factory=dict)

    def __repr__(self) -> str:
        names = ", ".join(f"{role} {one['name']}" for role, one in self.weights.items())
        return f"Networks({names or 'of unknown weights'})"


@dataclass(frozen=True, eq=False, repr=False)  # arrays have no plain ==
class Reconstruction:
    """One face.

    Attributes:
        photo: (H, W, 3) uint8 RGB.
        landmarks: in photo pixels.
        crop: with its matrix.
        probability: (200, 192, 192) float32, [z, y, x].
        surface: in crop pixels, coloured.
        level: the probability on the surface.
        offset: slice k lies at the depth (k - offset) / 2, in crop pixels.
        weights: see `Networks`.
    """

    photo: NDArray[np.uint8]
    landmarks: Landmarks
    crop: Crop
    probability: NDArray[np.float32]
    surface: Surface
    level: float = 0.5
    offset: float = MIDDLE_SLICE
    weights: Record = field(default_factory=dict, repr=False)

    __repr__ = short_repr

    @property
    def volume(self) -> NDArray[np.bool_]:
        """(200, 192, 192) bool: the solid, one 6-connected piece without holes."""
        return solid(self.probability, level=self.level)

    def vertices_in_photo(self) -> NDArray[np.float32]:
        """(V, 3) float32: the surface's vertices in photo pixels."""
        return self.crop.to_photo(self.surface.vertices)


def open_networks(*, vrn: Any = "vrn_open", fan: Any = "fan_open") -> Networks:
    """Load networks by the name or path of their weights; a network that is loaded already is taken as it is.

    Both are run by ONNX Runtime (`vrnlib.ensemble.OnnxVRN`, `vrnlib.landmarks.onnx_fan`).

    Args:
        vrn: a VRN, VRNGuided or VRNMultitask, see `vrnlib.weight_files.load_network`; one that reduces its crop
            predicts four times.
        fan: None leaves it out.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they are damaged or another network's.
    """
    import torch

    from vrnlib.ensemble import OnnxVRN
    from vrnlib.landmarks.onnx_fan import OnnxFAN
    from vrnlib.network import FAN
    from vrnlib.weight_files import load_network, load_vrn

    record: Record = {"vrn": _recorded(vrn)}
    if record["vrn"]["sha256"] is not None:
        vrn = OnnxVRN(load_vrn(vrn), threads=torch.get_num_threads())
    if fan is not None:
        record["fan"] = _recorded(fan)
        if record["fan"]["sha256"] is not None:
            fan = OnnxFAN(load_network(fan, FAN))
    return Networks(vrn, fan, record)


def _recorded(given: Any) -> dict[str, str | None]:
    """The name of weights and their file's hash; of a network that is loaded already its class alone."""
    from vrnlib.weight_files import weights_path

    if not isinstance(given, (str, PathLike)):
        return {"name": type(given).__name__, "sha256": None}
    path = weights_path(Path(given))
    return {"name": path.stem, "sha256": file_sha256(path)}


def predict_volume(
    vrn: Any, image: NDArray[np.uint8], landmarks: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """Run a VRN on a crop.

    Args:
        vrn: (1, 3, 192, 192) in 0 … 1 → logits (1, 200, 192, 192); a VRN of any kind, or what behaves like one.
        image: (192, 192, 3) uint8 RGB.
        landmarks: (68, 2) or (68, 3) crop pixels; only a `VRNGuided` looks at them.

    Returns:
        (200, 192, 192) float32 probabilities, [z, y, x].

    Raises:
        ValueError: the network gives another shape, or a guided one gets no landmarks.
    """
    import torch

    from vrnlib.network import VolumeAndMaps

    inputs = [torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float() / 255]
    if getattr(vrn, "guided", False):
        if landmarks is None:
            raise ValueError("Expected the 68 landmarks that guide this network, got none; find them first.")
        inputs.append(torch.from_numpy(np.asarray(landmarks, np.float32))[None])
    with torch.inference_mode():
        answer = vrn(*inputs)
        logits = answer.volume if isinstance(answer, VolumeAndMaps) else answer
        probability = torch.sigmoid(logits)[0].float().cpu().numpy()
    if probability.shape != VOLUME_SHAPE:
        raise ValueError(f"Expected a volume of {VOLUME_SHAPE} from the network, got {probability.shape}.")
    return probability


def reconstruct(
    image: NDArray[np.uint8],
    *,
    networks: Networks | None = None,
    detector: Detector | None = None,
    level: float = 0.5,
) -> list[Reconstruction]:
    """Every face of a photo as a surface, the largest first; an empty list when no face is found.

    A photo that lies on its side or stands on its head is turned first, see `vrnlib.landmarks.retries.upright`.

    Args:
        image: (H, W, 3) uint8 RGB, e.g. from `vrnlib.images.read_photo`.
        networks: from `open_networks`; default: the open weights of this package.
        detector: finds the faces, see `vrnlib.landmarks.detectors`; default: the open one, with the networks' FAN.
        level: the probability on the surface.

    Raises:
        PhotoError: no photo, or one that is too small.
        SurfaceError: the volume of a found face is empty.
    """
    if networks is None:
        networks = open_networks(fan="fan_open" if detector is None else None)
    if detector is None:
        detector = OpenDetector(networks.fan)
    image, faces = upright(image, detector)
    return list(reconstruct_faces(image, faces, networks=networks, level=level))


def reconstruct_faces(
    image: NDArray[np.uint8], faces: Iterable[Landmarks], *, networks: Networks, level: float = 0.5
) -> Iterator[Reconstruction]:
    """One face after the other as a surface, so that a crowd needs no more memory than a portrait.

    Args:
        image: (H, W, 3) uint8 RGB.
        faces: their landmarks, in the photo's pixels.
        networks: from `open_networks`.
        level: the probability on the surface.

    Raises:
        SurfaceError: the volume of a face is empty.
    """
    for face in faces:
        yield _one_face(image, face, networks, level=level)


def _one_face(image: NDArray[np.uint8], face: Landmarks, networks: Networks, *, level: float) -> Reconstruction:
    crop = crop_face(image, face)
    probability = predict_volume(networks.vrn, crop.image, crop.landmarks)
    surface = color_surface(extract_surface(probability, level=level), crop.image)
    return Reconstruction(
        photo=image,
        landmarks=face,
        crop=crop,
        probability=probability,
        surface=surface,
        level=level,
        weights=networks.weights,
    )
