"""Commands that are killed at random moments, again and again, and commands on a disk that is full.

After each kill every file that can be seen is whole; when a run is let to its end, its files are those of a run that
nobody stopped, and nothing hidden is left. On a full disk a command ends in one sentence.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tddfa.archives import Archive

ROOT = Path(__file__).resolve().parent.parent.parent

COMMANDS = ("crop", "reconstruct", "render", "targets", "train")
DISK = 150_000
"""Bytes of the disk that is full, and of the largest file where there is none."""


def command(verb: str, inputs: Path, out: Path) -> list[str]:
    """A command line whose work takes some seconds and that goes on where it was."""
    points = ["--detector", "points", "--points", str(inputs / "points"), "--resume"]
    small = ["--renders", "4", "--held-out", "2", "--steps", "6", "--batch", "2", "--report", "1", "--workers", "0"]
    options = {
        "crop": [str(inputs / "photos"), "-o", str(out), *points],
        "reconstruct": [str(inputs / "photos"), "-o", str(out), *points],
        "render": ["-o", str(out), "--count", "12"],
        "targets": [str(inputs / "faces"), "-o", str(out), "--crops", "-j", "2"],
        "train": ["vrn", "-o", str(out), "--cache", str(inputs / "renders"), *small, "--stem", "8", "--features", "8",
                  "--size", "128", "--resume"],
    }  # fmt: skip
    return [sys.executable, "-m", "vrnlib.cli", verb, *options[verb]]


def make_inputs(folder: Path) -> Path:
    """Photos with points beside them, and crops of rendered faces."""
    from vrnlib.synthetic.faces import FaceRenderer, render_pair

    renderer = FaceRenderer()
    for name in ("photos", "points", "faces", "renders"):
        (folder / name).mkdir()
    for index in range(5):
        sample = render_pair(9, index, model=renderer)
        Image.fromarray(sample.image).save(folder / "faces" / f"face{index}.png")
        Image.fromarray(sample.image).save(folder / "photos" / f"face{index}.png")
        np.save(folder / "points" / f"face{index}.npy", np.stack([sample.landmarks, sample.landmarks * 0.8 + 10]))
    return folder


def start(verb: str, inputs: Path, out: Path, *, largest: int | None = None) -> subprocess.Popen[str]:
    def limit() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    path = os.pathsep.join(map(str, (ROOT, ROOT / "3DDFA_V2_modified")))
    settings = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "VRN_CACHE": str(inputs / "cache")}
    return subprocess.Popen(
        command(verb, inputs, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings,
        preexec_fn=limit, start_new_session=True,
    )  # fmt: skip


def kill(verb: str, inputs: Path, rng: random.Random, times: int) -> list[str]:
    """Kill a command so often, then let it end; what was wrong."""
    wrong, whole, out = list[str](), inputs / f"{verb}-whole", inputs / verb
    began = time.monotonic()
    done = start(verb, inputs, whole)
    _, errors = done.communicate()
    if done.returncode:
        return [f"{verb}: {errors[-500:]}"]
    usual = time.monotonic() - began
    for _ in range(times):
        running = start(verb, inputs, out)
        time.sleep(usual * rng.uniform(0.3, 1.0))
        running.kill()
        running.communicate()
        wrong += [f"{verb}: killed, it leaves {path.name} damaged" for path in seen(out) if not is_whole(path)]
    until = time.monotonic() + 15
    while (alive := in_session(running.pid)) and time.monotonic() < until:
        time.sleep(0.2)
    wrong += [f"{verb}: a worker lives on after its parent"] if alive else []
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    done = start(verb, inputs, out)
    _, errors = done.communicate()
    if done.returncode:
        return [*wrong, f"{verb}: after a kill it says {errors[-500:]}"]
    found, wanted = contents(out), contents(whole)
    wrong += [f"{verb}: {name} is missing after a kill" for name in sorted(wanted.keys() - found.keys())]
    wrong += [f"{verb}: {name} is left by a kill" for name in sorted(found.keys() - wanted.keys())]
    changed = (name for name in wanted.keys() & found.keys() if found[name] != wanted[name])
    return wrong + [f"{verb}: {name} differs from that of a run that nobody killed" for name in sorted(changed)]


def fill_disk(verb: str, inputs: Path) -> list[str]:
    """Run a command whose results do not fit; what was wrong."""
    out = inputs / f"{verb}-full"
    out.mkdir()
    mounted = (
        os.getuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(out)], capture_output=True, check=False
        ).returncode
    )
    try:
        done = start(verb, inputs, out / "out", largest=None if mounted else DISK // 3)
        _, errors = done.communicate()
        told = [line for line in errors.splitlines() if line.startswith("vrn: ")]
        wrong = [] if done.returncode == 1 and len(told) == 1 and "Traceback" not in errors else [
            f"{verb}: on a full disk it ends with {done.returncode} and says {errors[-700:]}"
        ]  # fmt: skip
        return wrong + [f"{verb}: a full disk leaves {path.name} damaged" for path in seen(out) if not is_whole(path)]
    finally:
        if mounted:
            subprocess.run(["umount", str(out)], check=False)


def seen(out: Path) -> list[Path]:
    """The files that are not hidden, nor in a hidden folder."""
    paths = (path for path in out.rglob("*") if path.is_file())
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(out).parts)]


def contents(out: Path) -> dict[str, bytes]:
    """Every file, hidden ones too, but TensorBoard's, which have the time in them."""
    paths = (path for path in out.rglob("*") if path.is_file() and "tfevents" not in path.name)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths if path.name != "checkpoint.pt"}


def is_whole(path: Path) -> bool:
    """Whether a result can be read to its end."""
    try:
        if path.suffix == ".npz":
            with Archive(path, largest=2**30, what="a result") as archive:
                return all(archive[name].size >= 0 for name in archive.names)
        if path.suffix in (".png", ".jpg"):
            Image.open(path).load()
        if path.suffix == ".json":
            json.loads(path.read_text())
        return path.stat().st_size > 0 or path.name == "log.jsonl" or "tfevents" in path.name
    except Exception:
        return False


def in_session(leader: int) -> list[int]:
    """Living processes of a session, by its first process, which may be gone."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def try_all(seed: int, times: int, say: Callable[[str], None], verbs: tuple[str, ...] = COMMANDS) -> int:
    """Kill each command so many times and fill its disk once; the number of faults."""
    rng, faults = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as name:
        inputs = make_inputs(Path(name))
        for verb in verbs:
            wrong = kill(verb, inputs, rng, times) + fill_disk(verb, inputs)
            faults += len(wrong)
            say(f"| vrn {verb}, {times} kills and a full disk | {len(wrong)} |")
            for one in wrong:
                say(f"    {one}")
            for folder in (inputs / verb, inputs / f"{verb}-whole"):
                shutil.rmtree(folder, ignore_errors=True)
    return faults
