"""Timing with a clock that the test moves."""

import sys
import time

import pytest
import torch
from scipy import stats

from sc2.errors import ConfigError
from sc2.measure.latency import (
    Call,
    Load,
    Timing,
    median_interval,
    single_thread,
    time_in_turn,
    watched_load,
)
from sc2.measure.resampling import Interval

MS = 1_000_000


class FakeClock:
    """A clock that advances by the next of `durations` (ms) on every call of `work`, and stays at the last."""

    def __init__(self, *durations: float) -> None:
        self.durations = list(durations)
        self.now = 12345
        self.calls = 0

    def __call__(self) -> int:
        return self.now

    def work(self) -> None:
        self.now += int(self.durations[min(self.calls, len(self.durations) - 1)] * MS)
        self.calls += 1


def timed(clock: FakeClock, *, repeats: float, warmup: float, budget_s: float) -> Timing:
    return time_in_turn({"": Call(clock.work, int(repeats), int(warmup))}, budget_s=budget_s, clock=clock)[""]


def test_warm_up_is_not_timed() -> None:
    clock = FakeClock(100, 50, 1, 2, 3)
    assert timed(clock, repeats=3, warmup=2, budget_s=60) == Timing(p50_ms=2, p95_ms=2.9, repeats=3)
    assert clock.calls == 5


def test_median_is_not_moved_by_an_outlier() -> None:
    assert timed(FakeClock(5, 5, 900, 5, 5), repeats=5, warmup=0, budget_s=60).p50_ms == 5


def test_budget_ends_the_repeats() -> None:
    clock = FakeClock(100)
    assert timed(clock, repeats=1000, warmup=0, budget_s=1) == Timing(100, 100, 10, Interval(100, 100))
    assert clock.calls == 10


def test_warm_up_takes_a_quarter_of_the_budget() -> None:
    clock = FakeClock(100)
    assert timed(clock, repeats=1000, warmup=1000, budget_s=1).repeats == 7
    assert clock.calls == 3 + 7


def test_a_slow_call_is_timed_once() -> None:
    clock = FakeClock(10_000)
    assert timed(clock, repeats=5, warmup=5, budget_s=1) == Timing(10_000, 10_000, repeats=1)
    assert clock.calls == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"repeats": 0, "warmup": 0, "budget_s": 1},
        {"repeats": 1, "warmup": -1, "budget_s": 1},
        {"repeats": 1, "warmup": 0, "budget_s": 0},
    ],
)
def test_wrong_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        timed(FakeClock(1), **settings)


def test_calls_take_turns_and_a_slow_one_stops_first() -> None:
    clock, order = FakeClock(0), []

    def call(name: str, ms: float) -> Call:
        def run() -> None:
            order.append(name)
            clock.now += int(ms * MS)

        return Call(run, repeats=4, warmup=1)

    found = time_in_turn({"fast": call("fast", 1), "slow": call("slow", 400)}, budget_s=1, clock=clock)
    assert order == ["fast", "slow", *("fast", "slow") * 2, "fast", "fast"]
    assert (found["fast"].repeats, found["slow"].repeats) == (4, 2)
    assert (found["fast"].p50_ms, found["slow"].p50_ms) == (1, 400)


def test_calls_go_through_their_arguments_from_the_first_timed_one() -> None:
    clock, seen = FakeClock(0), []

    def run(ms: int) -> None:
        seen.append(ms)
        clock.now += (ms + len(seen)) * MS

    found = time_in_turn({"": Call(run, repeats=7, warmup=2, on=[100, 200, 300])}, budget_s=60, clock=clock)[""]
    assert seen == [100, 200, *[100, 200, 300] * 2, 100]
    # Calls 3, 6 and 9 are on the first argument, and each takes as many milliseconds more.
    assert found.by_argument == (106.0, 205.5, 306.5)
    cut = time_in_turn({"": Call(run, repeats=7, warmup=0, on=[100, 200, 300])}, budget_s=0.3, clock=clock)[""]
    assert len(cut.by_argument) == 2


@pytest.mark.parametrize(
    ("durations", "repeats"),
    [
        ((5,), 6),
        # Of 18 calls the fifth and the fourteenth bound the median: by then both are among those of 5 ms.
        ((1, 1, 1, 9, 9, 9, 5), 18),
        ((1, 9) * 12, 24),
    ],
)
def test_calls_go_on_until_their_median_is_known(durations: tuple[float, ...], repeats: int) -> None:
    clock = FakeClock(*durations)
    call = Call(clock.work, repeats=6, warmup=0, most=24)
    found = time_in_turn({"": call}, budget_s=60, spread=0.05, clock=clock)[""]
    assert found.repeats == clock.calls == repeats
    assert (found.spread <= 0.05) == (repeats < 24)


def test_calls_go_on_neither_beyond_the_budget_nor_without_an_interval() -> None:
    clock = FakeClock(*(1, 9) * 12)
    cut = time_in_turn({"": Call(clock.work, 6, 0, most=24)}, budget_s=0.049, spread=0.05, clock=clock)[""]
    assert cut.repeats == 10
    few = FakeClock(1, 9)
    assert time_in_turn({"": Call(few.work, 2, 0, most=8)}, budget_s=60, spread=0.05, clock=few)[""].repeats == 2


def test_the_spread_of_short_calls_is_that_of_the_clock() -> None:
    # Six values: from the shortest to the longest.
    assert Timing.of([0.0, 0.0, 0.001, 0.001, 0.002, 0.002]).spread == pytest.approx(0.05)
    assert Timing.of([9, 9, 10, 10, 11, 12]).spread == pytest.approx(0.15)


def test_what_arguments_differ_is_no_spread() -> None:
    clock, durations = FakeClock(0), {"small": 1, "large": 9}

    def run(image: str) -> None:
        clock.now += durations[image] * MS

    call = Call(run, repeats=12, warmup=0, on=["small", "large"], most=48)
    found = time_in_turn({"": call}, budget_s=60, spread=0.05, clock=clock)[""]
    assert (found.repeats, found.spread) == (12, 0)
    assert found.interval == Interval(1, 9)


@pytest.mark.parametrize("count", [6, 7, 20, 101, 2000])
def test_an_interval_of_the_median_has_binomial_ranks(count: int) -> None:
    values = [float(value) for value in range(1, count + 1)]
    low, high = median_interval(values[::-1])
    rank = int(low)
    assert high == count + 1 - rank
    assert stats.binom.cdf(rank - 1, count, 0.5) <= 0.025 < stats.binom.cdf(rank, count, 0.5)


def test_few_repeats_have_no_interval() -> None:
    assert [end != end for end in median_interval([1.0] * 5)] == [True, True]


def test_a_machine_that_does_other_things_is_noticed() -> None:
    assert not Load(cpu_share=0.99, load_per_core=0.5).is_high
    assert not Load(cpu_share=1.0).is_high
    assert Load(cpu_share=0.9, load_per_core=0.5).is_high
    assert Load(cpu_share=1.0, load_per_core=2.0).is_high
    with watched_load() as load:
        time.sleep(0.3)
    # A process that waits computes nothing.
    assert load.cpu_share < 0.5
    assert load.is_high
    with watched_load() as load:
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
    assert load.cpu_share > 0.05


def test_errors_of_the_call_come_through() -> None:
    def fail() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        time_in_turn({"": Call(fail, 1, 1)}, budget_s=1)


def test_real_clock() -> None:
    timing = time_in_turn({"": Call(lambda: sum(range(1000)), 20, 2)}, budget_s=5)[""]
    assert timing.repeats == 20
    assert 0 < timing.p50_ms <= timing.p95_ms < 1000


def test_single_thread_is_restored() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with single_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(OSError, match="broken"), single_thread():
            raise OSError("broken")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_single_thread_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with single_thread():
        pass
