"""The repository as a package: what is committed, what is declared, what build.sh says and does."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from vrnlib.commands import app
from vrnlib.course import REPOSITORY

ROOT = Path(__file__).resolve().parent.parent
TEXT = {".py", ".sh", ".md", ".toml", ".txt", ".yml", ".yaml", ".cfg", ".ipynb", ".pyx", ".hpp", ".json", ""}
VERBS = ("demo", "test", "test-browser", "test-everywhere", "test-mutations", "test-lowest", "lab", "notebooks")
VERBS += ("test-sanitized", "fuzz", "course", "site", "test-course", "clean", "help")
COMPILED = {".so", ".pyd", ".cpp", ".pyc"}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def committed_files() -> list[Path]:
    """Files that git tracks or would add; without git, all outside of hidden and generated folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
        files = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        files = [file for file in ROOT.rglob("*") if not {".venv", "build", "__pycache__"} & set(file.parts)]
    return [file for file in files if file.is_file()]


def toml() -> dict:
    if sys.version_info < (3, 11):
        pytest.skip("tomllib is in Python 3.11 and newer")
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = (re.match(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines)
    return {match[1].lower().replace("_", "-"): match[2] for match in pinned if match}


def test_no_machine_paths_and_no_registry_hosts_in_committed_text():
    forbidden = [
        r"/" + r"(?:root|home|Users)/\w",
        r"/" + r"work/(?:main|shared)",
        r"\bpypi\." + r"org|pythonhosted\." + r"org|download\." + r"pytorch|conda\.anaconda\." + r"org",
        r"https?://[^/\s]*(?:simple|artifactory|nexus)",
    ]
    found = []
    for file in committed_files():
        if file.suffix not in TEXT:
            continue
        text = file.read_text(encoding="utf-8", errors="ignore")
        for pattern in forbidden:
            found += [f"{file.relative_to(ROOT)}: {match}" for match in re.findall(pattern, text)]
    assert not found


def test_committed_files_are_small():
    weights = [file for file in committed_files() if file.suffix == ".safetensors"]
    assert sum(file.stat().st_size for file in weights) <= 25e6
    large = {file.name: file.stat().st_size for file in committed_files() if file.stat().st_size > 25e6}
    assert not large
    notebooks = {file.name: file.stat().st_size for file in committed_files() if file.suffix == ".ipynb"}
    assert all(size < 3e6 for size in notebooks.values()), notebooks


def test_no_third_party_photos_or_official_models_are_committed():
    names = {file.name for file in committed_files()}
    assert not names & {"emma.jpg", "trump_hillary.jpg", "JianzhuGuo.jpg", "obama.mp4", "tri.pkl", "BFM_UV.mat"}
    assert not [name for name in names if name.endswith((".pkl", ".pth", ".onnx", ".tar"))]


def test_one_distribution_installs_both_packages():
    project = toml()["project"]
    assert project["scripts"]["vrn"] == "vrnlib.cli:main"
    assert project["requires-python"] == ">=3.10"
    assert project["urls"]["Repository"] == REPOSITORY


def copy_of_the_repository(target: Path) -> Path:
    """What git tracks or would add, in a folder in which setuptools may write."""
    for file in committed_files():
        if not {"notebooks", "tests"} & set(file.relative_to(ROOT).parts):
            copied = target / file.relative_to(ROOT)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)
    (target / "tests").mkdir()
    (target / "tests" / "test_nothing.py").touch()
    return target


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with what a wheel holds (in lib/, without the compiled modules) and a source distribution (in dist/)."""
    folder = copy_of_the_repository(tmp_path_factory.mktemp("repository"))
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", "lib", "sdist", "--dist-dir", "dist"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return folder


def packaged_files() -> set[str]:
    """Every module, weights file, data file and core of both packages, by its path from site-packages on."""
    files = set()
    for top in (ROOT / "vrnlib", ROOT / "3DDFA_V2_modified" / "tddfa"):
        inside = [file for file in committed_files() if top in file.parents and file.suffix not in COMPILED]
        files |= {f"{top.name}/{file.relative_to(top).as_posix()}" for file in inside}
    return files


def test_a_wheel_holds_all_modules_weights_and_data(built):
    found = {file.relative_to(built / "lib").as_posix() for file in (built / "lib").rglob("*") if file.is_file()}
    assert {"vrnlib/py.typed", "tddfa/py.typed", "vrnlib/weights/vrn_open.safetensors", "vrnlib/landmarks/__init__.py",
            "tddfa/data/open_face.npz", "tddfa/voxelize_core.hpp"} <= found  # fmt: skip
    assert found == packaged_files()


def test_a_source_distribution_holds_what_a_wheel_is_built_of(built):
    (archive,) = (built / "dist").glob("vrn_workbook-*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
        information = file.extractfile(f"{archive.name.removesuffix('.tar.gz')}/PKG-INFO").read().decode()
    assert {"LICENSE", "DATA_LICENSES.md", "README.md", "pyproject.toml", "setup.py"} <= names
    assert {name.replace("tddfa/", "3DDFA_V2_modified/tddfa/", 1) for name in packaged_files()} <= names
    assert not [name for name in names if name.startswith("tests/") or name.endswith(".cpp")]
    for line in ("License-Expression: MIT AND CC0-1.0", "License-File: LICENSE", "License-File: DATA_LICENSES.md",
                 "Author: VRN workbook authors", f"Project-URL: Repository, {REPOSITORY}"):  # fmt: skip
        assert line in information.splitlines()


def test_every_data_file_has_a_licence():
    text = (ROOT / "DATA_LICENSES.md").read_text(encoding="utf-8")
    patterns = re.findall(r"`([^`]+\.(?:npz|safetensors))`", text)
    data = [file.relative_to(ROOT) for file in committed_files() if file.suffix in (".npz", ".safetensors")]
    data = [file for file in data if file.parts[0] in ("vrnlib", "3DDFA_V2_modified")]
    assert data and not [file for file in data if not any(file.match(pattern) for pattern in patterns)]


def test_wheels_are_built_for_every_python_that_is_supported():
    project = toml()
    versions = [name.rpartition(" ")[2] for name in project["project"]["classifiers"] if "Python :: 3." in name]
    assert versions == list(PYTHONS)
    assert project["tool"]["cibuildwheel"]["build"].split() == [f"cp{name.replace('.', '')}-*" for name in versions]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8"))
    assert set(workflow["jobs"]) == {"wheels", "sdist", "release"}


def test_the_core_runs():
    """What build.sh and cibuildwheel run."""
    subprocess.run([sys.executable, ROOT / "tests" / "core_smoke.py"], check=True)


def test_lower_bounds_are_read_by_test_lowest():
    declared = toml()["project"]["dependencies"]
    assert all(re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", requirement) for requirement in declared)
    pinned = constraints()
    for requirement in declared:
        name, bound = requirement.split(">=")
        assert [int(part) for part in bound.split(".")] <= [int(part) for part in pinned[name].split(".")], name


def test_tddfa_is_imported_quickly_and_keeps_its_promises():
    """Importing it brings no heavy package; every public name is found when it is asked for."""
    code = """
import sys, tddfa
heavy = {"torch", "cv2", "onnxruntime", "scipy"} & set(sys.modules)
assert not heavy, heavy
for name in tddfa.__all__:
    assert callable(getattr(tddfa, name)) or name == "ASSETS", name
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_opencv_is_never_the_headless_one():
    for name in ("pyproject.toml", "constraints.txt", "environment.yml", "build.sh"):
        assert "opencv-python-" + "headless" not in (ROOT / name).read_text(encoding="utf-8")


def test_everything_declared_is_pinned():
    project = toml()["project"]
    extras = project["optional-dependencies"]
    used = ("lab", "test", "fan", "train", "cluster", "video", "course")
    declared = project["dependencies"] + [one for extra in used for one in extras[extra]]
    pinned = constraints()
    for requirement in declared:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")
        assert name in pinned, f"{name} is missing in constraints.txt"
    assert pinned["torch"] == "2.13.0"


def test_constraints_parse_and_no_two_pins_apply_at_once():
    packaging = pytest.importorskip("packaging.requirements")
    for version in PYTHONS:
        seen = set()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            requirement = packaging.Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"python_version": version}):
                assert requirement.name not in seen, (version, requirement.name)
                seen.add(requirement.name)


def test_environment_file_parses_and_installs_this_folder():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"][0] == "conda-forge"
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert any(line.startswith("-e .") for line in pip) and "torch==2.13.0" in pip
    assert f"python >={PYTHONS[0]},<3.{int(PYTHONS[-1][2:]) + 1}" in environment["dependencies"]
    names = [item.split()[0] for item in environment["dependencies"] if isinstance(item, str)]
    assert {"python", "pip", "cxx-compiler"} <= set(names)


def test_build_sh_explains_every_verb_and_refuses_others():
    shown = subprocess.run(["bash", "build.sh", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for verb in VERBS:
        assert re.search(rf"^bash build.sh {verb}\s{{1,}}\S", shown, re.MULTILINE), verb
    text = (ROOT / "build.sh").read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    verbs_of_the_case = set(re.findall(r"^    ([a-z-]+)(?: \| \S+)*\) ", text, re.MULTILINE))
    assert verbs_of_the_case - {"setup"} == set(VERBS)
    refused = subprocess.run(["bash", "build.sh", "dmo"], cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 1 and "there is no verb 'dmo'" in refused.stderr


def test_build_sh_says_what_is_wrong_with_a_python():
    environment = dict(os.environ, VRN_PYTHON="no-such-python")
    script = "source <(sed '/^(( \\$# <= 1/,$d' build.sh); find_python"
    command = ["bash", "-c", script, "build.sh"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert result.returncode != 0 and "no-such-python" in result.stderr


def test_ci_script_is_executable_and_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "bash build.sh test" in script.read_text(encoding="utf-8")


def test_readme_names_only_verbs_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"bash build\.sh ([a-z-]+)", text)) <= set(VERBS)
    for target in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", text):
        assert (ROOT / target).exists(), f"README links to {target}, which is not there"


def in_docker(path: str) -> bool:
    """Whether COPY takes a file: no line of .dockerignore names it or a folder above it."""
    parts = path.split("/")
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        if any(fnmatch(part, line.removeprefix("**/")) for part in (parts if line.startswith("**/") else parts[:1])):
            return False
    return True


def test_the_dockerfile_keeps_to_the_tree():
    """Without building it: its paths, what COPY takes, an ordinary user, and a command that the parser knows."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in dockerfile.splitlines() if line and not line.startswith("#")]
    sources = [word for name, rest in lines if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]]
    assert sources and all((ROOT / source).exists() for source in sources)
    files = [file.relative_to(ROOT).as_posix() for file in committed_files()]
    taken = {file for file in files if in_docker(file)}
    needed = {"constraints.txt", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"}
    assert taken >= needed | {file for file in files if file.startswith(("vrnlib/", "3DDFA_V2_modified/tddfa/"))}
    assert not any(file.startswith(("tests/", "notebooks/")) for file in taken)
    for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split():  # runs, compiled modules
        assert not in_docker(line.rstrip("/").replace("*", "x")), line

    last = dockerfile.rpartition("\nFROM")[2]
    assert {"libgl1", "libglib2.0-0", "libgomp1"} <= set(last.split()), "OpenCV, and OpenMP of the core, need them"

    names = [name for name, _ in lines]
    user = [rest for name, rest in lines if name == "USER"]
    assert user == ["vrn"] and "useradd --create-home vrn" in dockerfile and names.index("USER") < names.index("CMD")
    program, *arguments = json.loads(dict(lines)["CMD"])
    parser = argparse.ArgumentParser()
    app.add_arguments(parser)
    parsed = parser.parse_args(arguments[1:])
    assert [program, arguments[0]] == ["/opt/vrn/bin/vrn", "app"]
    assert parsed.host == "0.0.0.0" and str(parsed.port) == dict(lines)["EXPOSE"]
    for code in re.findall(r'python -c "([^"]+)"', dockerfile):
        for module, name in re.findall(r"from (\S+) import (\w+)", code):
            assert hasattr(importlib.import_module(module), name)
