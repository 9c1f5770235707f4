"""Running a network, by torch or by ONNX Runtime, from NumPy arrays to NumPy arrays."""

from __future__ import annotations

import copy
import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .assets import cache_folder
from .console import Note
from .files import file_sha256, read_file, write_bytes

__all__ = ["fold_batch_norms", "limited_to", "load_onnxruntime", "make_runner"]

Runner = Callable[[np.ndarray], tuple[np.ndarray, ...]]
"""Takes a batch (B, 3, H, W) float32 and gives the network's outputs."""


def make_runner(
    network: nn.Module,
    *,
    name: str,
    example: tuple[int, int, int],
    runtime: str,
    threads: int | None = None,
    any_size: bool = False,
) -> Runner:
    """A function that runs the network.

    Args:
        network: in evaluation mode; takes (B, 3, H, W) and gives a tensor or a tuple of tensors.
        name: beginning of the exported file's name.
        example: (3, H, W), an input size for the export.
        runtime: "torch" or "onnx".
        threads: how many it may use, or None for its own choice.
        any_size: whether it must also take other heights and widths than the example's, which must then be so large
            that no layer's output is a single pixel.

    Raises:
        ValueError: an unknown runtime, or fewer than one thread.
        OSError: the exported network can be written neither into the cache nor into a temporary folder.
    """
    if runtime not in ("torch", "onnx"):
        raise ValueError(f"Expected the runtime torch or onnx, got {runtime!r}; choose one of the two.")
    if threads is not None and threads < 1:
        raise ValueError(f"Expected at least one thread, got {threads}; leave it out for the runtime's own choice.")
    if runtime == "torch":
        return _torch_runner(network, threads)
    exported = _exported(network, name, example, any_size)
    try:
        return _onnx_runner(exported, threads)
    except Exception:  # of many kinds: the file in the cache is none that this ONNX Runtime reads
        if isinstance(exported, bytes):
            raise
        exported.unlink()
    return _onnx_runner(_exported(network, name, example, any_size), threads)


def load_onnxruntime() -> Any:
    """The package ``onnxruntime``, which is told before it starts that it must report nothing to its makers.

    Recent releases send them what it runs, under a number for this machine that they keep in the user's cache. An
    ``ORT_DISABLE_TELEMETRY`` that is set already stays as it is.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """A copy for evaluation in which every batch normalisation is folded into the convolution before it.

    Convolution and normalisation must be registered one after the other, as in all networks of this package.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        children = list(module.named_children())
        for (first, conv), (second, norm) in zip(children, children[1:], strict=False):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity())
    return network


def _torch_runner(network: nn.Module, threads: int | None) -> Runner:
    """By torch: normalisations folded, channels last in memory, no gradients."""
    network = fold_batch_norms(network).requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.inference_mode(), limited_to(threads):
            outputs = network(torch.from_numpy(batch).contiguous(memory_format=torch.channels_last))
        return tuple(output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,)))

    return run


@contextmanager
def limited_to(threads: int | None) -> Iterator[None]:
    """Torch with so many threads inside, as before outside."""
    before = torch.get_num_threads()
    if threads is None or threads == before:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _onnx_runner(exported: Path | bytes, threads: int | None) -> Runner:
    """By ONNX Runtime on the CPU."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.force_spinning_stop", "1")  # else it slows the next network down
    model = exported if isinstance(exported, bytes) else str(exported)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda batch: tuple(session.run(None, {"input": np.ascontiguousarray(batch)}))


def _exported(network: nn.Module, name: str, example: tuple[int, int, int], any_size: bool) -> Path | bytes:
    """The network's ONNX file in the user's cache, written when it is not there yet; its bytes where it cannot be kept.

    The weights' hash is part of the file's name: other weights give another file, as does another set of operators.
    Its own hash lies beside it, so that a damaged one is written anew.
    """
    from .onnx_writer import OPSET, write_onnx

    digest = hashlib.sha256(f"tddfa.onnx_writer, opset {OPSET}".encode())
    for key, value in network.state_dict().items():
        digest.update(key.encode() + value.numpy().tobytes())
    path = cache_folder() / "onnx" / f"{name}-{digest.hexdigest()[:16]}.onnx"
    mark = path.with_suffix(".sha256")
    if not _is_whole(path, mark):
        try:
            write_onnx(network, path, example=example, any_size=any_size)
            write_bytes(mark, file_sha256(path).encode("ascii"))
        except OSError as error:
            _tell_once(cache_folder(), error.strerror or str(error))
            with tempfile.TemporaryDirectory(prefix=".vrn-") as folder:
                write_onnx(network, Path(folder, "network.onnx"), example=example, any_size=any_size)
                return Path(folder, "network.onnx").read_bytes()
    return path


@cache
def _tell_once(folder: Path, reason: str) -> None:
    text = f"{folder} cannot keep exported networks ({reason}), so each run makes them anew; set $VRN_CACHE."
    warnings.warn(Note(text), stacklevel=2)


def _is_whole(path: Path, mark: Path) -> bool:
    """Whether the exported file has the hash that was noted when it was written."""
    try:
        said = read_file(mark, largest=2**10, what="a checksum").decode("ascii")
        return hashlib.sha256(read_file(path, largest=2**31, what="an exported network")).hexdigest() == said
    except (OSError, ValueError):
        return False
