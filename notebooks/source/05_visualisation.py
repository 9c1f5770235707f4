# ---
# jupyter:
#   workbook: {minutes_cpu: 150, memory_gb: 1, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 5 · From voxels to a face
#
# The network leaves us seven million probabilities. Marching cubes finds the surface where they cross one half, finer
# than a voxel. You write its heart, give the surface colours and normals, and stand it upright in every viewer.

# %% [markdown]
# **You will be able to**
#
# - find a level set with sub-voxel accuracy, and bring it into pixels,
# - tell from one number whether a mesh is inside out,
# - colour a mesh from a picture and compute its normals,
# - turn it in 3D, look into the volume, and export OBJ and GLB with the right handedness.

# %% [markdown]
# {{prerequisites}}
#
# You need the coordinate contract of notebook 0. The probabilities come from the trained network of notebook 4.
# Numbers in brackets are sources; the list stands at the end.

# %% tags=["setup"]

# %%
import k3d
import numpy as np
import torch
import trimesh
from skimage.data import astronaut
from skimage.measure import marching_cubes
from torch.nn import functional as F

from vrnlib.checks import yours_or_ours
from vrnlib.checks.surfaces import check_edge_vertices, check_sample_bilinear, check_vertex_normals
from vrnlib.checks.visualisation import check_signed_volume, check_to_crop_pixels, check_upright
from vrnlib.export import save_surface
from vrnlib.network import VRN, VRNConfig
from vrnlib.notebook import frontal_sample, own_photo, picture, sliders, view, view_plot
from vrnlib.reconstruct import reconstruct
from vrnlib.show import picture_grid, plot_surface, render_views
from vrnlib.surface import Surface, color_surface, extract_surface

# %% [markdown]
# ## 1 · What the network left us
#
# One probability per voxel, `[z, y, x]`. Inside they are near 1, outside near 0, and at the surface they pass through
# everything between. That soft step is information: it says *where between two voxels* the surface lies.
#
# > **Level set**: all points where a field has one value, here $\{p : f(p) = 0.5\}$.

# %% tags=["measured"]
face = reconstruct(astronaut())[0]
probability = face.probability
print(f"{probability.shape} {probability.dtype}, {(probability > 0.5).mean():.0%} above one half")
assert probability.shape == (200, 192, 192) and 0 <= probability.min() and probability.max() <= 1
assert 0.05 < (probability > 0.5).mean() < 0.1
slices = (probability[[60, 100, 140, 170], :, :, None] * 255).astype(np.uint8).repeat(3, axis=3)
alt = "Four slices of the probabilities, back to front: white inside, grey edges, black outside."
picture(picture_grid(list(slices), [f"slice {k}" for k in (60, 100, 140, 170)]), alt=alt)

# %% [markdown]
# **Play.** The level need not be one half. Move it: where the face is certain nothing happens; where the network
# doubts, at the rim and the neck, the surface breathes. The view below the sheet is the whole field as a cloud, with
# the surface inside.

# %% tags=["view-3d"]
def at_level(level: float) -> np.ndarray:
    """The surface where the probability has this value."""
    surface = extract_surface(probability, level=level)
    return render_views(surface, views=["three-quarter"], size=230)

sheet = {f"level {level}": {"level": level} for level in (0.05, 0.25, 0.5, 0.75, 0.95)}
alt = "Five surfaces: at level 0.05 a swollen head, at 0.95 a shrunken one, all with the same face."
sliders(at_level, {"level": (0.05, 0.95, 0.05)}, start={"level": 0.5}, sheet=sheet, alt=alt)

# %% tags=["view-3d"]
plot = plot_surface(face.surface, max_faces=40_000)
cloud = probability[::4, ::-2, ::2].astype(np.float32)  # every second pixel, y turned up
sides = [-95.5, 95.5, -95.5, 95.5, -49.75, 49.75]
plot += k3d.volume(cloud, bounds=sides, color_range=[0.02, 1], alpha_coef=8, samples=96)
shadows = [probability.max(axis=0), probability.max(axis=2).T, probability.max(axis=1)[::-1]]
shadows = [(one[..., None] * 255).astype(np.uint8).repeat(3, axis=2) for one in shadows]
alt = "The largest probability along each axis: the outline from the front, the side and above."
view_plot(plot, picture_grid(shadows, ["along z", "along x", "along y"]), alt=alt)

# %% [markdown]
# ## 2 · Finer than a voxel
#
# *Marching cubes* [1] looks at each edge between two neighbouring voxels $a$ and $b$. Where one value is above the
# level $l$ and the other is not, the linear interpolation crosses it once, at
#
# $$p = a + t\,(b - a), \qquad t = \frac{l - f(a)}{f(b) - f(a)}.$$
#
# All vertices of the mesh are such points. We test what they are worth on a ball whose radius we know.

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
# ### Your turn: edge_vertices
#
# ●●● 60 min. Find all crossings of a field, along z, along y and along x, as rows (z, y, x). A voxel is inside where
# its value is above the level. Any order of the points will do. We hand over *probabilities*, never yes and no: in
# the test above they were forty times as accurate.

# %% [markdown] help="edge_vertices"
# <details><summary>Hint</summary>
#
# Do one axis first. `field[:-1]` and `field[1:]` are the starts and ends of all edges along z; `np.argwhere` lists
# where a truth value is true, in the same order in which `start[crossed]` lists the values.
# </details>
# <details><summary>Another hint</summary>
#
# `field.take(range(n), axis)` cuts along any axis, so that one loop does all three.
# </details>
# <details><summary>Typical error</summary>
#
# `(start < level) & (end > level)`: only where the field rises. The surface has a far side, too.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.surfaces.edge_vertices`. `vrnlib.surface.extract_surface` calls scikit-image, which
# also connects the points: a table says for each of the 256 patterns of eight corners which triangles they make.
# </details>

# %% exercise="edge_vertices"
def edge_vertices(field: np.ndarray, level: float) -> np.ndarray:
    """Points (N, 3) as (z, y, x) where edges between neighbouring voxels cross the level."""
    ### BEGIN SOLUTION
    found = []
    for axis in range(3):
        count = field.shape[axis] - 1
        start, end = field.take(range(count), axis), field.take(range(1, count + 1), axis)
        crossed = (start > level) != (end > level)
        points = np.argwhere(crossed).astype(float)
        points[:, axis] += (level - start[crossed]) / (end[crossed] - start[crossed])
        found.append(points)
    return np.concatenate(found)
    ### END SOLUTION

# %% check="edge_vertices" points=4
check_edge_vertices(edge_vertices)

# %% tags=["measured"]
edge_vertices = yours_or_ours("edge_vertices", globals())
corners, triangles, _, _ = marching_cubes(probability, 0.5)
yours = edge_vertices(probability, 0.5)
print(f"yours: {len(yours):,} points, scikit-image's marching cubes: {len(corners):,} vertices")
assert len(yours) == len(corners)
apart = np.abs(np.sort(yours, axis=0) - np.sort(corners, axis=0)).max()
print(f"largest difference of the sorted coordinates: {apart:.6f} voxels")
assert apart < 1e-3

# %% [markdown]
# ### Your turn: to_crop_pixels
#
# ●○○ 5 min, one line. Marching cubes speaks in array indices: rows of (z, y, x), in voxels. Reorder the columns to
# (x, y, z), and turn slices into pixels: $z = (k - \text{offset}) / 2$.

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
# mesh: it adds the tetrahedra from the origin to each triangle. Positive: outwards. Negative: inside out.
#
# $$V = \frac{1}{6} \sum_{(a, b, c)} a \cdot (b \times c)$$
#
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
before = signed_volume(vertices, triangles)
faces = triangles if before > 0 else triangles[:, ::-1]
print("marching cubes' triangles looked", "outwards" if before > 0 else "inwards", "in these axes")
assert 0.97 < ratio < 1 and signed_volume(vertices, faces) > 0
surface = Surface(vertices.astype(np.float32), np.ascontiguousarray(faces, np.int32))

# %% [markdown]
# ## 4 · Colour
#
# Each vertex lies at a place $(x, y)$ of the crop, between four pixels. With the fractions $u$ and $v$ of $x$ and $y$:
#
# $$c = (1-v)\big[(1-u)\,c_{00} + u\,c_{01}\big] + v\,\big[(1-u)\,c_{10} + u\,c_{11}\big].$$
#
# It has a price: the far side of the nose gets the colour of what hides it.
#
# > **Bilinear**: linear along x, then along y.
#
# ### Your turn: sample_bilinear
#
# ●●○ 20 min. Take the colours at points (x, y). Beyond the border use the nearest pixel. Do not round.

# %% [markdown] help="sample_bilinear"
# <details><summary>Hint</summary>
#
# Clip x and y first, then no point lies outside. `image[y0, x0]` with two arrays of indices gives all pixels at once.
# </details>
# <details><summary>Another hint</summary>
#
# On the last column `x0 + 1` is outside the picture; `np.minimum(x0 + 1, width - 1)` is harmless, as u is 0 there.
# </details>
# <details><summary>Typical error</summary>
#
# `image[x, y]`. A picture is indexed [row, column], which is [y, x]. On a square picture nothing crashes.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.surfaces.sample_bilinear`. `vrnlib.surface.color_surface` does the same, brings the
# points into another picture where one is given, and rounds at the end.
# </details>

# %% exercise="sample_bilinear"
def sample_bilinear(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Colours (N, 3) of an RGB picture at points (N, 2) as x, y, between four pixels."""
    ### BEGIN SOLUTION
    height, width = image.shape[:2]
    x, y = np.clip(points[:, 0], 0, width - 1), np.clip(points[:, 1], 0, height - 1)
    x0, y0 = x.astype(int), y.astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    u, v = (x - x0)[:, None], (y - y0)[:, None]
    top = (1 - u) * image[y0, x0] + u * image[y0, x1]
    bottom = (1 - u) * image[y1, x0] + u * image[y1, x1]
    return (1 - v) * top + v * bottom
    ### END SOLUTION

# %% check="sample_bilinear" points=2
check_sample_bilinear(sample_bilinear)

# %% tags=["measured"]
sample_bilinear = yours_or_ours("sample_bilinear", globals())
mixed = sample_bilinear(face.crop.image, surface.vertices[:, :2])
colored = Surface(surface.vertices, surface.faces, np.rint(np.array(mixed)).astype(np.uint8))
apart = np.abs(colored.colors.astype(int) - color_surface(surface, face.crop.image).colors)
print(f"{len(mixed):,} colours; they differ from the library's by at most {apart.max()} of 255")
assert apart.max() <= 1

# %% tags=["view-3d"]
view(colored, alt="The astronaut's coloured 3D face from three sides; run this cell to turn it.")

# %% [markdown]
# ## 5 · Normals
#
# Light needs the direction in which the surface looks. A triangle's cross product is as long as twice its area, so a
# plain sum weighs each face by its size:
#
# $$n_i = \frac{m_i}{\|m_i\|}, \qquad m_i = \sum_{f \ni i} (b_f - a_f) \times (c_f - a_f).$$
#
# > **Normal**: a unit vector at right angles to the surface, pointing outwards.
#
# ### Your turn: vertex_normals
#
# ●●○ 15 min. Sum the faces' cross products at their three corners, then make each row one long. `np.add.at` adds
# also where an index comes several times.

# %% [markdown] help="vertex_normals"
# <details><summary>Hint</summary>
#
# `np.add.at(total, faces[:, 0], normal)` adds each face's normal to its first corner; two more lines do the others.
# </details>
# <details><summary>Typical error</summary>
#
# `total[faces[:, 0]] += normal`. NumPy writes once per vertex: of six faces around it, one counts.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.surfaces.vertex_normals`; `tddfa.raster.vertex_normals` sums in Cython, and knows
# pictures' axes, too.
# </details>

# %% exercise="vertex_normals"
def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals: the faces' cross products, summed around each vertex."""
    ### BEGIN SOLUTION
    a, b, c = vertices[faces[:, 0]], vertices[faces[:, 1]], vertices[faces[:, 2]]
    normal = np.cross(b - a, c - a)
    total = np.zeros(vertices.shape)
    for corner in range(3):
        np.add.at(total, faces[:, corner], normal)
    return total / np.linalg.norm(total, axis=1, keepdims=True)
    ### END SOLUTION

# %% check="vertex_normals" points=2
check_vertex_normals(vertex_normals)

# %% tags=["measured"]
vertex_normals = yours_or_ours("vertex_normals", globals())
normals = np.array(vertex_normals(colored.vertices.astype(float), colored.faces))
cosine = (normals * colored.normals()).sum(axis=1)
print(f"smallest cosine to the library's normals: {cosine.min():.4f}")
assert cosine.min() > 0.99
as_colors = Surface(colored.vertices, colored.faces, ((normals + 1) * 127.5).astype(np.uint8))
views = ["front", "three-quarter", "side"]
shown = [render_views(as_colors, views=views, size=200, colored=True),
         render_views(colored, views=views, size=200)]
alt = "Above, normals as colours, one colour for each direction; below, the light they make."
picture(np.concatenate(shown), alt=alt)

# %% [markdown]
# ## 6 · Upright in every viewer
#
# Crop axes (x right, y down, z towards you) are **left-handed**: the thumb, index and middle finger of the left hand.
# Files and viewers are right-handed, with y *up*. The step between is a mirror, $\det\,\text{diag}(1, -1, 1) = -1$, and
# a mirror turns each triangle inside out. So the order of its corners must be reversed as well.
#
# ### Your turn: upright
#
# ●○○ 5 min, one line. Return the new vertices and the new faces.

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

# %% tags=["measured"]
import tempfile
from pathlib import Path

upright = yours_or_ours("upright", globals())
assert signed_volume(*upright(vertices, faces)) > 0
with tempfile.TemporaryDirectory() as folder:
    for ending in ("obj", "glb"):
        path = Path(folder, f"face.{ending}")
        save_surface(path, colored)
        mesh = trimesh.load(path, force="mesh")
        nose = mesh.vertices[mesh.vertices[:, 2].argmax()]
        print(f".{ending} {len(mesh.faces):,} faces, volume {mesh.volume:.0f}, nose {nose.round()}")
        assert mesh.volume > 0 and len(mesh.faces) == len(colored.faces)

# %% [markdown]
# ## 7 · Watch a network learn
#
# k3d shows a *time series* if a field is a dictionary: time → array. We teach a tiny VRN a single face, keep its
# answer now and then, and march through the epochs: in the view's panel, *Controls*, move the time or let it play.
# (One face learnt by heart is no training; that is notebook 4.)

# %% tags=["measured"]
sample = frontal_sample(7)
solid = torch.from_numpy(sample.volume()[::4, 2::4, 2::4].astype(np.float32))[None]
image = torch.from_numpy(sample.image.transpose(2, 0, 1).copy())[None].float() / 255
torch.manual_seed(0)
tiny = VRN(VRNConfig(stem=8, features=32, hourglasses=1, depth=3, slices=50, resize=None))
torch.nn.init.constant_(tiny.head[-1].bias, -2.5)  # most voxels are empty
optimizer = torch.optim.Adam(tiny.parameters(), lr=5e-3)
series: dict[str, np.ndarray] = {}
for step in range(121):
    logits = tiny.lattice_logits(image)
    if step in (10, 20, 30, 60, 120):
        finer = F.interpolate(logits.detach()[None], scale_factor=2, mode="trilinear")
        series[str(step)] = torch.sigmoid(finer[0, 0]).numpy()
    optimizer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(logits, solid)
    loss.backward()
    optimizer.step()
print(f"{len(series)} volumes of {series['120'].shape}; loss at the end {loss:.3f}")
assert loss < 0.1

# %% tags=["view-3d"]
known = {step: one for step, one in series.items() if one.max() > 0.5}
surfaces = {step: extract_surface(one, offset=49.5) for step, one in known.items()}
plot = plot_surface(surfaces["120"])  # one surface, and now one for each step
mesh = plot.objects[0]
mesh.colors, mesh.color = [], 0xB8B8B8
turned = {step: upright(one.vertices, one.faces) for step, one in surfaces.items()}
mesh.vertices = {step: np.float32(xyz - [95.5, -95.5, 0]) for step, (xyz, _) in turned.items()}
mesh.indices = {step: np.uint32(corners) for step, (_, corners) in turned.items()}
tiles = [render_views(one, views=["three-quarter"], size=190) for one in surfaces.values()]
alt = "A tiny network's face after 10 to 120 steps: first a rough block, at the end a face."
view_plot(plot, picture_grid(tiles, [f"step {step}" for step in surfaces], columns=6), alt=alt)

# %% [markdown]
# **Your own photo.** One photo, one face; it stays on the machine that runs this notebook.

# %% tags=["live"]
def three_views(photo: np.ndarray) -> np.ndarray:
    """The largest face of a photo as a coloured surface from three sides."""
    found = reconstruct(photo)
    if not found:
        raise ValueError("No face was found; take a photo with one face that looks at the camera.")
    return render_views(found[0].surface, views=views, size=240, colored=True)

own_photo(three_views, alt="Your face from the front, half from the side, and from the side.")

# %% [markdown]
# ## What goes wrong
#
# Three negative controls, all seen in the wild: z not halved, y not turned over, and y turned over but the triangles
# not. One number or one look tells each of them.

# %%
deep = Surface((surface.vertices * [1, 1, 2]).astype(np.float32), surface.faces)
turned = np.ascontiguousarray(surface.faces[:, ::-1])
fallen = Surface((surface.vertices * [1, -1, 1]).astype(np.float32), turned)
inside_out = signed_volume(vertices * [1, -1, 1], faces)
print("signed volume of the mirrored mesh with old triangles is negative:", inside_out < 0)
assert inside_out < 0 and np.isclose(deep.volume, 2 * surface.volume, rtol=1e-3)
shown = [render_views(one, views=["side"], size=220) for one in (surface, deep, fallen)]
alt = "The face from the side three times: right, twice as deep, and upside down."
picture(picture_grid(shown, ["right", "z not halved", "y not turned over"], columns=3), alt=alt)

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
# - The sign of the volume says whether a mesh is inside out; a mirrored axis needs reversed triangles.
# - Colours are interpolated, normals are sums of cross products.
#
# **Sources**
#
# 1. W. Lorensen, H. Cline, *Marching Cubes: A High Resolution 3D Surface Construction Algorithm*, SIGGRAPH 1987; here
#    in the variant of T. Lewiner et al., *Efficient Implementation of Marching Cubes' Cases with Topological
#    Guarantees*, Journal of Graphics Tools, 2003.
#
# {{links}}
