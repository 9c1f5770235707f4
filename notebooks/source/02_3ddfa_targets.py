# ---
# jupyter:
#   workbook: {minutes_cpu: 120, memory_gb: 1, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 2 · Targets from a face model
#
# A VRN learns from pairs: a picture, and the solid that it shows. A small network reads 62 numbers from a photo, a
# face model makes a mesh of them, and a voxeliser the yes and no of seven million voxels.

# %% [markdown]
# **You will be able to**
#
# - follow a photo from box to roi, to 62 numbers, to mesh, to solid,
# - build a pose from scale, rotation and shift, and keep the flip of the picture out of it,
# - write the heart of a renderer, one triangle into a depth buffer,
# - close an open surface, fill it, and recognise a shell.

# %% [markdown]
# {{prerequisites}}
#
# Notebook 1 gave us the crop. Here we need matrices and a little geometry. Numbers in brackets are sources with their
# section; the list stands at the end.

# %% tags=["setup"]

# %%
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import trimesh
from PIL import Image, ImageDraw
from skimage.data import astronaut
from tddfa import MorphableModel, TDDFA, draw_mesh, reference, rasterize, voxelize
from tddfa.faceboxes import OPEN_WEIGHTS, FaceBoxes
from tddfa.geometry import image_from_roi, project, rotation_matrix, split_pose
from tddfa.regressor import network_input
from tddfa.voxelizer import open_edges

from vrnlib.checks import yours_or_ours
from vrnlib.checks.pipeline import check_denormalize, check_draw_triangle
from vrnlib.checks.targets import check_compose_pose, check_fill_columns, check_to_image_axes
from vrnlib.metrics import iou
from vrnlib.notebook import own_photo, picture, sliders, view
from vrnlib.show import picture_grid, render_views
from vrnlib.surface import Surface, color_surface, extract_surface, simplify

# %% [markdown]
# ## 1 · From a photo to 62 numbers
#
# 3DDFA_V2 [1, § 3] takes five steps. A detector finds a box, $w \times h$ pixels. A square, the *roi*, is laid around
# it, its centre lowered by $0.14\,(w + h)/2$. The roi is cut out, resized to 120², and a MobileNet answers.
#
# $$\text{side} = 1.58 \cdot \frac{w + h}{2}, \qquad \text{input} = \frac{\text{BGR} - 127.5}{128}.$$
#
# > **Roi**: region of interest, the part of a picture that is looked at.

# %% tags=["measured"]
photo, detector, regressor = astronaut(), FaceBoxes(OPEN_WEIGHTS), TDDFA("open")
box = detector(photo)[0]
parameters, rois = regressor(photo, box[None])
roi, crop = rois[0], regressor.crop(photo, rois[0])
entry = network_input(crop)
print(f"box {box[:4].round()}, score {box[4]:.2f}; roi {roi.round()}")
print(f"network: {entry.shape} from {entry.min():.2f} to {entry.max():.2f} → {parameters.shape}")
assert np.allclose(roi, [151, 65, 304, 218], atol=4) and parameters.shape == (1, 62)
marked = Image.fromarray(photo)
ImageDraw.Draw(marked).rectangle(list(box[:4]), outline=(255, 140, 0), width=3)
ImageDraw.Draw(marked).rectangle(list(roi), outline=(40, 120, 255), width=3)
mesh = draw_mesh(photo, regressor.reconstruct(parameters, rois)[0], regressor.model.tri)
stages = [np.array(marked)[20:280, 90:350], crop, mesh[20:280, 90:350]]
alt = "The astronaut with box and roi, her face as the network sees it, the mesh over her face."
picture(picture_grid(stages, ["box and roi", "120 x 120", "mesh"]), alt=alt)

# %% [markdown]
# The network does not answer with parameters. They differ by factors of thousands, so each was brought to mean 0 and
# deviation 1 for the training. The way back is
#
# $$p = \sigma \odot \hat{p} + \mu.$$
#
# ### Your turn: denormalize
#
# ●○○ 2 min, one line. Turn the network's 62 numbers $\hat{p}$ into parameters.

# %% [markdown] help="denormalize"
# <details><summary>Hint</summary>
#
# ⊙ multiplies number by number, which is what `*` does with arrays.
# </details>
# <details><summary>Typical error</summary>
#
# $(\hat{p} - \mu) / \sigma$, the way in. It normalises a second time.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.pipeline.denormalize`; `tddfa.regressor.TDDFA` has the same line.
# </details>

# %% exercise="denormalize"
def denormalize(output: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """The network's answer (62,) → the 62 parameters."""
    ### BEGIN SOLUTION
    return output * std + mean
    ### END SOLUTION

# %% check="denormalize"
check_denormalize(denormalize)

# %% tags=["measured"]
denormalize = yours_or_ours("denormalize", globals())
answer = (parameters[0] - regressor.mean) / regressor.std  # what came out of the network
pose, shape, expression = np.split(denormalize(answer, regressor.mean, regressor.std), [12, 52])
print(f"the network's numbers reach from {answer.min():.1f} to {answer.max():.1f}")
for row in pose.reshape(3, 4):
    print("pose ", *(f"{number:8.2f}" for number in row))
print(f"{len(shape)} shape, {len(expression)} expression")
assert np.allclose(parameters[0], [*pose, *shape, *expression], atol=1e-3)

# %% [markdown]
# ## 2 · A face is a mean plus components
#
# A *morphable model* is linear [1, eq. 1; 2]. With the mean $\bar{S}$, 40 shape components $A_s$ and 10 expression
# components $A_e$, all learnt from many heads, the mesh is
#
# $$S = \bar{S} + A_s\, \alpha + A_e\, \beta.$$
#
# The model here is open (CC0); the official BFM has the same layout.
#
# > **Component**: a direction in which faces differ, as a shift of every vertex.
#
# **Play.** Move two shape components, one of expression, and the yaw. What does each change?

# %%
model = MorphableModel.open()
print(f"{model.vertex_count:,} vertices, {len(model.tri):,} triangles")
print(f"{model.w_shp.shape[1]} shape components, {model.w_exp.shape[1]} expression components")
assert model.u.shape == (3 * model.vertex_count, 1)
assert model.w_shp.shape[1] == 40 and model.w_exp.shape[1] == 10

# %% tags=["view-3d"]
def model_face(shape_0: float, shape_1: float, mouth: float, yaw: float) -> np.ndarray:
    """The model's face with these coefficients, turned."""
    vertices = model.reconstruct(np.array([shape_0, shape_1]), np.array([mouth]))
    points = (vertices * [0.6, -0.6, 0.6]).astype(np.float32)
    return render_views(Surface(points, model.tri[:, ::-1]), views=[(yaw, 0)], size=190)

ranges = dict.fromkeys(["shape_0", "shape_1"], (-3.0, 3.0, 0.5))
ranges |= {"mouth": (-1.0, 2.5, 0.25), "yaw": (-90, 90, 15)}
start = {"shape_0": 0.0, "shape_1": 0.0, "mouth": 0.0, "yaw": 30}
sheet = {f"{name} {end:+.1f}": start | {name: end}
         for name in ("shape_0", "shape_1", "mouth") for end in ranges[name][:2]}
sheet |= {"yaw -60": start | {"yaw": -60}, "yaw +60": start | {"yaw": 60}}
alt = "Eight grey faces: both ends of two shape components, of the mouth and of the yaw."
sliders(model_face, ranges, start=start, sheet=sheet, alt=alt, columns=4)

# %% [markdown]
# ## 3 · The pose
#
# The first 12 numbers are a 3×4 matrix, row by row: scale $f$ times rotation $R$ in the left three columns, the shift
# $t$ in the last. The camera is *weak perspective* [1, eq. 2]:
#
# $$V = f R\, S + t, \qquad R^\top R = 1, \quad \det R = +1.$$
#
# Numbers with $\det R = -1$ are a rotation *and a mirror*: a face with its left ear on the right.
#
# > **Weak perspective**: all of a face is the same size in the picture, however deep it is.

# %% [markdown]
# ### Your turn: compose_pose
#
# ●○○ 5 min. Put scale, rotation and shift into the 12 numbers. Only the rotation is scaled. `np.column_stack` builds
# the 3×4 matrix.

# %% [markdown] help="compose_pose"
# <details><summary>Hint</summary>
#
# Row-major is NumPy's own order: `reshape(-1)` reads row by row.
# </details>
# <details><summary>Typical error</summary>
#
# Nine numbers of R first and then t. The shift is a column, so each row of three ends with one of its numbers.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.targets.compose_pose`. Reading them back is `reshape(3, 4)`, as in the cell before.
# </details>

# %% exercise="compose_pose"
def compose_pose(scale: float, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Scale, rotation (3, 3) and shift (3,) → the 12 pose parameters."""
    ### BEGIN SOLUTION
    matrix = np.column_stack([scale * rotation, translation])
    return matrix.reshape(-1)
    ### END SOLUTION

# %% check="compose_pose"
check_compose_pose(compose_pose)

# %% tags=["measured"]
compose_pose = yours_or_ours("compose_pose", globals())
scale, rotation, translation = split_pose(pose.reshape(3, 4))
print(f"scale {scale:.2f} pixels per mm, determinant of R {np.linalg.det(rotation):+.3f}")
assert np.isclose(np.linalg.det(rotation), 1, atol=1e-5) and 0.4 < scale < 0.6
assert np.allclose(compose_pose(scale, rotation, translation), pose, rtol=0.1, atol=0.1)

# %% [markdown]
# ## 4 · The flip of the picture
#
# In the model y points *up*, as a ruler would; in a picture y points *down*, as rows are counted. x points to the
# right in both, z towards the camera in both. The step between them, $\text{diag}(1, -1, 1)$, has the determinant −1.
# It is no turn of the head, so it stays out of $R$ and comes after it, as a step of its own.

# %% [markdown]
# ### Your turn: to_image_axes
#
# ●○○ 5 min. Scale all three coordinates, turn y over, and move x and y by `middle`. Depth stays where it is.

# %% [markdown] help="to_image_axes"
# <details><summary>Hint</summary>
#
# "Turn over" is a minus sign in front of the scaled y, not a flip of the array.
# </details>
# <details><summary>Typical error</summary>
#
# z left unscaled. Then a pixel of depth is not as long as a pixel of width, and noses are too long or too short.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.targets.to_image_axes`. `vrnlib.synthetic.camera` does it inside its camera, because
# perspective comes on top.
# </details>

# %% exercise="to_image_axes"
def to_image_axes(vertices: np.ndarray, scale: float, middle: np.ndarray) -> np.ndarray:
    """(N, 3) model mm, y up → (N, 3) crop pixels, y down, z towards the camera."""
    ### BEGIN SOLUTION
    x = middle[0] + scale * vertices[:, 0]
    y = middle[1] - scale * vertices[:, 1]
    z = scale * vertices[:, 2]
    return np.column_stack([x, y, z])
    ### END SOLUTION

# %% check="to_image_axes"
check_to_image_axes(to_image_axes)

# %% tags=["measured"]
to_image_axes = yours_or_ours("to_image_axes", globals())
turned = (model.mean - model.mean.mean(axis=0)) @ rotation_matrix(yaw=30, pitch=0, roll=0).T
face = np.ascontiguousarray(to_image_axes(turned, 0.6, np.array([95.5, 95.5])), np.float32)
in_roi = project(pose.reshape(3, 4), model.reconstruct(shape, expression))  # 120 pixels, y up
in_photo = image_from_roi(in_roi, roi)  # the flip, and the roi's place and size
assert np.allclose(in_photo, regressor.reconstruct(parameters, rois)[0], atol=0.05)
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for axis, vertices, title in [
    (axes[0], in_roi, "network: y up"), (axes[1], in_photo, "photo: y down"),
    (axes[2], face, "mean face, crop: y down")]:
    order = np.argsort(vertices[:, 2])  # near ones last, so that they cover the far ones
    axis.scatter(*vertices[order, :2].T, c=vertices[order, 2], s=1, cmap="viridis")
    axis.set(aspect="equal", title=title)
for axis in axes[1:]:
    axis.invert_yaxis()
picture(figure, alt="Three faces as dots, bright where near: y up, y down in the photo, mean face.")

# %% [markdown]
# ## 5 · Which surface is in front?
#
# A renderer draws triangle after triangle and keeps, for each pixel, the depth of the nearest one: a *z-buffer*. A
# point $p$ of a triangle is a mixture of its corners; with the signed area $[a\,b\,c]$,
#
# $$p = \lambda_a a + \lambda_b b + \lambda_c c, \quad \lambda_a = \frac{[p\,b\,c]}{[a\,b\,c]}, \quad
# z(p) = \lambda_a z_a + \lambda_b z_b + \lambda_c z_c.$$
#
# > **Barycentric coordinates**: the three $\lambda$; their sum is 1, and inside the triangle none is negative.

# %% [markdown]
# ### Your turn: draw_triangle
#
# ●●● 45 min. Write the triangle into the buffer where it is nearer: larger z. Pixel centres lie at whole numbers.
# The corners may come in either order, and may lie outside. `np.mgrid[0:h, 0:w]` gives y and x of all pixels.

# %% [markdown] help="draw_triangle"
# <details><summary>Hint</summary>
#
# $[a\,b\,c] = (b_x - a_x)(c_y - a_y) - (c_x - a_x)(b_y - a_y)$. Put the arrays x and y in the place of a corner, and
# you have the areas for all pixels at once.
# </details>
# <details><summary>Another hint</summary>
#
# `np.where(inside & (z > depth), z, depth)` ends it.
# </details>
# <details><summary>Typical error</summary>
#
# Dividing by the absolute area. Triangles that turn the other way then have negative weights inside, and vanish.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.pipeline.draw_triangle`. `tddfa.raster.rasterize` looks only at each triangle's box,
# counts in whole 1/1024 pixels, and gives a pixel on a shared edge to one of both neighbours.
# </details>

# %% exercise="draw_triangle"
def draw_triangle(depth: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Depth buffer (H, W), corners (3, 3) as rows x, y, z → the buffer with the triangle in it."""
    ### BEGIN SOLUTION
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners
    y, x = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]]
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    a = ((bx - x) * (cy - y) - (cx - x) * (by - y)) / area
    b = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) / area
    c = 1 - a - b
    z = a * az + b * bz + c * cz
    nearer = (a >= 0) & (b >= 0) & (c >= 0) & (z > depth)
    return np.where(nearer, z, depth)
    ### END SOLUTION

# %% check="draw_triangle" points=4
check_draw_triangle(draw_triangle)

# %% tags=["measured"]
draw_triangle = yours_or_ours("draw_triangle", globals())
coarse = simplify(Surface(face, model.tri), max_faces=700)
small = (coarse.vertices * [1 / 3, 1 / 3, 1]).astype(np.float32)  # 64 × 64 pixels are enough
buffer = np.full((64, 64), -200.0)
for corners in small[coarse.faces]:
    buffer = draw_triangle(buffer, corners)
ours = rasterize(np.ascontiguousarray(small), coarse.faces, 64, 64).depth
ours = np.where(np.isfinite(ours), ours, -200.0)
alike = (np.abs(buffer - ours) < 0.1).mean()
print(f"{len(coarse.faces)} triangles; the compiled renderer agrees at {alike:.1%} of the pixels")
assert alike > 0.99
grey = np.kron(np.clip((buffer - face[:, 2].min()) / np.ptp(face[:, 2]), 0, 1), np.ones((3, 3)))
picture((grey[..., None].repeat(3, axis=2) * 255).astype(np.uint8),
        alt="A depth map of the mean face, turned to the right: bright nose, dark ear.")

# %% [markdown]
# ## 6 · An open surface has no inside
#
# The face mesh ends at the forehead, the cheeks and the neck. What is inside such a bowl? Nobody can say. The model
# therefore brings a fixed *back*: new vertices, made from old ones, that close the surface into a solid.

# %%
closed, triangles = model.close(face)
edges = len(open_edges(model.tri)), len(open_edges(triangles))
print(f"open edges before: {edges[0]}, after closing: {edges[1]}")
assert len(open_edges(triangles)) == 0 and len(closed) > len(face)
views = [render_views(Surface(face, model.tri[:, ::-1]), views=[(150, 0)], size=200)]
views.append(render_views(Surface(closed, triangles[:, ::-1]), views=[(150, 0)], size=200))
alt = "The face seen from behind: left a hollow mask, right a closed solid."
picture(picture_grid(views, ["open, from behind", "closed, from behind"]), alt=alt)

# %% [markdown]
# ## 7 · Solid voxels
#
# Now each voxel gets a yes or no: is its centre inside? The volume is `[z, y, x]`, with two slices per pixel of depth,
# $k = 2 z + \text{offset}$ [3, § 3.2].

# %% [markdown]
# ### Your turn: fill_columns
#
# ●●○ 10 min. Each pixel looks along one column of voxels. Two depth maps say where the solid begins and ends there.
# Fill from `back` to `front`. Pixels without surface hold NaN: comparisons with NaN are false, which is just right.

# %% [markdown] help="fill_columns"
# <details><summary>Hint</summary>
#
# `np.arange(depth)[:, None, None]` has shape (depth, 1, 1) and broadcasts against (H, W).
# </details>
# <details><summary>Typical error</summary>
#
# Setting only the two slices at front and back. That is a shell, the mistake of the original targets (below).
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.targets.fill_columns`. It is exact where each column enters the solid once;
# `tddfa.voxelize` is another, because it counts all crossings.
# </details>

# %% exercise="fill_columns"
def fill_columns(back: np.ndarray, front: np.ndarray, offset: float, depth: int) -> np.ndarray:
    """Depth maps (H, W) in pixels → (depth, H, W) bool, solid from back to front."""
    ### BEGIN SOLUTION
    slices = np.arange(depth)[:, None, None]
    return (slices >= 2 * back + offset) & (slices <= 2 * front + offset)
    ### END SOLUTION

# %% check="fill_columns" points=2
check_fill_columns(fill_columns)

# %% tags=["measured"]
fill_columns = yours_or_ours("fill_columns", globals())

def depth_maps(mesh: np.ndarray, corners: np.ndarray) -> list[np.ndarray]:
    """The farthest and the nearest depth of each pixel, NaN where nothing is."""
    mirrored = np.ascontiguousarray(mesh * np.float32([1, 1, -1]))
    back = -rasterize(mirrored, np.ascontiguousarray(corners[:, ::-1]), 192, 192).depth
    front = rasterize(mesh, corners, 192, 192).depth
    return [np.where(np.isfinite(one), one, np.nan) for one in (back, front)]

volume, offset = voxelize(closed, triangles)
yours = fill_columns(*depth_maps(closed, triangles), offset, 200)
print(f"{volume.shape}, {volume.mean():.1%} solid; IoU with the library's {iou(yours, volume):.3f}")
assert volume.shape == (200, 192, 192) and 0.05 < volume.mean() < 0.2 and iou(yours, volume) > 0.95
slices = [np.repeat(volume[k][..., None] * np.uint8(255), 3, axis=2) for k in (40, 80, 120, 160)]
alt = "Four slices of the solid from back to front; the foremost one shows the middle of the face."
picture(picture_grid(slices, [f"slice {k}" for k in (40, 80, 120, 160)]), alt=alt)

# %% [markdown]
# ### Columns with a mouth
#
# Two depth maps cannot say that a column leaves the solid and enters it again: between open lips, or in the hollow of
# a turned back. The voxeliser counts *all* crossings of a column: with $c_i = +1$ where it enters and $-1$ where it
# leaves, a voxel is inside where the running sum is positive.
#
# $$\text{solid}(k) \iff \sum_{i \,:\, k_i \le k} c_i > 0$$

# %% tags=["measured"]
def posed(yaw: float, mouth: float) -> np.ndarray:
    """The mean face with an open mouth, turned, in crop pixels."""
    vertices = model.reconstruct(np.zeros(40), np.array([mouth])) - model.mean.mean(axis=0)
    vertices = vertices @ rotation_matrix(yaw, 0, 0).T * [0.6, -0.6, 0.6] + [95.5, 95.5, 0]
    return np.ascontiguousarray(vertices, np.float32)

profile = model.close(posed(90, 2.5))
counted, offset_90 = voxelize(*profile)
bridged = fill_columns(*depth_maps(*profile), offset_90, 200)
wrong = bridged & ~counted
columns = (wrong.sum(axis=0) > 3).sum()
print(f"{columns} columns are bridged, {wrong.sum() / counted.sum():.1%} of the solid")
assert 200 < columns < 1500
row = (wrong.sum(axis=0) > 3).sum(axis=1).argmax()  # the row where most is wrong
colors = np.array([[0, 0, 0], [200, 200, 200], [255, 140, 0]], np.uint8)
seen = colors[np.where(wrong.sum(axis=0) > 3, 2, counted.any(axis=0))]
cut = colors[counted[::-1, row] + 2 * wrong[::-1, row]]
alt = "A face in profile; orange where columns are bridged: lips, eye, and the hollow of the back."
picture(picture_grid([seen, cut], ["profile, orange: bridged", f"cut at row {row}"]), alt=alt)

# %% [markdown]
# ### The paper's way beside ours
#
# The paper's targets [3, § 3.2], as we read them, come from the visible surface alone: take its depth map and fill
# each column back to a plane. No back has to be modelled, but whatever the nose hides becomes solid, and a turned
# head drags a block behind it.

# %% tags=["measured"]
tiles, titles, overlap = [], [], []
for yaw in (0, 60):
    solid, shift = voxelize(*model.close(posed(yaw, 0.0)))
    front = depth_maps(*model.close(posed(yaw, 0.0)))[1]
    rear = (np.flatnonzero(solid.any(axis=(1, 2)))[0] - shift) / 2  # as far back as our solid
    plane = np.where(np.isfinite(front), rear, np.nan)
    filled = fill_columns(plane, front, shift, 200)
    overlap.append(iou(filled, solid))
    print(f"yaw {yaw}: IoU {overlap[-1]:.2f}, volumes {filled.sum() / solid.sum():.2f} to 1")
    for name, one in [("with a back", solid), ("to a plane", filled)]:
        tiles.append(np.repeat(one[::-1, 105, :, None] * np.uint8(255), 3, axis=2))
        titles.append(f"yaw {yaw}, {name}")
assert 1 > overlap[0] > overlap[1] > 0.2
alt = "Cuts from above: with a back, a rounded solid; to a plane, a block with a straight rear."
picture(picture_grid(tiles, titles), alt=alt)

# %% [markdown]
# ### NumPy against compiled code
#
# `tddfa.reference` has the voxeliser in forty lines of NumPy: read it first. The Cython twin does the same, and the
# tests compare them voxel by voxel. Why bother with a compiler? Measure, on a ball of 1,280 triangles; a face has
# twenty times as many.

# %% tags=["measured"]
ball = trimesh.creation.icosphere(subdivisions=3, radius=45)
ball = np.float32(ball.vertices + [95.5, 95.5, 0]), np.int32(ball.faces[:, ::-1])
timed = {}
for name, function in [("NumPy", reference.voxelize), ("Cython", voxelize)]:
    begin = perf_counter()
    timed[name] = function(*ball)[0], perf_counter() - begin
    print(f"{name:7s}{1000 * timed[name][1]:8.1f} ms")
assert (timed["NumPy"][0] == timed["Cython"][0]).all()
ratio = timed["NumPy"][1] / timed["Cython"][1]
print(f"the same {timed['NumPy'][0].sum():,} voxels, {ratio:.0f} times as fast")

# %% [markdown]
# ## 8 · The astronaut's solid
#
# All together: the mesh of section 1 brought into the crop's size, closed, filled, and turned back into a surface by
# marching cubes (notebook 5), with the photo's colours. Below it, **your own photo**: choose one, or take one. Where
# does the open model's mesh fit well, where not? Glasses, beards and hair are not in it.

# %% tags=["view-3d"]
low, high = in_photo[:, :2].min(axis=0), in_photo[:, :2].max(axis=0)
factor = 115 / (high - low).max()
moved = (in_photo - [*(low + high) / 2, 0]) * factor + [95.5, 95.5, 0]
solid, shift = voxelize(*model.close(np.ascontiguousarray(moved, np.float32)))
surface = extract_surface(solid.astype(np.float32), offset=shift)
to_photo = np.array([[1 / factor, 0, 0], [0, 1 / factor, 0]])
to_photo[:, 2] = (low + high) / 2 - 95.5 / factor
surface = color_surface(surface, photo, matrix=to_photo)
view(surface, alt="The astronaut's target: a solid face with her colours, from three sides.")

# %% tags=["live"]
def mesh_over(photo: np.ndarray) -> np.ndarray:
    """The photo with the mesh of its largest face."""
    boxes = detector(photo)
    if len(boxes) == 0:
        raise ValueError("No face was found; take a photo with one face that looks at the camera.")
    found = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    drawn = draw_mesh(photo, regressor.reconstruct(*regressor(photo, found[None])), model.tri)
    return np.array(Image.fromarray(drawn).resize((480, 480 * len(drawn) // drawn.shape[1])))

assert mesh_over(photo).shape == (480, 480, 3)
own_photo(mesh_over, alt="Your photo with the grey mesh over the face.")

# %% [markdown]
# ## What goes wrong
#
# The negative control is the *shell*: set the voxel under each vertex, and nothing else. It looks fine from afar, but
# it holds no inside, and it has holes between the vertices. One published re-implementation was trained on this.

# %% tags=["measured"]
cells = np.column_stack([2 * face[:, 2] + offset, face[:, 1], face[:, 0]]).round().astype(int)
shell = np.zeros((200, 192, 192), bool)
shell[tuple(cells.T)] = True
print(f"filled: solid {volume.mean():.1%}, splatted vertices {shell.mean():.1%}")
print(f"IoU of shell and solid: {iou(shell, volume):.2f}")
assert shell.mean() < 0.005 and iou(shell, volume) < 0.05
cuts = [one[:, :, 96].T[..., None] * np.uint8(255) for one in (volume, shell)]
tiles = [np.repeat(cut, 3, axis=2) for cut in cuts]
alt = "Two cuts through the middle: the solid is filled, the shell is a dotted line."
picture(picture_grid(tiles, ["solid", "shell"]), alt=alt)

# %% [markdown] question="targets_in_words" points=3
# ### In your own words
#
# ●●○ 10 min. The original targets were splatted vertices: 0.3 % of the voxels, where a solid has 9 to 15 %. In five to
# ten sentences: what would a network learn from them, and why does no loss curve tell?
#
# <details><summary>What a good answer says</summary>
#
# - 1 point: nearly every voxel is empty, so an empty answer is nearly free of loss.
# - 1 point: a shell with holes has no inside; the 0.5 level set is no face.
# - 1 point: the loss falls all the same; only an IoU with the true solid, or a look, shows it.
# </details>

# %% [markdown]
# ## Summary
#
# - 62 numbers describe a face in a picture: 12 pose, 40 shape, 10 expression.
# - A rotation has the determinant +1; the flip of y is a step of its own.
# - A z-buffer keeps the nearest surface; a surface must be closed before it has an inside.
# - Targets are solids; shells teach a network nothing.
#
# **Sources**
#
# 1. J. Guo et al., *Towards Fast, Accurate and Stable 3D Dense Face Alignment*, ECCV 2020.
# 2. V. Blanz, T. Vetter, *A Morphable Model for the Synthesis of 3D Faces*, SIGGRAPH 1999.
# 3. A. Jackson et al., *Large Pose 3D Face Reconstruction from a Single Image via Direct Volumetric CNN Regression*,
#    ICCV 2017.
#
# {{links}}
