"""What the commands have in common: errors that are told in one sentence, and exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["FAILED", "INTERRUPTED", "Note", "run_command", "sentence"]

FAILED = 1
"""Exit code after an error. (argparse leaves with 2 for wrong arguments.)"""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells give it."""


class Note(UserWarning):
    """What a user should know although the work goes on; one sentence."""


def run_command(program: str, job: Callable[[], int]) -> int:
    """Run a command's job and tell an error in one sentence on stderr, without a traceback.

    Args:
        program: the command's name, which the sentence begins with.
        job: does the work and gives the exit code. A ValueError or OSError is an error for the user; any other
            exception is a fault of the program and passes through.

    Returns:
        The job's exit code, ``FAILED`` or ``INTERRUPTED``.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks is told, not raised
            stream.reconfigure(errors="backslashreplace")
    try:
        with _stopped_as_by_hand(), _notes_told(program):
            return job()
    except (ValueError, OSError) as error:
        print(f"{program}: {sentence(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{program}: stopped.", file=sys.stderr)
        return INTERRUPTED


@contextmanager
def _stopped_as_by_hand() -> Iterator[None]:
    """SIGTERM and SIGHUP (a batch system's stop, a closed terminal) clean up as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    before = {name: handler for name, handler in before.items() if handler is signal.SIG_DFL}  # nohup's stays
    for name in before:
        signal.signal(getattr(signal, name), stop)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def _notes_told(program: str) -> Iterator[None]:
    """A `Note` is told as errors are, each time; other warnings as usual."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Note)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, Note):
                print(f"{program}: note: {message}", file=sys.stderr)
            else:
                usual(message, category, *where, **more)

        warnings.showwarning = show
        yield


def sentence(error: BaseException) -> str:
    r"""An error's message on one line, or its kind when it has none.

    >>> sentence(ValueError("Expected a photo,\n  got a folder."))
    'Expected a photo, got a folder.'
    >>> sentence(OSError(28, "Expected to write a file, the disk is full."))
    'Expected to write a file, the disk is full.'
    >>> sentence(OSError(36, "File name too long", "face.png"))
    'face.png: File name too long'
    >>> sentence(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror:  # without "[Errno 28]" before it
        text = error.strerror if error.filename is None else f"{os.fsdecode(error.filename)}: {error.strerror}"
    return " ".join(text.split()) or type(error).__name__
