"""Solids whose surface is known come out in place, with the right axes, orientation and colours, in every file."""

import json
import struct

import numpy as np
import pytest
import trimesh

from tddfa.canvas import sample_bilinear
from tddfa.raster import interpolate, rasterize
from tddfa.texture import photo_texture
from vrnlib import export
from vrnlib.crop import Crop
from vrnlib.surface import Surface, SurfaceError, color_surface, extract_surface, simplify, solid, upright


def ball(radius=30.0, middle=(90.0, 100.0, -5.0)) -> np.ndarray:
    """A soft ball in crop pixels as a (200, 192, 192) volume."""
    z, y, x = np.ogrid[:200, :192, :192]
    away = np.sqrt((x - middle[0]) ** 2 + (y - middle[1]) ** 2 + ((z - 99.5) / 2 - middle[2]) ** 2)
    return (1 / (1 + np.exp(np.clip(away - radius, -20, 20)))).astype(np.float32)


def l_block() -> np.ndarray:
    """An asymmetric solid: long in y, with a foot to the right at the bottom, and thin towards the camera."""
    volume = np.zeros((200, 192, 192), bool)
    volume[90:110, 30:150, 40:70] = True
    volume[90:150, 130:150, 40:120] = True
    return volume


def l_block_is_in_place(low, high, volume):
    assert np.allclose(low, [39.5, 29.5, -5], atol=1e-4)
    assert np.allclose(high, [119.5, 149.5, 25], atol=1e-4)
    true = (20 * 120 * 30 + 60 * 20 * 80 - 20 * 20 * 30) / 2
    assert volume == pytest.approx(true, rel=0.01)


def test_the_surface_of_a_ball_is_sub_voxel():
    surface = extract_surface(ball())
    away = np.linalg.norm(surface.vertices - [90, 100, -5], axis=1)
    assert np.abs(away - 30).max() < 0.02
    assert surface.volume == pytest.approx(4 / 3 * np.pi * 30**3, rel=2e-3)
    outward = (surface.vertices - [90, 100, -5]) / away[:, None]
    assert np.einsum("ij,ij->i", surface.normals(), outward).min() > 0.98


def test_axes_of_an_asymmetric_block():
    surface = extract_surface(l_block())
    l_block_is_in_place(surface.vertices.min(axis=0), surface.vertices.max(axis=0), surface.volume)
    foot = surface.vertices[surface.vertices[:, 0] > 80]
    assert foot[:, 1].min() > 129  # the foot is at the bottom: y runs down
    near = surface.vertices[surface.vertices[:, 2] > 10]
    assert near[:, 1].min() > 129  # and it is what reaches towards the camera
    shifted = extract_surface(l_block(), offset=89.5)
    assert np.allclose(shifted.vertices[:, 2] - surface.vertices[:, 2], 5)


def test_a_solid_that_touches_every_border_is_closed():
    surface = extract_surface(np.ones((200, 192, 192), bool))
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    assert mesh.is_watertight
    assert surface.volume == pytest.approx(192 * 192 * 100, rel=0.01)


def test_only_the_largest_piece_stays():
    volume = ball(20)
    volume[5:12, 10:16, 10:16] = 1
    volume[99 - 10, 100, 90] = 0  # an inner hole
    one = extract_surface(volume)
    assert one.vertices[:, 0].min() > 60
    assert np.linalg.norm(one.vertices - [90, 100, -5], axis=1).min() > 19
    assert len(extract_surface(volume, largest=False).vertices) > len(one.vertices)
    filled = solid(volume)
    assert filled.dtype == bool
    assert not filled[8, 12, 12]
    assert filled[89, 100, 90]
    assert filled.sum() / 2 == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.02)


def test_empty_and_wrong_volumes_are_sentences():
    with pytest.raises(SurfaceError, match="above 0.5"):
        extract_surface(np.full((200, 192, 192), 0.3, np.float32))
    with pytest.raises(SurfaceError, match="z, y, x"):
        extract_surface(np.zeros((192, 192)))
    assert not solid(np.zeros((20, 20, 20))).any()


def test_a_red_face_stays_red_and_colours_follow_x_and_y():
    surface = extract_surface(ball(20))
    red = np.zeros((192, 192, 3), np.uint8)
    red[..., 0] = 255
    assert (color_surface(surface, red).colors == [255, 0, 0]).all()
    ramp = np.zeros((192, 192, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(192)[None], np.arange(192)[:, None]
    colors = color_surface(surface, ramp).colors
    assert np.abs(colors[:, :2] - surface.vertices[:, :2]).max() <= 0.51
    doubled = color_surface(surface, ramp, matrix=np.array([[0.5, 0, 3], [0, 0.5, 0]])).colors
    assert np.abs(doubled[:, 0] - (surface.vertices[:, 0] / 2 + 3)).max() <= 0.51
    with pytest.raises(SurfaceError):
        color_surface(surface, ramp / 255.0)


@pytest.fixture(scope="module")
def block_files(tmp_path_factory):
    """The L block as three files, red on the left and green on the right."""
    image = np.zeros((192, 192, 3), np.uint8)
    image[:, :80] = (255, 0, 0)
    image[:, 80:] = (20, 180, 60)
    surface = color_surface(extract_surface(l_block()), image)
    folder = tmp_path_factory.mktemp("files")
    for ending in export.FORMATS:
        export.save_surface(folder / f"block{ending}", surface)
    return folder, surface


def reopened_colors(mesh: trimesh.Trimesh, ending: str) -> np.ndarray:
    colors = mesh.visual.vertex_colors[:, :3].astype(float)
    if ending != ".glb":
        return colors
    linear = colors / 255  # glTF's vertex colours are linear light
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("ending", export.FORMATS)
def test_files_reopen_with_axes_winding_and_colours(block_files, ending):
    folder, surface = block_files
    mesh = trimesh.load(folder / f"block{ending}", force="mesh", process=False)
    assert len(mesh.vertices) == len(surface.vertices)
    assert len(mesh.faces) == len(surface.faces)
    assert mesh.volume > 0  # counter-clockwise from outside, in the file's own axes
    points = np.array(mesh.vertices)
    assert points[points[:, 0] > 0][:, 1].max() < -30  # the foot is at the bottom: y runs up
    assert points[points[:, 2] > 10][:, 1].max() < -30  # and reaches towards the viewer
    points = points * [1, -1, 1] + [95.5, 95.5, 0]
    l_block_is_in_place(points.min(axis=0), points.max(axis=0), mesh.volume)
    colors = reopened_colors(mesh, ending)
    assert np.abs(colors[points[:, 0] < 79] - [255, 0, 0]).max() < 1
    assert np.abs(colors[points[:, 0] > 80] - [20, 180, 60]).max() < 4  # trimesh rounds linear light


def test_glb_has_exact_linear_colours_normals_and_aligned_parts(block_files):
    data = (block_files[0] / "block.glb").read_bytes()
    magic, version, length, text_length = struct.unpack("<IIII", data[:16])
    assert (magic, version, length) == (0x46546C67, 2, len(data))
    assert text_length % 4 == 0
    tree = json.loads(data[20 : 20 + text_length])
    assert all(view["byteOffset"] % 4 == 0 for view in tree["bufferViews"])
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    arrays = {}
    for name, number in attributes.items():
        view = tree["bufferViews"][tree["accessors"][number]["bufferView"]]
        start = 28 + text_length + view["byteOffset"]
        arrays[name] = np.frombuffer(data[start : start + view["byteLength"]], "<f4").reshape(-1, 3)
    assert np.allclose(np.linalg.norm(arrays["NORMAL"], axis=1), 1, atol=1e-4)
    right = arrays["POSITION"][:, 0] > 0
    assert np.allclose(arrays["COLOR_0"][right], [0.00699541, 0.45641103, 0.04518620], atol=1e-6)
    front = arrays["POSITION"][:, 2] == arrays["POSITION"][:, 2].max()
    assert np.median(arrays["NORMAL"][front][:, 2]) > 0.99


@pytest.mark.parametrize("ending", [".ply", ".obj"])
def test_files_say_which_way_their_axes_run(block_files, ending):
    head = (block_files[0] / f"block{ending}").read_bytes()[:250].decode("ascii", "replace")
    assert "x right, y up, z towards the viewer (right-handed)" in head and "y is 95.5 - y" in head


def front_view(mesh: trimesh.Trimesh, picture: np.ndarray, scale: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """What a viewer that looks along -z shows of a textured file: (size, size, 3), and where the mesh is."""
    points = (np.asarray(mesh.vertices) * [scale, -scale, scale] + [size / 2 - 0.5, size / 2 - 0.5, 0]).astype("f4")
    faces = np.asarray(mesh.faces, np.int32)
    seen = rasterize(points, faces, size, size)
    u, v = np.moveaxis(interpolate(mesh.visual.uv[:, [0, 1, 1]].astype("f4"), faces, seen)[..., :2], -1, 0)
    height, width = picture.shape[:2]
    where = np.stack([u * width - 0.5, (1 - v) * height - 0.5], axis=-1)
    return sample_bilinear(picture, where.reshape(-1, 2)).reshape(size, size, 3), seen.triangle >= 0


@pytest.mark.parametrize("ending", [".obj", ".glb"])
def test_the_photo_lies_on_the_surface_at_its_own_resolution(tmp_path, ending):
    """Seen from the front, the file shows the photo again, four of whose pixels are one of the crop."""
    photo = np.random.default_rng(3).integers(0, 256, (500, 600, 3), np.uint8)
    crop = Crop(np.zeros((192, 192, 3), np.uint8), np.array([[0.25, 0, 30.2], [0, 0.25, 40.7]]), np.zeros((68, 2)))
    surface = color_surface(extract_surface(ball(25)), crop.image)
    texture = photo_texture(photo, crop.to_photo(surface.vertices))
    path = tmp_path / f"a ball{ending}"
    export.save_surface(path, surface, texture=texture)
    export.save_surface(tmp_path / f"again{ending}", surface, texture=texture)
    names = {".glb": {path.name}, ".obj": {path.name, "a ball.mtl", "a ball_texture.png"}}[ending]
    assert {one.name for one in tmp_path.iterdir() if "again" not in one.name} == names
    again = (tmp_path / f"again{ending}").read_bytes().replace(b"again", b"a ball")
    assert again == path.read_bytes()

    mesh = trimesh.load(path, force="mesh", process=False)
    assert mesh.volume == pytest.approx(surface.volume, rel=1e-3)
    material = mesh.visual.material
    picture = np.asarray((material.image if ending == ".obj" else material.baseColorTexture).convert("RGB"))
    assert max(picture.shape) < 220  # only what the ball covers
    view, ball_is_there = front_view(mesh, picture, 4, 768)
    y, x = np.argwhere(ball_is_there).T
    in_crop = (np.stack([x, y], axis=1) - 383.5) / 4 + 95.5
    wanted = sample_bilinear(photo, crop.to_photo(in_crop.astype("f4")))
    assert len(x) > 25_000
    assert np.abs(view[y, x] - wanted).max() < 4  # uv has six digits in an .obj


def test_a_texture_keeps_inside_its_picture_and_a_large_one_is_reduced(monkeypatch):
    photo = np.random.default_rng(4).integers(0, 256, (60, 80, 3), np.uint8)
    points = np.array([[-50.0, 20.0, 1.0], [95.0, 70.0, 2.0], [40.0, 30.0, 0.0]], np.float32)
    texture = photo_texture(photo, points)
    assert np.array_equal(texture.picture, photo[19:])
    where = texture.uv * [80, -41] + [-0.5, 41 - 0.5]
    assert np.allclose(where, [[0, 1], [79, 40], [40, 11]], atol=1e-3)  # beyond the border: its nearest pixel
    monkeypatch.setattr("tddfa.texture.LARGEST_TEXTURE", 40)
    reduced = photo_texture(photo, points)
    assert reduced.picture.shape == (20, 40, 3) and np.array_equal(reduced.uv, texture.uv)
    with pytest.raises(ValueError, match="finite points"):
        photo_texture(photo, points[:0])


def test_a_photo_s_name_cannot_write_lines_into_an_obj(tmp_path):
    surface = extract_surface(ball(8))
    texture = photo_texture(np.zeros((200, 200, 3), np.uint8), surface.vertices)
    export.save_surface(tmp_path / "a\nv 0 0 0.obj", surface, texture=texture)
    lines = (tmp_path / "a\nv 0 0 0.obj").read_text().splitlines()
    assert lines[1] == "mtllib a?v 0 0 0.mtl"
    assert sum(line.startswith("v ") for line in lines) == len(surface.vertices)


def test_upright_twice_is_the_same_orientation_of_faces():
    surface = extract_surface(ball(10))
    turned = upright(surface)
    assert turned.volume == pytest.approx(surface.volume, rel=1e-4)
    assert turned.vertices[:, 1].mean() == pytest.approx(95.5 - 100, abs=0.1)


def test_files_without_colours_and_wrong_endings(tmp_path):
    surface = extract_surface(ball(8))
    for ending in export.FORMATS:
        export.save_surface(tmp_path / f"a{ending}", surface)
        mesh = trimesh.load(tmp_path / f"a{ending}", force="mesh", process=False)
        assert mesh.volume == pytest.approx(surface.volume, rel=1e-3)
    with pytest.raises(ValueError, match="ply"):
        export.save_surface(tmp_path / "a.stl", surface)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.glb", "a.obj", "a.ply"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    export.write_bytes(tmp_path / "a.bin", b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        export.write_bytes(tmp_path / "a.bin", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_simplify_keeps_shape_orientation_and_colour():
    surface = extract_surface(ball(30))
    surface = Surface(surface.vertices, surface.faces, np.full((len(surface.vertices), 3), 77, np.uint8))
    coarse = simplify(surface, max_faces=4000)
    assert 1000 < len(coarse.faces) <= 4000
    assert coarse.volume == pytest.approx(surface.volume, rel=0.05)
    assert (coarse.colors == 77).all()
    assert simplify(surface, max_faces=10**6) is surface


def test_marching_cubes_of_a_hard_solid_is_unbiased():
    """Voxel centres lie at integers: a block of voxels 40…69 reaches from 39.5 to 69.5."""
    volume = np.zeros((20, 30, 40), bool)
    volume[5:15, 10:20, 12:30] = True
    surface = extract_surface(volume, offset=0)
    assert np.allclose(surface.vertices.min(axis=0), [11.5, 9.5, 2.25])
    assert np.allclose(surface.vertices.max(axis=0), [29.5, 19.5, 7.25])


def test_ply_is_binary_and_small(tmp_path):
    export.save_surface(tmp_path / "a.ply", extract_surface(ball(20)))
    assert (tmp_path / "a.ply").read_bytes().startswith(b"ply\nformat binary_little_endian")
    assert trimesh.load(tmp_path / "a.ply", process=False).volume > 0
