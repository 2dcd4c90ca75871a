"""Resamples and intervals against closed forms, scipy, and simulations of clustered images."""

import math

import numpy as np
import pytest
from scipy import stats

from sc2.errors import DataError
from sc2.measure.resampling import (
    Interval,
    bootstrap_p,
    mcnemar_p,
    percentile_interval,
    proportion_interval,
    resample_weights,
    weighted_means,
    widened,
)


def test_images_without_groups_are_drawn_with_replacement() -> None:
    weights = resample_weights({}, 50, 2000)
    assert weights.shape == (2000, 50)
    assert (weights.sum(axis=1) == 50).all()
    # A multinomial's variance: n · 1/n · (1 - 1/n).
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.05)


def test_an_image_counts_as_often_as_the_product_of_its_groups() -> None:
    photos, glyphs = ["a", "a", "b", "b"], ["x", "y", "x", "y"]
    weights = resample_weights({"photograph": photos, "glyph": glyphs}, 4, 3000)
    table = weights.reshape(-1, 2, 2)
    # Rank one: rows by photograph, columns by glyph.
    assert np.allclose(table[:, 0, 0] * table[:, 1, 1], table[:, 0, 1] * table[:, 1, 0])
    assert (weights.sum(axis=1) == 4).all()
    assert weights.mean() == pytest.approx(1, abs=0.02)


def test_one_kind_of_group_is_crossed_with_the_images() -> None:
    weights = resample_weights({"photograph": ["a"] * 20 + ["b"] * 20}, 40, 4000)
    counts = np.unique(weights[:, :20].sum(axis=1) > 0, return_counts=True)[1] / 4000
    # Of two photographs, drawn twice, the first one is missing a quarter of the time.
    assert counts[0] == pytest.approx(0.25, abs=0.03)


def test_resamples_are_the_same_for_the_same_groups_and_never_empty() -> None:
    groups = {"photograph": list("abcdef"), "glyph": list("uvwxyz")}
    weights = resample_weights(groups, 6, 500)
    assert (weights.sum(axis=1) > 0).all()
    assert (weights == resample_weights(dict(reversed(groups.items())), 6, 500)).all()


def test_a_kind_of_group_names_one_for_each_image() -> None:
    with pytest.raises(DataError, match="a group for each of 3 images"):
        resample_weights({"photograph": ["a"]}, 3)
    with pytest.raises(DataError, match="a group for each of 0 images"):
        resample_weights({}, 0)


def test_the_error_of_independent_images_is_the_closed_form() -> None:
    right = np.arange(400) % 4 != 0
    spread = weighted_means(resample_weights({}, 400, 4000), right).std()
    assert spread == pytest.approx(math.sqrt(0.75 * 0.25 / 400), rel=0.05)


def crossed(rng: np.random.Generator, photos: int, glyphs: int, each: int) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Values whose error comes from photographs and glyphs, with mean 0."""
    images = photos * each
    photo, glyph = np.arange(images) % photos, rng.integers(glyphs, size=images)
    value = rng.normal(size=photos)[photo] + rng.normal(size=glyphs)[glyph] + rng.normal(size=images)
    return value, {"photograph": [str(name) for name in photo], "glyph": [str(name) for name in glyph]}


def test_an_interval_over_crossed_groups_covers_the_truth_as_often_as_it_says() -> None:
    """By image alone, an interval would be a quarter as wide and miss the truth most of the time."""
    rng = np.random.default_rng(1)
    covered, naive = [], []
    for _ in range(120):
        values, groups = crossed(rng, photos=12, glyphs=40, each=20)
        interval = percentile_interval(weighted_means(resample_weights(groups, len(values), 300), values))
        covered.append(not interval.excludes(0.0))
        alone = percentile_interval(weighted_means(resample_weights({}, len(values), 300), values))
        naive.append(not alone.excludes(0.0))
    assert 0.88 <= np.mean(covered) <= 1.0
    assert np.mean(naive) < 0.6


def test_a_percentile_interval_is_numpys_where_all_is_finite() -> None:
    values = np.random.default_rng(0).normal(size=1001)
    assert percentile_interval(values) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))


def test_an_interval_may_end_in_infinity_or_not_exist() -> None:
    values = np.concatenate([np.arange(90.0), np.full(10, np.inf)])
    assert percentile_interval(values)[1] == np.inf
    assert percentile_interval(values)[0] < 5
    missing = np.concatenate([np.arange(90.0), np.full(10, np.nan)])
    assert np.isnan(percentile_interval(missing)).all()
    assert not percentile_interval(missing).excludes(1e9)
    assert np.isnan(percentile_interval(np.zeros(0))).all()


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (160, 200), (200, 200)])
def test_wilsons_interval_is_scipys(successes: int, trials: int) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    assert proportion_interval(successes, trials) == pytest.approx((expected.low, expected.high))


def test_a_share_has_trials() -> None:
    with pytest.raises(DataError, match="5 of 4"):
        proportion_interval(5, 4)


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 18), (900, 1100)])
def test_mcnemars_exact_test_is_the_binomial_one(one: int, other: int) -> None:
    expected = stats.binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar_p(one, other) == pytest.approx(expected)


def test_an_independent_error_is_added_in_quadrature() -> None:
    assert widened(10, Interval(7, 14), 0) == (7, 14)
    error = 4 / stats.norm.ppf(0.975)
    assert widened(10, Interval(7, 13), error) == pytest.approx((5, 15))


def test_the_p_value_of_resamples_is_near_that_of_a_normal_distribution() -> None:
    differences = np.random.default_rng(0).normal(2.0, 1.0, size=20_000)
    assert bootstrap_p(differences) == pytest.approx(2 * stats.norm.cdf(-2), rel=0.05)
    assert bootstrap_p(np.full(999, 1.0)) == pytest.approx(2 / 1000)
    assert math.isnan(bootstrap_p(np.full(10, np.nan)))
