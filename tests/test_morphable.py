"""The open face model's layout, landmarks, closed solid and context; the guarded reading of official files."""

from __future__ import annotations

import os
import pickle
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from tddfa import geometry, voxelize
from tddfa.archives import read_npy
from tddfa.morphable import MorphableModel
from tddfa.safe_pickle import load_pickle
from tddfa.topology import boundary_loops, fill_loops, is_watertight, largest_piece

LEFT = [*range(8), *range(17, 22), 31, 32, *range(36, 42), 48, 49, 50, 58, 59, 60, 61, 67]
RIGHT = [*range(16, 8, -1), *range(26, 21, -1), 35, 34, 45, 44, 43, 42, 47, 46, 54, 53, 52, 56, 55, 64, 63, 65]


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return MorphableModel.open()


def random_face(model, seed):
    rng = np.random.default_rng(seed)
    return model.reconstruct(model.sample_shape(rng), model.sample_expression(rng))


def random_pose(rng):
    pitch, roll = np.clip(rng.normal(0, 15), -40, 40), np.clip(rng.normal(0, 12), -45, 45)
    return geometry.rotation_matrix(rng.uniform(-90, 90), pitch, roll)


def posed_solid(model, face, rotation):
    """The closed mesh in crop pixels: the 68 points' box has sqrt(w*h) = 90 and its middle at 95.5."""
    turned = (face.astype(np.float64) @ rotation.T) * [1, -1, 1]
    points = model.landmarks(turned)[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 90 / np.sqrt(np.prod(high - low))
    centre = np.append((low + high) / 2, 0)
    return model.close((turned - centre) * scale + [95.5, 95.5, 0])


def test_layout_is_bfms(model):
    n = model.vertex_count
    assert model.u.shape == (3 * n, 1) and model.w_shp.shape == (3 * n, 40) and model.w_exp.shape == (3 * n, 10)
    assert model.tri.shape[1] == 3 and model.tri.min() == 0 and model.tri.max() == n - 1
    assert model.keypoints.shape == (204,)
    assert {a.dtype for a in (model.u, model.w_shp, model.w_exp)} == {np.dtype(np.float32)}
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=40), rng.normal(size=10)
    formula = (model.u + (model.w_shp @ a + model.w_exp @ b)[:, None]).reshape(3, -1, order="F").T
    np.testing.assert_allclose(model.reconstruct(a, b), formula, atol=1e-3)
    np.testing.assert_array_equal(model.u.ravel()[model.keypoints].reshape(68, 3), model.landmarks(model.mean))


def test_file_is_small():
    assert (resources.files("tddfa") / "data" / "open_face.npz").stat().st_size <= 3_000_000


def test_missing_coefficients_are_zero_and_too_many_refused(model):
    np.testing.assert_array_equal(model.reconstruct(np.zeros(0), np.zeros(3)), model.mean)
    with pytest.raises(ValueError, match="40 shape"):
        model.reconstruct(np.zeros(41), np.zeros(10))
    with pytest.raises(ValueError, match="10 expression"):
        model.reconstruct(np.zeros(40), np.zeros((10, 1)))


def test_mean_face_is_a_face_in_millimetres(model):
    """Eyes, nose and chin lie where a face has them; x right, y up, z to the viewer."""
    points = model.landmarks(model.mean)
    assert points[36, 0] < points[39, 0] < points[42, 0] < points[45, 0]
    assert points[27, 1] > points[33, 1] > points[51, 1] > points[62, 1] > points[57, 1] > points[8, 1]
    assert points[:, 2].argmax() == 30
    assert 80 < points[45, 0] - points[36, 0] < 100  # outer interocular distance of an adult
    np.testing.assert_allclose(model.mean.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(points[LEFT] * [-1, 1, 1], points[RIGHT], atol=0.5)


def test_normals_point_outwards(model):
    corner = model.mean[model.tri]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    skin = (model.region[model.tri] == 0).all(axis=1) & (corner.mean(axis=1)[:, 2] > 0)
    assert ((normal * (corner.mean(axis=1) + [0, 0, 40])).sum(axis=1)[skin] > 0).mean() > 0.9


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4])
def test_jaw_is_a_smooth_curve(model, seed):
    """The prototype's jaw jumped by up to 50 mm in depth from point to point."""
    points = model.landmarks(model.mean if seed is None else random_face(model, seed))
    for side in (points[:9], points[16:7:-1]):
        assert np.abs(np.diff(side, n=2, axis=0)).max() < 13
        assert (np.diff(side[2:, 2]) > 0).all(), "from below the ear to the chin the jaw comes forward"
        assert (np.diff(side[:, 1]) < 0).all(), "from the ear to the chin the jaw goes down"
        step = np.linalg.norm(np.diff(side, axis=0), axis=1)
        assert step.max() < 1.8 * step.min()
    assert np.abs(np.diff(model.mean[model.landmark_vertices[:9]], n=2, axis=0)).max() < 9


def test_brows_are_smooth_and_above_the_eyes(model):
    points = model.landmarks(model.mean)
    for brow, eye in ((points[17:22], points[36:40]), (points[26:21:-1], points[45:41:-1])):
        assert np.abs(np.diff(brow, n=2, axis=0)).max() < 6
        assert brow[:, 1].min() > eye[:, 1].max() + 8


def test_jaw_lies_on_the_mandible(model):
    points = model.landmarks(model.mean)
    assert abs(points[0, 1] - points[36, 1]) < 12, "point 0 is at eye level"
    ear_front = model.mean[(model.region == 5) & (model.mean[:, 0] < 0), 2].max()
    assert points[0, 2] > ear_front, "point 0 lies before the ear"
    outline = points[3:6, 0]
    for x, (_, y, _) in zip(outline, points[3:6], strict=True):
        near = np.abs(model.mean[:, 1] - y) < 4
        assert x < 0.85 * model.mean[near, 0].min(), "the jaw's points are at the outline, not on the cheek"


def test_one_opening_before_a_watertight_mesh_after(model):
    assert len(boundary_loops(model.tri)) == 1
    face = random_face(model, 5)
    closed, triangles = model.close(face)
    assert is_watertight(triangles)
    assert triangles.dtype == np.int32 and closed.dtype == np.float32
    np.testing.assert_array_equal(closed[: len(face)], face)
    assert triangles.max() < len(closed)
    corner = closed[triangles].astype(np.float64)
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    assert area.min() > 0
    volume = np.einsum("ij,ij->", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])) / 6
    assert volume > 6e5, "oriented outwards, and a solid of a face's size (mm^3)"


def test_closing_commutes_with_any_affine_map(model):
    rng = np.random.default_rng(6)
    matrix, shift = rng.normal(size=(3, 3)), rng.normal(size=3)
    face = model.mean.astype(np.float64)
    before, _ = model.close(face)
    after, _ = model.close(face @ matrix + shift)
    np.testing.assert_allclose(before @ matrix + shift, after, atol=1e-3)
    with pytest.raises(ValueError, match="Expected vertices"):
        model.close(face[:-1])


def test_nose_and_front_belong_to_the_solid(model):
    used = np.zeros(model.vertex_count, bool)
    used[model.closed_tri[model.closed_tri < model.vertex_count]] = True
    assert used[model.landmark_vertices[17:]].all()
    assert used[(model.mean[:, 2] > 10) & (np.abs(model.mean[:, 1]) < 70)].all()
    assert not used[model.region == 5].any(), "ears are left out of the solid"


def test_solids_of_random_poses_fit_into_200_slices(model):
    """Design, section 3: at least 99.5 % of the solid, and the nose always."""
    rng = np.random.default_rng(10)
    inside = total = 0
    for seed in range(300):
        mesh, triangles = posed_solid(model, random_face(model, seed), random_pose(rng))
        kept, offset = voxelize(mesh, triangles, step=6)
        whole, _ = voxelize(mesh, triangles, step=6, depth=400)
        inside, total = inside + kept.sum(), total + whole.sum()
        nearest = mesh[model.landmark_vertices[30], 2]
        assert 2 * nearest + offset < 200, "the nose is never cut"
    assert inside / total >= 0.995


def test_solid_is_one_piece_without_holes(model):
    """The voxeliser keeps the largest component: it must be all of the mesh's volume."""
    rng = np.random.default_rng(1)
    for seed in range(20):
        mesh, triangles = posed_solid(model, random_face(model, seed), random_pose(rng))
        volume, _ = voxelize(mesh, triangles, depth=400)
        corner = mesh[triangles]
        exact = abs(np.einsum("ij,ij->", corner[:, 0], np.cross(corner[:, 1], corner[:, 2]))) / 6
        assert volume.sum() / 2 == pytest.approx(exact, rel=0.01)


def test_surface_labels_and_coordinates(model):
    assert model.region_names == ("skin", "lips", "eye", "mouth interior", "eyelid", "ear")
    assert set(np.unique(model.region)) == set(range(6))
    assert model.uv.shape == (model.vertex_count, 2) and model.uv.min() >= 0 and model.uv.max() <= 1
    assert model.ambient.min() >= 0 and model.ambient.max() <= 1
    assert model.ambient[model.region == 3].mean() < 0.5 < model.ambient[model.region == 0].mean()
    assert (model.region[model.landmark_vertices[[48, 51, 54, 57, 62, 66]]] == 1).all()


def test_context_follows_the_face(model):
    rng = np.random.default_rng(2)
    a, b = model.sample_shape(rng), model.sample_expression(rng)
    around = model.context.reconstruct(a, b)
    assert around.shape == model.context.mean.shape and model.context.tri.max() == len(around) - 1
    face = model.reconstruct(a, b)
    rim = face[boundary_loops(model.tri)[0]]
    gap = np.linalg.norm(rim[:, None] - around[None], axis=2).min(axis=1)
    assert gap.max() < 12, "the context reaches the face's rim"
    assert around[:, 1].max() > face[:, 1].max() and around[:, 1].min() < face[:, 1].min()
    shoulders = model.shoulders.reconstruct(a, b)
    assert np.ptp(shoulders[:, 0]) > 300 and model.shoulders.tri.max() == len(shoulders) - 1
    start = np.linalg.norm(shoulders[:84, None] - around[None], axis=2).min(axis=1)
    assert start.max() < 1e-3, "the shoulders begin at the neck's edge"


def test_samples_are_seeded_and_bounded(model):
    first, second = (model.sample_shape(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (40,) and np.abs(first).max() <= 2.5
    expression = model.sample_expression(np.random.default_rng(3))
    assert expression.shape == (10,) and (model.expression_bank == expression).all(axis=1).any()
    neutral = (model.expression_bank == 0).all(axis=1).mean()
    assert 0.05 < neutral < 0.2
    spread = np.sqrt((model.expression_bank.astype(np.float64) ** 2).mean(axis=0))
    np.testing.assert_allclose(spread, 1, atol=0.02)


def test_with_components(model):
    small = model.with_components(shape=12, expression=4)
    assert small.w_shp.shape[1] == 12 and small.expression_bank.shape[1] == 4
    a = np.random.default_rng(4).normal(size=12)
    np.testing.assert_array_equal(small.reconstruct(a, np.zeros(4)), model.reconstruct(a, np.zeros(4)))
    assert small.context.reconstruct(a, np.zeros(4)).shape == model.context.mean.shape


class Hostile:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


@pytest.mark.parametrize("protocol", range(6))
def test_hostile_pickle_is_refused_by_name_and_does_not_run(tmp_path, protocol):
    mark = tmp_path / "ran"
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps({"u": np.zeros(3), "w_shp": Hostile(mark)}, protocol=protocol))
    with pytest.raises(ValueError, match=r"builtin.*\.exec"):
        MorphableModel.load(file)
    assert not mark.exists()


@pytest.mark.parametrize("name", [b"cos\nsystem\n(S'true'\ntR.", b"cnumpy\nload\n(S'x'\ntR.", b"cnumpy\nmemmap\n."])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="os.system|posix.system|numpy.load|numpy.memmap"):
        load_pickle(name)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("module", ["core", "_core"])
def test_arrays_of_old_and_new_numpy_are_read(protocol, module):
    content = {"a": np.arange(6.0).reshape(2, 3).T, "b": [np.float32(2.5), (1, "x", b"\xff")], "c": np.ones(2, "i4")}
    data = pickle.dumps(content, protocol=protocol)
    if protocol == 0:
        data = data.replace(b"cnumpy._core.", b"cnumpy." + module.encode() + b".")
    found = load_pickle(data)
    np.testing.assert_array_equal(found["a"], content["a"])
    np.testing.assert_array_equal(found["c"], content["c"])
    assert found["b"][0] == 2.5 and found["b"][1] == (1, "x", b"\xff")


def test_object_arrays_and_damaged_pickles_are_refused():
    with pytest.raises(ValueError, match="Python objects"):
        load_pickle(pickle.dumps({"u": np.array([{}, 1], dtype=object)}))
    with pytest.raises(ValueError, match="damaged"):
        load_pickle(pickle.dumps(np.arange(100))[:60])


def _made(*, code: str, state: object = None, shape: tuple = (1,), data: object = b"") -> bytes:
    """A pickle, put together by hand, of one array of a type ``code`` with a forged state."""
    parts = [b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"]
    parts += [b"(K\x01", pickle.dumps(shape, 2)[2:-1]]
    parts += [b"cnumpy\ndtype\n", pickle.dumps((code, False, True), 2)[2:-1], b"R"]
    parts += [b"" if state is None else pickle.dumps(state, 2)[2:-1] + b"b"]
    parts += [b"\x89", pickle.dumps(data, 3)[2:-1], b"tb."]
    return b"".join(parts)


def test_a_forged_array_is_put_together_rightly():
    """Else the next test refuses it for the wrong reason."""
    state = (3, "<", None, None, None, -1, -1, 0)
    assert load_pickle(_made(code="i8", state=state, shape=(2,), data=bytes(16))).tolist() == [0, 0]
    assert load_pickle(_made(code="i2", state=(3, ">", *state[2:]), data=b"\x01\x00")).tolist() == [256]


@pytest.mark.parametrize(
    "forged",
    [
        _made(code="O8", state=(3, "|", None, None, None, -1, -1, 0), data=bytes(8)),  # objects that own up to no flags
        _made(code="V8", state=(3, "|", None, ("a",), {"a": (0, 0)}, 8, 1, 0), data=bytes(8)),
        _made(code="V8", data=bytes(8)),
        _made(code="f8", state=(3, "<", None, None, None, 80, -1, 0), data=bytes(8)),  # larger than it is
        _made(code="f8", state=(3, "<", None, None, None, -1, -1, 63), data=bytes(8)),  # flags of objects
        _made(code="f8", shape=(5,), data=bytes(8)),  # more elements than bytes
        _made(code="f8", shape=(2**61, 8), data=b""),  # whose product wraps around
        _made(code="f8", shape=(1,), data=[1]),
        b"\x80\x02cnumpy\nndarray\nK\x05\x85cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R\x86R.",
        b"\x80\x02cnumpy\nndarray\n.",
        b"\x80\x02cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb.",  # a state for a name
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a place that takes gigabytes
        b"\x80\x02]q\x00h\x00a.",  # a list in itself
    ],
)
def test_forged_types_states_and_shapes_are_refused(forged):
    with pytest.raises(ValueError, match="Expected"):
        load_pickle(forged)


@pytest.mark.skipif(os.name != "posix", reason="a pipe with a name")
def test_a_pipe_and_a_device_are_no_pickles(tmp_path):
    os.mkfifo(tmp_path / "pipe.pkl")
    for path in (tmp_path / "pipe.pkl", Path("/dev/zero"), tmp_path):
        with pytest.raises(ValueError, match=r"Expected a pickle, .* is a folder, a device or a pipe"):
            load_pickle(path)


def test_a_pickle_of_lists_in_lists_takes_no_more_time_than_bytes():
    content = [0.0]
    for _ in range(200):
        content = [content, content]
    found = load_pickle(pickle.dumps(content))
    assert found[0] is found[1]
    with pytest.raises(ValueError, match="damaged"):
        load_pickle(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with np.load(resources.files("tddfa") / "data" / "open_face.npz") as file:
        return dict(file)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("subdivision_indices", lambda a: np.full_like(a, 60_000)),
        ("subdivision_indptr", lambda a: np.append(a[:-1], a[-1] + 10**6).astype(a.dtype)),
        ("subdivision_indptr", lambda a: a[::-1].copy()),
        ("back_indices", lambda a: a.astype(np.int64) - 10**9),
        ("shoulder_indices", lambda a: np.full_like(a, 60_000)),
        ("context_subdivision_data", lambda a: a[:5]),
        ("keypoints", lambda a: a + 10**6),
        ("tri", lambda a: np.full_like(a, 60_000)),
        ("closed_tri", lambda a: a[:, :2]),
        ("context_tri", lambda a: a.astype(np.float32)),
        ("cage_mean", lambda a: a * np.float32(np.nan)),
        ("cage_shape", lambda a: a[:-1]),
        ("context_cage_mean", None),
        ("uv", None),
        ("ambient", lambda a: a[:7]),
        ("expression_bank", lambda a: a[:, :3]),
    ],
)
def test_damaged_arrays_of_a_face_model_are_told(tmp_path, stored, name, change):
    """SciPy multiplies with columns that are not there, which ends the process or reads what lies about."""
    arrays = {**stored, name: None if change is None else change(stored[name])}
    np.savez(tmp_path / "face.npz", **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(ValueError, match="Expected an open face model"):
        MorphableModel.load(tmp_path / "face.npz")


def test_damaged_archives_are_told(tmp_path):
    whole = (resources.files("tddfa") / "data" / "open_face.npz").read_bytes()
    for place in np.random.default_rng(1).integers(0, len(whole), 12):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        (tmp_path / "face.npz").write_bytes(changed)
        with pytest.raises(ValueError, match="Expected"):
            MorphableModel.load(tmp_path / "face.npz")
    (tmp_path / "face.npz").write_bytes(whole[:-2000])
    with pytest.raises(ValueError, match="damaged"):
        MorphableModel.load(tmp_path / "face.npz")
    end = whole.rindex(b"PK\x05\x06") + 16  # where the zip's table begins: members then lie before the file
    later = int.from_bytes(whole[end : end + 4], "little") + len(whole)
    (tmp_path / "face.npz").write_bytes(whole[:end] + later.to_bytes(4, "little") + whole[end + 4 :])
    with pytest.raises(ValueError, match=r"face\.npz \(Invalid argument\)"):
        MorphableModel.load(tmp_path / "face.npz")


def test_bombs_pipes_and_promises_are_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "face.npz", "w", zipfile.ZIP_DEFLATED) as file, file.open("u.npy", "w") as entry:
        for _ in range(1100):
            entry.write(bytes(2**20))
    with pytest.raises(ValueError, match="unpacks to"):
        MorphableModel.load(tmp_path / "face.npz")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(ValueError, match="a pipe"):
        MorphableModel.load(tmp_path / "pipe.npz")
    header = (
        b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }".ljust(117)
    )
    (tmp_path / "much.npy").write_bytes(header + b"\n" + bytes(64))
    with pytest.raises(ValueError, match="64 bytes for an array"):
        read_npy(tmp_path / "much.npy")


def test_wrong_files_are_sentences(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        MorphableModel.load(tmp_path / "none.pkl")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"u": np.zeros(9)}))
    with pytest.raises(ValueError, match="w_shp"):
        MorphableModel.load(tmp_path / "a.pkl")
    np.savez(tmp_path / "b.npz", u=np.zeros(3))
    with pytest.raises(ValueError, match="open face model"):
        MorphableModel.load(tmp_path / "b.npz")


def test_official_layout_has_the_same_interface(tmp_path):
    """A small pickle in the official layout, its triangles apart in tri.pkl and turned inside out."""
    grid = np.arange(16).reshape(4, 4)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1).reshape(-1, 4)
    tri = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    y, x = np.meshgrid(np.linspace(1, -1, 4), np.linspace(-1, 1, 4), indexing="ij")
    points = np.stack([x, y, 2 - x**2 - y**2], axis=-1).reshape(-1, 3)
    content = {
        "u": points.reshape(-1, 1).astype(np.float32),
        "w_shp": np.ones((48, 40), np.float32),
        "w_exp": np.ones((48, 10), np.float32),
        "keypoints": np.arange(204) % 48,
    }
    (tmp_path / "face.pkl").write_bytes(pickle.dumps(content))
    (tmp_path / "tri.pkl").write_bytes(pickle.dumps(tri.T))
    model = MorphableModel.load(tmp_path / "face.pkl")
    assert model.vertex_count == 16 and model.context is None and model.expression_bank is None
    closed, triangles = model.close(model.mean)
    assert closed.shape == (17, 3) and is_watertight(triangles)
    corner = closed[triangles]
    assert np.einsum("ij,ij->", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])) > 0
    with pytest.raises(ValueError, match="expression bank"):
        model.sample_expression(np.random.default_rng(0))


def test_official_stand_in(assets):
    path = assets / "official" / "configs" / "bfm_noneck_v3.standin.pkl"
    if not path.is_file():
        pytest.skip("no stand-in of the official model here")
    model = MorphableModel.load(path)
    assert model.vertex_count == 38365 and model.w_shp.shape[1] == 40 and model.w_exp.shape[1] == 10
    closed, triangles = model.close(model.mean)
    assert is_watertight(triangles)
    corner = closed[triangles].astype(np.float64) / 1000
    assert np.einsum("ij,ij->", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])) / 6 > 5e5


def test_loops_of_a_touching_boundary_are_split():
    """Two openings that share a vertex are two loops, and filling both closes the mesh."""
    loops = boundary_loops(np.array([[0, 1, 2], [0, 3, 4]]))
    assert sorted(len(loop) for loop in loops) == [3, 3]
    weights, closed = fill_loops(np.array([[0, 1, 2], [0, 3, 4]]), 5)
    assert weights.shape == (2, 5) and is_watertight(closed)
    assert len(largest_piece(np.array([[0, 1, 2], [2, 1, 3], [4, 5, 6]]))) == 2
    assert not is_watertight(np.array([[0, 1, 2], [0, 1, 2]]))
