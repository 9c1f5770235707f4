"""Where a training computes: device, precision, and several processes with one batch (Hugging Face Accelerate).

`accelerate launch` or torchrun start the processes; each works through its part of every batch, the gradients are
averaged, and batch normalisation takes its statistics over the whole batch. So two processes train as one does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn

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
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not tell
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
        with torch.autocast(batch[0].device.type, dtype=torch.bfloat16, enabled=self.bf16):
            return self.loss(self.network, batch)


class MeanOfProcesses(torch.autograd.Function):
    """A tensor's mean over the processes; the gradient's way back is the same."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        values = values / distributed.get_world_size()
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]  # one gradient
        return MeanOfProcesses.forward(context, gradient)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batch of all processes; `torch.nn.SyncBatchNorm` does it on GPUs only.

    Every process has an equal share. In evaluation it is `torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Tensor) -> Tensor:  # torch's own name
        if not self.training:
            return super().forward(input)
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        mean = MeanOfProcesses.apply(values.mean((0, 2, 3)))
        centred = values - mean[:, None, None]
        variance = MeanOfProcesses.apply(centred.square().mean((0, 2, 3)))
        count = distributed.get_world_size() * input.numel() / input.shape[1]
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        factor = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centred, factor[:, None, None]).to(input.dtype)


def share_statistics(network: nn.Module, device: torch.device) -> nn.Module:
    """Make batch normalisation look at the batches of all processes; keys and numbers stay the same."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm
    return network
