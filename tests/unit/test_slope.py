"""The slope of times over bytes, against numbers worked out by hand and scipy's."""

import numpy as np
import pytest
from scipy import stats

from sc2.errors import DataError
from sc2.measure.slope import rising_slope

SIZES = [100.0, 110.0, 120.0, 140.0, 160.0, 200.0]


def test_a_line_has_its_slope_and_one_disturbed_time_does_not_move_it() -> None:
    times = [1.0 + 0.02 * size for size in SIZES]
    assert rising_slope(SIZES, times) == pytest.approx(0.02)
    times[-1] += 500.0
    assert rising_slope(SIZES, times) == pytest.approx(0.02)


@pytest.mark.parametrize("seed", range(5))
def test_the_slope_and_the_test_are_those_of_theil_sen_and_kendall(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.permutation(np.arange(16.0)) * 7 + 50
    passed = []
    for noise in (0.1, 1.0, 3.0, 10.0):
        times = 0.01 * sizes + noise * generator.standard_normal(16)
        ours = rising_slope(sizes.tolist(), times.tolist())
        p = stats.kendalltau(sizes, times, alternative="greater", method="exact").pvalue
        # The normal approximation is within a few tenths of a percent of the exact distribution.
        if not 0.02 < p < 0.03:
            assert (ours > 0) == (p < 0.025)
        if ours:
            assert ours == pytest.approx(stats.theilslopes(times, sizes).slope)
        passed.append(ours > 0)
    assert passed[0]


def test_what_does_not_rise_beyond_doubt_has_no_slope() -> None:
    assert rising_slope(SIZES, [2.0] * 6) == 0.0
    assert rising_slope(SIZES, [1.0 - 0.02 * size for size in SIZES]) == 0.0
    assert rising_slope(SIZES, [1.0, 3.0, 1.5, 2.0, 1.2, 2.2]) == 0.0
    assert rising_slope([50.0] * 8, [float(ms) for ms in range(8)]) == 0.0
    # All pairs of five images rise by chance in 1 of 120 orders; of four images in 1 of 24, which is not enough.
    assert rising_slope([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]) == 1.0
    assert rising_slope([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]) == 0.0
    assert rising_slope([1.0], [1.0]) == 0.0


def test_equal_sizes_say_nothing_for_a_slope() -> None:
    sizes, times = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0], [1.0, 1.4, 2.0, 2.4, 3.0, 3.4, 4.0, 4.4]
    assert rising_slope(sizes, times) == pytest.approx(1.0)


def test_a_time_is_needed_for_each_size() -> None:
    with pytest.raises(DataError, match="2 sizes came with 1 times"):
        rising_slope([1.0, 2.0], [1.0])
