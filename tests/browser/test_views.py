"""In a real browser: the saved page shows a face, and a notebook runs in JupyterLab with a living 3D view."""

from __future__ import annotations

import base64
import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from vrnlib.show import k3d_html
from vrnlib.surface import extract_surface

TOKEN = "browser-test"
PORT = 8917
CELL = """\
import numpy as np
from vrnlib.notebook import own_photo, sliders, view
from vrnlib.surface import extract_surface
z, y, x = np.mgrid[0:40, 0:32, 0:32]
ball = ((x - 16) ** 2 + (y - 16) ** 2 + ((z - 20) / 2) ** 2 < 90).astype(np.float32)
view(extract_surface(ball), alt="A grey ball, to see that the view works.")
def grey(level):
    return np.full((40, 40, 3), level, np.uint8)
start = {"level": 100}
sliders(grey, {"level": (0, 200, 1)}, start=start, sheet={"a": start}, alt="One grey square, to see it.")
own_photo(lambda photo: photo[:20, :30], alt="A corner of the photo.")
print("VIEW" + "-DONE")"""


def ball() -> np.ndarray:
    z, y, x = np.mgrid[0:40, 0:32, 0:32]
    return ((x - 16) ** 2 + (y - 16) ** 2 + ((z - 20) / 2) ** 2 < 90).astype(np.float32)


def test_saved_page_shows_the_surface_without_the_network(page, tmp_path: Path):
    path = tmp_path / "ball.html"
    path.write_text(k3d_html(extract_surface(ball())), encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_function("typeof K3DInstance !== 'undefined' && K3DInstance", timeout=60_000)
    png = page.evaluate(
        """async () => {
            const k = await K3DInstance;
            for (let i = 0; i < 100 && k.getWorld().K3DObjects.children.length === 0; i++)
                await new Promise(r => setTimeout(r, 100));
            await new Promise(r => setTimeout(r, 500));
            return (await k.getScreenshot(1, true)).toDataURL('image/png');
        }"""
    )
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(png.split(",")[1]))).convert("L"), float)
    assert np.ptp(picture) > 60, "the page is blank"
    shown = (picture < picture.max() - 20).mean()
    assert 0.01 < shown < 0.9, f"{shown:.1%} of the picture is covered"
    assert page.outside == [] and page.problems == []


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """A JupyterLab with one notebook; gives its address."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "view.ipynb")
    private = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    private |= {"IPYTHONDIR": str(tmp_path / "ipython"), "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    private |= {"JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={PORT}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", "--allow-root"]
    command += [f"--ServerApp.root_dir={tmp_path}", "--LabApp.news_url="]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = (tmp_path / "server.log").open("w")
    server = subprocess.Popen(command, env=os.environ | private, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/status?token={TOKEN}")
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail((tmp_path / "server.log").read_text()[-2000:])
        yield f"http://127.0.0.1:{PORT}/lab/tree/view.ipynb?token={TOKEN}&reset"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.terminate()
            server.wait(20)
        log.close()


def test_notebook_runs_in_jupyterlab_with_a_living_view(page, lab: str, tmp_path: Path):
    page.goto(lab)
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=180_000)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=180_000)
    page.wait_for_timeout(3000)  # the indicator may say idle before the kernel is connected
    page.click(".jp-NotebookPanel .jp-Cell .cm-content")
    page.keyboard.press("Shift+Enter")
    printed = "[...document.querySelectorAll('.jp-OutputArea-output')]"
    try:
        page.wait_for_function(f"() => {printed}.some(e => e.textContent.includes('VIEW-DONE'))", timeout=90_000)
    except Exception:
        page.screenshot(path=str(tmp_path / "stuck.png"))
        pytest.fail(f"the cell did not end; the page says: {page.inner_text('body')[-1500:]}")
    page.wait_for_selector(".jp-OutputArea canvas", timeout=60_000)
    page.wait_for_timeout(3000)
    assert "Error displaying widget" not in page.inner_text("body")
    assert page.query_selector_all(".jp-RenderedImage img"), "no stored picture beside the view"
    assert page.outside == []

    moved = page.locator(".widget-slider [role=slider]").first
    before = page.locator('.widget-html img[alt*="level"]').get_attribute("src")
    moved.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector('.widget-html img[alt="The picture for level 101."]', timeout=30_000)
    assert page.locator('.widget-html img[alt*="level"]').get_attribute("src") != before

    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the photo").click(timeout=30_000)
    page.wait_for_selector('.widget-html img[alt="A corner of the photo."]', timeout=30_000)
    page.screenshot(path=str(tmp_path / "widgets.png"))
