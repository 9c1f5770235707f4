"""The builder of the open face model: its operators by hand, its rules against the stored file, a small sample."""

from __future__ import annotations

import importlib.util
from importlib import resources

import numpy as np
import pytest
import scipy.sparse as sp

from tddfa.model_files import sparse_from
from tddfa.open_face.__main__ import main
from tddfa.open_face.back import close_back, distance_to_back
from tddfa.open_face.build import derived_arrays, write_model
from tddfa.open_face.identities import align, fix_signs, shape_components
from tddfa.open_face.landmarks import closest_points, landmark_vertices
from tddfa.open_face.subdivision import catmull_clark, clip, split_quads, weld
from tddfa.topology import boundary_loops, is_watertight

CUBE = [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
CORNERS = np.array([[x, y, z] for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))], float)


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with np.load(resources.files("tddfa") / "data" / "open_face.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def parts(stored):
    operator = sparse_from(stored, "subdivision", len(stored["cage_mean"]))
    context = sparse_from(stored, "context_subdivision", len(stored["context_cage_mean"]))
    return operator, stored["cage_mean"].astype(np.float64), stored["tri"].astype(np.int64), context


def test_catmull_clark_of_a_cube():
    """By hand: a corner goes to 5/9, an edge's middle to 3/4, a face's middle stays."""
    operator, quads = catmull_clark(CUBE, 8)
    points = operator @ CORNERS
    assert points.shape == (26, 3) and quads.shape == (24, 4)
    np.testing.assert_allclose(points[:8], CORNERS * 5 / 9)
    np.testing.assert_allclose(np.sort(np.abs(points[8:20]), axis=1), np.tile([0, 0.75, 0.75], (12, 1)), atol=1e-12)
    np.testing.assert_allclose(np.sort(np.abs(points[20:]), axis=1), np.tile([0, 0, 1], (6, 1)), atol=1e-12)
    np.testing.assert_allclose(operator.sum(axis=1), 1)
    assert is_watertight(split_quads(quads, points))


def test_catmull_clark_boundary_is_a_spline():
    """By hand: a rim vertex is 1/8, 3/4, 1/8 of itself and its rim neighbours."""
    grid = np.arange(9).reshape(3, 3)
    faces = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], -1).reshape(-1, 4).tolist()
    operator, _ = catmull_clark(faces, 9)
    row = operator[1].toarray()[0]
    np.testing.assert_allclose(row[[0, 1, 2]], [0.125, 0.75, 0.125])
    with pytest.raises(ValueError, match="one or two polygons"):
        catmull_clark([[0, 1, 2], [0, 1, 3], [0, 1, 4]], 5)


def test_weld_joins_equal_places():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]])
    joined, faces = weld(sp.identity(6, format="csr"), np.array([[0, 1, 2], [3, 5, 4]]), points)
    assert joined.shape[0] == 4
    assert len(boundary_loops(faces)) == 1 and len(boundary_loops(faces)[0]) == 4


@pytest.mark.parametrize("snap", [0.0, 0.3])
def test_clip_keeps_the_positive_part(snap):
    grid = np.arange(36).reshape(6, 6)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], -1).reshape(-1, 4)
    y, x = np.meshgrid(np.arange(6.0), np.arange(6.0), indexing="ij")
    points = np.stack([x, y, 0 * x], -1).reshape(-1, 3)
    tri = split_quads(quads, points)
    operator, kept = clip(tri, points[:, 0] - 1.3, snap=snap)
    cut = operator @ points
    corner = cut[kept]
    area = np.abs(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])[:, 2]).sum() / 2
    assert area == pytest.approx(5 * 3.7, rel=1e-9 if snap == 0 else 0.05)
    assert cut[np.unique(kept), 0].min() == pytest.approx(1.3)
    assert len(boundary_loops(kept)) == 1


def test_closest_points_by_hand():
    vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0.0]])
    points = np.array([[0.5, 0.5, 3], [-1, -1, 0], [2, 2, 0], [1, -4, 0.0]])
    _, weights, distance = closest_points(points, vertices, np.array([[0, 1, 2]]))
    np.testing.assert_allclose(weights @ vertices, [[0.5, 0.5, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(distance, [3, 2**0.5, 2**0.5, 4])


def test_alignment_removes_similarities_and_components_are_orthogonal(parts):
    operator, mean, _, _ = parts
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(3, 3, 3)) * 0.02
    cages, contexts = [], []
    for i in range(6):
        bent = mean + sum(rng.normal() * mean @ s for s in smooth)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        similar = rng.uniform(0.9, 1.1) * (bent if i else mean) @ turn + rng.normal(size=3) * 20
        cages.append(similar)
        contexts.append(similar[:5])
    aligned = align(np.stack(cages), np.stack(contexts), operator)
    np.testing.assert_allclose((operator @ aligned.mean).mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(aligned.contexts, aligned.cages[:, :5], atol=1e-9)
    spread = np.linalg.norm(aligned.cages - aligned.mean, axis=2).mean()
    assert spread < 0.5 * np.linalg.norm(np.stack(cages) - np.mean(cages, axis=0), axis=2).mean()
    basis, _, explained = shape_components(aligned, operator, 3)
    fine = (operator @ basis.reshape(len(mean), -1)).reshape(-1, 3)
    products = fine.T @ fine
    assert np.abs(products - np.diag(np.diag(products))).max() < 1e-6 * products.max()
    assert (np.diff(explained) >= 0).all() and explained[-1] <= 1 + 1e-12


def test_signs():
    basis = np.zeros((2, 3, 2))
    basis[0, 0], basis[1, 2] = (-3, 1), (2, 4)
    np.testing.assert_array_equal(fix_signs(basis), [-1, 1])
    np.testing.assert_array_equal(fix_signs(basis, like=basis * [1, -1]), [1, -1])


def test_landmark_rule_gives_the_stored_landmarks(stored, parts):
    operator, cage, triangles, _ = parts
    moved, vertices = landmark_vertices(operator, cage, triangles)
    np.testing.assert_array_equal(vertices, stored["keypoints"].reshape(68, 3)[:, 0] // 3)
    shift = np.linalg.norm(moved @ cage - operator @ cage, axis=1)
    assert shift.max() < 0.7, "the stored mesh has its jaw vertices on the curve already (mm)"


def test_back_rule_gives_the_stored_back(stored, parts):
    operator, cage, triangles, _ = parts
    face = operator @ cage
    weights, closed = close_back(face, triangles)
    np.testing.assert_array_equal(closed, stored["closed_tri"])
    np.testing.assert_allclose((weights - sparse_from(stored, "back", len(face))).toarray(), 0, atol=1e-4)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert is_watertight(closed)
    used = np.unique(closed[closed < len(face)])
    assert (distance_to_back(face)[used] > 0).all()


def test_everything_that_follows_from_the_mean(stored, parts):
    operator, cage, triangles, context = parts
    around = stored["context_cage_mean"].astype(np.float64)
    arrays = derived_arrays(operator, cage, triangles, context, around, stored["context_tri"].astype(np.int64))
    assert arrays.keys() <= stored.keys()
    for key in ("keypoints", "tri", "context_tri", "context_region", "shoulder_tri", "shoulder_indices"):
        np.testing.assert_array_equal(arrays[key], stored[key], err_msg=key)
        assert arrays[key].dtype == stored[key].dtype
    np.testing.assert_allclose(arrays["shoulder_shift"], stored["shoulder_shift"], atol=1e-3)
    np.testing.assert_allclose(arrays["uv"].astype(float), stored["uv"].astype(float), atol=0.01)
    for key in ("ambient", "context_ambient"):
        assert np.abs(arrays[key].astype(int) - stored[key].astype(int)).mean() < 3, key


def test_file_is_written_whole_and_alike(tmp_path, stored):
    small = {key: stored[key] for key in ("keypoints", "format")}
    write_model(tmp_path / "a.npz", small)
    write_model(tmp_path / "b.npz", dict(reversed(small.items())))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_components_explain_what_the_design_asks_for(stored):
    assert stored["shape_explained"].shape == (40,) and stored["shape_explained"][-1] > 0.96
    assert stored["expression_explained"].shape == (10,) and stored["expression_explained"][-1] > 0.98


@pytest.mark.slow
def test_small_sample_matches_the_file(stored, parts):
    """With anny: the same cage, and new identities that the stored components describe to a millimetre."""
    pytest.importorskip("anny", reason="needs the extra [build-model]")
    from tddfa.open_face.build import sample_identities
    from tddfa.open_face.cage import build_cage, fine_mesh
    from tddfa.open_face.context import context_cage, context_mesh
    from tddfa.open_face.source import open_head
    from tddfa.open_face.surface import region_labels

    operator, mean, triangles, _ = parts
    head = open_head()
    cage = build_cage(head)
    built, built_triangles = fine_mesh(cage, head.rest)
    np.testing.assert_array_equal(built_triangles, triangles)
    slid = stored["keypoints"].reshape(68, 3)[:, 0] // 3
    same = np.setdiff1d(np.arange(built.shape[0]), slid)
    assert np.abs(built[same] - operator[same]).max() < 1e-6
    ring, quads = context_cage(head)
    np.testing.assert_array_equal(context_mesh(head.rest[ring], quads)[1], stored["context_tri"])
    assert (region_labels(head, cage, built, operator @ mean) == stored["region"]).mean() > 0.999

    cages, contexts = sample_identities(head, cage, ring, count=8, seed=99)
    everyone = align(np.concatenate([mean[None], cages]), np.concatenate([contexts[:1], contexts]), operator)
    fine = np.stack([operator @ one for one in everyone.cages])
    basis = (operator @ stored["cage_shape"].astype(float).reshape(len(mean), -1)).reshape(-1, 40)
    for one in fine[1:]:
        deviation = (one - fine[0]).ravel()
        coefficients = np.linalg.lstsq(basis, deviation, rcond=None)[0]
        error = np.linalg.norm((deviation - basis @ coefficients).reshape(-1, 3), axis=1).mean()
        assert error < 1.5 and np.abs(coefficients).max() < 6


def test_command_says_what_is_missing(tmp_path, capsys):
    if importlib.util.find_spec("anny") is not None:
        pytest.skip("anny is installed")
    assert main(["-o", str(tmp_path / "model.npz")]) == 1
    assert "build-model" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
