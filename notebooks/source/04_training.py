# ---
# jupyter:
#   workbook: {minutes_cpu: 35, minutes_t4: 30, memory_gb: 2, download_mb: 0}
# ---

# %% [markdown]
# {{badge}}
#
# # 4 · Training
#
# Rendered faces come with exact solids, and there is no end of them. You write the loss, the score and one step of the
# optimiser, train a tiny VRN in front of your eyes, and then read the curve of the real run.

# %% [markdown]
# **You will be able to**
#
# - write the cross-entropy of voxels so that it never overflows,
# - say why IoU and not accuracy measures a solid,
# - explain what RMSProp divides by,
# - watch a training and tell whether it learns.

# %% [markdown]
# {{prerequisites}}
#
# You need notebook 3, and the idea of gradient descent.

# %% tags=["setup"]

# %%
import tempfile
from pathlib import Path
import numpy as np
import torch
from IPython.display import clear_output, display
from torch import Tensor

from vrnlib.checks import yours_or_ours
from vrnlib.checks.training import check_cross_entropy, check_intersection_over_union, check_rmsprop_step
from vrnlib.training.augment import Augmentation
from vrnlib.training.data import RenderedFaces
from vrnlib.network import VRN, VRNConfig, count_parameters
from vrnlib.weight_files import read_header
from vrnlib.notebook import picture
from vrnlib.show import picture_grid
from vrnlib.training.checkpoints import plot_log
from vrnlib.training.loop import TrainingConfig, fit
from vrnlib.training.vrn import VolumePairs, volume_iou, vrn_task

torch.set_num_threads(1)  # so that numbers repeat on every machine

# %% [markdown]
# ## 1 · Pairs without end
#
# A pair is a crop and its solid. The pair number i of seed s is always the same, so a training set is two numbers. The
# recipe of the paper turns, shifts, scales, mirrors and recolours each pair; the solid moves along, exactly.

# %%
folder = tempfile.TemporaryDirectory()
faces = RenderedFaces(folder.name, seed=21, count=20)
augmented = VolumePairs(faces, augmentation=Augmentation(), seed=0, step=4)
pictures = []
for epoch in range(4):
    image, solid = augmented[5, epoch]
    outline = np.repeat((solid.sum(0) > 0).numpy().astype(np.uint8) * 255, 4, axis=0).repeat(4, axis=1)
    picture_ = image.numpy().transpose(1, 2, 0)
    pictures += [picture_, np.repeat(outline[..., None], 3, axis=2)]
titles = [f"{what}, epoch {epoch}" for epoch in range(4) for what in ("crop", "solid")]
alt = "One rendered face four times, turned, shifted and recoloured; the outline of its solid moves along."
picture(picture_grid(pictures, titles), alt=alt)

# %% tags=["measured"]
print("image ", tuple(image.shape), image.dtype)
print("target", tuple(solid.shape), solid.dtype, "- the network's own lattice, one cell per 4 pixels")
assert image.shape == (3, 192, 192) and solid.shape == (200, 48, 48)
share = np.mean([augmented[i][1].float().mean() for i in range(8)])
print(f"solid voxels: {share:.0%}")
assert 0.04 < share < 0.12

# %% [markdown]
# ## 2 · The loss
#
# For each voxel: −log of the probability that the network gave to the truth. With p = sigmoid(x) this is
# max(x, 0) − x·y + log(1 + e^(−|x|)). The obvious formula breaks as soon as the network is sure of itself.

# %%
x, y = torch.tensor([200.0, -200.0]), torch.tensor([0.0, 1.0])  # sure, and wrong
p = torch.sigmoid(x)
obvious = -(y * torch.log(p) + (1 - y) * torch.log(1 - p))
print("obvious formula:", obvious.tolist(), "- no gradient comes out of infinity")
assert torch.isinf(obvious).any()

# %% [markdown]
# ### Your turn: cross_entropy_from_logits
#
# ●●○ 8 min. Write the stable formula and take the mean over all voxels. `torch.log1p` is log(1 + ·) without loss.

# %% [markdown] help="cross_entropy_from_logits"
# <details><summary>Hint</summary>
#
# `logits.clamp(min=0)` is max(x, 0). The exponent is never positive, so it cannot overflow.
# </details>
# <details><summary>Typical error</summary>
#
# The sum instead of the mean. Then a larger volume needs a smaller learning rate.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.training.cross_entropy_from_logits`. `vrnlib.training.vrn.voxel_loss` calls PyTorch's
# `torch.nn.functional.binary_cross_entropy_with_logits` instead, because that is the same and well tested.
# </details>

# %% exercise="cross_entropy_from_logits"
def cross_entropy_from_logits(logits: Tensor, solid: Tensor) -> Tensor:
    """Mean sigmoid cross-entropy; finite for any logit."""
    ### BEGIN SOLUTION
    return (logits.clamp(min=0) - logits * solid + torch.log1p(torch.exp(-logits.abs()))).mean()
    ### END SOLUTION

# %% check="cross_entropy_from_logits" points=2
check_cross_entropy(cross_entropy_from_logits)

# %%
cross_entropy_from_logits = yours_or_ours("cross_entropy_from_logits", globals())
print(f"the two sure mistakes cost {cross_entropy_from_logits(x, y):.0f} on average")

# %% [markdown]
# ## 3 · The score
#
# Nine voxels of ten are empty. An answer that is empty everywhere is right nine times of ten, and worthless. The
# *intersection over union* of both solids does not count what both call empty.

# %% [markdown]
# ### Your turn: intersection_over_union
#
# ●○○ 5 min. The predicted solid is where the logit is above 0 (why 0?). Return one number.

# %% [markdown] help="intersection_over_union"
# <details><summary>Hint</summary>
#
# `&` and `|` work voxel by voxel on bool tensors.
# </details>
# <details><summary>Typical error</summary>
#
# `logits > 0.5`. A probability of 0.5 is a logit of 0.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.training.intersection_over_union`. `vrnlib.training.vrn.volume_iou` is another,
# because it answers for each item of a batch.
# </details>

# %% exercise="intersection_over_union"
def intersection_over_union(logits: Tensor, solid: Tensor) -> Tensor:
    """IoU of {logit > 0} and the solid."""
    ### BEGIN SOLUTION
    predicted, solid = logits > 0, solid > 0.5
    return (predicted & solid).sum() / (predicted | solid).sum()
    ### END SOLUTION

# %% check="intersection_over_union"
check_intersection_over_union(intersection_over_union)

# %%
assert torch.sigmoid(torch.tensor(0.0)) == 0.5  # that is why

# %% [markdown]
# ## 4 · The step
#
# RMSProp remembers how large the gradients of each weight usually are, and divides by that. Weights with small
# gradients then move as fast as weights with large ones.

# %% [markdown]
# ### Your turn: rmsprop_step
#
# ●●○ 8 min. First update the running mean of squared gradients: `alpha` of the old one, 1 − `alpha` of the new square.
# Then move the weight against the gradient, divided by the root of that mean plus 1e-8.

# %% [markdown] help="rmsprop_step"
# <details><summary>Hint</summary>
#
# `square` is a tensor like `weight`: each weight has a memory of its own.
# </details>
# <details><summary>Typical error</summary>
#
# Dividing by the mean square itself. Its root has the gradient's unit, so that the step has the unit of `rate`.
# </details>
# <details><summary>Solution</summary>
#
# The cell below is `vrnlib.checks.training.rmsprop_step`. The library takes `torch.optim.RMSprop`, because that keeps
# the memory of all weights.
# </details>

# %% exercise="rmsprop_step"
def rmsprop_step(
    weight: Tensor, gradient: Tensor, square: Tensor, rate: float, alpha: float = 0.99
) -> tuple[Tensor, Tensor]:
    """→ the new weight and the new running mean of squared gradients."""
    ### BEGIN SOLUTION
    square = alpha * square + (1 - alpha) * gradient**2
    return weight - rate * gradient / (square.sqrt() + 1e-8), square
    ### END SOLUTION

# %% check="rmsprop_step"
check_rmsprop_step(rmsprop_step)

# %%
rmsprop_step = yours_or_ours("rmsprop_step", globals())
weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
optimizer = torch.optim.RMSprop([weight], lr=0.1, alpha=0.99)
weight.grad = torch.tensor([3.0, 0.001])
expected, _ = rmsprop_step(weight.detach(), weight.grad, torch.zeros(2), 0.1)
optimizer.step()
assert torch.allclose(weight.detach(), expected, atol=1e-4)
moved = (weight.detach() - torch.tensor([1.0, -2.0])).abs()
print(f"your step and PyTorch's agree; the weights moved by {moved[0]:.2f} and {moved[1]:.2f}")

# %% [markdown]
# ## 5 · A tiny VRN learns
#
# A network of 38 thousand weights, 20 faces, crops of 128 pixels, less than a minute. The curve grows while it trains.
# It soon knows where heads are; telling faces apart takes longer (section 6).

# %%
config = VRNConfig(stem=8, features=24, hourglasses=1, depth=3, residuals=1)
torch.manual_seed(0)
tiny = VRN(config)
others = RenderedFaces(folder.name, seed=22, count=8)  # never trained on
plain = Augmentation.none()
pairs, held_out = (VolumePairs(some, augmentation=plain, seed=0, size=128) for some in (faces, others))
task = vrn_task(tiny, pairs, held_out, step=4, notes={})
print(f"{count_parameters(tiny):,} parameters")
assert count_parameters(tiny) < 50_000

# %% tags=["live"]
def live(log: list[dict]) -> None:
    clear_output(wait=True)
    display(picture(plot_log(log), alt="Loss and held-out IoU of the tiny training, over its steps."))


schedule = TrainingConfig(steps=60, batch=4, rate=1e-2, warmup=5, report=10, workers=0, averaging=0.9)
runs = tempfile.TemporaryDirectory()
trained = fit(task, schedule, runs.name, progress=False, on_report=live)

# %% tags=["measured"]
log = read_header(Path(runs.name, "network.safetensors"))["notes"]["log"]
print(f"loss {log[0]['loss']:.2f} → {log[-1]['loss']:.2f}, held-out IoU {log[-1]['held_out_iou']:.2f} after 60 steps")
assert log[-1]["loss"] < 0.75 * log[0]["loss"]  # the IoU of so short a run differs from processor to processor

# %% [markdown]
# ## 6 · The real run
#
# The weights in this repository were trained in the same way: more faces, all augmentations, a wider network, hours
# instead of seconds. The file carries the log of its training.

# %%
header = read_header("vrn_open")
log = header["notes"]["log"]
print("network:", header["config"])
print(f"steps: {log[-1]['step']:,}, held-out IoU: {log[-1]['held_out_iou']:.3f}")
assert log[-1]["held_out_iou"] > log[0]["held_out_iou"]
picture(plot_log(log), alt="Loss and held-out IoU of the real training: the loss falls, the IoU rises and levels off.")

# %% [markdown]
# ## What goes wrong
#
# Two negative controls. First: judged by accuracy, an *empty* answer looks excellent. Second: an answer that ignores
# the photo, the mean of all training solids, has a respectable IoU. A network must beat it, or it has learnt nothing.

# %% tags=["measured"]
known = torch.stack([pairs[i][1] for i in range(20)]).float()
unseen = torch.stack([held_out[i][1] for i in range(8)]).float()
empty = torch.full_like(unseen, -1.0)
accuracy = ((empty > 0) == (unseen > 0.5)).float().mean()
print(f"empty answer: accuracy {accuracy:.2f}, IoU {volume_iou(empty, unseen).mean():.2f}")
mean = (known.mean(0) - 0.5).expand(8, -1, -1, -1)
guess = volume_iou(mean, unseen).mean().item()
print(f"mean solid:   IoU {guess:.2f}; the real run ends at {log[-1]['held_out_iou']:.2f}")
assert accuracy > 0.85 and guess < log[-1]["held_out_iou"]

# %% [markdown] question="scores_in_words" points=3
# ### In your own words
#
# ●●○ 10 min. A paper reports "voxel accuracy 96 %". In five to ten sentences: why does that say little, what would you
# ask the authors for, and with what would you compare it?
#
# <details><summary>What a good answer says</summary>
#
# - 1 point: nine voxels of ten are empty, so that an empty answer has about 90 %.
# - 1 point: asked for is the IoU, or a distance of surfaces, on faces that were not trained on.
# - 1 point: compared with a guess, such as the mean solid, on the same faces.
# </details>

# %% [markdown]
# ## Summary
#
# - Rendered pairs are exact, endless, and named by two numbers.
# - The loss is taken from logits, in a form that cannot overflow.
# - IoU measures a solid; accuracy does not.
# - A score means something only next to the score of a guess.
#
# {{links}}
