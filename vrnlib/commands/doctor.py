"""`vrn doctor`: what is installed, which files are there, and what to do about what is missing."""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib
import importlib.metadata
import importlib.resources
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from tddfa.console import sentence

PACKAGES = (
    *("numpy", "scipy", "opencv-python", "scikit-image", "pillow", "matplotlib", "torch", "accelerate"),
    *("safetensors", "tqdm", "pooch", "trimesh", "k3d", "ipywidgets", "anywidget", "pyyaml", "onnx", "onnxruntime"),
)
OPTIONAL_PACKAGES = ("face-alignment", "jupyterlab", "jupytext", "tensorboard", "anny")
COMPILED = ("tddfa._nms", "tddfa._raster", "tddfa._voxelize")
WEIGHTS = ("vrn_open", "fan_open")
TDDFA_FILES = ("open_face.npz", "faceboxes_open.safetensors", "mb05_open.safetensors")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: of a package, a module or a file.
        state: "ok"; "optional" for what is not there and need not be; "missing" or "damaged".
        text: the version, size and checksum, or what to do.
    """

    name: str
    state: str
    text: str


def examine() -> list[Finding]:
    """Look at the versions, the compiled modules, the weights, the face model and the official files."""
    findings = [Finding("python", "ok", platform.python_version())]
    for name in PACKAGES:
        findings.append(_package(name, optional=False))
    for name in OPTIONAL_PACKAGES:
        findings.append(_package(name, optional=True))
    for name in COMPILED:
        try:
            importlib.import_module(name)
            findings.append(Finding(name, "ok", "compiled"))
        except ImportError as error:
            findings.append(Finding(name, "missing", f"{error}; type bash build.sh to compile it"))
    package = Path(__file__).parent.parent
    for name in WEIGHTS:
        path = package / "weights" / f"{name}.safetensors"
        findings.append(_file(name, path, "train it with vrn train, or get the repository again"))
    data = Path(str(importlib.resources.files("tddfa"))) / "data"
    findings += [_file(Path(name).stem, data / name, "get the repository again") for name in TDDFA_FILES]
    folder = os.environ.get("VRN_ASSETS")
    if folder and Path(folder).is_dir():
        findings.append(Finding("$VRN_ASSETS", "ok", folder))
    elif folder:
        findings.append(Finding("$VRN_ASSETS", "missing", f"{folder} is no folder; unset it or correct it"))
    else:
        findings.append(Finding("$VRN_ASSETS", "optional", "not set; only the official models need it"))
    return findings + official_files()


def official_files() -> list[Finding]:
    """The official files of 3DDFA_V2: at hand or not, their checksums, sizes and licences."""
    from tddfa.assets import ASSETS, find, is_whole

    findings = []
    for name, asset in ASSETS.items():
        path = find(name)
        checksum = f"git blob id {asset.blob_id[:12]}…" if asset.blob_id else "no pinned checksum"
        if path is None:
            size = f"{asset.size / 1000:,.1f} kB, " if asset.size else ""
            source = "fetched when it is asked for" if asset.url else "bring it yourself"
            state, text = "optional", f"not at hand, {source}; {size}{checksum}"
        else:
            size = f"{path.stat().st_size / 1000:,.1f} kB"
            if is_whole(asset, path):
                state, text = "ok", f"{path}; {size}, {checksum}{' as expected' if asset.blob_id else ''}"
            else:
                state, text = "damaged", f"{path}; {size}, expected {checksum}; delete it and get it again"
        findings.append(Finding(name, state, f"{text}; {asset.note}; {asset.licence}"))
    return findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options."""


def run(arguments: argparse.Namespace) -> int:
    """Print the report; 1 when something necessary is missing or an official file is damaged."""
    findings = examine()
    for finding in findings:
        print(f"{finding.state:<9} {finding.name:<30} {finding.text}")
    return 1 if any(finding.state in ("missing", "damaged") for finding in findings) else 0


def _package(name: str, *, optional: bool) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "optional" if optional else "missing", f"not installed; type pip install {name}")


def _file(name: str, path: Path, fix: str) -> Finding:
    if not path.is_file():
        return Finding(name, "missing", f"{path} is not there; {fix}")
    digest = hashlib.sha256(path.read_bytes())
    text = f"{path.stat().st_size / 1e6:.1f} MB, sha256 {digest.hexdigest()[:16]}…"
    installed = _installed_digest(path)
    try:
        if installed not in (None, digest.digest()):
            raise ValueError("it is another file than the one that was installed")
        _read(path)
    except ValueError as error:
        return Finding(name, "damaged", f"{text}; {sentence(error)}; {fix}")
    return Finding(name, "ok", text)


def _read(path: Path) -> None:
    """Read weights or a face model as the program does. Raises ValueError for a damaged file."""
    if path.suffix == ".npz":
        from tddfa.morphable import MorphableModel

        MorphableModel.load(path)
    else:
        from tddfa.checkpoints import read_checkpoint

        read_checkpoint(path)


def _installed_digest(path: Path) -> bytes | None:
    """SHA-256 of a file by pip's record of the installed package; None where it runs from a checkout."""
    try:
        files = importlib.metadata.files("vrn-workbook") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == path.name and file.hash is not None and Path(str(file.locate())).resolve() == path.resolve():
            return base64.urlsafe_b64decode(file.hash.value + "==")
    return None
