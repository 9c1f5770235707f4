"""ONNX files of our networks: a network looks at one batch, and each call of a torch function becomes a node.

torch's own exporter takes ten seconds for such a network, as it follows every size as a symbol. Ours know few functions
(`OPERATORS`), in which only the batch and, without fully connected layers, the picture's height and width are free.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .files import write_bytes

__all__ = ["OPSET", "write_onnx"]

OPSET = 18
"""The version of ONNX's set of operators: the first in which means and maxima take their axes as sums do."""


def write_onnx(network: nn.Module, path: Path, *, example: tuple[int, int, int], any_size: bool = False) -> None:
    """Write a network as an ONNX file with the input "input" and the outputs "output0", "output1" and so on.

    Args:
        network: takes (B, 3, H, W) float32, gives a tensor or a tuple of tensors, B first in each.
        path: the file. It appears whole or not at all.
        example: (3, H, W), the size that it is written for.
        any_size: whether H and W are free, as B is.

    Raises:
        NotImplementedError: the network calls a function that is not among `OPERATORS`.
    """
    network, images = copy.deepcopy(network).eval(), torch.zeros(2, *example)
    with torch.no_grad(), _Recorder(images) as recorder:
        outputs = network(images)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    nodes, results = recorder.nodes, []
    for k, output in enumerate(outputs):
        nodes.append(helper.make_node("Identity", [recorder.name(output)], [f"output{k}"]))
        sizes = ["batch", *[None] * (output.ndim - 1)]
        results.append(helper.make_tensor_value_info(f"output{k}", TensorProto.FLOAT, sizes))
    free: list[str | int | None] = ["batch", 3, "height", "width"] if any_size else ["batch", *example]
    graph = helper.make_graph(
        nodes,
        type(network).__name__,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, free)],
        results,
        recorder.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, model.SerializeToString())


Node = tuple[str, list[Any], dict[str, Any]]
"""An operator of ONNX, its inputs (tensors, arrays, numbers or other nodes) and its attributes."""


class _Recorder(TorchFunctionMode):
    """While it is entered, writes a node for each call that depends on the images; all others give constants."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names = {id(images): "input"}
        self._kept: list[Any] = [images]  # so that no other tensor gets the identity of one that is gone

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple) else (result,)
        if not all(isinstance(one, Tensor) for one in results):
            return result  # a size, a device, a number of axes
        if any(result is one for one in args):
            return result  # nothing was to be done: float() of float32
        given = args[0] if args and isinstance(args[0], list | tuple) else args
        if any(id(one) in self._names for one in given):
            name = function.__name__.strip("_")
            if name not in OPERATORS:
                raise NotImplementedError(
                    f"Expected one of the functions {', '.join(sorted(OPERATORS))} in a network, got {name!r}; "
                    "add it to tddfa.onnx_writer."
                )
            self._write(OPERATORS[name](*args, **(kwargs or {})), results)
        return result

    def name(self, value: Any) -> str:
        """Of a tensor that came from the images; else of a new constant or of the result of a `Node` of its own."""
        if id(value) not in self._names:
            if isinstance(value, tuple):
                self._write(value, (value,))
            else:
                array = value if isinstance(value, np.ndarray) else torch.as_tensor(value).float().numpy()
                self.constants.append(numpy_helper.from_array(array, self._new_name(value)))
        return self._names[id(value)]

    def _new_name(self, value: Any) -> str:
        self._kept.append(value)
        return self._names.setdefault(id(value), f"value{len(self._names)}")

    def _write(self, node: Node, results: tuple[Any, ...]) -> None:
        operator, inputs, attributes = node
        names = [self.name(one) for one in inputs]
        self.nodes.append(helper.make_node(operator, names, [self._new_name(one) for one in results], **attributes))


# --- what becomes of each function: the operator, its inputs, its attributes; parameters are those of torch ----------


def _pair(size: int | Sequence[int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


def _axes(dim: int | Sequence[int]) -> np.ndarray:
    return np.array([dim] if isinstance(dim, int) else dim, np.int64)


def _reshape(x: Tensor, shape: Sequence[int]) -> Node:
    return "Reshape", [x, np.array([0, *shape[1:]], np.int64)], {}  # 0: as many as there are


def _conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Node:
    inputs = [x, weight] if bias is None else [x, weight, bias]
    sizes = {"strides": _pair(stride), "pads": 2 * _pair(padding), "dilations": _pair(dilation)}
    return "Conv", inputs, sizes | {"group": groups}


def _batch_norm(x: Tensor, mean: Tensor, var: Tensor, *, weight: Tensor, bias: Tensor, eps: float, **_: Any) -> Node:
    return "BatchNormalization", [x, weight, bias, mean, var], {"epsilon": eps}


def _max_pool2d(x: Tensor, size: Any, stride: Any = None, padding: Any = 0, **_: Any) -> Node:
    sizes = {"kernel_shape": _pair(size), "strides": _pair(stride or size), "pads": 2 * _pair(padding)}
    return "MaxPool", [x], sizes


def _avg_pool2d(x: Tensor, size: Any, stride: Any = None, padding: Any = 0) -> Node:
    _, _, sizes = _max_pool2d(x, size, stride, padding)
    return "AveragePool", [x], sizes | {"count_include_pad": 1}


def _interpolate(x: Tensor, *, scale_factor: int, mode: str, **_: Any) -> Node:
    if mode != "nearest":
        raise NotImplementedError(f"Expected the interpolation 'nearest' in a network, got {mode!r}.")
    scales = np.array([1, 1, scale_factor, scale_factor], np.float32)
    attributes = {"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return "Resize", [x, np.array([], np.float32), scales], attributes


OPERATORS: dict[str, Callable[..., Node]] = {
    "conv2d": _conv2d,
    "batch_norm": _batch_norm,
    "linear": lambda x, weight, bias: ("Gemm", [x, weight, bias], {"transB": 1}),
    "relu": lambda x, **_: ("Relu", [x], {}),
    "softmax": lambda x, dim: ("Softmax", [x], {"axis": dim}),
    "neg": lambda x: ("Neg", [x], {}),
    "add": lambda x, y: ("Add", [x, y], {}),
    "mul": lambda x, y: ("Mul", [x, y], {}),
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "interpolate": _interpolate,
    "mean": lambda x, dim: ("ReduceMean", [x, _axes(dim)], {"keepdims": 0}),
    "sum": lambda x, dim: ("ReduceSum", [x, _axes(dim)], {"keepdims": 0}),
    "amax": lambda x, dim: ("ReduceMax", [x, _axes(dim)], {"keepdims": 0}),
    "cat": lambda parts, dim: ("Concat", list(parts), {"axis": dim}),
    "stack": lambda parts, dim: ("Concat", [("Unsqueeze", [x, _axes(dim)], {}) for x in parts], {"axis": dim}),
    "chunk": lambda x, count, dim: ("Split", [x], {"axis": dim, "num_outputs": count}),
    "permute": lambda x, *order: ("Transpose", [x], {"perm": order}),
    "reshape": lambda x, *shape: _reshape(x, shape),
    "flatten": lambda x, start: ("Reshape", [x, np.array([0] * start + [-1], np.int64)], {}),
    "view_as": lambda x, other: _reshape(x, other.shape),
}
