"""Which device half is chosen: by what answers have taken, under a deadline, before and after anything is known."""

import numpy as np
import pytest

from sc2.device.adaptive import Channel, Option, choose
from tests import adaptive


def seen(*answers: tuple[float, float]) -> Channel:
    channel = Channel()
    for num_bytes, ms in answers:
        channel.add(num_bytes, ms)
    return channel


def test_two_sizes_tell_base_and_rate() -> None:
    channel = seen((100, 58), (1000, 130), (100, 58))
    for num_bytes in (0, 100, 550, 5000):
        assert channel.expected_ms(num_bytes) == pytest.approx(50 + 0.08 * num_bytes)


def test_one_size_says_nothing_of_the_rate() -> None:
    assert seen((100, 58), (100, 62)).expected_ms(5000) == pytest.approx((0.85 * 58 + 62) / 1.85)


def test_more_bytes_are_never_expected_to_take_less() -> None:
    assert seen((100, 90), (1000, 40)).expected_ms(5000) == pytest.approx(seen((100, 90), (1000, 40)).expected_ms(1))


def test_the_latest_answers_count_most() -> None:
    channel = seen(*[(100, 58.0), (1000, 130.0)] * 10, *[(100, 66.0), (1000, 210.0)] * 10)
    assert 200 < channel.expected_ms(1000) < 260


def test_what_varies_is_expected_with_a_margin() -> None:
    steady, varying = (seen(*[(100, 60.0), (1000, 150.0 + shake), (1000, 150.0 - shake)] * 5) for shake in (0.0, 30.0))
    assert steady.expected_ms(1000) == pytest.approx(150)
    assert varying.expected_ms(1000) > 170
    assert varying.expected_ms(100) < 70


BEST, SMALL, LOCAL = Option(5000, 1.0), Option(60, 2.0), Option(23, 3.0, local=True)


def test_before_anything_is_known_the_smallest_is_sent() -> None:
    assert choose([BEST, SMALL, LOCAL], Channel(), 1000) == 1
    assert choose([LOCAL], Channel(), 1000) == 0


@pytest.mark.parametrize(("deadline", "chosen"), [(500, 0), (402, 0), (400, 1), (55, 1), (53, 2), (1, 2)])
def test_the_first_that_fits_is_chosen_or_the_earliest(deadline: float, chosen: int) -> None:
    channel = seen((60, 52), (5000, 400.5))
    options = [BEST, SMALL, LOCAL]
    assert choose(options, channel, deadline) == chosen


def test_without_a_local_one_the_earliest_is_taken_when_none_fits() -> None:
    assert choose([BEST, SMALL], seen((60, 52), (5000, 400)), 10) == 1


def test_the_trace_repeats() -> None:
    times, rates = adaptive.read_trace()
    assert (np.diff(times) > 0).all()
    assert 0.2 < rates.min() < rates.max() < 2
    repeated = adaptive.rates_of(2000, times, rates)
    assert repeated[0] == rates[0]
    assert set(repeated) <= set(rates)


def test_choosing_is_as_good_as_each_where_one_is_always_best_and_better_where_none_is() -> None:
    right = np.random.default_rng(0).random((2, 2000)) < [[0.9], [0.7]]
    best = adaptive.Candidate("best", np.full(2000, 5000.0), right[0], 1, 1)
    local = adaptive.Candidate("local", np.full(2000, 23.0), right[1], 3, 0, local=True)
    small = adaptive.Candidate("small", np.full(2000, 60.0), right[1], 2, 1)
    steady = np.full(2000, 1.0)
    for deadline in (50, 200):
        share, _ = adaptive.adaptive([best, small, local], steady, deadline)
        most = max(adaptive.fixed(each, steady, deadline) for each in (best, small, local))
        assert share >= most - 0.5
    varying = np.tile(np.repeat([2.0, 0.2], 100), 10)
    share, chosen = adaptive.adaptive([best, small, local], varying, 130)
    assert share > max(adaptive.fixed(each, varying, 130) for each in (best, small, local)) + 2
    assert min(chosen[:2]) > 100
