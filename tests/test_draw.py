"""The pictures and 3D files of tddfa: what they show, that nothing is changed in place, and parity with 3DDFA_V2."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import trimesh
from skimage import data

from tddfa import MorphableModel
from tddfa.canvas import sample_bilinear
from tddfa.draw import depth_map, draw_dense, draw_landmarks, draw_mesh, draw_pose, pncc
from tddfa.export import save_obj, save_ply
from tddfa.geometry import compose, pose_matrix, project, rotation_matrix
from tddfa.lighting import lambert, phong
from tddfa.outputs import PICTURES, FaceSet, draw_output
from tddfa.raster import rasterize, vertex_normals
from tddfa.texture import texture_coordinates, uv_texture
from vrnlib.images import read_photo

HEIGHT, WIDTH = 150, 200


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return MorphableModel.open()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Red grows to the right, green downwards."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x, y, np.full_like(x, 40)], axis=-1).astype(np.uint8)


def posed(model: MorphableModel, *, yaw: float = 20.0, x: float = 100.0, y: float = 75.0) -> np.ndarray:
    """The mean face, 120 pixels high, in image pixels."""
    matrix = pose_matrix(0.55, rotation_matrix(yaw, 5.0, 3.0), np.array([x, -y, 0.0]))
    return (project(matrix, model.mean) * (1, -1, 1)).astype(np.float32)


def every_picture(model: MorphableModel, image: np.ndarray, faces: np.ndarray) -> dict[str, np.ndarray]:
    params = np.stack([compose(pose_matrix(1.0, np.eye(3), np.zeros(3)), np.zeros(40), np.zeros(10))] * len(faces))
    landmarks = faces[:, model.landmark_vertices]
    return {
        "2d_sparse": draw_landmarks(image, landmarks),
        "2d_dense": draw_dense(image, faces),
        "3d": draw_mesh(image, faces, model.tri),
        "depth": depth_map(image, faces, model.tri),
        "pncc": pncc(image, faces, model.tri, model.mean),
        "pose": draw_pose(image, params, landmarks),
    }


def test_pictures_are_new_and_inputs_stay(model, photo):
    faces = np.stack([posed(model), posed(model, x=30, yaw=-40)])
    before = photo.copy(), faces.copy()
    for name, picture in every_picture(model, photo, faces).items():
        assert picture.dtype == np.uint8 and picture.shape == photo.shape, name
        assert not np.shares_memory(picture, photo) and (picture != photo).any(), name
    assert uv_texture(photo, faces, model.tri, model.uv).shape == (256, 512, 3)
    assert np.array_equal(photo, before[0]) and np.array_equal(faces, before[1])


def test_pictures_of_views_that_run_backwards(model, photo):
    """An image whose channels were flipped is a view with a negative stride, which OpenCV cannot draw on."""
    faces = posed(model)[None]
    straight = every_picture(model, np.ascontiguousarray(photo[:, :, ::-1]), faces)
    for name, picture in every_picture(model, photo[:, :, ::-1], faces).items():
        assert np.array_equal(picture, straight[name]), name


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_faces_that_are_not_finite_are_left_out(model, photo, broken):
    good, bad = posed(model), posed(model)
    bad[model.landmark_vertices[5]] = broken
    one, both = (every_picture(model, photo, np.stack(faces)) for faces in ([good], [bad, good]))
    for name, picture in one.items():
        assert np.array_equal(picture, both[name]), name


def test_no_face_leaves_the_photo_as_it_is(model, photo):
    for picture in (
        draw_landmarks(photo, []),
        draw_dense(photo, []),
        draw_mesh(photo, [], model.tri),
        depth_map(photo, [], model.tri),
        pncc(photo, np.zeros((0, model.vertex_count, 3)), model.tri, model.mean),
        draw_pose(photo, np.zeros((0, 62)), []),
    ):
        assert np.array_equal(picture, photo)
    assert uv_texture(photo, [], model.tri, model.uv).shape == (256, 0, 3)


@pytest.mark.parametrize("x", [-1000.0, 0.0, 200.0, 1e5])
def test_faces_across_and_outside_the_border(model, photo, x):
    pictures = every_picture(model, photo, posed(model, x=x)[None])
    for name in ("2d_dense", "3d", "depth", "pncc"):
        assert (pictures[name] != photo).any() == (abs(x) <= 200), name


def test_wrong_arguments_are_told_in_a_sentence(model, photo):
    face = posed(model)
    for call, words in (
        (lambda: draw_mesh(photo.astype(float), face, model.tri), "uint8"),
        (lambda: draw_mesh(photo, face.T, model.tri), "transpose"),
        (lambda: draw_mesh(photo, face, model.tri, light="neon"), "phong"),
        (lambda: draw_landmarks(photo, face), "68"),
        (lambda: draw_pose(photo, np.zeros((2, 62)), face[None, :68]), "2 rows"),
        (lambda: pncc(photo, face, model.tri, model.mean[:9]), "(9, 3)"),
        (lambda: uv_texture(photo, face, model.tri, model.mean), "(N, 2)"),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert words in str(error.value)


def test_landmark_picture_shows_every_point(photo, model):
    landmarks = model.landmarks(posed(model))
    for width in (None, 900):
        picture = draw_landmarks(photo // 4, landmarks, width=width)
        factor = picture.shape[1] / WIDTH
        assert picture.shape == (HEIGHT * factor, WIDTH * factor, 3)
        x, y = np.rint((landmarks[:, :2] + 0.5) * factor - 0.5).astype(int).T
        around = np.stack([picture[y + dy, x + dx].min(axis=-1) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
        assert (around.max(axis=0) > (80 if width is None else 200)).all()


def test_dense_dots_are_cyan_and_on_the_face_only(model, photo):
    black = np.zeros_like(photo)
    face = posed(model)
    picture = draw_dense(black, face, width=800)
    assert picture[:, :, 0].max() == 0 and picture.max() <= 191 and np.array_equal(picture[:, :, 1], picture[:, :, 2])
    y, x = np.nonzero(picture[:, :, 1])
    assert len(x) > 10_000
    assert (x.min() / 4 > face[:, 0].min() - 2) and (x.max() / 4 < face[:, 0].max() + 2)


def test_lit_mesh_is_brightest_where_it_faces_the_lamp(model, photo):
    face = posed(model, yaw=0)
    facing = vertex_normals(face, model.tri)[:, 2]
    for light in (phong, lambert):
        brightness = light(face, model.tri)
        assert brightness.dtype == np.float32 and 0.0 <= brightness.min() and brightness.max() <= 1.0
        assert np.corrcoef(brightness, facing.clip(0))[0, 1] > 0.9
    assert np.array_equal(draw_mesh(photo, face, model.tri, opacity=0.0), photo)
    surface = draw_mesh(np.zeros_like(photo), face, model.tri, opacity=1.0)
    seen = rasterize(face, model.tri, HEIGHT, WIDTH).triangle >= 0
    assert np.array_equal(surface.max(axis=-1) > 0, seen)
    mixed = draw_mesh(photo, face, model.tri)
    assert np.abs(mixed[seen] - (0.4 * photo[seen] + 0.6 * surface[seen])).max() <= 1
    assert np.array_equal(mixed[~seen], photo[~seen])


def test_depth_goes_from_black_to_white_and_grows_towards_the_camera(model, photo):
    face = posed(model)
    picture = depth_map(photo, face, model.tri)
    buffers = rasterize(face, model.tri, HEIGHT, WIDTH)
    seen = buffers.triangle >= 0
    z = (buffers.depth[seen] - face[:, 2].min()) / np.ptp(face[:, 2])
    assert np.abs(picture[seen] / 255 - z[:, None]).max() < 1 / 255 + 1e-3
    assert np.array_equal(picture[~seen], photo[~seen])


def test_pncc_is_x_in_blue_y_in_green_z_in_red(model, photo):
    face = posed(model)
    picture = pncc(np.zeros_like(photo), face, model.tri, model.mean)
    code = (model.mean - model.mean.min(axis=0)) / np.ptp(model.mean, axis=0)
    nose = model.landmark_vertices[30]
    x, y = np.rint(face[nose, :2]).astype(int)
    assert np.abs(picture[y, x, ::-1] / 255 - code[nose]).max() < 0.05


def test_later_faces_cover_earlier_ones(model, photo):
    near, far = posed(model), posed(model, x=110)
    near[:, 2] += 500
    alone = depth_map(photo, far, model.tri)
    seen = rasterize(far, model.tri, HEIGHT, WIDTH).triangle >= 0
    assert np.array_equal(depth_map(photo, [near, far], model.tri)[seen], alone[seen])


def test_texture_takes_the_photo_s_colour_at_each_vertex(model, photo):
    face, size = posed(model), 256
    texture = uv_texture(photo, face, model.tri, texture_coordinates(model), size=size)
    skin = texture[:, :, 2] > 0
    assert skin.mean() > 0.3
    nose = model.landmark_vertices[30]
    u, v = model.uv[nose] * (size - 1)
    assert np.abs(texture[round(size - 1 - v), round(u), :2] - face[nose, :2]).max() < 3
    outside = uv_texture(photo, face + np.float32([1e4, 1e4, 0]), model.tri, model.uv, size=size)
    assert np.abs(outside[skin].astype(int) - photo[-1, -1]).max() <= 1  # weights that add up to 0.9999999


def test_texture_coordinates_of_an_unknown_model(model, tmp_path, monkeypatch):
    import dataclasses

    import scipy.io

    np.save(tmp_path / "indices.npy", np.arange(5, dtype=np.int32))
    scipy.io.savemat(tmp_path / "BFM_UV.mat", {"UV": np.zeros((9, 2))})
    monkeypatch.setattr("tddfa.assets.resolve", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match="5 vertices"):
        texture_coordinates(dataclasses.replace(model, uv=None, name="strange.pkl"))


def test_pose_box_turns_with_the_head(model, photo):
    wide = np.zeros((300, 500, 3), np.uint8)
    landmarks = model.landmarks(posed(model, yaw=0, x=250, y=180))
    turned = [
        compose(pose_matrix(0.01, rotation_matrix(yaw, 0, 0), np.zeros(3)), np.zeros(40), np.zeros(10))
        for yaw in (0.0, 40.0)
    ]
    boxes = [draw_pose(wide, row, landmarks) for row in turned]
    frontal = boxes[0].any(axis=(-1, 0)).nonzero()[0]
    middle = landmarks[:27, 0].mean()
    assert abs((frontal[0] + frontal[-1]) / 2 - middle) < 1.5
    assert np.array_equal(draw_pose(wide, np.zeros(62), landmarks), wide)  # no rotation at all
    sideways = boxes[1].any(axis=(-1, 0)).nonzero()[0]
    assert sideways[-1] - middle > 1.3 * (middle - sideways[0])


@pytest.mark.parametrize("ending", ["ply", "obj"])
def test_meshes_open_in_trimesh_with_colours_and_unclamped(model, photo, tmp_path, ending):
    faces = np.stack([posed(model, x=20), posed(model, x=170, y=140, yaw=-30)])
    before = faces.copy()
    path = tmp_path / f"faces.{ending}"
    (save_ply if ending == "ply" else save_obj)(path, photo, faces, model.tri)
    mesh = trimesh.load(path, process=False)
    assert np.array_equal(faces, before)
    assert len(mesh.vertices) == 2 * model.vertex_count and len(mesh.faces) == 2 * len(model.tri)
    flat = np.concatenate(faces)
    upright = flat * (1, -1, 1) + (0, HEIGHT, 0)
    assert upright[:, 0].min() < -5 and upright[:, 1].min() < -5
    assert np.abs(mesh.vertices - upright).max() < 1e-3
    x, y = np.rint(flat[:, :2].clip(0, (WIDTH - 1, HEIGHT - 1))).astype(int).T
    if ending == "ply":
        assert np.array_equal(mesh.visual.vertex_colors[:, :3], photo[y, x])
    else:
        picture = np.asarray(mesh.visual.material.image.convert("RGB"))
        where = mesh.visual.uv * (picture.shape[1], -picture.shape[0]) + (-0.5, picture.shape[0] - 0.5)
        at = flat[:, :2].clip(0, (WIDTH - 1, HEIGHT - 1))
        assert np.abs(sample_bilinear(picture, where) - sample_bilinear(photo, at)).max() < 1
        rows = [line.split() for line in path.read_text().splitlines() if line.startswith("v ")]
        assert np.abs(np.array(rows)[:, 4:].astype(float) * 255 - photo[y, x]).max() < 0.1
    assert "y up, z towards the viewer (right-handed)" in path.read_bytes()[:200].decode("ascii", "replace")
    nose = model.landmark_vertices[30]
    assert mesh.vertex_normals[nose][2] > 0.5
    names = {path.name, "faces.mtl", "faces_texture.png"} if ending == "obj" else {path.name}
    assert {one.name for one in tmp_path.iterdir()} == names


def test_mesh_of_no_face_is_refused_and_leaves_no_file(model, photo, tmp_path):
    bad = np.full((model.vertex_count, 3), np.nan, np.float32)
    with pytest.raises(ValueError, match="at least one face"):
        save_obj(tmp_path / "none.obj", photo, bad, model.tri)
    with pytest.raises(OSError, match="folder"):
        save_ply(tmp_path / "missing" / "face.ply", photo, posed(model), model.tri)
    assert not list(tmp_path.iterdir())


# Parity with 3DDFA_V2: its pictures, drawn from its own vertices.

PHOTOS = ("astronaut", "JianzhuGuo", "trump_hillary", "emma")


@pytest.fixture(scope="module")
def official(assets) -> MorphableModel:
    """The stand-in for the official face model; its mean and triangles are exact."""
    return MorphableModel.load(assets / "official" / "configs" / "bfm_noneck_v3.standin.pkl")


@pytest.fixture(scope="module", params=PHOTOS)
def original(request, assets, reference) -> tuple[str, np.ndarray, dict[str, np.ndarray]]:
    """A photo's name, the photo, and what the original made of it; pictures turned to RGB, faces to (F, N, 3)."""
    name = request.param
    image = data.astronaut() if name == "astronaut" else read_photo(assets / "photos" / f"{name}.jpg")
    with np.load(reference / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files if not key.startswith(("det_", "crops"))}
    for key, value in arrays.items():
        if key.endswith("_black") or key == "uv_tex":
            arrays[key] = np.ascontiguousarray(value[:, :, ::-1])
    for key in ("dense", "sparse"):
        arrays[key] = np.ascontiguousarray(arrays[key].transpose(0, 2, 1))
    return name, image, arrays


def equal_share(one: np.ndarray, other: np.ndarray, *, levels: int = 2) -> float:
    """Share of the pixels that either picture drew (not black) whose channels all differ by at most so many levels."""
    assert one.shape == other.shape
    drawn = (one.max(axis=-1) > 0) | (other.max(axis=-1) > 0)
    return float((cv2.absdiff(one, other).max(axis=-1) <= levels)[drawn].mean())


def test_normals_equal_the_original_s(official, original):
    _, _, arrays = original
    for face, normals in zip(arrays["dense"], arrays["normals"], strict=True):
        assert np.abs(vertex_normals(face, official.tri) - normals).max() <= 1e-4


def test_surfaces_equal_the_original_s(official, original):
    _, image, arrays = original
    black, faces = np.zeros_like(image), arrays["dense"]
    ours = {
        "render_sim3dr_black": draw_mesh(black, faces, official.tri, opacity=1.0),
        "render_ctypes_black": draw_mesh(black, faces, official.tri, opacity=1.0, light="lambert"),
        "depth_black": depth_map(black, faces, official.tri),
        "pncc_black": pncc(black, faces, official.tri, official.mean),
    }
    for name, picture in ours.items():
        assert equal_share(picture, arrays[name]) >= 0.999, name


def test_texture_equals_the_original_s(official, original, monkeypatch, assets):
    monkeypatch.setattr("tddfa.assets.resolve", lambda name: assets / "official" / "configs" / name)
    _, image, arrays = original
    texture = uv_texture(image, arrays["dense"], official.tri, texture_coordinates(official))
    assert equal_share(texture, arrays["uv_tex"]) >= 0.999


def test_z_buffer_equals_the_original_s(official, original):
    name, image, arrays = original
    if "zbuffer" not in arrays:
        pytest.skip(f"the reference holds no z-buffer of {name}")
    for face, zbuffer in zip(arrays["dense"], arrays["zbuffer"], strict=True):
        depth = rasterize(face, official.tri, *image.shape[:2]).depth
        seen = zbuffer > -1e7
        assert (np.isfinite(depth) != seen).mean() < 1e-5
        assert (np.abs(depth - zbuffer)[seen & np.isfinite(depth)] < 0.02).mean() > 0.9999


def test_pose_boxes_equal_the_original_s(original):
    _, image, arrays = original
    drawn = draw_pose(image, arrays["params"], arrays["sparse"])
    mask = np.unpackbits(arrays["pose_drawn_diff"])[: drawn[:, :, 0].size].reshape(drawn.shape[:2]).astype(bool)
    assert ((drawn != image).any(axis=-1) != mask).sum() <= 0.01 * mask.sum()


@pytest.mark.parametrize("original", ["trump_hillary"], indirect=True)
def test_pictures_look_like_the_original_s(official, original, reference, monkeypatch, assets):
    """Against what the original's command line wrote, both blurred: JPEG and Matplotlib differ in single pixels."""
    monkeypatch.setattr("tddfa.assets.resolve", lambda name: assets / "official" / "configs" / name)
    name, image, arrays = original
    faces = FaceSet(
        *(arrays[key] for key in ("boxes", "roi", "params", "sparse", "dense", "pose_deg")),
    )
    for option in PICTURES:
        theirs = read_photo(reference / "pictures" / f"{name}_{option}.jpg")
        ours = draw_output(option, image, faces, official)
        assert ours.shape == theirs.shape, option
        ours, theirs = cv2.blur(ours, (9, 9)), cv2.blur(theirs, (9, 9))
        assert (cv2.absdiff(ours, theirs).max(axis=-1) <= 16).mean() > 0.99, option
