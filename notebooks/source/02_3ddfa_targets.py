# ---
# jupyter:
#   workbook: {minutes_cpu: 35, minutes_t4: 35, memory_gb: 1.5, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 2 · Targets from a face model
#
# A VRN learns from pairs: a picture, and the solid that it shows. A morphable face model with 62 numbers per picture
# gives us this solid, and a voxeliser turns it into the yes and no of voxels.

# %% [markdown]
# **You will be able to**
#
# - explain the 62 parameters of 3DDFA and build the pose from scale, rotation and shift,
# - bring a face from model axes into crop pixels,
# - say why an open surface has no inside, and close it,
# - fill a solid from two depth maps, and recognise a shell.

# %% [markdown]
# {{prerequisites}}
#
# Notebook 1 gave us the crop. Here we need matrices and a little geometry.

# %% tags=["setup"]

# %%
import matplotlib.pyplot as plt
import numpy as np
from tddfa import MorphableModel, rasterize, voxelize
from tddfa.geometry import rotation_matrix
from tddfa.ibug import JAW, NOSE_TIP
from tddfa.voxelizer import open_edges

from vrnlib.checks import yours_or_ours
from vrnlib.checks.targets import check_compose_pose, check_fill_columns, check_to_image_axes
from vrnlib.metrics import iou
from vrnlib.notebook import frontal_sample, picture, view
from vrnlib.show import picture_grid, render_views
from vrnlib.surface import Surface, color_surface, extract_surface
from vrnlib.synthetic.faces import render_pair

# %% [markdown]
# ## 1 · A face is a mean plus components
#
# A *morphable model* is linear: vertices = mean + shape components · a + expression components · b. The components
# were learnt from many heads. The model here is open (CC0); the official BFM has the same layout.

# %%
model = MorphableModel.open()
print(f"{model.vertex_count:,} vertices, {len(model.tri):,} triangles")
print(f"{model.w_shp.shape[1]} shape components, {model.w_exp.shape[1]} expression components")
assert model.u.shape == (3 * model.vertex_count, 1)
assert model.w_shp.shape[1] == 40 and model.w_exp.shape[1] == 10

# %%
def as_surface(vertices: np.ndarray, triangles: np.ndarray) -> Surface:
    """Model millimetres (y up) → a surface in crop pixels (y down), for drawing only."""
    points = vertices * [0.6, -0.6, 0.6] + [95.5, 95.5, 0]
    return Surface(points.astype(np.float32), triangles)


faces = []
for component in (0, 1, 2):
    for value in (-2.5, 2.5):
        shape = np.zeros(40, np.float32)
        shape[component] = value
        face = as_surface(model.reconstruct(shape, np.zeros(10)), model.tri[:, ::-1])
        faces.append(render_views(face, views=["three-quarter"], size=180))
titles = [f"shape {c}: {v:+.1f}" for c in (0, 1, 2) for v in (-2.5, 2.5)]
alt = "Six grey faces: each of the first three shape components at minus and plus 2.5."
picture(picture_grid(faces, titles, columns=6), alt=alt)

# %% [markdown]
# ## 2 · The 62 parameters
#
# 3DDFA describes a face in a picture by 62 numbers: 12 for the pose, 40 for the shape, 10 for the expression. The 12
# are a 3×4 matrix, row by row: scale · R in the left three columns, the shift t in the last.

# %% tags=["measured"]
sample = render_pair(7, 5)
pose, shape, expression = np.split(sample.parameters, [12, 52])
matrix = pose.reshape(3, 4)
vertices = model.reconstruct(shape, expression) @ matrix[:, :3].T + matrix[:, 3]
distance = np.linalg.norm(vertices[:, :2] - sample.vertices[:, :2], axis=1)
print("pose\n", matrix.round(2))
print(f"scale {np.linalg.norm(matrix[0, :3]):.2f} pixels per mm")
print(f"the 62 numbers and the rendered mesh differ by {distance.mean():.1f} pixels on average")
assert distance.mean() < 4  # the camera of the render has perspective, the 62 numbers do not

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

# %% [markdown]
# ## 3 · From the model into the picture
#
# In the model y points *up*, as a ruler would; in an image y points *down*, as rows are counted. x points to the
# right in both, and z towards the camera in both. So y, and only y, changes its sign.

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

# %%
to_image_axes = yours_or_ours("to_image_axes", globals())
turned = (model.mean - model.mean.mean(axis=0)) @ rotation_matrix(yaw=30, pitch=0, roll=0).T
face = np.ascontiguousarray(to_image_axes(turned, 0.6, np.array([95.5, 95.5])), np.float32)
points = model.landmarks(face)
order = np.argsort(face[:, 2])  # near ones last, so that they cover the far ones
figure, axis = plt.subplots(figsize=(3.6, 3.6), layout="constrained")
axis.scatter(*face[order, :2].T, c=face[order, 2], s=2, cmap="viridis")
axis.plot(points[:, 0], points[:, 1], ".", color="tab:orange", ms=4)
axis.set(xlim=(0, 191), ylim=(191, 0), aspect="equal", title="x right, y down; bright = near")
assert points[NOSE_TIP, 2] > points[JAW, 2].max()  # the nose is nearer than any point of the jaw
picture(figure, alt="The mean face as coloured dots, turned by 30 degrees, with its 68 landmarks in orange.")

# %% [markdown]
# ## 4 · An open surface has no inside
#
# The face mesh ends at the forehead, the cheeks and the neck. What is inside such a bowl? Nobody can say. The model
# therefore brings a fixed *back*: new vertices, made from old ones, that close the surface into a solid.

# %%
closed, triangles = model.close(face)
print(f"open edges before: {len(open_edges(model.tri)):,}, after closing: {len(open_edges(triangles))}")
assert len(open_edges(triangles)) == 0 and len(closed) > len(face)
views = [render_views(Surface(face, model.tri[:, ::-1]), views=[(150, 0)], size=200)]
views.append(render_views(Surface(closed, triangles[:, ::-1]), views=[(150, 0)], size=200))
alt = "The face seen from behind: left a hollow mask, right a closed solid."
picture(picture_grid(views, ["open, from behind", "closed, from behind"]), alt=alt)

# %% [markdown]
# ## 5 · Solid voxels
#
# Now each voxel gets a yes or no: is its centre inside? The volume is `[z, y, x]`, with two slices per pixel of depth:
# k = 2 z + offset. The compiled voxeliser answers for seven million voxels in milliseconds.

# %% tags=["measured"]
volume, offset = voxelize(closed, triangles)
print(f"volume {volume.shape} {volume.dtype}, {volume.mean():.1%} of the voxels are solid")
assert volume.shape == (200, 192, 192) and 0.05 < volume.mean() < 0.2
kmin, kmax = 2 * face[:, 2].min() + offset, 2 * face[:, 2].max() + offset
slices = [np.repeat(volume[k][..., None] * np.uint8(255), 3, axis=2) for k in (40, 80, 120, 160)]
alt = "Four slices of the solid from back to front; the foremost one shows the middle of the face."
picture(picture_grid(slices, [f"slice {k}" for k in (40, 80, 120, 160)]), alt=alt)

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
    """Depth maps (H, W) in pixels → (depth, H, W) bool, solid where back ≤ z ≤ front, slice k = 2 z + offset."""
    ### BEGIN SOLUTION
    slices = np.arange(depth)[:, None, None]
    return (slices >= 2 * back + offset) & (slices <= 2 * front + offset)
    ### END SOLUTION

# %% check="fill_columns" points=2
check_fill_columns(fill_columns)

# %%
front = rasterize(closed, triangles, 192, 192).depth
mirrored = np.ascontiguousarray(closed * np.float32([1, 1, -1]))
back = -rasterize(mirrored, np.ascontiguousarray(triangles[:, ::-1]), 192, 192).depth
front, back = (np.where(np.isfinite(depth_map), depth_map, np.nan) for depth_map in (front, back))
fill_columns = yours_or_ours("fill_columns", globals())
yours = fill_columns(back, front, offset, 200)
print(f"IoU of your solid and the library's: {iou(yours, volume):.2f}")
assert iou(yours, volume) > 0.95

# %% [markdown]
# ## 6 · Look at it
#
# Marching cubes, the subject of notebook 5, turns the volume of a rendered face back into a surface. Its colours come
# from the picture in front of it.

# %% tags=["measured"]
sample = frontal_sample(7)
surface = color_surface(extract_surface(sample.volume().astype(np.float32)), sample.image)
print(f"{len(surface.vertices):,} vertices")
assert 40_000 < len(surface.vertices) < 65_000

# %% tags=["view-3d"]
view(surface, alt="The solid of a rendered face with the picture's colours, from the front and from two sides.")

# %% [markdown]
# ## What goes wrong
#
# The first negative control is the *shell*: set the voxel under each vertex, and nothing else. It looks fine from
# afar, but it holds no inside, and it has holes between the vertices.

# %% tags=["measured"]
cells = np.column_stack([2 * face[:, 2] + offset, face[:, 1], face[:, 0]]).round().astype(int)
shell = np.zeros((200, 192, 192), bool)
shell[tuple(cells.T)] = True
print(f"filled: solid {volume.mean():.1%}, splatted vertices {shell.mean():.1%}")
print(f"IoU of shell and solid: {iou(shell, volume):.2f}")
assert shell.mean() < 0.005 and iou(shell, volume) < 0.05

# %% [markdown]
# The second one is an axis mix-up: the file held `[x, y, z]`, the network answered `[z, y, x]`, and a reshape made
# the numbers fit. No error, no warning, and a target that is noise.

# %% tags=["measured"]
stored = volume.transpose(2, 1, 0)  # 192 × 192 × 200, read [x, y, z]
wrong = stored.reshape(200, 192, 192)
right = stored.transpose(2, 1, 0)
print(f"IoU with the truth: reshaped {iou(wrong, volume):.2f}, transposed {iou(right, volume):.2f}")
assert iou(wrong, volume) < 0.4 and iou(right, volume) == 1
middles = [np.repeat(v[120][..., None] * np.uint8(255), 3, axis=2) for v in (volume, wrong)]
alt = "Slice 120 of the right volume is a face's outline; of the reshaped one it is stripes."
picture(picture_grid(middles, ["transposed", "reshaped"]), alt=alt)

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
# - Only y changes its sign on the way into the image.
# - A surface must be closed before it has an inside.
# - Targets are solids; shells and swapped axes teach a network nothing.
#
# {{links}}
