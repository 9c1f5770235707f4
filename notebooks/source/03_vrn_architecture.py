# ---
# jupyter:
#   workbook: {minutes_cpu: 35, minutes_t4: 35, memory_gb: 2, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 3 · The network
#
# VRN has no 3D layer. A stack of 2D *hourglasses* reads the crop, and its 200 output channels are the 200 slices of
# the volume. You build its only brick, count all its parameters, and see why its last step is a sigmoid.

# %% [markdown]
# **You will be able to**
#
# - count the parameters of a convolution,
# - write the pre-activation bottleneck that the whole network is made of,
# - follow a feature map through an hourglass,
# - explain why each voxel is a question of its own.

# %% [markdown]
# {{prerequisites}}
#
# You need to have written a `torch.nn.Module` once.

# %% tags=["setup"]

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

from vrnlib.checks import yours_or_ours
from vrnlib.checks.architecture import check_convolution_parameters, check_residual, check_voxel_probabilities
from vrnlib.metrics import iou
from vrnlib.hourglass import Hourglass
from vrnlib.network import VRN, VRNConfig, count_parameters
from vrnlib.notebook import frontal_sample, picture

# %% [markdown]
# ## 1 · The way of a picture
#
# The crop is 192 pixels wide. A 7×7 convolution of stride 2 and one pooling step bring it to 48 × 48; there the work
# is done. The last convolution has 200 channels, and a bilinear ×4 brings them back to 192 × 192.

# %%
torch.manual_seed(0)
small = VRN(VRNConfig(resize=None)).eval()
steps: list[str] = []
for name, module in [("stem", small.trunk.stem), ("trunk", small.trunk), ("head", small.head), ("VRN", small)]:
    module.register_forward_hook(lambda _, x, y, name=name: steps.append(f"{name:6s} {tuple(y.shape)}"))
with torch.inference_mode():
    output = small(torch.rand(1, 3, 192, 192))
print("\n".join(steps))
assert output.shape == (1, 200, 192, 192)

# %% [markdown]
# ## 2 · Counting
#
# Reading a network means counting it. If the count is right, no layer is missing and none has another width. So we
# start with the smallest piece: one convolution.

# %% [markdown]
# ### Your turn: convolution_parameters
#
# ●○○ 3 min. Each output channel looks at `kernel × kernel` places in *all* input channels and adds one bias.

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
# The cell below is `vrnlib.checks.architecture.convolution_parameters`; behind it PyTorch's own layer is counted.
# </details>

# %% exercise="convolution_parameters"
def convolution_parameters(inputs: int, outputs: int, kernel: int) -> int:
    """Number of parameters of a kernel × kernel convolution with a bias."""
    ### BEGIN SOLUTION
    return outputs * (inputs * kernel * kernel + 1)
    ### END SOLUTION

# %% check="convolution_parameters"
check_convolution_parameters(convolution_parameters)

# %%
convolution_parameters = yours_or_ours("convolution_parameters", globals())
assert convolution_parameters(3, 64, 7) == count_parameters(nn.Conv2d(3, 64, 7))

# %% [markdown]
# ## 3 · The brick: a pre-activation bottleneck
#
# Three convolutions: 1×1 to half of the output channels, 3×3, 1×1 to all of them. *Pre-activation* means that batch
# norm and ReLU stand before each convolution. The input is added at the end; where the channels change, a 1×1
# convolution fits it.

# %% [markdown]
# ### Your turn: ResidualBlock
#
# ●●○ 12 min. Write the module. Use `nn.Sequential` for the branch and `nn.Identity()` for a skip that needs nothing.

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
    """BN-ReLU-1×1, BN-ReLU-3×3, BN-ReLU-1×1, plus the input; (B, inputs, H, W) → (B, outputs, H, W)."""

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

# %%
ResidualBlock = yours_or_ours("ResidualBlock", globals())
print(f"64 → 128 channels: {count_parameters(ResidualBlock(64, 128)):,} parameters")

# %% [markdown]
# ## 4 · The hourglass
#
# A nose is local, the pose is not. An hourglass sees both: it halves the map again and again, works on each size, and
# adds the results on the way back up. On each level a *skip* keeps the detail.

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
# How far does one output cell see? The gradient of a single voxel with respect to the input tells: where it is not
# zero, the pixel matters. With four levels the answer is: nearly everywhere.

# %% tags=["measured"]
image = torch.rand(1, 3, 192, 192, requires_grad=True)
small.lattice_logits(image)[0, 100, 24, 24].backward()
influence = image.grad.abs().sum(dim=1)[0].numpy()
seen = (influence > 0).mean()
print(f"one voxel depends on {seen:.0%} of the crop's pixels")
assert seen > 0.9
figure, axis = plt.subplots(figsize=(3.4, 3), layout="constrained")
axis.imshow(np.log10(influence + 1e-12), cmap="magma")
axis.set(title="influence on one voxel (log)")
picture(figure, alt="A map of the crop: brightest around the voxel in the middle, dark but not black far off.")

# %% [markdown]
# ## 5 · The released network, counted
#
# The configuration of the authors' network: 64 channels in the stem, 256 in two hourglasses of depth 4, three
# Residuals per step. Its count is known exactly, so ours can be checked to the last parameter.

# %%
reference = VRN(VRNConfig.reference()).eval()
parts = {"stem": reference.trunk.stem, "head": reference.head}
parts |= {f"hourglass {i + 1}": stage for i, stage in enumerate(reference.trunk.hourglasses)}
for name, part in parts.items():
    print(f"{name:12s}{count_parameters(part):>12,}")
print(f"{'all':12s}{count_parameters(reference):>12,}")
assert count_parameters(reference) == 19_184_968
assert sum(count_parameters(part) for part in parts.values()) == 19_184_968

# %%
with torch.inference_mode():
    volume = reference(torch.rand(1, 3, 192, 192))
assert volume.shape == (1, 200, 192, 192)
stem = convolution_parameters(3, 64, 7) + 2 * 64  # and its batch norm
stem += sum(count_parameters(ResidualBlock(a, b)) for a, b in [(64, 128), (128, 128), (128, 256)])
print(f"stem from your own bricks: {stem:,}")
assert stem == count_parameters(reference.trunk.stem)

# %% [markdown]
# ## 6 · From logits to probabilities
#
# The network answers with *logits*, one per voxel, any real number. A sigmoid makes each of them a probability:
# "is this voxel inside?" Seven million questions, each with its own answer.

# %% [markdown]
# ### Your turn: voxel_probabilities
#
# ●○○ 2 min. Turn logits of shape (B, slices, H, W) into probabilities of the same shape. Think about which voxels may
# be solid at the same time.

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
sigmoid = voxel_probabilities(logits)[0].numpy()
softmax = torch.softmax(logits, dim=1)[0].numpy()
print(f"IoU with the truth: sigmoid {iou(sigmoid, solid):.2f}, softmax {iou(softmax, solid):.2f}")
print(f"largest probability in the middle column: sigmoid {sigmoid[:, 95, 95].max():.2f}", end=", ")
print(f"softmax {softmax[:, 95, 95].max():.2f}")
assert iou(sigmoid, solid) == 1 and iou(softmax, solid) < 0.05

# %%
figure, axes = plt.subplots(1, 2, figsize=(6.5, 2.6), layout="constrained", sharey=True)
for axis, values, name in [(axes[0], sigmoid, "sigmoid"), (axes[1], softmax, "softmax over depth")]:
    axis.plot(values[:, 95, 95])
    axis.axhline(0.5, color="grey", lw=0.8)
    axis.set(title=name, xlabel="slice", ylabel="probability")
picture(figure, alt="One column: the sigmoid is 1 throughout the solid, the softmax stays near 0 everywhere.")

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
# - One brick, the pre-activation bottleneck, builds nearly all of it.
# - The reference has exactly 19,184,968 parameters, and yours fit into it.
# - Voxels do not compete. The last step is a sigmoid.
#
# {{links}}
