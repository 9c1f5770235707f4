# ---
# jupyter:
#   workbook: {minutes_cpu: 45, memory_gb: 1.5, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 0 · Start here
#
# One photo of a face goes in, a 3D face comes out. A *volumetric regression network* (VRN) does it in one step: it
# looks at the photo and says for seven million little cubes whether they are inside the face [1].
#
# > **Voxel**: a little cube, to a volume what a pixel is to a picture.

# %% [markdown]
# **You will be able to**
#
# - reconstruct a 3D face from a photo with one call,
# - name the steps between photo and face,
# - say in which direction x, y, z and the slices of a volume run, and check it,
# - find the fault in a broken volume.

# %% [markdown]
# {{prerequisites}}
#
# You need Python and NumPy. Run the cells from top to bottom with Shift+Enter.

# %% tags=["setup", "view-3d"]
from IPython.display import display
from skimage.data import astronaut

from vrnlib.notebook import frontal_sample, picture, view, view_plot
from vrnlib.reconstruct import reconstruct

face = reconstruct(astronaut())[0]
view(face.surface, alt="The 3D face of Eileen Collins, made from one photo, seen from three sides.")

# %% [markdown]
# This is Eileen Collins, from a photo in the public domain. Turn her with the mouse. No 3D scan was used, no second
# photo, and no face model: the network has learnt what faces look like. The rest of this workbook explains how.
# Numbers in brackets are sources; the list stands at the end.

# %% [markdown]
# ## 1 · The steps
#
# **photo → landmarks → crop → volume → surface.** Each arrow is a notebook: landmarks and crop (1), the volumes to
# learn from (2), the network (3), its training (4), the surface (5).

# %%
import numpy as np
from tddfa.ibug import BRIDGE, CHIN, NOSE_TIP

from vrnlib.checks import yours_or_ours
from vrnlib.checks.faults import check_find_fault
from vrnlib.checks.start import check_nose_tip, check_slice_of_depth
from vrnlib.checks.start import check_volume_from_paper_order
from vrnlib.notebook import own_photo, sliders
from vrnlib.show import draw_landmarks, picture_grid, plot_surface, render_views
from vrnlib.surface import extract_surface, simplify
from vrnlib.synthetic.faces import render_pair

photo = draw_landmarks(face.photo, face.landmarks)[:450, 20:470]
photo = photo[::2, ::2][:192, :192]
crop = draw_landmarks(face.crop.image, face.crop.landmarks)
middle = (face.probability[:, :, 96].T * 255).astype(np.uint8)[:, 4:196]
panels = [photo, face.crop.image, crop, np.repeat(middle[..., None], 3, axis=2)]
alt = "Photo with landmarks, crop, crop with landmarks, and a cut through the volume: her profile."
picture(picture_grid(panels, ["photo (part)", "crop", "landmarks", "cut of the volume"]), alt=alt)

# %% [markdown]
# ### Is all at hand?
#
# `vrn doctor` in a terminal lists the packages, the compiled modules and the weights with their checksums, and says
# what to do where something is missing. The same from Python:

# %% tags=["live"]
from vrnlib.commands.doctor import examine

findings = examine()
for finding in findings:
    if finding.state != "ok":
        print(f"{finding.state:9s} {finding.name}: {finding.text}")
good = sum(finding.state == "ok" for finding in findings)
print(f"{good} of {len(findings)} things are in order")

# %% [markdown]
# ## 2 · The coordinate contract
#
# Most mistakes in 3D are mistakes about axes, and most of them raise no error. So we agree once: **x** to the right,
# **y** down, **z** towards the camera, all in pixels of the crop. Pixel centres are whole numbers. The crop's scale
# is fixed by the box of the 68 landmarks, $w \times h$ pixels of the photo:
#
# $$s = \frac{90}{\sqrt{w\,h}}, \qquad \text{so that in the crop } \sqrt{w'h'} = 90.$$
#
# > **Landmark**: a point with a name, such as the tip of the nose. iBUG's 68 are the usual ones.

# %%
assert face.crop.image.shape == (192, 192, 3)  # rows, columns, RGB
assert face.crop.image.dtype == np.uint8
points = face.crop.landmarks
chin, nose_bridge = points[CHIN], points[BRIDGE]
assert chin[1] > nose_bridge[1]  # y runs down: the chin has the larger y
width, height = np.ptp(points[:, :2], axis=0)
print(f"√(width · height) of the landmarks' box: {np.sqrt(width * height):.1f} pixels")
assert abs(np.sqrt(width * height) - 90) < 0.5

# %% [markdown]
# Let us draw it around her volume: 192 × 192 pixels, and 200 slices deep, which are 100 pixels. Turn the view and find
# the corner where all three axes begin.

# %% tags=["view-3d"]
import k3d
import matplotlib.pyplot as plt

axes = np.float32([[96, 0, 0], [0, -96, 0], [0, 0, 70]])  # as arrows; the viewer's y runs up
corner = np.float32([-95.5, 95.5, -50])
plot = plot_surface(face.surface, max_faces=40_000)
plot.axes_helper = 0  # k3d's own little axes, whose y runs up
plot.camera = [*(1.7 * np.array(plot.camera[:3])), *plot.camera[3:]]  # further off: the whole volume
plot += k3d.vectors([corner] * 3, axes, labels=["x", "y", "z"], colors=[0x1E78FF] * 6, head_size=30,
                    line_width=2, label_size=2)
coarse = simplify(face.surface, max_faces=3000)
figure = plt.figure(figsize=(5, 4.4), layout="constrained")
axis = figure.add_subplot(projection="3d", proj_type="ortho", box_aspect=(192, 100, 192))
x, y, z = coarse.vertices.T
axis.plot_trisurf(x, z, y, triangles=coarse.faces, color="lightgrey", antialiased=False)
axis.quiver(0, -50, 0, [90, 0, 0], [0, 0, 60], [0, 90, 0], color="tab:blue", lw=3)
axis.set(xlim=(0, 191), ylim=(50, -50), zlim=(191, 0), xlabel="x", ylabel="z", zlabel="y")
axis.view_init(elev=18, azim=-60)
alt = "Her face in a box; x runs to the right, y down, z from the back towards the camera."
view_plot(plot, figure, alt=alt)

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
print("nearest landmark:", nose_tip(sample.landmarks), "- iBUG's 30 is the tip of the nose")
assert nose_tip(sample.landmarks) in (30, 33)

# %% [markdown]
# ## 3 · The volume
#
# A volume is an array `[z, y, x]` of shape (200, 192, 192) [1, § 3.2]. Slice $k$ grows towards the camera, and there
# are **two slices per pixel** of depth, $k = 2 z + \text{offset}$. Why two? A slice is a *channel* of the network's
# last layer, and costs little; a map twice as wide costs four times the work. So depth, which no pixel shows, gets
# the finer grid. The solid is centred in depth.

# %% tags=["measured"]
volume = sample.volume()
slices = np.flatnonzero(volume.any(axis=(1, 2)))
print(f"{volume.shape}, {volume.mean():.0%} solid, slices {slices[0]} to {slices[-1]}")
assert volume.shape == (200, 192, 192) and volume.dtype == bool
assert abs((slices[0] + slices[-1]) / 2 - 99.5) <= 1  # centred in depth
assert 0.05 < volume.mean() < 0.08
front = 199 - volume[::-1].argmax(axis=0)  # the first solid slice from the front, for each pixel
front = np.where(volume.any(axis=0), front, 0)
nose = np.unravel_index(front.argmax(), front.shape)
apart = np.abs(np.array(nose[::-1]) - sample.landmarks[NOSE_TIP, :2]).max()
print(f"the nearest voxel lies {apart:.0f} pixels from the tip of the nose")
assert apart < 15
depths = sample.vertices[:, 2]
for per_pixel in (1, 2):
    error = np.abs(np.round(per_pixel * depths) / per_pixel - depths).mean()
    print(f"{per_pixel} slice(s) per pixel: depth rounded by {error:.2f} pixels on average")

# %% [markdown]
# **Play.** Walk through the volume from the back to the front. And look at the solid from behind: it is no head, but
# a *face with an artificial back*, a bowl filled up so that it has an inside (notebook 2).

# %% tags=["view-3d"]
def slice_of(k: int) -> np.ndarray:
    """One slice of the astronaut's probabilities."""
    return (face.probability[k] * 255).astype(np.uint8)[..., None].repeat(3, axis=2)

sheet = {f"slice {k}": {"k": k} for k in (40, 70, 100, 130, 150, 160)}
alt = "Six slices: two corners of the back, the cheeks' ovals, brow, nose and lips, the nose's tip."
sliders(slice_of, {"k": (0, 199, 1)}, start={"k": 100}, sheet=sheet, alt=alt)
behind = render_views(face.surface, views=[(180, 0), (140, 15), (90, 0)], size=230)
alt = "The solid from behind and from the side: a smooth back where a head would go on."
display(picture(behind, alt=alt))

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
# The cell below is `vrnlib.checks.start.volume_from_paper_order`. `tddfa.volume_file.read_vrn_npy` does it to the
# original's files, when it has refused other shapes and other numbers than 0 and 1.
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
# ## 4 · Five broken volumes
#
# Each of these came out of a program that raised no error. Compare them with the crop and find the five faults before
# you read on: mirrored left and right, upside down, back to front, lying on its side, a hollow shell.

# %%
turned = render_pair(7, 15)
true = turned.volume()
inside = true & np.roll(true, 1, 0) & np.roll(true, -1, 0)
inside &= np.roll(true, 1, 1) & np.roll(true, -1, 1) & np.roll(true, 1, 2) & np.roll(true, -1, 2)
broken = {"A": true.transpose(0, 2, 1), "B": true[::-1], "C": true & ~inside,
          "D": true[:, :, ::-1], "E": true[:, ::-1]}
surfaces, cuts = [turned.image], [turned.image * np.uint8(0) + np.uint8(255)]
for one in (true, *broken.values()):
    surface = extract_surface(one.astype(np.float32))
    surfaces.append(render_views(surface, views=[(0, 0)], size=192))
    cuts.append(one[::-1, 96, :, None].repeat(3, axis=2) * np.uint8(255))
titles = ["crop", "right", *broken, "", "cut, from above", *broken]
tiles = [one[::2, ::2] for one in surfaces + cuts]
alt = "A crop, its right surface, five broken ones, A to E, and a cut through each at mid height."
picture(picture_grid(tiles, titles, columns=7), alt=alt)

# %% [markdown]
# ### Your turn: find_fault
#
# ●●○ 15 min. Now let a program find them. Return 0 for mirrored (x), 1 for upside down (y), 2 for back to front (z),
# 3 for x and y swapped, and 4 for a shell, the surface's voxels alone.

# %% [markdown] help="find_fault"
# <details><summary>Hint</summary>
#
# Do to the right volume what the fault does, and compare: `right[:, :, ::-1]` is mirrored.
# </details>
# <details><summary>Another hint</summary>
#
# `np.array_equal` says whether two arrays have the same shape and the same content.
# </details>
# <details><summary>Typical error</summary>
#
# `right[::-1]` for mirrored: the first axis is z. And a shell has nothing to do with an order of axes; it is what is
# left when no flip fits.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.faults.find_fault`.
# </details>

# %% exercise="find_fault"
def find_fault(broken: np.ndarray, right: np.ndarray) -> int:
    """Two volumes [z, y, x] → 0 mirrored, 1 upside down, 2 back to front, 3 swapped, 4 a shell."""
    ### BEGIN SOLUTION
    turned = [right[:, :, ::-1], right[:, ::-1], right[::-1], right.transpose(0, 2, 1)]
    for number, candidate in enumerate(turned):
        if np.array_equal(broken, candidate):
            return number
    return 4
    ### END SOLUTION

# %% check="find_fault" points=2
check_find_fault(find_fault)

# %%
find_fault = yours_or_ours("find_fault", globals())
words = ["mirrored", "upside down", "back to front", "x and y swapped", "a shell"]
found = {name: words[find_fault(one, true)] for name, one in broken.items()}
print(found)
assert list(found.values()) == [words[3], words[2], words[4], words[0], words[1]]

# %% [markdown]
# ## What goes wrong
#
# The negative control: a volume whose axes were mixed up by a reshape. It has the right shape, the right type and the
# right number of voxels. Only a look, or an overlap with the truth, shows that it is broken. The overlap is
# $\text{IoU} = |A \cap B| \,/\, |A \cup B|$, the *intersection over union*.

# %%
from vrnlib.metrics import iou

volume_from_paper_order = yours_or_ours("volume_from_paper_order", globals())
paper = volume.transpose(2, 1, 0)  # as the paper stores it
right, broken = volume_from_paper_order(paper), paper.reshape(200, 192, 192)
assert right.shape == broken.shape and right.sum() == broken.sum()
print(f"overlap (IoU) with the truth: {iou(right, volume):.2f}; reshaped {iou(broken, volume):.2f}")
assert iou(right, volume) == 1 and iou(broken, volume) < 0.5
cuts = [v[:, :, 96].T[:, 4:196, None].repeat(3, axis=2) * np.uint8(255) for v in (right, broken)]
alt = "Left a cut through a face, right the same voxels as noise."
picture(picture_grid(cuts, ["right", "reshaped"]), alt=alt)

# %% [markdown]
# **Your own photo.** Choose one, or take one: a single face, looking at the camera, not too dark. It stays on the
# machine that runs this notebook.

# %% tags=["live"]
def three_views(photo: np.ndarray) -> np.ndarray:
    """The crop of a photo's largest face, and its surface from three sides."""
    found = reconstruct(photo)
    if not found:
        raise ValueError("No face was found; take a photo with one face that looks at the camera.")
    views = render_views(found[0].surface, views=["front", "start", "side"], size=192, colored=True)
    return np.concatenate([found[0].crop.image, views], axis=1)

own_photo(three_views, alt="Your face: the crop, and the surface from three sides.")

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
# **Sources**
#
# 1. A. Jackson et al., *Large Pose 3D Face Reconstruction from a Single Image via Direct Volumetric CNN Regression*,
#    ICCV 2017.
#
# {{links}}
