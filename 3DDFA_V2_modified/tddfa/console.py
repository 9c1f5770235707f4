"""What the commands have in common: errors that are told in one sentence, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["FAILED", "INTERRUPTED", "run_command", "sentence"]

FAILED = 1
"""Exit code after an error. (argparse leaves with 2 for wrong arguments.)"""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells give it."""


def run_command(program: str, job: Callable[[], int]) -> int:
    """Run a command's job and tell an error in one sentence on stderr, without a traceback.

    Args:
        program: the command's name, which the sentence begins with.
        job: does the work and gives the exit code. A ValueError or OSError is an error for the user; any other
            exception is a fault of the program and passes through.

    Returns:
        The job's exit code, ``FAILED`` or ``INTERRUPTED``.
    """
    try:
        return job()
    except (ValueError, OSError) as error:
        print(f"{program}: {sentence(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{program}: stopped.", file=sys.stderr)
        return INTERRUPTED


def sentence(error: BaseException) -> str:
    r"""An error's message on one line, or its kind when it has none.

    >>> sentence(ValueError("Expected a photo,\n  got a folder."))
    'Expected a photo, got a folder.'
    >>> sentence(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    return " ".join(str(error).split()) or type(error).__name__
