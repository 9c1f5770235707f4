"""`vrn doctor`: what is installed, which files are there, whether each stage works, and what to do about the rest."""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib
import importlib.metadata
import importlib.resources
import json
import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from tddfa.console import sentence

DISTRIBUTION = "vrn-workbook"
EXTRAS = ("fan", "lab", "app", "heic", "video", "train", "cluster", "build-model")
"""Those whose packages a user may want; the others are for tests and courses."""

COMPILED = ("tddfa._nms", "tddfa._raster", "tddfa._voxelize")
WEIGHTS = ("vrn_open", "vrn_guided_open", "vrn_multitask_open", "fan_open")
TDDFA_FILES = ("open_face.npz", "faceboxes_open.safetensors", "mb05_open.safetensors")
FACE_LICENCE, OWN_LICENCE = "CC0", "MIT, trained here"
AGAIN = "get it again: git checkout -- {} in a clone, else pip install --force-reinstall vrn-workbook"

LEAST_DISK = 10**9
"""Bytes that a run, a training's cache and exported networks need at least."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: of a package, a module, a file, a stage or a property of the machine.
        state: "ok"; "optional" for what is not there and need not be; "missing", "damaged" or "failed".
        text: the version, size and checksum, time, or what to do.
    """

    name: str
    state: str
    text: str


def examine(*, test: bool = False) -> list[Finding]:
    """Look at the machine, the packages, the compiled modules, the weights, the face model and the official files.

    Args:
        test: also run each stage once, which takes seconds.
    """
    findings = [*machine(), *packages(), *compiled_modules(), *own_files(), *official_files(), *folders()]
    if test:
        from vrnlib.commands.self_test import self_test

        findings += [Finding(f"test: {stage}", "ok" if good else "failed", text) for stage, good, text in self_test()]
    return findings


def machine() -> list[Finding]:
    """Python, compiler, processor and its features, GPU, ONNX Runtime's providers."""
    findings = [Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    candidates = (os.environ.get("CXX", ""), "c++", "g++", "clang++", "cl")
    compiler = next((path for name in candidates if name and (path := shutil.which(name))), None)
    if compiler is None:
        text = "none found; only building from source needs one: apt install g++, or Xcode's command line tools"
        findings.append(Finding("compiler", "optional", text))
    else:
        findings.append(Finding("compiler", "ok", _version(compiler)))
    try:
        import torch

        from vrnlib.training.engine import bf16_is_fast

        features = [torch.backends.cpu.get_cpu_capability()]
        if bf16_is_fast(torch.device("cpu")):
            features.append("bfloat16")
        threads = f"{os.cpu_count()} cores, PyTorch takes {torch.get_num_threads()}"
        findings.append(Finding("processor", "ok", f"{threads}; {', '.join(features)}"))
        if torch.cuda.is_available():
            findings.append(Finding("gpu", "ok", torch.cuda.get_device_name()))
        else:
            findings.append(Finding("gpu", "optional", "none that PyTorch can use; everything runs on the processor"))
    except ImportError:
        pass  # the packages' lines say it
    try:
        from tddfa.runtimes import load_onnxruntime

        findings.append(Finding("onnx providers", "ok", ", ".join(load_onnxruntime().get_available_providers())))
    except ImportError:
        pass
    return findings


def packages() -> list[Finding]:
    """The packages that this one asks for, each with the version that is there."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or ()]
    except importlib.metadata.PackageNotFoundError:
        return [Finding(DISTRIBUTION, "missing", "not installed; type pip install -e . in the repository")]
    findings = []
    for one in requirements:
        extra = next((extra for extra in EXTRAS if one.marker and one.marker.evaluate({"extra": extra})), None)
        if one.marker is not None and extra is None:
            continue
        need = f"{one.name}{one.specifier}"
        otherwise, fix = ("missing", need) if extra is None else ("optional", f"{DISTRIBUTION}[{extra}]")
        try:
            found = importlib.metadata.version(one.name)
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(one.name, otherwise, f"not installed; type pip install '{fix}'"))
            continue
        if one.specifier.contains(found, prereleases=True):
            findings.append(Finding(one.name, "ok", found))
            continue
        findings.append(Finding(one.name, otherwise, f"{found}, expected {one.specifier}; type pip install '{need}'"))
    return findings


def compiled_modules() -> list[Finding]:
    """The compiled core, and whether it computes with several threads."""
    findings, parallel = [], False
    for name in COMPILED:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            findings.append(Finding(name, "missing", f"{error}; type bash build.sh to compile it"))
            continue
        binary = Path(str(module.__file__)).read_bytes()
        parallel |= any(library in binary for library in (b"gomp", b"libomp", b"vcomp"))
        findings.append(Finding(name, "ok", "compiled"))
    without = "not found when the core was compiled: it runs on one thread; install libgomp (macOS: libomp) and compile"
    findings.append(Finding("openmp", "ok", "in the core") if parallel else Finding("openmp", "optional", without))
    return findings


def own_files() -> list[Finding]:
    """Weights and face model of this package: there, whole, as they were published."""
    return [_file(path.stem, path, AGAIN.format(path)) for path in own_paths()]


def own_paths() -> list[Path]:
    """Where weights and face model of this package lie."""
    package, data = Path(__file__).parent.parent, Path(str(importlib.resources.files("tddfa"))) / "data"
    return [package / "weights" / f"{name}.safetensors" for name in WEIGHTS] + [data / name for name in TDDFA_FILES]


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


def folders() -> list[Finding]:
    """$VRN_ASSETS, the cache and its size, free disk."""
    from tddfa.assets import cache_folder

    folder = os.environ.get("VRN_ASSETS")
    if folder and Path(folder).is_dir():
        findings = [Finding("$VRN_ASSETS", "ok", folder)]
    elif folder:
        findings = [Finding("$VRN_ASSETS", "missing", f"{folder} is no folder; unset it or correct it")]
    else:
        findings = [Finding("$VRN_ASSETS", "optional", "not set; only the official models need it")]
    cache = cache_folder()
    place = next(one for one in (cache, *cache.absolute().parents) if one.is_dir())
    size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) if cache.is_dir() else 0
    if os.access(place, os.W_OK):
        findings.append(Finding("cache", "ok", f"{cache}; {size / 1e6:,.1f} MB, may be deleted"))
    else:
        text = f"{cache} cannot be written: each run exports the networks anew; set $VRN_CACHE to another folder"
        findings.append(Finding("cache", "optional", text))
    for name, where in (("disk here", Path.cwd()), ("disk of the cache", place)):
        free = shutil.disk_usage(where).free
        low = "; make room, at least 1 GB is needed" if free < LEAST_DISK else ""
        findings.append(Finding(name, "failed" if low else "ok", f"{free / 1e9:,.1f} GB free{low}"))
    return findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    parser.add_argument("--json", action="store_true", help="print a list of name, state and text for other programs")
    parser.add_argument("--no-test", action="store_true", help="do not run each stage once, which takes seconds")


def run(arguments: argparse.Namespace) -> int:
    """Print the report; 1 when something necessary is missing, damaged or fails."""
    findings = examine(test=not arguments.no_test)
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            print(f"{finding.state:<9} {finding.name:<30} {finding.text}")
    return 1 if any(finding.state in ("missing", "damaged", "failed") for finding in findings) else 0


def _version(program: str) -> str:
    """What a program says of itself first."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, errors="replace").stdout
    return (said.splitlines() or [program])[0]


def _file(name: str, path: Path, fix: str) -> Finding:
    if not path.is_file():
        return Finding(name, "missing", f"{path} is not there; {fix}")
    digest = hashlib.sha256(path.read_bytes())
    licence = FACE_LICENCE if path.suffix == ".npz" else OWN_LICENCE
    text = f"{path.stat().st_size / 1e6:.1f} MB, sha256 {digest.hexdigest()[:16]}…; {licence}"
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
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == path.name and file.hash is not None and Path(str(file.locate())).resolve() == path.resolve():
            return base64.urlsafe_b64decode(file.hash.value + "==")
    return None
