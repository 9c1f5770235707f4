"""Where a training computes: device, precision, and several processes with one batch (Hugging Face Accelerate).

`accelerate launch` or torchrun start the processes; each works through its part of every batch, the gradients are
averaged, and batch normalisation takes its statistics over the whole batch. So two processes train as one does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from vrnlib.training.batches import bfloat16
from vrnlib.training.config import TrainingConfig


def processes() -> int:
    """How many processes a launcher started for this training; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_shares(config: TrainingConfig) -> None:
    """Refuse a batch that the processes cannot share, before anything is made.

    Raises:
        ValueError: the batch is no multiple of what is computed at once.
    """
    shares = processes() * config.accumulate
    if config.batch % shares:
        raise ValueError(
            f"Expected a batch that is a multiple of {shares} (processes times accumulate), got {config.batch}."
        )


def start_engine(config: TrainingConfig) -> Accelerator:
    """The device and the processes, as the configuration and the launcher say.

    Raises:
        ValueError: a GPU or a precision that is not there, or a batch that cannot be shared.
    """
    check_shares(config)
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("Expected a GPU for device cuda, PyTorch sees none; install its CUDA build, or choose cpu.")
    on_cpu = config.device == "cpu" or not torch.cuda.is_available()
    if not on_cpu:
        use_bf16(config, torch.device("cuda"))
    return Accelerator(cpu=on_cpu, gradient_accumulation_steps=config.accumulate)


def use_bf16(config: TrainingConfig, device: torch.device) -> bool:
    """Whether to compute in bfloat16 on this device.

    Raises:
        ValueError: it was asked for, and the hardware would only imitate it.
    """
    has_it = config.precision != "float32" and bf16_is_fast(device)
    if config.precision == "bf16" and not has_it:
        raise ValueError(
            f"Expected a {device.type} that computes in bfloat16 (avx512_bf16, AMX, or a GPU from Ampere on), this "
            "one does not; choose precision float32."
        )
    return has_it


def bf16_is_fast(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not tell
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


class Objective(nn.Module):
    """A loss as a module, so that the gradients of whatever it calls of the network are averaged.

    Args:
        network: to be trained.
        loss: of the network and a batch.
        bf16: whether to compute in bfloat16 what tolerates it.
    """

    def __init__(self, network: nn.Module, loss: Callable[[Any, list[Tensor]], Tensor], *, bf16: bool) -> None:
        super().__init__()
        self.network, self.loss, self.bf16 = network, loss, bf16

    def forward(self, batch: list[Tensor]) -> Tensor:
        with bfloat16(batch[0].device, enabled=self.bf16):
            return self.loss(self.network, batch)


class NormalizeOverProcesses(torch.autograd.Function):
    """Batch normalisation over the parts of a batch that the processes hold, all of one size.

    Source: S. Ioffe and C. Szegedy, "Batch Normalization", ICML 2015, algorithm 1 and the gradients after it; a mean
    over the batch is the mean of the processes' means.
    """

    @staticmethod
    def forward(
        context: Any, values: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        unused = torch.zeros_like(weight), torch.zeros_like(weight)  # whose type the statistics get
        own_mean, own_variance = (part.double() for part in torch.batch_norm_update_stats(values, *unused, 0.0))
        mean, square = mean_of_processes(torch.stack([own_mean, own_variance + own_mean.square()]))
        mean, variance = mean.to(weight.dtype), (square - mean.square()).to(weight.dtype)
        context.save_for_backward(values, weight, mean, variance)
        context.eps = eps
        context.mark_non_differentiable(mean, variance)
        return F.batch_norm(values, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        values, weight, mean, variance = context.saved_tensors
        # sums over this process's part: of the gradient times the normalised values, and of the gradient
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, values, weight, mean, variance, None, None, False, context.eps, [False, True, True]
        )
        count = values.numel() / values.shape[1]
        sums = mean_of_processes(torch.stack([of_weight, of_bias]) / count)
        scale = torch.rsqrt(variance + context.eps)
        slope = -weight * scale.square() * sums[0]
        offset = -weight * scale * sums[1] - slope * mean
        factor, slope, offset = (part.to(values.dtype)[:, None, None] for part in (weight * scale, slope, offset))
        return torch.addcmul(offset, gradient, factor).addcmul_(values, slope), of_weight, of_bias, None


def mean_of_processes(values: Tensor) -> Tensor:
    """The mean over all processes."""
    values = values / distributed.get_world_size()
    distributed.all_reduce(values)
    return values


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batch of all processes; `torch.nn.SyncBatchNorm` does it on GPUs only.

    In evaluation it is `torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Tensor) -> Tensor:  # torch's own name
        if not self.training:
            return super().forward(input)
        parts = NormalizeOverProcesses.apply(input, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        output, mean, variance = parts
        count = distributed.get_world_size() * input.numel() / input.shape[1]
        with torch.no_grad():
            if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(mean, self.momentum or 0.1)
                self.running_var.lerp_(variance * count / (count - 1), self.momentum or 0.1)
        return cast(Tensor, output)


def share_statistics(network: nn.Module, device: torch.device) -> nn.Module:
    """Make batch normalisation look at the batches of all processes; keys and numbers stay the same."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm
    return network
