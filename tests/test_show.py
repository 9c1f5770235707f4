"""Pictures show the surface from the side that their name says, and the page needs no network."""

import gc
import re
import weakref

import numpy as np
import pytest

from tddfa.images import png_bytes
from vrnlib import show
from vrnlib.crop import crop_face
from vrnlib.landmarks import Landmarks
from vrnlib.show import (
    VIEWS,
    draw_errors,
    draw_landmarks,
    k3d_html,
    picture_grid,
    plot_surface,
    render_views,
    summary_picture,
)
from vrnlib.show import view_rotation as rotation
from vrnlib.surface import color_surface, extract_surface


@pytest.fixture(scope="module")
def head():
    """A block with a 'nose' towards the camera and a 'hat' to the right of the top, red left and blue right."""
    volume = np.zeros((200, 192, 192), bool)
    volume[70:120, 50:140, 60:130] = True
    volume[120:160, 90:110, 90:100] = True
    volume[70:120, 30:50, 110:130] = True
    image = np.zeros((192, 192, 3), np.uint8)
    image[:, :95] = (230, 0, 0)
    image[:, 95:] = (0, 0, 230)
    return color_surface(extract_surface(volume), image)


def mask(picture):
    return (picture < 250).any(axis=2)


def test_views_are_rotations():
    for yaw, pitch in VIEWS.values():
        matrix = rotation(yaw, pitch)
        assert np.allclose(matrix @ matrix.T, np.eye(3))
        assert np.linalg.det(matrix) == pytest.approx(1)
    assert np.allclose(rotation(90, 0) @ [0, 0, 1], [1, 0, 0])  # the nose turns to the right
    assert np.allclose(rotation(0, 90) @ [0, -1, 0], [0, 0, 1])  # the top turns towards the camera


def test_front_view(head):
    picture = render_views(head, views=["front"], size=160)
    assert picture.shape == (160, 160, 3)
    inside = mask(picture)
    top = inside[: 160 // 2].any(axis=1).argmax()
    hat = inside[top + 3]
    assert np.where(hat)[0].mean() > 85  # the hat is up and to the right: nothing is mirrored


def test_side_view_shows_the_nose_to_the_right(head):
    inside = mask(render_views(head, views=["side"], size=160))
    columns = np.where(inside.any(axis=0))[0]
    assert inside[:, columns[-1] - 3].sum() < 0.5 * inside[:, columns[0] + 3].sum()


def test_above_view_shows_the_nose_below(head):
    inside = mask(render_views(head, views=["above"], size=160))
    rows = np.where(inside.any(axis=1))[0]
    assert inside[rows[-1] - 3].sum() < 0.5 * inside[rows[0] + 3].sum()


def test_colours_are_rgb_and_on_their_side(head):
    picture = render_views(head, views=["front"], size=160, colored=True).astype(int)
    middle = picture[80]
    assert middle[55, 0] > middle[55, 2] + 80
    assert middle[105, 2] > middle[105, 0] + 80


def test_light_falls_from_the_front(head):
    grey = render_views(head, views=["front"], size=160)
    assert (np.ptp(grey.astype(int), axis=2) == 0).all()
    assert grey[80, 60, 0] > 150


def test_errors(head):
    with pytest.raises(ValueError, match="behind"):
        render_views(head, views=["behind"])
    with pytest.raises(ValueError, match="color_surface"):
        render_views(extract_surface(np.ones((9, 9, 9))), colored=True)


def test_landmarks_are_drawn_where_they_are():
    image = np.zeros((300, 400, 3), np.uint8)
    points = np.random.default_rng(0).uniform(100, 200, (68, 2)).astype(np.float32)
    picture = draw_landmarks(image, Landmarks.from_points(points))
    assert not image.any()  # a copy
    for x, y in points[:10]:
        assert tuple(picture[round(y), round(x)]) == show.BLUE
    assert draw_landmarks(image, points, longest=200).shape == (150, 200, 3)


def test_summary_and_png(head):
    points = np.random.default_rng(0).uniform(100, 200, (68, 3)).astype(np.float32)
    photo = np.full((300, 400, 3), 128, np.uint8)
    crop = crop_face(photo, points)
    picture = summary_picture(photo, Landmarks.from_points(points), crop, head, size=96)
    assert picture.dtype == np.uint8
    assert picture.shape[1] > 4 * 96
    assert png_bytes(picture).startswith(b"\x89PNG")


def test_a_grid_takes_pictures_of_different_sizes():
    sheet = picture_grid([np.zeros((40, 60, 3), np.uint8), np.zeros((50, 20), np.uint8)], ["a", "b"])
    assert sheet.shape == (50 + 22 + 16, 2 * 60 + 24, 3)
    assert (sheet[22:] == 0).all(axis=2).sum() >= 40 * 60 + 50 * 20
    with pytest.raises(ValueError):
        picture_grid([], [])


def test_k3d_page_is_self_contained(head):
    page = k3d_html(head)
    assert page.lstrip().lower().startswith("<!doctype html") or "<html" in page[:500].lower()
    assert len(page) < 10e6
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=[\"']https?:", page)


def test_k3d_page_is_the_same_at_any_time_and_place_in_memory(head):
    first = k3d_html(head)
    kept = plot_surface(head)  # the next mesh gets another address
    second = k3d_html(head)
    assert kept.objects[0].id > 1
    assert second == first
    assert not re.search(r"\d\d:\d\d:\d\d", re.search("<title>.*?</title>", first)[0])


def test_k3d_page_leaves_no_widget_behind(head, monkeypatch):
    from ipywidgets.widgets import widget

    plots = []

    def watched(*args, **options):
        plot = plot_surface(head, **options)
        plots.append(weakref.ref(plot))
        return plot

    monkeypatch.setattr(show, "plot_surface", watched)
    before = len(widget._instances)
    k3d_html(head)
    gc.collect()
    assert len(widget._instances) == before
    assert plots and plots[0]() is None


def test_k3d_plot_is_upright_and_colours_are_rgb(head):
    plot = plot_surface(head)
    (mesh,) = plot.objects
    vertices, colors = np.asarray(mesh.vertices), np.asarray(mesh.colors)
    nose = vertices[vertices[:, 2] > 20]
    assert abs(nose[:, 1]).max() < 20
    hat = vertices[vertices[:, 1] > 50]
    assert hat[:, 0].min() > 0
    assert (colors[vertices[:, 0] < -2] == 0xE60000).all()
    assert plot.camera[2] > 0  # the camera stands in front
    assert list(plot.camera[6:]) == [0, 1, 0]


def test_the_interactive_view_shows_the_whole_face_and_the_picture_shows_the_same(head):
    """The plot's camera, projected by hand, and the stored picture: the same outline, far enough off, nothing cut."""
    plot = plot_surface(head)
    vertices = np.asarray(plot.objects[0].vertices, float)
    eye, target, up = np.reshape(plot.camera, (3, 3))
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross(up, back) / np.linalg.norm(np.cross(up, back))
    seen = (vertices - eye) @ np.stack([right, np.cross(back, right), -back], axis=1)
    screen = seen[:, :2] / seen[:, 2:] / np.tan(np.radians(plot.camera_fov / 2))
    assert plot.camera_fov == 20 and np.abs(screen).max() < 1
    assert seen[:, 2].max() / seen[:, 2].min() < 1.5, "near parts are hardly larger than far ones"
    inside = np.argwhere(mask(render_views(head, views=["start"], size=400, perspective=True)))
    expected = 200 + 200 * screen * [1, -1]
    assert np.allclose(inside.min(axis=0)[::-1], expected.min(axis=0), atol=2.5)
    assert np.allclose(inside.max(axis=0)[::-1], expected.max(axis=0), atol=2.5)


def test_errors_are_drawn_from_the_true_points_to_the_found_ones():
    image = np.zeros((60, 80, 3), np.uint8)
    found, truth = np.float32([[20, 10, 5], [50, 40, 5]]), np.float32([[20, 30], [50, 40]])
    picture = draw_errors(image, found, truth, enlarge=3)
    assert picture.shape == (180, 240, 3)
    assert not image.any()  # a copy
    start, line, end = picture[31, 61], picture[61, 61], picture[91, 61]  # pixel (20, 10) is 3 x 3 around (61, 31)
    assert tuple(start) == show.ORANGE and tuple(end) == show.BLUE and tuple(line) == show.WHITE
    assert tuple(picture[121, 151]) == show.ORANGE  # what is right shows the found point only
    assert not (draw_errors(image, found, enlarge=3) == show.BLUE).all(axis=2).any()
    with pytest.raises(ValueError, match="got 2 and 1"):
        draw_errors(image, found, truth[:1])
