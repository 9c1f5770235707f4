# ---
# jupyter:
#   workbook: {minutes_cpu: 25, minutes_t4: 25, memory_gb: 1.5, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 1 · Landmarks and the crop
#
# The network sees a square of 192 pixels and nothing else. Whoever cuts this square decides what the network can
# know, so we cut it by a rule: 68 landmarks, one formula.

# %% [markdown]
# **You will be able to**
#
# - read a landmark from a heat map with sub-pixel accuracy,
# - derive the scale of the crop from the landmarks' box,
# - write the 2×3 matrix from photo to crop, and go back,
# - measure what a wrong margin costs.

# %% [markdown]
# {{prerequisites}}
#
# You need NumPy: slices, axes, broadcasting. The coordinate contract is drawn in notebook 0.

# %% tags=["setup"]

# %%
import math

import cv2
import matplotlib.pyplot as plt
import numpy as np
from skimage.data import astronaut

from vrnlib.checks.cropping import check_crop_matrix, check_crop_scale, check_decode_heatmap, check_to_photo
from vrnlib.crop import crop_face, warp_similarity
from vrnlib.landmarks import detect
from vrnlib.notebook import frontal_sample, picture
from vrnlib.show import draw_landmarks, picture_grid
from vrnlib.synthetic import render_pair

# %% [markdown]
# ## 1 · Where is the face?
#
# A *face-alignment network* (FAN) finds 68 points on a face in a fixed order, the iBUG order: jaw 0–16, brows 17–26,
# nose 27–35, eyes 36–47, mouth 48–67. We run the small FAN of this repository on a public-domain photo.

# %%
photo = astronaut()
faces = detect(photo)
landmarks = faces[0].points[:, :2]
print(f"photo {photo.shape}, faces {len(faces)}, landmarks {landmarks.shape}")
assert landmarks.shape == (68, 2)
picture(draw_landmarks(photo, faces, longest=400), alt="The astronaut's photo with a box and 68 dots on her face.")

# %% [markdown]
# ## 2 · A landmark is a heat map
#
# A FAN does not answer with coordinates. For each landmark it paints a map: bright where the point is likely. Cells
# are four pixels wide, so the brightest cell alone would round to four pixels. The mean over all cells does not.

# %%
rows, columns = np.mgrid[0:32, 0:32]
truth = np.array([20.3, 11.8])  # x, y in cells
heatmap = np.exp(-((columns - truth[0]) ** 2 + (rows - truth[1]) ** 2) / 2)
heatmap /= heatmap.sum()
brightest = np.unravel_index(heatmap.argmax(), heatmap.shape)[::-1]
print("true point    x, y =", truth)
print("brightest cell x, y =", np.array(brightest), f"→ {4 * np.linalg.norm(brightest - truth):.2f} pixels off")

# %% [markdown]
# ### Your turn: decode_heatmap
#
# ●○○ 5 min. The map's cells sum to 1. Return the mean position as `(x, y)` in cells: each column number weighted by
# what its column holds, and the same for rows.

# %% exercise="decode_heatmap"
def decode_heatmap(heatmap: np.ndarray) -> np.ndarray:
    """(rows, columns) weights that sum to 1 → (x, y) of their mean, in cells."""
    ### BEGIN SOLUTION
    rows, columns = heatmap.shape
    x = (heatmap.sum(axis=0) * np.arange(columns)).sum()
    y = (heatmap.sum(axis=1) * np.arange(rows)).sum()
    return np.array([x, y])
    ### END SOLUTION

# %% check="decode_heatmap"
check_decode_heatmap(decode_heatmap)
print(f"error on the map above: {4 * np.linalg.norm(decode_heatmap(heatmap) - truth):.3f} pixels")

# %% [markdown] lecture=true
# <details><summary>Hint</summary>
#
# `heatmap.sum(axis=0)` has one number per column: how likely the point's x is this column.
# </details>
# <details><summary>Typical error</summary>
#
# x and y swapped. An array is indexed `[row, column]`, and the row is y.
# </details>
# <details><summary>Solution</summary>
#
# The cell above. `vrnlib.network.FAN` does the same for 68 maps at once, on tensors, so that it can be trained through.
# </details>

# %% [markdown]
# ## 3 · One size for all faces
#
# Let the landmarks' box be w × h photo pixels. We want its *area* to be 90 × 90 crop pixels. Scaling by s turns w·h
# into s²·w·h. So s²·w·h = 90², and s = 90 / √(w·h). Area is steadier than width: a turned head is narrow.

# %%
low, high = landmarks.min(axis=0), landmarks.max(axis=0)
w, h = high - low
figure, axis = plt.subplots(figsize=(4, 4), layout="constrained")
axis.imshow(photo)
axis.add_patch(plt.Rectangle(low, w, h, fill=False, color="orange", lw=2))
axis.set(xlim=(low[0] - w, high[0] + w), ylim=(high[1] + h, low[1] - h), title="the landmarks' box")
picture(figure, alt="Part of the photo with the box of the 68 landmarks around the face from brows to chin.")

# %% [markdown]
# ### Your turn: crop_scale
#
# ●○○ 3 min. Return s for any set of landmarks. Width and height are largest minus smallest coordinate.

# %% exercise="crop_scale"
def crop_scale(landmarks: np.ndarray) -> float:
    """(68, 2) photo pixels → crop pixels per photo pixel."""
    ### BEGIN SOLUTION
    width, height = landmarks.max(axis=0) - landmarks.min(axis=0)
    return 90 / math.sqrt(width * height)
    ### END SOLUTION

# %% check="crop_scale"
check_crop_scale(crop_scale)
assert math.isclose(crop_scale(landmarks) * math.sqrt(w * h), 90, rel_tol=1e-5)

# %% [markdown] lecture=true
# <details><summary>Hint</summary>
#
# `landmarks.max(axis=0)` is the lower right corner of the box.
# </details>
# <details><summary>Typical error</summary>
#
# 192 instead of 90. The box would fill the crop; forehead, ears and the back of the solid would be cut off.
# </details>
# <details><summary>Solution</summary>
#
# The cell above; in the library it is a line of `vrnlib.crop.crop_matrix`.
# </details>

# %% [markdown]
# ## 4 · The matrix
#
# The crop is a *similarity*: scale, then shift. The middle m of the box must land on the crop's middle. Pixel centres
# are integers 0 … 191, so the middle is 95.5, not 96. From s·m + t = 95.5 follows the shift t.

# %% [markdown]
# ### Your turn: crop_matrix
#
# ●●○ 8 min. Return the 2×3 matrix `[[s, 0, tx], [0, s, ty]]`. Use your `crop_scale`. The middle is that of the box,
# not the mean of the points.

# %% exercise="crop_matrix"
def crop_matrix(landmarks: np.ndarray) -> np.ndarray:
    """(68, 2) photo pixels → (2, 3) similarity, photo pixels → crop pixels."""
    ### BEGIN SOLUTION
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    scale = 90 / math.sqrt((high - low).prod())
    shift = 95.5 - scale * (low + high) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    ### END SOLUTION

# %% check="crop_matrix" points=2
check_crop_matrix(crop_matrix)

# %% [markdown] lecture=true
# <details><summary>Hint</summary>
#
# Solve s·m + t = 95.5 for t, once for x and once for y.
# </details>
# <details><summary>Typical error</summary>
#
# `landmarks.mean(axis=0)` as the middle. Many of the 68 points crowd around eyes and mouth and pull the mean there.
# </details>
# <details><summary>Solution</summary>
#
# The cell above. The library's `vrnlib.crop.crop_matrix` also refuses boxes without area.
# </details>

# %%
matrix = crop_matrix(landmarks)
crop = warp_similarity(photo, matrix, 192)
library = crop_face(photo, landmarks)
assert np.allclose(matrix, library.matrix, atol=1e-3)
box = np.ptp(library.landmarks[:, :2], axis=0)
print(f"crop {crop.shape}, landmarks' box has the size {math.sqrt(box.prod()):.1f}")
both = [crop, draw_landmarks(crop, library.landmarks)]
picture(picture_grid(both, ["your crop", "with landmarks"]), alt="The crop, without and with its landmarks.")

# %% [markdown]
# ## 5 · And back again
#
# What the network finds lives in crop pixels. To draw it into the photo we need the way back. It is exact: a
# similarity loses nothing.

# %% [markdown]
# ### Your turn: to_photo
#
# ●○○ 4 min. Invert the matrix by hand: crop = s · photo + t. Both numbers stand in the matrix.

# %% exercise="to_photo"
def to_photo(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 2) crop pixels → (N, 2) photo pixels."""
    ### BEGIN SOLUTION
    scale, shift = matrix[0, 0], matrix[:, 2]
    return (points - shift) / scale
    ### END SOLUTION

# %% check="to_photo"
check_to_photo(to_photo)
error = np.abs(to_photo(library.landmarks[:, :2], matrix) - landmarks).max()
assert error < 0.01
print("photo → crop → photo moves no landmark by more than 0.01 pixels")

# %% [markdown] lecture=true
# <details><summary>Hint</summary>
#
# Undo the last step first: the shift was added last.
# </details>
# <details><summary>Typical error</summary>
#
# `points / scale - shift`. The shift is in crop pixels and must go before the scale is undone.
# </details>
# <details><summary>Solution</summary>
#
# The cell above; in the library `Crop.to_photo`, which also carries depth along.
# </details>

# %% [markdown]
# ## 6 · The same size in every pose
#
# The rule must hold for turned heads as well. Rendered faces come with exact landmarks, so we can test it: the
# geometric mean of width and height is 90 in each picture.

# %%
samples = [render_pair(7, index) for index in (3, 4, 6, 11)]
for sample in samples:
    width, height = np.ptp(sample.landmarks[:, :2], axis=0)
    assert abs(math.sqrt(width * height) - 90) < 0.5
    print(f"yaw {sample.pose[0]:4.0f}°: box {width:5.1f} × {height:5.1f}, √(w·h) = {math.sqrt(width * height):.1f}")
pictures = [draw_landmarks(sample.image, sample.landmarks) for sample in samples]
picture(picture_grid(pictures, [f"yaw {s.pose[0]:.0f}°" for s in samples]), alt="Four rendered faces with landmarks.")

# %% [markdown]
# ## What goes wrong
#
# Our negative control repeats a real mistake: crops were saved through a plotting library. It adds a white margin, the
# face shrinks, and the network, trained on tight crops, gets pictures of another kind. We rebuild it and measure.

# %%
figure, axis = plt.subplots()  # the library's default: margins and axes
axis.imshow(crop)
figure.canvas.draw()
pixels = axis.transData.transform(library.landmarks[:, :2])  # where the landmarks land in the saved picture
scale_to_192 = 192 / np.array(figure.canvas.get_width_height())
saved = cv2.resize(np.asarray(figure.canvas.buffer_rgba())[..., :3], (192, 192), interpolation=cv2.INTER_AREA)
plt.close(figure)
size = math.sqrt(np.prod(np.ptp(pixels, axis=0) * scale_to_192))
print(f"√(w·h) of the face: 90 in the crop, {size:.0f} in the saved picture")
assert size < 70
both = picture_grid([crop, saved], ["right", "through a plotting library"])
picture(both, alt="Left the crop, right the same crop shrunken inside white margins with axes around it.")

# %% [markdown]
# How much does it cost? We take a rendered face, whose true solid we know, shrink it by the same factor, and let the
# trained VRN predict both. IoU is the overlap with the true solid: 1 is perfect.

# %%
from vrnlib.metrics import iou
from vrnlib.network import load_network
from vrnlib.reconstruct import predict_volume

network, sample = load_network("vrn_open"), frontal_sample(7)
factor = size / 90
shrink = np.array([[factor, 0, 95.5 * (1 - factor)], [0, factor, 95.5 * (1 - factor)]])
small = cv2.warpAffine(sample.image, shrink, (192, 192), borderValue=(255, 255, 255))
right = iou(predict_volume(network, sample.image), sample.volume())
wrong = iou(predict_volume(network, small), sample.volume())
print(f"IoU with the right crop {right:.1f}, with the wrong margin {wrong:.1f}")
assert right > wrong + 0.15

# %% [markdown]
# ## Summary
#
# - A landmark is the mean of a heat map, so it is finer than the map's cells.
# - The crop's scale is 90 / √(w·h) of the landmarks' box; its middle goes to (95.5, 95.5).
# - The 2×3 matrix is kept: it is the way back into the photo.
# - A wrong margin is no detail: the network never saw such faces.
#
# {{links}}
