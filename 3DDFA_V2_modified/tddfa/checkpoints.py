"""Reading weights: a .pth file of 3DDFA_V2 or a .safetensors file of this project, without running anything in it."""

from __future__ import annotations

import zipfile
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .assets import ASSETS, AssetError

__all__ = ["fill", "read_checkpoint"]

LARGEST = 2**30
"""Bytes of a checkpoint, packed or not; the largest of 3DDFA_V2 has 18 million."""


def read_checkpoint(path: str | PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, float32 on the CPU.

    A .pth may hold them directly or under "state_dict"; the prefix "module." of training on several GPUs is taken
    off. It is read with ``weights_only=True``: a pickle that asks for anything but tensors is refused and not run.

    Raises:
        AssetError: no such file, damaged, no checkpoint, or numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise AssetError(f"Expected weights at {path}, found no such file; {_advice(path)}.")
    if path.stat().st_size > LARGEST or _unpacked(path) > LARGEST:
        raise AssetError(f"Expected weights of up to {LARGEST:,} bytes, {path} holds more; {_advice(path)}.")
    if path.suffix.lower() == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, OSError) as error:
            raise AssetError(f"Expected a whole safetensors file, {path} is damaged; {_advice(path)}.") from error
    else:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged or hostile pickle can fail in any way
            raise AssetError(
                f"Expected a whole checkpoint with nothing but tensors, {path} is damaged or holds other things and "
                f"was not loaded; {_advice(path)}."
            ) from error
        tensors = content.get("state_dict", content) if isinstance(content, dict) else {}
    if not isinstance(tensors, dict) or not tensors or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise AssetError(f"Expected a dictionary of tensors, {path} holds something else; {_advice(path)}.")
    if any(value.layout != torch.strided or value.is_quantized or value.is_complex() for value in tensors.values()):
        raise AssetError(f"Expected plain tensors, {path} holds others; {_advice(path)}.")
    promised = sum(value.numel() * value.element_size() for value in tensors.values())
    if promised > path.stat().st_size:
        raise AssetError(
            f"Expected tensors that the file holds, {path} has {path.stat().st_size:,} bytes and promises "
            f"{promised:,}; {_advice(path)}."
        )
    wild = [name for name, value in tensors.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if wild:
        raise AssetError(f"Expected finite weights, {path} has NaN or infinity in {wild[0]}; {_advice(path)}.")
    return {
        str(name).removeprefix("module."): value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }


def _unpacked(path: Path) -> int:
    """Bytes of a zip file's entries, as .pth files are since torch 1.6; 0 for another file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return 0


def fill(network: nn.Module, tensors: dict[str, Tensor], name: str) -> nn.Module:
    """Put the tensors into the network, all of them and nothing else, and set it to evaluation.

    A network that was made on torch's device "meta" gets its memory here, once the tensors are known to fit: do so
    where a file says how large the network is.

    Raises:
        AssetError: the tensors belong to another architecture; the message names the first that does not fit.
    """
    wanted = network.state_dict()
    problems = [f"{key} is missing" for key in wanted if key not in tensors]
    problems += [f"{key} is not known" for key in tensors if key not in wanted]
    problems += [
        f"{key} is {tuple(tensors[key].shape)} instead of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    if problems:
        raise AssetError(
            f"Expected the weights of {type(network).__name__} in {name}, got another architecture's ({problems[0]}, "
            f"{len(problems)} differences in all); name the file that belongs to this network."
        )
    if any(value.is_meta for value in wanted.values()):
        network = network.to_empty(device="cpu")
    network.load_state_dict(tensors)
    return network.eval()


def _advice(path: Path) -> str:
    """Where to get a file of this name."""
    asset = ASSETS.get(path.name)
    if asset is not None and asset.url is not None:
        return f"fetch it again from {asset.url}"
    return "check the path, or fetch or train it again"
