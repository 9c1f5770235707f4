"""Files of weights: safetensors with a header that says which network they fill and how it was trained.

The paper's released VRN, converted to a PyTorch state dict (.pth), is read too, see `load_network`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tddfa.checkpoints import fill, read_checkpoint
from tddfa.files import is_address, write_bytes
from vrnlib.network import (
    FAN,
    VRN,
    FANConfig,
    VRNConfig,
    VRNGuided,
    VRNMultitask,
    load_reference_state_dict,
)

AnyVRN = VRN | VRNGuided | VRNMultitask
Network = TypeVar("Network", VRN, VRNGuided, VRNMultitask, FAN)

WEIGHTS = Path(__file__).parent / "weights"
"""The folder of this package's own weights."""

OPEN_VRNS = ("vrn_open", "vrn_guided_open", "vrn_multitask_open")
"""Names of the package's VRNs, the paper's three; the first is the one that is used where none is named."""

LARGEST = {"hourglasses": 8, "depth": 6, "residuals": 8}
LARGEST_OF_OTHERS = 1024
"""What a file may ask for in its configuration. The released VRN has 2, 4 and 3, and 256 features."""

CONFIGS: dict[str, type[VRNConfig] | type[FANConfig]] = {
    "VRN": VRNConfig,
    "VRNGuided": VRNConfig,
    "VRNMultitask": VRNConfig,
    "FAN": FANConfig,
}
"""The networks that a file may hold, by the names of their classes."""

RELEASED = (".pth", ".pt", ".tar")
"""Endings of the released VRN's state dict."""


def half_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The state dict with floating-point tensors as float16; one with numbers beyond its range keeps its own type.

    Raises:
        ValueError: a number is not finite at all.
    """

    def smaller(name: str, value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} is not finite; go on from an earlier checkpoint with a lower rate")
        half = value.half()
        return half if torch.isfinite(half).all() else value

    return {name: smaller(name, value).contiguous() for name, value in network.state_dict().items()}


def save_tensors(path: str | Path, tensors: dict[str, Tensor], key: str, header: dict[str, Any]) -> None:
    """One safetensors file with the header as JSON under ``key``. The file appears whole or not at all."""
    tensors = {name: value.cpu() for name, value in tensors.items()}
    write_bytes(path, save(tensors, metadata={key: json.dumps(header, sort_keys=True)}))


def save_network(path: str | Path, network: AnyVRN | FAN, *, notes: dict[str, Any] | None = None) -> None:
    """Write a network's weights, its configuration and free notes into one safetensors file.

    The file appears whole or not at all.

    Args:
        path: of the new file; an older one is replaced.
        network: its floating-point tensors are stored as `half_tensors` gives them.
        notes: whatever JSON can hold; `read_header` gives it back.

    Raises:
        ValueError: a number is not finite.
    """
    header = {"class": type(network).__name__, "config": asdict(network.config), "notes": notes or {}}
    save_tensors(path, half_tensors(network), "vrn", header)


def weights_path(name: str | Path) -> Path:
    """Where weights lie: names such as "vrn_open" are the package's own, anything else is a file's path.

    Raises:
        FileNotFoundError: there is no such file.
    """
    packaged = WEIGHTS / f"{name}.safetensors"
    path = packaged if packaged.exists() else Path(name)
    if not path.is_file():
        if is_address(path):
            raise FileNotFoundError(f"Expected a file of weights, {path} is an address; download it and name the file.")
        known = sorted(file.stem for file in WEIGHTS.glob("*.safetensors"))
        raise FileNotFoundError(f"no weights at {path}; give a .safetensors or .pth file or one of {known}")
    return path


def read_header(name: str | Path) -> dict[str, Any]:
    """The header that `save_network` wrote: class, config and notes.

    Args:
        name: as for `load_network`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged or of another kind.

    >>> read_header("fan_open")["config"]["features"]
    64
    """
    path = weights_path(name)
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("vrn")
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no whole safetensors file ({error}); fetch or train it again") from error
    try:
        content = json.loads(header or "")
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not {"class", "config"} <= content.keys():
        raise ValueError(f"{path} has no VRN header; it was not written by vrnlib.weight_files.save_network")
    return content


@overload
def load_network(name: str | Path) -> AnyVRN | FAN: ...
@overload
def load_network(name: str | Path, kind: type[Network]) -> Network: ...
def load_network(name: str | Path, kind: type[nn.Module] | None = None) -> nn.Module:
    """Build the network that a weights file describes and fill it; returned in evaluation mode, float32.

    A .pth file is taken for the paper's released VRN as a state dict (`load_reference_state_dict`); it is read without
    running anything in it. As released, its batch normalisations use their running statistics.

    Args:
        name: one of `OPEN_VRNS` or "fan_open" for the weights of this package, or the path of a .safetensors or .pth
            file.
        kind: the class, where only one will do.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, too large, of another kind or not finite; one sentence.

    >>> load_network("vrn_open").config == VRNConfig.open()
    True
    """
    path = weights_path(name)
    released = path.suffix.lower() in RELEASED
    header = {"class": "VRN"} if released else read_header(path)
    if kind is not None and header["class"] != kind.__name__:
        raise ValueError(f"Expected the weights of a {kind.__name__}, {path} holds a {header['class']}; name another.")
    if released:
        return load_reference_state_dict(VRN(VRNConfig.reference()), read_checkpoint(path))
    config = _config(header, path)
    with torch.device("meta"):  # no memory until `fill` has compared all sizes with the tensors of the file
        network = _built(header["class"], config)
    return fill(network, read_checkpoint(path), path.name)


def load_vrn(name: str | Path) -> AnyVRN:
    """`load_network` for a VRN of any kind: unguided, guided or multitask.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: as `load_network`, and for the weights of a FAN.
    """
    network = load_network(name)
    if isinstance(network, FAN):
        raise ValueError(f"Expected the weights of a VRN, {weights_path(name)} holds a FAN; name another.")
    return network


def _built(kind: str, config: VRNConfig | FANConfig) -> nn.Module:
    """An empty network of one of CONFIGS."""
    if isinstance(config, FANConfig):
        return FAN(config)
    return {"VRN": VRN, "VRNGuided": VRNGuided, "VRNMultitask": VRNMultitask}[kind](config)


def _config(header: dict[str, Any], path: Path) -> VRNConfig | FANConfig:
    """The configuration of a header. Raises ValueError for unknown names and for numbers that nobody needs."""
    kind, said = header["class"], header["config"]
    if not isinstance(kind, str) or kind not in CONFIGS:
        raise ValueError(f"{path} holds a {str(kind)[:40]!r}; this version knows {', '.join(CONFIGS)}")
    known = {one.name for one in fields(CONFIGS[kind])}
    for name, value in said.items() if isinstance(said, dict) else [("config", said)]:
        if name == "nesting":
            right = value in ("pooled", "skip")
        else:
            whole = type(value) is int and 1 <= value <= LARGEST.get(name, LARGEST_OF_OTHERS)
            right = name in known and (whole or (name == "resize" and value is None))
        if not right:
            raise ValueError(
                f"Expected a network of sensible size, {path} asks for {name} = {str(value)[:40]}; get the file again."
            )
    return CONFIGS[kind](**said)
