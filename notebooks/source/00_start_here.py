# ---
# jupyter:
#   workbook: {minutes_cpu: 15, minutes_t4: 15, memory_gb: 1.5, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 0 · Start here
#
# One photo of a face goes in, a 3D face comes out. A *volumetric regression network* (VRN) does it in one step: it
# looks at the photo and says for seven million little cubes whether they belong to the head.

# %% [markdown]
# **You will be able to**
#
# - reconstruct a 3D face from a photo with one call,
# - name the steps between photo and face,
# - say in which direction x, y, z and the slices of a volume run, and check it.

# %% [markdown]
# {{prerequisites}}
#
# You need Python and NumPy. Run the cells from top to bottom with Shift+Enter.

# %% tags=["setup", "view-3d"]
from skimage.data import astronaut

from vrnlib.notebook import frontal_sample, picture, view
from vrnlib.reconstruct import reconstruct

face = reconstruct(astronaut())[0]
view(face.surface, alt="The 3D face of the astronaut Eileen Collins, made from one photo, seen from three sides.")

# %% [markdown]
# This is Eileen Collins, from a photo in the public domain. Turn her with the mouse. No 3D scan was used, no second
# photo, and no face model: the network has learnt what heads look like. The rest of this workbook explains how.

# %% [markdown]
# ## 1 · The steps
#
# **photo → landmarks → crop → volume → surface.** Each arrow is a notebook: landmarks and crop (1), the volumes to
# learn from (2), the network (3), its training (4), the surface (5).

# %%
import numpy as np
from tddfa.ibug import BRIDGE, CHIN, NOSE_TIP

from vrnlib.checks import yours_or_ours
from vrnlib.checks.start import check_nose_tip, check_slice_of_depth, check_volume_from_paper_order
from vrnlib.show import draw_landmarks, picture_grid

photo = draw_landmarks(face.photo, face.landmarks)[:450, 20:470]
photo = photo[::2, ::2][:192, :192]
crop = draw_landmarks(face.crop.image, face.crop.landmarks)
middle = (face.probability[:, :, 96].T * 255).astype(np.uint8)[:, 4:196]
panels = [photo, face.crop.image, crop, np.repeat(middle[..., None], 3, axis=2)]
alt = "Photo with landmarks, the crop, the crop with landmarks, and a cut through the predicted volume: her profile."
picture(picture_grid(panels, ["photo (part)", "crop", "landmarks", "cut through the volume"]), alt=alt)

# %% [markdown]
# ## 2 · The coordinate contract
#
# Most mistakes in 3D are mistakes about axes, and most of them raise no error. So we agree once: **x** to the right,
# **y** down, **z** towards the camera, all in pixels of the crop. Pixel centres are whole numbers.

# %%
assert face.crop.image.shape == (192, 192, 3) and face.crop.image.dtype == np.uint8  # rows, columns, RGB
points = face.crop.landmarks
chin, nose_bridge = points[CHIN], points[BRIDGE]
assert chin[1] > nose_bridge[1]  # y runs down: the chin has the larger y
width, height = np.ptp(points[:, :2], axis=0)
print(f"√(width · height) of the landmarks' box: {np.sqrt(width * height):.1f} pixels")
assert abs(np.sqrt(width * height) - 90) < 0.5

# %% [markdown]
# Let us draw it. The arrows start at the centre of the crop's first pixel, (0, 0); the third axis comes out of the
# screen, towards you.

# %%
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(4, 4), layout="constrained")
axis.imshow(face.crop.image // 2 + 127)
for tip, name in [((70, 0), "x"), ((0, 70), "y")]:
    axis.annotate("", xy=tip, xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": "navy", "lw": 3})
    axis.text(tip[0] + 6, tip[1] + 10, name, color="navy", fontsize=16, weight="bold")
axis.plot(0, 0, "o", color="navy", ms=14, mfc="white", mew=2)
axis.plot(0, 0, ".", color="navy")
axis.text(12, 20, "z, towards you", color="navy", fontsize=12)
axis.set(xlim=(-12, 191), ylim=(191, -12))
picture(figure, alt="The crop with its axes: x to the right, y down, z as a dot in a circle towards the reader.")

# %% [markdown]
# ### Your turn: nose_tip
#
# ●○○ 3 min. Given 68 landmarks (x, y, z), return the row of the point nearest to the camera. On a frontal face this is
# the tip of the nose.

# %% [markdown] help="nose_tip"
# <details><summary>Hint</summary>
#
# Depth is the third column. `np.argmax` gives the position of the largest value.
# </details>
# <details><summary>Typical error</summary>
#
# `argmin`: in many other systems z grows *away* from the camera. Here it grows towards it.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.start.nose_tip`.
# </details>

# %% exercise="nose_tip"
def nose_tip(landmarks: np.ndarray) -> int:
    """(68, 3) landmarks → row of the point that is nearest to the camera."""
    ### BEGIN SOLUTION
    return int(np.argmax(landmarks[:, 2]))
    ### END SOLUTION

# %% check="nose_tip"
check_nose_tip(nose_tip)

# %%
nose_tip = yours_or_ours("nose_tip", globals())
sample = frontal_sample(7)  # a rendered face that looks at us
print("nearest landmark:", nose_tip(sample.landmarks), "- in iBUG's order 30 is the tip of the nose")
assert nose_tip(sample.landmarks) in (30, 33)

# %% [markdown]
# ## 3 · The volume
#
# A volume is an array `[z, y, x]` of shape (200, 192, 192). Slice k grows towards the camera, and there are **two
# slices per pixel** of depth: k = 2 z + offset. The solid is centred in depth.

# %% tags=["measured"]
volume = sample.volume()
slices = np.flatnonzero(volume.any(axis=(1, 2)))
print(f"{volume.shape}, {volume.mean():.0%} solid, slices {slices[0]} to {slices[-1]}")
assert volume.shape == (200, 192, 192) and volume.dtype == bool
assert abs((slices[0] + slices[-1]) / 2 - 99.5) <= 1 and 0.05 < volume.mean() < 0.08  # centred in depth
front = 199 - volume[::-1].argmax(axis=0)  # the first solid slice from the front, for each pixel
front = np.where(volume.any(axis=0), front, 0)
nose = np.unravel_index(front.argmax(), front.shape)
apart = np.abs(np.array(nose[::-1]) - sample.landmarks[NOSE_TIP, :2]).max()
print(f"the nearest voxel lies {apart:.0f} pixels from the tip of the nose")
assert apart < 15

# %% [markdown]
# ### Your turn: slice_of_depth
#
# ●○○ 2 min. Return the slice k for depths z in pixels. It may be a fraction: surfaces lie between slices.

# %% [markdown] help="slice_of_depth"
# <details><summary>Hint</summary>
#
# The formula stands above; NumPy applies it to all depths at once.
# </details>
# <details><summary>Typical error</summary>
#
# One slice per pixel. The face would be half as deep as the network means it.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.start.slice_of_depth`. `tddfa.voxelize` uses the same formula and returns the offset
# with the volume.
# </details>

# %% exercise="slice_of_depth"
def slice_of_depth(z: np.ndarray, offset: float) -> np.ndarray:
    """Depth in pixels → position in slices."""
    ### BEGIN SOLUTION
    return 2 * z + offset
    ### END SOLUTION

# %% check="slice_of_depth"
check_slice_of_depth(slice_of_depth)

# %% [markdown]
# ### Your turn: volume_from_paper_order
#
# ●●○ 5 min. The paper writes 192×192×200 and reads `[x, y, z]`. Bring such an array into our order, `[z, y, x]`,
# without moving a single voxel.

# %% [markdown] help="volume_from_paper_order"
# <details><summary>Hint</summary>
#
# `transpose` takes the old axes in their new order.
# </details>
# <details><summary>Typical error</summary>
#
# `reshape(200, 192, 192)`. The shape is right and the content is torn apart; no error is raised.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.start.volume_from_paper_order`.
# </details>

# %% exercise="volume_from_paper_order"
def volume_from_paper_order(array: np.ndarray) -> np.ndarray:
    """(192, 192, 200) read [x, y, z] → (200, 192, 192) read [z, y, x]."""
    ### BEGIN SOLUTION
    return array.transpose(2, 1, 0)
    ### END SOLUTION

# %% check="volume_from_paper_order"
check_volume_from_paper_order(volume_from_paper_order)

# %% [markdown]
# ## What goes wrong
#
# The negative control: a volume whose axes were mixed up by a reshape. It has the right shape, the right type and the
# right number of voxels. Only a look, or an overlap with the truth, shows that it is broken.

# %%
from vrnlib.metrics import iou

volume_from_paper_order = yours_or_ours("volume_from_paper_order", globals())
paper = volume.transpose(2, 1, 0)  # as the paper stores it
right, broken = volume_from_paper_order(paper), paper.reshape(200, 192, 192)
assert right.shape == broken.shape and right.sum() == broken.sum()
print(f"overlap (IoU) with the truth: right {iou(right, volume):.2f}, reshaped {iou(broken, volume):.2f}")
assert iou(right, volume) == 1 and iou(broken, volume) < 0.5
cuts = [np.repeat(v[:, :, 96].T[:, 4:196, None] * np.uint8(255), 3, axis=2) for v in (right, broken)]
picture(picture_grid(cuts, ["right", "reshaped"]), alt="Left a cut through a head, right the same voxels as noise.")

# %% [markdown] question="axes_in_words" points=3
# ### In your own words
#
# ●●○ 10 min. Two programs exchange volumes of 200 × 192 × 192. Yours shows the face lying on its side, theirs does
# not, and no error was raised. In five sentences: what may have happened, and which two checks would have found it at
# once?
#
# <details><summary>What a good answer says</summary>
#
# - 1 point: the axes are in another order, or an array was reshaped where it had to be transposed.
# - 1 point: a number that tells, such as the IoU with a known volume, or where the tip of the nose lies.
# - 1 point: a look at a slice or at the surface, and the order written down where the file is read.
# </details>

# %% [markdown]
# ## Summary
#
# - photo → landmarks → crop → volume → surface: one network, four small steps around it.
# - x right, y down, z towards the camera; volumes are `[z, y, x]` with two slices per pixel.
# - Shapes do not protect from swapped axes. Asserts and pictures do.
#
# {{links}}
