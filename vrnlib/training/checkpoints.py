"""What a training leaves in its folder: a checkpoint to go on from, a log, and the log's curve."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from tddfa.files import replacing, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vrnlib.training.loop import TrainingConfig

CHECKPOINT, LOG, WEIGHTS = "checkpoint.pt", "log.jsonl", "network.safetensors"
"""Names of the files."""

MOVABLE = ("report", "workers")
"""Settings that a resumed run may change: they do not change the result."""

Log = list[dict[str, Any]]
"""One line per report: "step", "loss" since the line before, and the held-out score by its name."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TrainingState:
    """What changes while a network is trained.

    Attributes:
        network: the weights that are trained.
        average: their exponential moving average.
        optimizer: with what it remembers of the gradients.
    """

    network: nn.Module
    average: AveragedModel
    optimizer: Optimizer

    def __repr__(self) -> str:
        return f"TrainingState({type(self.network).__name__}, {type(self.optimizer).__name__})"


def write_checkpoint(folder: Path, config: TrainingConfig, state: TrainingState, log: Log) -> None:
    """Write CHECKPOINT and LOG into a folder; each appears whole or not at all."""
    with replacing(folder / CHECKPOINT) as temporary:
        torch.save(
            {
                "config": asdict(config),
                "network": state.network.state_dict(),
                "average": state.average.state_dict(),
                "optimizer": state.optimizer.state_dict(),
                "log": log,
            },
            temporary,
        )
    write_bytes(folder / LOG, "".join(json.dumps(line) + "\n" for line in log).encode())


def read_checkpoint(path: Path, config: TrainingConfig, state: TrainingState) -> Log:
    """Fill the state from a checkpoint.

    Args:
        path: of the checkpoint.
        config: of the run, which must be that of the checkpoint, save for MOVABLE.
        state: to be filled, in place.

    Returns:
        The log so far; its last line names the step to go on from.

    Raises:
        ValueError: the file is damaged, or belongs to another configuration.
    """
    try:
        saved = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise ValueError(f"{path} cannot be read ({error}); delete the folder and train again") from error
    changed = [key for key, value in asdict(config).items() if key not in MOVABLE and saved["config"].get(key) != value]
    if changed:
        raise ValueError(f"{path} was made with other settings of {', '.join(changed)}; use those, or another folder")
    state.network.load_state_dict(saved["network"])
    state.average.load_state_dict(saved["average"])
    state.optimizer.load_state_dict(saved["optimizer"])
    return saved["log"]


def plot_log(log: Log, *, axes: Any = None) -> Figure:
    """Draw loss and held-out score over steps.

    Args:
        log: of a run; an empty one gives empty axes.
        axes: two of matplotlib's to draw into; default: those of a new figure.
    """
    import matplotlib.pyplot as plt

    figure, axes = (None, axes) if axes is not None else plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    steps = [line["step"] for line in log]
    score_name = next((key for key in (log[-1] if log else {}) if key not in ("step", "loss")), "score")
    for axis, key in zip(axes, ("loss", score_name), strict=True):
        axis.clear()
        axis.plot(steps, [line.get(key) for line in log], marker=".")
        axis.set(xlabel="step", ylabel=key.replace("_", " "))
        axis.grid(alpha=0.3)
    return figure or axes[0].figure
