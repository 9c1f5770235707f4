"""Small helpers for the notebooks: pictures that say what they show, and 3D views with a stored picture beside them.

A widget lives only as long as its kernel. So each view also stores a picture, which is what a reader sees on a page
that runs no code. What is to be seen stands below each picture, as JupyterLab shows no alt text of an output.
"""

from __future__ import annotations

import hashlib
import html
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from tddfa.files import write_bytes
from vrnlib.show import k3d_html, plot_surface, png_bytes, render_views
from vrnlib.surface import Surface
from vrnlib.synthetic.faces import Sample, render_pair


@dataclass(frozen=True, repr=False)
class Picture:
    """The bytes of a PNG or JPEG file and a sentence about it, which is shown as its caption."""

    data: bytes
    alt: str

    def __repr__(self) -> str:
        return f"Picture({len(self.data)} bytes, alt={self.alt!r})"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        kind = "image/png" if self.data.startswith(b"\x89PNG") else "image/jpeg"
        display({kind: self.data, "text/plain": "(a picture)"}, metadata={kind: {"alt": self.alt}}, raw=True)
        caption = f'<figcaption style="opacity: 0.75">{html.escape(self.alt)}</figcaption>'
        display({"text/html": caption, "text/plain": self.alt}, raw=True)


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
        data = _smaller(content)
    else:
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        content.savefig(buffer, format="png", dpi=72, metadata={"Software": None})
        plt.close(content)
        data = buffer.getvalue()
    return Picture(data, alt)


def _smaller(content: np.ndarray) -> bytes:
    """PNG, or JPEG where that is less than half as large: photographs, which make a notebook heavy."""
    png, buffer = png_bytes(content), io.BytesIO()
    PIL.Image.fromarray(content).save(buffer, format="JPEG", quality=88)
    return buffer.getvalue() if buffer.tell() < len(png) / 2 else png


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
    """Show a surface twice: a k3d widget to turn with the mouse, and a stored picture from three sides.

    Where the environment's VRN_VIEW_PAGES names a folder, a page in it takes the widget's place, for readers without a
    kernel: the course's site is made so.
    """
    from IPython.display import display

    folder = os.environ.get("VRN_VIEW_PAGES")
    if folder:
        page = k3d_html(surface, max_faces=60_000).encode("utf-8")
        name = f"{hashlib.sha256(page).hexdigest()[:12]}.html"
        write_bytes(Path(folder, name), page)
        frame = f'<iframe class="view" src="views/{name}" title="{html.escape(alt)}" loading="lazy"></iframe>'
        display({"text/html": frame, "text/plain": "(a 3D view)"}, raw=True)
    else:
        plot_surface(surface, max_faces=60_000).display()
    sides = render_views(
        surface, views=("start", "front", "side"), size=size, colored=surface.colors is not None, perspective=True
    )
    display(picture(sides, alt=alt))
