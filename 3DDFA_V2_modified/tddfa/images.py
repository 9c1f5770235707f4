"""What a photo must look like in memory."""

import numpy as np

__all__ = ["checked_image"]


def checked_image(image: np.ndarray) -> np.ndarray:
    """The image, C-contiguous, when it is (H, W, 3) uint8 with at least one pixel, else a ValueError that says so."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(
            f"Expected an image of shape (H, W, 3) uint8 in RGB, got {image.shape} {image.dtype}; convert it first."
        )
    return np.ascontiguousarray(image)
