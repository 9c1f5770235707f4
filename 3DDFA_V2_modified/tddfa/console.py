"""What the commands have in common: errors that are told in one sentence, and exit codes."""

from __future__ import annotations

import io
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["FAILED", "INTERRUPTED", "Note", "run_command", "sentence", "stop_noted"]

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

    with _handled(("SIGTERM", "SIGHUP"), stop, lambda handler: handler is signal.SIG_DFL):  # nohup's stays
        yield


@contextmanager
def stop_noted() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, SIGTERM and SIGHUP are only noted, for work that ends well between two pieces; a second one stops it.

    Yields:
        A function that tells whether to stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    noted: list[int] = []

    def note(number: int, _: object) -> None:
        noted.append(number)
        if len(noted) > 1:
            raise KeyboardInterrupt

    with _handled(("SIGINT", "SIGTERM", "SIGHUP"), note, lambda handler: handler is not signal.SIG_IGN):
        yield lambda: bool(noted)


@contextmanager
def _handled(
    names: Sequence[str], handler: Callable[[int, Any], None], wanted: Callable[[object], bool]
) -> Iterator[None]:
    """The signals of these names, where their handler so far is ``wanted``, go to another one for a while."""
    there = [getattr(signal, name) for name in names if hasattr(signal, name)]  # Windows has no SIGHUP
    before = {number: signal.getsignal(number) for number in there}
    before = {number: old for number, old in before.items() if wanted(old)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


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
    >>> sentence(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        text = error.strerror  # without "[Errno 28]" before it
    return " ".join(text.split()) or type(error).__name__
