"""The command `vrn`: reconstruct, crop, targets, render, train, evaluate, doctor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

import vrnlib
from tddfa.console import run_command

COMMANDS = {
    "reconstruct": ("vrnlib.commands.reconstruct", "photo → 3D face: volume, surface, pictures"),
    "crop": ("vrnlib.commands.crop", "photos → the 192 x 192 crops that a VRN sees"),
    "targets": ("tddfa.targets_command", "photos → volumes that a VRN learns from"),
    "render": ("vrnlib.commands.render", "rendered faces and their volumes, as files or shards"),
    "train": ("vrnlib.commands.train", "train a network on rendered faces"),
    "evaluate": ("vrnlib.commands.evaluate", "measure a network, or landmarks"),
    "app": ("vrnlib.commands.app", "the same on a web page of this machine"),
    "doctor": ("vrnlib.commands.doctor", "say what is installed and which files are there"),
}
"""The verbs: a module with add_arguments and run, imported only when it is used, and a line of help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; None for the process's own.

    Returns:
        The exit code: 0; after one sentence on stderr 1, or 130 for Ctrl-C. (argparse exits with 2.)
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(argv[0] if argv else None)
    arguments = parser.parse_args(argv)
    return run_command("vrn", lambda: int(arguments.func(arguments) or 0))


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vrn", description="One photo of a face becomes a 3D face.")
    parser.add_argument("--version", action="version", version=f"vrn {vrnlib.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    for name, (module, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text)
        if command == name:
            loaded = import_module(module)
            loaded.add_arguments(sub)
            sub.set_defaults(func=loaded.run)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
