"""How long calls take on one thread, in turn. This module imports torch only inside `single_thread`, if installed."""

import importlib.util
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sc2.errors import ConfigError
from sc2.measure.percentile import percentile
from sc2.measure.resampling import LEVEL, NO_INTERVAL, Interval

# The rest of the budget is for the calls that count.
_WARMUP_SHARE = 0.25
_NS_PER_S = 1e9
_NS_PER_MS = 1e6

LEAST_MS = 0.02
"""The time of a shorter call is not asked to be known better than that of one this long."""

LEAST_CPU_SHARE = 0.95
"""A thread that computes less of the time than this was kept waiting by others."""

MOST_LOAD = 1.1
"""Runnable threads per core above which a machine counts as loaded."""


@dataclass(frozen=True)
class Timing:
    """Time of one call.

    Attributes:
        p50_ms: Median over the repeats, in milliseconds.
        p95_ms: 95th percentile over the repeats, in milliseconds.
        repeats: How many calls were timed; fewer than asked for when the budget ran out, more when they differed much.
        interval: 95 % interval of the median (ms); NaN with fewer than six repeats.
        by_argument: Median of the calls on each argument, in milliseconds: as many as the call has arguments, or as
            there was time for.
        spread: Half of the 95 % interval of the median of how far calls are from the median of those on the same
            argument, as a part of that, or of `LEAST_MS`; NaN with fewer than six repeats.
    """

    p50_ms: float
    p95_ms: float
    repeats: int
    interval: Interval = NO_INTERVAL
    by_argument: tuple[float, ...] = ()
    spread: float = field(default=math.nan, compare=False)

    @classmethod
    def of(cls, times_ms: Sequence[float], arguments: int = 0) -> "Timing":
        """Return the timing of at least one call; call k was on argument k modulo `arguments`, if there are any."""
        each = tuple(percentile(times_ms[k::arguments], 50) for k in range(min(arguments, len(times_ms))))
        middle, ends = percentile(times_ms, 50), median_interval(times_ms)
        # Two calls on an argument say how much times vary, one does not.
        usual = each if 0 < 2 * arguments <= len(times_ms) else (middle,)
        bases = (usual[k % len(usual)] for k in range(len(times_ms)))
        low, high = median_interval(
            [(ms - base) / max(base, LEAST_MS) for ms, base in zip(times_ms, bases, strict=True)]
        )
        return cls(middle, percentile(times_ms, 95), len(times_ms), ends, each, (high - low) / 2)


def median_interval(values: Sequence[float]) -> Interval:
    """Return an interval of the median that needs no distribution: the two order statistics with binomial ranks.

    Args:
        values: Numbers in any order.

    Returns:
        It holds the median with a probability of at least 95 %; NaN with fewer than six values, which cannot say that.
    """
    ordered, count = sorted(values), len(values)
    # Of the 2^n ways in which values fall on either side of the median: those with at most `rank` below it.
    rank, below, tails = 0, 1, round(2 / (1 - LEVEL))
    while below * tails <= 2**count:
        rank += 1
        below += math.comb(count, rank)
    return NO_INTERVAL if rank == 0 else Interval(ordered[rank - 1], ordered[count - rank])


@dataclass(frozen=True)
class Call:
    """What is to be timed.

    Attributes:
        run: The call; it has to wait for its own result, so one that starts work on a GPU has to synchronise.
        repeats: Calls to time, at least 1.
        most: Calls to time at most, as long as the median is not known well enough; None for `repeats` in any case.
        warmup: Calls before those, not timed; they take a quarter of the budget at most (the first always happens).
        on: What it is called on, one after the other, from the first; empty for a call without an argument.
    """

    run: Callable[..., object]
    repeats: int
    warmup: int
    on: Sequence[Any] = ()
    most: int | None = None

    def make(self, number: int) -> None:
        """Make call `number` of those that are timed, or of those before, 0 or more."""
        if self.on:
            self.run(self.on[number % len(self.on)])
        else:
            self.run()


def time_in_turn(
    calls: Mapping[str, Call],
    *,
    budget_s: float,
    spread: float = math.inf,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, Timing]:
    """Run calls in turn, again and again, and return how long each takes.

    In turn, so that a machine that slows down for a while slows all of them down, not one.

    Args:
        calls: By name.
        budget_s: No new call of a name starts after its calls took this time (seconds, > 0), but one is always timed.
        spread: A median is known well enough when the timing's `spread` is at most this (> 0); whether it is is asked
            after every `repeats` calls.
        clock: Nanoseconds, monotone; tests replace it.

    Raises:
        ConfigError: A number is out of range.
    """
    for call in calls.values():
        if call.repeats < 1 or call.warmup < 0 or not budget_s > 0:
            raise ConfigError(f"cannot time {call.repeats} repeats after {call.warmup} warm-up calls in {budget_s} s")
    spent = {name: _warm_up(call, _WARMUP_SHARE * budget_s * _NS_PER_S, clock) for name, call in calls.items()}
    times_ms: dict[str, list[float]] = {name: [] for name in calls}
    waiting = dict(calls)
    while waiting:
        for name, call in list(waiting.items()):
            before = clock()
            call.make(len(times_ms[name]))
            took = clock() - before
            spent[name] += took
            times_ms[name].append(took / _NS_PER_MS)
            if spent[name] >= budget_s * _NS_PER_S or _enough(call, times_ms[name], spread):
                del waiting[name]
    return {name: Timing.of(times, len(calls[name].on)) for name, times in times_ms.items()}


def _enough(call: Call, times_ms: Sequence[float], spread: float) -> bool:
    """Return whether a call was timed often enough. Too few calls for an interval are enough: nothing is known then."""
    count = len(times_ms)
    if count % call.repeats:
        return False
    return call.most is None or count >= call.most or not Timing.of(times_ms, len(call.on)).spread > spread


def _warm_up(call: Call, budget_ns: float, clock: Callable[[], int]) -> int:
    """Return the time that the calls before the first one that counts took (ns)."""
    start = clock()
    for number in range(call.warmup):
        call.make(number)
        if clock() - start >= budget_ns:
            break
    return clock() - start


@dataclass
class Load:
    """What else the machine did while something was timed.

    Attributes:
        cpu_share: Part of the time in which this process computed, 0 to 1; more with several threads.
        load_per_core: Runnable threads per core, mean over the last minute; None where the system does not say.
    """

    cpu_share: float = field(default=math.nan)
    load_per_core: float | None = None

    @property
    def is_high(self) -> bool:
        """Whether the times may be longer than the machine alone needs."""
        waited = self.cpu_share < LEAST_CPU_SHARE
        return waited or (self.load_per_core is not None and self.load_per_core > MOST_LOAD)


@contextmanager
def watched_load() -> Iterator[Load]:
    """Fill in a `Load` when the context ends."""
    load, wall, cpu = Load(), time.perf_counter(), time.process_time()
    yield load
    load.cpu_share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    if hasattr(os, "getloadavg"):
        load.load_per_core = os.getloadavg()[0] / (os.cpu_count() or 1)


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
