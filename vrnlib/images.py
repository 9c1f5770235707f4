"""Photos from files: whatever a camera, a scanner or a browser wrote becomes one (H, W, 3) uint8 RGB array.

The rules of this module are the image part of the coordinate contract: x right, y down, RGB, pixel centres at
integers, upright (the EXIF rotation is applied, so that the pixels are what a viewer shows).
"""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: A side below this many pixels cannot hold a face that the networks were made for.
MIN_SIDE = 32
#: 12,000 x 9,000 pixels are 108 million; RGB bytes of the limit are 450 MB.
MAX_PIXELS = 150_000_000

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")


class PhotoError(ValueError):
    """A photo that cannot be used; the message is one sentence for the user."""


def read_photo(path: str | PathLike[str], *, max_pixels: int = MAX_PIXELS, min_side: int = MIN_SIDE) -> np.ndarray:
    """Read a photo as (H, W, 3) uint8 RGB, upright.

    Grey, palette, 16-bit (scaled by 1/257, not cut off), CMYK and animated files (first picture) are converted.
    Transparent pixels are laid over white. Raises PhotoError, one sentence, for what is no photo, is damaged,
    is smaller than `min_side` on a side or has more than `max_pixels` pixels.
    """
    path = Path(path)
    if path.is_dir():
        raise PhotoError(f"{path} is a folder where one photo was expected; name a photo inside it.")
    if not path.exists():
        raise PhotoError(f"{path} does not exist; check the spelling of the photo's path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large or slightly odd files; the limit below is ours
            with Image.open(path) as picture:
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
        reason = " ".join(str(error).split()).rstrip(".")
        raise PhotoError(f"{path} is damaged or cut off and cannot be decoded ({reason}); get it again.") from error


def as_photo(image: np.ndarray) -> np.ndarray:
    """Check an image that is in memory already: (H, W, 3) uint8 RGB; grey (H, W) is accepted and repeated.

    Raises PhotoError for another type or shape, or a side below MIN_SIDE.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise PhotoError(
            f"Expected an image as (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}; "
            "read files with vrnlib.images.read_photo."
        )
    if min(image.shape[:2]) < MIN_SIDE:
        height, width = image.shape[:2]
        raise PhotoError(f"The image has {width} x {height} pixels; at least {MIN_SIDE} on each side are needed.")
    return np.ascontiguousarray(image)


def list_photos(folder: str | PathLike[str]) -> list[Path]:
    """The photos of a folder (not of its subfolders) in alphabetical order, known by their file endings.

    Pictures that `vrnlib.reconstruct.save` put there (a .npz and a .json lie beside them) are left out.
    """
    found = []
    for path in sorted(Path(folder).iterdir()):
        if not path.is_file() or path.suffix.lower() not in PHOTO_SUFFIXES or path.name.startswith("."):
            continue
        if path.with_suffix(".npz").exists() and path.with_suffix(".json").exists():
            continue
        found.append(path)
    return found


def _check_size(path: Path, size: tuple[int, int], *, max_pixels: int, min_side: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise PhotoError(f"{path} has {width} x {height} pixels; at most {max_pixels:,} in all can be read, reduce it.")
    if min(width, height) < min_side:
        raise PhotoError(f"{path} has {width} x {height} pixels; at least {min_side} on each side are needed.")


def _to_rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _grey_to_rgb(np.asarray(picture), sixteen_bit=picture.mode != "F")
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def _grey_to_rgb(values: np.ndarray, *, sixteen_bit: bool) -> np.ndarray:
    """Pillow opens 16-bit grey as whole numbers 0…65535, and float TIFFs as 0…1 or 0…255."""
    values = np.nan_to_num(np.asarray(values, dtype=np.float32))
    if sixteen_bit:
        scale = 1 / 257
    else:
        scale = 255.0 if values.max(initial=0.0) <= 1.0 else 1.0
    grey = np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
