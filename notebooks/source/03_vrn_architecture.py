# ---
# jupyter:
#   workbook: {minutes_cpu: 110, memory_gb: 1.5, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 3 · The network
#
# VRN has no 3D layer. A stack of 2D *hourglasses* reads the crop, and its 200 output channels are the 200 slices of
# the volume. You write its brick, its hourglass and its head, and count it to the last parameter.

# %% [markdown]
# **You will be able to**
#
# - count the parameters and the work of a convolutional network,
# - write the pre-activation bottleneck, the hourglass and the volumetric head,
# - say what the released network nests where, and what that does to its view of the picture,
# - explain why each voxel is a question of its own.

# %% [markdown]
# {{prerequisites}}
#
# You need to have written a `torch.nn.Module` once. Numbers in brackets, such as [1, § 3.2], are sources with their
# section; the list stands at the end.

# %% tags=["setup"]

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage.data import astronaut
from torch import Tensor, nn
from torch.nn import functional as F

from vrnlib.checks import yours_or_ours
from vrnlib.checks.architecture import check_convolution_parameters, check_residual
from vrnlib.checks.architecture import check_voxel_probabilities
from vrnlib.checks.hourglass import check_hourglass, check_volume_head
from vrnlib.hourglass import Hourglass, Residual
from vrnlib.metrics import iou
from vrnlib.network import VRN, VRNConfig, VRNGuided, VRNMultitask, count_parameters, reduced
from vrnlib.notebook import frontal_sample, picture, sliders
from vrnlib.reconstruct import reconstruct
from vrnlib.show import picture_grid
from vrnlib.weight_files import load_network

# %% [markdown]
# ## 1 · The way of a picture
#
# The crop is 192 pixels wide. A 7×7 convolution of stride 2 and one pooling step bring it to 48 × 48; there the work
# is done. The last convolution has 200 channels, and a bilinear ×4 brings them back to 192 × 192 [1, § 3.2].
#
# > **Feature map**: an array (channels, height, width) inside a network; each channel answers one question about
# > every place. **Stride**: how many places a convolution moves on from one output to the next.

# %%
torch.manual_seed(0)
small = VRN(VRNConfig(resize=None)).eval()
steps: list[str] = []
parts = {"stem": small.trunk.stem, "trunk": small.trunk, "head": small.head, "VRN": small}
for name, part in parts.items():
    part.register_forward_hook(lambda _, x, y, name=name: steps.append(f"{name} {tuple(y.shape)}"))
with torch.inference_mode():
    output = small(torch.rand(1, 3, 192, 192))
print("\n".join(steps))
assert output.shape == (1, 200, 192, 192)

# %% [markdown]
# ## 2 · Counting
#
# Reading a network means counting it. If the count is right, no layer is missing and none has another width. A
# $k \times k$ convolution from $i$ to $o$ channels is, at each place $p$,
#
# $$y_c(p) = b_c + \sum_{d=1}^{i} \sum_{q \in k \times k} w_{c,d,q}\, x_d(p + q), \qquad c = 1 \dots o.$$

# %% [markdown]
# ### Your turn: convolution_parameters
#
# ●○○ 3 min, one line. Count what is learnt in the formula: all $w$ and all $b$.

# %% [markdown] help="convolution_parameters"
# <details><summary>Hint</summary>
#
# Count for one output channel first, then multiply by the number of output channels.
# </details>
# <details><summary>Typical error</summary>
#
# The biases are forgotten. `nn.Conv2d` has one per output channel unless `bias=False`.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.architecture.convolution_parameters`. The library itself asks PyTorch
# (`vrnlib.network.count_parameters`).
# </details>

# %% exercise="convolution_parameters"
def convolution_parameters(inputs: int, outputs: int, kernel: int) -> int:
    """Number of parameters of a kernel × kernel convolution with a bias."""
    ### BEGIN SOLUTION
    return outputs * (inputs * kernel * kernel + 1)
    ### END SOLUTION

# %% check="convolution_parameters"
check_convolution_parameters(convolution_parameters)

# %% [markdown]
# ## 3 · The brick: a pre-activation bottleneck
#
# Three convolutions: 1×1 to half of the channels, 3×3, 1×1 to all of them. Batch norm and ReLU stand *before* each of
# them [3, § 3]. With $F$ for this branch and $S$ for the skip (nothing, or a 1×1 convolution where the channels
# change):
#
# $$y = F(x) + S(x), \qquad \frac{\partial y}{\partial x} = \frac{\partial F}{\partial x} + S.$$
#
# > **Bottleneck**: few channels in the middle, so that the costly 3×3 is cheap. **Batch norm**: shifts and scales
# > each channel to mean 0 and deviation 1, then by two learnt numbers.

# %% [markdown]
# ### Your turn: ResidualBlock
#
# ●●○ 15 min. Write the module. Use `nn.Sequential` for the branch and `nn.Identity()` for a skip that needs nothing.
# The check gives your module and ours the same weights, by shape, and compares their answers.

# %% [markdown] help="ResidualBlock"
# <details><summary>Hint</summary>
#
# A 3×3 convolution needs `padding=1` to keep height and width.
# </details>
# <details><summary>Typical error</summary>
#
# A ReLU after the sum. It looks harmless, but then nothing negative can pass the skip, and the blocks lose the straight
# way through the network that makes them easy to train.
# </details>
# <details><summary>Solution</summary>
#
# `vrnlib.hourglass.Residual` is the same block. The cell below has a loop for it, because three steps of one kind are
# read more easily than nine lines; there each layer is written out.
# </details>

# %% exercise="ResidualBlock"
class ResidualBlock(nn.Module):
    """BN-ReLU-1×1, BN-ReLU-3×3, BN-ReLU-1×1, plus input; (B, inputs, H, W) → (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        middle = outputs // 2
        layers: list[nn.Module] = []
        for a, b, kernel in [(inputs, middle, 1), (middle, middle, 3), (middle, outputs, 1)]:
            layers += [nn.BatchNorm2d(a), nn.ReLU(), nn.Conv2d(a, b, kernel, padding=kernel // 2)]
        self.branch = nn.Sequential(*layers)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        return self.branch(x) + self.skip(x)
        ### END SOLUTION

# %% check="ResidualBlock" points=2
check_residual(ResidualBlock)

# %% [markdown]
# ## 4 · The hourglass
#
# A nose is local, the pose is not. An hourglass sees both [2, § 3.1]: max-pooling $P$ halves the map, residuals
# $B$ and $A$ work before and after a smaller hourglass, $U$ repeats each cell ×2, a skip $S$ keeps the detail, and one
# more residual $R$ follows the sum. At the bottom stands a residual, $H_0$:
#
# $$H_d(x) = R\big(S(x) + U\,A\,H_{d-1}\,B\,P(x)\big).$$

# %%
hourglass = Hourglass(depth=4, features=32, count=1, nesting="pooled").eval()
sizes: list[int] = []
level = hourglass
while level is not None:
    level.before.register_forward_hook(lambda _, x, y: sizes.append(y.shape[-1]))
    level = level.inner
with torch.inference_mode():
    result = hourglass(torch.rand(1, 32, 48, 48))
print("the branches work on", sizes, "cells; the result has", tuple(result.shape))
assert sizes == [24, 12, 6, 3] and result.shape == (1, 32, 48, 48)

# %% [markdown]
# ### Your turn: HourglassModule
#
# ●●● 45 min. Write $H_d$ with one residual per step, from `Residual` (ours is imported) and `F.max_pool2d`. A level
# holds an hourglass that is one level smaller: the class uses itself. Depth 1 holds the residual at the bottom
# instead.

# %% [markdown] help="HourglassModule"
# <details><summary>Hint</summary>
#
# Draw depth 1 first: pool, three residuals in a row, enlarge, add the skip, one residual. Then put an hourglass in
# the place of the middle one.
# </details>
# <details><summary>Typical error</summary>
#
# `HourglassModule(depth, features)` inside itself: Python builds levels until it gives up. And a list of layers that
# is no `nn.ModuleList`: PyTorch does not see its parameters.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.hourglass.HourglassModule`. `vrnlib.hourglass.Hourglass` has two arguments more, how
# many residuals make a step and on which branch the inner level sits, because the released network needs both.
# </details>

# %% exercise="HourglassModule"
class HourglassModule(nn.Module):
    """One level of an hourglass, a smaller one inside it; (B, C, H, W) → (B, C, H, W)."""

    def __init__(self, depth: int, features: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.skip = Residual(features, features)
        self.before = Residual(features, features)
        smaller = depth - 1
        self.inner = HourglassModule(smaller, features) if smaller else Residual(features, features)
        self.after = Residual(features, features)
        self.output = Residual(features, features)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        low = self.after(self.inner(self.before(F.max_pool2d(x, 2))))
        return self.output(self.skip(x) + F.interpolate(low, scale_factor=2, mode="nearest"))
        ### END SOLUTION

# %% check="HourglassModule" points=4
check_hourglass(HourglassModule)

# %% [markdown]
# ## 5 · What the released network nests where
#
# The figure of [2] puts the smaller hourglass on the pooled map. The network that VRN's authors released puts it on
# the *skip*, at full size. All its parameters are the same, no shape warns, and both train. Let us see where its
# branches work, and count multiplications.

# %%
def multiplications(config: VRNConfig) -> tuple[list[int], float]:
    """Side of each `before` branch's map, and multiplications for one crop in 10⁹."""
    network, cells, work = VRN(config).eval(), [], []
    for name, part in network.named_modules():
        if name.endswith("before") and name.startswith("trunk.hourglasses.0"):
            part.register_forward_hook(lambda _, x, y: cells.append(y.shape[-1]))
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda c, x, y: work.append(y.numel() * c.weight[0].numel()))
    with torch.inference_mode():
        network(torch.rand(1, 3, 192, 192))
    return cells, sum(work) / 1e9

for nesting, expected in [("pooled", [24, 12, 6, 3]), ("skip", [24, 24, 24, 24])]:
    wide = VRNConfig(stem=64, features=256, residuals=3, nesting=nesting, resize=None)
    cells, billions = multiplications(wide)
    print(f"inner hourglass {nesting:6s}: {cells} cells, {billions:.2f} · 10⁹ multiplications")
    assert sorted(cells, reverse=True) == expected

# %% [markdown]
# How far does one voxel see? Its gradient with respect to the picture tells: where it is large, the pixel matters.
# We compare both nestings with random weights, so that nothing but the architecture speaks, and measure the radius
# around the voxel that holds 90 % of the influence.
#
# > **Receptive field**: the pixels that can change an output at all.

# %% tags=["measured"]
rows, columns = np.mgrid[:192, :192]
radius = np.hypot(rows - 97.5, columns - 97.5)  # cell (24, 24) lies at pixel 4 · 24 + 1.5
figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
reach = {}
for axis, nesting in zip(axes, ("pooled", "skip"), strict=True):
    torch.manual_seed(0)
    config = VRNConfig(features=32, residuals=3, nesting=nesting, resize=None)
    image = torch.rand(1, 3, 192, 192, requires_grad=True)
    VRN(config).eval().lattice_logits(image)[0, 100, 24, 24].backward()
    influence = image.grad.abs().sum(dim=1)[0].numpy()
    order = np.argsort(radius.ravel())
    inside = np.cumsum(influence.ravel()[order]) / influence.sum()
    reach[nesting] = radius.ravel()[order][np.searchsorted(inside, 0.9)]
    axis.imshow(np.log10(influence / influence.max() + 1e-9), cmap="magma", vmin=-6)
    axis.set(title=f"inner level on the {nesting} branch:\n90 % within {reach[nesting]:.0f} pixels")
assert reach["pooled"] > 50 and reach["skip"] < 20
alt = "Influence on one voxel, log scale: pooled, bright far and wide; skip, a small bright spot."
picture(figure, alt=alt)

# %% [markdown]
# ## 6 · Inside the trained network
#
# With the inner level on the skip, a voxel mostly listens to its neighbourhood. Our open network nests on the pooled
# branch: 2.6 times less work, and a wider view. Let it look at a real face. We catch the feature maps on their way
# down through the first hourglass and show, for each size, the six channels that vary most over the face.

# %% tags=["measured"]
network = load_network("vrn_open", VRN)
crop = reconstruct(astronaut())[0].crop.image
image = torch.from_numpy(crop.transpose(2, 0, 1).copy())[None].float() / 255
image = reduced(image, network.config)  # the open network works on 128 pixels
maps: list[Tensor] = []
hooks = [network.trunk.stem.register_forward_hook(lambda _, x, y: maps.append(y[0]))]
level = network.trunk.hourglasses[0][0]
while level is not None:
    hooks.append(level.before.register_forward_hook(lambda _, x, y: maps.append(y[0])))
    level = level.inner
with torch.inference_mode():
    network.lattice_logits(image)
for hook in hooks:
    hook.remove()
print([tuple(one.shape) for one in maps])
assert [one.shape[-1] for one in maps] == [32, 16, 8, 4, 2]

# %% tags=["measured"]
tiles, titles = [], []
for one in maps:
    for channel in one.std(dim=(1, 2)).argsort(descending=True)[:6]:
        values = one[channel].numpy()
        grey = (values - values.min()) / (np.ptp(values) + 1e-9) * 255
        tiles.append(np.kron(grey, np.ones((96 // len(grey), 96 // len(grey)))).astype(np.uint8))
        titles.append(f"{len(grey)} cells, no. {channel}")
tiles = [np.repeat(tile[..., None], 3, axis=2) for tile in tiles]
alt = "Feature maps of a face: at 32 cells eyes and outline are seen, at 8 and less only squares."
picture(picture_grid(tiles, titles, columns=6), alt=alt)

# %% [markdown]
# **Play.** Which pixels decide how thick the head is at one place? The thickness of a column is the sum of its
# probabilities; its gradient with respect to the crop is drawn in orange. Move the place with the sliders: does the
# nose look at the nose alone? (A gradient shows what the answer is sensitive to, not what it is made of.)

# %% tags=["view-3d"]
def deciding_pixels(row: int, column: int) -> np.ndarray:
    """The crop, dark, with the pixels that decide the thickness at a cell of the lattice."""
    asked = image.clone().requires_grad_()
    torch.sigmoid(network.lattice_logits(asked)[0, :, row, column]).sum().backward()
    weight = F.avg_pool2d(asked.grad.abs().sum(dim=1), 5, stride=1, padding=2)[0]
    weight = (weight / weight.max()).sqrt().numpy()[..., None]
    shown = (1 - weight) * image[0].permute(1, 2, 0).numpy() * 0.5 + weight * np.array([1, 0.6, 0])
    shown = np.kron(shown, np.ones((2, 2, 1)))
    shown[8 * row + 2 : 8 * row + 7, 8 * column + 2 : 8 * column + 7] = [0.2, 0.6, 1]
    return (shown * 255).astype(np.uint8)

alt = "Four times the crop: orange pixels near the asked cell, for nose and chin on the collar too."
places = {"nose": (17, 15), "left cheek": (18, 9), "chin": (24, 15), "background": (4, 3)}
sheet = {name: {"row": row, "column": column} for name, (row, column) in places.items()}
ranges = {"row": (0, 31, 1), "column": (0, 31, 1)}
sliders(deciding_pixels, ranges, start=sheet["nose"], sheet=sheet, alt=alt, columns=4)

# %% [markdown]
# ## 7 · The head
#
# Two 1×1 convolutions turn 256 features into 200 slices, each place for itself, and a bilinear ×4 follows. The depth
# of a voxel is thus the *number of a channel*: the network learns that neighbouring channels are neighbours in space.

# %% [markdown]
# ### Your turn: VolumeHead
#
# ●●○ 10 min. 1×1 convolution, batch norm, ReLU, 1×1 convolution to the slices, then `F.interpolate`. Return logits.
# Cell $(i, j)$ has its centre at pixel $(4i + 1.5, 4j + 1.5)$, so leave `align_corners=False`.

# %% [markdown] help="VolumeHead"
# <details><summary>Hint</summary>
#
# A 1×1 convolution needs no padding. `mode="bilinear"` is for maps, `"trilinear"` for volumes: these are maps.
# </details>
# <details><summary>Typical error</summary>
#
# Enlarging first. Bilinear interpolation and the last 1×1 convolution may change places, so the answer is right, and
# the check accepts it. But the convolution then has sixteen times the work.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.hourglass.VolumeHead`. In the library the two halves stand apart,
# `vrnlib.network.volume_head` and `vrnlib.network.at_every_voxel`, because training needs the logits before they are
# enlarged.
# </details>

# %% exercise="VolumeHead"
class VolumeHead(nn.Module):
    """(B, features, H, W) → logits of the voxels (B, slices, 4 H, 4 W)."""

    def __init__(self, features: int, slices: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.layers = nn.Sequential(
            nn.Conv2d(features, features, 1),
            nn.BatchNorm2d(features),
            nn.ReLU(),
            nn.Conv2d(features, slices, 1),
        )
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        small = self.layers(x)
        return F.interpolate(small, scale_factor=4, mode="bilinear", align_corners=False)
        ### END SOLUTION

# %% check="VolumeHead" points=2
check_volume_head(VolumeHead)

# %% [markdown]
# ## 8 · The released network, counted by hand
#
# 64 channels in the stem, 256 in two hourglasses of depth 4, three residuals per step. Nothing but your formula for a
# convolution and two numbers per channel of a batch norm is needed to count it. It must give 19,184,968.

# %%
conv = yours_or_ours("convolution_parameters", globals())

def residual(i: int, o: int) -> int:
    m = o // 2
    branch = 2 * i + conv(i, m, 1) + 2 * m + conv(m, m, 3) + 2 * m + conv(m, o, 1)
    return branch + (0 if i == o else conv(i, o, 1))

stem = conv(3, 64, 7) + 2 * 64 + residual(64, 128) + residual(128, 128) + residual(128, 256)
per_level, bottom = 3 + 3 + 3 + 1, 3  # skip, before, after, output
stage = (4 * per_level + bottom) * residual(256, 256) + 2 * (conv(256, 256, 1) + 2 * 256)
head = conv(256, 256, 1) + 2 * 256 + conv(256, 200, 1)
print(f"stem {stem:,} + 2 × hourglass {stage:,} + head {head:,} = {stem + 2 * stage + head:,}")
reference = VRN(VRNConfig.reference())
assert stem + 2 * stage + head == count_parameters(reference) == 19_184_968

# %% [markdown]
# ## 9 · The family
#
# The paper tries two variants [1, § 3.3 and 3.4, figure 3]. **Guided** gets the 68 landmarks as Gaussian pictures
# beside the crop. **Multitask** shares one hourglass and then splits: one for the landmarks' heat maps, one for the
# volume. In the paper's table Guided is the best of the three. Small ones of each kind come with this package
# (`load_vrn("vrn_guided_open")`); notebook 6 compares them.

# %%
ways = {
    "VRN": ["crop, 3", "stem", "hourglass", "hourglass", "head", "volume"],
    "Guided": ["crop, 71", "stem", "hourglass", "hourglass", "head", "volume"],
    "Multitask": ["crop, 3", "stem", "hourglass", "hourglass", "head", "volume"],
    "": ["", "", "", "hourglass", "head", "68 heat maps"],
}
figure, axis = plt.subplots(figsize=(8.6, 3), layout="constrained")
box = {"boxstyle": "round", "fc": "#dbe9f6", "ec": "#1f4e79"}
for row, (name, parts) in enumerate(ways.items()):
    axis.text(-0.75, -row, name, ha="right", va="center", weight="bold")
    for column, part in enumerate(parts):
        if part:
            axis.text(column, -row, part, ha="center", va="center", bbox=box, fontsize=9)
        if part and column and parts[column - 1]:
            axis.text(column - 0.52, -row, "→", ha="center", va="center")
axis.annotate("", (2.65, -2.95), (2.2, -2.2), arrowprops={"arrowstyle": "->"})
axis.set(xlim=(-1.7, 5.6), ylim=(-3.5, 0.5))
axis.set_axis_off()
alt = "Three chains of boxes: VRN; Guided with 71 input channels; Multitask, which forks after one."
picture(figure, alt=alt)

# %%
guided, multitask = VRNGuided(VRNConfig.reference()), VRNMultitask(VRNConfig.reference())
for name, one in [("VRN", reference), ("Guided", guided), ("Multitask", multitask)]:
    print(f"{name:10s}{count_parameters(one):>12,} parameters")
more = count_parameters(guided) - count_parameters(reference)
assert more == 68 * 64 * 7 * 7  # 68 input channels more for the first convolution, and nothing else

# %% [markdown]
# ## 10 · From logits to probabilities
#
# The network answers with logits $\ell$, any real number. A sigmoid makes each of them a probability:
# "is this voxel inside?" Seven million questions, each with its own answer.
#
# $$\sigma(\ell) = \frac{1}{1 + e^{-\ell}}, \qquad \text{softmax}_z(\ell) = \frac{e^{\ell_z}}{\sum_{z'} e^{\ell_{z'}}}$$
#
# > **Logit**: the logarithm of the odds, $\log \frac{p}{1 - p}$; 0 means one half.

# %% [markdown]
# ### Your turn: voxel_probabilities
#
# ●○○ 2 min, one line. Turn logits of shape (B, slices, H, W) into probabilities of the same shape. Think about which
# voxels may be solid at the same time.

# %% [markdown] help="voxel_probabilities"
# <details><summary>Hint</summary>
#
# One function of PyTorch, applied to each number alone.
# </details>
# <details><summary>Typical error</summary>
#
# `softmax(dim=1)`. It is right for *one class of many*; but in a solid, many slices of a column are true at once.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.architecture.voxel_probabilities`. `vrnlib.network.VRN` returns logits in training,
# because the loss is more stable on them (notebook 4).
# </details>

# %% exercise="voxel_probabilities"
def voxel_probabilities(logits: Tensor) -> Tensor:
    """(B, slices, H, W) logits → the probability of each voxel."""
    ### BEGIN SOLUTION
    return torch.sigmoid(logits)
    ### END SOLUTION

# %% check="voxel_probabilities"
check_voxel_probabilities(voxel_probabilities)

# %% [markdown]
# ## What goes wrong
#
# Our negative control is a softmax over depth, as in one published re-implementation. We give it perfect logits: +8 in
# the solid, −8 outside. The slices of a column share a sum of 1, so a thick column must be thin, or nothing.

# %% tags=["measured"]
solid = frontal_sample(7).volume()
logits = torch.from_numpy(np.where(solid, 8.0, -8.0).astype(np.float32))[None]
voxel_probabilities = yours_or_ours("voxel_probabilities", globals())
sigmoid, softmax = voxel_probabilities(logits)[0].numpy(), torch.softmax(logits, dim=1)[0].numpy()
figure, axes = plt.subplots(1, 2, figsize=(6.5, 2.6), layout="constrained", sharey=True)
for axis, values, name in [(axes[0], sigmoid, "sigmoid"), (axes[1], softmax, "softmax over depth")]:
    print(f"{name}: IoU with the truth {iou(values, solid):.2f}")
    axis.plot(values[:, 95, 95])
    axis.axhline(0.5, color="grey", lw=0.8)
    axis.set(title=name, xlabel="slice", ylabel="probability")
assert iou(sigmoid, solid) == 1 and iou(softmax, solid) < 0.05
picture(figure, alt="One column: the sigmoid is 1 throughout the solid, the softmax stays near 0.")

# %% [markdown] question="voxels_in_words" points=3
# ### In your own words
#
# ●●○ 10 min. VRN has no 3D convolution; its 200 slices are channels. In five to ten sentences: what does that save,
# what does it give up, and which experiment would tell whether it matters?
#
# <details><summary>What a good answer says</summary>
#
# - 1 point: saved are memory and work; the maps are 48 × 48 whatever the depth.
# - 1 point: given up is that neighbouring slices are neighbours; a shift in depth is learnt for each channel.
# - 1 point: an experiment with one change, the same data and the same measure, such as the IoU by yaw.
# </details>

# %% [markdown]
# ## Summary
#
# - VRN is a 2D network; depth lives in its 200 output channels.
# - One brick, the pre-activation bottleneck, builds nearly all of it: 19,184,968 parameters, counted by hand.
# - Where the inner hourglass sits changes no parameter, but the work and the view.
# - Voxels do not compete. The last step is a sigmoid.

#
# **Sources**
#
# 1. A. Jackson et al., *Large Pose 3D Face Reconstruction from a Single Image via Direct Volumetric CNN Regression*,
#    ICCV 2017.
# 2. A. Newell et al., *Stacked Hourglass Networks for Human Pose Estimation*, ECCV 2016.
# 3. K. He et al., *Identity Mappings in Deep Residual Networks*, ECCV 2016.
#
# {{links}}
