"""Fixtures shared by all tests: where the optional files outside the repository are."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest


def _folder_from_environment(variable: str) -> Path:
    """Folder named by an environment variable; the test skips with a reason when there is none."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"${variable} is not set; this test needs files that are not in the repository")
    folder = Path(value)
    if not folder.is_dir():
        pytest.skip(f"${variable} names {folder.name!r}, which is no folder on this machine")
    return folder


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of the official models and test photos ($VRN_ASSETS), or skip."""
    return _folder_from_environment("VRN_ASSETS")


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference results ($VRN_REFERENCE), or skip."""
    return _folder_from_environment("VRN_REFERENCE")


@pytest.fixture
def free_port() -> int:
    """A port of this computer on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
