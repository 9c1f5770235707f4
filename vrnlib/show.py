"""Looking at results: pictures from our own renderer, and interactive views with k3d.

Pictures are (H, W, 3) uint8 RGB arrays. A view turns the surface about the middle of its box; the camera is
orthographic, so that a crop pixel has the same length everywhere and in every view of one call. Interactive views have
one camera, the same in JupyterLab, in a saved page and in the picture beside them: from far off and with a narrow field
of view, so that it shows the whole face as a portrait does. Colours that are to be told apart are orange and blue.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

from tddfa.arrays import Floats, Image
from tddfa.geometry import rotation_matrix
from tddfa.raster import interpolate, rasterize
from vrnlib.crop import Crop
from vrnlib.landmarks import Landmarks
from vrnlib.surface import Surface, simplify, upright

#: Name → (yaw, pitch) in degrees: how the surface is turned in front of the camera.
VIEWS = {
    "front": (0.0, 0.0),
    "three-quarter": (35.0, 10.0),
    "side": (90.0, 0.0),
    "other side": (-90.0, 0.0),
    "above": (0.0, 90.0),
    "below": (0.0, -90.0),
    "start": (-20.0, 7.0),  # how an interactive view begins
}
FIELD_OF_VIEW = 20.0
"""Of the camera of interactive views, from the lower to the upper edge, degrees."""
DISTANCE = 6.0
"""Of that camera from the middle, in radii of the surface; at 5.8 the ball around it touches both edges."""
ORANGE, BLUE = (255, 140, 0), (30, 120, 255)
LIGHT = np.array([-0.35, -0.55, 0.76])
WHITE = (255, 255, 255)


def view_rotation(yaw: float, pitch: float) -> NDArray[np.float64]:
    """(3, 3) rotation of contract axes, degrees. Yaw 90 turns the nose to the right, pitch 90 shows the top.

    >>> (view_rotation(90, 0) @ [0, 0, 1]).round(6).tolist()  # the nose
    [1.0, 0.0, 0.0]
    """
    flip = np.array([1.0, -1.0, 1.0])  # between model axes, where y runs up, and the contract's
    return flip[:, None] * rotation_matrix(yaw, pitch, 0.0) * flip


def render_views(
    surface: Surface,
    *,
    views: Sequence[str | tuple[float, float]] = ("front", "three-quarter", "side", "above"),
    size: int = 256,
    colored: bool = False,
    perspective: bool = False,
) -> Image:
    """The surface from several directions, side by side, on white.

    Args:
        surface: in crop pixels.
        views: names of `VIEWS` or (yaw, pitch) in degrees.
        size: side of each picture, pixels.
        colored: with the surface's own colours; else grey, by Lambert's cosine law.
        perspective: through the camera of `plot_surface`, which shows depth as the interactive view does.

    Returns:
        (size, size * len(views), 3).

    Raises:
        ValueError: an unknown view, or colours are wanted and there are none.
    """
    colors = surface.colors if colored else None
    if colored and colors is None:
        raise ValueError("Expected a surface with colours, got none; call vrnlib.surface.color_surface first.")
    unknown = [view for view in views if isinstance(view, str) and view not in VIEWS]
    if unknown:
        raise ValueError(f"Expected views out of {', '.join(VIEWS)}, got {unknown[0]!r}.")
    rotations = [view_rotation(*(VIEWS[view] if isinstance(view, str) else view)) for view in views]
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    centred = surface.vertices.astype(np.float64) - (low + high) / 2
    normals = surface.normals().astype(np.float64)
    turned = [centred @ rotation.T for rotation in rotations]
    reach = max(float(np.abs(one[:, :2]).max()) for one in turned) / 0.92
    if perspective:
        distance = DISTANCE * float(np.linalg.norm(centred, axis=1).max())
        turned = [np.hstack([one[:, :2] * distance / (distance - one[:, 2:]), one[:, 2:]]) for one in turned]
        reach = distance * math.tan(math.radians(FIELD_OF_VIEW / 2))

    fine = 2 * size
    faces = np.ascontiguousarray(surface.faces[:, ::-1])  # the renderer's order of a face's corners
    pictures = []
    for rotation, points in zip(rotations, turned, strict=True):
        points = points * (0.5 * fine / max(reach, 1e-6))
        points[:, :2] += (fine - 1) / 2
        cosine = np.maximum((normals @ rotation.T) @ (LIGHT / np.linalg.norm(LIGHT)), 0)[:, None]
        if colors is not None:
            paint = colors / 255.0 * (0.75 + 0.25 * cosine)
        else:
            paint = (0.06 + 0.62 * cosine) ** (1 / 2.2) * np.ones(3)
        points = np.ascontiguousarray(points, dtype=np.float32)
        buffers = rasterize(points, faces, fine, fine)
        picture = interpolate(np.ascontiguousarray(paint, dtype=np.float32), faces, buffers, 1.0)
        picture = picture.reshape(size, 2, size, 2, 3).mean(axis=(1, 3))
        pictures.append(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.concatenate(pictures, axis=1)


def draw_landmarks(
    image: Image, faces: Landmarks | Sequence[Landmarks] | Floats, *, longest: int | None = None
) -> Image:
    """The picture with boxes and 68 dots drawn in; a copy.

    Args:
        image: (H, W, 3).
        faces: one `Landmarks` or several, or (68, 2|3) points (drawn without a box), pixels of the image.
        longest: reduce the copy to so many pixels on the longer side.
    """
    picture = PIL.Image.fromarray(image)
    scale = 1.0
    if longest is not None and max(picture.size) > longest:
        scale = longest / max(picture.size)
        picture = picture.resize([max(1, round(side * scale)) for side in picture.size], PIL.Image.Resampling.BOX)
    else:
        picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    for face in [faces] if isinstance(faces, (Landmarks, np.ndarray)) else faces:
        points = (np.asarray(getattr(face, "points", face))[:, :2] + 0.5) * scale - 0.5
        extent = float((points.max(axis=0) - points.min(axis=0)).max())
        radius = max(1.5, extent / 110)
        if isinstance(face, Landmarks):
            corners = [(value + 0.5) * scale - 0.5 for value in face.box]
            draw.rectangle(corners, outline=(255, 200, 0), width=max(2, round(extent / 120)))
        for x, y in points:
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=BLUE)
    return np.array(picture)


def draw_errors(image: Image, found: Floats, truth: Floats | None = None, *, enlarge: int = 2) -> Image:
    """The picture, enlarged, with found landmarks in orange, true ones in blue and lines between: a copy.

    Args:
        image: (H, W, 3).
        found: (N, 2|3), pixels of the image.
        truth: (N, 2|3), row by row the same landmarks.
        enlarge: how many times.

    Raises:
        ValueError: not as many true landmarks as found ones.
    """
    if truth is not None and len(found) != len(truth):
        raise ValueError(f"Expected as many found as true landmarks, got {len(found)} and {len(truth)}; pair them.")
    size = (image.shape[1] * enlarge, image.shape[0] * enlarge)
    picture = PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BICUBIC)
    draw, radius = ImageDraw.Draw(picture), max(2.0, max(size) / 200)
    layers = [(found, ORANGE)] if truth is None else [(truth, BLUE), (found, ORANGE)]
    layers = [((np.asarray(points)[:, :2] + 0.5) * enlarge - 0.5, color) for points, color in layers]
    for start, end in zip(layers[0][0], layers[-1][0], strict=True):
        draw.line([*start, *end], fill=WHITE, width=max(1, round(radius / 2)))
    for points, color in layers:
        for x, y in points:
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)
    return np.array(picture)


def summary_picture(photo: Image, landmarks: Landmarks, crop: Crop, surface: Surface, *, size: int = 288) -> Image:
    """Everything at a glance, (H, W, 3) uint8: photo with box and landmarks, crop, coloured and grey views."""
    grey = render_views(surface, views=("front", "three-quarter", "side", "above"), size=size)
    panels = [
        ("photo", _fit(draw_landmarks(photo, landmarks, longest=2 * size), size)),
        ("crop", _fit(crop.image, size)),
    ]
    if surface.colors is not None:
        color = render_views(surface, views=("front", "three-quarter"), size=size, colored=True)
        panels += [("surface, coloured", color[:, :size]), ("three-quarter, coloured", color[:, size:])]
    for number, name in enumerate(("front", "three-quarter", "side", "above")):
        panels.append((name, grey[:, number * size : (number + 1) * size]))
    return picture_grid([panel for _, panel in panels], [name for name, _ in panels], columns=4)


def picture_grid(pictures: Sequence[Image], titles: Sequence[str], *, columns: int = 4, gap: int = 8) -> Image:
    """Pictures in a grid with a title over each, on white; the largest sets the cells' size, others are centred.

    Args:
        pictures: (H, W, 3), or grey (H, W).
        titles: one for each picture.
        columns: how many at most.
        gap: pixels between pictures.

    Raises:
        ValueError: there is no picture.
    """
    if len(pictures) == 0:
        raise ValueError("Expected at least one picture for the grid, got none.")
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    title = 22
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = PIL.Image.new("RGB", (columns * (width + gap) + gap, rows * (height + gap + title) + gap), WHITE)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for number, (picture, text) in enumerate(zip(pictures, titles, strict=True)):
        x = gap + number % columns * (width + gap)
        y = gap + number // columns * (height + gap + title)
        draw.text((x + 2, y + 2), text, fill=(40, 40, 40), font=font)
        inset = (width - picture.shape[1]) // 2, (height - picture.shape[0]) // 2
        sheet.paste(PIL.Image.fromarray(picture), (x + inset[0], y + title + inset[1]))
    return np.array(sheet)


def plot_surface(surface: Surface, *, max_faces: int = 250_000) -> Any:
    """An interactive k3d plot of the surface, upright, as the view "start" shows it. Show it with `.display()`.

    Surfaces with more than `max_faces` faces are simplified, so that the widget stays below 10 MB.
    """
    import k3d

    turned = upright(simplify(surface, max_faces=max_faces))
    if turned.colors is None:
        packed = np.full(len(turned.vertices), 0xB8B8B8, dtype=np.uint32)
    else:
        red, green, blue = turned.colors.astype(np.uint32).T
        packed = (red << 16) | (green << 8) | blue
    middle = (turned.vertices.min(axis=0) + turned.vertices.max(axis=0)) / 2
    plot = k3d.plot(grid_visible=False, camera_auto_fit=False, camera_fov=FIELD_OF_VIEW, height=560)
    plot += k3d.mesh(
        turned.vertices,
        turned.faces.astype(np.uint32),
        colors=packed,
        flat_shading=False,
        side="double",
        name="face",
    )
    away = DISTANCE * float(np.linalg.norm(turned.vertices - middle, axis=1).max())
    direction = view_rotation(*VIEWS["start"])[2] * [1, -1, 1]  # from the middle to the camera, y up
    plot.camera = [*(middle + away * direction).tolist(), *middle.tolist(), 0.0, 1.0, 0.0]
    return plot


def k3d_html(surface: Surface, *, max_faces: int = 250_000) -> str:
    """A page that shows the surface in any browser, also offline (2 to 6 MB); the same surface gives the same page."""
    return plot_html(plot_surface(surface, max_faces=max_faces))


def plot_html(plot: Any) -> str:
    """A page that shows a k3d plot without a kernel: the viewer's own code is in it. The plot is closed.

    The same plot gives the same page: k3d's numbers of the objects, addresses in memory, are made 1, 2, …, and the time
    in the title is left out. Widgets that are not closed are kept by ipywidgets, with all their data, for ever.
    """
    from ipywidgets import Widget

    try:
        plot.snapshot_type = "full"
        for number, one in enumerate(plot.objects, 1):
            one.id = number
        page = plot.get_snapshot(compression_level=5)  # 9 takes five times as long for 1 % less
    finally:
        for one in (*plot.objects, plot):
            for part in (one.layout, one):
                Widget.close(part)  # a plot's own `close` does something else
    return re.sub(r" ?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "", page, count=1)


def _fit(picture: Image, size: int) -> Image:
    """The picture scaled into a white size x size square."""
    image = PIL.Image.fromarray(picture)
    scale = size / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size], PIL.Image.Resampling.LANCZOS)
    sheet = PIL.Image.new("RGB", (size, size), WHITE)
    sheet.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return np.array(sheet)
