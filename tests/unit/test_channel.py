"""Latency over a channel, against the formula worked out by hand."""

import math

import numpy as np
import pytest

from sc2.errors import DataError
from sc2.measure.channel import PRESETS, Channel, Side, Split, break_even, missed_pct, transmit_ms
from sc2.measure.resampling import Interval

SIZES = np.array([125.0, 250.0, 250.0, 375.0])


def split(device: float | Side, server: float | Side, sizes: float | np.ndarray, **more: object) -> Split:
    one, two = (side if isinstance(side, Side) else Side(side) for side in (device, server))
    return Split(one, two, np.atleast_1d(np.asarray(sizes, dtype=float)), **more)  # type: ignore[arg-type]


def test_bits_by_kbit_per_second_are_milliseconds() -> None:
    # 48 B and 12,000 B: the transmission times that the literature's examples have.
    assert transmit_ms([48.0, 12_000.0], 37.5) == pytest.approx([10.24, 2560.0])
    assert transmit_ms(3830.0, 10_000.0) == pytest.approx(3.064)


def test_latency_is_the_sum_of_its_parts_for_each_image() -> None:
    latency = split(3.0, 2.0, SIZES).latency_ms(Channel(100.0, 40.0))
    assert latency == pytest.approx([45 + 10, 45 + 20, 45 + 20, 45 + 30])


def test_what_answers_on_the_device_waits_for_no_link() -> None:
    local = split(Side(7.0, Interval(6, 8)), 0.0, SIZES, answers_on_device=True)
    assert local.latency_ms(Channel(1.0, 500.0)) == pytest.approx([7.0] * 4)
    assert local.mean_bytes == 0
    assert local.fixed_interval(500.0) == Interval(6, 8)


def test_times_that_rise_with_the_bytes_vary_by_image() -> None:
    """Images of 125, 250, 250 and 375 bytes, timed on some of 200 to 300 with a median of 250."""
    device, server = Side(3.0, Interval(2.5, 4.0), us_per_byte=8.0), Side(2.0, Interval(1.0, 3.0), us_per_byte=4.0)
    made = split(device, server, SIZES, typical_bytes=250.0, least_bytes=200.0)
    assert made.side_ms(device) == pytest.approx([3 - 0.4, 3, 3, 3 + 1])
    assert made.side_ms(server) == pytest.approx([2 - 0.2, 2, 2, 2 + 0.5])
    latency = made.latency_ms(Channel(100.0, 40.0))
    assert latency == pytest.approx([45 + 10 - 0.6, 45 + 20, 45 + 20, 45 + 30 + 1.5])
    assert made.mean_ms(device) == pytest.approx(3.15)
    assert made.interval(device) == pytest.approx((2.65, 4.15))
    assert made.fixed_ms(40.0) == pytest.approx(3.15 + 40 + 2.075)
    assert made.fixed_interval(40.0) == pytest.approx((2.65 + 40 + 1.075, 4.15 + 40 + 3.075))
    assert latency.mean() == pytest.approx(made.fixed_ms(40.0) + 20)
    local = split(device, 0.0, SIZES, answers_on_device=True, typical_bytes=250.0, least_bytes=200.0)
    assert local.latency_ms(Channel(1.0, 500.0)) == pytest.approx([2.6, 3, 3, 4])


@pytest.mark.parametrize(("deadline", "missed"), [(54.9, 100.0), (55.0, 75.0), (65.0, 25.0), (75.0, 0.0)])
def test_an_answer_at_the_deadline_is_in_time(deadline: float, missed: float) -> None:
    assert missed_pct(split(3.0, 2.0, SIZES).latency_ms(Channel(100.0, 40.0)), deadline) == missed


def test_break_even_is_where_both_take_the_same_time() -> None:
    fewer, other = split(9.0, 1.0, 100.0), split(1.0, 4.0, 1100.0)
    found = break_even(fewer, other, rtt_ms=77.0)
    assert found.kbit_s == pytest.approx(8 * 1000 / 5)
    for split_ in (fewer, other):
        assert split_.latency_ms(Channel(found.kbit_s, 0.0)).mean() == pytest.approx(10.5)
    below, above = (Channel(found.kbit_s * factor, 0.0) for factor in (0.9, 1.1))
    assert fewer.latency_ms(below).mean() < other.latency_ms(below).mean()
    assert fewer.latency_ms(above).mean() > other.latency_ms(above).mean()


def test_the_interval_of_a_break_even_is_that_of_the_times_ends() -> None:
    fewer = split(Side(9.0, Interval(8, 10)), Side(1.0, Interval(1, 1)), 100.0)
    other = split(Side(1.0, Interval(1, 2)), Side(4.0, Interval(4, 4)), 1100.0)
    # The difference of 5 ms lies between 9 - 6 and 11 - 5.
    assert break_even(fewer, other, 0.0).interval == pytest.approx((8000 / 6, 8000 / 3))
    unsure = split(Side(9.0, Interval(4, 10)), Side(1.0, Interval(1, 1)), 100.0)
    assert break_even(unsure, other, 0.0).interval.high == math.inf
    assert math.isnan(break_even(split(9.0, 1.0, 100.0), other, 0.0).interval.low)


def test_fewer_bytes_and_less_time_are_faster_at_every_rate() -> None:
    assert break_even(split(1.0, 1.0, 10.0), split(2.0, 1.0, 20.0), 0.0).kbit_s == math.inf
    assert break_even(split(3.0, 1.0, 10.0), split(2.0, 1.0, 10.0), 0.0).kbit_s == 0.0


def test_the_round_trip_counts_against_a_local_model_only() -> None:
    local, sent = split(30.0, 0.0, 1.0, answers_on_device=True), split(2.0, 3.0, 1000.0)
    # 30 ms on the device against 5 ms, the round trip and 8000 bits.
    assert break_even(local, sent, rtt_ms=5.0).kbit_s == pytest.approx(8000 / (30 - 10))
    assert break_even(local, sent, rtt_ms=25.0).kbit_s == math.inf
    one, two = split(5.0, 1.0, 10.0), split(1.0, 1.0, 20.0)
    assert break_even(one, two, 0.0).kbit_s == break_even(one, two, 900.0).kbit_s == 20.0


def test_what_cannot_be_a_channel_or_a_pair_is_refused() -> None:
    for rate, rtt in ((0.0, 1.0), (-5.0, 1.0), (math.nan, 1.0), (10.0, -1.0), (10.0, math.inf)):
        with pytest.raises(DataError, match="a rate above 0"):
            Channel(rate, rtt)
    with pytest.raises(DataError, match="990 bytes more"):
        break_even(split(1.0, 1.0, 1000.0), split(1.0, 1.0, 10.0), 0.0)


def test_presets_go_from_slow_to_fast_and_name_their_sources() -> None:
    rates = [preset.channel.kbit_s for preset in PRESETS]
    assert rates == sorted(rates)
    assert len({preset.name for preset in PRESETS}) == len(PRESETS) == 4
    assert rates[0] == 6 * 500_000 / 2**6 * 4 / 5 / 1000
    assert rates[1] == 1000 / (1 + 8 + 4 + 3)
    assert rates[3] == 20_000
    assert all(len(preset.rate_source) > 20 and len(preset.rtt_source) > 20 for preset in PRESETS)
