"""Frames from a camera, and whether a window can show them. OpenCV reads; its BGR stays in here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np

from .arrays import Image
from .video import Closing, VideoError

__all__ = ["Camera", "check_display"]


class Camera(Closing):
    """Frames (H, W, 3) uint8 RGB of a camera, as they come, until it ends.

    Args:
        number: of the camera, from 0.

    Raises:
        VideoError: no such camera; while iterating, when it gives no frame.
    """

    def __init__(self, number: int) -> None:
        self.name, self._capture = f"camera {number}", cv2.VideoCapture(number)
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(
                f"{self.name} cannot be opened; check that it is plugged in, free, and try another number."
            )

    def __iter__(self) -> Iterator[Image]:
        there, bgr = self._capture.read()
        if not there:
            raise VideoError(f"{self.name} gives no picture; check that no other program holds it.")
        while there and bgr is not None:
            yield np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
            there, bgr = self._capture.read()

    def close(self) -> None:
        """Gives the camera back."""
        self._capture.release()


def check_display() -> None:
    """Makes sure that a window can be opened.

    OpenCV ends the whole process when it finds no display, so another process tries it.

    Raises:
        VideoError: no window can be opened.
    """
    trial = "import cv2; cv2.namedWindow('trial'); cv2.destroyAllWindows()"
    try:
        done = subprocess.run([sys.executable, "-c", trial], capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        raise VideoError(
            "A webcam's picture is shown in a window, and none can be opened here (a server, a container, ssh without "
            "-X, or an OpenCV without windows); run it on a desktop, or record a file first."
        )
