"""What `vrnlib` and its wings promise: the names, that they are loaded late, and that they are documented."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import vrnlib

PACKAGE = Path(vrnlib.__file__).parent
TOP_MODULES = 20
EXTRAS = ("gradio",)


def test_every_public_name_is_there_and_documented():
    assert sorted(vrnlib.__all__) == sorted(set(vrnlib.__all__)) and set(vrnlib.__all__) <= set(dir(vrnlib))
    for name in vrnlib.__all__:
        thing = getattr(vrnlib, name)
        assert inspect.getdoc(thing), name
        assert thing.__module__.startswith(("vrnlib.", "tddfa.")), name


def test_the_lazy_names_are_those_of_the_type_checker():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name: node.module for node in guarded.body for alias in node.names}
    assert imported == vrnlib._HOMES
    assert set(imported) == set(vrnlib.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        vrnlib.nonsense  # noqa: B018


def test_importing_vrnlib_brings_nothing_heavy():
    code = "import sys, vrnlib; sys.exit(bool({'torch', 'numpy', 'cv2', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_version_is_the_distributions():
    assert vrnlib.__version__.count(".") == 2


def test_the_house_stays_small():
    """At its top vrnlib has the course's path, everything else is in a wing; nothing imports upwards."""
    rooms = [path for path in PACKAGE.iterdir() if path.suffix == ".py" and path.stem != "__init__"]
    wings = [path for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    assert len(rooms) + len(wings) <= TOP_MODULES
    below = {"landmarks", "synthetic"}
    for wing in below:
        for file in (PACKAGE / wing).glob("*.py"):
            assert not imports(file) & {"vrnlib.training", "vrnlib.evaluation", "vrnlib.commands"}, file


def imports(file: Path) -> set[str]:
    """The modules of vrnlib that a file imports, cut to two names."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {".".join(name.split(".")[:2]) for name in found if name.startswith("vrnlib.")}


def modules() -> list[str]:
    files = (path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py"))
    return sorted(".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files)


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_is(name):
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        pytest.skip(f"{error.name}, which {name} needs, is not installed")
    assert module.__doc__ and len(module.__doc__.split()) >= 4
