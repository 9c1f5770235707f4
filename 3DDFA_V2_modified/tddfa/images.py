"""Photos from files: whatever a camera, a scanner or a browser wrote becomes one (H, W, 3) uint8 RGB array.

The rules of this module are the image part of the coordinate contract: x right, y down, RGB, pixel centres at
integers, upright (the EXIF rotation is applied, so that the pixels are what a viewer shows).
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, features
from PIL.PngImagePlugin import PngInfo

from .console import Note, sentence
from .decoding import brighten_12_bits, decoded_tiff, odd_tiff, to_rgb
from .files import check_file, is_address, read_file

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "PHOTO_SUFFIXES",
    "PhotoError",
    "as_photo",
    "checked_image",
    "is_own_picture",
    "list_photos",
    "png_bytes",
    "read_photo",
    "tell_left_out",
]

MIN_SIDE = 32
"""A side below this many pixels cannot hold a face that the networks were made for."""

MAX_PIXELS = 150_000_000
"""12,000 x 9,000 pixels are 108 million; RGB bytes of the limit are 450 MB."""

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")
"""A file with one of these endings wants to be a photo: when it is none, whoever reads it is told."""

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
if "avif" in features.modules and features.check("avif"):  # Pillow 11.3 and later, where they were built with it
    FORMATS += ("AVIF",)
try:  # phones' HEIC, where the reader is installed
    from pillow_heif import register_heif_opener
except ImportError:
    pass
else:
    register_heif_opener()
    FORMATS += ("HEIF",)
"""What a file may be, in Pillow's words. Its other readers are left out: that of EPS, for one, starts a program."""

OWN = "vrn "
"""What the text chunk "Software" of a PNG picture of ours begins with."""

LARGEST_OWN = 2**28
"""Bytes of a file that is looked at for whether it is one of ours."""


SCAN, END = b"\xff\xda", b"\xff\xd9"
"""JPEG's marks before the pixels and behind them; among the pixels neither can occur."""

MAX_MISSING = 0.05
"""The share of its rows that a JPEG which was cut off may lack."""


class PhotoError(ValueError):
    """A photo that cannot be used; the message is one sentence for the user."""


def read_photo(
    path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE
) -> NDArray[np.uint8]:
    """Read a photo as (H, W, 3) uint8 RGB, upright.

    Palette, CMYK and animated files (first picture) are converted, those of 12 and 16 bits and of floats scaled by
    their range. Transparent pixels are laid over white. A JPEG that lacks its last bytes is read, with a
    :class:`~tddfa.console.Note`.

    Args:
        path: a file in one of ``FORMATS``, whatever its ending.
        max_pixels: a photo with more pixels in all is refused.
        min_side: a photo with fewer pixels on a side is refused.

    Raises:
        PhotoError: no photo, a damaged one, or one that is too small or too large; one sentence.
    """
    path = Path(path)
    if is_address(path) and not path.exists():
        raise PhotoError(f"{path} is an address; download the photo and name the file.")
    if path.is_dir():
        raise PhotoError(f"{path} is a folder where one photo was expected; name a photo inside it.")
    if not path.exists():
        raise PhotoError(f"{path} does not exist; check the spelling of the photo's path.")
    if not path.is_file():
        raise PhotoError(f"{path} is a device or a pipe where one photo was expected; name a file.")
    cut_off = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large or slightly odd files; the limit below is ours
            header = odd_tiff(path)
            if header is not None:
                _check_size(path, header.size, max_pixels=max_pixels, min_side=min_side)
                decoded = decoded_tiff(path, header)
                if decoded is not None:
                    return decoded
            with Image.open(path, formats=FORMATS) as picture:
                _check_size(path, picture.size, max_pixels=max_pixels, min_side=min_side)
                if picture.format == "JPEG" and _lacks_its_end(data := path.read_bytes()):
                    cut_off, photo = True, _almost_whole(path, data)
                else:
                    picture.load()
                    brighten_12_bits(path, picture)
                    photo = to_rgb(picture)
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{path} has far more than {max_pixels:,} pixels; reduce it and try again.") from error
    except UnidentifiedImageError as error:
        if _is_heic(path):
            raise PhotoError(
                f"{path} is a HEIC photo, as phones take them; type pip install pillow-heif, or save it as JPEG."
            ) from error
        raise PhotoError(f"{path} is not a picture that can be read (JPEG, PNG, TIFF, WebP, …).") from error
    except PermissionError as error:
        raise PhotoError(f"{path} may not be read; check its permissions.") from error
    except MemoryError as error:
        raise PhotoError(f"{path} does not fit into memory; reduce it and try again.") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error, …
        reason = sentence(error).rstrip(".")
        raise PhotoError(f"{path} is damaged or cut off and cannot be decoded ({reason}); get it again.") from error
    if cut_off:
        warnings.warn(Note(f"{path} is cut off; its last rows are missing."), stacklevel=2)
    return photo


def checked_image(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image, C-contiguous, when it is (H, W, 3) uint8 with at least one pixel.

    Raises:
        PhotoError: another shape or type.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise PhotoError(
            f"Expected an image of shape (H, W, 3) uint8 in RGB, got {image.shape} {image.dtype}; read_photo gives one."
        )
    return np.ascontiguousarray(image)


def as_photo(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image in memory as a photo that a face can be looked for in: (H, W, 3) uint8 RGB, C-contiguous.

    Args:
        image: (H, W, 3) uint8 RGB, or grey (H, W), which is repeated.

    Raises:
        PhotoError: another type or shape, or a side below ``MIN_SIDE``.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    image = checked_image(image)
    if min(image.shape[:2]) < MIN_SIDE:
        height, width = image.shape[:2]
        raise PhotoError(f"The image has {width} x {height} pixels; at least {MIN_SIDE} on each side are needed.")
    return image


def list_photos(folder: str | PathLike[str], *, recursive: bool = False) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The photos of a folder, known by what the files hold, not by their names.

    Args:
        folder: is only read. What is hidden in it (a name with a dot) is not looked at.
        recursive: its subfolders, too.

    Returns:
        The photos, sorted, and the files that are left out, each with the reason. Damaged photos are among the photos:
        whoever reads them is told.
    """
    folder = Path(folder)
    photos, left_out = [], []
    for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or path.is_dir():
            continue
        reason = _why_no_photo(path)
        if reason is None:
            photos.append(path)
        else:
            left_out.append((path, reason))
    return photos, left_out


def tell_left_out(left_out: Sequence[tuple[Path, str]]) -> None:
    """Say on stderr which files of a folder are left out, and why: the first four, and how many more."""
    if left_out:
        some = ", ".join(f"{path.name} ({reason})" for path, reason in left_out[:4])
        more = f" and {len(left_out) - 4} more" if len(left_out) > 4 else ""
        print(f"left out: {some}{more}", file=sys.stderr)


def is_own_picture(path: str | PathLike[str]) -> bool:
    """Whether a PNG file is a picture that one of our commands made: it says so, or the .json beside it does."""
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures
            with Image.open(check_file(path, largest=LARGEST_OWN, what="a picture"), formats=["PNG"]) as picture:
                if str(picture.info.get("Software", "")).startswith(OWN):
                    return True
        about = json.loads(read_file(path.with_suffix(".json"), largest=LARGEST_OWN, what="a .json"))
        return "volume" in about and "matrix" in about  # a reconstruction of before the mark
    except Exception:  # no PNG, no JSON, other JSON, not readable, …
        return False


def png_bytes(picture: NDArray[np.uint8], *, software: str | None = None) -> bytes:
    """A picture as the bytes of a PNG file; with the program's name in it, :func:`is_own_picture` knows it."""
    buffer, text = io.BytesIO(), PngInfo()
    if software is not None:
        text.add_text("Software", software)
    Image.fromarray(picture).save(buffer, format="PNG", pnginfo=text)
    return buffer.getvalue()


def _why_no_photo(path: Path) -> str | None:
    """The reason to leave a file of a folder out; None for a photo."""
    if not path.is_file():
        return "a device, a pipe or a broken link"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS):
                pass
    except UnidentifiedImageError:
        if path.suffix.lower() in PHOTO_SUFFIXES:
            return None
        return "a HEIC photo; type pip install pillow-heif to read it" if _is_heic(path) else "no picture"
    except Exception:  # a damaged or too large picture: reading it gives the sentence
        return None
    return "a result of this program" if is_own_picture(path) else None


def _is_heic(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(12)[4:] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc", b"ftypmsf1")


def _lacks_its_end(jpeg: bytes) -> bool:
    """Whether pixels begin after the last end; of a whole file only the few bytes from its end on are looked at."""
    return jpeg.find(SCAN, max(jpeg.rfind(END), 0)) >= 0


def _almost_whole(path: Path, data: bytes) -> NDArray[np.uint8]:
    """A JPEG without its end, when hardly a row is missing: the decoder gives the last one again and again."""
    data += END
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        rows = np.asarray(picture.convert("L"))
        missing = int(np.argmin((rows == rows[-1]).all(axis=1)[::-1]))
        if missing > MAX_MISSING * len(rows):
            raise PhotoError(f"{path} lacks more than its last rows; get it again.")
        return to_rgb(picture)


def _check_size(path: Path, size: tuple[int, int], *, max_pixels: int, min_side: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise PhotoError(f"{path} has {width} x {height} pixels; at most {max_pixels:,} in all can be read, reduce it.")
    if min(width, height) < min_side:
        raise PhotoError(f"{path} has {width} x {height} pixels; at least {min_side} on each side are needed.")
