"""Bjøntegaard differences against closed forms and against SciPy's PCHIP with numerical integration."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import PchipInterpolator

from sc2.measure.curves import RateQuality, Values, bd_quality, bd_rate_pct, bytes_at_quality, pchip_integral, too_short

BYTES: Values = np.array([50.0, 90, 200, 420, 1000])
QUALITY: Values = np.array([52.0, 61, 68, 71, 72.5])
STEEP: Values = np.array([70, 71.9, 90, 95, 99])
HIGH: Values = np.array([82.0, 91, 98, 101, 102.5])
RAISED: Values = np.array([72.0, 81, 88, 91, 92.5])
NEAR: Values = np.array([57.0, 66, 73, 76, 77.5])
LARGE: Values = np.array([5000.0, 9000, 20000, 42000, 100000])
ANCHOR = RateQuality(BYTES, QUALITY)


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 1.7])
def test_the_same_curve_at_a_multiple_of_the_bytes(factor: float) -> None:
    found = bd_rate_pct(RateQuality(factor * BYTES, QUALITY), ANCHOR)
    assert found.value == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert (found.low, found.high, found.reason) == (52, 72.5, "")


@pytest.mark.parametrize("shift", [-3.0, 0.0, 2.5])
def test_the_same_curve_higher_up(shift: float) -> None:
    found = bd_quality(RateQuality(BYTES, QUALITY + shift), ANCHOR)
    assert found.value == pytest.approx(shift, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((50, 1000))


def test_parallel_lines_in_log_rate() -> None:
    """Quality 10·log2(bytes) against the same at a third of the bytes, at other places: a constant factor."""
    ours, theirs = np.array([20.0, 45, 300]), np.array([50.0, 100, 700, 2000])
    curve = RateQuality(ours, 10 * np.log2(3 * ours))
    anchor = RateQuality(theirs, 10 * np.log2(theirs))
    assert bd_rate_pct(curve, anchor).value == pytest.approx(-200 / 3)
    assert bd_quality(curve, anchor).value == pytest.approx(10 * math.log2(3))
    # Only what both cover counts.
    assert bd_quality(curve, anchor).low == pytest.approx(50)
    assert bd_quality(curve, anchor).high == pytest.approx(300)
    assert bd_rate_pct(curve, anchor).low == pytest.approx(10 * math.log2(60))


def test_the_other_way_round_gives_the_inverse_factor() -> None:
    curve = RateQuality.of([30, 100, 600], [50, 66, 73])
    there, back = bd_rate_pct(curve, ANCHOR).value, bd_rate_pct(ANCHOR, curve).value
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)
    assert bd_quality(curve, ANCHOR).value == pytest.approx(-bd_quality(ANCHOR, curve).value)


def random_curve(rng: np.random.Generator, points: int) -> RateQuality:
    sizes = np.exp(np.cumsum(rng.uniform(0.05, 1.5, points)) + rng.uniform(2, 3))
    return RateQuality(sizes, np.cumsum(rng.uniform(0.1, 8, points)) + rng.uniform(40, 45))


@pytest.mark.parametrize("points", [2, 3, 4, 9])
def test_against_scipy(points: int) -> None:
    rng = np.random.default_rng(points)
    for _ in range(20):
        curve, anchor = random_curve(rng, points), random_curve(rng, 5)
        low, high = max(curve.quality[0], anchor.quality[0]), min(curve.quality[-1], anchor.quality[-1])
        if low < high:
            expected = 100 * (10 ** ((area(curve, low, high) - area(anchor, low, high)) / (high - low)) - 1)
            assert bd_rate_pct(curve, anchor).value == pytest.approx(expected, rel=1e-7, abs=1e-7)


def area(curve: RateQuality, low: float, high: float) -> float:
    """The integral of log10(bytes) over the quality, by quadrature between the points."""
    log_rate = PchipInterpolator(curve.quality, np.log10(curve.data_bytes))
    inner = [quality for quality in curve.quality if low < quality < high]
    return float(quad(log_rate, low, high, points=inner, limit=200)[0])


@pytest.mark.parametrize("points", [2, 3, 6])
def test_the_integral_of_any_points_is_that_of_scipy(points: int) -> None:
    """Also where the values turn, which the curves of the tables never do."""
    rng = np.random.default_rng(points)
    for _ in range(50):
        x, y = np.cumsum(rng.uniform(0.01, 2, points)), rng.normal(size=points)
        low, high = np.sort(rng.uniform(x[0], x[-1], 2))
        assert pchip_integral(x, y, low, high) == pytest.approx(PchipInterpolator(x, y).integrate(low, high), abs=1e-10)


def test_dominated_points_do_not_count() -> None:
    noisy = RateQuality.of([200, 50, 90, 95, 420, 90, 1000], [68, 52, 61, 60.5, 71, 58, 72.5])
    front = noisy.pareto()
    assert front.data_bytes.tolist() == BYTES.tolist()
    assert front.quality.tolist() == QUALITY.tolist()
    assert bd_rate_pct(noisy, ANCHOR).value == pytest.approx(0, abs=1e-9)
    # Of equal quality the cheaper point, of equal bytes the better one.
    assert RateQuality.of([10, 20, 20], [50, 50, 60]).pareto().quality.tolist() == [50, 60]


SINGLE = "the curve has fewer than two Pareto points"
EMPTY = "the curve has a point without bytes, which has no logarithm"


@pytest.mark.parametrize(
    ("curve", "rate_reason", "quality_reason"),
    [
        (([100], [60]), SINGLE, SINGLE),
        (([100, 200], [60, 55]), SINGLE, SINGLE),
        (([0, 200], [55, 60]), EMPTY, EMPTY),
        (([100, 200], [80, 90]), "no common quality interval", ""),
        (([100, 200], [72.5, 90]), "no common quality interval", ""),
        (([5000, 9000], [60, 70]), "", "no common rate interval"),
        (([1000, 9000], [60, 70]), "", "no common rate interval"),
    ],
)
def test_what_cannot_be_compared_says_why(
    curve: tuple[list[float], list[float]], rate_reason: str, quality_reason: str
) -> None:
    rate, quality = bd_rate_pct(RateQuality.of(*curve), ANCHOR), bd_quality(RateQuality.of(*curve), ANCHOR)
    for found, reason in ((rate, rate_reason), (quality, quality_reason)):
        assert found.reason == reason
        assert math.isnan(found.value) == math.isnan(found.low) == math.isnan(found.high) == bool(reason)


def test_an_anchor_that_cannot_be_compared_with_is_named() -> None:
    single = RateQuality.of([2], [74])
    assert bd_rate_pct(ANCHOR, single).reason == "the anchor has fewer than two Pareto points"
    assert bd_quality(ANCHOR, single).reason == "the anchor has fewer than two Pareto points"


@pytest.mark.parametrize("level", [52.0, 55.0, 61.0, 70.9, 72.5])
def test_bytes_at_a_quality_are_numpys_interpolation(level: float) -> None:
    found = bytes_at_quality(BYTES[None, ::-1], QUALITY[None, ::-1], np.array([level]))
    assert found[0] == pytest.approx(np.exp(np.interp(level, QUALITY, np.log(BYTES))))


def test_bytes_at_a_quality_keep_to_pareto_points_and_extrapolate_nothing() -> None:
    data_bytes = np.array([[100.0, 200, 300, 400]] * 4)
    quality = np.array([[50.0, 40, 60, 55]] * 4)
    found = bytes_at_quality(data_bytes, quality, np.array([45.0, 55.0, 60.0, 60.1]))
    assert found[0] == pytest.approx(100)
    # From 100 bytes, not from the 200 of the worse point between.
    assert found[1] == pytest.approx(np.sqrt(100 * 300))
    assert found[2] == pytest.approx(300)
    assert found[3] == np.inf


@pytest.mark.parametrize(
    ("curve", "by", "reason"),
    [
        (RateQuality(BYTES[:3], QUALITY[:3]), "quality", "the curve has fewer than 4 Pareto points: 3"),
        (RateQuality(BYTES, HIGH), "quality", "no common quality interval"),
        (RateQuality(BYTES, HIGH), "rate", ""),
        (RateQuality(LARGE, QUALITY), "rate", "no common rate interval"),
        (
            RateQuality(BYTES, RAISED),
            "quality",
            "the anchor has fewer than 2 points inside",
        ),
        (
            RateQuality(BYTES, STEEP),
            "quality",
            "the common quality interval is 12 % of the shorter curve",
        ),
        (RateQuality(BYTES, NEAR), "quality", ""),
        (RateQuality(np.array([0.0, 60, 100, 200, 500]), QUALITY), "rate", "the curve has a point without bytes"),
        (RateQuality(np.array([0.0, 60, 100, 200, 500]), QUALITY), "quality", ""),
    ],
)
def test_a_difference_over_too_little_has_a_reason(curve: RateQuality, by: Any, reason: str) -> None:
    assert too_short(curve, ANCHOR, by).startswith(reason)
    assert bool(too_short(curve, ANCHOR, by)) == bool(reason)
