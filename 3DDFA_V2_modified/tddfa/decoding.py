"""From what a decoder gives to (H, W, 3) uint8 RGB: palettes, transparency, grey, 12, 16 and 32 bits, floats.

Pillow reads nearly all; it keeps eight bits of each colour, though, and some TIFFs it refuses or gets wrong. There
OpenCV reads the file's own numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2

__all__ = ["OddTiff", "brighten_12_bits", "decoded_tiff", "odd_tiff", "scaled", "to_rgb"]


class OddTiff(NamedTuple):
    """What the header says of a TIFF that is not for Pillow."""

    size: tuple[int, int]
    """Width and height."""
    from_white: bool
    """Whether white is 0."""


def to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    """Pillow's picture as (H, W, 3) uint8 RGB, turned upright by its EXIF; transparent pixels over white."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        return np.repeat(scaled(np.asarray(picture))[:, :, None], 3, axis=2)
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def scaled(numbers: ArrayLike) -> NDArray[np.uint8]:
    """Grey levels or colours as 0 … 255: whole numbers are of 8, 12 or 16 bits or of their range, as floats are.

    Numbers of 16 bits are never taken for 8 bits, as that would brighten a dark photo; floats may be 0 … 1 or 0 … 255.

    >>> scaled(np.array([0, 4095])).tolist(), scaled(np.array([0, 0.5, 1])).tolist()
    ([0, 255], [0, 128, 255])
    """
    numbers = np.asarray(numbers)
    if numbers.dtype == np.uint8:
        return numbers
    ranges = (1, 255) if numbers.dtype.kind == "f" else (255, 4095, 65535)[numbers.dtype.itemsize == 2 :]
    values = np.nan_to_num(numbers.astype(np.float32))
    largest = float(values.max(initial=0.0))
    white = next((one for one in ranges if largest <= one), largest)
    return np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8)


def brighten_12_bits(path: Path, picture: Image.Image) -> None:
    """Replace the colours of a loaded picture of 12 bits in 16: Pillow kept the upper 8, so that it is nearly black."""
    if picture.format not in ("PNG", "TIFF", "PPM") or picture.mode not in ("RGB", "RGBA"):
        return
    if picture.format == "TIFF" and picture.getexif().get(0x0112, 1) != 1:
        return  # OpenCV's numbers would be upright already
    if np.asarray(picture)[..., :3].max() > 16:
        return
    deep = _decoded(path)
    if deep is None or deep.ndim != 3 or deep.dtype != np.uint16 or deep.shape[1::-1] != picture.size:
        return
    colors = Image.fromarray(scaled(deep))
    picture.paste(colors if picture.mode == "RGB" else Image.merge("RGBA", [*colors.split(), picture.getchannel("A")]))


def odd_tiff(path: Path) -> OddTiff | None:
    """The header of a TIFF of colours in 16 bits, of 32 bits or more, of YCbCr, or of 16 bits where white is 0.

    Pillow takes large numbers of 32 bits for negative ones, planes of YCbCr for RGB, and white for black. None of any
    other file.
    """
    try:
        with open(path, "rb") as file:
            tags = ImageFileDirectory_v2(file.read(8))
            file.seek(tags.next)
            tags.load(file)
            bits, colors = np.atleast_1d(tags[258]), tags.get(262)
            if bits.min() >= 32 or colors == 6 or (bits.min() == 16 and (colors == 0 or len(bits) == 3)):
                return OddTiff((int(tags[256]), int(tags[257])), colors == 0)
            return None
    except Exception:  # no TIFF, or a damaged one, which Pillow will tell
        return None


def decoded_tiff(path: Path, header: OddTiff) -> NDArray[np.uint8] | None:
    """The picture as (H, W, 3) uint8 RGB, upright, as OpenCV's are; None where it cannot read it."""
    numbers = _decoded(path)
    if numbers is None:
        return None
    photo = 255 - scaled(numbers) if header.from_white else scaled(numbers)
    return photo if photo.ndim == 3 else np.repeat(photo[:, :, None], 3, axis=2)


def _decoded(path: Path) -> NDArray[np.generic] | None:
    """A picture's numbers as they are in the file, (H, W) or (H, W, 3) RGB, by OpenCV; None where it cannot."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # a damaged file would fill the screen
    try:
        deep = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if deep is None or deep.ndim == 2:
        return deep
    return np.ascontiguousarray(deep[:, :, 2::-1]) if deep.shape[2] >= 3 else None
