"""How long a call takes on one thread. This module imports torch only inside `single_thread`, where it is installed."""

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sc2.errors import ConfigError
from sc2.measure.percentile import percentile

# The rest of the budget is for the calls that count.
_WARMUP_SHARE = 0.25
_NS_PER_S = 1e9
_NS_PER_MS = 1e6


@dataclass(frozen=True)
class Timing:
    """Time of one call.

    Attributes:
        p50_ms: Median over the repeats, in milliseconds.
        p95_ms: 95th percentile over the repeats, in milliseconds.
        repeats: How many calls were timed; fewer than asked for when the budget ran out.
    """

    p50_ms: float
    p95_ms: float
    repeats: int


def time_call(
    fn: Callable[[], object],
    *,
    repeats: int,
    warmup: int,
    budget_s: float,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Timing:
    """Call `fn` again and again and return how long a call takes.

    Args:
        fn: The call; it has to wait for its own result, so one that starts work on a GPU has to synchronise.
        repeats: Calls to time, at least 1.
        warmup: Calls before those, not timed; they take a quarter of the budget at most (the first always happens).
        budget_s: No new call starts after this time (seconds, > 0), but one is always timed.
        clock: Nanoseconds, monotone; tests replace it.

    Raises:
        ConfigError: A number is out of range.
    """
    if repeats < 1 or warmup < 0 or not budget_s > 0:
        raise ConfigError(f"cannot time {repeats} repeats after {warmup} warm-up calls within {budget_s} s")
    start = clock()
    for _ in range(warmup):
        fn()
        if clock() - start >= _WARMUP_SHARE * budget_s * _NS_PER_S:
            break
    times_ms: list[float] = []
    while len(times_ms) < repeats:
        before = clock()
        fn()
        after = clock()
        times_ms.append((after - before) / _NS_PER_MS)
        if after - start >= budget_s * _NS_PER_S:
            break
    return Timing(p50_ms=percentile(times_ms, 50), p95_ms=percentile(times_ms, 95), repeats=len(times_ms))


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch compute on one thread inside the context, and on as many as before after it.

    Does nothing where torch is not installed. Only threads within an operation (MKL and OpenMP) are limited: torch can
    set those between operations only once per process, and models do not use them unless they ask for it.
    """
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
