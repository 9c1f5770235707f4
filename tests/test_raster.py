"""The z-buffer renderer: compiled against NumPy, exact coverage, and the conventions of axes and signs."""

import subprocess
import sys

import numpy as np
import pytest
import trimesh

import tddfa
from tddfa import raster, reference


def ball(subdivisions=3, radius=(30.0, 22.0, 25.0), centre=(31.3, 22.6, 4.0)):
    """An ellipsoid in image axes (y down), its triangles counter-clockwise from outside in model axes."""
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices = mesh.vertices * radius * [1, -1, 1] + centre
    return vertices.astype(np.float32), mesh.faces.astype(np.int32), mesh.vertices


def test_rasterize_equals_the_numpy_reference_also_outside_the_frame():
    vertices, triangles, _ = ball(radius=(40.0, 30.0, 25.0))
    vertices[7] = np.nan
    ours = raster.rasterize(vertices, triangles, 48, 64)
    theirs = reference.rasterize(vertices, triangles, 48, 64)
    np.testing.assert_array_equal(ours.triangle, theirs.triangle)
    np.testing.assert_allclose(ours.barycentric, theirs.barycentric, atol=1e-6)
    np.testing.assert_allclose(ours.depth, theirs.depth, rtol=1e-6)
    assert (ours.triangle >= 0).mean() > 0.9  # most of it lies beyond the frame


@pytest.mark.parametrize("grid", [None, 0.5, 1.0])
def test_triangles_of_all_sizes_equal_the_reference(grid):
    """Slivers, triangles of a pixel or two, large ones, across the frame's border; more than one batch of them."""
    rng = np.random.default_rng(2)
    middles = rng.uniform(-6, 38, (700, 1, 2))
    corners = middles + rng.uniform(-1, 1, (700, 3, 2)) * 0.2 * 100 ** rng.random((700, 1, 1))
    if grid is not None:  # corners and edges on pixel centres
        corners = np.round(corners / grid) * grid
    vertices = np.concatenate([corners, rng.uniform(-9, 9, (700, 3, 1))], axis=2).reshape(-1, 3).astype(np.float32)
    triangles = np.arange(2100, dtype=np.int32).reshape(-1, 3)
    ours, theirs = raster.rasterize(vertices, triangles, 30, 33), reference.rasterize(vertices, triangles, 30, 33)
    np.testing.assert_array_equal(ours.triangle, theirs.triangle)
    np.testing.assert_allclose(ours.barycentric, theirs.barycentric, atol=1e-6)
    assert len(np.unique(ours.triangle)) > 100
    ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    front = np.flatnonzero(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0] < 0)
    culled = raster.rasterize(vertices, triangles, 30, 33, cull_backfaces=True)
    alone = reference.rasterize(vertices, triangles[front], 30, 33)
    np.testing.assert_array_equal(culled.triangle, np.where(alone.triangle < 0, -1, front[alone.triangle]))


def test_buffers_have_the_promised_types_and_background():
    vertices, triangles, _ = ball(radius=(5, 5, 5))
    buffers = raster.rasterize(vertices, triangles, 48, 64)
    assert buffers.triangle.dtype == np.int32 and buffers.triangle.shape == (48, 64)
    assert buffers.barycentric.dtype == np.float32 and buffers.barycentric.shape == (48, 64, 3)
    assert buffers.depth.dtype == np.float32
    background = buffers.triangle == -1
    assert background[0, 0] and np.isneginf(buffers.depth[background]).all()
    assert not buffers.barycentric[background].any()
    np.testing.assert_allclose(buffers.barycentric[~background].sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.5, 0.3])
def test_triangles_that_share_edges_leave_no_gap_and_no_overlap(shift):
    """With whole and half coordinates every edge runs through pixel centres."""
    rng = np.random.default_rng(4)
    side = 9
    y, x = np.mgrid[:side, :side] * 2.0
    inner = np.zeros((side, side), bool)
    inner[1:-1, 1:-1] = True
    points = np.stack([x, y, 0 * x], -1)
    points[inner, :2] += rng.integers(-1, 2, (inner.sum(), 2)) * 0.5
    vertices = (points.reshape(-1, 3) + [3 + shift, 3 + shift, 0]).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    triangles = np.concatenate(
        [np.stack([corner, corner + 1, corner + side], 1), np.stack([corner + side, corner + 1, corner + side + 1], 1)]
    ).astype(np.int32)
    triangles[::3] = triangles[::3, ::-1]  # the rule must not depend on the order of the corners
    count = sum((raster.rasterize(vertices, one[None], 24, 24).triangle == 0).astype(int) for one in triangles)
    low = int(np.ceil(3 + shift))
    expected = np.zeros((24, 24), int)
    expected[low : low + 16, low : low + 16] = 1  # a square of 16 pixels owns one pair of its sides, not both
    assert count.max() == 1 and count.sum() == 256
    np.testing.assert_array_equal(count[4:18, 4:18], expected[4:18, 4:18])


def test_the_larger_z_hides_the_smaller_in_any_order():
    square = np.array([[2, 2, 0], [20, 2, 0], [2, 20, 0]], np.float32)
    vertices = np.concatenate([square, square + [0, 0, 5]]).astype(np.float32)
    for triangles, near in (([[0, 1, 2], [3, 4, 5]], 1), ([[3, 4, 5], [0, 1, 2]], 0)):
        buffers = raster.rasterize(vertices, np.array(triangles, np.int32), 24, 24)
        assert buffers.triangle[5, 5] == near and buffers.depth[5, 5] == 5


def test_triangles_without_area_and_with_nan_are_left_out():
    vertices = np.array([[1, 1, 0], [9, 9, 0], [5, 5, 0], [1, 9, 0], [np.inf, 0, 0]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 0, 3], [0, 3, 4]], np.int32)
    assert (raster.rasterize(vertices, triangles, 12, 12).triangle == -1).all()


def test_empty_meshes_and_frames_give_background():
    vertices, triangles, _ = ball()
    assert raster.rasterize(vertices, triangles, 0, 64).triangle.shape == (0, 64)
    empty = raster.rasterize(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), 4, 5)
    assert (empty.triangle == -1).all()
    colours = raster.interpolate(np.zeros((0, 2), np.float32), np.zeros((0, 3), np.int32), empty, 0.25)
    assert colours.shape == (4, 5, 2) and (colours == 0.25).all()


def test_backface_culling_keeps_what_a_closed_mesh_shows_and_drops_an_inside():
    vertices, triangles, _ = ball()
    whole = raster.rasterize(vertices, triangles, 48, 64)
    culled = raster.rasterize(vertices, triangles, 48, 64, cull_backfaces=True)
    np.testing.assert_array_equal(whole.triangle, culled.triangle)
    inside_out = raster.rasterize(vertices, triangles[:, ::-1], 48, 64, cull_backfaces=True)
    assert inside_out.depth[22, 31] < 0 < whole.depth[22, 31]


def test_threads_do_not_change_the_result():
    vertices, triangles, _ = ball()
    one, three = (raster.rasterize(vertices, triangles, 48, 64, threads=n) for n in (1, 3))
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a, b)


def test_interpolate_reproduces_linear_functions_and_the_reference():
    vertices, triangles, _ = ball()
    buffers = raster.rasterize(vertices, triangles, 48, 64)
    attributes = np.random.default_rng(0).random((len(vertices), 12)).astype(np.float32)
    attributes[:, :2] = vertices[:, :2]
    values = raster.interpolate(attributes, triangles, buffers, background=-1.0)
    assert values.dtype == np.float32 and values.shape == (48, 64, 12)
    covered = buffers.triangle >= 0
    y, x = np.nonzero(covered)
    np.testing.assert_allclose(values[covered][:, 0], x, atol=2e-3)  # vertices are snapped to 1/1024 pixel
    np.testing.assert_allclose(values[covered][:, 1], y, atol=2e-3)
    assert (values[~covered] == -1).all()
    np.testing.assert_allclose(values, reference.interpolate(attributes, triangles, buffers, -1.0), rtol=1e-5)


def test_a_picture_as_background_is_copied():
    vertices, triangles, _ = ball(radius=(5, 5, 5))
    picture = np.random.default_rng(0).random((48, 64, 3)).astype(np.float32)
    before = picture.copy()
    drawn = raster.render_colors(vertices, triangles, np.ones((len(vertices), 3), np.float32), 48, 64, picture)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(drawn[0, 0], picture[0, 0])
    np.testing.assert_allclose(drawn[22, 31], 1, rtol=1e-6)


@pytest.mark.parametrize(("axes", "mirror"), [("image", -1), ("model", 1)])
def test_normals_point_outwards_in_both_axes(axes, mirror):
    mesh = trimesh.creation.icosphere(subdivisions=3)
    vertices = (mesh.vertices * [1, mirror, 1]).astype(np.float32)
    normals = raster.vertex_normals(vertices, mesh.faces, axes=axes)
    np.testing.assert_allclose(normals, vertices, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(normals, reference.vertex_normals(vertices, mesh.faces, axes=axes), atol=1e-5)
    assert normals[vertices[:, 2].argmax(), 2] > 0.99  # towards the camera


def test_a_vertex_of_no_triangle_has_no_normal():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9]], np.float32)
    normals = raster.vertex_normals(vertices, np.array([[0, 2, 1]]))
    np.testing.assert_allclose(normals, [[0, 0, 1]] * 3 + [[0, 0, 0]])


def test_wrong_input_is_refused_with_a_sentence():
    vertices, triangles, _ = ball()
    buffers = raster.rasterize(vertices, triangles, 8, 8)
    with pytest.raises(ValueError, match=r"vertices of shape \(N, 3\), got \(3, 642\)"):
        raster.rasterize(vertices.T, triangles, 8, 8)
    with pytest.raises(ValueError, match="integer type"):
        raster.rasterize(vertices, triangles.astype(float), 8, 8)
    with pytest.raises(ValueError, match="indices from 0 to 641, got 1 to 642"):
        raster.rasterize(vertices, triangles + 1, 8, 8)
    with pytest.raises(ValueError, match="within 524,288 pixels"):
        raster.rasterize(vertices * 1e6, triangles, 8, 8)
    with pytest.raises(ValueError, match="got -1 x 8"):
        raster.rasterize(vertices, triangles, -1, 8)
    with pytest.raises(ValueError, match="fits"):
        raster.interpolate(vertices, triangles, buffers, np.zeros((9, 9, 3)))
    with pytest.raises(ValueError, match="the triangles that were rasterized"):
        raster.interpolate(vertices, triangles[:1], raster.rasterize(vertices, triangles, 48, 64))
    with pytest.raises(ValueError, match="642 colours"):
        raster.render_colors(vertices, triangles, vertices[:5], 8, 8)
    with pytest.raises(ValueError, match="'image' or 'model'"):
        raster.vertex_normals(vertices, triangles, axes="up")


def test_the_package_offers_functions_under_its_own_name():
    for name in ("voxelize", "save_volume", "load_volume", "nms", "rasterize", "vertex_normals"):
        assert callable(getattr(tddfa, name)), name
    with pytest.raises(AttributeError, match="no attribute 'voxelise'"):
        tddfa.voxelise  # noqa: B018


def test_a_missing_compiled_module_is_explained():
    code = "import sys; sys.modules['tddfa._raster'] = None; import tddfa"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Expected tddfa's compiled modules" in done.stderr
    assert "bash build.sh" in done.stderr


TRIANGLE = np.float32([[0, 0, 0], [9, 0, 1], [0, 9, 2]]), np.array([[0, 2, 1]])


@pytest.mark.parametrize("height, width", [(1, 2**21 + 1), (2**21 + 1, 1), (2**40, 0), (-1, 5), (4.5, 4), ("4", 4)])
def test_frames_that_cannot_be_counted_are_refused(height, width):
    """In 1/1024 pixel a longer side leaves 32 bits, and nothing was drawn, without a word."""
    with pytest.raises(ValueError, match="a frame of 0 to"):
        raster.rasterize(*TRIANGLE, height, width)
    with pytest.raises(ValueError, match="a frame of 0 to"):
        raster.render_colors(*TRIANGLE, np.ones((3, 3)), height, width)


def test_the_longest_side_is_drawn_to_its_end():
    vertices = np.float32([[0, -1, 0], [500_000, -1, 0], [0, 4, 0]])
    drawn = raster.rasterize(vertices, np.array([[0, 2, 1]]), 1, raster.LARGEST_SIDE).triangle[0]
    assert np.flatnonzero(drawn == 0).max() in (399_999, 400_000)


@pytest.mark.parametrize(
    "wrong", [np.array([["a"] * 3] * 3), np.array([[{}] * 3] * 3), np.ones((3, 3)) * 1j, [[0], [1, 2]]]
)
def test_what_are_no_numbers_is_refused(wrong):
    vertices, triangles = TRIANGLE
    buffers = raster.rasterize(vertices, triangles, 8, 8)
    for call in (
        lambda: raster.rasterize(wrong, triangles, 8, 8),
        lambda: raster.vertex_normals(wrong, triangles),
        lambda: raster.interpolate(wrong, triangles, buffers),
        lambda: raster.render_colors(vertices, triangles, wrong, 8, 8),
    ):
        with pytest.raises(ValueError, match="Expected"):
            call()


def test_strided_and_turned_inputs_give_the_same_picture():
    vertices, triangles = TRIANGLE
    expected = raster.rasterize(vertices, triangles, 8, 8, threads=10**12)
    padded = np.zeros((6, 6), np.float64)
    padded[::2, ::2] = vertices
    found = raster.rasterize(padded[::2, ::2], np.asfortranarray(np.repeat(triangles, 2, 0))[::2].astype(">i8"), 8, 8)
    np.testing.assert_array_equal(found.triangle, expected.triangle)
    np.testing.assert_array_equal(found.depth, expected.depth)
    for index in (-1, 3, 2**31, 2**32):
        with pytest.raises(ValueError, match="triangle indices"):
            raster.rasterize(vertices, np.array([[0, 1, index]]), 8, 8)
