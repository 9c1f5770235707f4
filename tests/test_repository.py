"""The habits' files: they parse, they agree with each other, and the table of mistakes fits the code."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from mutations import FAULTS, Fault, misplaced

ROOT = Path(__file__).parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def project() -> dict[str, str]:
    """Version and oldest Python of pyproject.toml, read as text since Python 3.10 reads no TOML."""
    found = text("pyproject.toml")
    version = re.search(r'^version = "([^"]+)"', found, re.MULTILINE)
    oldest = re.search(r'^requires-python = ">=(3\.\d+)', found, re.MULTILINE)
    assert version and oldest
    return {"version": version[1], "oldest": oldest[1]}


def classified_pythons() -> list[str]:
    minors = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', text("pyproject.toml"))
    return [f"3.{minor}" for minor in sorted(map(int, minors))]


def matrix() -> dict[str, list[str]]:
    return yaml.safe_load(text(".github/workflows/tests.yml"))["jobs"]["tests"]["strategy"]["matrix"]


# --- versions ---------------------------------------------------------------------------------------------------------


def test_one_version_everywhere():
    newest = re.search(r"^## \[([^\]]+)\]", text("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    citation = yaml.safe_load(text("CITATION.cff"))
    assert newest[1] == citation["version"] == project()["version"]


def test_the_same_pythons_everywhere():
    pythons = matrix()["python"]
    assert all(isinstance(one, str) for one in pythons), "3.10 without quotes is the number 3.1"
    assert pythons[0] == project()["oldest"], "the oldest Python is the one that pyproject.toml asks for"
    assert [pythons[0], pythons[-1]] == [classified_pythons()[0], classified_pythons()[-1]]
    assert re.search(rf"Python {re.escape(pythons[0])} to {re.escape(pythons[-1])}\b", text("README.md"))


# --- cards of the weights ---------------------------------------------------------------------------------------------

WEIGHTS = sorted([*ROOT.glob("vrnlib/weights/*.safetensors"), *ROOT.glob("3DDFA_V2_modified/tddfa/data/*.safetensors")])


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_a_card_stands_beside_its_weights_and_model_hubs_can_read_it(path):
    card = ModelCard(path.with_suffix(".md").read_text(encoding="utf-8"))
    assert (card.data.license, card.data.library_name, card.data.model_name) == ("mit", "vrn-workbook", path.stem)
    assert {"Recipe", "Measured", "Known weaknesses"} <= set(re.findall(r"^## (.+)$", card.text, re.MULTILINE))
    assert card.data.eval_results
    for result in card.data.eval_results:
        told = re.sub(r"^0", "", str(result.metric_value))
        assert re.search(rf"(?<![\d.])0?{re.escape(told)}", card.text), f"the text says nothing of {result.metric_name}"
    assert path.stat().st_size < 8e6
    assert sum(one.stat().st_size for one in WEIGHTS) < 25e6


# --- files for other programs -----------------------------------------------------------------------------------------


def test_the_workflow_runs_on_three_systems():
    workflow = yaml.safe_load(text(".github/workflows/tests.yml"))
    assert {system.split("-")[0] for system in matrix()["os"]} == {"ubuntu", "macos", "windows"}
    commands = [step["run"] for step in workflow["jobs"]["tests"]["steps"] if "run" in step]
    assert "bash build.sh test" in commands and any("pytest tests" in command for command in commands)
    assert "VRN_COVERAGE" in text(".github/workflows/tests.yml")


def test_the_readme_names_every_wing():
    wings = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "vrnlib").glob("*/__init__.py")}
    assert {wing for wing in wings if f"`{wing}/`" not in text("README.md")} == set()


def test_the_hooks_take_the_tools_of_the_constraints():
    (repository,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local", "other repositories would be fetched from a host"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "nbstripout", "cython-lint", "check-added-large-files"}
    pinned = [package for hook in hooks.values() for package in hook["additional_dependencies"]]
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", package) for package in pinned)
    ruff = re.search(r"^ruff==\S+", text("constraints.txt"), re.MULTILINE)
    assert ruff is not None and {package for package in pinned if package.startswith("ruff")} == {ruff[0]}
    assert {"--keep-output", "--keep-count"} <= set(hooks["nbstripout"]["entry"].split())
    lectures = [path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.ipynb")]
    assert lectures and all(re.search(hooks["nbstripout"]["files"], name) for name in lectures)
    assert not re.search(hooks["nbstripout"]["files"], "notebooks/student/00_start_here.ipynb")


def test_the_containers_set_themselves_up():
    container = json.loads(text(".devcontainer/devcontainer.json"))
    assert container["postCreateCommand"] == "bash build.sh" and 8888 in container["forwardPorts"]
    dockerfile = text(f".devcontainer/{container['build']['dockerfile']}")
    assert re.search(r"^FROM python:3\.12-slim-bookworm$", dockerfile, re.MULTILINE)
    assert "g++" in dockerfile and "g++" in text(".binder/apt.txt").split()
    assert text(".binder/runtime.txt").strip() in {f"python-{python}" for python in classified_pythons()}
    binder = ROOT / ".binder" / "postBuild"
    assert "set -euo pipefail" in text(".binder/postBuild")
    assert sys.platform == "win32" or binder.stat().st_mode & 0o111


def test_the_citation_names_the_three_papers():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    readme = " ".join(text("README.md").split())
    titles = [reference["title"].split(" (")[0] for reference in citation["references"]]
    assert len(titles) == 3 and all(title in readme for title in titles)


def test_contributing_is_short_and_names_every_verb():
    found = text("CONTRIBUTING.md")
    assert len(found.splitlines()) <= 150
    for verb in re.findall(r"^bash build\.sh ([a-z-]+) ", text("build.sh"), re.MULTILINE):
        assert f"`{verb}`" in found, verb
    for path in set(re.findall(r"`((?:vrnlib|tests|notebooks)/[\w/]+(?:\.py|/))`", found)):
        assert (ROOT / path).exists() or "NN_" in path, path


# --- the table of mistakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.lesson)
def test_every_mistake_can_still_be_made(fault: Fault):
    assert misplaced(fault) is None
    assert fault.old != fault.new
    if fault.file.endswith(".py"):
        ast.parse(text(fault.file).replace(fault.old, fault.new))
    for test in fault.tests.split():
        file, _, name = test.partition("::")
        assert f"\ndef {name}(" in text(f"tests/{file}"), test


def test_the_result_is_of_this_table():
    found = text("tests/mutations.md")
    assert [fault.lesson for fault in FAULTS if f"| {fault.lesson} |" not in found] == []
    assert f"{len(FAULTS)} of {len(FAULTS)} faults are noticed." in found
