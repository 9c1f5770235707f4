"""A modified 3DDFA_V2: the morphable model, the renderer and the exact voxeliser behind VRN's targets."""

from importlib import import_module
from typing import Any

try:
    from . import _nms, _raster, _voxelize  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"Expected tddfa's compiled modules, got: {error}; run `bash build.sh`, or `pip install -e .` in the "
        "repository (it needs a C++ compiler and Python's headers)."
    ) from error

from .nms import nms, soft_nms
from .volume_file import load_volume, read_vrn_npy, read_vrn_raw, save_volume
from .voxelizer import voxelize

_LAZY = {
    name: module
    for module, names in {
        "assets": ("ASSETS", "AssetError", "available", "resolve"),
        "backbones": ("load_backbone",),
        "config": ("Config", "read_config"),
        "draw": ("depth_map", "draw_dense", "draw_landmarks", "draw_mesh", "draw_pose", "pncc"),
        "export": ("save_obj", "save_ply"),
        "faceboxes": ("FaceBoxes",),
        "morphable": ("MorphableModel",),
        "raster": ("RasterBuffers", "interpolate", "rasterize", "render_colors", "vertex_normals"),
        "regressor": ("TDDFA",),
        "targets": ("make_target", "make_targets"),
        "texture": ("uv_texture",),
        "video": ("track",),
    }.items()
    for name in names
}
"""Where each name comes from; its module is imported when the name is asked for, so that ``import tddfa`` is quick."""

__all__ = ["load_volume", "nms", "read_vrn_npy", "read_vrn_raw", "save_volume", "soft_nms", "voxelize", *_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
