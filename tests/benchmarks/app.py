"""The web page under load: many requests, several visitors at a time, a third of them with hostile files.

    python tests/benchmarks/app.py [--requests 200] [--visitors 8]

Needs the extra `app`. Times are from a visitor's first byte to the last; most of them is waiting for the others. Every
photo must give a face, every hostile file a sentence without the server's paths, and when the page is stopped nothing
may be left on its disk: else the exit code is not 0.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hostile import encoded, hostile_photos
from PIL import Image
from skimage.data import astronaut
from timing import Row, Times, run


class Answer(NamedTuple):
    """``said`` is "" for a face, else the error."""

    hostile: bool
    name: str
    said: str
    milliseconds: float


def photos(folder: Path) -> list[Path]:
    """A face in several sizes and formats."""
    face = Image.fromarray(astronaut())
    files = {
        "face.png": encoded(face, "PNG"),
        "face.jpg": encoded(face, "JPEG"),
        "large.jpg": encoded(face.resize((3000, 3000)), "JPEG"),
        "small.webp": encoded(face.resize((256, 256)), "WEBP"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def asked(address: str, path: Path, *, hostile: bool) -> Answer:
    """One visit: a file is uploaded, its face asked for."""
    from gradio_client import Client, handle_file

    visitor = Client(address, verbose=False, download_files=False)
    start, said = time.perf_counter(), ""
    try:
        visitor.predict(handle_file(str(path)), "open", api_name="/find")
        visitor.predict("face 1", 0.5, api_name="/show")
    except Exception as error:  # judged, not raised
        said = f"{error}" if type(error).__name__ == "AppError" else f"{type(error).__name__}: {error}"
    milliseconds = 1e3 * (time.perf_counter() - start)
    visitor.close()
    return Answer(hostile, path.name, said, milliseconds)


def wrong(answer: Answer, place: str) -> bool:
    """Whether a photo got no face, or a hostile file no sentence of one line, or one with the server's paths."""
    sentence = answer.said.endswith(".") and "\n" not in answer.said and place not in answer.said
    return not sentence if answer.hostile else answer.said != ""


def peak_memory(process: int) -> float:
    """In MB; what Linux says."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def rows(requests: int, visitors: int) -> Iterator[Row]:
    if find_spec("gradio") is None:
        yield Row(job="page", peer="gradio", reason="needs the extra app.")
        return
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in ("server", "inputs"):
            (folder / name).mkdir()
        good, bad = photos(folder / "inputs"), list(hostile_photos(folder / "inputs").values())
        server = subprocess.Popen(
            [sys.executable, "-m", "vrnlib.cli", "app", "--port", str(port)],
            env={**os.environ, "TMPDIR": str(folder / "server"), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        assert "The page is at" in server.stdout.readline()
        before = peak_memory(server.pid)

        def visit(number: int) -> Answer:
            hostile = number % 3 == 0
            path = bad[number // 3 % len(bad)] if hostile else good[number % len(good)]
            return asked(f"http://127.0.0.1:{port}", path, hostile=hostile)

        with ThreadPoolExecutor(visitors) as threads:
            answers = list(threads.map(visit, range(requests)))
        peak = peak_memory(server.pid)
        server.terminate()
        server.wait(timeout=60)
        left = [path for path in (folder / "server").rglob("*") if path.is_file()]
        for kind, hostile in (("photo", False), ("hostile file", True)):
            spent = [answer.milliseconds for answer in answers if answer.hostile == hostile]
            job = f"page, {visitors} visitors at a time, {len(spent)} requests: {kind}"
            yield Row(job=job, here=Times(min(spent), float(np.median(spent))))
            yield Row(job=f"{job}, slowest", here=Times(max(spent), max(spent)))
        for job, memory in (("before the first", before), ("at most", peak)):
            yield Row(job=f"page: memory {job}, MB", here=Times(memory, memory), unit="MB")
        failures = [f"{answer.name}: {answer.said}" for answer in answers if wrong(answer, place)]
        failures += [f"left: {path.relative_to(folder)}" for path in left]
        yield Row(job="page: wrong answers and files left, number", here=Times(len(failures), len(failures)), unit="")
        if failures:
            raise SystemExit("\n".join(sorted(set(failures))))


if __name__ == "__main__":
    run(__doc__, rows, requests=200, visitors=8)
