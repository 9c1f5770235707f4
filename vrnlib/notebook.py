"""Small helpers for the notebooks: pictures that say what they show, and 3D views with a stored picture beside them.

A widget lives only as long as its kernel. So each view also stores a PNG, which is what a reader sees on a page that
runs no code; its alt text describes it to whoever cannot see it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from vrnlib.show import plot_surface, png_bytes, render_views
from vrnlib.surface import Surface
from vrnlib.synthetic.faces import Sample, render_pair


@dataclass(frozen=True, repr=False)
class Picture:
    """The bytes of a PNG file and a sentence about it. Where a page shows no pictures, it shows the sentence."""

    data: bytes
    alt: str

    def __repr__(self) -> str:
        return f"Picture({len(self.data)} bytes, alt={self.alt!r})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"image/png": self.data, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


def picture(content: Any, *, alt: str) -> Picture:
    """A picture to end a cell with.

    Args:
        content: (H, W, 3) uint8 RGB, or a matplotlib figure, which is closed so that it appears once.
        alt: one sentence about what is to be seen.

    Raises:
        ValueError: the sentence is missing or short.
    """
    if len(alt.strip()) <= 20:
        raise ValueError(f"Expected a sentence that describes the picture, got {alt!r}; write what is to be seen.")
    if isinstance(content, np.ndarray):
        data = png_bytes(content)
    else:
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        content.savefig(buffer, format="png", dpi=72, metadata={"Software": None})
        plt.close(content)
        data = buffer.getvalue()
    return Picture(data, alt)


def frontal_sample(seed: int, *, limit: float = 10.0) -> Sample:
    """The first rendered face of a stream that is turned by less than `limit` degrees about every axis.

    Raises:
        ValueError: there is none among the first thousand.
    """
    for index in range(1000):
        sample = render_pair(seed, index)
        if np.abs(sample.pose).max() < limit:
            return sample
    raise ValueError(f"Expected a frontal face among the first 1000 of stream {seed}, found none; raise the limit.")


def view(surface: Surface, *, alt: str, size: int = 240) -> None:
    """Show a surface twice: a k3d widget to turn with the mouse, and a stored picture from three sides."""
    from IPython.display import display

    plot_surface(surface, max_faces=60_000).display()
    sides = ("front", "three-quarter", "side")
    display(picture(render_views(surface, views=sides, size=size, colored=surface.colors is not None), alt=alt))
