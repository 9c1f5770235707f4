"""`vrn doctor`: what is installed, which files are there, and what to do about what is missing."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("numpy", "scipy", "opencv-python", "scikit-image", "pillow", "matplotlib", "torch", "safetensors")
PACKAGES += ("tqdm", "pooch", "trimesh", "k3d", "ipywidgets")
OPTIONAL_PACKAGES = ("face-alignment", "jupyterlab", "jupytext", "onnxruntime", "anny")
COMPILED = ("tddfa._nms", "tddfa._raster", "tddfa._voxelize")
WEIGHTS = ("vrn_open", "fan_open")


@dataclass(frozen=True)
class Finding:
    """One line of the report: good, missing but optional, or missing with what to do."""

    name: str
    state: str
    text: str


def examine() -> list[Finding]:
    """Look at the versions, the compiled modules, the weights and the face model."""
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
    package = Path(__file__).parent
    for name in WEIGHTS:
        path = package / "weights" / f"{name}.safetensors"
        findings.append(_file(name, path, "train it with vrn train, or get the repository again"))
    findings.append(_model())
    folder = os.environ.get("VRN_ASSETS")
    if folder and Path(folder).is_dir():
        findings.append(Finding("$VRN_ASSETS", "ok", folder))
    elif folder:
        findings.append(Finding("$VRN_ASSETS", "missing", f"{folder} is no folder; unset it or correct it"))
    else:
        findings.append(Finding("$VRN_ASSETS", "optional", "not set; only the official models need it"))
    return findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options."""


def run(arguments: argparse.Namespace) -> int:
    """Print the report; 1 when something necessary is missing."""
    findings = examine()
    for finding in findings:
        print(f"{finding.state:<9} {finding.name:<18} {finding.text}")
    return 1 if any(finding.state == "missing" for finding in findings) else 0


def _package(name: str, *, optional: bool) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "optional" if optional else "missing", f"not installed; type pip install {name}")


def _file(name: str, path: Path, fix: str) -> Finding:
    if not path.is_file():
        return Finding(name, "missing", f"{path} is not there; {fix}")
    data = path.read_bytes()
    return Finding(name, "ok", f"{len(data) / 1e6:.1f} MB, sha256 {hashlib.sha256(data).hexdigest()[:16]}…")


def _model() -> Finding:
    import importlib.resources

    path = Path(str(importlib.resources.files("tddfa"))) / "data" / "open_face.npz"
    return _file("open_face", path, "get the repository again")
