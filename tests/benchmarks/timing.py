"""How the benchmarks measure one job."""

import time
from collections.abc import Callable

import numpy as np


def best_and_median(
    function: Callable[[], object], runs: int, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    """Milliseconds of a clock (``time.process_time``: the processor's); a single run is not warmed up."""
    if runs > 1:
        function()
    times = []
    for _ in range(runs):
        start = clock()
        function()
        times.append(1e3 * (clock() - start))
    return min(times), float(np.median(times))


def best(function: Callable[[], object], runs: int, clock: Callable[[], float] = time.process_time) -> float:
    """Milliseconds of the quickest run, by default of the processor's own time."""
    return best_and_median(function, runs, clock)[0]
