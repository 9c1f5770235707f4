"""Many small tasks, done by this process, by several on this machine, or by a Dask cluster.

Whoever does a task says with one line how it went; the files that it leaves lie in a folder which all can reach. So
nothing large travels, and a run that was stopped goes on where it was, on whatever machines.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection
from typing import Any, TypeVar

__all__ = ["add_worker_arguments", "check_worker_arguments", "outcomes", "worker_pool"]

Task = TypeVar("Task")

RETRIES = 2
"""How often a cluster tries again what ended in an error, such as a shared disk that was away."""

CONNECT = 10
"""Seconds within which a cluster's scheduler must answer."""


def add_worker_arguments(parser: argparse.ArgumentParser) -> None:
    """Who does the tasks: ``-j`` processes here, or ``--dask``."""
    parser.add_argument("-j", "--workers", type=int, default=1, help="processes (default 1)")
    text = "address of a Dask scheduler, whose workers do it instead; they see all folders under the same names"
    parser.add_argument("--dask", metavar="tcp://HOST:8786", help=text)


def check_worker_arguments(args: argparse.Namespace) -> None:
    """ValueError, one sentence, for arguments that make no sense."""
    if args.workers < 1:
        raise ValueError(f"Expected at least one worker, got {args.workers}; leave -j out for one.")
    if args.dask and args.workers > 1:
        raise ValueError("Expected -j or --dask, got both; a cluster brings its own workers.")


def outcomes(
    tasks: Sequence[Task],
    attempt: Callable[[Task], str],
    *,
    workers: int = 1,
    dask: str | None = None,
    batch: int = 8,
) -> Generator[tuple[Task, str]]:
    """Do tasks; gives each with what ``attempt`` said of it, in any order.

    Args:
        tasks: what to do; picklable, unless this process does it alone.
        attempt: does a task and says how it went; so must it be.
        workers: processes on this machine.
        dask: address of a Dask scheduler (``tcp://HOST:8786``), whose workers do the tasks instead. A task whose worker
            dies is given to another one; one that kills worker after worker is given up, with that as its outcome.
        batch: tasks that a worker takes at once.

    Raises:
        ValueError: Dask is not installed.
        OSError: a worker process died, the cluster does not answer, or what ``attempt`` raised.
    """
    if dask is not None:
        return _on_dask(_batches(tasks, batch), attempt, dask)
    return _here(tasks, attempt) if workers == 1 else _together(_batches(tasks, batch), attempt, workers)


def _here(tasks: Sequence[Task], attempt: Callable[[Task], str]) -> Generator[tuple[Task, str]]:
    for task in tasks:
        yield task, attempt(task)


def _together(
    batches: Iterator[Sequence[Task]], attempt: Callable[[Task], str], workers: int
) -> Generator[tuple[Task, str]]:
    pool = worker_pool(workers)

    def submitted(count: int) -> set[Future[list[tuple[Task, str]]]]:
        return {pool.submit(_batch, batch, attempt) for batch in islice(batches, count)}

    try:
        running = submitted(2 * workers)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= submitted(len(done))
            for future in done:
                yield from future.result()
    except BrokenProcessPool as error:
        raise OSError(
            "A worker process died, perhaps for want of memory; start again with fewer workers, finished targets stay."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _on_dask(
    batches: Iterator[Sequence[Task]], attempt: Callable[[Task], str], address: str
) -> Generator[tuple[Task, str]]:
    """Batches are handed out as they are asked for, so that ten million tasks need no room at the scheduler."""
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as error:
        raise ValueError('Expected Dask for --dask, found none; pip install "vrn-workbook[cluster]".') from error
    try:
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OSError(f"Expected a Dask scheduler at {address}, got no answer ({error}); start it first.") from error
    suspects, of_future = list[Task](), dict[str, Sequence[Task]]()

    def submitted(batch: Sequence[Task]) -> Any:
        future = client.submit(_batch, batch, attempt, pure=False, retries=RETRIES)
        of_future[future.key] = batch
        return future

    with client:
        window = 4 * max(1, sum(client.nthreads().values()))
        running = as_completed([submitted(batch) for batch in islice(batches, window)], loop=client.loop)
        for future in running:
            batch = of_future.pop(future.key)
            try:
                yield from future.result()
            except KilledWorker:
                suspects += batch
            running.update([submitted(more) for more in islice(batches, 1)])
        for task in suspects:  # one at a time, as Dask also blames what waits at a worker that dies
            try:
                yield from submitted([task]).result()
            except KilledWorker:
                yield task, "Expected a worker that lives through it, several died of it; is it too large?"


def _batches(tasks: Sequence[Task], size: int) -> Iterator[Sequence[Task]]:
    return (tasks[start : start + size] for start in range(0, len(tasks), size))


def _batch(tasks: Sequence[Task], attempt: Callable[[Task], str]) -> list[tuple[Task, str]]:
    """In a worker process."""
    return [(task, attempt(task)) for task in tasks]


def worker_pool(workers: int) -> ProcessPoolExecutor:
    """So many fresh processes: threads of torch do not survive a fork."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_work)


def _begin_work() -> None:
    """A worker's first act: it leaves Ctrl-C to its parent, and ends when the parent does, however that comes about."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """Wait for the parent's end, which closes its side of the sentinel, then end this process."""
    connection.wait([sentinel])
    os._exit(1)
