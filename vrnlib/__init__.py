"""One photo of a face becomes a 3D face: the helpers behind the notebooks, in the order of the course.

photo → `detect` → `Landmarks` → `crop_face` → `Crop` → `VRN` → volume → `extract_surface` → `Surface` → picture.

The names below are what a notebook or a script needs; each is loaded when it is first asked for. The whole way in one
call is `vrnlib.reconstruct.reconstruct`. Behind them lie the modules of the course (``images``, ``crop``, ``network``,
``surface``, …) and the wings ``landmarks``, ``synthetic``, ``training``, ``evaluation``, ``commands``, ``checks``.

Example:
    >>> import vrnlib
    >>> vrnlib.VRNConfig.reference().features
    256
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vrnlib.crop import Crop, crop_face
    from vrnlib.export import save_surface
    from vrnlib.images import read_photo
    from vrnlib.landmarks import Landmarks
    from vrnlib.landmarks.detectors import detect
    from vrnlib.metrics import iou, nme
    from vrnlib.network import FAN, VRN, FANConfig, VRNConfig
    from vrnlib.reconstruct import Reconstruction, open_networks, predict_volume
    from vrnlib.show import render_views
    from vrnlib.surface import Surface, color_surface, extract_surface
    from vrnlib.synthetic.faces import render_pair
    from vrnlib.weight_files import load_network

__all__ = [
    "FAN",
    "VRN",
    "Crop",
    "FANConfig",
    "Landmarks",
    "Reconstruction",
    "Surface",
    "VRNConfig",
    "color_surface",
    "crop_face",
    "detect",
    "extract_surface",
    "iou",
    "load_network",
    "nme",
    "open_networks",
    "predict_volume",
    "read_photo",
    "render_pair",
    "render_views",
    "save_surface",
]

_MODULES = {
    "crop": ("Crop", "crop_face"),
    "export": ("save_surface",),
    "images": ("read_photo",),
    "landmarks": ("Landmarks",),
    "landmarks.detectors": ("detect",),
    "metrics": ("iou", "nme"),
    "network": ("FAN", "VRN", "FANConfig", "VRNConfig"),
    "reconstruct": ("Reconstruction", "open_networks", "predict_volume"),
    "show": ("render_views",),
    "surface": ("Surface", "color_surface", "extract_surface"),
    "synthetic.faces": ("render_pair",),
    "weight_files": ("load_network",),
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names}

try:
    __version__ = version("vrn-workbook")
except PackageNotFoundError:  # a folder on the path, never installed
    __version__ = "0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
