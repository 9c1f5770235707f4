"""Results as files: surfaces (PLY, OBJ, GLB), and everything of a reconstructed face.

All three hold the surface upright, as every viewer wants it: x right, y UP, z towards the viewer, right-handed, in crop
pixels about the crop's middle (see `vrnlib.surface.upright`). Colours are per vertex; OBJ and GLB can have the photo as
their texture, at its own resolution. Every file appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tddfa import export as tddfa_export
from tddfa.contract import CROP_MIDDLE, SLICES_PER_PIXEL
from tddfa.files import write_bytes
from tddfa.images import png_bytes
from tddfa.staging import finish_killed, move_all, new_stage
from tddfa.texture import Texture, photo_texture
from vrnlib.crop import describe_crop, of_more_faces
from vrnlib.show import k3d_html, summary_picture
from vrnlib.surface import Surface, upright

if TYPE_CHECKING:
    from vrnlib.reconstruct import Reconstruction

FORMATS = (".ply", ".obj", ".glb")
"""Of surfaces."""

ENDINGS = (".npz", ".json", *FORMATS, ".mtl", "_texture.png", ".html", ".png")
"""Of the files that `save` writes for a face."""

ABOUT = f" of the crop; there x is x + {CROP_MIDDLE:g} and y is {CROP_MIDDLE:g} - y"
"""How the numbers of a .ply or .obj become the contract's; said in the file."""

MARK = "vrn reconstruct"
"""What a picture's text chunk "Software" and a .json's "software" say."""


class SaveError(OSError):
    """Results that cannot be written; the message is one sentence, and no file was left behind."""


def save_surface(path: str | PathLike[str], surface: Surface, *, texture: Texture | None = None) -> None:
    """Writes a surface as .ply, .obj or .glb, by the path's ending.

    Args:
        path: the file. With a texture, an .obj has NAME.mtl and NAME_texture.png beside it; a .glb holds all.
        surface: in crop pixels.
        texture: a picture and where in it each vertex lies, see `tddfa.texture.photo_texture`; a .ply has none.

    Raises:
        ValueError: another ending.
    """
    path = Path(path)
    turned = upright(surface)
    if path.suffix.lower() == ".ply":
        data = tddfa_export.ply_bytes(turned.vertices, turned.faces, colors=turned.colors, about=ABOUT)
        write_bytes(path, data)
    elif path.suffix.lower() == ".obj":
        tddfa_export.write_obj(
            path, turned.vertices, turned.faces, colors=turned.colors, texture=texture, about=ABOUT, software=MARK
        )
    elif path.suffix.lower() == ".glb":
        write_bytes(path, glb_bytes(surface, texture=texture))
    else:
        raise ValueError(f"Expected a file ending in {', '.join(FORMATS)}, got {path.name}; rename it.")


def glb_bytes(surface: Surface, *, texture: Texture | None = None) -> bytes:
    """Binary glTF 2.0, upright, with normals and the texture without gloss, or colours per vertex.

    The standard wants vertex colours in linear light, photos are in sRGB: without the conversion a face looks
    washed out in every correct viewer. Floats keep the dark tones apart. They have no material: with one, trimesh
    and its relatives drop the vertex colours when they read the file.
    """
    turned = upright(surface)
    arrays = {"POSITION": turned.vertices.astype("<f4"), "NORMAL": turned.normals().astype("<f4")}
    if texture is not None:
        arrays["TEXCOORD_0"] = (texture.uv * [1, -1] + [0, 1]).astype("<f4")  # glTF's v runs down
    elif turned.colors is not None:
        arrays["COLOR_0"] = srgb_to_linear(turned.colors).astype("<f4")
    blobs = [array.tobytes() for array in arrays.values()] + [turned.faces.astype("<u4").tobytes()]
    accessors: list[dict[str, Any]] = [
        {"bufferView": i, "componentType": 5126, "count": len(array), "type": f"VEC{array.shape[1]}"}
        for i, array in enumerate(arrays.values())
    ]
    accessors[0]["min"] = turned.vertices.min(axis=0).astype(float).tolist()
    accessors[0]["max"] = turned.vertices.max(axis=0).astype(float).tolist()
    accessors.append(
        {"bufferView": len(arrays), "componentType": 5125, "count": int(turned.faces.size), "type": "SCALAR"}
    )
    primitive: dict[str, Any] = {"attributes": {name: i for i, name in enumerate(arrays)}, "indices": len(arrays)}
    tree: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "vrnlib"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [{"name": "face", "primitives": [primitive]}],
        "accessors": accessors,
    }
    if texture is not None:
        look = {"baseColorTexture": {"index": 0}, "metallicFactor": 0, "roughnessFactor": 1}
        primitive["material"] = 0
        tree["materials"] = [{"name": "photo", "pbrMetallicRoughness": look}]
        tree["textures"] = [{"source": 0}]
        tree["images"] = [{"bufferView": len(blobs), "mimeType": "image/png"}]
        blobs.append(png_bytes(texture.picture, software=MARK))
    starts = np.cumsum([0] + [len(blob) for blob in blobs])
    tree["bufferViews"] = [
        {"buffer": 0, "byteOffset": int(start), "byteLength": len(blob)}
        for start, blob in zip(starts, blobs, strict=False)
    ]
    for view, target in zip(tree["bufferViews"], [34962] * len(arrays) + [34963], strict=False):
        view["target"] = target
    tree["buffers"] = [{"byteLength": int(starts[-1])}]
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


# --- everything of a reconstructed face -------------------------------------------------------------------------------


def save(
    reconstructions: Reconstruction | Iterable[Reconstruction],
    folder: str | PathLike[str],
    name: str,
    *,
    photo_name: str | None = None,
    photo_sha256: str | None = None,
) -> list[Path]:
    """Write NAME_0 with each of `ENDINGS` into a folder, NAME_1 for the next face.

    All files appear together or none does; older results of the same name are replaced, and those of more faces of the
    same photo go.

    Args:
        reconstructions: the faces of one photo; each is written before the next is asked for.
        folder: is made where it is missing.
        name: the beginning of the files' names.
        photo_name: what the .json calls the photo; default the name.
        photo_sha256: of the photo's file, see `vrnlib.crop.tells_of`.

    Returns:
        The paths of the files.

    Raises:
        SaveError: something cannot be written or would replace a file that is not ours.
    """
    if not isinstance(reconstructions, Iterable):
        reconstructions = [reconstructions]
    photo_name = photo_name or name
    folder = (Path(folder) / name).parent  # a name may lead into a subfolder
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    stage = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage = new_stage(folder)
        number = 0
        for number, one in enumerate(reconstructions, 1):
            stem = f"{Path(name).name}_{number - 1}"
            if _foreign(folder, stem):
                finish_killed(folder)  # it may be a killed run's
            if found := _foreign(folder, stem):
                raise SaveError(f"{found} exists and is no result of ours; choose another output folder.")
            _write_face(one, stage, stem, photo_name=photo_name, photo_sha256=photo_sha256, number=number - 1)
        older = of_more_faces(folder, Path(name).name, photo_name, number, MARK)
        stale = [path for stem in older for ending in ENDINGS if (path := folder / f"{stem}{ending}").is_file()]
        return move_all(stage, folder, stale=stale)
    except OSError as error:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for parent in made:
            if parent.exists() and not any(parent.iterdir()):
                parent.rmdir()
        if isinstance(error, SaveError):
            raise
        reason = error.strerror or str(error)
        raise SaveError(f"The results could not be written into {folder} ({reason}); nothing was left.") from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)


def describe(
    reconstruction: Reconstruction, *, photo_name: str, number: int, volume_file: str, photo_sha256: str | None = None
) -> dict[str, Any]:
    """What the .json says: everything that is needed to put the result back into the photo."""
    height, width = reconstruction.photo.shape[:2]
    about = describe_crop(
        reconstruction.crop,
        reconstruction.landmarks,
        photo_name=photo_name,
        photo_size=(width, height),
        number=number,
        photo_sha256=photo_sha256,
    )
    about["software"] = MARK
    about["volume"] = {
        "file": volume_file,
        "axes": "z y x",
        "shape": list(reconstruction.probability.shape),
        "level": reconstruction.level,
        "offset": reconstruction.offset,
        "slices_per_pixel": SLICES_PER_PIXEL,
    }
    about["weights"] = reconstruction.weights
    return about


def _write_face(
    one: Reconstruction, folder: Path, stem: str, *, photo_name: str, photo_sha256: str | None, number: int
) -> None:
    from tddfa import save_volume

    volume_file = f"{stem}.npz"
    about = describe(one, photo_name=photo_name, number=number, volume_file=volume_file, photo_sha256=photo_sha256)
    save_volume(folder / f"{stem}.npz", one.volume, offset=one.offset, meta={"photo": photo_name, "face": number})
    write_bytes(folder / f"{stem}.json", (json.dumps(about, indent=1) + "\n").encode("utf-8"))
    texture = photo_texture(one.photo, one.vertices_in_photo())
    for ending in FORMATS:
        save_surface(folder / f"{stem}{ending}", one.surface, texture=texture)
    write_bytes(folder / f"{stem}.html", k3d_html(one.surface).encode("utf-8"))
    picture = summary_picture(one.photo, one.landmarks, one.crop, one.surface)
    write_bytes(folder / f"{stem}.png", png_bytes(picture, software=MARK))


def _foreign(folder: Path, stem: str) -> Path | None:
    """A file of somebody else's in the way: ours come in sets with an .npz and a .json."""
    if (folder / f"{stem}.npz").exists() and (folder / f"{stem}.json").exists():
        return None
    return next((path for ending in ENDINGS if (path := folder / f"{stem}{ending}").exists()), None)
