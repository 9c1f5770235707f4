"""Files that are no photo of a face although they come as one: what a page that everybody may use must stand."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from skimage.data import astronaut

HOSTILE = {
    "text": "text.jpg",
    "empty": "empty.png",
    "header": "header.png",
    "bomb": "bomb.png",
    "svg": "face.svg",
    "cut": "cut.jpg",
    "path": "..%2f..%2fetc%2fpasswd.png",
    "moving": "moving.webp",
    "cmyk": "cmyk.tif",
    "no face": "grey.png",
}
"""The files by what they are."""


def hostile_photos(folder: Path) -> dict[str, Path]:
    """Write each file of `HOSTILE` into a folder."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 4), np.uint8)
    moving = Image.fromarray(noise[..., :3])
    whole = encoded(Image.fromarray(astronaut()), "JPEG")
    inks = io.BytesIO()
    tifffile.imwrite(inks, noise.astype(np.uint16) * 257, photometric="separated")
    data = {
        "text": b"no picture at all",
        "empty": b"",
        "header": png(30_000, 30_000, rows=0),
        "bomb": png(15_000, 15_000, rows=15_000),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "cut": whole[: len(whole) // 50],
        "path": b"root:x:0:0",
        "moving": encoded(moving, "WEBP", save_all=True, append_images=[moving.rotate(9)] * 20),
        "cmyk": inks.getvalue(),
        "no face": encoded(Image.fromarray(np.full((64, 64), 128, np.uint8)), "PNG"),
    }
    for kind, name in HOSTILE.items():
        (folder / name).write_bytes(data[kind])
    return {kind: folder / name for kind, name in HOSTILE.items()}


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    """A picture's bytes in one of Pillow's formats."""
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def png(width: int, height: int, *, rows: int) -> bytes:
    """A black PNG of a size, a few hundred kilobytes at most; the rows after some are missing."""
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(b"\0" * (width * 3 + 1)) for _ in range(rows)) + packer.flush()
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (head, b"IDAT" + pixels, b"IEND")
    )
