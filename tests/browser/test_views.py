"""In a real browser: the saved page shows a face, notebooks run in JupyterLab with living 3D views and checks."""

from __future__ import annotations

import base64
import io
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from vrnlib.course import lecture_path, source_files, student_path
from vrnlib.show import k3d_html
from vrnlib.surface import extract_surface

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


@contextmanager
def jupyterlab(folder: Path, private: Path, port: int) -> Iterator[str]:
    """A JupyterLab whose file list is a folder; gives the address of a page in it, to be completed by a path."""
    kinds = {f"JUPYTER_{kind}_DIR": private / kind for kind in ("CONFIG", "DATA", "RUNTIME")}
    kinds |= {"IPYTHONDIR": private / "ipython", "JUPYTERLAB_SETTINGS_DIR": private / "settings"}
    kinds |= {"JUPYTERLAB_WORKSPACES_DIR": private / "workspaces"}
    settings = private / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}', encoding="utf-8")  # cells out of sight stay in the page
    token = secrets.token_hex(8)  # no server of another run can answer for this one
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", "--allow-root"]
    command += [f"--ServerApp.root_dir={folder}", "--LabApp.news_url="]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    environment = os.environ | {name: str(path) for name, path in kinds.items()}
    log = (private / "server.log").open("w")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}")
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail((private / "server.log").read_text()[-2000:])
        yield f"http://127.0.0.1:{port}/lab{{}}?token={token}&reset"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.terminate()
            server.wait(20)
        log.close()


def wait_until_ready(page) -> None:
    """The notebook is open and its kernel is connected."""
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=180_000)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=180_000)
    page.wait_for_timeout(3000)  # the indicator may say idle before the kernel is connected


def open_from_list(page, address: str, name: str) -> None:
    """Open a notebook as a student does: from the list of files."""
    page.goto(address.format(""))
    page.locator(".jp-DirListing-item", has_text=name).dblclick(timeout=180_000)
    wait_until_ready(page)


def run_all(page) -> None:
    """Run all cells, and wait for the kernel; the page may still draw widgets then."""
    page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu").get_by_text("Run All Cells", exact=True).click()
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(one => one.textContent)"
    waiting = f"{prompts}.some(one => one.includes('*'))"
    page.wait_for_function(f"() => {waiting}", timeout=60_000)
    page.wait_for_function(f"() => !{waiting}", timeout=900_000)


def test_helpers_work_in_jupyterlab(page, tmp_path: Path, free_port: int):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (tmp_path / "files").mkdir()
    nbformat.write(notebook, tmp_path / "files" / "view.ipynb")
    with jupyterlab(tmp_path / "files", tmp_path, free_port) as address:
        page.goto(address.format("/tree/view.ipynb"))
        wait_until_ready(page)
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


@pytest.mark.parametrize(("number", "views", "moved"), [("00", 2, ["k"]), ("05", 3, ["level"]), ("06", 0, ["d"])])
def test_a_lecture_lives_in_jupyterlab(page, tmp_path: Path, free_port: int, number: str, views: int, moved: list[str]):
    """Opened from the file list and run as a whole: each face turns, each slider changes its picture."""
    page.set_default_timeout(240_000)  # a cloud is slow to draw without a GPU
    lecture = lecture_path(source_files([number])[0])
    (tmp_path / "files").mkdir()
    shutil.copy(lecture, tmp_path / "files")
    with jupyterlab(tmp_path / "files", tmp_path, free_port) as address:
        open_from_list(page, address, lecture.name)
        run_all(page)
        errors = page.locator("[data-mime-type='application/vnd.jupyter.error'], [data-mime-type*='stderr']")
        assert errors.count() == 0, errors.all_inner_texts()

        plots = page.locator(".jp-OutputArea-child:has(canvas):not(:has(.jp-OutputArea-child))")
        sliders = page.locator(".widget-hslider")
        expect = pytest.importorskip("playwright.sync_api").expect
        expect(plots).to_have_count(views, timeout=240_000)
        expect(sliders.locator("label")).to_have_text(moved, timeout=240_000)
        assert "Error displaying widget" not in page.inner_text("body")
        for index in range(views):
            turn(page, plots.nth(index), tmp_path / f"view_{index}")
        for index, name in enumerate(moved):
            box = page.locator(".widget-vbox", has=sliders.nth(index)).last
            expect(box.locator("img")).to_have_attribute("src", re.compile("."))
            before = box.locator("img").get_attribute("src")
            sliders.nth(index).locator("[role=slider]").focus()
            page.keyboard.press("PageUp")
            changed = "([box, before]) => box.querySelector('img').src !== before"
            page.wait_for_function(changed, arg=[box.element_handle(), before])
            box.screenshot(path=tmp_path / f"slider_{name}.png")
        assert {url for url in page.outside if not url.endswith("/colab-badge.svg")} == set()


def test_a_student_is_told_of_a_mistake_and_goes_on(page, tmp_path: Path, free_port: int):
    """The copy as handed out: a stub, a wrong answer and a right one are told apart below the cell that checks them."""
    expect = pytest.importorskip("playwright.sync_api").expect
    page.set_default_timeout(240_000)  # the page is busy while it draws its 3D views
    copy = student_path(source_files(["00"])[0])
    (tmp_path / "files").mkdir()
    shutil.copy(copy, tmp_path / "files")
    cells = nbformat.read(copy, as_version=4).cells
    places = {cell.id: number for number, cell in enumerate(cells)}
    head = "def slice_of_depth(z, offset):\n    return "
    told = [(head + "z + offset", "the depth is not doubled"), (head + "2 * z + offset", "✓ slice_of_depth: right")]
    with jupyterlab(tmp_path / "files", tmp_path, free_port) as address:
        open_from_list(page, address, copy.name)
        run_all(page)
        stub, check = (
            page.locator(".jp-Notebook .jp-Cell").nth(places[f"{prefix}slice_of_depth"]) for prefix in ("", "check_")
        )
        expect(check.locator(".jp-OutputArea")).to_contain_text("is still the stub", timeout=60_000)
        for answer, verdict in told:
            stub.locator(".cm-content").click()
            page.keyboard.press("Control+A")
            page.keyboard.insert_text(answer)
            page.keyboard.press("Shift+Enter")
            page.keyboard.press("Shift+Enter")
            expect(check.locator(".jp-OutputArea")).to_contain_text(verdict, timeout=60_000)
            check.screenshot(path=tmp_path / f"check_{len(verdict)}.png")


def turn(page, plot, name: Path) -> None:
    """Drag a 3D view to the side; screenshots before and after, which must differ."""
    plot.evaluate("one => one.scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(5000)
    before = plot.screenshot(path=f"{name}_front.png")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 120, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.wait_for_timeout(3000)
    after = plot.screenshot(path=f"{name}_turned.png")
    front, turned = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) for png in (before, after))
    assert 0.05 < (front.min(axis=2) < 200).mean() < 0.7, "the face is there, and not all over the view"
    assert np.abs(front - turned).mean() > 2, "the mouse turned nothing"
