"""Surfaces as files: PLY to measure, OBJ and GLB to look at.

PLY holds crop pixels in the contract's axes (x right, y down, z towards the camera). OBJ and GLB hold the same surface
upright for every viewer (y up, the face looking along +z; see `vrnlib.surface.upright`). Colours are per vertex.
Every file appears whole or not at all.
"""

from __future__ import annotations

import json
import struct
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tddfa.files import write_bytes
from vrnlib.surface import Surface, upright

FORMATS = (".ply", ".obj", ".glb")


def save_surface(path: str | PathLike[str], surface: Surface) -> None:
    """Writes a surface as .ply, .obj or .glb, by the path's ending.

    Raises:
        ValueError: another ending.
    """
    path = Path(path)
    writers = {".ply": ply_bytes, ".obj": obj_bytes, ".glb": glb_bytes}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise ValueError(f"Expected a file ending in {', '.join(FORMATS)}, got {path.name}; rename it.")
    write_bytes(path, writer(surface))


def ply_bytes(surface: Surface) -> bytes:
    """Binary PLY in crop pixels, contract axes, with the colours of the vertices."""
    return _as_trimesh(surface).export(file_type="ply", vertex_normal=False)


def obj_bytes(surface: Surface) -> bytes:
    """OBJ, upright, colours after the coordinates of each vertex (x y z r g b)."""
    text = _as_trimesh(upright(surface)).export(file_type="obj", include_normals=False, header=None)
    return text.encode("utf-8")


def glb_bytes(surface: Surface) -> bytes:
    """Binary glTF 2.0, upright, normals and colours per vertex.

    The standard wants vertex colours in linear light, photos are in sRGB: without the conversion a face looks
    washed out in every correct viewer. Floats keep the dark tones apart. There is no material: with one, trimesh
    and its relatives drop the vertex colours when they read the file.
    """
    turned = upright(surface)
    arrays = {"POSITION": turned.vertices.astype("<f4"), "NORMAL": turned.normals().astype("<f4")}
    if turned.colors is not None:
        arrays["COLOR_0"] = srgb_to_linear(turned.colors).astype("<f4")
    blobs = [array.tobytes() for array in arrays.values()] + [turned.faces.astype("<u4").tobytes()]
    starts = np.cumsum([0] + [len(blob) for blob in blobs])

    views = [
        {"buffer": 0, "byteOffset": int(start), "byteLength": len(blob), "target": 34962}
        for start, blob in zip(starts, blobs, strict=False)
    ]
    views[-1]["target"] = 34963
    accessors = [
        {"bufferView": i, "componentType": 5126, "count": len(array), "type": "VEC3"}
        for i, array in enumerate(arrays.values())
    ]
    accessors[0]["min"] = turned.vertices.min(axis=0).astype(float).tolist()
    accessors[0]["max"] = turned.vertices.max(axis=0).astype(float).tolist()
    accessors.append(
        {"bufferView": len(arrays), "componentType": 5125, "count": int(turned.faces.size), "type": "SCALAR"}
    )
    primitive = {"attributes": {name: i for i, name in enumerate(arrays)}, "indices": len(arrays)}
    tree = {
        "asset": {"version": "2.0", "generator": "vrnlib"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [{"name": "face", "primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": int(starts[-1])}],
    }
    text = json.dumps(tree, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    data = b"".join(blobs)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def srgb_to_linear(colors: ArrayLike) -> NDArray[np.float64]:
    """Numbers 0 … 255 of sRGB → 0 … 1 of linear light (IEC 61966-2-1).

    >>> srgb_to_linear([0, 128, 255]).round(3).tolist()
    [0.0, 0.216, 1.0]
    """
    value = np.asarray(colors, dtype=np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _as_trimesh(surface: Surface):
    import trimesh

    return trimesh.Trimesh(surface.vertices, surface.faces, vertex_colors=surface.colors, process=False, validate=False)
