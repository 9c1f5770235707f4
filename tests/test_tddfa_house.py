"""How tddfa is built: what it may import, how long its modules are, what its examples print."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import tddfa
from tddfa.console import FAILED, INTERRUPTED, run_command

FOLDER = Path(__file__).resolve().parent.parent / "3DDFA_V2_modified"
SOURCES = sorted(FOLDER.rglob("*.py"))


def imported(source: Path) -> set[str]:
    """Names of the top-level packages that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_nothing_here_imports_vrnlib():
    assert len(SOURCES) > 40
    assert [source.name for source in SOURCES if "vrnlib" in imported(source)] == []


def test_modules_stay_short():
    lengths = {source.name: len(source.read_text(encoding="utf-8").splitlines()) for source in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


@pytest.mark.parametrize("name", sorted(module.name for module in pkgutil.iter_modules(tddfa.__path__)))
def test_examples_of_the_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(f"tddfa.{name}")).failed == 0


def raising(error: BaseException):
    def job() -> int:
        raise error

    return job


def test_a_command_tells_errors_in_one_sentence(capsys):
    assert run_command("demo", lambda: 0) == 0
    assert run_command("demo", raising(ValueError("Expected a photo,\n got none."))) == FAILED
    assert run_command("demo", raising(OSError("The disk is full."))) == FAILED
    assert run_command("demo", raising(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr().err == "demo: Expected a photo, got none.\ndemo: The disk is full.\ndemo: stopped.\n"
    with pytest.raises(TypeError, match="fault"):
        run_command("demo", raising(TypeError("a fault of the program")))
