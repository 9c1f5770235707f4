"""One frozen configuration per training: checked when it is made, read from YAML, written beside the weights.

A YAML file holds one training, or a list of trainings that go on one from the other; a later one names only what it
changes. The presets are such files: every committed weight has one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from tddfa.config import read_yaml
from tddfa.files import write_bytes
from vrnlib.training.augment import Augmentation

PRESETS = Path(__file__).parent / "presets"
"""The folder of the presets; one without a name of weights is a network's default."""

LEAST = {
    **dict.fromkeys(
        ("steps", "batch", "accumulate", "report", "drop_after", "renders", "held_out", "residuals", "stem"), 1
    ),
    **dict.fromkeys(("warmup", "workers", "seed", "rotation", "translation"), 0),
    **{"features": 2, "size": 32},
}
"""The smallest values; a rate is larger than 0."""

MOST = {"averaging": 1.0, "flip": 1.0, "rotation": 180.0, "rate": 10.0, "size": 1024, "workers": 1024}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how fast; a run is determined by this, the data and the network.

    Attributes:
        steps: changes of the weights in all.
        batch: images per step, over all processes.
        accumulate: pieces in which a process works through its part of a batch, where memory is short.
        optimizer: the VRN paper's, or AdamW.
        schedule: "paper" keeps the rate and takes a tenth of it after ``drop_after`` epochs; "cosine" follows half a
            cosine down to a hundredth.
        rate: highest learning rate.
        drop_after: epochs; an epoch is as many steps as show every item once.
        warmup: steps until the rate is reached; the averaging of the weights begins after them.
        averaging: how much of the averaged weights stays at each step.
        report: steps between validations, each followed by a checkpoint.
        workers: loader processes.
        seed: of the order of the data.
        device: "auto" is the GPU where there is one.
        precision: "bf16" computes in bfloat16 what tolerates it; "auto" does so where the hardware is faster then.

    Raises:
        ValueError: a value of another kind, or beyond its bounds.
    """

    steps: int = 20_000
    batch: int = 16
    accumulate: int = 1
    optimizer: Literal["rmsprop", "adamw"] = "rmsprop"
    schedule: Literal["paper", "cosine"] = "cosine"
    rate: float = 1e-3
    drop_after: int = 40
    warmup: int = 200
    averaging: float = 0.998
    report: int = 500
    workers: int = 1
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bf16"] = "float32"

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for field in fields(self):
            value, option = getattr(self, field.name), field.name.replace("_", "-")
            if not fits(value, kinds[field.name]):
                raise ValueError(f"Expected {option} to be {described(kinds[field.name])}, got {value!r:.80}.")
            least, most = LEAST.get(field.name, -math.inf), MOST.get(field.name, math.inf)
            if isinstance(value, int | float) and not least <= value <= most:
                bounds = f"{least:g} or more" if most == math.inf else f"between {max(least, 0):g} and {most:g}"
                raise ValueError(f"Expected {option} of {bounds}, got {value:g}; give another number.")
        if self.rate <= 0 or self.averaging < 0:
            raise ValueError(
                f"Expected a rate above 0 and an averaging of 0 or more, got {self.rate}, {self.averaging}."
            )


@dataclass(frozen=True, kw_only=True)
class Recipe(TrainingConfig):
    """Everything that a training of `vrn train` depends on.

    Attributes:
        network: what is trained.
        kind: of VRN, see `vrnlib.network`: unguided, guided (by landmarks that are about as wrong as a FAN's,
            `vrnlib.training.augment.LANDMARK_NOISE`), or multitask.
        cache: folder of rendered faces.
        renders: different faces to train with.
        data: what VRN is trained with, each SOURCE or SOURCE=WEIGHT: "renders", a folder of pairs, or shards
            (`vrnlib.training.pairs`). An epoch has as many items as there are renders.
        held_out: faces of the validation stream.
        size: side of the pictures; VRN 128 or 192, tddfa 80 or 120, faceboxes 384. None: the network's own.
        step: of VRN's target; 1 = loss at every voxel, 4 = on the lattice of the network's feature map.
        stem: channels after the first convolution of VRN and FAN; None: as in the open weights, or in ``init``.
        features: channels of the hourglasses of VRN and FAN; None: as in the open weights.
        residuals: Residual modules per step of an hourglass; None: as in the open weights.
        reference: VRN of the released network's size.
        rotation, translation, scale, flip, color: of VRN's `Augmentation`.
        init: weights to start from; None: random ones. A larger network grows out of smaller weights without a change
            of what it says (`vrnlib.training.growth`).

    Raises:
        ValueError: as above, or values that do not go together.
    """

    network: Literal["vrn", "fan", "tddfa", "faceboxes"] = "vrn"
    kind: Literal["unguided", "guided", "multitask"] = "unguided"
    cache: str = "runs/renders"
    renders: int = 16_000
    data: tuple[str, ...] = ("renders",)
    held_out: int = 128
    size: int | None = None
    step: int = 4
    stem: int | None = None
    features: int | None = None
    residuals: int | None = None
    reference: bool = False
    rotation: float = Augmentation.rotation
    translation: float = Augmentation.translation
    scale: tuple[float, float] = Augmentation.scale
    flip: float = Augmentation.flip
    color: tuple[float, float] = Augmentation.color
    init: str | None = None
    precision: Literal["auto", "float32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch > self.renders:
            raise ValueError(f"Expected at least as many renders as a batch has, {self.batch}, got {self.renders}.")
        for name in ("scale", "color"):
            low, high = getattr(self, name)
            if not 0 < low <= high < 10:
                raise ValueError(f"Expected {name} from a smaller to a larger factor, got {low:g} and {high:g}.")
        if self.network == "vrn" and (self.size not in (None, 128, 192) or self.step not in (1, 4)):
            raise ValueError(f"Expected size 128 or 192 and step 1 or 4 for VRN, got {self.size} and {self.step}.")
        if self.network == "vrn" and self.step == 1 and self.size == 128:
            raise ValueError("Expected size 192 for step 1, got 128; the loss at every voxel is taken of a whole crop.")
        if self.reference and (self.stem, self.features, self.residuals) != (None, None, None):
            raise ValueError("Expected either reference or stem, features and residuals; the reference has its own.")
        foreign = [name for name, networks in ONLY_FOR.items() if self.network not in networks and self.changes(name)]
        if foreign:
            raise ValueError(
                f"Expected no {foreign[0]} for {self.network}; it is for {' and '.join(ONLY_FOR[foreign[0]])}."
            )

    def changes(self, name: str) -> bool:
        """Whether a value is not the default one."""
        return getattr(self, name) != getattr(type(self), name)

    @property
    def augmentation(self) -> Augmentation:
        """VRN's augmentation."""
        names = [field.name for field in fields(Augmentation)]
        return Augmentation(**{name: getattr(self, name) for name in names})


ONLY_FOR = {
    **dict.fromkeys(
        ("kind", "data", "step", "reference", "rotation", "translation", "scale", "flip", "color"), ("vrn",)
    ),
    **dict.fromkeys(("stem", "features", "residuals"), ("vrn", "fan")),
    "size": ("vrn", "tddfa", "faceboxes"),
}
"""What belongs to some networks only."""


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind that a configuration's field has.

    >>> fits(3, float), fits(True, int), fits(None, int | None), fits("rmsprop", Literal["adamw"])
    (True, False, True, False)
    """
    if get_origin(kind) in (Union, UnionType):
        return any(fits(value, one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if kinds[-1] is Ellipsis:
            return isinstance(value, tuple) and len(value) > 0 and all(fits(one, kinds[0]) for one in value)
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(fits, value, kinds))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def described(kind: Any) -> str:
    """A kind of value in words.

    >>> described(int | None), described(Literal["a", "b"]), described(tuple[float, float])
    ('a whole number or null', 'one of a, b', 'two numbers')
    """
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(described(one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if get_origin(kind) is tuple:
        return "a list of texts" if get_args(kind)[-1] is Ellipsis else "two numbers"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}
    return names[kind]


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A recipe with some values changed, as YAML or a command line gives them: lists for pairs, and "1e-4".

    Raises:
        ValueError: a name that no recipe has, or a value that does not fit.
    """
    kinds = get_type_hints(Recipe)
    strange = sorted(str(name) for name in changes if name not in kinds)
    if strange:
        got = ", ".join(strange)
        raise ValueError(f"Expected names of a training's settings ({', '.join(kinds)}), got {got:.200}.")

    def converted(name: str, value: Any) -> Any:
        if isinstance(value, str) and kinds[name] is float:  # YAML 1.1 takes 1e-4 for a text
            try:
                return float(value)
            except ValueError:
                return value
        return tuple(value) if isinstance(value, list) else value

    return replace(recipe, **{name: converted(name, value) for name, value in changes.items()})


def read_recipes(source: str | Path, overriding: Mapping[str, Any] | None = None) -> list[Recipe]:
    """The trainings that a YAML file or a preset describes, in their order.

    Args:
        source: a preset's name, such as "vrn_open", or a file.
        overriding: values that replace those of every training.

    Raises:
        FileNotFoundError: neither a preset nor a file.
        ValueError: no YAML of trainings, or a value that does not fit; names the file.
    """
    preset = PRESETS / f"{source}.yml"
    path = preset if preset.is_file() else Path(source)
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in PRESETS.glob("*.yml")))
        raise FileNotFoundError(f"Expected a YAML file or a preset ({known}), found no {source}; check the name.")
    content = read_yaml(path)
    runs: list[Any] = content if isinstance(content, list) else [content]
    if not runs or not all(isinstance(run, dict) for run in runs):
        raise ValueError(f"Expected a mapping of settings, or a list of mappings, in {path}, got something else.")
    recipes: list[Recipe] = []
    values: dict[str, Any] = {}
    try:
        for run in runs:
            values |= run
            recipes.append(changed(Recipe(), values))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return [changed(recipe, overriding or {}) for recipe in recipes]


def write_config(path: str | Path, configs: Sequence[TrainingConfig]) -> None:
    """Write trainings as YAML, one as a mapping and several as a list; `read_recipes` reads it."""
    runs = [plain(config) for config in configs]
    text = yaml.safe_dump(runs if len(runs) > 1 else runs[0], sort_keys=False)
    write_bytes(path, text.encode())


def plain(config: TrainingConfig) -> dict[str, Any]:
    """A configuration as YAML and JSON hold it."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}
