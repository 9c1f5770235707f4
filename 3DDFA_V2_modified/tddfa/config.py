"""Reading configurations: YAML within bounds, and 3DDFA_V2's files, such as ``configs/mb05_120x120.yml``."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import yaml

from .assets import ASSETS, resolve
from .contract import NETWORK_SIZE, PARAMETER_COUNT
from .files import read_file
from .morphable import MorphableModel

__all__ = ["Config", "read_config", "read_yaml"]

KEYS = ("arch", "widen_factor", "checkpoint_fp", "bfm_fp", "size", "num_params")
ARCHITECTURES = ("mobilenet", "resnet22")

LARGEST = 2**16
"""Bytes of a configuration; 3DDFA_V2's have two hundred."""


@dataclass(frozen=True)
class Config:
    """What a configuration file says.

    Attributes:
        architecture: "mobilenet" or "resnet22".
        width: channels relative to MobileNetV1's.
        checkpoint: "open" for this package's weights, or a file.
        face_model: "open" for this package's, or a file.
        size: side of the network's crop in pixels.
        parameters: how many numbers describe a face.
    """

    architecture: str
    width: float
    checkpoint: str | Path
    face_model: str | Path
    size: int
    parameters: int

    def load_model(self) -> MorphableModel:
        """The face model."""
        return MorphableModel.open() if self.face_model == "open" else MorphableModel.load(self.face_model)


def read_yaml(path: str | PathLike[str]) -> object:
    """What a small YAML file says: numbers, texts, lists and mappings, nothing else.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: no YAML, too long, or with aliases, a few of which stand for more text than fits into memory.
    """
    data = read_file(path, largest=LARGEST, what="a configuration")
    try:
        text = data.decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError("aliases")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"Expected a YAML file, {path} cannot be read as one ({type(error).__name__}).") from error


def read_config(
    path: str | PathLike[str],
    *,
    checkpoint: str | Path | None = None,
    face_model: str | Path | None = None,
    download: bool = True,
) -> Config:
    """Read a configuration file in 3DDFA_V2's format.

    ``checkpoint_fp`` and ``bfm_fp`` name files: "open", an absolute path, or a path relative to the file's folder or
    to the folder above it, where 3DDFA_V2 keeps its configs. A file that is not there is looked for by its name in
    the registry (``$VRN_ASSETS``, the cache).

    Args:
        path: the configuration.
        checkpoint: weights in place of those that it names, which are then not looked for.
        face_model: a face model in place of the one that it names, which is then not looked for.
        download: fetch official files that are nowhere.

    Raises:
        FileNotFoundError: no such configuration file, or it names a file that is nowhere.
        AssetError: an official file that is nowhere or damaged.
        ValueError: another format or other values.
    """
    path = Path(path)
    content = read_yaml(path)
    if not isinstance(content, dict) or not {"arch", "checkpoint_fp", "bfm_fp"} <= content.keys() <= set(KEYS):
        have = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"Expected arch, checkpoint_fp and bfm_fp (of {', '.join(KEYS)}) in {path}, got {have!s:.200}."
        )
    texts = (content["arch"], content["checkpoint_fp"], content["bfm_fp"])
    width = content.get("widen_factor", 1.0)
    if not all(isinstance(text, str) for text in texts) or not isinstance(width, int | float) or not 0 < width < 100:
        raise ValueError(f"Expected names for arch, checkpoint_fp and bfm_fp and a number for widen_factor in {path}.")
    size, parameters = content.get("size", NETWORK_SIZE), content.get("num_params", PARAMETER_COUNT)
    if content["arch"] not in ARCHITECTURES or (size, parameters) != (NETWORK_SIZE, PARAMETER_COUNT):
        raise ValueError(
            f"Expected arch {' or '.join(ARCHITECTURES)}, size {NETWORK_SIZE} and {PARAMETER_COUNT} num_params in "
            f"{path}, got {content['arch']:.40}, {size!s:.40} and {parameters!s:.40}; no other regressor is supported."
        )
    checkpoint = checkpoint or _located(str(content["checkpoint_fp"]), path, download)
    face_model = face_model or _located(str(content["bfm_fp"]), path, download)
    return Config(content["arch"], float(width), checkpoint, face_model, size, parameters)


def _located(name: str, config: Path, download: bool) -> str | Path:
    """The file that a configuration names, or "open"."""
    if name == "open":
        return name
    for folder in (config.parent, config.resolve().parent.parent):
        if (folder / name).is_file():
            return folder / name
    if Path(name).name in ASSETS and not Path(name).is_absolute():
        return resolve(Path(name).name, download=download)
    raise FileNotFoundError(f"Expected {name}, which {config} names, beside it or a folder above; check the path.")
