# ---
# jupyter:
#   workbook: {minutes_cpu: 35, minutes_t4: 35, memory_gb: 1.5, download_mb: 0}
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
# - follow a face from the face detector's box to its landmarks,
# - derive the crop's scale, write its 2×3 matrix, and go back,
# - say where landmarks fail, and measure what a wrong margin costs.

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
import torch
from skimage.data import astronaut, chelsea
from tddfa.faceboxes import OPEN_WEIGHTS, FaceBoxes
from tddfa.ibug import JAW, LEFT_JAW, RIGHT_JAW

from vrnlib.landmarks import alignment
from vrnlib.checks import yours_or_ours
from vrnlib.checks.cropping import check_crop_matrix, check_crop_scale, check_decode_heatmap, check_to_photo
from vrnlib.crop import crop_face, invert_matrix, transform_points, warp_similarity
from vrnlib.training.data import TEST_SEED
from vrnlib.evaluation.bins import by_yaw
from vrnlib.landmarks.detectors import FaceAlignmentDetector, TDDFADetector, detect
from vrnlib.weight_files import load_network
from vrnlib.notebook import frontal_sample, picture
from vrnlib.show import draw_errors, draw_landmarks, picture_grid
from vrnlib.synthetic.faces import render_pair

# %% [markdown]
# ## 1 · Where is the face?
#
# A *face-alignment network* (FAN) finds 68 points on a face in a fixed order, the iBUG order: jaw 0–16, brows 17–26,
# nose 27–35, eyes 36–47, mouth 48–67. We run the small FAN of this repository on a public-domain photo and, as a
# negative control, on a cat.

# %%
photo, cat = astronaut(), chelsea()
faces = detect(photo)
landmarks = faces[0].points[:, :2]
print(f"astronaut {photo.shape}: faces {len(faces)}, landmarks {landmarks.shape}")
on_cat = detect(cat)
print(f"cat {cat.shape}: faces {len(on_cat)}")
assert len(faces) == 1 and landmarks.shape == (68, 2)
assert on_cat == []
picture(draw_landmarks(photo, faces, longest=400), alt="The astronaut's photo with a box and 68 dots on her face.")

# %% [markdown]
# ## 2 · A landmark is a heat map
#
# A FAN does not answer with coordinates. For each landmark it paints a map that sums to 1, bright where the point is
# likely. The *score* says how sharp a map is: the probability in its best 3 × 3 cells. Without a face the maps stay
# flat.

# %% tags=["measured"]
fan = load_network("fan_open")


def look_inside(image: np.ndarray, square: np.ndarray) -> tuple:
    """What the FAN sees of a square (middle x, y, side, tilt), 128 × 128 pixels, and its maps of 32 × 32 cells."""
    seen = alignment.square_picture(image, square, 128)
    with torch.inference_mode():
        return seen, fan(torch.from_numpy(seen).permute(2, 0, 1)[None] / 255)


seen, maps = look_inside(photo, alignment.head_squares(landmarks[None])[0])
sleeve, flat = look_inside(photo, np.array([90, 330, 150, 0]))
heatmaps, scores = maps.heatmaps[0].numpy(), maps.scores[0].numpy()
print(f"maps {heatmaps.shape}, mean score: face {scores.mean():.1f}, sleeve {flat.scores.mean():.1f}")
assert np.allclose(heatmaps.sum(axis=(1, 2)), 1, atol=1e-3)
assert scores.mean() > 0.4 and flat.scores.mean() < 0.2

# %%
names = {"chin": 8, "nose tip": 30, "eye corner": 36, "mouth corner": 48}
panels = [(f"{name}: {scores[row]:.1f}", seen, heatmaps[row] / heatmaps[row].max()) for name, row in names.items()]
together = [one.heatmaps[0].sum(dim=0).numpy() for one in (maps, flat)]
panels.append((f"all 68: {scores.mean():.1f}", seen, together[0] / together[0].max()))
panels.append((f"a sleeve, all 68: {flat.scores.mean():.1f}", sleeve, together[1] / together[0].max()))
figure, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
for axis, (title, image, strength) in zip(axes.flat, panels, strict=True):
    axis.imshow(image.mean(axis=2), cmap="gray", extent=(-0.5, 127.5, 127.5, -0.5))
    axis.imshow(strength, cmap="autumn", alpha=np.clip(strength, 0, 1), extent=(-0.5, 127.5, 127.5, -0.5))
    axis.set(title=title, xticks=[], yticks=[])
alt = "Heat maps over a face, with scores: one spot on chin, nose, eye and mouth, then all 68; a sleeve has faint ones."
picture(figure, alt=alt)

# %% [markdown]
# ### Your turn: decode_heatmap
#
# ●○○ 5 min. Cells are four pixels wide, so the brightest cell alone would round to four pixels. The mean over all
# cells does not. The map's cells sum to 1. Return the mean position as `(x, y)` in cells: each column number weighted
# by what its column holds, and the same for rows.

# %% [markdown] help="decode_heatmap"
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
# The cell below is `vrnlib.checks.cropping.decode_heatmap`. `vrnlib.network.FAN` has another, because it takes 68 maps
# at once, as tensors, and is trained through it.
# </details>

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

# %%
decode_heatmap = yours_or_ours("decode_heatmap", globals())
yours = 4 * np.stack([decode_heatmap(heatmap) for heatmap in heatmaps]) + 1.5  # cell i holds pixels 4i to 4i + 3
assert np.allclose(yours, maps.points[0, :, :2], atol=0.01)
print("your 68 points are the network's own")

# %% tags=["measured"]
# What is it worth? Rendered faces have exact landmarks; this stream of them was never used in a training.
renders = [render_pair(TEST_SEED, index, canvas=256) for index in range(40)]
truths = [render.landmarks[:, :2] for render in renders]
misses = []
for render, truth in zip(renders, truths, strict=True):
    square = alignment.box_squares([*truth.min(axis=0), *truth.max(axis=0)])[0]
    maps_here = look_inside(render.image, square)[1].heatmaps[0].numpy()
    brightest = [np.unravel_index(one.argmax(), one.shape)[::-1] for one in maps_here]
    means = [decode_heatmap(one) for one in maps_here]
    way_back = invert_matrix(alignment.square_matrix(square, 128))
    found = [transform_points(4 * np.array(cells) + 1.5, way_back) for cells in (brightest, means)]
    misses.append([np.linalg.norm(points - truth, axis=1).mean() for points in found])
coarse, fine = np.array(misses).T
print(f"mean error: brightest cell {coarse.mean():.1f} pixels, mean over the cells {fine.mean():.1f} pixels")
print(f"the mean over the cells is better on {(fine < coarse).sum()} of {len(renders)} faces")
assert fine.mean() < 0.85 * coarse.mean()

# %% [markdown]
# ## 3 · From box to landmarks
#
# Who tells the FAN where to look? A *face detector*, FaceBoxes, proposes boxes. The *first pass* is over an upright
# square about such a box. Its points tell where the face is and how it leans, so the *second pass* sees it upright and
# centred. A third pass, over the mirror image, is averaged in.

# %%
face_boxes, leaning, truth = FaceBoxes(OPEN_WEIGHTS, min_score=0.3), renders[22].image, truths[22]
box = face_boxes(leaning)[:1]  # from the forehead to the chin, best first
upright = alignment.box_squares(alignment.landmark_boxes(box))
first, _ = alignment.predict(leaning, upright, fan)
tilted = alignment.head_squares(first)
second, _ = alignment.predict(leaning, tilted, fan)
third, _ = alignment.predict(leaning, alignment.head_squares(second), fan, mirrored=True)
corners = box[0, :4].round().astype(int)
panels, titles, offs = [cv2.rectangle(leaning.copy(), corners[:2], corners[2:], (255, 200, 0), 2)], ["the box"], []
passes = {"first pass": (upright, first), "second pass": (tilted, second), "mean": (tilted, (second + third) / 2)}
for name, (square, points) in passes.items():
    matrix = alignment.square_matrix(square[0], 256)
    found, right = transform_points(points[0, :, :2], matrix), transform_points(truth, matrix)
    panels.append(draw_errors(alignment.square_picture(leaning, square[0], 256), found, right, enlarge=1))
    offs.append(np.linalg.norm(points[0, :, :2] - truth, axis=1).mean())
    titles.append(f"{name}: {offs[-1]:.1f} pixels off")
assert offs[0] > offs[1] > offs[2]
alt = "A leaning head in a box; three views with true points in blue and found ones in orange, which come nearer."
picture(picture_grid(panels, titles), alt=alt)

# %% [markdown]
# ## 4 · One size for all faces
#
# The landmarks' box is w × h photo pixels; its *area* shall be 90 × 90 crop pixels. Scaling by s makes it s²·w·h, so
# s = 90 / √(w·h). Area is steadier than width: a turned head is narrow.
#
# ### Your turn: crop_scale
#
# ●○○ 3 min. Return s for any landmarks. The rendered faces were made by this rule: s must be 1 in every pose.

# %% [markdown] help="crop_scale"
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
# The cell below is `vrnlib.checks.cropping.crop_scale`; in the library it is a line of `vrnlib.crop.crop_matrix`.
# </details>

# %% exercise="crop_scale"
def crop_scale(landmarks: np.ndarray) -> float:
    """(68, 2) photo pixels → crop pixels per photo pixel."""
    ### BEGIN SOLUTION
    width, height = landmarks.max(axis=0) - landmarks.min(axis=0)
    return 90 / math.sqrt(width * height)
    ### END SOLUTION

# %% check="crop_scale"
check_crop_scale(crop_scale)

# %%
crop_scale = yours_or_ours("crop_scale", globals())
assert all(math.isclose(crop_scale(truth), 1, abs_tol=1e-3) for truth in truths)
yaws = [render.pose[0] for render in renders]
print(f"s = 1 for {len(renders)} rendered faces, turned from {min(yaws):.0f}° to {max(yaws):.0f}°")
figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
for axis, image, points in zip(axes, (photo, renders[33].image), (landmarks, truths[33]), strict=True):
    low, (w, h), side = points.min(axis=0), np.ptp(points, axis=0), 90 / crop_scale(points)
    assert math.isclose(side**2, w * h, rel_tol=1e-4)
    axis.imshow(image)
    axis.add_patch(plt.Rectangle(low, w, h, fill=False, color="orange", lw=3))
    axis.add_patch(plt.Rectangle(low + [w / 2, h / 2] - side / 2, side, side, fill=False, color="white", lw=2, ls=":"))
    axis.set(xlim=low[0] + [-0.7 * h, w + 0.7 * h], ylim=low[1] + [1.6 * h, -0.7 * h], title=f"w / h = {w / h:.1f}")
alt = "Two faces with the landmarks' box and a dotted square of the same area, which will be 90 crop pixels wide."
picture(figure, alt=alt)

# %% [markdown]
# ## 5 · The matrix
#
# The crop is a *similarity*: scale, then shift. The box's middle m must land on the crop's. Pixel centres are
# integers 0 … 191, so that is 95.5, not 96. From s·m + t = 95.5 follows the shift t.
#
# ### Your turn: crop_matrix
#
# ●●○ 8 min. Return the 2×3 matrix `[[s, 0, tx], [0, s, ty]]`. Use your `crop_scale`. The middle is that of the box,
# not the mean of the points.

# %% [markdown] help="crop_matrix"
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
# The cell below is `vrnlib.checks.cropping.crop_matrix`. `vrnlib.crop.crop_matrix` is longer, because it also refuses
# boxes without area and takes other sizes.
# </details>

# %% exercise="crop_matrix"
def crop_matrix(landmarks: np.ndarray) -> np.ndarray:
    """(68, 2) photo pixels → (2, 3) similarity, photo pixels → crop pixels."""
    ### BEGIN SOLUTION
    scale = crop_scale(landmarks)
    middle = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2
    shift = 95.5 - scale * middle
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    ### END SOLUTION

# %% check="crop_matrix" points=2
check_crop_matrix(crop_matrix)

# %%
crop_matrix = yours_or_ours("crop_matrix", globals())
matrix = crop_matrix(landmarks)
crop = warp_similarity(photo, matrix, 192)
library = crop_face(photo, landmarks)
assert np.allclose(matrix, library.matrix, atol=1e-3)
box = np.ptp(library.landmarks[:, :2], axis=0)
print(f"crop {crop.shape}, landmarks' box has the size {math.sqrt(box.prod()):.1f}")
both = [crop, draw_landmarks(crop, library.landmarks)]
picture(picture_grid(both, ["your crop", "with landmarks"]), alt="The crop, without and with its landmarks.")

# %% [markdown]
# ## 6 · And back again
#
# What the network finds lives in crop pixels. To draw it into the photo we need the way back. It is exact: a
# similarity loses nothing.
#
# ### Your turn: to_photo
#
# ●○○ 4 min. Invert the matrix by hand: crop = s · photo + t. Both numbers stand in the matrix.

# %% [markdown] help="to_photo"
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
# The cell below is `vrnlib.checks.cropping.to_photo`. `vrnlib.crop.Crop.to_photo` is another, because it carries depth
# along.
# </details>

# %% exercise="to_photo"
def to_photo(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 2) crop pixels → (N, 2) photo pixels."""
    ### BEGIN SOLUTION
    scale, shift = matrix[0, 0], matrix[:, 2]
    return (points - shift) / scale
    ### END SOLUTION

# %% check="to_photo"
check_to_photo(to_photo)

# %%
to_photo = yours_or_ours("to_photo", globals())
error = np.abs(to_photo(library.landmarks[:, :2], matrix) - landmarks).max()
assert error < 0.01
print("photo → crop → photo moves no landmark by more than 0.01 pixels")

# %% [markdown]
# ## 7 · Where it fails
#
# One good photo proves little. We measure all forty rendered faces, which include every pose. The error is the mean
# distance of the 68 points in per cent of √(w·h), by yaw as in the papers. Then we look at the six worst: truth blue,
# found orange.

# %% tags=["measured"]
results = [detect(render.image) for render in renders]
rows = [row for row, faces in enumerate(results) if faces]
found = {row: results[row][0].points[:, :2] for row in rows}
distances = np.array([np.linalg.norm(found[row] - truths[row], axis=1) for row in rows]) / 90 * 100
errors = dict(zip(rows, distances.mean(axis=1), strict=True))
print(f"found {len(rows)} of {len(renders)} faces")
report = by_yaw(distances.mean(axis=1), [yaws[row] for row in rows])
for name, count in report["faces"].items():
    print(f"yaw {name}°: {count} faces, mean error {report[name]:.0f} % of √(w·h)")
scales = np.array([crop_scale(points) for points in found.values()])
print(f"crop's scale right within 10 %: {(np.abs(scales - 1) < 0.1).sum()} faces")
assert report["0-30"] < report["60-90"] < 8 and len(rows) >= 38

# %%
worst = sorted(errors, key=errors.get, reverse=True)[:6]
panels = [draw_errors(renders[row].image[48:208, 48:208], found[row] - 48, truths[row] - 48) for row in worst]
titles = [f"face {row}: yaw {yaws[row]:.0f}°, error {errors[row]:.1f} %" for row in worst]
assert {13, 25, 26, 27} <= set(worst) and min(abs(yaws[row]) for row in worst) > 30  # the words below say so
for row in (13, 25, 26, 27):
    far, near = (LEFT_JAW, RIGHT_JAW) if yaws[row] > 0 else (RIGHT_JAW, LEFT_JAW)
    apart = distances[rows.index(row)]
    assert abs(yaws[row]) > 60 and apart[far].mean() > 1.5 * max(apart[near].mean(), apart[JAW.stop:].mean())
alt = "Six turned heads with true points in blue, found ones in orange, lines between, longest on the jaw's far side."
picture(picture_grid(panels, titles, columns=3), alt=alt)

# %% [markdown]
# No frontal face is among them. On four, 13, 25, 26 and 27, all turned by more than 60°, the longest lines lead to the
# far side of the jaw: the head hides it, so the network guesses. Other causes add up: little light (26, 27), a bowed
# head (26), a cap and long hair (13).

# %% [markdown]
# ## 8 · Official and open
#
# FAN's authors publish theirs, 2DFAN-4, trained on photographs, in the package face-alignment. With its weights and
# `VRN_PROFILE=full`, the cell puts it beside ours. Otherwise it shows another way to landmarks, `tddfa`: 3DDFA_V2
# fits a face model and reads the points off it.

# %% tags=["measured"]
import os
from pathlib import Path

from tddfa import TDDFA

from vrnlib.landmarks.official import FACE_DETECTORS, FAN_FILE

files = [FAN_FILE, *FACE_DETECTORS["sfd"]]
at_hand = all((Path(torch.hub.get_dir()) / "checkpoints" / name).is_file() for name in files)
if at_hand and os.environ.get("VRN_PROFILE") == "full":
    other = FaceAlignmentDetector()(photo)[0]
else:
    print(f"The official FAN needs {' and '.join(files)} in $TORCH_HOME/hub/checkpoints and VRN_PROFILE=full.")
    other = TDDFADetector(face_detector=face_boxes, regressor=TDDFA("open"))(photo)[0]
apart = 100 * np.linalg.norm(other.points[:, :2] - landmarks, axis=1).mean() / faces[0].size
print(f"open and {other.source} differ by {apart:.0f} % of √(w·h) on average")
large = crop_face(photo, landmarks, 288)
panels = [draw_landmarks(large.image, large.to_crop(points[:, :2])) for points in (landmarks, other.points)]
picture(picture_grid(panels, ["open", other.source]), alt="The astronaut's crop twice, with landmarks of two sources.")

# %% [markdown]
# ## What goes wrong
#
# A real mistake, rebuilt: crops were saved through a plotting library. It adds a white margin, and the face shrinks.
# The second cell measures the cost: the VRN, trained on tight crops, predicts a rendered face, whose solid we know,
# from both kinds. IoU is the overlap with the true solid: 1 is perfect.

# %% tags=["measured"]
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

# %% tags=["measured"]
from vrnlib.metrics import iou
from vrnlib.reconstruct import predict_volume

network, sample = load_network("vrn_open"), frontal_sample(7)
factor = size / 90
shrink = np.array([[factor, 0, 95.5 * (1 - factor)], [0, factor, 95.5 * (1 - factor)]])
small = cv2.warpAffine(sample.image, shrink, (192, 192), borderValue=(255, 255, 255))
right = iou(predict_volume(network, sample.image), sample.volume())
wrong = iou(predict_volume(network, small), sample.volume())
print(f"IoU with the right crop {right:.1f}, with the wrong margin {wrong:.1f}")
assert right > wrong + 0.15

# %% [markdown] question="rule_in_words" points=3
# ### In your own words
#
# ●●○ 10 min. A friend wants to cut the crop by the finder's box instead of the landmarks' box, "because that saves a
# network". In five to ten sentences: what does the friend gain and lose? Use a number from this notebook.
#
# <details><summary>What a good answer says</summary>
#
# - 1 point: gained are time and one thing less that can fail.
# - 1 point: the finder's box is coarser and does not know how the head leans; the network sees faces of other sizes
#   and places than those it learnt from.
# - 1 point: a number, such as the IoU with a wrong margin, or the error of the first look against the second.
# </details>

# %% [markdown]
# ## Summary
#
# - A landmark is the mean of its heat map, finer than the map's cells.
# - The face detector's box is a start; the second pass is better placed.
# - The crop's scale is 90 / √(w·h) of the landmarks' box; its middle goes to (95.5, 95.5).
# - The 2×3 matrix is the way back into the photo.
# - Profiles are hard, and a wrong margin is no detail.
#
# {{links}}
