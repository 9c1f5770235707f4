"""Small helpers for the notebooks: pictures that say what they show, 3D views, sliders, and a photo of one's own.

A widget lives only as long as its kernel. So each view and each slider also stores a picture, which is what a reader
sees on a page that runs no code. What is to be seen stands below each picture, as JupyterLab shows no alt text of an
output. None of the widgets uses ``interact``, whose output is never the same twice.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from tddfa.arrays import Image
from tddfa.files import write_bytes
from tddfa.images import png_bytes
from vrnlib.images import read_photo
from vrnlib.show import picture_grid, plot_html, plot_surface, render_views
from vrnlib.surface import Surface
from vrnlib.synthetic.faces import Sample, render_pair

#: Runs in the browser: a button, the camera's picture, and one frame of it as a JPEG for Python.
CAMERA = """
function render({ model, el }) {
  const button = document.createElement("button");
  const video = document.createElement("video");
  video.autoplay = true; video.muted = true; video.hidden = true; video.width = 320;
  video.setAttribute("aria-label", "picture of the camera");
  const ready = "Use the camera";
  button.textContent = ready; button.className = "jupyter-button"; button.style.width = "auto";
  let stream = null;
  button.onclick = async () => {
    if (stream === null) {
      try { stream = await navigator.mediaDevices.getUserMedia({ video: true }); }
      catch (error) { button.textContent = "No camera can be used here"; return; }
      video.srcObject = stream; video.hidden = false; button.textContent = "Take the photo";
      return;
    }
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    model.set("frame", canvas.toDataURL("image/jpeg", 0.95)); model.save_changes();
    stream.getTracks().forEach((track) => track.stop());
    stream = null; video.hidden = true; button.textContent = ready;
  };
  el.append(button, document.createElement("br"), video);
}
export default { render };
"""


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
    """Show a surface twice: to turn with the mouse, and as a stored picture from three sides; see `view_plot`."""
    sides = render_views(
        surface, views=("start", "front", "side"), size=size, colored=surface.colors is not None, perspective=True
    )
    view_plot(plot_surface(surface, max_faces=60_000), sides, alt=alt)


def view_plot(plot: Any, still: Any, *, alt: str) -> None:
    """Show a k3d plot as a widget, and below it a stored picture of the same.

    Where the environment's VRN_VIEW_PAGES names a folder, a page in it takes the widget's place, for readers without a
    kernel: the course's site is made so.

    Args:
        plot: of `plot_surface`, with what was added to it.
        still: as the content of `picture`.
        alt: one sentence about both.
    """
    from IPython.display import display

    folder = os.environ.get("VRN_VIEW_PAGES")
    if folder:
        page = plot_html(plot).encode("utf-8")
        name = f"{hashlib.sha256(page).hexdigest()[:12]}.html"
        write_bytes(Path(folder, name), page)
        frame = f'<iframe class="view" src="views/{name}" title="{html.escape(alt)}" loading="lazy"></iframe>'
        display({"text/html": frame, "text/plain": "(a 3D view)"}, raw=True)
    else:
        plot.display()
    display(picture(still, alt=alt))


def sliders(
    draw: Callable[..., Image],
    ranges: Mapping[str, tuple[float, float, float]],
    *,
    start: Mapping[str, float],
    sheet: Mapping[str, Mapping[str, float]],
    alt: str,
    columns: int = 6,
) -> None:
    """Show sliders over a picture, and below them a contact sheet that stays when nothing runs.

    Args:
        draw: called with a value for each name of `ranges`; returns (H, W, 3) uint8 RGB.
        ranges: name → (first, last, step); whole numbers make a slider of whole numbers.
        start: the values at the beginning.
        sheet: title → the values of one picture of the contact sheet.
        alt: one sentence about the contact sheet.
        columns: pictures in a row of the sheet.
    """
    from IPython.display import display
    from ipywidgets import HTML, FloatSlider, IntSlider, VBox

    handles = {}
    for name, (first, last, step) in ranges.items():
        kind = IntSlider if all(isinstance(value, int) for value in (first, last, step)) else FloatSlider
        handles[name] = kind(min=first, max=last, step=step, value=start[name], description=name)
        handles[name].continuous_update = False
    shown = HTML()

    def redraw(_: Any = None) -> None:
        values = {name: handle.value for name, handle in handles.items()}
        said = ", ".join(f"{name} {value:g}" for name, value in values.items())
        shown.value = image_tag(draw(**values), f"The picture for {said}.")

    for handle in handles.values():
        handle.observe(redraw, "value")
    redraw()
    display(VBox([*handles.values(), shown]))
    pictures = [draw(**values) for values in sheet.values()]
    display(picture(picture_grid(pictures, list(sheet), columns=columns), alt=alt))


def own_photo(use: Callable[[Image], Image], *, alt: str) -> None:
    """Buttons to choose a photo, or to take one where the browser has a camera, and what `use` makes of it.

    The photo goes to the kernel and nowhere else; it is not stored in the notebook.

    Args:
        use: gets the photo, (H, W, 3) uint8 RGB, and returns the picture to be shown, of the same form. Its
            ValueErrors (no face, say) are shown as sentences.
        alt: one sentence about that picture.
    """
    from IPython.display import display
    from ipywidgets import HTML, FileUpload, VBox

    upload, camera = FileUpload(accept="image/*", multiple=False, description="Choose photo"), _camera()
    shown = HTML("<p>Choose a photo with one face, or take one. It stays on the machine that runs this notebook.</p>")

    def answer(data: bytes) -> None:
        shown.value = "<p>…</p>"
        try:
            shown.value = image_tag(use(photo_from_bytes(data)), alt)
        except ValueError as error:
            shown.value = f"<p>{html.escape(str(error))}</p>"

    def uploaded(_: Any) -> None:
        files = upload.value.values() if isinstance(upload.value, dict) else upload.value  # ipywidgets 7 and 8
        for file in files:
            answer(bytes(file["content"]))

    upload.observe(uploaded, "value")
    camera.observe(lambda change: answer(base64.b64decode(change["new"].partition(",")[2])), "frame")
    display(VBox([upload, camera, shown]))


def photo_from_bytes(data: bytes) -> Image:
    """The bytes of a photo's file as (H, W, 3) uint8 RGB, upright.

    Raises:
        PhotoError: they are no photo.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo")
        path.write_bytes(data)
        return read_photo(path)


def image_tag(content: Image, alt: str) -> str:
    """The picture as an HTML image that needs no file."""
    data = base64.b64encode(png_bytes(np.ascontiguousarray(content))).decode("ascii")
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt, quote=True)}" style="max-width: 100%">'


def _camera() -> Any:
    import anywidget
    import traitlets

    class Camera(anywidget.AnyWidget):
        _esm = CAMERA
        frame = traitlets.Unicode("").tag(sync=True)

    return Camera()
