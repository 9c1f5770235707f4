"""A modified 3DDFA_V2: the morphable model, the renderer and the exact voxeliser behind VRN's targets."""

from importlib import import_module

try:
    from . import _nms, _raster, _voxelize  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"expected tddfa's compiled modules, got: {error}; run `bash build.sh`, or `pip install -e .` in the "
        "repository (it needs a C++ compiler and Python's headers)"
    ) from error

from .nms import nms
from .volume_file import load_volume, read_vrn_npy, read_vrn_raw, save_volume
from .voxelizer import voxelize

_LAZY = {
    "MorphableModel": "morphable",
    "RasterBuffers": "raster",
    "rasterize": "raster",
    "interpolate": "raster",
    "render_colors": "raster",
    "vertex_normals": "raster",
}

__all__ = ["load_volume", "nms", "read_vrn_npy", "read_vrn_raw", "save_volume", "voxelize", *_LAZY]


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
