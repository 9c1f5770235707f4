"""Photos from files, and the photos of a folder.

What a camera, a scanner or a browser wrote becomes one (H, W, 3) uint8 RGB array, upright, by `tddfa.images`: the
volume targets are made from photos, too, so the reader lives there.
"""

from tddfa.images import MAX_PIXELS, MIN_SIDE, PHOTO_SUFFIXES, PhotoError, as_photo, list_photos, read_photo

__all__ = ["MAX_PIXELS", "MIN_SIDE", "PHOTO_SUFFIXES", "PhotoError", "as_photo", "list_photos", "read_photo"]
