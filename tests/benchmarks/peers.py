"""Other people's packages, each in an environment of its own below the user's cache, never in this project's."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import venv
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from timing import Times

from tddfa.assets import cache_folder

PEERS = {
    "PyMCubes": ("PyMCubes",),
    "Open3D": (
        "open3d-cpu ; sys_platform == 'linux' and platform_machine == 'x86_64'",
        "open3d ; sys_platform != 'linux' or platform_machine != 'x86_64'",
        "libusb-package",  # a library that Open3D wants and few machines have
    ),
    "MediaPipe": ("mediapipe==0.10.21",),  # the last one that brings its networks along
    "dlib": ("dlib-bin", "numpy"),  # compiled already
}
"""What pip is asked for, wheels only."""

INSTALLING, WORKING = 900, 300
"""Seconds that a peer may take."""


class Unavailable(Exception):
    """A peer that cannot be had here; the message is one sentence."""


@cache
def environment(peer: str) -> Path:
    """The Python of a peer's environment, which is made when it is not there yet.

    Raises:
        Unavailable: pip cannot install it here.
    """
    wanted = hashlib.sha256(repr((PEERS[peer], sys.version)).encode()).hexdigest()
    folder = cache_folder() / "peers" / peer.lower()
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    mark = folder / "installed"
    if mark.is_file() and mark.read_text(encoding="ascii") == wanted:
        return python
    venv.create(folder, clear=True, symlinks=sys.platform != "win32")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input", "--no-compile"]
    _answer(peer, "pip could not install it here", [*pip, "--only-binary", ":all:", *PEERS[peer]], INSTALLING)
    mark.write_text(wanted, encoding="ascii")
    return python


def peer_times(peer: str, array: np.ndarray, runs: int) -> dict[str, Any]:
    """What a `timing.Row` says of a peer's job (`peer_jobs`) on an array: its times, or why there are none."""
    try:
        python = environment(peer)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "input.npy")
            np.save(path, array)
            script = str(Path(__file__).with_name("peer_jobs.py"))
            said = _answer(peer, "it failed", [str(python), script, peer, str(runs), str(path)], WORKING)
        answer = json.loads(said.splitlines()[-1])
        return {"peer": f"{peer} {answer['version']}, {answer['found']}", "theirs": Times(*answer["times"])}
    except Unavailable as error:
        return {"peer": peer, "reason": str(error)}


def _answer(peer: str, failed: str, command: list[str], seconds: int) -> str:
    """What a command prints; Unavailable when it fails or takes too long."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds).stdout
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{peer}: {failed}: it took more than {seconds} seconds.") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line] or lines or [f"exit code {error.returncode}"]
        raise Unavailable(f"{peer}: {failed}: {errors[-1].removeprefix('ERROR: ').rstrip('.')}.") from None
