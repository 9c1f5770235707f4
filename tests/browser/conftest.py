"""A headless browser for the tests in this folder; they skip with a reason where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

#: Software rendering of WebGL; nothing is fetched from outside.
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
#: A camera that shows a moving pattern, and nobody who has to allow it.
ARGUMENTS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="session")
def playwright() -> Iterator:
    api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (extra 'browser')")
    with api.sync_playwright() as running:
        yield running


@pytest.fixture
def browser(playwright) -> Iterator:
    """A Chromium for one test; one that dies (TargetClosedError) is no verdict: build.sh lets the test run again."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs the program chromium (Debian: apt-get install chromium)")
    started = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
    yield started
    started.close()


@pytest.fixture
def page(browser) -> Iterator:
    """A page; ``page.outside`` lists what it asked of other machines, ``page.problems`` its errors."""
    opened = browser.new_page(viewport={"width": 1200, "height": 1000})
    opened.outside, opened.problems = [], []

    def asked(request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "http://127.0.0.1")):
            opened.outside.append(request.url)

    opened.on("request", asked)
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    yield opened
    opened.close()
