"""``bash build.sh fuzz [MINUTES]``: damaged and hostile input for every reader, and how many were tried.

Each reader gets a share of the time in a process of its own, which may take so much memory and so long for an input.
An input must end in a result or in one sentence; what does not is a fault, and is kept in ``build/fuzz``.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from .kills import try_all
from .readers import READERS, Reader, told

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "build" / "fuzz"

MEMORY = 6 * 2**30
"""Bytes of addresses beyond those of the loaded libraries."""

SLOW = 30
"""Seconds that an input may take."""


MOST_FAULTS = 5
"""Of a reader, after which it is left."""


def child(
    reader: Reader,
    seconds: float,
    seed: int,
    folder: Path,
    say: Callable[[dict[str, Any]], None],
    *,
    first: bool = True,
) -> None:
    """In a process of its own: try a reader's inputs until the time is up, and say what was seen."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    inputs, work, seen = reader.inputs(), folder / "input", set[str]()
    counts: Counter[str] = Counter()

    def look(number: int) -> None:
        """Read what is in the folder."""
        counts["tried"] += 1
        faulthandler.dump_traceback_later(SLOW, exit=True, file=2)
        try:
            reader.read(work)
            counts["read"] += 1
        except Exception as error:
            try:
                told(error)
                counts["refused"] += 1
            except AssertionError as fault:
                place = innermost(error)
                if place not in seen:
                    seen.add(place)
                    kept = keep(work, reader.name, number)
                    say({"fault": str(fault), "at": place, "input": str(kept)})
        finally:
            faulthandler.cancel_dump_traceback_later()

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    until = time.monotonic() + seconds

    @settings(
        max_examples=100, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(files=inputs)
    def attempt(files: dict[str, bytes]) -> None:
        if time.monotonic() > until:
            return
        put(files, work)
        look(seed + len(seen))

    if first:
        for number in special_files(reader.seeds(), work):
            look(number)
            say({"counts": counts})
    while time.monotonic() < until:
        seeded(seed)(attempt)()
        seed += 1
    say({"counts": counts})


def put(files: dict[str, bytes], work: Path) -> None:
    """The folder with these files and no others."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name, data in files.items():
        (work / name).write_bytes(data)


def special_files(seeds: list[dict[str, bytes]], work: Path) -> Iterator[int]:
    """Each whole folder as it is, and then with what is no file, or an empty one, in place of each of its files."""
    for number, files in enumerate(seeds):
        put(files, work)
        yield number
        for name in files if number < 3 else ():
            for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path), Path.touch):
                put(files, work)
                (work / name).unlink()
                make(work / name)
                yield number


def innermost(error: BaseException) -> str:
    """The kind of an error and the last line of ours that it came through."""
    place, at = "", error.__traceback__
    while at is not None:
        path = at.tb_frame.f_code.co_filename
        if "/tddfa/" in path or "/vrnlib/" in path:
            place = f"{Path(path).name}:{at.tb_lineno}"
        at = at.tb_next
    return f"{type(error).__name__} {place}"


def keep(work: Path, name: str, number: int) -> Path:
    """A copy of an input for whoever mends the fault."""
    kept = KEPT / f"{name.replace(' ', '-')}-{number}"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(work, kept, symlinks=True, ignore=lambda place, names: [n for n in names if not_a_file(place, n)])
    return kept


def not_a_file(place: str, name: str) -> bool:
    """What cannot be copied: pipes."""
    path = Path(place, name)
    return not (path.is_file() or path.is_dir() or path.is_symlink())


def watch(reader: Reader, seconds: float, seed: int) -> tuple[Counter[str], list[str]]:
    """Run a reader's process, again where it died, until the time is up; the counts and the faults."""
    counts: Counter[str] = Counter()
    faults: list[str] = []
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 1 and len(faults) < MOST_FAULTS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            said = run_child(reader, left, seed, folder, first=not faults)
            counts += Counter(said["counts"])
            faults += said["faults"]
            if said["exit"]:
                errors = (folder / "errors").read_text(errors="replace")
                what = f"took more than {SLOW} s" if "Timeout" in errors else f"ended the process ({said['exit']})"
                place = keep(folder / "input", reader.name, seed) if (folder / "input").is_dir() else "before any input"
                faults.append(f"{what}: {errors[:800]} [{place}]")
        seed += 1000
        counts["processes"] += 1
    return counts, faults


def run_child(reader: Reader, seconds: float, seed: int, folder: Path, *, first: bool) -> dict[str, Any]:
    """Fork, so that the libraries are loaded only once; what the child said until its end."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with open(folder / "errors", "w") as errors, open(folder / "said", "w") as said:
                os.dup2(errors.fileno(), 2)
                child(
                    reader,
                    seconds,
                    seed,
                    folder,
                    lambda line: print(json.dumps(line), file=said, flush=True),
                    first=first,
                )
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    lines = [json.loads(line) for line in (folder / "said").read_text().splitlines()]
    counts = next((line["counts"] for line in reversed(lines) if "counts" in line), {})
    faults = [f"{line['fault']} [{line['at']}; {line['input']}]" for line in lines if "fault" in line]
    return {"counts": counts, "faults": faults, "exit": os.waitstatus_to_exitcode(status)}


def try_compiled(seconds: int) -> int:
    """Atheris on the compiled core and its neighbours, where it can be had; 1 for a fault."""
    try:
        import atheris  # noqa: F401
    except ImportError as error:
        print(f"Skipped: the compiled core under Atheris, which has no package for this Python ({error}).")
        return 0
    KEPT.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", "-timeout=30", "-rss_limit_mb=4096", "-close_fd_mask=0"]
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.compiled",
        f"-artifact_prefix={KEPT}/",
        "-print_final_stats=1",
        *options,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    tried = re.search(r"number_of_executed_units: *(\d+)", done.stderr)
    count = int(tried[1]) if tried else 0
    print(f"Atheris: {count:,} inputs in {seconds} s, {'a fault' if done.returncode else '0 faults'}.")
    if done.returncode:
        print(f"    {done.stdout[-1500:]}{done.stderr[-2500:]}", file=sys.stderr)
    return int(done.returncode != 0)


def main(arguments: list[str]) -> int:
    """Share the minutes among the readers; the exit code is 1 when there was a fault."""
    minutes = float(arguments[0]) if arguments else 3.0
    chosen = [reader for reader in READERS if not arguments[1:] or reader.name in arguments[1:]]
    seed, share, broken = int(time.time()) % 10**6, 60 * minutes / len(chosen), 0
    print(f"first number: {seed}; {share:.0f} s for each of {len(chosen)} readers\n")
    print("| reader | inputs | a minute | read | refused | faults |\n|---|---|---|---|---|---|")
    total: Counter[str] = Counter()
    for reader in chosen:
        counts, faults = watch(reader, share, seed)
        total += counts
        broken += len(faults)
        rate = counts["tried"] / share * 60
        row = (reader.name, f"{counts['tried']:,}", f"{rate:,.0f}", f"{counts['read']:,}", f"{counts['refused']:,}")
        print(f"| {' | '.join(row)} | {len(faults)} |", flush=True)
        for fault in faults:
            print(f"    {fault}", file=sys.stderr, flush=True)
    print(f"\n{total['tried']:,} inputs, {broken} faults.\n")
    if len(chosen) == len(READERS):
        broken += try_all(seed, max(1, round(minutes / 2)), lambda line: print(line, flush=True))
        broken += try_compiled(max(10, round(10 * minutes)))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
