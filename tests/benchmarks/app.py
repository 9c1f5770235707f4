"""The web page under load: 200 requests, eight at a time, a third of them hostile.

    python tests/benchmarks/app.py

Prints how each kind of request was answered, the latency, the server's memory, and what is left on its disk.
"""

from __future__ import annotations

import argparse
import io
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.data import astronaut


def png(width: int, height: int, *, whole: bool) -> bytes:
    """A black PNG of that size, a few kilobytes long; without most of its pixels when not whole."""
    packer = zlib.compressobj(9)
    rows = (
        packer.compress(b"\0" * 1000)
        if not whole
        else b"".join(packer.compress(b"\0" * (width * 3 + 1)) for _ in range(height))
    )
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (head, b"IDAT" + rows + packer.flush(), b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts
    )


def written(picture: Image.Image, **how) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **how)
    return buffer.getvalue()


def inputs(folder: Path) -> list[tuple[str, Path]]:
    """(kind, file): photos of a face in several sizes and formats, and files that are none."""
    face = Image.fromarray(astronaut())
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))
    whole = written(face, format="JPEG")
    good = {
        "face.png": written(face, format="PNG"),
        "face.jpg": whole,
        "large.jpg": written(face.resize((3000, 3000)), format="JPEG"),
        "small.webp": written(face.resize((256, 256)), format="WEBP"),
    }
    bad = {
        "bomb.png": png(15_000, 15_000, whole=True),
        "header.png": png(30_000, 30_000, whole=False),
        "face.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "cut.jpg": whole[: len(whole) // 50],
        "text.jpg": b"no picture at all",
        "..%2f..%2fetc%2fpasswd.png": b"root:x:0:0",
        "moving.webp": written(noise, format="WEBP", save_all=True, append_images=[noise] * 20),
        "cmyk.tif": written(noise.convert("CMYK"), format="TIFF"),
        "empty.png": b"",
    }
    made = []
    for kind, files in (("photo", good), ("hostile", bad)):
        for name, data in files.items():
            (folder / name).write_bytes(data)
            made.append((kind, folder / name))
    return made


def peak_memory(process: int) -> float:
    """In MB; what Linux says."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--at-a-time", type=int, default=8)
    parser.add_argument("--port", type=int, default=7899)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "server").mkdir()
        (folder / "inputs").mkdir()
        files = inputs(folder / "inputs")
        photos = [one for one in files if one[0] == "photo"]
        hostile = [one for one in files if one[0] == "hostile"]
        server = subprocess.Popen(
            [sys.executable, "-m", "vrnlib.cli", "app", "--port", str(options.port)],
            env={**os.environ, "TMPDIR": str(folder / "server"), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        address = f"http://127.0.0.1:{options.port}"
        print(server.stdout.readline().strip())
        before = peak_memory(server.pid)

        def ask(number: int) -> tuple[str, str, str, float]:
            kind, path = hostile[number // 3 % len(hostile)] if number % 3 == 0 else photos[number % len(photos)]
            client = Client(address, verbose=False, download_files=False)
            start = time.perf_counter()
            try:
                client.predict(handle_file(str(path)), "open", api_name="/find")
                client.predict("face 1", 0.5, api_name="/show")
                answer = "a face"
            except AppError as error:
                answer = "a sentence" if str(error).endswith(".") and place not in str(error) else f"? {error}"
            except Exception as error:  # counted, not raised
                answer = f"? {type(error).__name__}: {error}"
            spent = time.perf_counter() - start
            client.close()
            return kind, path.name, answer, spent

        with ThreadPoolExecutor(options.at_a_time) as threads:
            answers = list(threads.map(ask, range(options.requests)))
        for (kind, name, answer), count in sorted(Counter(one[:3] for one in answers).items()):
            print(f"{kind:<8} {name:<28} {answer:<40} {count}")
        for kind in ("photo", "hostile"):
            spent = np.array([one[3] for one in answers if one[0] == kind])
            print(f"{kind}: median {np.median(spent):.1f} s, slowest {spent.max():.1f} s")
        print(f"memory: {before:.0f} MB at the start, {peak_memory(server.pid):.0f} MB at most")
        server.terminate()
        server.wait(timeout=30)
        left = [path for path in (folder / "server").rglob("*") if path.is_file()]
        print(f"exit code {server.returncode}; files left on its disk: {len(left)}")


if __name__ == "__main__":
    main()
