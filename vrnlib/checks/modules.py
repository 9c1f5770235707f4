"""What is wrong with a module: looked for in its layers, then in its response."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vrnlib.checks.answers import Case, Function, close

#: What errors mean inside a block of convolutions: (pattern, advice).
BLOCK_ADVICE = (
    (
        r"size of tensor a .* at non-singleton dimension [23]",
        "branch and skip differ in height or width; a 3×3 convolution needs padding=1, and none has a stride",
    ),
    (
        r"size of tensor a .* at non-singleton dimension 1",
        "branch and skip differ in channels; where inputs ≠ outputs, the skip needs a 1×1 convolution",
    ),
)


def fill_by_shape(module: nn.Module) -> nn.Module:
    """Fill all parameters and statistics by their shapes alone, whatever their names and order; evaluation mode.

    Parameters have both signs, so that nothing that a ReLU would change stays unseen; variances are positive.
    """
    statistics = {id(tensor) for tensor in module.buffers()}
    for tensor in [*module.parameters(), *module.buffers()]:
        if not tensor.is_floating_point():
            continue
        seed = sum((position + 1) * side for position, side in enumerate(tensor.shape))
        values = np.random.default_rng(seed).uniform(0.2, 0.8, tuple(tensor.shape))
        if id(tensor) not in statistics:
            values = (values - 0.5) * 4 / np.sqrt(tensor[0].numel())
        tensor.data.copy_(torch.from_numpy(values))
    return module.eval()


def block_answer(block: Function, inputs: int, outputs: int, x: Tensor) -> tuple[Any, ...]:
    """The response of ``block(inputs, outputs)`` to x, its parameters filled by their shapes, and their number."""
    module = fill_by_shape(block(inputs, outputs))
    with torch.no_grad():
        y = module(x)
    return y, parameters(module)


def parameters(module: nn.Module) -> int:
    """How many numbers the module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


class Variant(nn.Module):
    """A pre-activation bottleneck in which one thing or another is done differently.

    order: of "b" batch norm, "r" ReLU and "c" convolution. joined: how branch and input come together.
    """

    def __init__(self, inputs: int, outputs: int, order: str = "brc", joined: str = "sum") -> None:
        super().__init__()
        middle = outputs // 2
        self.joined = joined
        layers: list[nn.Module] = []
        for a, b, kernel in [(inputs, middle, 1), (middle, middle, 3), (middle, outputs, 1)]:
            width = a if order.find("b") < order.find("c") else b
            made = {"b": nn.BatchNorm2d(width), "r": nn.ReLU(), "c": nn.Conv2d(a, b, kernel, padding=kernel // 2)}
            layers += [made[letter] for letter in order]
        self.branch = nn.Sequential(*layers)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        if self.joined == "activated":
            return y + self.skip(torch.relu(self.branch[0](x)))
        joins: dict[str, Callable[[], Tensor]] = {
            "sum": lambda: y + self.skip(x),
            "none": lambda: y,
            "product": lambda: y * self.skip(x),
            "twice": lambda: y + 2 * self.skip(x),
            "branch twice": lambda: 2 * y + self.skip(x),
            "difference": lambda: self.skip(x) - y,
            "minus": lambda: y - self.skip(x),
            "mean": lambda: (y + self.skip(x)) / 2,
            "relu branch": lambda: torch.relu(y) + self.skip(x),
            "relu": lambda: torch.relu(y + self.skip(x)),
        }
        return joins[self.joined]()


#: What a block does that gives these responses: sentence → the variant's options.
RESPONSES: dict[str, dict[str, str]] = {
    "the ReLUs are missing; without them the three convolutions are one.": {"order": "bc"},
    "the batch norms have no effect on the response; each stands before its ReLU.": {"order": "rc"},
    "the ReLU comes before the batch norm; the order is BN, ReLU, convolution.": {"order": "rbc"},
    "the batch norm follows its convolution; in pre-activation it comes before: BN, ReLU, convolution.": {
        "order": "rcb"
    },
    "branch and skip are multiplied; add them.": {"joined": "product"},
    "the input is added twice.": {"joined": "twice"},
    "the branch is added twice.": {"joined": "branch twice"},
    "the branch is subtracted from the skip; add them.": {"joined": "difference"},
    "the input is subtracted; add it.": {"joined": "minus"},
    "a ReLU follows the last convolution of the branch; nothing does.": {"joined": "relu branch"},
    "the sum of branch and skip is halved.": {"joined": "mean"},
    "the skip starts behind the first batch norm and ReLU; it must take the block's own input.": {
        "joined": "activated"
    },
}


def examine_block(block: Function, cases: list[Case]) -> str | None:
    """What is wrong with a residual block, or None where neither its layers nor its response say it."""
    worst = next((case for case in cases if not _right(case)), cases[0])
    inputs, outputs, x = worst.arguments.values()
    module = block(inputs, outputs)
    if not isinstance(module, nn.Module):
        return "the class must be an nn.Module: `class ResidualBlock(nn.Module)`."
    module = fill_by_shape(module)
    return (
        _calls(module, x)
        or _output_shape(worst, x)
        or _layers(module, inputs, outputs)
        or _modes(module, x)
        or _response(cases)
        or _numbers(worst)
    )


def examine_module(
    kind: Callable[..., Any], cases: list[Case], name: str, layers: Callable[[nn.Module, Case], str | None]
) -> str | None:
    """What is wrong with a module of another form than a block; `layers` looks at what it is made of."""
    worst = next((case for case in cases if not _right(case)), cases[0])
    first, second, x = worst.arguments.values()
    module = kind(first, second)
    if not isinstance(module, nn.Module):
        return f"the class must be an nn.Module: `class {name}(nn.Module)`."
    module = fill_by_shape(module)
    return (
        _calls(module, x)
        or _whole_shape(worst, x)
        or layers(module, worst)
        or _unused(module, x)
        or _modes(module, x)
        or _difference(worst)
    )


def _whole_shape(case: Case, x: Tensor) -> str | None:
    got, wanted = tuple(case.got[0].shape), tuple(case.wanted[0].shape)
    return None if got == wanted else f"an input {tuple(x.shape)} needs an output {wanted}, got the shape {got}."


def _unused(module: nn.Module, x: Tensor) -> str | None:
    """A layer with parameters that `forward` never calls."""
    called: set[str] = set()
    owners = {name: part for name, part in module.named_modules() if name and list(part.parameters(recurse=False))}
    handles = [part.register_forward_hook(lambda *_, name=name: called.add(name)) for name, part in owners.items()]
    with torch.no_grad():
        module(x)
    for handle in handles:
        handle.remove()
    idle = next((name for name in owners if name not in called), None)
    if idle is None:
        return None
    whole = [name for name, _ in module.named_modules() if name and f"{idle}.".startswith(f"{name}.")]
    unused = next(name for name in whole if not any(one.startswith(f"{name}.") or one == name for one in called))
    return f"`self.{unused}` is made, but `forward` never calls it."


def _right(case: Case) -> bool:
    return all(close(_numpy(one), _numpy(two), 1e-4) for one, two in zip(case.got, case.wanted, strict=True))


def _numpy(value: Any) -> np.ndarray:
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)


def _calls(module: nn.Module, x: Tensor) -> str | None:
    given = x.clone()
    with torch.no_grad():
        once, again = module(given), module(x.clone())
    if once is None:
        return "`forward` returns nothing; end it with `return`."
    if not isinstance(once, Tensor):
        return f"`forward` must return one tensor, got a {type(once).__name__}."
    held = [name for name, value in vars(module).items() if name[0] != "_" and _holds_modules(value)]
    if held:
        return f"PyTorch does not see layers in a plain list, `self.{held[0]}`; use nn.Sequential or nn.ModuleList."
    if not torch.equal(once, again) and torch.equal(given, x):
        return "the answer changes from call to call; make all layers in __init__, none in forward, and no dropout."
    if not torch.equal(given, x):
        return (
            "the first layer changes the block's input in place, and the skip adds what is left; no inplace=True there."
        )
    return None


def _holds_modules(value: Any) -> bool:
    values = value if isinstance(value, list | tuple) else value.values() if type(value) is dict else []
    return any(isinstance(item, nn.Module) for item in values)


def _output_shape(case: Case, x: Tensor) -> str | None:
    got, wanted = tuple(case.got[0].shape), tuple(case.wanted[0].shape)
    if got == wanted:
        return None
    place = f"shape {got}, expected {wanted}"
    if len(got) != 4:
        return f"the output needs the axes (B, C, H, W): {place}."
    if got[1] != wanted[1]:
        hint = "; were branch and skip joined with torch.cat? Add them" if got[1] == 2 * wanted[1] else ""
        return f"the output has {got[1]} channels where {wanted[1]} were expected{hint}."
    return f"height and width must stay: {place}; a 3×3 convolution needs padding=1 and stride 1."


def _layers(module: nn.Module, inputs: int, outputs: int) -> str | None:
    """The first difference between the block's layers and the layers of the right one."""
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    middle = outputs // 2
    wanted = Counter([(inputs, middle, 1), (middle, middle, 3), (middle, outputs, 1)])
    if inputs != outputs:
        wanted[(inputs, outputs, 1)] += 1
    found = Counter((layer.in_channels, layer.out_channels, layer.kernel_size[0]) for layer in convolutions)
    said = _kernels(wanted, found)
    if said:
        return said
    others = [
        type(layer).__name__
        for layer in module.modules()
        if type(layer)
        in (nn.GELU, nn.LeakyReLU, nn.SiLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Dropout, nn.Dropout2d, nn.ReLU6, nn.PReLU)
    ]
    if others:
        return f"there is a {others[0]} in the block; it has only batch norms, ReLUs and convolutions."
    if any(layer.bias is None for layer in convolutions):
        return "a convolution has no bias (bias=False); the paper's convolutions have one."
    if any(layer.groups != 1 or layer.dilation[0] != 1 for layer in convolutions):
        return "a convolution has groups or dilation; the block's have neither."
    if len(norms) < 3:
        return f"there are {len(norms)} batch norms; one belongs before each of the three convolutions."
    if len(norms) > 3:
        return f"there are {len(norms)} batch norms; only the three convolutions of the branch have one, not the skip."
    if not all(layer.affine for layer in norms):
        return "a batch norm has no scale and shift of its own (affine=False); leave that out."
    if not all(layer.track_running_stats for layer in norms):
        return "a batch norm keeps no running statistics, so that in evaluation the rest of the batch decides."
    return None


def _kernels(wanted: Counter[Any], found: Counter[Any]) -> str | None:
    """What the convolutions' (inputs, outputs, kernel) say."""
    missing, extra = wanted - found, found - wanted
    if not missing and not extra:
        return None
    names = [", ".join(f"{a}→{b} {k}×{k}" for a, b, k in sorted(some.elements())) for some in (missing, extra)]
    if missing and extra:
        kernels, widths = (
            [sorted(layer[part] for layer in some.elements()) for some in (missing, extra)]
            for part in (slice(2, 3), slice(0, 2))
        )
        hint = "; the 3×3 convolution is the middle one"
        if widths[0] != widths[1]:
            hint = "; the two inner widths are half of the outputs"
        elif kernels[0] != kernels[1]:
            hint = "; the three kernels are 1×1, 3×3, 1×1, and the skip's is 1×1"
        return f"the convolutions differ: expected {names[0]}, got {names[1]}{hint}."
    if missing:
        return f"a convolution is missing: {names[0]} (or it is not in the module's own attributes)."
    return f"there is a convolution too many: {names[1]}."


def _modes(module: nn.Module, x: Tensor) -> str | None:
    with torch.no_grad():
        if not torch.allclose(module(x)[:1], module(x[:1]), atol=1e-4):
            return "in evaluation an item's answer depends on its batch; batch norm must use its running statistics."
    return None


def _response(cases: list[Case]) -> str | None:
    for sentence, options in RESPONSES.items():
        if all(_responds(case, options) for case in cases):
            return sentence
    return None


def _numbers(case: Case) -> str:
    """What is left to say: the number of parameters, or how far the response is from the right one."""
    count, wanted = case.got[1], case.wanted[1]
    if count != wanted:
        return f"the block has {count:,} parameters, {wanted:,} were expected."
    return _difference(case)


def _difference(case: Case) -> str:
    y, right = case.got[0], case.wanted[0]
    largest = float((y - right).abs().max())
    return f"the parameters are right, but the response differs by up to {largest:.3g}; is every layer used, and once?"


def _responds(case: Case, options: dict[str, str]) -> bool:
    inputs, outputs, x = case.arguments.values()
    variant = fill_by_shape(Variant(inputs, outputs, **options))
    with torch.no_grad():
        return close(_numpy(case.got[0]), _numpy(variant(x)), 1e-4)
