# ---
# jupyter:
#   workbook: {minutes_cpu: 30, minutes_t4: 30, memory_gb: 2, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 5 · From voxels to a face
#
# The network leaves us seven million probabilities. Marching cubes finds the surface where they cross one half, finer
# than a voxel. Three small functions of yours make a mesh of it that stands upright in every viewer.

# %% [markdown]
# **You will be able to**
#
# - extract a level set with sub-voxel accuracy,
# - bring it into pixels without stretching the nose,
# - tell from one number whether a mesh is inside out,
# - colour it, turn it in 3D, and export OBJ and GLB.

# %% [markdown]
# {{prerequisites}}
#
# You need the coordinate contract of notebook 0. The probabilities come from the trained network of notebook 4.

# %% tags=["setup"]

# %%
import tempfile
from pathlib import Path

import numpy as np
import trimesh
from skimage.data import astronaut
from skimage.measure import marching_cubes

from vrnlib.checks import yours_or_ours
from vrnlib.checks.visualisation import check_signed_volume, check_to_crop_pixels, check_upright
from vrnlib.export import save_surface
from vrnlib.notebook import picture, view
from vrnlib.reconstruct import reconstruct
from vrnlib.show import picture_grid, render_views
from vrnlib.surface import Surface, color_surface

# %% [markdown]
# ## 1 · What the network left us
#
# One probability per voxel, `[z, y, x]`. Inside they are near 1, outside near 0, and at the surface they pass through
# everything between. That soft step is information: it says *where between two voxels* the surface lies.

# %% tags=["measured"]
face = reconstruct(astronaut())[0]
probability = face.probability
print(f"{probability.shape} {probability.dtype}, {(probability > 0.5).mean():.0%} above one half")
assert probability.shape == (200, 192, 192) and 0 <= probability.min() and probability.max() <= 1
assert 0.05 < (probability > 0.5).mean() < 0.1
slices = [np.repeat((probability[k] * 255).astype(np.uint8)[..., None], 3, axis=2) for k in (60, 100, 140, 170)]
alt = "Four slices of the astronaut's probabilities, from back to front: white inside, soft grey edges, black outside."
picture(picture_grid(slices, [f"slice {k}" for k in (60, 100, 140, 170)]), alt=alt)

# %% [markdown]
# ## 2 · Finer than a voxel
#
# Marching cubes puts each vertex on an edge between two voxels, where the linear interpolation crosses the level. We
# test it on a ball whose radius we know: once with soft edges, once cut to yes and no.

# %%
grid = np.stack(np.mgrid[0:40, 0:40, 0:40], axis=-1) - 19.5
distance = np.linalg.norm(grid, axis=-1)
soft = 1 / (1 + np.exp(distance - 14.3))
hard = (soft > 0.5).astype(np.float32)
errors = {}
for name, field in [("soft", soft), ("hard", hard)]:
    corners, _, _, _ = marching_cubes(field, 0.5)
    errors[name] = np.abs(np.linalg.norm(corners - 19.5, axis=1) - 14.3).mean()
    print(f"{name}: mean error of the radius {errors[name]:.3f} voxels")
assert errors["soft"] < 0.01 < 0.1 < errors["hard"]

# %% [markdown]
# So we hand the *probabilities* to marching cubes, never the yes and no. It answers in array indices: rows of
# (z, y, x), in voxels.

# %% tags=["measured"]
corners, triangles, _, _ = marching_cubes(probability, 0.5)
print(f"{len(corners):,} vertices", "- ranges of the three columns:")
for column, name in enumerate("zyx"):
    print(f"  {name}: {corners[:, column].min():.0f} … {corners[:, column].max():.0f}")
low, high = corners.min(axis=0), corners.max(axis=0)
assert np.allclose(low, [34, 32, 54], atol=4) and np.allclose(high, [162, 140, 141], atol=4)

# %% [markdown]
# ### Your turn: to_crop_pixels
#
# ●○○ 5 min. Reorder the columns to (x, y, z), and turn slices into pixels: z = (k − offset) / 2.

# %% [markdown] help="to_crop_pixels"
# <details><summary>Hint</summary>
#
# `points[:, ::-1]` reverses the columns, then only the last one is left to do.
# </details>
# <details><summary>Typical error</summary>
#
# z is left in slices. The face is then twice as deep as it should be (see the end of this notebook).
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.visualisation.to_crop_pixels`. `vrnlib.surface.extract_surface` does it together with
# the next step.
# </details>

# %% exercise="to_crop_pixels"
def to_crop_pixels(points: np.ndarray, offset: float) -> np.ndarray:
    """(N, 3) as (z, y, x) in voxels → (N, 3) as (x, y, z) in crop pixels."""
    ### BEGIN SOLUTION
    return np.column_stack([points[:, 2], points[:, 1], (points[:, 0] - offset) / 2])
    ### END SOLUTION

# %% check="to_crop_pixels"
check_to_crop_pixels(to_crop_pixels)

# %%
to_crop_pixels = yours_or_ours("to_crop_pixels", globals())
vertices = to_crop_pixels(corners, offset=99.5)

# %% [markdown]
# ## 3 · Inside and outside
#
# A triangle has two sides; the order of its corners says which one is outside. The *signed volume* tells for a whole
# mesh: add the tetrahedra from the origin to each triangle, a · (b × c) / 6. Positive: outwards. Negative: inside out.

# %% [markdown]
# ### Your turn: signed_volume
#
# ●●○ 8 min. `vertices[faces[:, 0]]` are all first corners at once. No loop is needed.

# %% [markdown] help="signed_volume"
# <details><summary>Hint</summary>
#
# `np.cross(b, c)` works row by row; `(a * …).sum(axis=1)` is the dot product of rows.
# </details>
# <details><summary>Typical error</summary>
#
# The absolute value. The sign is the point of the exercise.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.visualisation.signed_volume`; `vrnlib.surface.Surface.volume` has the same sum.
# </details>

# %% exercise="signed_volume"
def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Volume of a closed mesh; positive when its triangles look outwards."""
    ### BEGIN SOLUTION
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)
    ### END SOLUTION

# %% check="signed_volume"
check_signed_volume(signed_volume)

# %%
signed_volume = yours_or_ours("signed_volume", globals())
ball = trimesh.creation.icosphere(subdivisions=4, radius=10.0)
ratio = signed_volume(ball.vertices, ball.faces) / (4 / 3 * np.pi * 10**3)
print(f"a ball of triangles has {ratio:.0%} of the ball's volume")
assert 0.97 < ratio < 1

# %%
before = signed_volume(vertices, triangles)
faces = triangles if before > 0 else triangles[:, ::-1]
print("marching cubes' triangles looked", "outwards" if before > 0 else "inwards", "in these axes")
assert signed_volume(vertices, faces) > 0
surface = Surface(vertices.astype(np.float32), np.ascontiguousarray(faces, np.int32))

# %% [markdown]
# ## 4 · Colour
#
# Each vertex lies at a place (x, y) of the crop, so it takes the crop's colour there. It is simple, and it has a
# price: the far side of the nose gets the colour of what hides it.

# %%
colored = color_surface(surface, face.crop.image)
print("one colour per vertex:", colored.colors.shape == colored.vertices.shape)
picture(render_views(colored, views=["front", "three-quarter", "side"], size=220, colored=True),
        alt="The astronaut's face as a coloured surface, from the front, half from the side, and from the side.")

# %% tags=["view-3d"]
view(colored, alt="The astronaut's coloured 3D face from three sides; run this cell to turn it with the mouse.")

# %% [markdown]
# ## 5 · Upright in every viewer
#
# Viewers expect y to point *up*. Turning y over mirrors the mesh, and a mirror turns each triangle inside out. So the
# order of the corners must be reversed as well.

# %% [markdown]
# ### Your turn: upright
#
# ●○○ 5 min. Return the new vertices and the new faces.

# %% [markdown] help="upright"
# <details><summary>Hint</summary>
#
# Multiply with a vector of signs; reverse the columns of `faces`.
# </details>
# <details><summary>Typical error</summary>
#
# Turning y *and* z over. That is a rotation, so no triangle needs to change, but the face looks away from you.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.visualisation.upright`. `vrnlib.surface.upright` is longer, because it also moves the
# crop's middle to the origin.
# </details>

# %% exercise="upright"
def upright(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop axes (y down) → viewer axes (y up), triangles still looking outwards."""
    ### BEGIN SOLUTION
    return vertices * [1, -1, 1], faces[:, ::-1]
    ### END SOLUTION

# %% check="upright"
check_upright(upright)

# %%
upright = yours_or_ours("upright", globals())
assert signed_volume(*upright(vertices, faces)) > 0

# %% tags=["measured"]
with tempfile.TemporaryDirectory() as folder:
    for ending in ("obj", "glb"):
        path = Path(folder, f"face.{ending}")
        save_surface(path, colored)
        mesh = trimesh.load(path, force="mesh")
        print(f".{ending}: {len(mesh.faces):,} triangles, looks outwards: {mesh.volume > 0}")
        assert mesh.volume > 0 and len(mesh.faces) == len(colored.faces)

# %% [markdown]
# ## What goes wrong
#
# Three negative controls, all seen in the wild: z not halved, y not turned over, and y turned over but the triangles
# not. One number or one look tells each of them.

# %%
deep = Surface((surface.vertices * [1, 1, 2]).astype(np.float32), surface.faces)
fallen = Surface((surface.vertices * [1, -1, 1]).astype(np.float32), np.ascontiguousarray(surface.faces[:, ::-1]))
views = [render_views(one, views=["side"], size=220) for one in (surface, deep, fallen)]
inside_out = signed_volume(vertices * [1, -1, 1], faces)
print("signed volume of the mirrored mesh with old triangles is negative:", inside_out < 0)
assert inside_out < 0 and np.isclose(deep.volume, 2 * surface.volume, rtol=1e-3)
alt = "The face from the side three times: right, twice as deep, and upside down."
picture(picture_grid(views, ["right", "z not halved", "y not turned over"], columns=3), alt=alt)

# %% [markdown] question="meshes_in_words" points=3
# ### In your own words
#
# ●●○ 10 min. A stranger sends you a .obj of a face. In five to ten sentences: which three properties do you check
# before you measure anything on it, how, and which mistake does each check find?
#
# <details><summary>What a good answer says</summary>
#
# - 1 point each, up to 3: the sign of the volume (inside out); the extents against each other (depth not halved,
#   unit); which way y and z point (upside down, mirrored); open edges (no inside, so no volume). The check and the
#   mistake must both be named.
# </details>

# %% [markdown]
# ## Summary
#
# - Marching cubes on probabilities is finer than a voxel; on yes and no it is a staircase.
# - Reorder the axes and halve the depth before you measure anything.
# - The sign of the volume says whether a mesh is inside out.
# - A mirrored axis needs reversed triangles.
#
# {{links}}
