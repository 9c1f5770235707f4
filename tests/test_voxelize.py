"""The voxeliser: exact against NumPy, an independent oracle and geometry; solid whatever the pose."""

import numpy as np
import pytest
import trimesh
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes

from tddfa import MorphableModel, reference, voxelize
from tddfa.raster import rasterize
from tddfa.voxelizer import depth_offset, open_edges


def ellipsoid(radius, centre=(95.5, 95.5, 0.0), subdivisions=3):
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    return mesh.vertices * radius + centre, mesh.faces.astype(np.int32)


def box(low, high):
    mesh = trimesh.creation.box(bounds=[low, high])
    return np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32)


def united(*meshes):
    start = np.cumsum([0] + [len(vertices) for vertices, _ in meshes])
    return (
        np.concatenate([vertices for vertices, _ in meshes]),
        np.concatenate([triangles + first for (_, triangles), first in zip(meshes, start, strict=False)]),
    )


def knot(thickness):
    """A trefoil tube; a thick one runs through itself."""
    t = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    path = 16 * np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], 1)
    tangent = np.roll(path, -1, 0) - np.roll(path, 1, 0)
    across = np.cross(tangent, [0.3, 0.2, 1.0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    up = np.cross(tangent, across)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)[:, None, None]
    ring = path + thickness * (np.cos(angle) * across + np.sin(angle) * up)
    vertices = ring.transpose(1, 0, 2).reshape(-1, 3) + [95.5, 95.5, 0]
    i, j = np.mgrid[:160, :12]
    a, b = 12 * i + j, 12 * ((i + 1) % 160) + j
    c, d = 12 * i + (j + 1) % 12, 12 * ((i + 1) % 160) + (j + 1) % 12
    quads = np.stack([a, b, d, a, d, c], -1).reshape(-1, 3)
    return vertices, quads.astype(np.int32)


@pytest.fixture(scope="module")
def model():
    return MorphableModel.open()


def random_face(model, seed):
    """A random open face in crop pixels: (closed vertices, triangles, 68 landmarks)."""
    rng = np.random.default_rng(seed)
    vertices = model.reconstruct(model.sample_shape(rng), model.sample_expression(rng)).astype(np.float64)
    pitch, yaw, roll = rng.uniform(-1, 1, 3) * [40, 90, 45]
    vertices = vertices @ Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True).as_matrix().T
    vertices *= [1, -1, 1]  # image axes: y down
    low, high = model.landmarks(vertices)[:, :2].min(0), model.landmarks(vertices)[:, :2].max(0)
    scale = 90 / np.sqrt(np.prod(high - low))
    vertices = (vertices - [*(low + high) / 2, 0]) * scale + [95.5, 95.5, 0]
    closed, triangles = model.close(vertices)
    return closed, triangles, model.landmarks(vertices)


def parts_and_holes(volume):
    """(6-connected parts, background parts that do not reach the volume's border), by SciPy."""
    return ndimage.label(volume)[1], ndimage.label(~np.pad(volume, 1))[1] - 1


# --- exactness ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 4])
@pytest.mark.parametrize(
    "mesh",
    [
        ellipsoid((50, 40, 45)),
        ellipsoid((90, 60, 55), (20.3, 180.1, -400.0)),  # half of it beside the crop
        ellipsoid((30, 30, 70)),  # deeper than the volume
        knot(9.0),
        knot(24.0),  # through itself
        united(ellipsoid((30, 30, 30), (80, 90, 0)), ellipsoid((30, 30, 30), (110, 95, 10))),
    ],
    ids=["ball", "cut", "deep", "knot", "thick knot", "two that overlap"],
)
def test_compiled_equals_numpy(mesh, step):
    vertices, triangles = mesh[0] / 2, mesh[1]
    ours, offset = voxelize(vertices, triangles, size=96, depth=100, step=step)
    theirs, expected = reference.voxelize(vertices, triangles, size=96, depth=100, step=step)
    assert offset == pytest.approx(expected)
    assert ours.dtype == bool and ours.shape == (100, 96 // step, 96 // step) and ours.any()
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("seed", range(4))
def test_ties_are_exact_on_a_crumpled_mesh_with_whole_coordinates(seed):
    """Vertices on pixel centres, edges through pixel centres, triangles without area: crossings still balance."""
    rng = np.random.default_rng(seed)
    vertices, triangles = ellipsoid((12, 12, 12), (24, 24, 0))
    vertices = np.rint(vertices + rng.integers(-2, 3, vertices.shape))
    ours, _ = voxelize(vertices, triangles, size=48, depth=80)
    theirs, _ = reference.voxelize(vertices, triangles, size=48, depth=80)
    np.testing.assert_array_equal(ours, theirs)
    outside = np.ones((48, 48), bool)
    low, high = vertices.min(0).astype(int), vertices.max(0).astype(int)
    outside[low[1] : high[1] + 1, low[0] : high[0] + 1] = False
    assert not ours[:, outside].any()  # no column leaks


def test_a_box_fills_exactly_the_voxels_whose_centres_it_holds():
    """x 30.5..50.5, y 60.5..100.5, z -10.3..20.2: 20 x 40 columns; k = 2 z + offset."""
    volume, offset = voxelize(*box((30.5, 60.5, -10.3), (50.5, 100.5, 20.2)))
    assert offset == pytest.approx(99.5 - 9.9)
    k, y, x = np.nonzero(volume)
    assert (x.min(), x.max(), y.min(), y.max()) == (31, 50, 61, 100)
    assert k.min() == np.ceil(2 * -10.3 + offset) and k.max() == np.ceil(2 * 20.2 + offset) - 1
    assert volume.sum() == 20 * 40 * (k.max() - k.min() + 1)
    assert (k.min() + k.max()) / 2 == pytest.approx(99.5, abs=0.5)


def test_columns_on_the_box_sides_belong_to_one_side_only():
    """Two boxes with a common side on a row of pixel centres tile the space."""
    left, _ = voxelize(*box((30, 60, 0), (50, 100, 20)))
    right, _ = voxelize(*box((50, 60, 0), (70, 100, 20)))
    both, _ = voxelize(*box((30, 60, 0), (70, 100, 20)))
    assert left.sum() == right.sum() == 20 * 40 * 40
    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, both)


def test_step_samples_the_lattice_of_the_feature_map():
    vertices, triangles = knot(9.0)
    coarse, offset = voxelize(vertices, triangles, step=2)
    shifted, _ = voxelize(vertices + [0.5, 0.5, 0], triangles)  # x = 2 i + 0.5 is pixel 2 i + 1 of the shifted mesh
    assert offset == pytest.approx(depth_offset(vertices, triangles))
    assert (coarse != shifted[:, 1::2, 1::2]).mean() < 1e-5  # x and y are snapped to 1/1024 of a step


@pytest.mark.parametrize("mesh", [ellipsoid((50, 40, 45)), knot(9.0)], ids=["ball", "knot"])
def test_orientation_and_the_order_of_triangles_do_not_matter(mesh):
    vertices, triangles = mesh
    volume, _ = voxelize(vertices, triangles)
    turned, _ = voxelize(vertices, triangles[:, ::-1])
    shuffled, _ = voxelize(vertices, np.roll(np.random.default_rng(0).permutation(triangles), 1, axis=1))
    np.testing.assert_array_equal(volume, turned)
    np.testing.assert_array_equal(volume, shuffled)


def test_volume_of_a_ball():
    volume, _ = voxelize(*ellipsoid((40, 40, 40), subdivisions=5))
    assert volume.sum() == pytest.approx(2 * 4 / 3 * np.pi * 40**3, rel=2e-3)


# --- axes and depth ----------------------------------------------------------------------------------------------


def test_axes_are_z_y_x_and_the_camera_sees_the_last_slice():
    """The mistake to catch: target axes [x, y, z] met network axes [z, y, x]."""
    wide = box((40.5, 80.5, -5), (140.5, 100.5, 5))
    nose = box((90.5, 85.5, 4), (100.5, 95.5, 25))
    volume, _ = voxelize(*united(wide, nose))
    k, y, x = np.nonzero(volume)
    assert (np.ptp(x) + 1, np.ptp(y) + 1, np.ptp(k) + 1) == (100, 20, 60)
    front = volume[k.max()]
    assert np.argwhere(front).min(0).tolist() == [86, 91]  # y, x of the nose
    for order in [(0, 2, 1), (2, 1, 0), (1, 0, 2)]:
        assert (np.argwhere(volume.transpose(order)).max(0) != np.argwhere(volume).max(0)).any()


def test_a_solid_is_centred_in_depth_wherever_it_is():
    for z in (-500.0, 0.0, 31.7):
        volume, offset = voxelize(*ellipsoid((40, 40, 30), (95.5, 95.5, z)))
        k = np.flatnonzero(volume.any((1, 2)))
        assert offset == pytest.approx(99.5 - 2 * z)
        assert (k[0] + k[-1]) / 2 == pytest.approx(99.5, abs=0.5)


def test_a_solid_that_is_too_deep_keeps_its_front():
    vertices, triangles = ellipsoid((30, 30, 70), (95.5, 95.5, 8))
    volume, offset = voxelize(vertices, triangles)
    assert 2 * 78 + offset == pytest.approx(199.5)  # the tip touches the last slice's front
    assert volume[199].any() and volume[0].sum() > 1000  # the back is cut through the body
    assert parts_and_holes(volume) == (1, 0)
    just, _ = voxelize(*ellipsoid((30, 30, 49.99), (95.5, 95.5, 8)))
    assert just[1].any() and just[198].any()  # what fits is whole


def test_an_offset_can_be_given():
    vertices, triangles = ellipsoid((20, 20, 20))
    volume, offset = voxelize(vertices, triangles, offset=60)
    k = np.flatnonzero(volume.any((1, 2)))
    assert offset == 60 and k[0] == pytest.approx(20, abs=1) and k[-1] == pytest.approx(99, abs=1)


def test_vertices_of_no_triangle_do_not_count():
    vertices, triangles = ellipsoid((20, 20, 20))
    with_ears = np.concatenate([vertices, [[95, 95, -300.0]]])
    volume, offset = voxelize(with_ears, triangles)
    expected, same = voxelize(vertices, triangles)
    assert offset == same
    np.testing.assert_array_equal(volume, expected)


# --- clean-up ----------------------------------------------------------------------------------------------------


def test_only_the_largest_part_stays():
    big, small = ellipsoid((30, 30, 30), (60, 60, 0)), ellipsoid((25, 25, 25), (140, 140, 5))
    volume, _ = voxelize(*united(small, big))
    assert volume[:, 60, 60].any() and not volume[:, 140, 140].any()
    assert parts_and_holes(volume) == (1, 0)


def test_voxels_that_touch_in_an_edge_only_are_two_parts():
    one, other = box((20.5, 20.5, 0), (40.5, 40.5, 10)), box((40.5, 40.5, 0), (70.5, 70.5, 10))
    volume, _ = voxelize(*united(one, other))
    assert volume.sum() == 30 * 30 * 20


def test_an_enclosed_cavity_is_filled_and_an_open_one_is_not():
    outer = ellipsoid((40, 40, 40), (47.5, 47.5, 0))
    inner_vertices, inner = ellipsoid((25, 20, 15), (47.5, 47.5, 0))
    hollow, _ = voxelize(*united(outer, (inner_vertices, inner[:, ::-1])), size=96)
    solid, _ = voxelize(*outer, size=96)
    np.testing.assert_array_equal(hollow, solid)
    tunnel_vertices, tunnel = box((-10.3, -10.3, -60), (10.2, 10.2, 60))
    for axis in range(3):
        turned = np.roll(tunnel_vertices, axis, 1) + [47.5, 47.5, 0]
        pierced, _ = voxelize(*united(outer, (turned, tunnel[:, ::-1])), size=96)
        assert pierced.sum() < 0.9 * solid.sum()
        assert parts_and_holes(pierced) == (1, 0)


def test_a_cavity_that_the_frame_cuts_open_is_not_enclosed():
    outer = ellipsoid((40, 40, 40), (10, 47.5, 0))
    inner_vertices, inner = ellipsoid((25, 20, 15), (10, 47.5, 0))
    mesh = united(outer, (inner_vertices, inner[:, ::-1]))
    volume, _ = voxelize(*mesh, size=96)
    assert not volume[99, 47, 0] and volume[99, 47, 40]
    np.testing.assert_array_equal(volume, reference.voxelize(*mesh, size=96)[0])


def test_a_mesh_beside_the_crop_gives_an_empty_volume():
    volume, _ = voxelize(*ellipsoid((20, 20, 20), (400, 95, 0)))
    assert volume.shape == (200, 192, 192) and not volume.any()


# --- faces -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_200_random_faces_are_one_solid_without_holes(model):
    fill, trimmed = [], 0
    for seed in range(200):
        vertices, triangles, _ = random_face(model, seed)
        volume, offset = voxelize(vertices, triangles)
        k = np.flatnonzero(volume.any((1, 2)))
        y, x = np.nonzero(volume.any(0))
        inner = volume[k[0] : k[-1] + 1, y.min() : y.max() + 1, x.min() : x.max() + 1]
        assert parts_and_holes(inner) == (1, 0), seed
        front = vertices[np.unique(triangles), 2].max()
        assert 2 * front + offset <= 199.5 + 1e-6, seed  # never the nose is cut
        trimmed += 2 * vertices[np.unique(triangles), 2].min() + offset < -0.5
        fill.append(volume.mean())
    assert 0.03 < min(fill) and max(fill) < 0.25  # solid: ten times a shell at least
    assert trimmed < 200


def test_a_solid_is_not_a_shell_of_splatted_vertices(model):
    """The mistake to catch: voxels of the vertices only fill 0.3 % of the volume, a solid 9 to 15 %."""
    vertices, triangles, _ = random_face(model, 3)
    volume, offset = voxelize(vertices, triangles)
    k, y, x = np.rint(vertices[np.unique(triangles)] * [1, 1, 2] + [0, 0, offset]).astype(int).T[::-1]
    inside = (k >= 0) & (k < 200)
    shell = np.zeros_like(volume)
    shell[k[inside], y[inside], x[inside]] = True
    assert shell.mean() < 0.005
    assert volume.mean() > 20 * shell.mean()


def test_a_face_equals_the_numpy_reference(model):
    vertices, triangles, _ = random_face(model, 1)
    volume, _ = voxelize(vertices, triangles, step=4)
    np.testing.assert_array_equal(volume, reference.voxelize(vertices, triangles, step=4)[0])


@pytest.mark.slow
def test_faces_agree_with_trimesh_on_995_of_1000_voxels(model):
    """The oracle casts rays, this package counts crossings per column; half of the voxels lie at the surface."""
    anywhere = near = count = 0
    for seed in range(4):
        vertices, triangles, _ = random_face(model, seed)
        volume, offset = voxelize(vertices, triangles)
        mesh = trimesh.Trimesh(vertices * [1, -1, 1], triangles, process=False)  # outwards again, with y up
        rng = np.random.default_rng(seed)
        surface = ndimage.binary_dilation(volume, iterations=2) & ~ndimage.binary_erosion(volume, iterations=2)
        k = np.concatenate([rng.choice(np.argwhere(surface), 300), rng.integers(0, volume.shape, (300, 3))])
        points = np.stack([k[:, 2], -k[:, 1], (k[:, 0] - offset) / 2], 1)
        same = mesh.contains(points) == volume[tuple(k.T)]
        near, anywhere, count = near + same[:300].sum(), anywhere + same[300:].sum(), count + 300
    assert anywhere / count >= 0.995
    assert near / count >= 0.98


@pytest.mark.slow
def test_the_extracted_surface_lies_within_the_papers_discretisation_error(model):
    """Mean distance from the visible vertices to the 0.5 surface, over the outer interocular distance: NME 0.0048."""
    errors = []
    for seed in range(6):
        vertices, triangles, landmarks = random_face(model, seed)
        volume, offset = voxelize(vertices, triangles)
        surface, faces, _, _ = marching_cubes(np.pad(volume, 1).astype(np.float32), 0.5)
        surface = surface[:, ::-1] - 1
        surface[:, 2] = (surface[:, 2] - offset) / 2
        samples = trimesh.sample.sample_surface(trimesh.Trimesh(surface, faces, process=False), 200_000, seed=0)[0]
        seen = rasterize(vertices.astype(np.float32), triangles, 192, 192).triangle
        visible = np.unique(triangles[seen[seen >= 0]])
        visible = visible[2 * vertices[visible, 2] + offset > 0]  # not what the back's trimming took away
        distance = cKDTree(samples).query(vertices[visible])[0]
        errors.append(distance.mean() / np.linalg.norm(landmarks[36] - landmarks[45]))
    assert max(errors) < 0.0048


# --- errors ------------------------------------------------------------------------------------------------------


def test_open_meshes_are_refused_with_the_number_of_open_edges(model):
    vertices, triangles = ellipsoid((20, 20, 20))
    with pytest.raises(ValueError, match="got 3 edges that only one triangle walks; close the surface first"):
        voxelize(vertices, triangles[1:])
    turned = triangles.copy()
    turned[5] = turned[5, ::-1]
    with pytest.raises(ValueError, match="got 3 edges"):
        voxelize(vertices, turned)
    assert len(open_edges(triangles)) == 0
    with pytest.raises(ValueError, match="Expected a closed mesh of one orientation"):
        voxelize(model.mean, model.tri)


def test_wrong_input_is_refused_with_a_sentence():
    vertices, triangles = ellipsoid((20, 20, 20))
    with pytest.raises(ValueError, match=r"vertices of shape \(N, 3\), got \(3, 642\)"):
        voxelize(vertices.T, triangles)
    with pytest.raises(ValueError, match=r"triangles of shape \(M, 3\).*got \(3, 1280\)"):
        voxelize(vertices, triangles.T)
    with pytest.raises(ValueError, match="indices from 0 to 641"):
        voxelize(vertices, triangles + 1)
    with pytest.raises(ValueError, match="got no triangle"):
        voxelize(vertices, triangles[:0])
    broken = vertices.copy()
    broken[3, 2] = np.nan
    with pytest.raises(ValueError, match="finite vertices, got 1 with NaN"):
        voxelize(broken, triangles)
    with pytest.raises(ValueError, match="within 524,288 pixels"):
        voxelize(vertices * 1e7, triangles)
    with pytest.raises(ValueError, match="multiple of step"):
        voxelize(vertices, triangles, step=5)
    with pytest.raises(ValueError, match="finite depth offset"):
        voxelize(vertices, triangles, offset=float("inf"))


def test_depth_offset_refuses_what_it_cannot_read():
    """It read beyond the vertices for an index without one, and before the triangles without any."""
    vertices, triangles = np.zeros((3, 3)), np.array([[0, 1, 2]])
    for wrong in (triangles + 1, triangles - 1, triangles + 2**32, triangles[:0], triangles[:, :2], triangles + 0.5):
        with pytest.raises(ValueError, match="Expected"):
            depth_offset(vertices, wrong)
    for wrong in (vertices[:, :2], vertices[:0], vertices * np.nan, vertices + np.inf, np.array([["a"] * 3] * 3)):
        with pytest.raises(ValueError, match="Expected"):
            depth_offset(wrong, triangles)
    with pytest.raises(ValueError, match="one slice"):
        depth_offset(vertices, triangles, depth=0)
    assert depth_offset(vertices, triangles, depth=200) == 99.5  # the mesh may be open


@pytest.mark.parametrize("sizes", [{"size": 50_000, "depth": 1}, {"size": 1, "depth": 2**30}])
def test_volumes_beyond_32_bits_are_refused(sizes):
    vertices = np.array([[4, 4, 0], [12, 4, 0], [4, 12, 0], [4, 4, 4]])
    with pytest.raises(ValueError, match="32 bits"):
        voxelize(vertices, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]), **sizes)
