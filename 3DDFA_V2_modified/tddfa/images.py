"""Photos from files: whatever a camera, a scanner or a browser wrote becomes one (H, W, 3) uint8 RGB array.

The rules of this module are the image part of the coordinate contract: x right, y down, RGB, pixel centres at
integers, upright (the EXIF rotation is applied, so that the pixels are what a viewer shows).
"""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from .console import sentence

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "PHOTO_SUFFIXES",
    "PhotoError",
    "as_photo",
    "checked_image",
    "list_pictures",
    "read_photo",
]

MIN_SIDE = 32
"""A side below this many pixels cannot hold a face that the networks were made for."""

MAX_PIXELS = 150_000_000
"""12,000 x 9,000 pixels are 108 million; RGB bytes of the limit are 450 MB."""

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")
"""Endings of files that are taken for photos."""

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
if "avif" in features.modules and features.check("avif"):  # Pillow 11.3 and later, where they were built with it
    FORMATS += ("AVIF",)
"""What a file may be, in Pillow's words. Its other readers are left out: that of EPS, for one, starts a program."""


class PhotoError(ValueError):
    """A photo that cannot be used; the message is one sentence for the user."""


def read_photo(
    path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE
) -> NDArray[np.uint8]:
    """Read a photo as (H, W, 3) uint8 RGB, upright.

    Grey, palette, 16-bit (scaled by 1/257, not cut off), CMYK and animated files (first picture) are converted.
    Transparent pixels are laid over white.

    Args:
        path: a file in one of ``FORMATS``, whatever its ending.
        max_pixels: a photo with more pixels in all is refused.
        min_side: a photo with fewer pixels on a side is refused.

    Raises:
        PhotoError: no photo, a damaged one, or one that is too small or too large; one sentence.
    """
    path = Path(path)
    if path.is_dir():
        raise PhotoError(f"{path} is a folder where one photo was expected; name a photo inside it.")
    if not path.exists():
        raise PhotoError(f"{path} does not exist; check the spelling of the photo's path.")
    if not path.is_file():
        raise PhotoError(f"{path} is a device or a pipe where one photo was expected; name a file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large or slightly odd files; the limit below is ours
            with Image.open(path, formats=FORMATS) as picture:
                _check_size(path, picture.size, max_pixels=max_pixels, min_side=min_side)
                picture.load()
                return _to_rgb(ImageOps.exif_transpose(picture))
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(f"{path} has far more than {max_pixels:,} pixels; reduce it and try again.") from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{path} is not a picture that can be read (JPEG, PNG, TIFF, WebP, …).") from error
    except PermissionError as error:
        raise PhotoError(f"{path} may not be read; check its permissions.") from error
    except MemoryError as error:
        raise PhotoError(f"{path} does not fit into memory; reduce it and try again.") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error, …
        reason = sentence(error).rstrip(".")
        raise PhotoError(f"{path} is damaged or cut off and cannot be decoded ({reason}); get it again.") from error


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


def list_pictures(folder: str | PathLike[str]) -> list[Path]:
    """The photos of a folder and its subfolders, sorted, known by their endings; what is hidden is left out."""
    folder = Path(folder)
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _check_size(path: Path, size: tuple[int, int], *, max_pixels: int, min_side: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise PhotoError(f"{path} has {width} x {height} pixels; at most {max_pixels:,} in all can be read, reduce it.")
    if min(width, height) < min_side:
        raise PhotoError(f"{path} has {width} x {height} pixels; at least {min_side} on each side are needed.")


def _to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _grey_to_rgb(np.asarray(picture), sixteen_bit=picture.mode != "F")
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def _grey_to_rgb(values: ArrayLike, *, sixteen_bit: bool) -> NDArray[np.uint8]:
    """Pillow opens 16-bit grey as whole numbers 0…65535, and float TIFFs as 0…1 or 0…255."""
    values = np.nan_to_num(np.asarray(values, dtype=np.float32))
    if sixteen_bit:
        scale = 1 / 257
    else:
        scale = 255.0 if values.max(initial=0.0) <= 1.0 else 1.0
    grey = np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
